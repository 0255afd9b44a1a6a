#include <stdlib.h>
#include <string.h>

#include "proto/base/attr.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/name.h"
#include "proto/conf/value.h"

#include "tests/support/fixture.h"

static void a_literal_means_what_toml_and_json_say(void **state)
{
	static const struct {
		const char *text;
		const char *json;
	} rows[] = {
		{ "\"a\"", "\"a\"" },
		{ "'a\\b'", "\"a\\\\b\"" },
		{ "\"a\\tb\\u00e9\\U0001F600\"", "\"a\\tb\xc3\xa9\xf0\x9f\x98\x80\"" },
		{ "\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\"" },
		{ "\"a # b\"  # c", "\"a # b\"" },
		{ "true", "true" },
		{ "false # off", "false" },
		{ "0", "0" },
		{ "-17", "-17" },
		{ "+17", "17" },
		{ "1_000", "1000" },
		{ "0xff", "255" },
		{ "0o17", "15" },
		{ "0b101", "5" },
		{ "9223372036854775807", "9223372036854775807" },
		{ "-9223372036854775808", "-9223372036854775808" },
		{ "1.5", "1.5" },
		{ "1e3", "1000.0" },
		{ "[]", "[]" },
		{ "[\"a\", 'b', 3,]", "[\"a\",\"b\",3]" },
		{ "[\n  \"a\", # first ]\n  \"b\"\n]", "[\"a\",\"b\"]" },
		{ "[[1], {a = 2}]", "[[1],{\"a\":2}]" },
		{ "{}", "{}" },
		{ "{a = 1, \"b.c\" = 'x', d.e = true}",
		  "{\"a\":1,\"b.c\":\"x\",\"d\":{\"e\":true}}" },
		{ "{\"a\": {\"b\": [1]}}", "{\"a\":{\"b\":[1]}}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conf_value value SCOPED(conf_value_deinit) = { 0 };
		struct err err = { 0 };
		char *shown SCOPED(str_free) = NULL;

		if (conf_value_parse(&value, rows[i].text, false, &err) < 0)
			fail_msg("%s: %s", rows[i].text, err.text);
		shown = json_dumps(value.json, JSON_COMPACT | JSON_ENCODE_ANY);
		if (!str_eq(shown, rows[i].json))
			fail_msg("%s became %s", rows[i].text, shown);
	}
}

static void what_looks_like_no_literal_is_a_word(void **state)
{
	static const char *const rows[] = { "read-only", "gpt-5.1",    "http://127.0.0.1:1/v1",
					    "/a/b#c",    "010",        "1_",
					    "_1",        "0x",         "9223372036854775808",
					    "nan",       "2026-01-02", "True" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conf_value value SCOPED(conf_value_deinit) = { 0 };
		struct err err = { 0 };

		if (conf_value_parse(&value, rows[i], false, &err) < 0)
			fail_msg("%s: %s", rows[i], err.text);
		if (!str_eq(json_string_value(value.json), rows[i]))
			fail_msg("%s did not stay a word", rows[i]);
	}
}

static void a_bare_number_is_kept_as_text_too(void **state)
{
	struct conf_value value SCOPED(conf_value_deinit) = { 0 };

	(void)state;
	assert_int_equal(conf_value_parse(&value, "5", false, NULL), 0);
	assert_true(json_is_integer(value.json));
	assert_string_equal(json_string_value(value.word), "5");
}

static void a_malformed_value_is_named(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} rows[] = {
		{ "", "missing" },
		{ "# only a comment", "missing" },
		{ "\"a", "closing quote" },
		{ "\"a\nb\"", "closing quote" },
		{ "\"\"\"a\"\"\"", "one line" },
		{ "\"\\q\"", "escape" },
		{ "\"\\u12\"", "hexadecimal" },
		{ "\"\\ud800\"", "not a character" },
		{ "\"a\" b", "behind" },
		{ "a b", "quotes" },
		{ "[1", "']'" },
		{ "[1 2]", "']'" },
		{ "[a]", "quotes" },
		{ "{a = }", "quotes" },
		{ "{a}", "name = value" },
		{ "{a = 1, a = 2}", "twice" },
		{ "{a = 1, a.b = 2}", "already" },
		{ "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "inside each other" },
		{ "\"\xff\"", "UTF-8" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conf_value value = { 0 };
		struct err err = { 0 };

		if (conf_value_parse(&value, rows[i].text, false, &err) == 0)
			fail_msg("'%s' was accepted", rows[i].text);
		if (!strstr(err.text, rows[i].says))
			fail_msg("'%s': %s", rows[i].text, err.text);
	}
}

static void nesting_and_length_have_their_limits(void **state)
{
	char text[2 * CONF_NEST_MAX + 8];
	char *longest SCOPED(str_free) = malloc(CONF_VALUE_MAX + 2);
	struct conf_value value = { 0 };
	struct err err = { 0 };

	(void)state;
	memset(text, '[', CONF_NEST_MAX);
	memset(text + CONF_NEST_MAX, ']', CONF_NEST_MAX);
	text[2 * CONF_NEST_MAX] = '\0';
	assert_int_equal(conf_value_parse(&value, text, false, &err), 0);
	conf_value_deinit(&value);
	assert_non_null(longest);
	memset(longest, 'x', CONF_VALUE_MAX + 1);
	longest[CONF_VALUE_MAX] = '\0';
	assert_int_equal(conf_value_parse(&value, longest, false, &err), 0);
	conf_value_deinit(&value);
	longest[CONF_VALUE_MAX] = 'x';
	longest[CONF_VALUE_MAX + 1] = '\0';
	assert_int_equal(conf_value_parse(&value, longest, false, &err), ERR_LIMIT);
}

static void a_loose_word_may_hold_blanks_and_hashes(void **state)
{
	struct conf_value value SCOPED(conf_value_deinit) = { 0 };

	(void)state;
	assert_int_equal(conf_value_parse(&value, "be brief # really", true, NULL), 0);
	assert_string_equal(json_string_value(value.json), "be brief # really");
}

static void an_open_bracket_is_seen_outside_strings_only(void **state)
{
	static const struct {
		const char *text;
		size_t open;
	} rows[] = { { "[", 1 },         { "[1, [2]", 1 }, { "[1]", 0 },
		     { "[\"]", 1 },      { "[']']", 0 },   { "[ # ]", 1 },
		     { "[\n# ]\n]", 0 }, { "{ a = [", 2 }, { "[\"\\\"]\"]", 0 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (conf_value_open(rows[i].text) != rows[i].open)
			fail_msg("%s", rows[i].text);
	}
}

static void a_name_falls_into_its_parts_and_back(void **state)
{
	static const struct {
		const char *text;
		size_t parts;
		const char *back;
	} rows[] = { { "a", 1, "a" },
		     { "a.b-c._1", 3, "a.b-c._1" },
		     { " a . \"b.c\" ", 2, "a.\"b.c\"" },
		     { "projects.'/x y'.t", 3, "projects.\"/x y\".t" },
		     { "a.\"q\\\"\\\\\"", 2, "a.\"q\\\"\\\\\"" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conf_name name SCOPED(conf_name_deinit) = { 0 };
		char *back SCOPED(str_free) = NULL;
		struct err err = { 0 };

		if (conf_name_parse(&name, rows[i].text, strlen(rows[i].text), &err) < 0)
			fail_msg("%s: %s", rows[i].text, err.text);
		assert_int_equal(name.count, rows[i].parts);
		assert_int_equal(conf_name_format(&back, &name, &err), 0);
		assert_string_equal(back, rows[i].back);
	}
}

static void a_malformed_name_changes_nothing(void **state)
{
	static const char *const rows[] = { "",     ".",     "a.",
					    "a..b", "a b",   "/x",
					    "\"a",  "a.b/c", "1.2.3.4.5.6.7.8.9" };
	struct conf_name name SCOPED(conf_name_deinit) = { 0 };

	(void)state;
	assert_int_equal(conf_name_parse(&name, "x", 1, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (conf_name_parse(&name, rows[i], strlen(rows[i]), NULL) == 0)
			fail_msg("'%s' was accepted", rows[i]);
		assert_int_equal(name.count, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_literal_means_what_toml_and_json_say),
		FIXTURE_TEST(what_looks_like_no_literal_is_a_word),
		FIXTURE_TEST(a_bare_number_is_kept_as_text_too),
		FIXTURE_TEST(a_malformed_value_is_named),
		FIXTURE_TEST(nesting_and_length_have_their_limits),
		FIXTURE_TEST(a_loose_word_may_hold_blanks_and_hashes),
		FIXTURE_TEST(an_open_bracket_is_seen_outside_strings_only),
		FIXTURE_TEST(a_name_falls_into_its_parts_and_back),
		FIXTURE_TEST(a_malformed_name_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
