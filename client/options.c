#include "client/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/near.h"

#define HELP_COLUMN 34 /* characters before the meaning of an option */

#define BIT(id) (1U << (id))
#define CHAT BIT(COMMAND_CHAT)
#define EXEC BIT(COMMAND_EXEC)
#define ATTACH BIT(COMMAND_ATTACH)
#define SESSIONS BIT(COMMAND_SESSIONS)
#define SANDBOX BIT(COMMAND_SANDBOX)
#define ACP BIT(COMMAND_ACP)
#define DAEMON BIT(COMMAND_DAEMON)
#define DOCTOR BIT(COMMAND_DOCTOR)
#define DEMO BIT(COMMAND_DEMO)
#define AUDIT BIT(COMMAND_AUDIT)
#define EVERY (CHAT | EXEC | ATTACH | SESSIONS | SANDBOX | ACP | DAEMON | DOCTOR | DEMO | AUDIT)

struct option_row {
	const char *name;
	const char *alias; /* another name, or NULL */
	char letter;       /* or 0 */
	const char *value; /* what stands for it in the help; NULL for a flag */
	unsigned commands; /* that know it */
	const char *doc;
};

struct command {
	const char *name;  /* the word; NULL for the command without one */
	const char *alias; /* another word, or NULL */
	const char *usage;
	const char *doc;
	const char *more; /* behind the options, or NULL */
	const char *const
		*skip; /* words that may stand before the command line that is run; NULL: no such */
};

static const struct option_row table[OPTION_COUNT] = {
	[OPTION_HELP] = { "help", NULL, 'h', NULL, EVERY, "Show this page." },
	[OPTION_VERSION] = { "version", NULL, 'V', NULL, EVERY, "Show the version." },
	[OPTION_CONFIG] = { "config", NULL, 'c', "KEY=VALUE", CHAT | EXEC | SANDBOX | ACP | DOCTOR,
			    "Override a setting; VALUE is a TOML literal, or text." },
	[OPTION_MODEL] = { "model", NULL, 'm', "MODEL", CHAT | EXEC | ACP, "Model that answers." },
	[OPTION_SANDBOX] = { "sandbox", NULL, 's', "MODE", CHAT | EXEC | SANDBOX | ACP,
			     "read-only, workspace-write or danger-full-access." },
	[OPTION_APPROVAL] = { "ask-for-approval", NULL, 'a', "POLICY", CHAT | ACP,
			      "untrusted, on-request or never." },
	[OPTION_FULL_AUTO] = { "full-auto", NULL, 0, NULL, CHAT | EXEC | SANDBOX | ACP,
			       "The same as --sandbox workspace-write (asking on request)." },
	[OPTION_BYPASS] = { "dangerously-bypass-approvals-and-sandbox", "yolo", 0, NULL,
			    CHAT | EXEC | ACP,
			    "No sandbox and no questions. Only inside another sandbox." },
	[OPTION_SEARCH] = { "search", NULL, 0, NULL, CHAT | EXEC | ACP,
			    "Let the model's server search live pages." },
	[OPTION_PROFILE] = { "profile", NULL, 'p', "NAME", CHAT | EXEC | SANDBOX | ACP,
			     "Use the settings of [profiles.NAME]." },
	[OPTION_CD] = { "cd", NULL, 'C', "DIR", CHAT | EXEC | SANDBOX, "Work in this folder." },
	[OPTION_ADD_DIR] = { "add-dir", NULL, 0, "DIR", CHAT | EXEC | SANDBOX | ACP,
			     "A further writable folder; may be repeated." },
	[OPTION_IMAGE] = { "image", NULL, 'i', "FILE", CHAT | EXEC,
			   "Send a picture with the prompt; may be repeated." },
	[OPTION_ENABLE] = { "enable", NULL, 0, "FEATURE", CHAT | EXEC | SANDBOX | ACP,
			    "Set features.FEATURE to true." },
	[OPTION_DISABLE] = { "disable", NULL, 0, "FEATURE", CHAT | EXEC | SANDBOX | ACP,
			     "Set features.FEATURE to false." },
	[OPTION_JSON] = { "json", "experimental-json", 0, NULL, EXEC | SESSIONS | DAEMON | DOCTOR,
			  "Print JSON." },
	[OPTION_COLOR] = { "color", NULL, 0, "WHEN", CHAT | EXEC | ATTACH | DEMO,
			   "auto, always or never." },
	[OPTION_LAST_MESSAGE] = { "output-last-message", NULL, 'o', "FILE", EXEC,
				  "Write the final answer to a file." },
	[OPTION_SCHEMA] = { "output-schema", NULL, 0, "FILE", EXEC,
			    "JSON Schema that the final answer must follow." },
	[OPTION_STDIN] = { "stdin", NULL, 0, NULL, EXEC,
			   "With a PROMPT: append what standard input holds." },
	[OPTION_SKIP_GIT] = { "skip-git-repo-check", NULL, 0, NULL, EXEC,
			      "Run outside a version-controlled folder." },
	[OPTION_EPHEMERAL] = { "ephemeral", NULL, 0, NULL, CHAT | EXEC, "Keep no transcript." },
	[OPTION_RECORD] = { "record", NULL, 0, "FILE", CHAT | EXEC,
			    "Write what the model answers to a file that 'replay' can play." },
	[OPTION_LAST] = { "last", NULL, 0, NULL, EXEC | ATTACH,
			  "The newest session of this folder." },
	[OPTION_ALL] = { "all", NULL, 0, NULL, EXEC | ATTACH, "Of any folder." },
	[OPTION_READ_ONLY] = { "read-only", NULL, 'r', NULL, ATTACH, "Look only." },
	[OPTION_LOG_DENIALS] = { "log-denials", NULL, 0, NULL, SANDBOX,
				 "Say at the end what the sandbox refused, and what allows it." },
	[OPTION_IGNORE_RULES] = { "ignore-rules", NULL, 0, NULL, EXEC,
				  "Accepted; there are no rules files yet." },
	[OPTION_IGNORE_USER_CONFIG] = { "ignore-user-config", NULL, 0, NULL, EXEC,
					"Leave out your own config.ini." },
	[OPTION_THREAD_SOURCE] = { "thread-source", NULL, 0, "TEXT", EXEC, "Accepted, unused." },
	[OPTION_ACCESS_PROGRAM] = { "cyber-access-program", NULL, 0, "TEXT", EXEC,
				    "Accepted, unused." },
};

static const char *const sandbox_words[] = { "linux", "landlock", NULL };

static const struct command commands[COMMAND_COUNT] = {
	[COMMAND_CHAT] = { NULL, NULL, "[OPTIONS] [PROMPT]",
			   "Starts a session with the agent in this folder.",
			   "While it works: Ctrl-C interrupts the turn. Ctrl-D leaves; the session "
			   "goes on\n"
			   "and 'agent attach' returns to it.\n",
			   NULL },
	[COMMAND_EXEC] = { "exec", "e",
			   "[OPTIONS] [PROMPT | -]\n       agent exec [OPTIONS] resume [ID | "
			   "--last] [PROMPT | -]",
			   "Runs one turn without asking anything and prints the answer.",
			   "The prompt comes from standard input when there is none, or when it is "
			   "'-'.\n"
			   "Exit status: 0 the turn was completed, 1 it failed, 2 wrong usage.\n",
			   NULL },
	[COMMAND_ATTACH] = { "attach", NULL, "[OPTIONS] [ID]",
			     "Joins a session: one that runs, or one from a transcript.",
			     "Without an ID: the newest session of this folder.\n", NULL },
	[COMMAND_SESSIONS] = { "sessions", "ls", "[OPTIONS]", "Lists sessions, newest first.", NULL,
			       NULL },
	[COMMAND_SANDBOX] = { "sandbox", "debug", "[linux] [OPTIONS] [--] COMMAND [ARGUMENT...]",
			      "Runs a command as the agent would: in the sandbox, with this "
			      "terminal.",
			      "Exit status: that of the command; 128 + n when signal n ended it, "
			      "127 when it was not\n"
			      "found, 126 when it cannot be executed, 125 when there is no sandbox "
			      "to run it in.\n"
			      "137 with a sentence on standard error: a protected path was changed "
			      "from "
			      "elsewhere\n"
			      "while it ran, which ended it.\n",
			      sandbox_words },
	[COMMAND_ACP] = { "acp", NULL, "[OPTIONS]",
			  "Speaks the Agent Client Protocol on standard input and output, for "
			  "editors.",
			  NULL, NULL },
	[COMMAND_DAEMON] = { "daemon", NULL, "[OPTIONS] start | stop | status",
			     "Starts or ends broker and daemon, or says what runs.", NULL, NULL },
	[COMMAND_DOCTOR] = { "doctor", NULL, "[OPTIONS]",
			     "Tries everything that a session needs and says what is missing.",
			     "Exit status: 0 all is well, 1 something needed is missing.\n", NULL },
	[COMMAND_DEMO] = { "demo", NULL, "[OPTIONS]",
			   "Shows a whole session from a recorded model: no account, no network.",
			   NULL, NULL },
	[COMMAND_AUDIT] = { "audit", NULL, "[OPTIONS] verify [FILE]",
			    "Says whether the broker's record of what it did is unbroken.",
			    "Without a FILE: your own, with the older ones (log/audit.jsonl in the "
			    "state folder).\n"
			    "Exit status: 0 it is, 1 it is not, or cannot be read.\n",
			    NULL },
};

const char *options_command_name(enum command_id command)
{
	static const char *const names[COMMAND_COUNT] = {
		[COMMAND_NONE] = "agent",
		[COMMAND_CHAT] = "agent",
		[COMMAND_EXEC] = "agent exec",
		[COMMAND_ATTACH] = "agent attach",
		[COMMAND_SESSIONS] = "agent sessions",
		[COMMAND_SANDBOX] = "agent sandbox",
		[COMMAND_ACP] = "agent acp",
		[COMMAND_DAEMON] = "agent daemon",
		[COMMAND_DOCTOR] = "agent doctor",
		[COMMAND_DEMO] = "agent demo",
		[COMMAND_AUDIT] = "agent audit",
	};

	return names[command];
}

/* What is left to read. */
struct args {
	const char *const *argv;
	size_t argc;
	size_t at;
};

static int refuse_option(const struct options *out, const char *text, enum option_id near,
			 struct err *err)
{
	if (near != OPTION_NONE)
		return ERR_SET(err, ERR_INVALID, "unknown option '%.100s', did you mean '--%s'?",
			       text, table[near].name);
	return ERR_SET(err, ERR_INVALID, "unknown option '%.100s'; see '%s --help'", text,
		       options_command_name(out->command));
}

static bool knows(enum command_id command, enum option_id id)
{
	return id != OPTION_NONE && (table[id].commands & BIT(command)) != 0;
}

static enum option_id nearest_option(enum command_id command, const char *name)
{
	const char *words[OPTION_COUNT];
	enum option_id ids[OPTION_COUNT];
	size_t count = 0;
	const char *best;

	for (unsigned id = 1; id < OPTION_COUNT; id++) {
		if (!knows(command, (enum option_id)id))
			continue;
		ids[count] = (enum option_id)id;
		words[count++] = table[id].name;
	}
	best = near_word(name, words, count);
	for (size_t i = 0; i < count; i++) {
		if (words[i] == best)
			return ids[i];
	}
	return OPTION_NONE;
}

static enum option_id find_long(const char *name, size_t len)
{
	for (unsigned id = 1; id < OPTION_COUNT; id++) {
		const struct option_row *option = &table[id];

		if ((strlen(option->name) == len && memcmp(option->name, name, len) == 0) ||
		    (option->alias && strlen(option->alias) == len &&
		     memcmp(option->alias, name, len) == 0))
			return (enum option_id)id;
	}
	return OPTION_NONE;
}

static enum option_id find_letter(enum command_id command, char letter)
{
	for (unsigned id = 1; id < OPTION_COUNT; id++) {
		if (table[id].letter == letter && knows(command, (enum option_id)id))
			return (enum option_id)id;
	}
	return OPTION_NONE;
}

static void add_use(struct options *out, enum option_id id, const char *value)
{
	out->uses[out->use_count++] = (struct option_use){ .id = id, .value = value };
}

static int next_value(struct args *args, const char *shown, const char **value, struct err *err)
{
	if (args->at == args->argc)
		return ERR_SET(err, ERR_INVALID, "option '%.100s' needs a value", shown);
	*value = args->argv[args->at++];
	return 0;
}

static int take_long(struct options *out, struct args *args, struct err *err)
{
	const char *text = args->argv[args->at++];
	const char *equals = strchr(text, '=');
	size_t len = equals ? (size_t)(equals - text - 2) : strlen(text) - 2;
	enum option_id id = find_long(text + 2, len);
	const char *value = NULL;

	if (!knows(out->command, id)) {
		char *name SCOPED(str_free) = str_dup_len(text + 2, len);

		return refuse_option(out, text,
				     name ? nearest_option(out->command, name) : OPTION_NONE, err);
	}
	if (equals && !table[id].value)
		return ERR_SET(err, ERR_INVALID, "option '--%s' takes no value", table[id].name);
	if (equals)
		value = equals + 1;
	else if (table[id].value && next_value(args, text, &value, err) < 0)
		return err->code;
	add_use(out, id, value);
	return 0;
}

/* -x, -xVALUE, -x VALUE, and several flags in one word. */
static int take_letters(struct options *out, struct args *args, struct err *err)
{
	const char *text = args->argv[args->at++];

	for (const char *p = text + 1; *p; p++) {
		enum option_id id = find_letter(out->command, *p);
		const char *value = NULL;

		if (id == OPTION_NONE)
			return refuse_option(out, text, OPTION_NONE, err);
		if (!table[id].value) {
			add_use(out, id, NULL);
			continue;
		}
		if (p[1])
			value = p[1] == '=' ? p + 2 : p + 1;
		else if (next_value(args, text, &value, err) < 0)
			return err->code;
		add_use(out, id, value);
		return 0;
	}
	return 0;
}

static enum command_id find_command(const char *word)
{
	for (unsigned id = COMMAND_CHAT + 1; id < COMMAND_COUNT; id++) {
		if (str_eq(commands[id].name, word) || str_eq(commands[id].alias, word))
			return (enum command_id)id;
	}
	return COMMAND_NONE;
}

/* The first word may name the command; options before it must suit that command too. */
static int enter_command(struct options *out, enum command_id command, struct err *err)
{
	out->command = command;
	for (size_t i = 0; i < out->use_count; i++) {
		if (!knows(command, out->uses[i].id))
			return ERR_SET(err, ERR_INVALID, "unknown option '--%s'; see '%s --help'",
				       table[out->uses[i].id].name, options_command_name(command));
	}
	return 0;
}

static void take_rest(struct options *out, struct args *args)
{
	while (args->at < args->argc)
		out->words[out->word_count++] = args->argv[args->at++];
}

static bool skipped(const struct options *out, const char *word)
{
	const char *const *skip = commands[out->command].skip;

	for (size_t i = 0; skip && skip[i]; i++) {
		if (str_eq(skip[i], word))
			return true;
	}
	return false;
}

static int take_word(struct options *out, struct args *args, bool *first, struct err *err)
{
	const char *word = args->argv[args->at];
	enum command_id command =
		*first && out->command == COMMAND_CHAT ? find_command(word) : COMMAND_NONE;

	if (*first && out->command == COMMAND_CHAT && str_eq(word, "help")) {
		args->at++;
		add_use(out, OPTION_HELP, NULL);
		return 0;
	}
	if (command != COMMAND_NONE) {
		args->at++;
		return enter_command(out, command, err);
	}
	if (commands[out->command].skip) {
		if (*first && skipped(out, word))
			args->at++;
		else
			take_rest(out, args); /* a command line: its options are its own */
	} else {
		out->words[out->word_count++] = word;
		args->at++;
	}
	*first = false;
	return 0;
}

static int parse_all(struct options *out, struct args *args, struct err *err)
{
	bool first = true;

	while (args->at < args->argc) {
		const char *text = args->argv[args->at];
		int rc = 0;

		if (str_eq(text, "--")) {
			args->at++;
			take_rest(out, args);
		} else if (str_starts(text, "--")) {
			rc = take_long(out, args, err);
		} else if (text[0] == '-' && text[1]) {
			rc = take_letters(out, args, err);
		} else {
			rc = take_word(out, args, &first, err);
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* A single word that is nearly a command was hardly meant as a prompt. */
static int refuse_misspelled(const struct options *out, const char *const *argv, size_t argc,
			     struct err *err)
{
	const char *words[COMMAND_COUNT];
	size_t count = 0;
	const char *nearest;

	if (out->command != COMMAND_CHAT || argc != 1 || out->word_count != 1)
		return 0;
	for (unsigned id = COMMAND_CHAT + 1; id < COMMAND_COUNT; id++)
		words[count++] = commands[id].name;
	nearest = near_word(argv[0], words, count);
	if (!nearest)
		return 0;
	return ERR_SET(
		err, ERR_INVALID,
		"unknown command '%.100s', did you mean '%s'? As a prompt: agent -- '%.100s'",
		argv[0], nearest, argv[0]);
}

int options_parse(struct options *out, const char *const *argv, size_t argc, struct err *err)
{
	struct args args = { .argv = argv, .argc = argc, .at = 0 };
	size_t letters = 2;

	*out = (struct options){ .command = COMMAND_CHAT };
	for (size_t i = 0; i < argc; i++)
		letters += strlen(argv[i]) + 1; /* more than options can be written with them */
	out->uses = calloc(letters, sizeof *out->uses);
	out->words = calloc(argc + 1, sizeof *out->words);
	if (!out->uses || !out->words)
		return ERR_NOMEM_SET(err);
	if (parse_all(out, &args, err) < 0)
		return err->code;
	return refuse_misspelled(out, argv, argc, err);
}

void options_deinit(struct options *options)
{
	free(options->uses);
	free(options->words);
	*options = (struct options){ 0 };
}

bool options_has(const struct options *options, enum option_id id)
{
	for (size_t i = 0; i < options->use_count; i++) {
		if (options->uses[i].id == id)
			return true;
	}
	return false;
}

const char *options_value(const struct options *options, enum option_id id)
{
	const char *value = NULL;

	for (size_t i = 0; i < options->use_count; i++) {
		if (options->uses[i].id == id)
			value = options->uses[i].value;
	}
	return value;
}

static int help_option(struct buf *out, const struct option_row *row, struct err *err)
{
	char left[128];
	char letter[8] = "    ";

	if (row->letter)
		(void)snprintf(letter, sizeof letter, "-%c, ", row->letter);
	(void)snprintf(left, sizeof left, "  %s--%s%s%s", letter, row->name, row->value ? " " : "",
		       row->value ? row->value : "");
	if (strlen(left) >= HELP_COLUMN)
		return buf_printf(out, err, "%s\n%*s%s\n", left, HELP_COLUMN, "", row->doc);
	return buf_printf(out, err, "%-*s%s\n", HELP_COLUMN, left, row->doc);
}

static int help_commands(struct buf *out, struct err *err)
{
	if (buf_puts(out, "\nCommands:\n", err) < 0)
		return err->code;
	for (unsigned id = COMMAND_CHAT + 1; id < COMMAND_COUNT; id++) {
		if (buf_printf(out, err, "  %-10s%s\n", commands[id].name, commands[id].doc) < 0)
			return err->code;
	}
	return 0;
}

int options_help(struct buf *out, enum command_id command, struct err *err)
{
	const struct command *row = &commands[command];

	if (buf_printf(out, err, "%s\n\nUsage: %s %s\n", row->doc, options_command_name(command),
		       row->usage) < 0)
		return err->code;
	if (command == COMMAND_CHAT && help_commands(out, err) < 0)
		return err->code;
	if (buf_puts(out, "\nOptions:\n", err) < 0)
		return err->code;
	for (unsigned id = 1; id < OPTION_COUNT; id++) {
		if (knows(command, (enum option_id)id) && help_option(out, &table[id], err) < 0)
			return err->code;
	}
	return row->more ? buf_printf(out, err, "\n%s", row->more) : 0;
}
