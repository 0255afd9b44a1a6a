#include "agentd/tool/tool.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/tool/patch_intercept.h"
#include "agentd/tool/tool_text.h"

#define WORKDIR_MAX 8192U /* bytes of a working directory put together from two */
#define ABORTED "aborted"

static int decode_exec(struct tool_call *call, const struct tool_settings *settings,
		       struct err *err);
static int decode_stdin(struct tool_call *call, const struct tool_settings *settings,
			struct err *err);
static int decode_patch(struct tool_call *call, const struct tool_settings *settings,
			struct err *err);
static int decode_plan(struct tool_call *call, const struct tool_settings *settings,
		       struct err *err);

/* The table of tools. */
static const struct entry {
	const char *name;
	const char *text; /* the function's description for the request */
	int (*decode)(struct tool_call *call, const struct tool_settings *settings,
		      struct err *err);
	bool takes_text; /* may come as a custom call with free text */
} tools[TOOL_COUNT] = {
	[TOOL_EXEC_COMMAND] = { "exec_command", tool_text_exec_command, decode_exec, false },
	[TOOL_WRITE_STDIN] = { "write_stdin", tool_text_write_stdin, decode_stdin, false },
	[TOOL_APPLY_PATCH] = { "apply_patch", tool_text_apply_patch, decode_patch, true },
	[TOOL_UPDATE_PLAN] = { "update_plan", tool_text_update_plan, decode_plan, false },
};

static enum tool find(const char *name)
{
	for (int i = TOOL_NONE + 1; i < TOOL_COUNT; i++) {
		if (str_eq(tools[i].name, name))
			return (enum tool)i;
	}
	return TOOL_NONE;
}

static json_t *describe_custom_patch(void)
{
	return json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:s}}", "type", "custom", "name",
			 "apply_patch", "description", tool_text_patch_custom, "format", "type",
			 "grammar", "syntax", "lark", "definition", tool_text_patch_grammar);
}

int tool_describe(json_t **out, const struct tool_settings *settings, struct err *err)
{
	json_auto_t *list = json_array();

	if (!list)
		return ERR_NOMEM_SET(err);
	for (int i = TOOL_NONE + 1; i < TOOL_COUNT; i++) {
		bool custom = settings->custom_tools && tools[i].takes_text;
		json_t *one = custom ? describe_custom_patch() : json_loads(tools[i].text, 0, NULL);

		if (json_array_append_new(list, one) < 0)
			return ERR_NOMEM_SET(err);
	}
	*out = json_incref(list);
	return 0;
}

static const char *text_of(const json_t *item, const char *key)
{
	return json_string_value(json_object_get(item, key));
}

bool tool_call_is(const json_t *item)
{
	const char *type = text_of(item, "type");

	return type && (str_eq(type, "function_call") || str_eq(type, "custom_tool_call"));
}

int tool_call_init(struct tool_call *out, const json_t *item, struct err *err)
{
	const char *id = text_of(item, "call_id");
	const char *name = text_of(item, "name");

	if (!tool_call_is(item))
		return ERR_SET(err, ERR_INVALID, "not a tool call");
	if (!id || !name)
		return ERR_SET(err, ERR_INVALID, "a tool call without %s", id ? "name" : "call_id");
	*out = (struct tool_call){ .tool = find(name),
				   .custom = str_eq(text_of(item, "type"), "custom_tool_call"),
				   .id = id,
				   .name = name,
				   .item = item };
	return 0;
}

void tool_call_deinit(struct tool_call *call)
{
	json_decref(call->arguments);
	patch_deinit(&call->patch);
	free(call->owned_text);
	*call = (struct tool_call){ 0 };
}

/* What the model reads when its arguments do not fit. Refusals have their own sentence. */
static int arguments_error(int rc, struct err *err)
{
	if (rc != ERR_INVALID)
		return rc;
	return ERR_WRAP(err, "failed to parse function arguments");
}

static int load_arguments(struct tool_call *call, struct err *err)
{
	const char *text = text_of(call->item, "arguments");
	json_error_t where = { 0 };

	if (!text)
		return ERR_SET(err, ERR_INVALID, "missing arguments");
	call->arguments = json_loads(text, JSON_ALLOW_NUL, &where);
	if (!call->arguments)
		return ERR_SET(err, ERR_INVALID, "%s at line %d column %d", where.text, where.line,
			       where.column);
	return 0;
}

int tool_call_decode(struct tool_call *call, const struct tool_settings *settings, struct err *err)
{
	const struct entry *entry = &tools[call->tool];
	int rc = 0;

	if (call->tool == TOOL_NONE || (call->custom && !entry->takes_text))
		return ERR_SET(err, ERR_NOTFOUND, "unsupported call: %.200s", call->name);
	if (!call->custom)
		rc = load_arguments(call, err);
	if (rc < 0)
		return arguments_error(rc, err);
	return entry->decode(call, settings, err);
}

/* ---- one function per tool */

static int read_patch(struct tool_call *call, struct err *err)
{
	if (patch_parse(&call->patch, call->patch_text, call->patch_text_len, err) < 0)
		return ERR_WRAP(err, "apply_patch verification failed");
	return 0;
}

/* The folder of an intercepted "cd FOLDER &&", starting from the call's own workdir. */
static int set_workdir(struct tool_call *call, const struct patch_script *script, struct err *err)
{
	struct buf path SCOPED(buf_deinit) = BUF_INIT(WORKDIR_MAX);
	int rc = 0;

	call->workdir = call->exec.workdir;
	if (!script->folder)
		return 0;
	if (call->exec.workdir && script->folder[0] != '/')
		rc = buf_printf(&path, err, "%s/", call->exec.workdir);
	if (rc == 0)
		rc = buf_append(&path, script->folder, script->folder_len, err);
	if (rc < 0)
		return rc;
	call->owned_text = buf_take(&path);
	if (!call->owned_text)
		return ERR_NOMEM_SET(err);
	call->workdir = call->owned_text;
	return 0;
}

static int decode_exec(struct tool_call *call, const struct tool_settings *settings,
		       struct err *err)
{
	struct patch_script script = { 0 };
	int rc = exec_args_decode(&call->exec, call->arguments, &settings->exec, err);

	if (rc == ERR_DENIED)
		return ERR_WRAP(err, "exec_command failed");
	if (rc < 0)
		return arguments_error(rc, err);
	if (!patch_intercept(&script, call->exec.cmd))
		return 0;
	call->tool = TOOL_APPLY_PATCH;
	call->patch_text = script.patch;
	call->patch_text_len = script.patch_len;
	rc = set_workdir(call, &script, err);
	return rc < 0 ? rc : read_patch(call, err);
}

static int decode_stdin(struct tool_call *call, const struct tool_settings *settings,
			struct err *err)
{
	return arguments_error(
		stdin_args_decode(&call->input, call->arguments, &settings->exec, err), err);
}

static int decode_patch(struct tool_call *call, const struct tool_settings *settings,
			struct err *err)
{
	const json_t *input = call->custom ? json_object_get(call->item, "input")
					   : json_object_get(call->arguments, "input");

	(void)settings; /* nothing of a patch can be set */
	if (!json_is_string(input)) {
		(void)ERR_SET(err, ERR_INVALID, "missing field `input`");
		return arguments_error(ERR_INVALID, err);
	}
	call->patch_text = json_string_value(input);
	call->patch_text_len = json_string_length(input);
	return read_patch(call, err);
}

static int decode_plan(struct tool_call *call, const struct tool_settings *settings,
		       struct err *err)
{
	(void)settings;
	return arguments_error(plan_decode(&call->plan, call->arguments, err), err);
}

/* ---- outputs */

static int make_output(json_t **out, const char *id, bool custom, json_t *text, struct err *err)
{
	json_t *item = NULL;

	if (text)
		item = json_pack("{s:s, s:s, s:o}", "type",
				 custom ? "custom_tool_call_output" : "function_call_output",
				 "call_id", id, "output", text);
	if (!item)
		return ERR_NOMEM_SET(err);
	*out = item;
	return 0;
}

int tool_output(json_t **out, const struct tool_call *call, const char *text, size_t len,
		struct err *err)
{
	if (!str_is_utf8(text, len))
		return ERR_SET(err, ERR_INVALID, "the output of '%s' is not UTF-8", call->name);
	return make_output(out, call->id, call->custom, json_stringn(text, len), err);
}

int tool_output_aborted(json_t **out, const json_t *item, struct err *err)
{
	const char *id = text_of(item, "call_id");

	if (!tool_call_is(item) || !id)
		return ERR_SET(err, ERR_INVALID, "not a tool call");
	return make_output(out, id, str_eq(text_of(item, "type"), "custom_tool_call"),
			   json_string(ABORTED), err);
}
