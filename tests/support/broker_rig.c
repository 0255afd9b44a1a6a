#include "tests/support/broker_rig.h"

#include "tests/support/fixture.h"

void broker_rig_open(struct broker_rig *rig, const char *mode)
{
	test_broker_start(&rig->broker, NULL);
	broker_client_open(&rig->client, &rig->broker);
	broker_client_ceiling(&rig->client, &rig->broker, mode, false, rig->ceiling);
}

void broker_rig_close(struct broker_rig *rig)
{
	broker_client_close(&rig->client);
	assert_int_equal(test_broker_stop(&rig->broker), 0);
}

int broker_rig_run(struct broker_rig *rig, const char *const *argv, char *text, size_t size)
{
	struct broker_command command;

	if (!broker_command_start(&command, &rig->client, rig->ceiling, argv))
		fail_msg("start %s: %s", argv[0], rig->client.err.text);
	return broker_command_finish(&command, &rig->client, text, size);
}

void broker_rig_kill(struct broker_rig *rig, const struct broker_command *command, int signal)
{
	json_decref(
		broker_must(&rig->client, "child/kill",
			    json_pack("{s:s, s:i}", "child", command->child, "signal", signal)));
}
