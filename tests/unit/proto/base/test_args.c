#include <string.h>

#include "proto/base/args.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "tests/support/fixture.h"

#define ARGV_MAX 8

/* What the options of the tests are read into. */
struct values {
	const char *name;
	bool flag;
	int number;
};

static int parse(struct values *out, const char *const *words, struct err *err)
{
	const struct arg args[] = {
		{ "--name", .text = &out->name },
		{ "--flag", .flag = &out->flag },
		{ "--number", .number = &out->number, .low = 3, .high = 9 },
	};
	char *argv[ARGV_MAX + 2] = { str_dup("program") };
	size_t count = 1;
	int rc;

	for (; words[count - 1]; count++)
		argv[count] = (char *)(uintptr_t)words[count - 1];
	rc = args_parse(args, ARRAY_LEN(args), argv, err);
	str_free(&argv[0]);
	return rc;
}

static void options_are_read_in_any_order_and_the_last_one_holds(void **state)
{
	struct values values = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(parse(&values,
			       (const char *const[]){ "--number", "9", "--name", "a", "--flag",
						      "--name", "--flag", NULL },
			       &err),
			 0);
	assert_string_equal(values.name, "--flag"); /* a value, wherever it stands */
	assert_true(values.flag);
	assert_int_equal(values.number, 9);
}

static void what_is_not_given_is_left_as_it_is(void **state)
{
	struct values values = { .name = "before", .number = 5 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(parse(&values, (const char *const[]){ NULL }, &err), 0);
	assert_string_equal(values.name, "before");
	assert_false(values.flag);
	assert_int_equal(values.number, 5);
}

static void what_is_wrong_is_refused_with_the_option(void **state)
{
	static const struct {
		const char *words[ARGV_MAX];
		int code;
		const char *named;
	} rows[] = {
		{ { "--number", "3" }, 0, NULL },
		{ { "--number", "2" }, ERR_LIMIT, "--number" },
		{ { "--number", "10" }, ERR_LIMIT, "--number" },
		{ { "--number", "x" }, ERR_INVALID, "--number" },
		{ { "--number" }, ERR_INVALID, "--number" },
		{ { "--flag", "--name" }, ERR_INVALID, "--name" },
		{ { "--nam", "x" }, ERR_INVALID, "--nam" },
		{ { "name" }, ERR_INVALID, "name" },
		{ { "" }, ERR_INVALID, "''" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct values values = { 0 };
		struct err err = { 0 };

		if (parse(&values, rows[i].words, &err) != rows[i].code ||
		    (rows[i].named && !strstr(err.text, rows[i].named)))
			fail_msg("row %zu: %d %s", i, err.code, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(options_are_read_in_any_order_and_the_last_one_holds),
		FIXTURE_TEST(what_is_not_given_is_left_as_it_is),
		FIXTURE_TEST(what_is_wrong_is_refused_with_the_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
