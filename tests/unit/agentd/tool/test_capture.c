#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"

#include "agentd/tool/capture.h"
#include "tests/support/fixture.h"

#define BOTH ((size_t)CAPTURE_HEAD_MAX + CAPTURE_TAIL_MAX)

static const char euro[] = { '\xe2', '\x82', '\xac' };

/* Byte n of a stream that can be told from any other place of it. */
static char byte_at(size_t n)
{
	return (char)('a' + (n * 7 + n / 251) % 26);
}

static void feed(struct capture *capture, size_t total, size_t piece)
{
	char *data = malloc(piece);
	struct err err = { 0 };

	assert_non_null(data);
	for (size_t at = 0; at < total; at += piece) {
		size_t len = total - at < piece ? total - at : piece;

		for (size_t i = 0; i < len; i++)
			data[i] = byte_at(at + i);
		assert_int_equal(capture_add(capture, data, len, &err), 0);
	}
	free(data);
}

static void check(size_t total, size_t piece)
{
	struct capture capture SCOPED(capture_deinit);
	struct buf text SCOPED(buf_deinit) = BUF_INIT(CAPTURE_TEXT_MAX);
	size_t omitted = total > BOTH ? total - BOTH : 0;
	size_t tail = total < CAPTURE_HEAD_MAX ? 0 : total - CAPTURE_HEAD_MAX - omitted;
	char note[64] = "";
	struct err err = { 0 };

	capture_init(&capture);
	feed(&capture, total, piece);
	assert_int_equal(capture.bytes, total);
	assert_int_equal(capture_omitted(&capture), omitted);
	assert_int_equal(capture_text(&capture, &text, &err), 0);
	if (omitted > 0)
		(void)snprintf(note, sizeof note, "\n... %zu bytes omitted ...\n", omitted);
	assert_int_equal(text.len, total - omitted + strlen(note));
	for (size_t i = 0; i < text.len - tail - strlen(note); i++)
		assert_int_equal(text.data[i], byte_at(i));
	assert_memory_equal(text.data + text.len - tail - strlen(note), note, strlen(note));
	for (size_t i = 0; i < tail; i++)
		assert_int_equal(text.data[text.len - tail + i], byte_at(total - tail + i));
}

static void head_and_tail_stay_whatever_came_between(void **state)
{
	static const size_t totals[] = { 0,
					 1,
					 CAPTURE_HEAD_MAX - 1,
					 CAPTURE_HEAD_MAX,
					 CAPTURE_HEAD_MAX + 1,
					 BOTH - 1,
					 BOTH,
					 BOTH + 1,
					 BOTH + CAPTURE_TAIL_MAX / 2,
					 3 * BOTH + 17 };
	static const size_t pieces[] = { 1000, 8192, 65536, 3 * BOTH + 17 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(totals); i++) {
		for (size_t k = 0; k < ARRAY_LEN(pieces); k++)
			check(totals[i], pieces[k]);
	}
}

static void lines_are_counted_at_any_place_of_any_piece(void **state)
{
	struct err err = { 0 };

	(void)state;
	for (size_t len = 0; len < 40; len++) {
		for (unsigned mask = 0; mask < 256; mask += 5) {
			struct capture capture SCOPED(capture_deinit);
			char data[40];
			size_t lines = 0;

			capture_init(&capture);
			for (size_t i = 0; i < len; i++) {
				data[i] = mask & (1U << (i % 8)) ? '\n' : (char)(i * 37);
				lines += data[i] == '\n';
			}
			assert_int_equal(capture_add(&capture, data, len, &err), 0);
			assert_int_equal(capture.lines, lines);
		}
	}
}

/* The euro sign on both edges of what is dropped. */
static void a_character_torn_by_the_gap_is_dropped_with_it(void **state)
{
	struct capture capture SCOPED(capture_deinit);
	struct buf text SCOPED(buf_deinit) = BUF_INIT(CAPTURE_TEXT_MAX);
	char *data = malloc(BOTH + 10);
	struct err err = { 0 };

	(void)state;
	assert_non_null(data);
	memset(data, 'x', BOTH + 10);
	memcpy(data + CAPTURE_HEAD_MAX - 2, euro, sizeof euro);
	memcpy(data + CAPTURE_HEAD_MAX + 10 - 1, euro, sizeof euro);
	capture_init(&capture);
	assert_int_equal(capture_add(&capture, data, BOTH + 10, &err), 0);
	assert_int_equal(capture_text(&capture, &text, &err), 0);
	assert_non_null(strstr(text.data, "x\n... 14 bytes omitted ...\nx"));
	free(data);
}

static void a_character_between_head_and_tail_stays_whole(void **state)
{
	struct capture capture SCOPED(capture_deinit);
	struct buf text SCOPED(buf_deinit) = BUF_INIT(CAPTURE_TEXT_MAX);
	char *data = malloc(CAPTURE_HEAD_MAX + 10);
	struct err err = { 0 };

	(void)state;
	assert_non_null(data);
	memset(data, 'x', CAPTURE_HEAD_MAX + 10);
	memcpy(data + CAPTURE_HEAD_MAX - 1, euro, sizeof euro);
	capture_init(&capture);
	assert_int_equal(capture_add(&capture, data, CAPTURE_HEAD_MAX + 10, &err), 0);
	assert_int_equal(capture_text(&capture, &text, &err), 0);
	assert_int_equal(text.len, CAPTURE_HEAD_MAX + 10);
	assert_memory_equal(text.data, data, text.len);
	free(data);
}

static void bytes_that_are_no_text_fit_too(void **state)
{
	struct capture capture SCOPED(capture_deinit);
	struct buf text SCOPED(buf_deinit) = BUF_INIT(CAPTURE_TEXT_MAX);
	char *data = calloc(1, 2 * BOTH);
	struct err err = { 0 };

	(void)state;
	assert_non_null(data);
	capture_init(&capture);
	assert_int_equal(capture_add(&capture, data, 2 * BOTH, &err), 0);
	assert_int_equal(capture_text(&capture, &text, &err), 0);
	assert_in_range(text.len, BOTH * 3, CAPTURE_TEXT_MAX);
	free(data);
}

static void clearing_starts_anew(void **state)
{
	struct capture capture SCOPED(capture_deinit);
	struct buf text SCOPED(buf_deinit) = BUF_INIT(64);
	struct err err = { 0 };

	(void)state;
	capture_init(&capture);
	feed(&capture, 3 * BOTH, 65536);
	capture_clear(&capture);
	assert_int_equal(capture_add(&capture, "a\n", 2, &err), 0);
	assert_int_equal(capture.bytes, 2);
	assert_int_equal(capture.lines, 1);
	assert_int_equal(capture_text(&capture, &text, &err), 0);
	assert_string_equal(buf_str(&text), "a\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(head_and_tail_stay_whatever_came_between),
		FIXTURE_TEST(lines_are_counted_at_any_place_of_any_piece),
		FIXTURE_TEST(a_character_torn_by_the_gap_is_dropped_with_it),
		FIXTURE_TEST(a_character_between_head_and_tail_stays_whole),
		FIXTURE_TEST(bytes_that_are_no_text_fit_too),
		FIXTURE_TEST(clearing_starts_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
