/*
 * call_show.h - tool calls as clients are shown them, in the words of ACP.
 *
 * Pure. Each function makes one `update` object of a session/update; NULL when out of memory.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire/agent_gen.h"

struct approval;
struct err;
struct tool_call;

#define CALL_SHOW_DIFF_MAX                                                                         \
	131072U                  /* bytes of text of all files of an edit; more are only named     \
				  */
#define CALL_SHOW_TITLE_MAX 4096 /* bytes of a title; the whole command is in the input */

/* The beginning. cwd: where it works. */
json_t *call_show_begin(const struct tool_call *call, const char *cwd);
json_t *call_show_running(const struct tool_call *call);

/* The end of a command that has run; exit_code counts unless it goes on running. */
struct call_show_exec {
	const char *output;
	size_t output_len;
	bool running;
	int64_t session_id;
	int exit_code;
	int64_t duration_ms;
	json_t *denied; /* see denied.h; NULL: nothing */
};
json_t *call_show_exec(const struct tool_call *call, const struct call_show_exec *what);

/* The end of an edit. */
struct call_show_patch {
	bool applied;
	const json_t *changes; /* as the applet reports them, or NULL */
	const char *text;
	size_t text_len;
	json_t *denied; /* see denied.h; NULL: nothing */
};
json_t *call_show_patch(const struct tool_call *call, const char *cwd,
			const struct call_show_patch *what);

/* An end without a result: status is "declined", "failed" or "aborted". */
json_t *call_show_none(const struct tool_call *call, const char *status, const char *text,
		       size_t text_len);

json_t *call_show_plan(const struct tool_call *call);

/* Parameters of session/request_permission. grant: NULL when it stays inside the ceiling. */
json_t *call_show_question(const struct tool_call *call, const char *session_id, const char *cwd,
			   int64_t key, const char *grant, struct err *err);
