#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/frame.h"

#include "tests/support/fixture.h"

/* Feeds the text in chunks of the size and joins the lines that come out with '|'. */
static void feed(struct buf *lines, const char *text, size_t chunk)
{
	struct buf in SCOPED(buf_deinit) = BUF_INIT(FRAME_BUF_MAX);
	struct frame frame = { 0 };
	size_t len = strlen(text);

	for (size_t at = 0; at < len; at += chunk) {
		assert_int_equal(
			buf_append(&in, text + at, len - at < chunk ? len - at : chunk, NULL), 0);
		while (frame_next(&in, &frame) == FRAME_READY) {
			assert_int_equal(buf_append(lines, frame.text, frame.len, NULL), 0);
			assert_int_equal(buf_putc(lines, '|', NULL), 0);
		}
	}
	assert_int_equal(buf_puts(lines, buf_str(&in), NULL), 0); /* what waits for its end */
}

static void lines_come_out_whole_however_they_came_in(void **state)
{
	static const struct {
		const char *in;
		const char *out;
	} rows[] = {
		{ "", "" },
		{ "a\n", "a|" },
		{ "a\nbc\n", "a|bc|" },
		{ "a\nbc", "a|bc" },
		{ "\n\n a\n \t\r\n", " a|" },
		{ "{}\r\n{}\r\n", "{}\r|{}\r|" },
		{ "no end", "no end" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t chunk = 1; chunk < 8; chunk++) {
			struct buf lines SCOPED(buf_deinit) = BUF_INIT(64);

			feed(&lines, rows[i].in, chunk);
			if (!str_eq(buf_str(&lines), rows[i].out))
				fail_msg("'%s' by %zu: '%s'", rows[i].in, chunk, buf_str(&lines));
		}
	}
}

static void fill(struct buf *in, size_t len)
{
	char *text = malloc(len);

	memset(text, 'x', len);
	assert_int_equal(buf_append(in, text, len, NULL), 0);
	free(text);
}

static void a_line_has_a_limit_with_and_without_its_end(void **state)
{
	struct buf in SCOPED(buf_deinit) = BUF_INIT(FRAME_BUF_MAX);
	struct frame frame = { 0 };

	(void)state;
	fill(&in, FRAME_MAX);
	assert_int_equal(frame_next(&in, &frame), FRAME_MORE);
	assert_int_equal(buf_putc(&in, '\n', NULL), 0);
	assert_int_equal(frame_next(&in, &frame), FRAME_READY);
	assert_int_equal(frame.len, FRAME_MAX);
	assert_int_equal(frame_next(&in, &frame), FRAME_MORE);
	assert_int_equal(in.len, 0);

	fill(&in, FRAME_MAX + 1);
	assert_int_equal(frame_next(&in, &frame), FRAME_BAD);
	assert_int_equal(buf_putc(&in, '\n', NULL), 0);
	assert_int_equal(frame_next(&in, &frame), FRAME_BAD);
	frame = (struct frame){ 0 };
	assert_int_equal(frame_next(&in, &frame), FRAME_BAD);
}

static void the_buffer_holds_a_line_and_a_chunk(void **state)
{
	struct buf in SCOPED(buf_deinit) = BUF_INIT(FRAME_BUF_MAX);
	struct frame frame = { 0 };

	(void)state;
	fill(&in, FRAME_MAX);
	assert_int_equal(frame_next(&in, &frame), FRAME_MORE);
	assert_int_equal(buf_putc(&in, '\n', NULL), 0);
	fill(&in, FRAME_CHUNK_MAX);
	assert_int_equal(frame_next(&in, &frame), FRAME_READY);
	assert_int_equal(frame_next(&in, &frame), FRAME_MORE);
	assert_int_equal(in.len, FRAME_CHUNK_MAX);
}

static void a_message_becomes_a_line_or_nothing(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(FRAME_BUF_MAX);
	char *text = calloc(FRAME_MAX, 1);
	json_auto_t *small = json_pack("[s]", "a\nb");
	json_t *large;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(frame_put(&out, small, &err), 0);
	assert_int_equal(frame_put(&out, small, &err), 0);
	assert_string_equal(out.data, "[\"a\\nb\"]\n[\"a\\nb\"]\n");
	buf_clear(&out);
	memset(text, 'x', FRAME_MAX - 1);

	large = json_stringn(text, FRAME_MAX - 2);
	assert_int_equal(frame_put(&out, large, &err), 0);
	assert_int_equal(out.len, FRAME_MAX + 1);
	json_decref(large);
	buf_clear(&out);

	large = json_stringn(text, FRAME_MAX - 1);
	assert_int_equal(frame_put(&out, large, &err), ERR_LIMIT);
	assert_int_equal(out.len, 0);
	json_decref(large);
	free(text);
}

static void a_full_queue_takes_no_part_of_a_line(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(4);
	json_auto_t *fits = json_pack("[i]", 1);
	json_auto_t *over = json_pack("[i]", 12);

	(void)state;
	assert_int_equal(frame_put(&out, over, NULL), ERR_LIMIT); /* the newline does not fit */
	assert_int_equal(out.len, 0);
	assert_int_equal(frame_put(&out, fits, NULL), 0);
	assert_string_equal(out.data, "[1]\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(lines_come_out_whole_however_they_came_in),
		FIXTURE_TEST(a_line_has_a_limit_with_and_without_its_end),
		FIXTURE_TEST(the_buffer_holds_a_line_and_a_chunk),
		FIXTURE_TEST(a_message_becomes_a_line_or_nothing),
		FIXTURE_TEST(a_full_queue_takes_no_part_of_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
