/*
 * tool.h - the tools that a model may call: how they are offered, and what a call says.
 *
 * A call item of the model becomes a struct tool_call with decoded arguments; whatever is wrong
 * with it becomes the output that the model reads. Runs nothing. A shell command that is nothing
 * but an apply_patch with a here-document comes out as TOOL_APPLY_PATCH.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"

#include "agentd/tool/exec.h"
#include "agentd/tool/patch_parse.h"
#include "agentd/tool/plan.h"

struct err;

enum tool {
	TOOL_NONE,
	TOOL_EXEC_COMMAND,
	TOOL_WRITE_STDIN,
	TOOL_APPLY_PATCH,
	TOOL_UPDATE_PLAN,
	TOOL_COUNT
};

struct tool_settings {
	bool custom_tools; /* the model takes free-form tools: apply_patch comes with its grammar */
	struct exec_settings exec;
};

/* The array for the request's "tools". */
int tool_describe(json_t **out, const struct tool_settings *settings, struct err *err) MUST_CHECK;

/* One call. Zeroed or tool_call_init()ed; owns its arguments, borrows from the item. */
struct tool_call {
	enum tool tool;
	bool custom;      /* a custom_tool_call: its output item is of another type */
	const char *id;   /* call_id */
	const char *name; /* as the model spelled it */
	const json_t *item;
	json_t *arguments; /* owned; NULL for custom calls */
	/* By tool: */
	struct exec_args exec;
	struct stdin_args input;
	struct plan plan;
	struct patch patch;     /* owned */
	const char *patch_text; /* patch_text_len bytes, to be given to the applet */
	size_t patch_text_len;
	const char *workdir; /* NULL, or where an intercepted patch applies: relative to the cwd */
	char *owned_text;
};

/* Whether the item is a call that wants an output; ERR_INVALID for call items without id or name.
 */
bool tool_call_is(const json_t *item);
int tool_call_init(struct tool_call *out, const json_t *item, struct err *err) MUST_CHECK;

/* Fills the part of its tool. On failure err's sentence is the output for the model. */
int tool_call_decode(struct tool_call *call, const struct tool_settings *settings, struct err *err)
	MUST_CHECK;
void tool_call_deinit(struct tool_call *call);

/* The output item of a call; text must be UTF-8. */
int tool_output(json_t **out, const struct tool_call *call, const char *text, size_t len,
		struct err *err) MUST_CHECK;

/* An output for a call item that was never run ("aborted"). */
int tool_output_aborted(json_t **out, const json_t *item, struct err *err) MUST_CHECK;
