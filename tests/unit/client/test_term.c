#include <stdio.h>
#include <string.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "client/term.h"
#include "tests/support/fixture.h"

static void nothing_that_moves_the_cursor_or_turns_text_around_passes(void **state)
{
	static const struct {
		const char *text;
		const char *clean; /* as text */
		const char *line;  /* as a line */
	} rows[] = {
		{ "plain \xc3\xa9 \xe6\xbc\xa2 \xf0\x9f\x98\x80", NULL, NULL },
		{ "a\nb\tc", "a\nb\tc", "a\\nb\\tc" },
		{ "\033[2J", "\\x1b[2J", "\\x1b[2J" },
		{ "a\rb", "a\\rb", "a\\rb" },
		{ "a\r\nb", "a\nb", "a\\r\\nb" },
		{ "\x07\x08\x7f", "\\x07\\x08\\x7f", "\\x07\\x08\\x7f" },
		{ "\xc2\x9b", "\\u009b", "\\u009b" },
		{ "\xe2\x80\xae", "\\u202e", "\\u202e" },
		{ "\xe2\x81\xa6", "\\u2066", "\\u2066" },
		{ "\xe2\x80\x8b", "\\u200b", "\\u200b" },
		{ "\xef\xbb\xbf", "\\ufeff", "\\ufeff" },
		{ "\xf3\xa0\x81\x81", "\\U000e0041", "\\U000e0041" },
		{ "\xff\xc3", "\\xff\\xc3", "\\xff\\xc3" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80", "\\xed\\xa0\\x80" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf text SCOPED(buf_deinit) = BUF_INIT(256);
		struct buf line SCOPED(buf_deinit) = BUF_INIT(256);
		struct err err = { 0 };
		size_t len = strlen(rows[i].text);

		assert_int_equal(term_clean(&text, rows[i].text, len, TERM_TEXT, &err), 0);
		assert_int_equal(term_clean(&line, rows[i].text, len, TERM_LINE, &err), 0);
		assert_string_equal(buf_str(&text), rows[i].clean ? rows[i].clean : rows[i].text);
		assert_string_equal(buf_str(&line), rows[i].line ? rows[i].line : rows[i].text);
	}
}

static void every_byte_becomes_something_visible(void **state)
{
	(void)state;
	for (int byte = 0; byte < 256; byte++) {
		struct buf line SCOPED(buf_deinit) = BUF_INIT(64);
		struct err err = { 0 };
		char text = (char)byte;

		assert_int_equal(term_clean(&line, &text, 1, TERM_LINE, &err), 0);
		assert_true(line.len > 0);
		for (size_t i = 0; i < line.len; i++) {
			if (line.data[i] < 0x20 || line.data[i] == 0x7f)
				fail_msg("byte %d", byte);
		}
	}
}

static void a_quoted_word_reads_back_as_the_same_bytes(void **state)
{
	static const struct {
		const char *word;
		const char *quoted;
	} rows[] = {
		{ "ls", "ls" },
		{ "/a/b-c_d.e=1:2@3%4+5,6", "/a/b-c_d.e=1:2@3%4+5,6" },
		{ "", "''" },
		{ "a b", "'a b'" },
		{ "$HOME`x`\\\"", "'$HOME`x`\\\"'" },
		{ "it's", "$'it\\'s'" },
		{ "a\nb", "$'a\\nb'" },
		{ "\\'\n", "$'\\\\\\'\\n'" },
		{ "\xe2\x80\xae", "$'\\u202e'" },
		{ "~", "'~'" },
		{ "*", "'*'" },
		{ "\xc3\xa9", "'\xc3\xa9'" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out SCOPED(buf_deinit) = BUF_INIT(256);
		struct err err = { 0 };

		assert_int_equal(term_quote(&out, rows[i].word, strlen(rows[i].word), &err), 0);
		assert_string_equal(buf_str(&out), rows[i].quoted);
	}
}

static void a_full_buffer_is_a_failure(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(3);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(term_clean(&out, "abcd", 4, TERM_TEXT, &err), ERR_LIMIT);
	buf_clear(&out);
	assert_int_equal(term_quote(&out, "a b", 3, &err), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(nothing_that_moves_the_cursor_or_turns_text_around_passes),
		FIXTURE_TEST(every_byte_becomes_something_visible),
		FIXTURE_TEST(a_quoted_word_reads_back_as_the_same_bytes),
		FIXTURE_TEST(a_full_buffer_is_a_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
