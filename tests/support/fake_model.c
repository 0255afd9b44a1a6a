#include "tests/support/fake_model.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "tests/support/fixture.h"

#define LOG_MAX (64U << 20)
#define PORT_DIGITS 15U

static void run(const struct fake_model *fake, const char *program, int out)
{
	if (dup2(out, STDOUT_FILENO) < 0)
		_exit(127);
	(void)execl(program, program, fake->script, fake->log, (char *)NULL);
	_exit(127);
}

static int read_port(int in)
{
	char line[PORT_DIGITS + 1] = "";
	int64_t port = 0;
	size_t len = 0;

	while (len < PORT_DIGITS && read(in, line + len, 1) == 1 && line[len] != '\n')
		len++;
	line[len] = '\0';
	if (str_to_int(&port, line, 1, 65535, NULL) < 0)
		fail_msg("the fake model does not start");
	return (int)port;
}

void fake_model_start(struct fake_model *fake, const char *script)
{
	const char *folder = getenv("AGENT_TEST_FAKE");
	char program[4096];
	int ends[2] = { -1, -1 };

	assert_non_null(folder);
	(void)snprintf(program, sizeof program, "%s/model", folder);
	(void)snprintf(fake->script, sizeof fake->script, "%s",
		       fixture_file("model-script.json", script, strlen(script)));
	(void)snprintf(fake->log, sizeof fake->log, "%s", fixture_file("model-log.jsonl", "", 0));
	assert_int_equal(fd_pipe(ends, NULL), 0);
	fake->pid = fork();
	assert_true(fake->pid >= 0);
	if (fake->pid == 0)
		run(fake, program, ends[1]);
	fd_close(&ends[1]);
	fake->port = read_port(ends[0]);
	fd_close(&ends[0]);
}

void fake_model_stop(struct fake_model *fake)
{
	if (fake->pid <= 0)
		return;
	(void)kill(fake->pid, SIGKILL);
	(void)waitpid(fake->pid, NULL, 0);
	fake->pid = 0;
}

json_t *fake_model_log(const struct fake_model *fake)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(LOG_MAX);
	json_t *lines = json_array();
	const char *row;
	const char *end;

	assert_int_equal(buf_read_file(&text, fake->log, NULL), 0);
	for (row = buf_str(&text); (end = strchr(row, '\n')) != NULL; row = end + 1)
		(void)json_array_append_new(lines, json_loadb(row, (size_t)(end - row), 0, NULL));
	return lines;
}
