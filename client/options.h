/*
 * options.h - the command line: which commands and options exist, what they mean, and one parser
 * for all.
 *
 * One table of options and one of commands drive parsing, the help pages and the hints for
 * misspelled words. Pure: nothing here acts, prints or exits. Everything in struct options borrows
 * from argv.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"

struct buf;
struct err;

enum command_id {
	COMMAND_NONE,
	COMMAND_CHAT, /* no word: a session at the terminal */
	COMMAND_EXEC,
	COMMAND_ATTACH,
	COMMAND_SESSIONS,
	COMMAND_SANDBOX,
	COMMAND_ACP,
	COMMAND_DAEMON,
	COMMAND_DOCTOR,
	COMMAND_DEMO,
	COMMAND_AUDIT,
	COMMAND_COUNT
};

enum option_id {
	OPTION_NONE,
	OPTION_HELP,
	OPTION_VERSION,
	OPTION_CONFIG,
	OPTION_MODEL,
	OPTION_SANDBOX,
	OPTION_APPROVAL,
	OPTION_FULL_AUTO,
	OPTION_BYPASS,
	OPTION_SEARCH,
	OPTION_PROFILE,
	OPTION_CD,
	OPTION_ADD_DIR,
	OPTION_IMAGE,
	OPTION_ENABLE,
	OPTION_DISABLE,
	OPTION_JSON,
	OPTION_COLOR,
	OPTION_LAST_MESSAGE,
	OPTION_SCHEMA,
	OPTION_STDIN,
	OPTION_SKIP_GIT,
	OPTION_EPHEMERAL,
	OPTION_RECORD,
	OPTION_LAST,
	OPTION_ALL,
	OPTION_READ_ONLY,
	OPTION_LOG_DENIALS,
	OPTION_IGNORE_RULES,
	OPTION_IGNORE_USER_CONFIG,
	OPTION_THREAD_SOURCE,
	OPTION_ACCESS_PROGRAM,
	OPTION_COUNT
};

struct option_use {
	enum option_id id;
	const char *value; /* NULL for a flag */
};

struct options {
	enum command_id command;
	struct option_use *uses; /* in the order given */
	size_t use_count;
	const char **words; /* what is no option; NULL-terminated */
	size_t word_count;
};

/* On failure the sentence names the word and the nearest valid one, and out->command the command in
 * question. */
int options_parse(struct options *out, const char *const *argv, size_t argc, struct err *err)
	MUST_CHECK;
void options_deinit(struct options *options);

bool options_has(const struct options *options, enum option_id id);
const char *options_value(const struct options *options,
			  enum option_id id); /* the last one, or NULL */

/* The page of a command, as --help shows it. */
int options_help(struct buf *out, enum command_id command, struct err *err) MUST_CHECK;

const char *options_command_name(enum command_id command); /* "agent exec" */
