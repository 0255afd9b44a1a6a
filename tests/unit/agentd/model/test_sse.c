#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"

#include "agentd/model/sse.h"
#include "tests/support/fixture.h"

#define SEEN_MAX 4096U

/* The events of a stream as text: "[name|data]" each, "!" behind them for SSE_BAD. */
static const struct row {
	const char *name;
	const char *stream;
	const char *events;
} rows[] = {
	{ "nothing", "", "" },
	{ "one event", "event: a\ndata: x\n\n", "[a|x]" },
	{ "no name", "data: x\n\n", "[|x]" },
	{ "no space behind the colon", "event:a\ndata:x\n\n", "[a|x]" },
	{ "one space is taken, a second is data", "data:  x\n\n", "[| x]" },
	{ "a tab is data", "data:\tx\n\n", "[|\tx]" },
	{ "CR ends lines", "event: a\rdata: x\r\r", "[a|x]" },
	{ "CRLF ends lines", "event: a\r\ndata: x\r\n\r\n", "[a|x]" },
	{ "line ends may be mixed", "event: a\rdata: x\r\n\ndata: y\n\r", "[a|x][|y]" },
	{ "LF CR are two line ends", "data: x\n\rdata: y\n\n", "[|x][|y]" },
	{ "lines of data are joined", "data: x\ndata: y\ndata:\n\n", "[|x\ny\n]" },
	{ "an empty data line is an event", "data:\n\n", "[|]" },
	{ "a field without a colon has no value", "data\n\n", "[|]" },
	{ "two of them are a newline", "data\ndata\n\n", "[|\n]" },
	{ "no data is no event, and forgets the name", "event: a\n\ndata: x\n\n", "[|x]" },
	{ "blank lines are nothing", "\n\n\n", "" },
	{ "comments are passed over", ": hello\n:\ndata: x\n: y\n\n", "[|x]" },
	{ "id and retry are passed over", "id: 1\nretry: 5\ndata: x\n\n", "[|x]" },
	{ "unknown fields are passed over", "foo: 1\ndatax: 2\ndat: 3\ndata: x\n\n", "[|x]" },
	{ "a field name is not trimmed", " data: y\ndata : z\ndata: x\n\n", "[|x]" },
	{ "the last name counts", "event: a\nevent: b\ndata: x\n\n", "[b|x]" },
	{ "the name does not stay", "event: a\ndata: x\n\ndata: y\n\n", "[a|x][|y]" },
	{ "a mark at the start is skipped",
	  "\xEF\xBB\xBF"
	  "data: x\n\n",
	  "[|x]" },
	{ "only one mark",
	  "\xEF\xBB\xBF\xEF\xBB\xBF"
	  "data: x\n\ndata: y\n\n",
	  "[|y]" },
	{ "a mark later is none",
	  "data: x\n\n\xEF\xBB\xBF"
	  "data: y\n\n",
	  "[|x]" },
	{ "half a mark is none",
	  "\xEF\xBB"
	  "data: y\ndata: x\n\n",
	  "[|x]" },
	{ "the end without a blank line is no event", "data: x\n\ndata: y\n", "[|x]" },
	{ "the end in a line is no event", "data: x\n\ndata: y", "[|x]" },
	{ "colons in data stay", "data: {\"a\":\"b: c\"}\n\n", "[|{\"a\":\"b: c\"}]" },
	{ "bytes that are no UTF-8 stay", "data: \xff\xfe\n\n", "[|\xff\xfe]" },
};

static void note(struct buf *seen, const struct sse_event *event)
{
	assert_int_equal(strlen(event->data), event->len); /* no row holds a NUL */
	assert_int_equal(buf_printf(seen, NULL, "[%s|%s]", event->name, event->data), 0);
}

/* Feeds in pieces: the first of `first` bytes, then of `size`; each from memory of its own. */
static void parse(struct buf *seen, const char *stream, size_t first, size_t size, size_t max)
{
	struct sse sse = { 0 };
	struct sse_event event = { 0 };
	struct err err = { 0 };
	size_t len = strlen(stream);
	enum sse_result result = SSE_MORE;

	sse_init(&sse, max);
	for (size_t at = 0; at < len && result != SSE_BAD;) {
		size_t piece = at == 0 ? first : size;
		char *copy;

		piece = piece > len - at ? len - at : piece;
		copy = malloc(piece + 1);
		assert_non_null(copy);
		memcpy(copy, stream + at, piece);
		copy[piece] = '#'; /* whoever reads on is seen */
		sse_feed(&sse, copy, piece);
		while ((result = sse_next(&sse, &event, &err)) == SSE_EVENT)
			note(seen, &event);
		free(copy);
		at += piece;
	}
	if (result == SSE_BAD) {
		assert_int_equal(err.code, ERR_LIMIT);
		assert_int_equal(buf_puts(seen, "!", NULL), 0);
	}
	sse_deinit(&sse);
}

static void expect(const struct row *row, size_t first, size_t size)
{
	struct buf seen SCOPED(buf_deinit) = BUF_INIT(SEEN_MAX);

	parse(&seen, row->stream, first, size, SSE_EVENT_MAX);
	if (strcmp(buf_str(&seen), row->events) != 0)
		fail_msg("%s, torn after %zu and every %zu: '%s'", row->name, first, size,
			 buf_str(&seen));
}

static void a_stream_means_the_same_however_it_is_torn(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = strlen(rows[i].stream) + 1;

		for (size_t first = 1; first <= len; first++) {
			for (size_t size = 1; size <= len; size++)
				expect(&rows[i], first, size);
		}
	}
}

static void the_limit_holds_for_lines_and_for_data_however_torn(void **state)
{
	static const struct row limits[] = {
		{ "a line at the limit", "data:1234567890x\n\n", "[|1234567890x]" },
		{ "a line beyond", "data:1234567890xy\n\n", "!" },
		{ "a comment beyond", ":234567890123456\n:2345678901234567\n\n", "!" },
		{ "data at the limit", "data:1234567\ndata:12345678\n\n", "[|1234567\n12345678]" },
		{ "data beyond", "data:12345678\ndata:12345678\n\n", "!" },
		{ "events before it stay", "data:x\n\ndata:1234567890xy\n\n", "[|x]!" },
		{ "each event starts anew", "data:12345678\n\ndata:12345678\n\n",
		  "[|12345678][|12345678]" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		for (size_t size = 1; size < 40; size++) {
			struct buf seen SCOPED(buf_deinit) = BUF_INIT(SEEN_MAX);

			parse(&seen, limits[i].stream, size, size, 16);
			if (strcmp(buf_str(&seen), limits[i].events) != 0)
				fail_msg("%s, every %zu: '%s'", limits[i].name, size,
					 buf_str(&seen));
		}
	}
}

static void a_name_that_is_too_long_reads_as_none(void **state)
{
	(void)state;
	for (size_t len = SSE_NAME_MAX; len <= SSE_NAME_MAX + 1; len++) {
		char stream[SSE_NAME_MAX + 64] = "event:";
		char events[SSE_NAME_MAX + 64] = "[";
		struct buf seen SCOPED(buf_deinit) = BUF_INIT(SEEN_MAX);

		memset(stream + 6, 'n', len);
		memcpy(stream + 6 + len, "\ndata:x\n\n", 10);
		if (len <= SSE_NAME_MAX)
			memset(events + 1, 'n', len);
		memcpy(events + strlen(events), "|x]", 4);
		parse(&seen, stream, 7, 7, SSE_EVENT_MAX);
		assert_string_equal(buf_str(&seen), events);
	}
}

static void an_event_with_a_nul_keeps_its_length(void **state)
{
	static const char stream[] = "data: a\0b\n\n";
	struct sse sse = { 0 };
	struct sse_event event = { 0 };
	struct err err = { 0 };

	(void)state;
	sse_init(&sse, SSE_EVENT_MAX);
	sse_feed(&sse, stream, sizeof stream - 1);
	assert_int_equal(sse_next(&sse, &event, &err), SSE_EVENT);
	assert_int_equal(event.len, 3);
	assert_memory_equal(event.data, "a\0b", 4);
	assert_int_equal(sse_next(&sse, &event, &err), SSE_MORE);
	sse_deinit(&sse);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_stream_means_the_same_however_it_is_torn),
		FIXTURE_TEST(the_limit_holds_for_lines_and_for_data_however_torn),
		FIXTURE_TEST(a_name_that_is_too_long_reads_as_none),
		FIXTURE_TEST(an_event_with_a_nul_keeps_its_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
