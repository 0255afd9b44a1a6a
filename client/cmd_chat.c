/*
 * cmd_chat.c - agent [PROMPT]: a new session, at this terminal.
 */
#include <stdio.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/str.h"

#include "client/broker_link.h"
#include "client/command.h"
#include "client/desk_uv.h"
#include "client/image.h"
#include "client/options.h"
#include "client/setup.h"
#include "client/start.h"
#include "client/text.h"
#include "client/words.h"

static int prepare(struct setup *setup, struct broker **broker, struct desk_input *desk,
		   const struct options *options, struct err *err)
{
	if (setup_load(setup, options, SETUP_ASKING, err) < 0 ||
	    text_color(&desk->color, options_value(options, OPTION_COLOR), STDOUT_FILENO, environ,
		       err) < 0 ||
	    start_daemon(broker, &setup->paths, err) < 0)
		return (int)err->code;
	desk->talk.setup = setup;
	desk->talk.broker = *broker;
	return 0;
}

int cmd_chat(const struct options *options)
{
	struct setup setup SCOPED(setup_deinit) = { 0 };
	struct broker *broker SCOPED(broker_release) = NULL;
	char *prompt SCOPED(str_free) = NULL;
	struct images images SCOPED(images_deinit) = { .count = 0 };
	struct err err = { 0 };
	struct desk_input desk = {
		.talk = { .how = TALK_NEW,
			  .name = "terminal",
			  .record = options_has(options, OPTION_RECORD),
			  .ephemeral = options_has(options, OPTION_EPHEMERAL) },
		.program = "agent",
		.record_file = options_value(options, OPTION_RECORD),
		.terminal = true,
	};

	if (!isatty(STDIN_FILENO))
		return command_fail(
			options, EXIT_USAGE,
			"standard input is not a terminal; use 'agent exec' in scripts");
	if (words_join(&prompt, options, 0, &err) < 0 || images_load(&images, options, &err) < 0 ||
	    prepare(&setup, &broker, &desk, options, &err) < 0)
		return command_fail(options, EXIT_FAILED, err.text);
	if (images.count > 0 && !prompt)
		return command_fail(options, EXIT_USAGE, "--image needs a prompt to go with");
	desk.prompt = prompt;
	desk.images = &images;
	return desk_run(&desk);
}
