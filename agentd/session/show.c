#include "agentd/session/show.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/json.h"

static const char update_lead[] =
	"{\"jsonrpc\":\"2.0\",\"method\":\"session/update\",\"params\":{\"sessionId\":\"";
static const char payload_lead[] = "{\"type\":\"update\",\"update\":";
static const char part_break[] = "\n\n"; /* between the parts of a reasoning */

static const char *const kind_words[SHOW_KIND_COUNT] = {
	[SHOW_USER] = "user_message_chunk",
	[SHOW_MESSAGE] = "agent_message_chunk",
	[SHOW_THOUGHT] = "agent_thought_chunk",
};

/* The text is UTF-8, so only what JSON itself forbids has to be escaped. */
static int put_escaped(struct buf *out, const char *text, size_t len, struct err *err)
{
	size_t from = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)text[i];
		int result;

		if (byte >= 0x20 && byte != '"' && byte != '\\')
			continue;
		if (i > from && buf_append(out, text + from, i - from, err) < 0)
			return (int)err->code;
		if (byte == '\n')
			result = buf_puts(out, "\\n", err);
		else if (byte == '"' || byte == '\\')
			result = buf_printf(out, err, "\\%c", byte);
		else
			result = buf_printf(out, err, "\\u%04x", byte);
		if (result < 0)
			return result;
		from = i + 1;
	}
	return len > from ? buf_append(out, text + from, len - from, err) : 0;
}

static int put_lead(struct buf *out, const char *session_id, struct err *err)
{
	if (buf_puts(out, update_lead, err) < 0)
		return (int)err->code;
	return buf_printf(out, err, "%s\",\"update\":", session_id);
}

/* Not more than `max` bytes, ending with a whole character. */
static size_t chunk_length(const char *text, size_t len, size_t max)
{
	if (len <= max)
		return len;
	while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
		max--;
	return max;
}

int show_text(struct buf *out, const char *session_id, const struct show_words *words,
	      struct err *err)
{
	const char *text = words->text;
	size_t len = words->len;

	while (len > 0) {
		size_t part = chunk_length(text, len, SHOW_CHUNK_MAX);

		if (put_lead(out, session_id, err) < 0 ||
		    buf_printf(out, err,
			       "{\"sessionUpdate\":\"%s\",\"messageId\":\"m%" PRId64
			       "\",\"content\":{\"type\":\"text\",\"text\":\"",
			       kind_words[words->kind], words->item) < 0 ||
		    put_escaped(out, text, part, err) < 0 || buf_puts(out, "\"}}}}\n", err) < 0)
			return (int)err->code;
		text += part;
		len -= part;
	}
	return 0;
}

int show_update(struct buf *out, const char *session_id, const json_t *update, struct err *err)
{
	if (put_lead(out, session_id, err) < 0 || wire_json_dump(out, update, err) < 0)
		return (int)err->code;
	return buf_puts(out, "}}\n", err);
}

int show_output(struct buf *out, const char *session_id, const char *call_id, const char *text,
		size_t len, struct err *err)
{
	if (put_lead(out, session_id, err) < 0 ||
	    buf_puts(out, "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"", err) < 0 ||
	    put_escaped(out, call_id, strlen(call_id), err) < 0 ||
	    buf_puts(out, "\",\"_meta\":{\"agentd\":{\"output\":\"", err) < 0 ||
	    put_escaped(out, text, len, err) < 0)
		return (int)err->code;
	return buf_puts(out, "\"}}}}}\n", err);
}

/* Appends the member `text` of each entry of a list whose type is one of two. */
static int put_parts(struct buf *out, const json_t *list, const char *one, const char *two,
		     const char *between, struct err *err)
{
	size_t i;
	json_t *part;
	bool first = true;

	json_array_foreach((json_t *)(uintptr_t)list, i, part) {
		const char *type = json_string_value(json_object_get(part, "type"));
		const json_t *text = json_object_get(part, "text");

		if ((!str_eq(type, one) && !str_eq(type, two)) || !json_is_string(text))
			continue;
		if ((!first && buf_puts(out, between, err) < 0) ||
		    buf_append(out, json_string_value(text), json_string_length(text), err) < 0)
			return (int)err->code;
		first = false;
	}
	return 0;
}

int show_item_text(struct buf *out, const json_t *item, enum show_kind *kind, struct err *err)
{
	const char *type = json_string_value(json_object_get(item, "type"));
	const char *role = json_string_value(json_object_get(item, "role"));

	*kind = SHOW_NONE;
	if (str_eq(type, "reasoning")) {
		size_t before = out->len;

		*kind = SHOW_THOUGHT;
		if (put_parts(out, json_object_get(item, "summary"), "summary_text", NULL,
			      part_break, err) < 0)
			return (int)err->code;
		if (out->len > before)
			return 0;
		return put_parts(out, json_object_get(item, "content"), "reasoning_text", "text",
				 part_break, err);
	}
	if (!str_eq(type, "message"))
		return 0;
	if (str_eq(role, "assistant"))
		*kind = SHOW_MESSAGE;
	else if (str_eq(role, "user"))
		*kind = SHOW_USER;
	return put_parts(out, json_object_get(item, "content"), "output_text", "input_text", "",
			 err);
}

static int show_item(struct buf *out, const char *session_id, const struct show_source *source,
		     struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(RECORD_LINE_MAX);
	json_auto_t *value = wire_json_load(source->payload, source->payload_len, err);
	struct show_words words = { .item = source->item };

	if (!value || show_item_text(&text, value, &words.kind, err) < 0)
		return (int)err->code;
	if (words.kind == SHOW_NONE || text.len <= source->already)
		return 0;
	words.text = text.data + source->already;
	words.len = text.len - source->already;
	return show_text(out, session_id, &words, err);
}

static int show_usage(struct buf *out, const char *session_id, const char *payload,
		      size_t payload_len, struct err *err)
{
	json_auto_t *value = wire_json_load(payload, payload_len, err);
	const json_t *info = json_object_get(value, "info");
	json_int_t used = json_integer_value(
		json_object_get(json_object_get(info, "last_token_usage"), "total_tokens"));
	json_int_t size = json_integer_value(json_object_get(info, "model_context_window"));

	if (!value)
		return (int)err->code;
	if (put_lead(out, session_id, err) < 0)
		return (int)err->code;
	return buf_printf(out, err,
			  "{\"sessionUpdate\":\"usage_update\",\"used\":%" JSON_INTEGER_FORMAT
			  ",\"size\":%" JSON_INTEGER_FORMAT "}}}\n",
			  used, size);
}

/* What no line can hold is named, without its content. */
static int show_shortened(struct buf *out, const char *session_id, const char *payload,
			  size_t payload_len, struct err *err)
{
	static const char *const kept[] = { "sessionUpdate", "toolCallId", "kind", "name",
					    "status" };
	json_auto_t *value = wire_json_load(payload, payload_len, err);
	const json_t *update = json_object_get(value, "update");
	json_auto_t *brief = json_object();

	if (!value)
		return (int)err->code;
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		json_t *member = json_object_get(update, kept[i]);

		if (member && json_object_set(brief, kept[i], member) < 0)
			return ERR_NOMEM_SET(err);
	}
	if (json_object_set_new(brief, "title", json_string("(too large to show)")) < 0)
		return ERR_NOMEM_SET(err);
	return show_update(out, session_id, brief, err);
}

/* The payload is {"type":"update","update":X} as record.h promises, so X can be passed on unread.
 */
static int show_stored(struct buf *out, const char *session_id, const char *payload,
		       size_t payload_len, struct err *err)
{
	size_t lead = sizeof(payload_lead) - 1;

	if (payload_len < lead + 1 || memcmp(payload, payload_lead, lead) != 0)
		return 0;
	if (payload_len > SHOW_LINE_MAX)
		return show_shortened(out, session_id, payload, payload_len, err);
	if (put_lead(out, session_id, err) < 0 ||
	    buf_append(out, payload + lead, payload_len - lead - 1, err) < 0)
		return (int)err->code;
	return buf_puts(out, "}}\n", err);
}

int show_record(struct buf *out, const char *session_id, const struct show_source *source,
		struct err *err)
{
	switch (source->kind) {
	case RECORD_ITEM:
		if (source->item == 0)
			return 0; /* for the model only */
		return show_item(out, session_id, source, err);
	case RECORD_UPDATE:
		return show_stored(out, session_id, source->payload, source->payload_len, err);
	case RECORD_USAGE:
		return show_usage(out, session_id, source->payload, source->payload_len, err);
	case RECORD_OTHER:
	case RECORD_META:
	case RECORD_TURN:
	case RECORD_EVENT:
	case RECORD_KIND_COUNT:
		return 0;
	}
	return 0;
}
