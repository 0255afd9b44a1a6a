#include "agentd/session/call_show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/policy/action.h"
#include "agentd/tool/tool.h"

#define KEY_SIZE 24

static const char *kind_of(const struct tool_call *call)
{
	switch (call->tool) {
	case TOOL_EXEC_COMMAND:
	case TOOL_WRITE_STDIN:
		return "execute";
	case TOOL_APPLY_PATCH:
		return "edit";
	case TOOL_UPDATE_PLAN:
		return "think";
	case TOOL_NONE:
	case TOOL_COUNT:
		return "other";
	}
	return "other";
}

/* Absolute, or as spelled where that cannot be. */
static json_t *path_of(const char *cwd, const char *path)
{
	char absolute[ACTION_PATH_MAX];
	struct err ignored; /* the applet refuses such a path with its own words */

	return json_string(action_path(absolute, cwd, path, &ignored) < 0 ? path : absolute);
}

static json_t *patch_places(const struct tool_call *call, const char *cwd)
{
	json_t *places = json_array();

	for (size_t i = 0; places && i < call->patch.op_count && i < AGENT_LIST_MAX; i++) {
		const struct patch_op *op = &call->patch.ops[i];
		const char *path = op->move_to ? op->move_to : op->path;

		(void)json_array_append_new(places, json_pack("{s:o}", "path", path_of(cwd, path)));
	}
	return places;
}

static void patch_title(struct buf *out, const struct tool_call *call)
{
	struct err full; /* a longer list of names is cut */

	if (buf_puts(out, "Edit", &full) < 0)
		return;
	for (size_t i = 0; i < call->patch.op_count; i++) {
		if (buf_printf(out, &full, "%s %s", i > 0 ? "," : "", call->patch.ops[i].path) < 0)
			return;
	}
}

/* Cut behind a whole character. */
static json_t *command_title(const char *command)
{
	size_t len = strlen(command);

	if (len <= CALL_SHOW_TITLE_MAX)
		return json_string(command);
	len = CALL_SHOW_TITLE_MAX;
	while (len > 0 && ((unsigned char)command[len] & 0xc0) == 0x80)
		len--;
	return json_sprintf("%.*s...", (int)len, command);
}

static json_t *title_of(const struct tool_call *call)
{
	struct buf title SCOPED(buf_deinit) = BUF_INIT(CALL_SHOW_TITLE_MAX);
	struct err full;

	switch (call->tool) {
	case TOOL_EXEC_COMMAND:
		return command_title(call->exec.cmd ? call->exec.cmd : call->name);
	case TOOL_WRITE_STDIN:
		if (buf_printf(&title, &full, "%s session %" PRId64,
			       call->input.chars_len > 0 ? "Write to" : "Wait for",
			       call->input.session_id) < 0)
			return NULL;
		break;
	case TOOL_APPLY_PATCH:
		patch_title(&title, call);
		break;
	case TOOL_UPDATE_PLAN:
		return json_string("Update the plan");
	case TOOL_NONE:
	case TOOL_COUNT:
		return json_string(call->name);
	}
	return json_string(buf_str(&title));
}

static json_t *input_of(const struct tool_call *call, const char *cwd)
{
	switch (call->tool) {
	case TOOL_EXEC_COMMAND:
		return json_pack("{s:s, s:s, s:b, s:s*}", "command",
				 call->exec.cmd ? call->exec.cmd : "", "cwd", cwd, "escalated",
				 call->exec.escalated, "justification", call->exec.justification);
	case TOOL_WRITE_STDIN:
		return json_pack("{s:I, s:s%}", "session_id", (json_int_t)call->input.session_id,
				 "chars", call->input.chars ? call->input.chars : "",
				 call->input.chars ? call->input.chars_len : 0);
	case TOOL_APPLY_PATCH:
		if (call->patch_text && call->patch_text_len <= CALL_SHOW_DIFF_MAX)
			return json_pack("{s:s%, s:s}", "patch", call->patch_text,
					 call->patch_text_len, "cwd", cwd);
		return json_pack("{s:s}", "cwd", cwd);
	case TOOL_UPDATE_PLAN:
	case TOOL_NONE:
	case TOOL_COUNT:
		break;
	}
	return call->arguments ? json_incref(call->arguments) : json_object();
}

json_t *call_show_begin(const struct tool_call *call, const char *cwd)
{
	return json_pack("{s:s, s:s, s:o, s:s, s:s, s:s, s:o, s:o*}", "sessionUpdate", "tool_call",
			 "toolCallId", call->id, "title", title_of(call), "name", call->name,
			 "kind", kind_of(call), "status", "pending", "rawInput",
			 input_of(call, cwd), "locations",
			 call->tool == TOOL_APPLY_PATCH ? patch_places(call, cwd) : NULL);
}

json_t *call_show_running(const struct tool_call *call)
{
	return json_pack("{s:s, s:s, s:s}", "sessionUpdate", "tool_call_update", "toolCallId",
			 call->id, "status", "in_progress");
}

/* {type: content, content: {type: text, text}}; text that is not UTF-8 is left out. */
static json_t *text_content(const char *text, size_t len)
{
	json_t *string = json_stringn(text ? text : "", text ? len : 0);

	return json_pack("{s:s, s:{s:s, s:o}}", "type", "content", "content", "type", "text",
			 "text", string ? string : json_string(""));
}

static json_t *end(const struct tool_call *call, bool good, json_t *content, json_t *output)
{
	return json_pack("{s:s, s:s, s:s, s:o, s:o}", "sessionUpdate", "tool_call_update",
			 "toolCallId", call->id, "status", good ? "completed" : "failed", "content",
			 content, "rawOutput", output);
}

/* What the sandbox refused goes along, if it did. */
static json_t *with_denied(json_t *update, json_t *denied)
{
	json_auto_t *owned = update;

	if (denied &&
	    json_object_set_new(update, "_meta", json_pack("{s:O}", "agentd", denied)) < 0)
		return NULL;
	return TAKE(owned);
}

json_t *call_show_exec(const struct tool_call *call, const struct call_show_exec *what)
{
	bool good = what->running || what->exit_code == 0;
	json_t *content = json_pack("[o]", text_content(what->output, what->output_len));
	json_t *text =
		json_stringn(what->output ? what->output : "", what->output ? what->output_len : 0);
	json_t *output = json_pack("{s:o, s:o, s:I, s:s}", "exit_code",
				   what->running ? json_null() : json_integer(what->exit_code),
				   "aggregated_output", text ? text : json_string(""),
				   "duration_ms", (json_int_t)what->duration_ms, "status",
				   what->running ? "in_progress"
				   : good        ? "completed"
						 : "failed");

	if (what->running && output)
		(void)json_object_set_new(output, "session_id",
					  json_integer((json_int_t)what->session_id));
	return with_denied(end(call, good, content, output), what->denied);
}

/* One file's diff for clients; NULL when its text is missing or there has been too much. */
static json_t *diff_content(const json_t *change, const char *cwd, size_t *left)
{
	const char *path = json_string_value(json_object_get(change, "move_path"));
	json_t *before = json_object_get(change, "old_text");
	json_t *after = json_object_get(change, "new_text");
	size_t size = json_string_length(before) + json_string_length(after);

	if (!path)
		path = json_string_value(json_object_get(change, "path"));
	if (!path || (!json_is_string(before) && !json_is_string(after)) || size > *left)
		return NULL;
	*left -= size;
	return json_pack("{s:s, s:o, s:O*, s:o}", "type", "diff", "path", path_of(cwd, path),
			 "oldText", json_is_string(before) ? before : NULL, "newText",
			 json_is_string(after) ? json_incref(after) : json_string(""));
}

static json_t *change_of(const json_t *change)
{
	return json_pack("{s:O?, s:O?, s:O*}", "path", json_object_get(change, "path"), "kind",
			 json_object_get(change, "kind"), "move_path",
			 json_object_get(change, "move_path"));
}

json_t *call_show_patch(const struct tool_call *call, const char *cwd,
			const struct call_show_patch *what)
{
	const json_t *changes = what->changes;
	json_t *content = json_array();
	json_t *list = json_array();
	size_t left = CALL_SHOW_DIFF_MAX;

	for (size_t i = 0; content && list && i < json_array_size(changes) && i < AGENT_LIST_MAX;
	     i++) {
		const json_t *change = json_array_get(changes, i);
		json_t *diff = diff_content(change, cwd, &left);

		(void)json_array_append_new(list, change_of(change));
		if (diff)
			(void)json_array_append_new(content, diff);
	}
	if (content && json_array_size(content) == 0)
		(void)json_array_append_new(content, text_content(what->text, what->text_len));
	return with_denied(end(call, what->applied, content,
			       json_pack("{s:o, s:s}", "changes", list, "status",
					 what->applied ? "completed" : "failed")),
			   what->denied);
}

json_t *call_show_none(const struct tool_call *call, const char *status, const char *text,
		       size_t text_len)
{
	json_t *message = json_stringn(text, text_len);

	return end(call, false, json_pack("[o]", text_content(text, text_len)),
		   json_pack("{s:s, s:o}", "status", status, "message",
			     message ? message : json_string("")));
}

json_t *call_show_plan(const struct tool_call *call)
{
	json_t *entries = json_array();

	for (size_t i = 0; entries && i < call->plan.count; i++) {
		const struct plan_step *step = &call->plan.steps[i];

		(void)json_array_append_new(
			entries, json_pack("{s:s, s:s, s:s}", "content", step->step, "priority",
					   "medium", "status", plan_status_name(step->status)));
	}
	return json_pack("{s:s, s:o}", "sessionUpdate", "plan", "entries", entries);
}

json_t *call_show_question(const struct tool_call *call, const char *session_id, const char *cwd,
			   int64_t key, const char *grant, struct err *err)
{
	static const struct agent_permission_option options[] = {
		{ "allow_once", "Yes, run it", AGENT_OPTION_KIND_ALLOW_ONCE },
		{ "allow_always",
		  "Yes, and do not ask again for this exact command in this session",
		  AGENT_OPTION_KIND_ALLOW_ALWAYS },
		{ "reject_once", "No, and tell it what to do differently",
		  AGENT_OPTION_KIND_REJECT_ONCE },
	};
	char text[KEY_SIZE];
	const struct agent_permission_meta about = { .request_key = text, .grant = grant };
	const struct agent_meta_permission meta = { .agentd = &about };
	json_auto_t *title = title_of(call);
	json_auto_t *input = input_of(call, cwd);
	const struct agent_tool_call shown = {
		.tool_call_id = call->id,
		.title = json_string_value(title),
		.name = call->name,
		.kind = (enum agent_tool_kind)names_find(&agent_tool_kind_names, kind_of(call)),
		.status = AGENT_TOOL_STATUS_PENDING,
		.raw_input = input,
	};
	const struct agent_session_request_permission params = { .session_id = session_id,
								 .tool_call = &shown,
								 .options = options,
								 .options_count =
									 ARRAY_LEN(options),
								 .meta = &meta };

	(void)snprintf(text, sizeof(text), "%" PRId64, key);
	return codec_encode(&agent_session_request_permission_type, &params, err);
}
