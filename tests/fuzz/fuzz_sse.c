/*
 * fuzz_sse.c - a stream means the same torn and whole, and what is read from an event in place is
 * what the JSON parser reads.
 *
 * The first byte is the size of the pieces, the rest the stream.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"

#include "agentd/model/delta.h"
#include "agentd/model/scan.h"
#include "agentd/model/sse.h"

#define EVENT_MAX 4096U
#define SEEN_MAX (64U << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
	if (!holds)
		abort();
}

static void check_text(const struct scan_text *text, const json_t *value)
{
	struct buf plain SCOPED(buf_deinit) = BUF_INIT(SEEN_MAX);

	check((text->at != NULL) == json_is_string(value));
	if (!text->at)
		return;
	check(scan_unescape(&plain, text, NULL) == 0);
	check(plain.len == json_string_length(value));
	check(memcmp(buf_str(&plain), json_string_value(value), plain.len) == 0);
}

static void check_scan(const char *bytes, size_t size)
{
	struct scan_delta scanned = { 0 };
	json_t *value;

	if (!scan_delta(&scanned, bytes, size))
		return;
	value = json_loadb(bytes, size, 0, NULL);
	check(value != NULL);
	check_text(&scanned.delta, json_object_get(value, "delta"));
	check_text(&scanned.type, json_object_get(value, "type"));
	json_decref(value);
}

static void check_event(struct delta *delta, const struct sse_event *event)
{
	struct delta_event said = { 0 };

	check(event->data[event->len] == '\0');
	check(delta_read(delta, event, &said, NULL) == 0);
	check(said.code && said.message && said.kind < DELTA_KIND_COUNT);
	check((said.kind == DELTA_ITEM) == (said.item != NULL));
	check_scan(event->data, event->len);
}

static enum sse_result parse(struct buf *seen, const char *stream, size_t size, size_t piece)
{
	struct sse sse SCOPED(sse_deinit) = { 0 };
	struct delta delta SCOPED(delta_deinit) = { 0 };
	struct sse_event event = { 0 };
	enum sse_result result = SSE_MORE;
	struct err err = { 0 };

	sse_init(&sse, EVENT_MAX);
	delta_init(&delta);
	for (size_t at = 0; at < size && result != SSE_BAD; at += piece) {
		size_t part = piece < size - at ? piece : size - at;
		char *copy = malloc(part);

		check(copy != NULL);
		memcpy(copy, stream + at, part);
		sse_feed(&sse, copy, part);
		while ((result = sse_next(&sse, &event, &err)) == SSE_EVENT) {
			check_event(&delta, &event);
			check(buf_puts(seen, event.name, NULL) == 0);
			check(buf_append(seen, "\0|", 2, NULL) == 0);
			check(buf_append(seen, event.data, event.len + 1, NULL) == 0);
		}
		free(copy);
	}
	check(result != SSE_BAD || err.code == ERR_LIMIT);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf torn SCOPED(buf_deinit) = BUF_INIT(SEEN_MAX);
	struct buf whole SCOPED(buf_deinit) = BUF_INIT(SEEN_MAX);
	const char *stream = (const char *)data + 1;

	if (size < 2)
		return 0;
	check(parse(&torn, stream, size - 1, 1U + data[0]) ==
	      parse(&whole, stream, size - 1, size - 1));
	check(torn.len == whole.len);
	check(memcmp(buf_str(&torn), buf_str(&whole), torn.len) == 0);
	check_scan(stream, size - 1);
	return 0;
}
