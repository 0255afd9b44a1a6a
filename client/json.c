#include "client/json.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/json.h"

void json_stream_init(struct json_stream *stream)
{
	*stream = (struct json_stream){ .message = BUF_INIT(JSON_MESSAGE_MAX) };
}

static void tool_clear(struct json_tool *tool)
{
	free(tool->id);
	json_decref(tool->item);
	*tool = (struct json_tool){ 0 };
}

void json_stream_deinit(struct json_stream *stream)
{
	for (size_t i = 0; i < JSON_TOOLS_MAX; i++)
		tool_clear(&stream->tools[i]);
	buf_deinit(&stream->message);
	free(stream->message_id);
	free(stream->final_message);
	json_decref(stream->plan);
	*stream = (struct json_stream){ 0 };
}

/* Consumes the event, NULL meaning out of memory. */
static int put_event(struct buf *out, json_t *event, struct err *err)
{
	json_auto_t *owned = event;

	if (!owned)
		return ERR_NOMEM_SET(err);
	if (wire_json_dump(out, owned, err) < 0)
		return (int)err->code;
	return buf_putc(out, '\n', err);
}

/* item is shared. */
static int put_item(struct buf *out, const char *type, json_t *item, struct err *err)
{
	return put_event(out, json_pack("{s:s, s:O}", "type", type, "item", item), err);
}

int json_thread_started(struct buf *out, const char *thread_id, struct err *err)
{
	return put_event(out,
			 json_pack("{s:s, s:s}", "type", "thread.started", "thread_id", thread_id),
			 err);
}

int json_turn_started(struct buf *out, struct err *err)
{
	return put_event(out, json_pack("{s:s}", "type", "turn.started"), err);
}

int json_error(struct buf *out, const char *message, struct err *err)
{
	return put_event(out, json_pack("{s:s, s:s}", "type", "error", "message", message), err);
}

/* A new item {id, type}; the caller's. */
static json_t *new_item(size_t number, const char *type, struct err *err)
{
	json_t *item =
		json_pack("{s:o, s:s}", "id", json_sprintf("item_%zu", number), "type", type);

	if (!item)
		ERR_NOMEM_SET(err);
	return item;
}

static int set_item(json_t *item, const char *name, json_t *value, struct err *err)
{
	return json_object_set_new(item, name, value) < 0 ? ERR_NOMEM_SET(err) : 0;
}

int json_warning(struct json_stream *stream, const char *message, struct buf *out, struct err *err)
{
	json_auto_t *item = new_item(stream->next++, "error", err);

	if (!item || set_item(item, "message", json_string(message), err) < 0)
		return (int)err->code;
	return put_item(out, "item.completed", item, err);
}

/* The message that was being collected is whole. */
static int end_message(struct json_stream *stream, struct buf *out, struct err *err)
{
	bool answer = stream->open == AGENT_UPDATE_KIND_AGENT_MESSAGE_CHUNK;
	json_auto_t *item = NULL;

	if (stream->open == AGENT_UPDATE_KIND_NONE)
		return 0;
	stream->open = AGENT_UPDATE_KIND_NONE;
	item = new_item(stream->next++, answer ? "agent_message" : "reasoning", err);
	if (!item ||
	    set_item(item, "text", json_stringn(buf_str(&stream->message), stream->message.len),
		     err) < 0)
		return (int)err->code;
	if (answer) {
		free(stream->final_message);
		stream->final_message = str_dup(buf_str(&stream->message));
		if (!stream->final_message)
			return ERR_NOMEM_SET(err);
	}
	buf_clear(&stream->message);
	return put_item(out, "item.completed", item, err);
}

static int take_chunk(struct json_stream *stream, const struct agent_update *update,
		      struct buf *out, struct err *err)
{
	const char *id = update->message_id ? update->message_id : "";

	if (!update->content || !update->content->text)
		return 0;
	if (stream->open != update->session_update || !str_eq(stream->message_id, id)) {
		if (end_message(stream, out, err) < 0)
			return (int)err->code;
		free(stream->message_id);
		stream->message_id = str_dup(id);
		if (!stream->message_id)
			return ERR_NOMEM_SET(err);
		stream->open = update->session_update;
	}
	return buf_puts(&stream->message, update->content->text, err);
}

static struct json_tool *find_tool(struct json_stream *stream, const char *id)
{
	for (size_t i = 0; i < JSON_TOOLS_MAX; i++) {
		if (stream->tools[i].id && str_eq(stream->tools[i].id, id))
			return &stream->tools[i];
	}
	return NULL;
}

static struct json_tool *new_tool(struct json_stream *stream, const char *id, struct err *err)
{
	for (size_t i = 0; i < JSON_TOOLS_MAX; i++) {
		struct json_tool *tool = &stream->tools[i];

		if (tool->id)
			continue;
		tool->id = str_dup(id);
		tool->number = stream->next++;
		if (tool->id)
			return tool;
		ERR_NOMEM_SET(err);
		return NULL;
	}
	ERR_SET(err, ERR_LIMIT, "more than %d tool calls at once", JSON_TOOLS_MAX);
	return NULL;
}

static int start_command(struct json_tool *tool, const struct agent_update *update, struct buf *out,
			 struct err *err)
{
	const char *command =
		update->title ? update->title
			      : json_string_value(json_object_get(update->raw_input, "command"));

	tool->item = new_item(tool->number, "command_execution", err);
	if (!tool->item ||
	    set_item(tool->item, "command", json_string(command ? command : ""), err) < 0 ||
	    set_item(tool->item, "aggregated_output", json_string(""), err) < 0 ||
	    set_item(tool->item, "exit_code", json_null(), err) < 0 ||
	    set_item(tool->item, "status", json_string("in_progress"), err) < 0)
		return (int)err->code;
	return put_item(out, "item.started", tool->item, err);
}

static int start_change(struct json_tool *tool, struct err *err)
{
	tool->item = new_item(tool->number, "file_change", err);
	if (!tool->item || set_item(tool->item, "changes", json_array(), err) < 0 ||
	    set_item(tool->item, "status", json_string("in_progress"), err) < 0)
		return (int)err->code;
	return 0; /* shown when it has happened */
}

static int start_tool(struct json_stream *stream, const struct agent_update *update,
		      struct buf *out, struct err *err)
{
	struct json_tool *tool;

	if (update->kind != AGENT_TOOL_KIND_EXECUTE && update->kind != AGENT_TOOL_KIND_EDIT)
		return 0; /* no word for others in this vocabulary */
	if (end_message(stream, out, err) < 0)
		return (int)err->code;
	tool = new_tool(stream, update->tool_call_id, err);
	if (!tool)
		return (int)err->code;
	return update->kind == AGENT_TOOL_KIND_EXECUTE ? start_command(tool, update, out, err)
						       : start_change(tool, err);
}

static const char *status_word(const struct agent_update *update)
{
	const char *word = json_string_value(json_object_get(update->raw_output, "status"));

	if (str_eq(word, "declined") || str_eq(word, "completed") || str_eq(word, "failed"))
		return word;
	return update->status == AGENT_TOOL_STATUS_COMPLETED ? "completed" : "failed";
}

static int end_command(struct json_tool *tool, const struct agent_update *update, struct err *err)
{
	json_t *exit_code = json_object_get(update->raw_output, "exit_code");
	json_t *output = json_object_get(update->raw_output, "aggregated_output");
	const char *shown = update->tool_content_count > 0 && update->tool_content[0].content
				    ? update->tool_content[0].content->text
				    : NULL;

	if (json_is_string(output))
		json_incref(output);
	else
		output = json_string(shown ? shown : "");
	if (set_item(tool->item, "aggregated_output", output, err) < 0)
		return (int)err->code;
	if (json_is_integer(exit_code) && json_object_set(tool->item, "exit_code", exit_code) < 0)
		return ERR_NOMEM_SET(err);
	return 0;
}

/* Of calls that failed: what the sandbox refused, {denials, denials_lost} as agentd sends it. */
static int end_denials(struct json_tool *tool, const struct agent_update *update, struct err *err)
{
	const struct agent_tool_meta *meta = update->meta ? update->meta->agentd : NULL;
	json_auto_t *denials = NULL;

	if (!meta || (meta->denials_count == 0 && !meta->has_denials_lost))
		return 0;
	denials = codec_encode(&agent_tool_meta_type, meta, err);
	if (!denials)
		return (int)err->code;
	(void)json_object_del(denials, "output");
	return json_object_update(tool->item, denials) < 0 ? ERR_NOMEM_SET(err) : 0;
}

static int add_change(json_t *changes, const char *path, const char *kind, struct err *err)
{
	return json_array_append_new(changes, json_pack("{s:s, s:s}", "path", path, "kind", kind)) <
			       0
		       ? ERR_NOMEM_SET(err)
		       : 0;
}

/* {path, kind} of each change: told by the tool, or else by the diffs that it shows. */
static int end_change(struct json_tool *tool, const struct agent_update *update, struct err *err)
{
	json_t *changes = json_object_get(tool->item, "changes");
	json_t *list = json_object_get(update->raw_output, "changes");
	size_t i;
	json_t *change;

	json_array_foreach(list, i, change) {
		const char *path = json_string_value(json_object_get(change, "path"));
		const char *kind = json_string_value(json_object_get(change, "kind"));

		if (path && add_change(changes, path, kind ? kind : "update", err) < 0)
			return (int)err->code;
	}
	for (i = 0; !list && i < update->tool_content_count; i++) {
		const struct agent_tool_content *content = &update->tool_content[i];

		if (content->type == AGENT_TOOL_CONTENT_TYPE_DIFF && content->path &&
		    add_change(changes, content->path, content->old_text ? "update" : "add", err) <
			    0)
			return (int)err->code;
	}
	return 0;
}

static int end_tool(struct json_tool *tool, const struct agent_update *update, struct buf *out,
		    struct err *err)
{
	bool command = json_object_get(tool->item, "command") != NULL;
	int rc = command ? end_command(tool, update, err) : end_change(tool, update, err);

	if (rc == 0)
		rc = end_denials(tool, update, err);
	if (rc == 0)
		rc = set_item(tool->item, "status", json_string(status_word(update)), err);
	if (rc == 0)
		rc = put_item(out, "item.completed", tool->item, err);
	tool_clear(tool);
	return rc;
}

static int take_tool(struct json_stream *stream, const struct agent_update *update, struct buf *out,
		     struct err *err)
{
	struct json_tool *tool;
	bool ended = update->status == AGENT_TOOL_STATUS_COMPLETED ||
		     update->status == AGENT_TOOL_STATUS_FAILED;

	if (!update->tool_call_id)
		return 0;
	tool = find_tool(stream, update->tool_call_id);
	if (!tool && update->session_update == AGENT_UPDATE_KIND_TOOL_CALL) {
		if (start_tool(stream, update, out, err) < 0)
			return (int)err->code;
		tool = find_tool(stream, update->tool_call_id);
	}
	return tool && ended ? end_tool(tool, update, out, err) : 0;
}

static json_t *plan_items(const struct agent_update *update)
{
	json_t *items = json_array();

	for (size_t i = 0; i < update->entries_count; i++) {
		const struct agent_plan_entry *entry = &update->entries[i];

		(void)json_array_append_new(
			items, json_pack("{s:s, s:b}", "text", entry->content, "completed",
					 entry->status == AGENT_PLAN_STATUS_COMPLETED));
	}
	return items;
}

static int take_plan(struct json_stream *stream, const struct agent_update *update, struct buf *out,
		     struct err *err)
{
	bool first = !stream->plan_open;

	if (end_message(stream, out, err) < 0)
		return (int)err->code;
	if (first)
		stream->plan_number = stream->next++;
	stream->plan_open = true;
	json_decref(stream->plan);
	stream->plan = new_item(stream->plan_number, "todo_list", err);
	if (!stream->plan || set_item(stream->plan, "items", plan_items(update), err) < 0)
		return (int)err->code;
	return put_item(out, first ? "item.started" : "item.updated", stream->plan, err);
}

int json_update(struct json_stream *stream, const struct agent_update *update, struct buf *out,
		struct err *err)
{
	switch (update->session_update) {
	case AGENT_UPDATE_KIND_AGENT_MESSAGE_CHUNK:
	case AGENT_UPDATE_KIND_AGENT_THOUGHT_CHUNK:
		return take_chunk(stream, update, out, err);
	case AGENT_UPDATE_KIND_TOOL_CALL:
	case AGENT_UPDATE_KIND_TOOL_CALL_UPDATE:
		return take_tool(stream, update, out, err);
	case AGENT_UPDATE_KIND_PLAN:
		return take_plan(stream, update, out, err);
	case AGENT_UPDATE_KIND_NONE:
	case AGENT_UPDATE_KIND_USER_MESSAGE_CHUNK:
	case AGENT_UPDATE_KIND_AVAILABLE_COMMANDS_UPDATE:
	case AGENT_UPDATE_KIND_CURRENT_MODE_UPDATE:
	case AGENT_UPDATE_KIND_CONFIG_OPTION_UPDATE:
	case AGENT_UPDATE_KIND_SESSION_INFO_UPDATE:
	case AGENT_UPDATE_KIND_USAGE_UPDATE:
	case AGENT_UPDATE_KIND_NOTICE:
	case AGENT_UPDATE_KIND_COMPACTION_UPDATE:
	case AGENT_UPDATE_KIND_COMPACTION_SUMMARY_CHUNK:
	case AGENT_UPDATE_KIND_COUNT:
		break;
	}
	return 0;
}

/* Calls that the turn's end has cut off. */
static int end_open_tools(struct json_stream *stream, struct buf *out, struct err *err)
{
	for (size_t i = 0; i < JSON_TOOLS_MAX; i++) {
		struct json_tool *tool = &stream->tools[i];
		int rc;

		if (!tool->id)
			continue;
		rc = set_item(tool->item, "status", json_string("failed"), err);
		if (rc == 0)
			rc = put_item(out, "item.completed", tool->item, err);
		tool_clear(tool);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static json_t *usage_json(const struct agent_usage *usage)
{
	static const struct agent_usage none;
	const struct agent_usage *u = usage ? usage : &none;

	return json_pack("{s:I, s:I, s:I, s:I}", "input_tokens", (json_int_t)u->input_tokens,
			 "cached_input_tokens", (json_int_t)u->cached_input_tokens, "output_tokens",
			 (json_int_t)u->output_tokens, "reasoning_output_tokens",
			 (json_int_t)u->reasoning_output_tokens);
}

int json_turn_ended(struct json_stream *stream, const struct agent_turn_completed *turn,
		    struct buf *out, struct err *err)
{
	const char *why = turn->error                                     ? turn->error->message
			  : turn->status == AGENT_TURN_STATUS_INTERRUPTED ? "interrupted"
									  : "the turn failed";

	if (end_message(stream, out, err) < 0 || end_open_tools(stream, out, err) < 0)
		return (int)err->code;
	if (stream->plan_open && put_item(out, "item.completed", stream->plan, err) < 0)
		return (int)err->code;
	stream->plan_open = false;
	if (turn->status == AGENT_TURN_STATUS_COMPLETED)
		return put_event(out,
				 json_pack("{s:s, s:o}", "type", "turn.completed", "usage",
					   usage_json(turn->usage)),
				 err);
	if (turn->status == AGENT_TURN_STATUS_FAILED && json_error(out, why, err) < 0)
		return (int)err->code;
	return put_event(
		out, json_pack("{s:s, s:{s:s}}", "type", "turn.failed", "error", "message", why),
		err);
}
