#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/json.h"

#include "tests/support/alloc_fail.h"
#include "tests/support/fixture.h"

#define TEXT(literal) (literal), sizeof(literal) - 1

static void what_two_parsers_could_read_differently_is_refused(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		int code; /* 0: accepted */
		const char *sentence;
	} rows[] = {
		{ TEXT("{}"), 0, "" },
		{ TEXT(" [1, 2] \n"), 0, "" },
		{ TEXT("{\"a\": {\"b\": 1}, \"b\": 1}"), 0, "" },
		{ TEXT("{\"a\": \"\xe2\x82\xac\"}"), 0, "" },
		{ TEXT("{\"a\": 1, \"a\": 1}"), ERR_INVALID,
		  "an object with the same member twice near byte " },
		{ TEXT("{\"a\": [{\"b\": 1, \"b\": 2}]}"), ERR_INVALID,
		  "an object with the same member twice near byte " },
		{ TEXT(""), ERR_INVALID, "malformed JSON near byte " },
		{ TEXT("{"), ERR_INVALID, "malformed JSON near byte " },
		{ TEXT("{} {}"), ERR_INVALID, "malformed JSON near byte " },
		{ TEXT("1"), ERR_INVALID, "malformed JSON near byte " },
		{ TEXT("{\"a\": \"\xff\"}"), ERR_INVALID, "malformed JSON near byte " },
		{ TEXT("{\"a\": \"\xc0\x80\"}"), ERR_INVALID, "malformed JSON near byte " },
		{ TEXT("{\"a\": \"\\u0000\"}"), ERR_INVALID, "malformed JSON near byte " },
		{ TEXT("{\"a\0b\": 1}"), ERR_INVALID, "malformed JSON near byte " },
		{ TEXT("{\"a\": \"\\ud800\"}"), ERR_INVALID, "malformed JSON near byte " },
		{ TEXT("{\"a\": 99999999999999999999}"), ERR_INVALID, "malformed JSON near byte " },
		{ TEXT("{}\0"), ERR_INVALID, "malformed JSON near byte " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = { 0 };
		json_auto_t *value = wire_json_load(rows[i].text, rows[i].len, &err);

		if ((value == NULL) != (rows[i].code != 0) || (int)err.code != rows[i].code ||
		    !str_starts(err.text, rows[i].sentence))
			fail_msg("%s: %d '%s'", rows[i].text, err.code, err.text);
	}
}

/* `depth` brackets of the kind, closed again. */
static char *brackets(char open, char closing, size_t depth)
{
	char *text = calloc(2 * depth + 1, 1);

	memset(text, open, depth);
	memset(text + depth, closing, depth);
	return text;
}

static void nesting_has_a_limit_and_text_does_not_count(void **state)
{
	struct err err = { 0 };
	char *at = brackets('[', ']', WIRE_JSON_DEPTH_MAX);
	char *over = brackets('[', ']', WIRE_JSON_DEPTH_MAX + 1);
	char *quoted = brackets('{', '[', WIRE_JSON_DEPTH_MAX + 1);
	char *text = NULL;
	json_t *value = wire_json_load(at, strlen(at), &err);

	(void)state;
	assert_non_null(value);
	json_decref(value);
	assert_null(wire_json_load(over, strlen(over), &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_true(asprintf(&text, "{\"a\": \"\\\"%s\", \"b\": []}", quoted) > 0);
	value = wire_json_load(text, strlen(text), &err);
	assert_non_null(value);
	json_decref(value);
	free(text);
	free(quoted);
	free(over);
	free(at);
}

static void a_text_has_a_limit(void **state)
{
	char *text = malloc(WIRE_JSON_MAX + 1);
	struct err err = { 0 };
	json_t *value;

	(void)state;
	memset(text, ' ', WIRE_JSON_MAX + 1);
	text[0] = '{';
	text[1] = '}';
	value = wire_json_load(text, WIRE_JSON_MAX, &err);
	assert_non_null(value);
	json_decref(value);
	assert_null(wire_json_load(text, WIRE_JSON_MAX + 1, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	free(text);
}

static void dumping_is_one_compact_line_behind_what_is_there(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(32);
	json_auto_t *value = json_pack("{s:[s, n]}", "a", "x\ny");
	json_auto_t *bare = json_true();

	(void)state;
	assert_int_equal(buf_puts(&out, "> ", NULL), 0);
	assert_int_equal(wire_json_dump(&out, value, NULL), 0);
	assert_string_equal(out.data, "> {\"a\":[\"x\\ny\",null]}");
	assert_int_equal(wire_json_dump(&out, bare, NULL), 0);
	assert_string_equal(out.data, "> {\"a\":[\"x\\ny\",null]}true");
}

static void what_exceeds_the_buffer_is_not_dumped_at_all(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(6);
	json_auto_t *fits = json_string("1234");
	json_auto_t *over = json_string("12345");
	struct err err = { 0 };

	(void)state;
	assert_int_equal(wire_json_dump(&out, over, &err), ERR_LIMIT);
	assert_int_equal(out.len, 0);
	assert_int_equal(wire_json_dump(&out, fits, &err), 0);
	assert_int_equal(out.len, 6);
}

static int dump(void *context)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(1024);
	struct err err = { 0 };

	return wire_json_dump(&out, context, &err);
}

static int load_empty(void *context)
{
	struct err err = { 0 };
	json_t *value = wire_json_load("{}", 2, &err);

	(void)context;
	json_decref(value);
	return err.code;
}

static void without_memory_it_says_so(void **state)
{
	json_auto_t *value = json_pack("{s:[s, n]}", "a", "x\ny");
	static const char text[] = "{\"a\": [1, \"two\", {\"three\": 3.5}], \"b\": null}";
	struct err err = { 0 };
	json_t *loaded;

	(void)state;
	alloc_fail_each(dump, value);
	load_empty(NULL); /* whatever jansson sets up once */
	alloc_fail_at(1);
	assert_int_equal(load_empty(NULL), ERR_NOMEM);
	/* In the middle of a text jansson does not always know that it was memory. It still
	 * refuses. */
	alloc_fail_at(0);
	loaded = wire_json_load(text, strlen(text), &err);
	for (size_t n = alloc_fail_count(); n > 0; n--) {
		json_t *other;

		alloc_fail_at(n);
		other = wire_json_load(text, strlen(text), &err);
		alloc_fail_at(0);
		if (other && !json_equal(other, loaded))
			fail_msg("allocation %zu failed and the value is another one", n);
		json_decref(other);
	}
	json_decref(loaded);
}

static void values_are_counted_before_they_are_made(void **state)
{
	static const struct row {
		const char *text;
		size_t least; /* what there are */
	} rows[] = {
		{ "", 0 },
		{ "[]", 1 },
		{ "[1,2,3]", 4 },
		{ "{\"a\":1,\"b\":[2,3]}", 5 },
		{ "[[],[],[[]]]", 5 },
		{ "[\"[,,,{:\\\",[\"]", 2 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t most = wire_json_values(rows[i].text, strlen(rows[i].text));

		/* A bracket and a member's name may count besides. */
		if (most < rows[i].least || most > 2 * rows[i].least + 1)
			fail_msg("'%s': %zu", rows[i].text, most);
	}
}

static void the_memory_of_a_value_is_estimated(void **state)
{
	json_auto_t *value = json_pack("{s:[s, i], s:{}}", "list", "text", 7, "more");

	(void)state;
	assert_int_equal(wire_json_bytes(NULL), WIRE_VALUE_BYTES);
	assert_int_equal(wire_json_bytes(value), 5 * WIRE_VALUE_BYTES + 4 + 4 + 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(what_two_parsers_could_read_differently_is_refused),
		FIXTURE_TEST(nesting_has_a_limit_and_text_does_not_count),
		FIXTURE_TEST(a_text_has_a_limit),
		FIXTURE_TEST(dumping_is_one_compact_line_behind_what_is_there),
		FIXTURE_TEST(what_exceeds_the_buffer_is_not_dumped_at_all),
		FIXTURE_TEST(without_memory_it_says_so),
		FIXTURE_TEST(values_are_counted_before_they_are_made),
		FIXTURE_TEST(the_memory_of_a_value_is_estimated),
	};

	alloc_fail_json();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
