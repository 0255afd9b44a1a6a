#include "tests/support/responses.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/base/buf.h"

static void die(const char *what)
{
	(void)fprintf(stderr, "responses: %s\n", what);
	exit(1);
}

static void must(int rc)
{
	if (rc < 0)
		die("out of memory, or a stream over the limit");
}

static void add_mark(json_t *marks, size_t at)
{
	if (marks)
		(void)json_array_append_new(marks, json_integer((json_int_t)at));
}

static void put(struct buf *out, const char *text)
{
	must(buf_puts(out, text, NULL));
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* An event, with a mark behind it. Takes `data`. */
static void put_event(struct buf *out, json_t *marks, const char *type, json_t *data)
{
	char *text;

	if (!data)
		die("an event that is not valid");
	if (!json_object_get(data, "type"))
		(void)json_object_set_new(data, "type", json_string(type));
	text = json_dumps(data, JSON_COMPACT);
	if (!text)
		die("an event");
	must(buf_printf(out, NULL, "event: %s\ndata: %s\n\n", type, text));
	add_mark(marks, out->len);
	free(text);
	json_decref(data);
}

static void put_item(struct buf *out, json_t *marks, int index, json_t *item)
{
	put_event(out, marks, "response.output_item.added",
		  json_pack("{s:i, s:O}", "output_index", index, "item", item));
	put_event(out, marks, "response.output_item.done",
		  json_pack("{s:i, s:o}", "output_index", index, "item", item));
}

static void put_message(struct buf *out, json_t *marks, int index, const json_t *exchange,
			long number)
{
	const char *text = text_of(exchange, "message");
	json_int_t deltas = json_integer_value(json_object_get(exchange, "deltas"));
	struct buf whole = BUF_INIT(RESPONSES_BYTES_MAX);
	char id[48];

	(void)snprintf(id, sizeof id, "msg_%ld_%d", number, index);
	put_event(out, marks, "response.output_item.added",
		  json_pack("{s:i, s:{s:s, s:s, s:s, s:[]}}", "output_index", index, "item", "type",
			    "message", "id", id, "role", "assistant", "content"));
	for (json_int_t i = 0; i < (deltas > 0 ? deltas : 1); i++) {
		put_event(out, marks, "response.output_text.delta",
			  json_pack("{s:s, s:i, s:i, s:s}", "item_id", id, "output_index", index,
				    "content_index", 0, "delta", text));
		put(&whole, text);
	}
	put_event(out, marks, "response.output_item.done",
		  json_pack("{s:i, s:{s:s, s:s, s:s, s:s, s:[{s:s, s:s, s:[]}]}}", "output_index",
			    index, "item", "type", "message", "id", id, "status", "completed",
			    "role", "assistant", "content", "type", "output_text", "text",
			    buf_str(&whole), "annotations"));
	buf_deinit(&whole);
}

static void put_reasoning(struct buf *out, json_t *marks, int index, const char *text)
{
	put_event(out, marks, "response.reasoning_summary_text.delta",
		  json_pack("{s:i, s:i, s:s}", "output_index", index, "summary_index", 0, "delta",
			    text));
	put_item(out, marks, index,
		 json_pack("{s:s, s:s, s:[{s:s, s:s}], s:s}", "type", "reasoning", "id", "rs_1",
			   "summary", "type", "summary_text", "text", text, "encrypted_content",
			   "AAAA"));
}

static void put_call(struct buf *out, json_t *marks, int index, const json_t *call, long number)
{
	json_t *arguments = json_object_get(call, "arguments");
	const char *input = text_of(call, "input");
	const char *id = text_of(call, "call_id");
	char *dumped = NULL;
	char made[48];

	(void)snprintf(made, sizeof made, "call_%ld_%d", number, index);
	if (arguments && !json_is_string(arguments))
		dumped = json_dumps(arguments, JSON_COMPACT);
	put_item(out, marks, index,
		 json_pack("{s:s, s:s, s:s, s:s, s:s}", "type",
			   input ? "custom_tool_call" : "function_call", "call_id", id ? id : made,
			   "name", text_of(call, "name"), "status", "completed",
			   input ? "input" : "arguments",
			   input    ? input
			   : dumped ? dumped
				    : json_string_value(arguments)));
	free(dumped);
}

static json_t *usage_of(const json_t *exchange)
{
	json_t *usage = json_object_get(exchange, "usage");

	if (usage)
		return json_incref(usage);
	return json_pack("{s:i, s:{s:i}, s:i, s:{s:i}, s:i}", "input_tokens", 100,
			 "input_tokens_details", "cached_tokens", 40, "output_tokens", 10,
			 "output_tokens_details", "reasoning_tokens", 2, "total_tokens", 110);
}

static void put_end(struct buf *out, json_t *marks, const json_t *exchange)
{
	json_t *fail = json_object_get(exchange, "fail");
	const char *reason = text_of(exchange, "incomplete");

	if (json_is_true(json_object_get(exchange, "unfinished")))
		return;
	if (fail)
		put_event(out, marks, "response.failed",
			  json_pack("{s:{s:s, s:O}}", "response", "id", "resp_1", "error", fail));
	else if (reason)
		put_event(out, marks, "response.incomplete",
			  json_pack("{s:{s:s, s:{s:s}}}", "response", "id", "resp_1",
				    "incomplete_details", "reason", reason));
	else
		put_event(out, marks, "response.completed",
			  json_pack("{s:{s:s, s:o}}", "response", "id", "resp_1", "usage",
				    usage_of(exchange)));
}

static void put_chunks(struct buf *out, json_t *marks, const json_t *chunks)
{
	for (size_t i = 0; i < json_array_size(chunks); i++) {
		json_t *chunk = json_array_get(chunks, i);

		if (json_is_string(chunk)) {
			must(buf_append(out, json_string_value(chunk), json_string_length(chunk),
					NULL));
			add_mark(marks, out->len);
		} else {
			put_event(out, marks, text_of(chunk, "event"),
				  json_incref(json_object_get(chunk, "data")));
		}
	}
}

void responses_stream(struct buf *out, json_t *marks, const json_t *exchange, long number)
{
	const json_t *calls = json_object_get(exchange, "calls");
	const json_t *chunks = json_object_get(exchange, "chunks");
	int index = 0;

	if (chunks) {
		put_chunks(out, marks, chunks);
		return;
	}
	put_event(out, marks, "response.created",
		  json_pack("{s:{s:s}}", "response", "id", "resp_1"));
	if (text_of(exchange, "reasoning"))
		put_reasoning(out, marks, index++, text_of(exchange, "reasoning"));
	if (text_of(exchange, "message"))
		put_message(out, marks, index++, exchange, number);
	for (size_t i = 0; i < json_array_size(calls); i++)
		put_call(out, marks, index++, json_array_get(calls, i), number);
	put_end(out, marks, exchange);
}
