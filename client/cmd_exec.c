/*
 * cmd_exec.c - agent exec: one turn for scripts, a drop-in for 'codex exec'.
 */
#include <stdio.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/conf.h"
#include "proto/wire/json.h"

#include "client/broker_link.h"
#include "client/call_uv.h"
#include "client/command.h"
#include "client/exec_uv.h"
#include "client/image.h"
#include "client/options.h"
#include "client/sessions.h"
#include "client/setup.h"
#include "client/start.h"
#include "client/text.h"
#include "client/words.h"

#define SCHEMA_MAX 1000000 /* bytes of an output schema */

struct plan {
	struct setup setup;
	struct broker *broker;
	struct exec_input exec;
	bool resume;
	size_t prompt_word; /* index of the first word of the prompt */
	char *session;
	char *prompt;
	json_t *schema;
	struct images images;
};

static void plan_deinit(struct plan *plan)
{
	broker_close(plan->broker);
	setup_deinit(&plan->setup);
	json_decref(plan->schema);
	images_deinit(&plan->images);
	str_free(&plan->session);
	str_free(&plan->prompt);
}

/* exec resume [ID | --last] [PROMPT]; nothing of this needs the file system. */
static int read_words(struct plan *plan, const struct options *options, struct err *err)
{
	bool last = options_has(options, OPTION_LAST);

	plan->resume = options->word_count > 0 && str_eq(options->words[0], "resume");
	plan->prompt_word = plan->resume ? 1 : 0;
	if (!plan->resume)
		return last ? ERR_SET(err, ERR_INVALID, "--last belongs to 'agent exec resume'")
			    : 0;
	if (last)
		return 0;
	if (options->word_count < 2)
		return ERR_SET(err, ERR_INVALID,
			       "resume: which session? An ID or --last is needed");
	plan->session = str_dup(options->words[plan->prompt_word++]);
	return plan->session ? 0 : ERR_NOMEM_SET(err);
}

/* With a prompt on the command line, standard input is read only when asked for: it may be an open
 * pipe. */
static int read_prompt(struct plan *plan, const struct options *options, struct err *err)
{
	char *typed SCOPED(str_free) = NULL;
	char *piped SCOPED(str_free) = NULL;
	struct buf both SCOPED(buf_deinit) = BUF_INIT(WORDS_MAX);

	if (words_join(&typed, options, plan->prompt_word, err) < 0)
		return (int)err->code;
	if (typed && !str_eq(typed, "-") && !options_has(options, OPTION_STDIN)) {
		plan->prompt = TAKE(typed);
		return 0;
	}
	if (!typed && isatty(STDIN_FILENO))
		return ERR_SET(err, ERR_INVALID,
			       "a prompt is missing: as an argument, or on standard input");
	if (words_read(&piped, err) < 0)
		return (int)err->code;
	if (!typed || str_eq(typed, "-")) {
		if (piped[0] == '\0')
			return ERR_SET(err, ERR_INVALID, "the prompt on standard input is empty");
		plan->prompt = TAKE(piped);
		return 0;
	}
	if (buf_printf(&both, err, "%s\n\n<stdin>\n%s\n</stdin>", typed, piped) < 0)
		return ERR_WRAP(err, "the prompt");
	plan->prompt = buf_take(&both);
	return plan->prompt ? 0 : ERR_NOMEM_SET(err);
}

static int read_schema(struct plan *plan, const char *file, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(SCHEMA_MAX);

	if (!file)
		return 0;
	if (buf_read_file(&text, file, err) < 0)
		return ERR_WRAP(err, "--output-schema");
	plan->schema = wire_json_load(buf_str(&text), text.len, err);
	if (!plan->schema)
		return ERR_WRAP(err, "--output-schema '%s'", file);
	if (!json_is_object(plan->schema))
		return ERR_SET(err, ERR_INVALID, "--output-schema '%s': not a JSON object", file);
	return 0;
}

/* What runs unasked should be able to be undone, or be somewhere that a person has trusted. */
static int check_folder(const struct plan *plan, const struct options *options, struct err *err)
{
	const struct conf *conf = plan->setup.conf;
	char *root SCOPED(str_free) = NULL;
	const char *trust;

	if (options_has(options, OPTION_SKIP_GIT) || options_has(options, OPTION_BYPASS))
		return 0;
	if (setup_project_root(&root, conf, plan->setup.cwd, err) < 0)
		return (int)err->code;
	trust = conf_str_of(conf, "projects", plan->setup.cwd, "trust_level");
	if (root || str_eq(trust, "trusted"))
		return 0;
	return ERR_SET(err, ERR_DENIED,
		       "'%s' is neither version-controlled nor trusted; "
		       "--skip-git-repo-check runs here all the same",
		       plan->setup.cwd);
}

static int prepare(struct plan *plan, const struct options *options, struct err *err)
{
	const char *cwd;

	if (setup_load(&plan->setup, options, SETUP_SILENT, err) < 0 ||
	    check_folder(plan, options, err) < 0 ||
	    read_schema(plan, options_value(options, OPTION_SCHEMA), err) < 0 ||
	    images_load(&plan->images, options, err) < 0 ||
	    text_color(&plan->exec.color, options_value(options, OPTION_COLOR), STDERR_FILENO,
		       environ, err) < 0 ||
	    start_daemon(&plan->broker, &plan->setup.paths, err) < 0)
		return (int)err->code;
	cwd = options_has(options, OPTION_ALL) ? NULL : plan->setup.cwd;
	if (plan->resume && !plan->session)
		return sessions_newest(&plan->session,
				       &(struct call_to){ &plan->setup.paths, plan->broker }, cwd,
				       err);
	return 0;
}

int cmd_exec(const struct options *options)
{
	struct plan plan SCOPED(plan_deinit) = { 0 };
	struct err err = { 0 };

	if (read_words(&plan, options, &err) < 0 || read_prompt(&plan, options, &err) < 0)
		return command_fail(options, EXIT_USAGE, err.text);
	if (options_has(options, OPTION_FULL_AUTO))
		(void)fprintf(stderr, "agent exec: --full-auto is deprecated; use --sandbox "
				      "workspace-write\n");
	if (prepare(&plan, options, &err) < 0)
		return command_fail(options, EXIT_FAILED, err.text);
	plan.exec.talk = (struct talk_input){ .setup = &plan.setup,
					      .broker = plan.broker,
					      .how = plan.resume ? TALK_RESUME : TALK_NEW,
					      .session_id = plan.session,
					      .name = "exec",
					      .exec = true,
					      .record = options_has(options, OPTION_RECORD),
					      .ephemeral = options_has(options, OPTION_EPHEMERAL),
					      .ignore_user_config = options_has(
						      options, OPTION_IGNORE_USER_CONFIG) };
	plan.exec.prompt = plan.prompt;
	plan.exec.schema = plan.schema;
	plan.exec.images = &plan.images;
	plan.exec.json = options_has(options, OPTION_JSON);
	plan.exec.answer_file = options_value(options, OPTION_LAST_MESSAGE);
	plan.exec.record_file = options_value(options, OPTION_RECORD);
	return exec_run(&plan.exec);
}
