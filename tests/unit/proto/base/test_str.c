#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "tests/support/alloc_fail.h"
#include "tests/support/fixture.h"

static void comparing(void **state)
{
	static const struct {
		const char *text;
		const char *other;
		bool eq;
		bool starts;
		bool ends;
	} rows[] = {
		{ "", "", true, true, true },        { "abc", "abc", true, true, true },
		{ "abc", "", false, true, true },    { "abc", "ab", false, true, false },
		{ "abc", "bc", false, false, true }, { "abc", "abcd", false, false, false },
		{ "", "a", false, false, false },    { "abab", "ab", false, true, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (str_eq(rows[i].text, rows[i].other) != rows[i].eq ||
		    str_starts(rows[i].text, rows[i].other) != rows[i].starts ||
		    str_ends(rows[i].text, rows[i].other) != rows[i].ends)
			fail_msg("'%s' and '%s'", rows[i].text, rows[i].other);
	}
	assert_true(str_eq(NULL, NULL));
	assert_false(str_eq(NULL, ""));
	assert_false(str_eq("", NULL));
}

static void a_copy_fits_or_is_not_made(void **state)
{
	static const struct {
		const char *text;
		size_t size;
		int rc;
	} rows[] = {
		{ "", 1, 0 },
		{ "", 0, ERR_LIMIT },
		{ "abc", 4, 0 },
		{ "abc", 3, ERR_LIMIT },
		{ "abc", 0, ERR_LIMIT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[8] = "before";
		struct err err = { 0 };
		int rc = str_copy(out, rows[i].size, rows[i].text, &err);

		if (rc != rows[i].rc || !str_eq(out, rc == 0 ? rows[i].text : "before"))
			fail_msg("'%s' into %zu: %d", rows[i].text, rows[i].size, rc);
	}
}

static int duplicate_twice(void *context)
{
	char *one SCOPED(str_free) = str_dup("word");
	char *two SCOPED(str_free) = str_dup_len("words\0more", 8);

	(void)context;
	if (!one || !two)
		return ERR_NOMEM;
	assert_string_equal(one, "word");
	assert_memory_equal(two, "words\0mo", 9);
	return 0;
}

static void a_duplicate_is_whole_or_null(void **state)
{
	char *empty SCOPED(str_free) = str_dup_len(NULL, 0);

	(void)state;
	assert_string_equal(empty, "");
	alloc_fail_each(duplicate_twice, NULL);
	str_free(&empty);
	assert_null(empty);
}

static void a_number_is_the_whole_text(void **state)
{
	static const struct {
		const char *text;
		int64_t low;
		int64_t high;
		int rc;
		int64_t value;
	} rows[] = {
		{ "0", 0, 10, 0, 0 },
		{ "10", 0, 10, 0, 10 },
		{ "-5", -5, 10, 0, -5 },
		{ "007", 0, 10, 0, 7 },
		{ "9223372036854775807", INT64_MIN, INT64_MAX, 0, INT64_MAX },
		{ "-9223372036854775808", INT64_MIN, INT64_MAX, 0, INT64_MIN },
		{ "11", 0, 10, ERR_LIMIT, 0 },
		{ "-1", 0, 10, ERR_LIMIT, 0 },
		{ "9223372036854775808", INT64_MIN, INT64_MAX, ERR_LIMIT, 0 },
		{ "99999999999999999999999", 0, 10, ERR_LIMIT, 0 },
		{ "", 0, 10, ERR_INVALID, 0 },
		{ "-", -10, 10, ERR_INVALID, 0 },
		{ "+1", 0, 10, ERR_INVALID, 0 },
		{ " 1", 0, 10, ERR_INVALID, 0 },
		{ "\t1", 0, 10, ERR_INVALID, 0 },
		{ "\n1", 0, 10, ERR_INVALID, 0 },
		{ "- 1", -10, 10, ERR_INVALID, 0 },
		{ "--1", -10, 10, ERR_INVALID, 0 },
		{ "1 ", 0, 10, ERR_INVALID, 0 },
		{ "1x", 0, 10, ERR_INVALID, 0 },
		{ "0x1", 0, 10, ERR_INVALID, 0 },
		{ "1.0", 0, 10, ERR_INVALID, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t value = 77;
		struct err err = { 0 };
		int rc = str_to_int(&value, rows[i].text, rows[i].low, rows[i].high, &err);

		if (rc != rows[i].rc || value != (rc == 0 ? rows[i].value : 77))
			fail_msg("'%s': %d, %lld", rows[i].text, rc, (long long)value);
	}
}

static void utf8_is_what_rfc_3629_says(void **state)
{
	static const struct {
		const char *name;
		const char *bytes;
		size_t len;
		size_t step; /* of the first character */
		bool whole;
	} rows[] = {
		{ "empty", "", 0, 0, true },
		{ "ascii", "a", 1, 1, true },
		{ "NUL", "\0", 1, 0, false },
		{ "NUL behind a letter", "a\0", 2, 1, false },
		{ "lowest of two", "\xc2\x80", 2, 2, true },
		{ "highest of two", "\xdf\xbf", 2, 2, true },
		{ "overlong slash", "\xc0\xaf", 2, 0, false },
		{ "overlong of two", "\xc1\xbf", 2, 0, false },
		{ "lowest of three", "\xe0\xa0\x80", 3, 3, true },
		{ "overlong of three", "\xe0\x9f\xbf", 3, 0, false },
		{ "before the surrogates", "\xed\x9f\xbf", 3, 3, true },
		{ "first surrogate", "\xed\xa0\x80", 3, 0, false },
		{ "behind the surrogates", "\xee\x80\x80", 3, 3, true },
		{ "third byte wrong", "\xe2\x82\x28", 3, 0, false },
		{ "lowest of four", "\xf0\x90\x80\x80", 4, 4, true },
		{ "overlong of four", "\xf0\x8f\xbf\xbf", 4, 0, false },
		{ "highest", "\xf4\x8f\xbf\xbf", 4, 4, true },
		{ "beyond the highest", "\xf4\x90\x80\x80", 4, 0, false },
		{ "never a first byte", "\xf5\x80\x80\x80", 4, 0, false },
		{ "continuation first", "\x80", 1, 0, false },
		{ "cut after one", "\xe2", 1, 0, false },
		{ "cut after two", "\xe2\x82", 2, 0, false },
		{ "cut after three", "\xf0\x9f\x98", 3, 0, false },
		{ "ff", "\xff", 1, 0, false },
		{ "good then bad", "a\xff", 2, 1, false },
		{ "mixed", "a\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", 10, 1, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (str_utf8_step(rows[i].bytes, rows[i].len) != rows[i].step ||
		    str_is_utf8(rows[i].bytes, rows[i].len) != rows[i].whole)
			fail_msg("row '%s'", rows[i].name);
	}
}

static void quoting_leaves_one_line_in_quotes(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *quoted;
	} rows[] = {
		{ "", 0, "''" },
		{ "plain", 5, "'plain'" },
		{ "a\nb\tc", 5, "'a\\nb\\tc'" },
		{ "\x1b[0m\x7f", 5, "'\\x1b[0m\\x7f'" },
		{ "it's \\", 6, "'it\\'s \\\\'" },
		{ "a\0b", 3, "'a\\x00b'" },
		{ "gr\xc3\xbcn", 5, "'gr\xc3\xbcn'" },
		{ "100%s", 5, "'100%s'" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out SCOPED(buf_deinit) = BUF_INIT(100);
		struct err err = { 0 };

		assert_int_equal(str_quote(&out, rows[i].bytes, rows[i].len, &err), 0);
		assert_string_equal(buf_str(&out), rows[i].quoted);
	}
}

static void quoting_without_room_adds_nothing(void **state)
{
	(void)state;
	/* "x" and what str_quote adds for a newline and a letter, 5 bytes: too little room from 0
	 * to 5. */
	for (size_t max = 1; max <= 6; max++) {
		struct buf out SCOPED(buf_deinit) = BUF_INIT(max);
		struct err err = { 0 };
		int rc;

		assert_int_equal(buf_puts(&out, "x", &err), 0);
		rc = str_quote(&out, "\na", 2, &err);
		assert_int_equal(rc, max == 6 ? 0 : ERR_LIMIT);
		assert_string_equal(buf_str(&out), max == 6 ? "x'\\na'" : "x");
	}
}

static int quote_something_long(void *context)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(10000);
	struct err err = { 0 };
	int rc = str_quote(&out, context, strlen(context), &err);

	if (rc < 0)
		assert_string_equal(buf_str(&out), "");
	return rc;
}

static void quoting_survives_each_failed_allocation(void **state)
{
	char text[500];

	(void)state;
	memset(text, '\n', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	alloc_fail_each(quote_something_long, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(comparing),
		FIXTURE_TEST(a_copy_fits_or_is_not_made),
		FIXTURE_TEST(a_duplicate_is_whole_or_null),
		FIXTURE_TEST(a_number_is_the_whole_text),
		FIXTURE_TEST(utf8_is_what_rfc_3629_says),
		FIXTURE_TEST(quoting_leaves_one_line_in_quotes),
		FIXTURE_TEST(quoting_without_room_adds_nothing),
		FIXTURE_TEST(quoting_survives_each_failed_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
