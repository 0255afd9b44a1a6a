#include "agentd/session/history.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/json.h"

#include "agentd/session/transcript.h"

#define CAPACITY_FIRST 32

void history_deinit(struct history *history)
{
	free(history->records);
	*history = (struct history){ 0 };
}

int history_add(struct history *history, size_t record, struct err *err)
{
	size_t wanted = history->capacity ? history->capacity * 2 : CAPACITY_FIRST;
	uint32_t *grown;

	if (record >= TRANSCRIPT_RECORDS_MAX)
		return ERR_SET(err, ERR_LIMIT, "more than %d records", TRANSCRIPT_RECORDS_MAX);
	if (history->count == history->capacity) {
		grown = realloc(history->records, wanted * sizeof(*grown));
		if (!grown)
			return ERR_NOMEM_SET(err);
		history->records = grown;
		history->capacity = wanted;
	}
	history->records[history->count++] = (uint32_t)record;
	return 0;
}

/* The walk over a log. calls: those whose outputs have not been placed, as [{item, id, record}]. */
struct walk {
	struct history *history;
	json_t *calls;
};

/* Outputs whose calls are answered go behind them, in the order of the calls; the rest stays open.
 */
static int place_outputs(struct walk *walk, struct err *err)
{
	size_t i = 0;

	while (i < json_array_size(walk->calls)) {
		const json_t *call = json_array_get(walk->calls, i);
		const json_t *record = json_object_get(call, "record");

		if (!record) {
			i++;
			continue;
		}
		if (history_add(walk->history, (size_t)json_integer_value(record), err) < 0)
			return (int)err->code;
		(void)json_array_remove(walk->calls, i); /* the index exists */
	}
	return 0;
}

static bool is_output(const char *type)
{
	return str_ends(type, "_call_output");
}

static bool is_call(const char *type)
{
	return str_eq(type, "function_call") || str_eq(type, "custom_tool_call");
}

static int take_output(struct walk *walk, const char *id, size_t record, struct err *err)
{
	size_t i;
	json_t *call;

	json_array_foreach(walk->calls, i, call) {
		if (!str_eq(json_string_value(json_object_get(call, "id")), id) ||
		    json_object_get(call, "record"))
			continue;
		if (json_object_set_new(call, "record", json_integer((json_int_t)record)) < 0)
			return ERR_NOMEM_SET(err);
		return 0;
	}
	return 0; /* an orphan, or a second one: the model is not told of it */
}

static int take_call(struct walk *walk, json_t *item, const char *id, struct err *err)
{
	json_t *call = json_pack("{s:O, s:s}", "item", item, "id", id);

	if (!call || json_array_append_new(walk->calls, call) < 0)
		return ERR_NOMEM_SET(err);
	return 0;
}

static int take(struct walk *walk, const struct transcript *log, size_t record, struct buf *text,
		struct err *err)
{
	const char *type;
	const char *id;

	buf_clear(text);
	if (transcript_payload_text(text, log, record, err) < 0)
		return (int)err->code;
	if (strstr(buf_str(text), "\"call_id\"")) {
		json_auto_t *item = wire_json_load(text->data, text->len, err);

		if (!item)
			return (int)err->code;
		type = json_string_value(json_object_get(item, "type"));
		id = json_string_value(json_object_get(item, "call_id"));
		if (id && type && is_output(type))
			return take_output(walk, id, record, err);
		if (id && type && is_call(type) && take_call(walk, item, id, err) < 0)
			return (int)err->code;
	}
	if (place_outputs(walk, err) < 0)
		return (int)err->code;
	return history_add(walk->history, record, err);
}

static int walk_log(struct walk *walk, const struct transcript *log, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(RECORD_LINE_MAX);

	for (size_t i = 0; i < transcript_count(log); i++) {
		if (transcript_kind(log, i) != RECORD_ITEM)
			continue;
		if (take(walk, log, i, &text, err) < 0)
			return ERR_WRAP(err, "record %zu", i);
	}
	return place_outputs(walk, err);
}

int history_rebuild(struct history *history, const struct transcript *log, json_t **out_open,
		    struct err *err)
{
	struct history fresh SCOPED(history_deinit) = { 0 };
	json_auto_t *calls = json_array();
	json_auto_t *open = json_array();
	struct walk walk = { &fresh, calls };
	size_t i;
	json_t *call;

	if (!calls || !open)
		return ERR_NOMEM_SET(err);
	if (walk_log(&walk, log, err) < 0)
		return ERR_WRAP(err, "history of the session");
	json_array_foreach(calls, i, call) {
		if (json_array_append(open, json_object_get(call, "item")) < 0)
			return ERR_NOMEM_SET(err);
	}
	history_deinit(history);
	*history = fresh;
	fresh = (struct history){ 0 };
	*out_open = TAKE(open);
	return 0;
}
