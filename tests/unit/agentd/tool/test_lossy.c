#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/tool/lossy.h"
#include "tests/support/fixture.h"

#define R "\xef\xbf\xbd"
#define TEXT(text) text, sizeof(text) - 1

static const struct {
	const char *name;
	const char *bytes;
	size_t len;
	const char *text;
} rows[] = {
	{ "nothing", TEXT(""), "" },
	{ "ascii", TEXT("abc\n"), "abc\n" },
	{ "all lengths", TEXT("a\u00e9\u20ac\U0001f600"), "a\u00e9\u20ac\U0001f600" },
	{ "a NUL", TEXT("a\0b"), "a" R "b" },
	{ "a lone continuation", TEXT("a\x80z"), "a" R "z" },
	{ "two of them", TEXT("\x80\xbf"), R R },
	{ "a cut character before text", TEXT("\xe2\x82z"), R "z" },
	{ "a cut character at the end", TEXT("z\xe2\x82"), "z" R },
	{ "a cut long one", TEXT("\xf0\x9f\x98z"), R "z" },
	{ "a cut one before another", TEXT("\xf0\x9f\xe2\x82\xac"), R "\u20ac" },
	{ "overlong", TEXT("\xc0\xaf"), R R },
	{ "overlong, three bytes", TEXT("\xe0\x80\xaf"), R R R },
	{ "a surrogate", TEXT("\xed\xa0\x80"), R R R },
	{ "beyond U+10FFFF", TEXT("\xf4\x90\x80\x80"), R R R R },
	{ "never in UTF-8", TEXT("\xfe\xff"), R R },
};

/* All rows at once, in pieces of the given size. */
static void convert(size_t row, size_t piece, struct buf *out)
{
	struct lossy lossy = { 0 };
	struct err err = { 0 };

	for (size_t at = 0; at < rows[row].len; at += piece) {
		size_t left = rows[row].len - at;

		assert_int_equal(lossy_append(&lossy, out, rows[row].bytes + at,
					      left < piece ? left : piece, false, &err),
				 0);
	}
	assert_int_equal(lossy_append(&lossy, out, "", 0, true, &err), 0);
}

static void any_bytes_become_the_same_text_in_pieces_of_any_size(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t piece = 1; piece <= 8; piece++) {
			struct buf out SCOPED(buf_deinit) = BUF_INIT(256);

			convert(i, piece, &out);
			if (strcmp(buf_str(&out), rows[i].text) != 0)
				fail_msg("%s in pieces of %zu: '%s'", rows[i].name, piece,
					 buf_str(&out));
		}
	}
}

static void two_arbitrary_bytes_always_become_valid_text(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 65536; i++) {
		struct buf out SCOPED(buf_deinit) = BUF_INIT(64);
		char bytes[] = { (char)(i >> 8), (char)(i & 0xff), 'x' };
		struct lossy lossy = { 0 };
		struct err err = { 0 };

		assert_int_equal(lossy_append(&lossy, &out, bytes, 1, false, &err), 0);
		assert_int_equal(lossy_append(&lossy, &out, bytes + 1, 2, true, &err), 0);
		if (!str_is_utf8(out.data, out.len) || out.data[out.len - 1] != 'x')
			fail_msg("bytes %04x", i);
		assert_in_range(out.len, 2, 3 * LOSSY_GROWTH);
	}
}

static void without_room_nothing_changes(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(3);
	struct lossy lossy = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(lossy_append(&lossy, &out, "\xe2", 1, false, &err), 0);
	assert_int_equal(lossy_append(&lossy, &out, "\x82\xac!", 3, false, &err), ERR_LIMIT);
	assert_int_equal(out.len, 0);
	assert_int_equal(lossy_append(&lossy, &out, "\x82\xac", 2, false, &err), 0);
	assert_string_equal(buf_str(&out), "\u20ac");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(any_bytes_become_the_same_text_in_pieces_of_any_size),
		FIXTURE_TEST(two_arbitrary_bytes_always_become_valid_text),
		FIXTURE_TEST(without_room_nothing_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
