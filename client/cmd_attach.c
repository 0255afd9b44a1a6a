/*
 * cmd_attach.c - agent attach [-r] [ID]: another terminal for a session.
 */
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/str.h"

#include "client/broker_link.h"
#include "client/call_uv.h"
#include "client/command.h"
#include "client/desk_uv.h"
#include "client/options.h"
#include "client/sessions.h"
#include "client/setup.h"
#include "client/start.h"
#include "client/text.h"

static int find_session(char **out, const struct setup *setup, struct broker *broker,
			const struct options *options, struct err *err)
{
	const struct call_to to = { &setup->paths, broker };

	if (options->word_count == 0)
		return sessions_newest(out, &to,
				       options_has(options, OPTION_ALL) ? NULL : setup->cwd, err);
	*out = str_dup(options->words[0]);
	return *out ? 0 : ERR_NOMEM_SET(err);
}

int cmd_attach(const struct options *options)
{
	struct setup setup SCOPED(setup_deinit) = { 0 };
	struct broker *broker SCOPED(broker_release) = NULL;
	char *session SCOPED(str_free) = NULL;
	struct err err = { 0 };
	/* Who cannot be asked does not control. */
	bool look = options_has(options, OPTION_READ_ONLY) || !isatty(STDIN_FILENO);
	struct desk_input desk = {
		.talk = { .how = look ? TALK_OBSERVE : TALK_ATTACH, .name = "terminal" },
		.program = "agent attach",
		.terminal = isatty(STDIN_FILENO) != 0,
	};

	if (options->word_count > 1)
		return command_fail(options, EXIT_USAGE, "one session at a time");
	if (setup_load(&setup, options, SETUP_ASKING, &err) < 0 ||
	    text_color(&desk.color, options_value(options, OPTION_COLOR), STDOUT_FILENO, environ,
		       &err) < 0 ||
	    start_daemon(&broker, &setup.paths, &err) < 0 ||
	    find_session(&session, &setup, broker, options, &err) < 0)
		return command_fail(options, EXIT_FAILED, err.text);
	desk.talk.setup = &setup;
	desk.talk.options = options;
	desk.talk.broker = broker;
	desk.talk.session_id = session;
	return desk_run(&desk);
}
