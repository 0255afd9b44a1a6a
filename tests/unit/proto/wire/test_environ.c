#include <string.h>

#include "proto/base/err.h"
#include "proto/wire/environ.h"

#include "tests/support/fixture.h"

#define WORDS_MAX 8

/* A list of texts, ended by NULL, as the codec hands it out. */
static struct wire_strings words(const char *const *items)
{
	struct wire_strings out = { .items = items };

	while (items[out.count])
		out.count++;
	return out;
}

static void an_entry_is_a_name_and_a_value(void **state)
{
	static const struct row {
		const char *entry;
		int code;
	} rows[] = {
		{ "A=1", 0 },          { "A=", 0 },          { "A==", 0 },
		{ "a b=c", 0 },        { "", ERR_INVALID },  { "A", ERR_INVALID },
		{ "=x", ERR_INVALID }, { "=", ERR_INVALID },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *items[] = { "B=2", rows[i].entry, NULL };
		struct wire_strings env = words(items);
		struct err err = { 0 };

		if (environ_check(&env, &err) != rows[i].code)
			fail_msg("'%s': %s", rows[i].entry, err.text);
		if (rows[i].code != 0)
			assert_non_null(strstr(err.text, "env[1]"));
	}
}

/* Names of the table, of its families, neighbours of both, and names that are not plain. */
static void a_name_that_loads_code_is_not_harmless(void **state)
{
	static const struct row {
		const char *entry;
		int code;
	} rows[] = {
		{ "LD_PRELOAD=x", ERR_DENIED },
		{ "LD_=", ERR_DENIED },
		{ "LDFLAGS=x", 0 },
		{ "PATH=/w", ERR_DENIED },
		{ "PATHS=x", 0 },
		{ "XPATH=x", 0 },
		{ "PAGER=cat", 0 },
		{ "PAGER=cat; x", ERR_DENIED },
		{ "PAGER=", ERR_DENIED },
		{ "_=x", 0 },
		{ "1A=x", ERR_DENIED },
		{ "A-B=x", ERR_DENIED },
		{ "SYSTEMD_PAGER=x", ERR_DENIED },
		{ "NO_COLOR=1", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *items[] = { "B=2", rows[i].entry, NULL };
		struct wire_strings env = words(items);
		struct err err = { 0 };

		if (environ_check_harmless(&env, &err) != rows[i].code)
			fail_msg("'%s': %s", rows[i].entry, err.text);
	}
}

static void parts_are_merged_and_the_last_one_holds(void **state)
{
	static const struct row {
		const char *name;
		const char *parts[3][WORDS_MAX]; /* the second one removes */
		const char *expected[WORDS_MAX];
	} rows[] = {
		{ "nothing", { { NULL } }, { NULL } },
		{ "sorted", { { "B=2", "A=1" } }, { "A=1", "B=2" } },
		{ "replaced", { { "A=1" }, { "A=2" }, { "A=3" } }, { "A=3" } },
		{ "removed", { { "A=1", "B=2" }, { "A=" } }, { "B=2" } },
		{ "removed, and set again", { { "A=1" }, { "A=" }, { "A=" } }, { "A=" } },
		{ "a name is not its prefix", { { "AB=1", "A=2" }, { "A=" } }, { "AB=1" } },
		{ "the last of a part", { { "A=1", "A=2" } }, { "A=2" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct environ_part parts[3];
		struct arena arena SCOPED(arena_deinit) = { 0 };
		struct wire_strings out = { 0 };
		struct wire_strings expected = words(rows[i].expected);
		struct err err = { 0 };

		for (size_t k = 0; k < ARRAY_LEN(parts); k++)
			parts[k] = (struct environ_part){ words(rows[i].parts[k]), k == 1 };
		assert_int_equal(environ_merge(&out, parts, ARRAY_LEN(parts), &arena, &err), 0);
		if (!wire_strings_same(&out, &expected, 0))
			fail_msg("%s: %s", rows[i].name, out.count ? out.items[0] : "nothing");
		assert_null(out.items[out.count]);
	}
}

static void the_last_value_of_a_name_is_found(void **state)
{
	static const char *const items[] = { "A=1", "AB=2", "A=3", "C=", NULL };
	struct wire_strings env = words(items);

	(void)state;
	assert_string_equal(environ_value(&env, "A"), "3");
	assert_string_equal(environ_value(&env, "AB"), "2");
	assert_string_equal(environ_value(&env, "C"), "");
	assert_null(environ_value(&env, "B"));
	assert_null(environ_value(&env, ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(an_entry_is_a_name_and_a_value),
		FIXTURE_TEST(a_name_that_loads_code_is_not_harmless),
		FIXTURE_TEST(parts_are_merged_and_the_last_one_holds),
		FIXTURE_TEST(the_last_value_of_a_name_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
