#include "agentd/model/delta.h"

#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/model/scan.h"
#include "agentd/model/sse.h"

typedef void delta_fn(const json_t *message, struct delta_event *out);

void delta_init(struct delta *delta)
{
	*delta = (struct delta){ .message = NULL, .text = BUF_INIT(SSE_EVENT_MAX) };
}

void delta_deinit(struct delta *delta)
{
	json_decref(delta->message);
	delta->message = NULL;
	buf_deinit(&delta->text);
}

static const char *string_of(const json_t *object, const char *key, const char *fallback)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : fallback;
}

static int64_t integer_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static int64_t index_of(const json_t *message, const char *key)
{
	const json_t *value = json_object_get(message, key);

	return json_is_integer(value) && json_integer_value(value) >= 0 ? json_integer_value(value)
									: -1;
}

static void set_text(enum delta_kind kind, const json_t *message, struct delta_event *out)
{
	const json_t *text = json_object_get(message, "delta");

	if (!json_is_string(text))
		return;
	out->kind = kind;
	out->text = json_string_value(text);
	out->text_len = json_string_length(text);
	out->output_index = index_of(message, "output_index");
}

static void on_text(const json_t *message, struct delta_event *out)
{
	set_text(DELTA_TEXT, message, out);
}

static void on_reasoning(const json_t *message, struct delta_event *out)
{
	set_text(DELTA_REASONING, message, out);
}

/* A second part of the summary starts: a blank line parts it from the first. */
static void on_part(const json_t *message, struct delta_event *out)
{
	if (integer_of(message, "summary_index") <= 0)
		return;
	out->kind = DELTA_REASONING;
	out->text = "\n\n";
	out->text_len = 2;
	out->output_index = index_of(message, "output_index");
}

static void on_item(const json_t *message, struct delta_event *out)
{
	json_t *item = json_object_get(message, "item");

	if (!json_is_string(json_object_get(item, "type")))
		return;
	out->kind = DELTA_ITEM;
	out->item = item;
	out->output_index = index_of(message, "output_index");
}

static void on_completed(const json_t *message, struct delta_event *out)
{
	const json_t *usage = json_object_get(json_object_get(message, "response"), "usage");
	const json_t *input = json_object_get(usage, "input_tokens_details");
	const json_t *output = json_object_get(usage, "output_tokens_details");

	out->kind = DELTA_COMPLETED;
	out->usage = (struct usage){
		.input_tokens = integer_of(usage, "input_tokens"),
		.cached_input_tokens = integer_of(input, "cached_tokens"),
		.output_tokens = integer_of(usage, "output_tokens"),
		.reasoning_output_tokens = integer_of(output, "reasoning_tokens"),
		.total_tokens = integer_of(usage, "total_tokens"),
	};
}

/* The error of a failed response, or the event "error", which carries it flat or nested. */
static void on_failed(const json_t *message, struct delta_event *out)
{
	const json_t *error = json_object_get(json_object_get(message, "response"), "error");

	if (!json_is_object(error))
		error = json_object_get(message, "error");
	if (!json_is_object(error))
		error = message;
	out->kind = DELTA_FAILED;
	out->code = string_of(error, "code", "");
	out->message = string_of(error, "message", "");
}

static void on_incomplete(const json_t *message, struct delta_event *out)
{
	const json_t *details =
		json_object_get(json_object_get(message, "response"), "incomplete_details");

	out->kind = DELTA_INCOMPLETE;
	out->code = string_of(details, "reason", "unknown");
}

static const struct reader {
	const char *type;
	enum delta_kind flat; /* read without a tree as this kind of text, where possible */
	delta_fn *read;
} readers[] = {
	{ "response.output_text.delta", DELTA_TEXT, on_text },
	{ "response.reasoning_summary_text.delta", DELTA_REASONING, on_reasoning },
	{ "response.reasoning_text.delta", DELTA_REASONING, on_reasoning },
	{ "response.reasoning_summary_part.added", DELTA_NOTHING, on_part },
	{ "response.output_item.done", DELTA_NOTHING, on_item },
	{ "response.completed", DELTA_NOTHING, on_completed },
	{ "response.failed", DELTA_NOTHING, on_failed },
	{ "response.incomplete", DELTA_NOTHING, on_incomplete },
	{ "error", DELTA_NOTHING, on_failed },
};

static const struct reader *reader_of(const char *type, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
		if (strlen(readers[i].type) == len && memcmp(readers[i].type, type, len) == 0)
			return &readers[i];
	}
	return NULL;
}

/* Tries to read a delta in place: 1 when done, 0 when the parser has to. */
static int read_flat(struct delta *delta, const struct sse_event *event, struct delta_event *out,
		     struct err *err)
{
	const struct reader *reader = reader_of(event->name, strlen(event->name));
	struct scan_delta scanned = { 0 };
	int rc;

	/* The name saves trying; what counts is the type inside. */
	if (event->name[0] != '\0' && (!reader || reader->flat == DELTA_NOTHING))
		return 0;
	if (!scan_delta(&scanned, event->data, event->len) || !scanned.delta.at)
		return 0;
	if (!scanned.type.at || scanned.type.escaped)
		return 0;
	reader = reader_of(scanned.type.at, scanned.type.len);
	if (!reader || reader->flat == DELTA_NOTHING)
		return 0;
	out->text = scanned.delta.at;
	out->text_len = scanned.delta.len;
	if (scanned.delta.escaped) {
		buf_clear(&delta->text);
		rc = scan_unescape(&delta->text, &scanned.delta, err);
		if (rc < 0)
			return rc;
		out->text = buf_str(&delta->text);
		out->text_len = delta->text.len;
	}
	out->kind = reader->flat;
	out->output_index = scanned.output_index;
	return 1;
}

int delta_read(struct delta *delta, const struct sse_event *event, struct delta_event *out,
	       struct err *err)
{
	struct delta_event said = { .output_index = -1, .code = "", .message = "" };
	const struct reader *reader;
	json_error_t where = { 0 };
	const char *type;
	int rc = read_flat(delta, event, &said, err);

	if (rc < 0)
		return rc;
	if (rc == 0) {
		json_decref(delta->message);
		delta->message = json_loadb(event->data, event->len, 0, &where);
		if (!delta->message && where.text[0] == '\0') /* nothing wrong with the text */
			return ERR_NOMEM_SET(err);
		type = string_of(delta->message, "type", event->name);
		reader = reader_of(type, strlen(type));
		if (reader && json_is_object(delta->message))
			reader->read(delta->message, &said);
	}
	*out = said;
	return 0;
}
