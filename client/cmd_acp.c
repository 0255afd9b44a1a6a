/*
 * cmd_acp.c - agent acp: standard input and output, joined to agentd's socket, for editors.
 *
 * Lines pass both ways through bridge.c. When the editor closes its end, this program leaves and
 * the sessions go on. Writing to the editor may wait: agentd notices a slow client, and slows
 * nobody else for it.
 */

#include "proto/base/err.h"

#include "client/bridge.h"
#include "client/broker_link.h"
#include "client/call_uv.h"
#include "client/command.h"
#include "client/options.h"
#include "client/pump_uv.h"
#include "client/setup.h"
#include "client/start.h"

static int prepare(struct setup *setup, struct broker **broker, struct bridge **bridge,
		   const struct options *options, struct err *err)
{
	json_auto_t *status = NULL; /* that there is one is enough */

	/* Read once before anything starts, so that a mistake in the settings is said here. */
	if (setup_load(setup, options, SETUP_ASKING, err) < 0 ||
	    start_daemon(broker, &setup->paths, err) < 0 ||
	    call_agentd(&status, &(struct call_to){ &setup->paths, *broker },
			AGENT_METHOD_DAEMON_STATUS, &(struct agent_daemon_status){ 0 }, err) < 0)
		return (int)err->code;
	return bridge_new(bridge, options, *broker, err);
}

int cmd_acp(const struct options *options)
{
	struct setup setup SCOPED(setup_deinit) = { 0 };
	struct broker *broker SCOPED(broker_release) = NULL;
	struct bridge *bridge = NULL;
	struct err err = { 0 };
	int exit_code;

	if (options->word_count > 0)
		return command_fail(options, EXIT_USAGE, "takes no words; see 'agent acp --help'");
	if (prepare(&setup, &broker, &bridge, options, &err) < 0)
		return command_fail(options, EXIT_FAILED, err.text);
	exit_code = pump_run(bridge, setup.paths.agent_socket, &err);
	if (exit_code != EXIT_DONE)
		(void)command_fail(options, exit_code, err.text);
	bridge_free(bridge);
	return exit_code;
}
