/*
 * exec.h - the pure half of exec_command and write_stdin: what the arguments mean, what would be
 * started, and how its output reads.
 *
 * Decoded arguments borrow from the JSON they came from. Texts are exactly what the model gets.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"

struct buf;
struct err;

#define EXEC_CMD_MAX 131071         /* bytes of cmd; the kernel takes no longer argument */
#define EXEC_JUSTIFICATION_MAX 4096 /* bytes; a longer one is refused */
#define EXEC_PREFIX_MAX 64          /* entries of prefix_rule */
#define EXEC_CHARS_MAX 65536        /* bytes that one write_stdin may send */
#define EXEC_YIELD_DEFAULT_MS 10000
#define EXEC_YIELD_MIN_MS 250
#define EXEC_YIELD_MAX_MS 30000
#define EXEC_WRITE_YIELD_DEFAULT_MS 250
#define EXEC_POLL_MIN_MS 5000
#define EXEC_POLL_MAX_MS 300000 /* default of background_terminal_max_timeout */
#define EXEC_TOKENS_MAX 10000   /* default, and most, of max_output_tokens */
#define EXEC_ENV_COUNT 2        /* entries of struct exec_command.env */
#define EXEC_ENV_ENTRY_MAX 256  /* bytes of an entry made here */

struct exec_settings {
	bool login_shell;    /* allow_login_shell */
	int64_t poll_max_ms; /* background_terminal_max_timeout; 0: EXEC_POLL_MAX_MS */
	int64_t tokens_max;  /* tool_output_token_limit; 0: EXEC_TOKENS_MAX */
};

struct exec_args {
	const char *cmd;
	const char *workdir; /* NULL: the session's folder */
	const char *shell;   /* NULL: the person's shell */
	bool login;
	bool tty;
	int64_t yield_ms;          /* clamped */
	int64_t tokens_max;        /* clamped */
	bool escalated;            /* sandbox_permissions "require_escalated" */
	const char *justification; /* NULL, or the question to the person */
	const json_t *prefix_rule; /* NULL, or an array of strings; a suggestion, unused so far */
};

struct stdin_args {
	int64_t session_id;
	const char *chars; /* chars_len bytes; none: a poll */
	size_t chars_len;
	int64_t yield_ms;
	int64_t tokens_max;
};

/* ERR_INVALID: the arguments do not fit the schema. ERR_DENIED, ERR_LIMIT: the sentence is the
 * refusal. */
int exec_args_decode(struct exec_args *out, const json_t *arguments,
		     const struct exec_settings *settings, struct err *err) MUST_CHECK;
int stdin_args_decode(struct stdin_args *out, const json_t *arguments,
		      const struct exec_settings *settings, struct err *err) MUST_CHECK;

/*
 * What the broker is asked to start: for child/start and, word for word, for grant/request. Holds
 * nothing that differs from call to call, so that a session grant matches the next one.
 */
struct exec_command {
	const char *argv[3]; /* shell, -lc or -c, cmd (borrowed from the arguments) */
	size_t argc;
	char *cwd;                       /* absolute; may not exist */
	const char *env[EXEC_ENV_COUNT]; /* NAME=value sets, NAME= removes */
	size_t envc;
	char *owned_env[EXEC_ENV_COUNT];
};

/* cwd: the session's folder; shell: the person's, absolute, or NULL (then /bin/sh). Borrowed from
 * args and shell. */
int exec_command_init(struct exec_command *out, const struct exec_args *args, const char *cwd,
		      const char *shell, const char *thread_id, struct err *err) MUST_CHECK;
void exec_command_deinit(struct exec_command *command);

/* One answer to the model. */
struct exec_result {
	const char *chunk_id; /* six hex digits */
	uint64_t wall_us;
	bool running; /* then session_id counts, otherwise exit_code */
	int64_t session_id;
	int exit_code;        /* 128 + signal when killed */
	uint64_t total_bytes; /* printed, also what the capture has dropped */
	uint64_t total_lines;
	const char *output; /* UTF-8, what the capture has kept */
	size_t output_len;
};

int exec_result_text(struct buf *out, const struct exec_result *result, int64_t tokens_max,
		     struct err *err) MUST_CHECK;

/* The output of `result` alone, cut in the middle to tokens_max. */
int exec_output_text(struct buf *out, const struct exec_result *result, int64_t tokens_max,
		     struct err *err) MUST_CHECK;

/* exec_command failed: ...Rejected("reason") - refused by policy, or by the person. */
int exec_rejected_text(struct buf *out, const char *reason, struct err *err) MUST_CHECK;
/* exec_command failed: reason - could not be started. */
int exec_failed_text(struct buf *out, const char *reason, struct err *err) MUST_CHECK;

uint64_t exec_tokens(uint64_t bytes); /* the estimate: four bytes a token, rounded up */
