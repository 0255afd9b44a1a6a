#include "tests/support/limited.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/fd.h"

void limited_write(const char *path, const char *text)
{
	int fd SCOPED(fd_close) = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct err err = { 0 };

	if (fd < 0 || fd_write_all(fd, text, strlen(text), &err) < 0)
		fail_msg("%s: %s", path, err.text);
}

bool limited_start(struct limited *rig, const char *limits, const char *agentd,
		   const char *const *further)
{
	const char *options[8] = { "--requirements", rig->file };
	size_t count = 2;

	if (!rig->broker.home[0])
		test_broker_folders(&rig->broker);
	(void)snprintf(rig->file, sizeof rig->file, "%s/requirements.ini", rig->broker.home);
	if (limits)
		limited_write(rig->file, limits);
	while (further && *further)
		options[count++] = *further++;
	options[count] = NULL;
	return test_broker_start_with(&rig->broker, agentd, options, rig->why);
}

void limited_open(struct limited *rig, const char *limits)
{
	*rig = (struct limited){ 0 };
	if (!limited_start(rig, limits, NULL, NULL))
		fail_msg("%s", rig->why);
	broker_client_open(&rig->client, &rig->broker);
}

void limited_close(struct limited *rig)
{
	broker_client_close(&rig->client);
	assert_int_equal(test_broker_stop(&rig->broker), 0);
}

int limited_run(struct limited *rig, const char *ceiling, const char *const *argv, char *text)
{
	struct broker_command command;

	if (!broker_command_start(&command, &rig->client, ceiling, argv))
		fail_msg("start %s: %s", argv[0], rig->client.err.text);
	return broker_command_finish(&command, &rig->client, text, TEXT_MAX);
}

json_t *limited_ceiling(const struct limited *rig, const char *mode, bool network)
{
	return json_pack("{s:s, s:s, s:b, s:b, s:b}", "mode", mode, "cwd", rig->broker.work,
			 "network", network, "exclude_slash_tmp", true, "exclude_tmpdir", true);
}

void hostile_open(struct hostile *hostile, const char *limits)
{
	char program[1024];

	*hostile = (struct hostile){ 0 };
	(void)snprintf(program, sizeof program, "%s/hostile_daemon", getenv("AGENT_TEST_FAKE"));
	if (!limited_start(&hostile->rig, limits, program, NULL))
		fail_msg("%s", hostile->rig.why);
	broker_client_open(&hostile->rig.client, &hostile->rig.broker);
	json_decref(broker_must(&hostile->rig.client, "daemon/start", NULL));
	broker_client_connect(&hostile->hand, hostile->rig.broker.runtime, "agent.sock");
	broker_client_ceiling(&hostile->rig.client, &hostile->rig.broker, "workspace-write", true,
			      hostile->kept);
}

void hostile_close(struct hostile *hostile)
{
	broker_client_close(&hostile->hand);
	limited_close(&hostile->rig);
}

json_t *hostile_request(const struct hostile *hostile, const char *mode, bool network)
{
	return json_pack("{s:s, s:[s,s,s], s:s, s:s, s:b}", "ceiling", hostile->kept, "argv", "sh",
			 "-c", "exit 0", "cwd", hostile->rig.broker.work, "mode", mode, "network",
			 network);
}
