#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"

#include "tests/support/fixture.h"

static void the_first_sentence_is_kept_with_its_code(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(ERR_SET(&err, ERR_LIMIT, "%d of %s", 3, "two"), ERR_LIMIT);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_int_equal(err.sys, 0);
	assert_string_equal(err.text, "3 of two");
}

static void a_failed_call_says_why_and_keeps_errno(void **state)
{
	static const struct {
		int sys;
		const char *text;
	} rows[] = {
		{ ENOENT, "open 'x': No such file or directory" },
		{ EACCES, "open 'x': Permission denied" },
		{ 99999, "open 'x': unknown error" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = { 0 };

		assert_int_equal(ERR_SYS(&err, rows[i].sys, "open '%s'", "x"), ERR_SYSTEM);
		assert_int_equal(err.code, ERR_SYSTEM);
		assert_int_equal(err.sys, rows[i].sys);
		assert_string_equal(err.text, rows[i].text);
	}
}

static void context_goes_in_front_and_changes_nothing_else(void **state)
{
	struct err err = { 0 };

	(void)state;
	(void)ERR_SYS(&err, EPERM, "mount");
	assert_int_equal(ERR_WRAP(&err, "step %d", 4), ERR_SYSTEM);
	assert_string_equal(err.text, "step 4: mount: Operation not permitted");
	assert_int_equal(err.sys, EPERM);

	(void)ERR_SET(&err, ERR_DENIED, "no");
	assert_int_equal(ERR_WRAP(&err, "plan"), ERR_DENIED);
	assert_int_equal(err.sys, 0);
	assert_string_equal(err.text, "plan: no");
}

static void a_failure_without_a_reason_stays_a_failure(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(ERR_WRAP(&err, "rules"), ERR_SYSTEM);
	assert_int_equal(err.code, ERR_SYSTEM);
	assert_string_equal(err.text, "rules: failed without a reason");
}

static void nobody_has_to_listen(void **state)
{
	(void)state;
	assert_int_equal(ERR_SET(NULL, ERR_GONE, "x"), ERR_GONE);
	assert_int_equal(ERR_SYS(NULL, EIO, "x"), ERR_SYSTEM);
	assert_int_equal(ERR_WRAP(NULL, "x"), ERR_SYSTEM);
}

static void a_long_sentence_is_cut_visibly(void **state)
{
	char text[2 * ERR_TEXT_MAX];
	struct err err = { 0 };

	(void)state;
	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';

	(void)ERR_SET(&err, ERR_INVALID, "%s", text);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	assert_true(str_ends(err.text, "a..."));

	text[ERR_TEXT_MAX - 1] = '\0'; /* fits exactly */
	(void)ERR_SET(&err, ERR_INVALID, "%s", text);
	assert_string_equal(err.text, text);

	assert_int_equal(ERR_WRAP(&err, "context"), ERR_INVALID);
	assert_true(str_starts(err.text, "context: a"));
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	assert_true(str_ends(err.text, "a..."));

	(void)ERR_SYS(&err, EIO, "%s", text);
	assert_true(str_ends(err.text, "a...")); /* no room for the reason, but err.sys has it */
	assert_int_equal(err.sys, EIO);
}

static void the_sentence_is_utf8_whatever_came_in(void **state)
{
	static const struct {
		const char *name;
		const char *in;
		const char *out;
	} rows[] = {
		{ "ascii", "plain", "plain" },
		{ "well formed", "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
		{ "stray byte",
		  "a\xff"
		  "b",
		  "a?b" },
		{ "cut character", "a\xe2\x82", "a??" },
		{ "overlong", "\xc0\xaf", "??" },
		{ "surrogate", "\xed\xa0\x80", "???" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = { 0 };

		(void)ERR_SET(&err, ERR_INVALID, "%s", rows[i].in);
		if (strcmp(err.text, rows[i].out) != 0)
			fail_msg("row '%s': '%s'", rows[i].name, err.text);
	}
}

static void a_cut_never_splits_a_character(void **state)
{
	char text[2 * ERR_TEXT_MAX];

	(void)state;
	/* Three-byte characters at each of the three possible distances from the end. */
	for (size_t shift = 0; shift < 3; shift++) {
		struct err err = { 0 };
		size_t used = shift;

		memset(text, 'a', sizeof text);
		for (; used + 3 < sizeof text; used += 3)
			memcpy(text + used, "\xe2\x82\xac", 3);
		text[used] = '\0';
		(void)ERR_SET(&err, ERR_INVALID, "%s", text);
		assert_true(str_is_utf8(err.text, strlen(err.text)));
		(void)ERR_WRAP(&err, "xy");
		assert_true(str_is_utf8(err.text, strlen(err.text)));
	}
}

static void arguments_may_point_into_the_old_sentence(void **state)
{
	struct err err = { 0 };

	(void)state;
	(void)ERR_SET(&err, ERR_INVALID, "line 7");
	(void)ERR_SET(&err, ERR_DENIED, "refused: %s, %s", err.text, err.text);
	assert_string_equal(err.text, "refused: line 7, line 7");
	(void)ERR_WRAP(&err, "%s", err.text + 9);
	assert_string_equal(err.text, "line 7, line 7: refused: line 7, line 7");
}

static void every_code_has_a_word(void **state)
{
	static const struct {
		enum err_code code;
		const char *word;
	} rows[] = { { ERR_NONE, "none" },       { ERR_NOMEM, "nomem" },
		     { ERR_SYSTEM, "system" },   { ERR_INVALID, "invalid" },
		     { ERR_LIMIT, "limit" },     { ERR_STATE, "state" },
		     { ERR_DENIED, "denied" },   { ERR_NOTFOUND, "notfound" },
		     { ERR_GONE, "gone" },       { (enum err_code)1, "unknown" },
		     { ERR_GONE - 1, "unknown" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(err_code_name(rows[i].code), rows[i].word);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(the_first_sentence_is_kept_with_its_code),
		FIXTURE_TEST(a_failed_call_says_why_and_keeps_errno),
		FIXTURE_TEST(context_goes_in_front_and_changes_nothing_else),
		FIXTURE_TEST(a_failure_without_a_reason_stays_a_failure),
		FIXTURE_TEST(nobody_has_to_listen),
		FIXTURE_TEST(a_long_sentence_is_cut_visibly),
		FIXTURE_TEST(the_sentence_is_utf8_whatever_came_in),
		FIXTURE_TEST(a_cut_never_splits_a_character),
		FIXTURE_TEST(arguments_may_point_into_the_old_sentence),
		FIXTURE_TEST(every_code_has_a_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
