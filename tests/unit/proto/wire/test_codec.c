#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/codec.h"
#include "proto/wire/common_gen.h"
#include "proto/wire/json.h"

#include "tests/support/alloc_fail.h"
#include "tests/support/fixture.h"

/* One field of every kind, with bounds small enough to stand on both sides of them. */
struct inner {
	int64_t number;
};

struct sample {
	const char *text;
	const char *path;
	const char *id;
	bool has_number;
	int64_t number;
	bool has_on;
	bool on;
	enum sandbox_mode mode;
	json_t *any;
	struct wire_strings words;
	const struct inner *inner;
	const struct inner *inners;
	size_t inners_count;
	const struct sample *again;
	const struct inner *one;
	struct wire_strings many;
};

struct strict {
	int64_t number;
	bool on;
	enum sandbox_mode mode;
	struct wire_strings words;
	json_t *any;
};

extern const struct type sample_type;

static const struct field inner_fields[] = {
	{ .name = "number",
	  .kind = WIRE_INT,
	  .offset = offsetof(struct inner, number),
	  .min = INT64_MIN,
	  .max = INT64_MAX },
};
static const struct type inner_type = { .name = "inner",
					.root = "inner",
					.size = sizeof(struct inner),
					.fields = inner_fields,
					.field_count = ARRAY_LEN(inner_fields) };

/* clang-format off */
static const struct field sample_fields[] = {
	{ .name = "text", .kind = WIRE_STRING, .offset = offsetof(struct sample, text),
	  .min = 2, .max = 5 },
	{ .name = "path", .kind = WIRE_PATH, .flags = WIRE_OPTIONAL,
	  .offset = offsetof(struct sample, path), .min = 1, .max = 8 },
	{ .name = "id", .kind = WIRE_ID, .flags = WIRE_OPTIONAL,
	  .offset = offsetof(struct sample, id), .min = 1, .max = WIRE_ID_MAX },
	{ .name = "number", .kind = WIRE_INT, .flags = WIRE_OPTIONAL,
	  .offset = offsetof(struct sample, number), .mark = offsetof(struct sample, has_number),
	  .min = -3, .max = 7 },
	{ .name = "on", .kind = WIRE_BOOL, .flags = WIRE_OPTIONAL,
	  .offset = offsetof(struct sample, on), .mark = offsetof(struct sample, has_on) },
	{ .name = "mode", .kind = WIRE_ENUM, .flags = WIRE_OPTIONAL,
	  .offset = offsetof(struct sample, mode), .names = &sandbox_mode_names },
	{ .name = "any", .kind = WIRE_JSON, .flags = WIRE_OPTIONAL,
	  .offset = offsetof(struct sample, any) },
	{ .name = "words", .kind = WIRE_STRING, .flags = WIRE_OPTIONAL | WIRE_LIST,
	  .offset = offsetof(struct sample, words.items),
	  .mark = offsetof(struct sample, words.count), .max = 4, .max_count = 3 },
	{ .name = "inner", .kind = WIRE_STRUCT, .flags = WIRE_OPTIONAL,
	  .offset = offsetof(struct sample, inner), .type = &inner_type },
	{ .name = "inners", .kind = WIRE_STRUCT, .flags = WIRE_OPTIONAL | WIRE_LIST,
	  .offset = offsetof(struct sample, inners), .mark = offsetof(struct sample, inners_count),
	  .max_count = 2, .type = &inner_type },
	{ .name = "again", .kind = WIRE_STRUCT, .flags = WIRE_OPTIONAL,
	  .offset = offsetof(struct sample, again), .type = &sample_type },
	{ .name = "both", .kind = WIRE_STRUCT, .flags = WIRE_OPTIONAL | WIRE_SHARED,
	  .offset = offsetof(struct sample, one), .type = &inner_type },
	{ .name = "both", .kind = WIRE_STRING, .flags = WIRE_OPTIONAL | WIRE_LIST | WIRE_SHARED,
	  .offset = offsetof(struct sample, many.items), .mark = offsetof(struct sample, many.count),
	  .max = 4, .max_count = 3 },
};
static const struct field strict_fields[] = {
	{ .name = "number", .kind = WIRE_INT, .offset = offsetof(struct strict, number),
	  .min = INT64_MIN, .max = INT64_MAX },
	{ .name = "on", .kind = WIRE_BOOL, .offset = offsetof(struct strict, on) },
	{ .name = "mode", .kind = WIRE_ENUM, .offset = offsetof(struct strict, mode),
	  .names = &sandbox_mode_names },
	{ .name = "words", .kind = WIRE_ID, .flags = WIRE_LIST,
	  .offset = offsetof(struct strict, words.items),
	  .mark = offsetof(struct strict, words.count), .min = 1, .max = 4, .max_count = 3 },
	{ .name = "any", .kind = WIRE_JSON, .offset = offsetof(struct strict, any) },
};
/* clang-format on */

const struct type sample_type = { .name = "sample",
				  .root = "params",
				  .size = sizeof(struct sample),
				  .fields = sample_fields,
				  .field_count = ARRAY_LEN(sample_fields) };
static const struct type strict_type = { .name = "strict",
					 .root = "result",
					 .size = sizeof(struct strict),
					 .fields = strict_fields,
					 .field_count = ARRAY_LEN(strict_fields) };

/* Not through wire_json_load(): what the loader refuses the codec must refuse too. */
static json_t *parse(const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

	if (!value)
		fail_msg("test row is not JSON: %s", text);
	return value;
}

static void expect_equal(const json_t *got, const json_t *expected, const char *row)
{
	char *text = json_dumps(got, JSON_COMPACT | JSON_ENCODE_ANY);

	if (!json_equal(got, expected))
		fail_msg("%s became %s", row, text);
	free(text);
}

static void what_is_accepted_is_encoded_the_same(void **state)
{
	static const struct {
		const char *json;
	} rows[] = {
		{ "{\"text\": \"ab\"}" },
		{ "{\"text\": \"abcde\"}" },
		{ "{\"text\": \"\xc3\xa4\xc3\xb6\"}" },
		{ "{\"text\": \"a\\nb\"}" },
		{ "{\"text\": \"ab\", \"path\": \"/\"}" },
		{ "{\"text\": \"ab\", \"path\": \"/1234567\"}" },
		{ "{\"text\": \"ab\", \"id\": \"aZ09-_\"}" },
		{ "{\"text\": \"ab\", \"id\": "
		  "\"1234567890123456789012345678901234567890123456789012345678901234\"}" },
		{ "{\"text\": \"ab\", \"number\": -3}" },
		{ "{\"text\": \"ab\", \"number\": 7}" },
		{ "{\"text\": \"ab\", \"number\": 0}" },
		{ "{\"text\": \"ab\", \"on\": true}" },
		{ "{\"text\": \"ab\", \"on\": false}" },
		{ "{\"text\": \"ab\", \"mode\": \"read-only\"}" },
		{ "{\"text\": \"ab\", \"mode\": \"danger-full-access\"}" },
		{ "{\"text\": \"ab\", \"any\": {\"x\": [1, 2.5, null, \"s\", {}]}}" },
		{ "{\"text\": \"ab\", \"any\": null}" },
		{ "{\"text\": \"ab\", \"words\": []}" },
		{ "{\"text\": \"ab\", \"words\": [\"\", \"abcd\", \"x\"]}" },
		{ "{\"text\": \"ab\", \"inner\": {\"number\": 9223372036854775807}}" },
		{ "{\"text\": \"ab\", \"inner\": {\"number\": -9223372036854775808}}" },
		{ "{\"text\": \"ab\", \"inners\": []}" },
		{ "{\"text\": \"ab\", \"inners\": [{\"number\": 1}, {\"number\": 2}]}" },
		{ "{\"text\": \"ab\", \"again\": {\"text\": \"cd\", \"again\": {\"text\": "
		  "\"ef\"}}}" },
		{ "{\"text\": \"ab\", \"both\": {\"number\": 5}}" },
		{ "{\"text\": \"ab\", \"both\": [\"x\", \"y\"]}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena arena SCOPED(arena_deinit) = { 0 };
		json_auto_t *value = parse(rows[i].json);
		json_auto_t *again = NULL;
		struct sample sample;
		struct err err = { 0 };

		if (codec_decode(&sample_type, value, &sample, &arena, CODEC_STRICT, &err) < 0)
			fail_msg("%s: %s", rows[i].json, err.text);
		again = codec_encode(&sample_type, &sample, &err);
		if (!again)
			fail_msg("%s: %s", rows[i].json, err.text);
		expect_equal(again, value, rows[i].json);
	}
}

struct refusal {
	const char *json;
	int rc;
	const char *sentence;
};

static void expect_refused(const struct type *type, const struct refusal *row, enum codec_mode mode)
{
	struct arena arena SCOPED(arena_deinit) = { 0 };
	json_auto_t *value = parse(row->json);
	unsigned char out[sizeof(struct sample)];
	unsigned char before[sizeof out];
	struct err err = { 0 };
	int rc;

	memset(out, 0x5a, sizeof out);
	memset(before, 0x5a, sizeof before);
	rc = codec_decode(type, value, out, &arena, mode, &err);
	if (rc != row->rc || err.code != row->rc || !str_eq(err.text, row->sentence))
		fail_msg("%s: %d '%s' and not '%s'", row->json, rc, err.text, row->sentence);
	if (memcmp(out, before, sizeof out) != 0)
		fail_msg("%s: refused, but the output was touched", row->json);
	/* The same without anybody who wants to know why. */
	assert_int_equal(codec_decode(type, value, out, &arena, mode, NULL), row->rc);
}

static const struct refusal refusals[] = {
	{ "{}", ERR_INVALID, "params.text: missing" },
	{ "{\"text\": \"a\"}", ERR_LIMIT, "params.text: less than 2 bytes" },
	{ "{\"text\": \"abcdef\"}", ERR_LIMIT, "params.text: more than 5 bytes" },
	{ "{\"text\": 5}", ERR_INVALID, "params.text: expected a string" },
	{ "{\"text\": \"a\\u0000b\"}", ERR_INVALID, "params.text: holds a NUL character" },
	{ "{\"text\": \"ab\", \"path\": \"\"}", ERR_LIMIT, "params.path: less than 1 bytes" },
	{ "{\"text\": \"ab\", \"path\": \"/12345678\"}", ERR_LIMIT,
	  "params.path: more than 8 bytes" },
	{ "{\"text\": \"ab\", \"path\": \"a/b\"}", ERR_INVALID,
	  "params.path: not an absolute path" },
	{ "{\"text\": \"ab\", \"path\": \"/a\\u0000\"}", ERR_INVALID,
	  "params.path: holds a NUL character" },
	{ "{\"text\": \"ab\", \"id\": \"\"}", ERR_LIMIT, "params.id: less than 1 bytes" },
	{ "{\"text\": \"ab\", \"id\": \"a b\"}", ERR_INVALID, "params.id: not an id" },
	{ "{\"text\": \"ab\", \"id\": \"../x\"}", ERR_INVALID, "params.id: not an id" },
	{ "{\"text\": \"ab\", \"id\": "
	  "\"12345678901234567890123456789012345678901234567890123456789012345\"}",
	  ERR_LIMIT, "params.id: more than 64 bytes" },
	{ "{\"text\": \"ab\", \"number\": -4}", ERR_LIMIT,
	  "params.number: -4 is not between -3 and 7" },
	{ "{\"text\": \"ab\", \"number\": 8}", ERR_LIMIT,
	  "params.number: 8 is not between -3 and 7" },
	{ "{\"text\": \"ab\", \"number\": 1.0}", ERR_INVALID,
	  "params.number: expected a whole number" },
	{ "{\"text\": \"ab\", \"number\": \"1\"}", ERR_INVALID,
	  "params.number: expected a whole number" },
	{ "{\"text\": \"ab\", \"on\": 1}", ERR_INVALID, "params.on: expected true or false" },
	{ "{\"text\": \"ab\", \"mode\": \"none\"}", ERR_INVALID,
	  "params.mode: unknown word 'none'" },
	{ "{\"text\": \"ab\", \"mode\": \"read-only\\u0000\"}", ERR_INVALID,
	  "params.mode: unknown word 'read-only'" },
	{ "{\"text\": \"ab\", \"mode\": 1}", ERR_INVALID, "params.mode: unknown word ''" },
	{ "{\"text\": \"ab\", \"words\": \"x\"}", ERR_INVALID, "params.words: expected a list" },
	{ "{\"text\": \"ab\", \"words\": [\"\", \"\", \"\", \"\"]}", ERR_LIMIT,
	  "params.words: more than 3 entries" },
	{ "{\"text\": \"ab\", \"words\": [\"\", \"abcde\"]}", ERR_LIMIT,
	  "params.words[1]: more than 4 bytes" },
	{ "{\"text\": \"ab\", \"words\": [null]}", ERR_INVALID,
	  "params.words[0]: expected a string" },
	{ "{\"text\": \"ab\", \"inner\": []}", ERR_INVALID, "params.inner: expected an object" },
	{ "{\"text\": \"ab\", \"inner\": {}}", ERR_INVALID, "params.inner.number: missing" },
	{ "{\"text\": \"ab\", \"inners\": {}}", ERR_INVALID, "params.inners: expected a list" },
	{ "{\"text\": \"ab\", \"inners\": [{\"number\": 1}, {\"number\": true}]}", ERR_INVALID,
	  "params.inners[1].number: expected a whole number" },
	{ "{\"text\": \"ab\", \"inners\": [null]}", ERR_INVALID,
	  "params.inners[0]: expected an object" },
	{ "{\"text\": \"ab\", \"inners\": [{\"number\": 1}, {\"number\": 2}, {}]}", ERR_LIMIT,
	  "params.inners: more than 2 entries" },
	{ "{\"text\": \"ab\", \"again\": {\"text\": \"cd\", \"again\": {\"text\": 1}}}",
	  ERR_INVALID, "params.again.again.text: expected a string" },
	{ "{\"text\": \"ab\", \"both\": 1}", ERR_INVALID, "params.both: expected an object" },
	{ "{\"text\": \"ab\", \"both\": [1]}", ERR_INVALID, "params.both[0]: expected a string" },
	{ "[]", ERR_INVALID, "params: expected an object" },
	{ "\"text\"", ERR_INVALID, "params: expected an object" },
};

static void what_is_refused_is_named_with_its_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		expect_refused(&sample_type, &refusals[i], CODEC_STRICT);
		expect_refused(&sample_type, &refusals[i], CODEC_LENIENT);
	}
}

static void only_lenient_overlooks_what_it_does_not_know(void **state)
{
	static const struct refusal rows[] = {
		{ "{\"text\": \"ab\", \"more\": 1}", ERR_INVALID, "params: unknown member 'more'" },
		{ "{\"text\": \"ab\", \"inner\": {\"number\": 1, \"x\": 2}}", ERR_INVALID,
		  "params.inner: unknown member 'x'" },
		{ "{\"text\": \"ab\", \"path\": null}", ERR_INVALID,
		  "params.path: expected a string" },
		{ "{\"text\": \"ab\", \"number\": null}", ERR_INVALID,
		  "params.number: expected a whole number" },
		{ "{\"text\": \"ab\", \"inners\": null}", ERR_INVALID,
		  "params.inners: expected a list" },
		{ "{\"text\": \"ab\", \"both\": null}", ERR_INVALID,
		  "params.both: expected an object" },
	};
	static const struct refusal always = { "{\"text\": null}", ERR_INVALID,
					       "params.text: missing" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena arena SCOPED(arena_deinit) = { 0 };
		json_auto_t *value = parse(rows[i].json);
		struct sample sample;
		struct err err = { 0 };

		expect_refused(&sample_type, &rows[i], CODEC_STRICT);
		if (codec_decode(&sample_type, value, &sample, &arena, CODEC_LENIENT, &err) < 0)
			fail_msg("%s: %s", rows[i].json, err.text);
		assert_string_equal(sample.text, "ab");
		assert_null(sample.path);
		assert_false(sample.has_number);
		assert_null(sample.inners);
		assert_null(sample.one);
		assert_null(sample.many.items);
	}
	expect_refused(&sample_type, &always, CODEC_LENIENT);
}

static void absent_parameters_are_an_empty_object(void **state)
{
	static const struct type empty = { .name = "empty", .root = "params", .size = 1 };
	static const struct refusal null = { "null", ERR_INVALID, "params: expected an object" };
	struct arena arena SCOPED(arena_deinit) = { 0 };
	json_auto_t *value = json_null();
	struct sample sample;
	struct err err = { 0 };
	char nothing = 'x';

	(void)state;
	assert_int_equal(codec_decode(&empty, NULL, &nothing, &arena, CODEC_STRICT, &err), 0);
	assert_int_equal(nothing, 0);
	assert_int_equal(codec_decode(&sample_type, NULL, &sample, &arena, CODEC_STRICT, &err),
			 ERR_INVALID);
	assert_string_equal(err.text, "params.text: missing");
	expect_refused(&empty, &null, CODEC_STRICT);
	assert_int_equal(codec_decode(&empty, value, &nothing, &arena, CODEC_LENIENT, &err), 0);
}

static void decoded_strings_end_like_an_argv(void **state)
{
	struct arena arena SCOPED(arena_deinit) = { 0 };
	json_auto_t *value = parse("{\"text\": \"ab\", \"words\": [\"x\", \"y\"]}");
	struct sample sample;

	(void)state;
	assert_int_equal(codec_decode(&sample_type, value, &sample, &arena, CODEC_STRICT, NULL), 0);
	assert_int_equal(sample.words.count, 2);
	assert_string_equal(sample.words.items[1], "y");
	assert_null(sample.words.items[2]);
}

/* n structs inside one another. */
static json_t *nested(size_t n)
{
	json_t *value = json_pack("{s:s}", "text", "ab");

	for (size_t i = 1; i < n; i++)
		value = json_pack("{s:s, s:o}", "text", "ab", "again", value);
	return value;
}

static void structs_nest_to_their_limit(void **state)
{
	static const struct {
		size_t depth;
		int rc;
	} rows[] = { { WIRE_STRUCT_DEPTH, 0 }, { WIRE_STRUCT_DEPTH + 1, ERR_LIMIT } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena arena SCOPED(arena_deinit) = { 0 };
		json_auto_t *value = nested(rows[i].depth);
		struct sample sample;
		struct err err = { 0 };

		assert_int_equal(
			codec_decode(&sample_type, value, &sample, &arena, CODEC_STRICT, &err),
			rows[i].rc);
		assert_int_equal(rows[i].rc < 0, str_ends(err.text, ": deeper than 16 structs"));
	}
}

static void what_does_not_fit_the_arena_is_refused(void **state)
{
	struct arena arena SCOPED(arena_deinit) = { 0 };
	json_auto_t *value = parse("{\"text\": \"ab\", \"inner\": {\"number\": 1}}");
	struct sample sample;
	struct err err = { 0 };

	(void)state;
	assert_non_null(arena_alloc(&arena, ARENA_MAX - sizeof sample, &err));
	assert_int_equal(codec_decode(&sample_type, value, &sample, &arena, CODEC_STRICT, &err),
			 ERR_LIMIT);
	assert_string_equal(err.text, "params.inner: more than 16777216 bytes decoded");
	value = (json_decref(value), parse("{\"text\": \"ab\", \"words\": []}"));
	arena_deinit(&arena);
	assert_non_null(arena_alloc(&arena, ARENA_MAX - sizeof sample, &err));
	assert_int_equal(codec_decode(&sample_type, value, &sample, &arena, CODEC_STRICT, &err),
			 ERR_LIMIT);
	assert_string_equal(err.text, "params.words: more than 16777216 bytes decoded");
	assert_int_equal(codec_decode(&sample_type, value, &sample, &arena, CODEC_STRICT, &err),
			 ERR_LIMIT);
	assert_string_equal(err.text, "params: more than 16777216 bytes decoded");
}

static void expect_unwritable(const struct type *type, const void *in, int code,
			      const char *sentence)
{
	struct err err = { 0 };

	assert_null(codec_encode(type, in, &err));
	assert_string_equal(err.text, sentence);
	assert_int_equal(err.code, code);
	assert_null(codec_encode(type, in, NULL));
}

static void what_nobody_could_read_is_not_written(void **state)
{
	static const char *const none[] = { "x", NULL };
	static const char *const four[] = { "", "", "", "" };
	static const struct inner inner = { .number = 1 };
	struct sample good = { .text = "ab" };
	struct sample bad;

	(void)state;
#define BAD(code, sentence, ...)                                                                   \
	do {                                                                                       \
		bad = good;                                                                        \
		__VA_ARGS__;                                                                       \
		expect_unwritable(&sample_type, &bad, code, sentence);                             \
	} while (0)
	BAD(ERR_INVALID, "params.text: missing", bad.text = NULL);
	BAD(ERR_LIMIT, "params.text: more than 5 bytes", bad.text = "abcdef");
	BAD(ERR_INVALID, "params.text: not well-formed UTF-8", bad.text = "a\xff");
	BAD(ERR_INVALID, "params.path: not an absolute path", bad.path = "x");
	BAD(ERR_INVALID, "params.id: not an id", bad.id = "\xc3\xa4");
	BAD(ERR_LIMIT, "params.number: 8 is not between -3 and 7", bad.has_number = true;
	    bad.number = 8);
	BAD(ERR_INVALID, "params.mode: unknown word ''", bad.mode = SANDBOX_MODE_COUNT);
	BAD(ERR_INVALID, "params.words[1]: expected a string", bad.words.items = none;
	    bad.words.count = 2);
	BAD(ERR_LIMIT, "params.words: more than 3 entries", bad.words.items = four;
	    bad.words.count = 4);
	BAD(ERR_INVALID, "params.both: expected an object", bad.one = &inner; bad.many.items = none;
	    bad.many.count = 1);
#undef BAD
}

static void a_required_zero_is_written_and_a_required_word_is_needed(void **state)
{
	json_auto_t *any = json_null();
	json_auto_t *value = NULL;
	json_auto_t *expected = parse("{\"number\": 0, \"on\": false, \"mode\": \"read-only\", "
				      "\"words\": [], \"any\": null}");
	struct strict strict = { .mode = SANDBOX_MODE_READ_ONLY, .any = any };
	struct err err = { 0 };

	(void)state;
	value = codec_encode(&strict_type, &strict, &err);
	assert_string_equal(err.text, "");
	expect_equal(value, expected, "zeroes");
	strict.mode = SANDBOX_MODE_NONE;
	expect_unwritable(&strict_type, &strict, ERR_INVALID, "result.mode: missing");
	strict = (struct strict){ .mode = SANDBOX_MODE_READ_ONLY };
	expect_unwritable(&strict_type, &strict, ERR_INVALID, "result.any: missing");
}

static void a_field_of_no_kind_takes_nothing(void **state)
{
	static const struct field fields[] = { { .name = "x", .max = 9 } };
	static const struct type type = { "none", "params", sizeof(char *), fields, 1 };
	static const struct refusal rows[] = {
		{ "{\"x\": \"a\"}", ERR_INVALID, "params.x: expected a string" },
		{ "{\"x\": 1}", ERR_INVALID, "params.x: expected a string" },
		{ "{}", ERR_INVALID, "params.x: missing" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		expect_refused(&type, &rows[i], CODEC_STRICT);
}

static const char *const everything =
	"{\"text\": \"ab\", \"path\": \"/a\", \"id\": \"i\", \"number\": 1, \"on\": true, "
	"\"mode\": \"read-only\", \"any\": [], \"words\": [\"x\"], \"inner\": {\"number\": 1}, "
	"\"inners\": [{\"number\": 1}], \"again\": {\"text\": \"ab\"}, \"both\": [\"y\"]}";

/* The value exists before, so that what fails is the codec's own. */
static int decode_all(void *context)
{
	struct arena arena SCOPED(arena_deinit) = { 0 };
	struct sample sample;
	struct err err = { 0 };
	int rc = codec_decode(&sample_type, context, &sample, &arena, CODEC_STRICT, &err);

	assert_int_equal(rc, err.code);
	return rc;
}

static int encode_all(void *context)
{
	struct err err = { 0 };
	json_t *value = codec_encode(&sample_type, context, &err);

	assert_int_equal(value == NULL, err.code != ERR_NONE);
	json_decref(value);
	return err.code;
}

static void without_memory_both_directions_say_so(void **state)
{
	struct arena arena SCOPED(arena_deinit) = { 0 };
	json_auto_t *value = parse(everything);
	struct sample sample;

	(void)state;
	assert_int_equal(codec_decode(&sample_type, value, &sample, &arena, CODEC_STRICT, NULL), 0);
	alloc_fail_each(decode_all, value);
	alloc_fail_each(encode_all, &sample);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(what_is_accepted_is_encoded_the_same),
		FIXTURE_TEST(what_is_refused_is_named_with_its_place),
		FIXTURE_TEST(only_lenient_overlooks_what_it_does_not_know),
		FIXTURE_TEST(absent_parameters_are_an_empty_object),
		FIXTURE_TEST(decoded_strings_end_like_an_argv),
		FIXTURE_TEST(structs_nest_to_their_limit),
		FIXTURE_TEST(what_does_not_fit_the_arena_is_refused),
		FIXTURE_TEST(what_nobody_could_read_is_not_written),
		FIXTURE_TEST(a_required_zero_is_written_and_a_required_word_is_needed),
		FIXTURE_TEST(a_field_of_no_kind_takes_nothing),
		FIXTURE_TEST(without_memory_both_directions_say_so),
	};

	alloc_fail_json();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
