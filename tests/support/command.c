#include "tests/support/command.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/attr.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"

#include "tests/support/fixture.h"

#define ENVIRONMENT_MAX 32

static const char *agent_program(void)
{
	static char path[4096];
	const char *folder = getenv("AGENT_TEST_BIN");

	assert_non_null(folder);
	(void)snprintf(path, sizeof path, "%s/agent", folder);
	return path;
}

static struct command_home last; /* home is "" when there is nothing to stop */

void command_home_make(struct command_home *home, const char *settings, bool repository)
{
	char git[700];

	(void)snprintf(home->top, sizeof home->top, "%s/t", fixture_dir());
	(void)snprintf(home->home, sizeof home->home, "%s/home", home->top);
	(void)snprintf(home->work, sizeof home->work, "%s/place", home->top);
	(void)snprintf(git, sizeof git, "%s/.git", home->work);
	assert_int_equal(mkdir(home->top, 0700), 0);
	assert_int_equal(mkdir(home->home, 0700), 0);
	assert_int_equal(mkdir(home->work, 0700), 0);
	if (repository)
		assert_int_equal(mkdir(git, 0700), 0);
	if (settings)
		(void)fixture_file("t/home/config.ini", settings, strlen(settings));
	last = *home;
}

int command_teardown(void **state)
{
	struct command command;

	if (last.home[0]) {
		command_run(&command, &last, COMMAND_WORDS("daemon", "stop"), NULL);
		command_deinit(&command);
		last.home[0] = '\0';
	}
	return fixture_teardown(state);
}

void command_home_stop(const struct command_home *home)
{
	struct command command;

	command_run(&command, home, COMMAND_WORDS("daemon", "stop"), NULL);
	if (command.status != 0)
		fail_msg("daemon stop: %s", buf_str(&command.notes));
	command_deinit(&command);
}

static void run(const struct command_home *home, const char *const *words,
		const char *const *environment, const int ends[3])
{
	static char variable[700];
	char *env[ENVIRONMENT_MAX] = { variable };
	static char path[4096];
	static char user_home[700];
	char *argv[64] = { NULL };
	size_t words_before = 0;
	size_t count = 1;

	(void)snprintf(variable, sizeof variable, "AGENTD_HOME=%s", home->home);
	(void)snprintf(path, sizeof path, "PATH=%s", getenv("PATH"));
	(void)snprintf(user_home, sizeof user_home, "HOME=%s", home->top);
	env[count++] = path;
	env[count++] = user_home;
	for (size_t i = 0; environment && environment[i] && count < ENVIRONMENT_MAX - 1; i++)
		env[count++] = strdup(environment[i]);
	for (; home->through && home->through[words_before]; words_before++)
		argv[words_before] = strdup(home->through[words_before]);
	argv[words_before] = strdup(home->through ? agent_program() : "agent");
	for (size_t i = 0; words[i] && i < 60 - words_before; i++)
		argv[words_before + i + 1] = strdup(words[i]);
	if (chdir(home->work) < 0 || dup2(ends[0], 0) < 0 || dup2(ends[1], 1) < 0 ||
	    dup2(ends[2], 2) < 0)
		_exit(99);
	(void)execvpe(home->through ? argv[0] : agent_program(), argv, env);
	_exit(98);
}

void command_start(struct command *command, const struct command_home *home,
		   const char *const *words, const char *const *environment)
{
	int in[2] = { -1, -1 };
	int out[2] = { -1, -1 };
	int err[2] = { -1, -1 };

	*command = (struct command){ .pid = -1 };
	buf_init(&command->text, COMMAND_OUTPUT_MAX);
	buf_init(&command->notes, COMMAND_OUTPUT_MAX);
	assert_int_equal(fd_pipe(in, NULL), 0);
	assert_int_equal(fd_pipe(out, NULL), 0);
	assert_int_equal(fd_pipe(err, NULL), 0);
	command->pid = fork();
	assert_true(command->pid >= 0);
	if (command->pid == 0)
		run(home, words, environment, (const int[]){ in[0], out[1], err[1] });
	fd_close(&in[0]);
	fd_close(&out[1]);
	fd_close(&err[1]);
	command->in = in[1];
	command->out = out[0];
	command->err = err[0];
}

void command_write(struct command *command, const char *text)
{
	struct err err = { 0 };

	if (fd_write_all(command->in, text, strlen(text), &err) < 0)
		fail_msg("write to the command: %s", err.text);
}

void command_close_input(struct command *command)
{
	fd_close(&command->in);
}

/* Reads what there is on one end; false at its end. */
static void drain(int *fd, struct buf *into)
{
	ssize_t n;

	assert_int_equal(buf_reserve(into, 65536, NULL), 0);
	n = read(*fd, into->data + into->len, 65536);
	if (n > 0)
		buf_grow(into, (size_t)n);
	else if (n == 0 || errno != EINTR)
		fd_close(fd);
}

/* Waits for output; false when both ends are closed. */
static bool pump(struct command *command)
{
	struct pollfd items[] = { { .fd = command->out, .events = POLLIN },
				  { .fd = command->err, .events = POLLIN } };

	if (command->out < 0 && command->err < 0)
		return false;
	if (poll(items, 2, COMMAND_WAIT_S * 1000) <= 0)
		fail_msg("the command hangs; it said: %s%s", buf_str(&command->text),
			 buf_str(&command->notes));
	if (items[0].revents)
		drain(&command->out, &command->text);
	if (items[1].revents)
		drain(&command->err, &command->notes);
	return true;
}

const char *command_line(struct command *command, const char *part)
{
	static char line[65536];

	for (;;) {
		char *found = strstr(buf_str(&command->text), part);
		char *end = found ? strchr(found, '\n') : NULL;

		if (end) {
			char *start = found;

			while (start > command->text.data && start[-1] != '\n')
				start--;
			assert_true((size_t)(end - start) < sizeof line);
			memcpy(line, start, (size_t)(end - start));
			line[end - start] = '\0';
			return line;
		}
		if (!pump(command))
			fail_msg("'%s' was never said, but: %s%s", part, buf_str(&command->text),
				 buf_str(&command->notes));
	}
}

void command_finish(struct command *command)
{
	int status = 0;

	command_close_input(command);
	while (pump(command))
		;
	assert_int_equal(waitpid(command->pid, &status, 0), command->pid);
	command->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void command_deinit(struct command *command)
{
	fd_close(&command->in);
	fd_close(&command->out);
	fd_close(&command->err);
	buf_deinit(&command->text);
	buf_deinit(&command->notes);
}

void command_run(struct command *command, const struct command_home *home, const char *const *words,
		 const char *input)
{
	command_start(command, home, words, NULL);
	if (input)
		command_write(command, input);
	command_finish(command);
}
