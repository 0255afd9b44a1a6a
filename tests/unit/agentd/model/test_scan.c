#include <jansson.h>
#include <string.h>

#include "proto/base/buf.h"

#include "agentd/model/scan.h"
#include "tests/support/fixture.h"

#define TEXT_MAX 4096U

/* What the scanner takes, and what it leaves to the parser. */
static const struct row {
	const char *json;
	bool taken;
} rows[] = {
	{ "{\"type\":\"t\",\"delta\":\"x\",\"output_index\":3}", true },
	{ " { \"type\" : \"t\" , \"delta\" : \"x\" } \r\n", true },
	{ "{\"delta\":\"\"}", true },
	{ "{\"delta\":\"a\",\"delta\":\"b\"}", true },
	{ "{\"delta\":\"a\",\"delta\":7}", true },
	{ "{\"delta\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", true },
	{ "{\"delta\":\"\\u0041\\u00e9\\u20AC\\uFFFD\"}", true },
	{ "{\"delta\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"}", true },
	{ "{\"delta\":\"x\",\"logprobs\":[],\"a\":{},\"b\":null,\"c\":true,\"d\":false}", true },
	{ "{\"output_index\":0,\"sequence_number\":-12,\"delta\":\"x\"}", true },
	{ "{\"output_index\":-1,\"delta\":\"x\"}", true },
	{ "{\"output_index\":999999999999999999,\"delta\":\"x\"}", true },
	{ "{\"type\":5,\"delta\":\"x\"}", true },
	/* JSON that is not flat, or unusual */
	{ "{}", false },
	{ "{\"delta\":\"x\",\"logprobs\":[1]}", false },
	{ "{\"delta\":\"x\",\"logprobs\":[ ]}", false },
	{ "{\"delta\":\"x\",\"a\":{\"b\":1}}", false },
	{ "{\"delta\":\"\\ud83d\\ude00\"}", false },
	{ "{\"de\\u006cta\":\"x\"}", false },
	{ "{\"a\":1.5,\"delta\":\"x\"}", false },
	{ "{\"a\":1e3,\"delta\":\"x\"}", false },
	{ "{\"a\":1000000000000000000,\"delta\":\"x\"}", false },
	{ "{\"a\":9999999999999999999,\"delta\":\"x\"}", false },
	{ "{\"a\":-99999999999999999999999,\"delta\":\"x\"}", false },
	/* not JSON */
	{ "", false },
	{ "[]", false },
	{ "{", false },
	{ "{\"delta\"", false },
	{ "{\"delta\":", false },
	{ "{\"delta\":\"x\"", false },
	{ "{\"delta\":\"x\",}", false },
	{ "{\"delta\":\"x\"}x", false },
	{ "{\"delta\":\"x\"}{}", false },
	{ "{\"delta\":\"x}", false },
	{ "{\"delta\":\"\\\"}", false },
	{ "{\"delta\":\"\\x\"}", false },
	{ "{\"delta\":\"\\u00g0\"}", false },
	{ "{\"delta\":\"\\u0000\"}", false },
	{ "{\"delta\":\"\\u12", false },
	{ "{\"delta\":\"\n\"}", false },
	{ "{\"delta\":\"\xff\"}", false },
	{ "{\"delta\":\"\xed\xa0\x80\"}", false },
	{ "{\"delta\":\"\xc3\"}", false },
	{ "{\"a\":01,\"delta\":\"x\"}", false },
	{ "{\"a\":-,\"delta\":\"x\"}", false },
	{ "{\"a\":nul,\"delta\":\"x\"}", false },
	{ "{delta:\"x\"}", false },
	{ "{\"delta\" \"x\"}", false },
};

/* The scanned member is what the parser reads. */
static void compare(const struct row *row, const struct scan_text *text, const json_t *value)
{
	struct buf plain SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);

	if (!text->at) {
		if (json_is_string(value))
			fail_msg("%s: a string was not seen", row->json);
		return;
	}
	if (!json_is_string(value))
		fail_msg("%s: a string was seen where there is none", row->json);
	assert_int_equal(text->escaped, memchr(text->at, '\\', text->len) != NULL);
	assert_int_equal(scan_unescape(&plain, text, NULL), 0);
	if (plain.len != json_string_length(value) ||
	    memcmp(buf_str(&plain), json_string_value(value), plain.len) != 0)
		fail_msg("%s: read as '%s'", row->json, buf_str(&plain));
}

static void what_is_taken_is_what_the_parser_reads(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct scan_delta scanned = { 0 };
		json_t *value = json_loads(rows[i].json, 0, NULL);
		const json_t *index = json_object_get(value, "output_index");

		if (scan_delta(&scanned, rows[i].json, strlen(rows[i].json)) != rows[i].taken)
			fail_msg("%s", rows[i].json);
		if (rows[i].taken) {
			assert_non_null(value);
			compare(&rows[i], &scanned.type, json_object_get(value, "type"));
			compare(&rows[i], &scanned.delta, json_object_get(value, "delta"));
			assert_int_equal(scanned.output_index,
					 json_is_integer(index) && json_integer_value(index) >= 0
						 ? json_integer_value(index)
						 : -1);
		}
		json_decref(value);
	}
}

static void a_text_that_ends_anywhere_is_not_read_beyond(void **state)
{
	static const char json[] =
		"{\"type\":\"t\",\"delta\":\"\\u20ac\xe2\x82\xac\",\"n\":12,\"l\":[]}";

	(void)state;
	for (size_t len = 0; len < sizeof json; len++) {
		char *copy = test_malloc(len);
		struct scan_delta scanned = { 0 };

		memcpy(copy, json, len);
		assert_int_equal(scan_delta(&scanned, copy, len), len == sizeof json - 1);
		test_free(copy);
	}
}

static void unescaping_stops_at_the_ceiling(void **state)
{
	const struct scan_text text = { "a\\u20acb", 8, true };
	struct buf five SCOPED(buf_deinit) = BUF_INIT(5);
	struct buf four SCOPED(buf_deinit) = BUF_INIT(4);

	(void)state;
	assert_int_equal(scan_unescape(&five, &text, NULL), 0);
	assert_string_equal(buf_str(&five), "a\xe2\x82\xac"
					    "b");
	assert_true(scan_unescape(&four, &text, NULL) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(what_is_taken_is_what_the_parser_reads),
		FIXTURE_TEST(a_text_that_ends_anywhere_is_not_read_beyond),
		FIXTURE_TEST(unescaping_stops_at_the_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
