#include "tests/support/system_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "tests/support/fixture.h"

#define SH(script)                                                                                 \
	(const char *const[])                                                                      \
	{                                                                                          \
		"sh", "-c", script, NULL                                                           \
	}

bool system_rig_start(struct system_rig *rig, const char *user, const char *const *options)
{
	if (!rig->broker.home[0]) {
		rig->broker.user = user;
		test_broker_folders(&rig->broker);
	}
	return test_broker_start_with(&rig->broker, NULL, options, rig->why);
}

void system_rig_open(struct system_rig *rig, const char *user)
{
	*rig = (struct system_rig){ 0 };
	if (!system_rig_start(rig, user, NULL))
		fail_msg("%s", rig->why);
	broker_client_open(&rig->client, &rig->broker);
}

void system_rig_close(struct system_rig *rig)
{
	broker_client_close(&rig->client);
	assert_int_equal(test_broker_stop(&rig->broker), 0);
	test_act_as(NULL);
}

void system_rig_run(struct system_rig *rig, const char *mode, const char *script, char *text,
		    size_t size)
{
	struct broker_command command;
	char ceiling[33];

	broker_client_ceiling(&rig->client, &rig->broker, mode, false, ceiling);
	if (!broker_command_start(&command, &rig->client, ceiling, SH(script)))
		fail_msg("%s: %s", mode, rig->client.err.text);
	(void)broker_command_finish(&command, &rig->client, text, size);
}

void system_status(pid_t pid, const char *name, char *out, size_t size)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(65536);
	char path[64];
	char *line;

	(void)snprintf(path, sizeof path, "/proc/%d/status", pid);
	assert_int_equal(buf_read_file(&text, path, NULL), 0);
	line = strstr(text.data, name);
	assert_non_null(line);
	line += strlen(name) + 2;
	line[strcspn(line, "\n")] = '\0';
	assert_int_equal(str_copy(out, size, line, NULL), 0);
}

pid_t system_rig_monitor(const struct system_rig *rig)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(65536);
	char path[64];
	int64_t pid = 0;

	(void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", rig->broker.pid,
		       rig->broker.pid);
	assert_int_equal(buf_read_file(&text, path, NULL), 0);
	buf_cut(&text, strcspn(buf_str(&text), " "));
	assert_int_equal(str_to_int(&pid, buf_str(&text), 1, INT32_MAX, NULL), 0);
	return (pid_t)pid;
}

void system_write(const char *path, const char *text)
{
	int fd SCOPED(fd_close) = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail_msg("%s: %s", path, strerrorname_np(errno));
}
