#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/gen/schema.h"

#include "tests/support/fixture.h"

/* Loads `text` as the schema of a protocol "x" with a common schema of one enum, and checks it. */
static int check(const char *text, struct err *err)
{
	static const char *const common_text =
		"{'protocol': 'common', 'doc': 'Words.', 'enums': {'level': {'doc': 'How much.',"
		"'values': {'low': 'Little.', 'high': 'Much.'}}}}";
	struct schema common SCOPED(schema_deinit) = { .protocol = "common" };
	struct schema schema SCOPED(schema_deinit) = { .protocol = "x", .common = &common };
	char *copy SCOPED(str_free) = str_dup(text);
	char *other SCOPED(str_free) = str_dup(common_text);

	/* Rows are written with single quotes. */
	for (char *p = copy; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	for (char *p = other; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	common.root = json_loads(other, JSON_REJECT_DUPLICATES, NULL);
	schema.root = json_loads(copy, JSON_REJECT_DUPLICATES, NULL);
	if (!schema.root)
		fail_msg("test row is not JSON: %s", copy);
	return schema_check(&schema, err);
}

#define FIELD(field)                                                                               \
	"{'protocol': 'x', 'doc': 'Text.', 'limits': {'X_MAX': {'value': 5, 'unit': 'bytes',"      \
	"'doc': 'Text.'}}, 'structs': {'s': {'doc': 'Text.', 'fields': {" field "}}}}"
#define METHOD(method)                                                                             \
	"{'protocol': 'x', 'doc': 'Text.', 'enums': {'role': {'doc': 'Text.',"                     \
	"'values': {'client': 'Text.'}}}, 'methods': [{" method "}]}"

static void a_well_formed_schema_is_accepted(void **state)
{
	static const struct {
		const char *text;
	} rows[] = {
		{ "{'protocol': 'x', 'doc': 'Text.'}" },
		{ FIELD("") },
		{ FIELD("'a': {'type': 'string', 'max': 5, 'doc': 'Text.'}") },
		{ FIELD("'a': {'type': 'string', 'max': 'X_MAX', 'min': 1, 'doc': 'Text.'}") },
		{ FIELD("'a': {'type': 'list<string>', 'max': 5, 'max_each': 6, 'min_each': 1,"
			"'doc': 'Text.'}") },
		{ FIELD("'a': {'type': 'list<id>', 'max': 5, 'doc': 'Text.'}") },
		{ FIELD("'a': {'type': 'list<s>', 'max': 5, 'doc': 'Text.'}") },
		{ FIELD("'a': {'type': 'int', 'doc': 'Text.'}") },
		{ FIELD("'a': {'type': 'int', 'min': -1, 'max': 5, 'doc': 'Text.'}") },
		{ FIELD("'a': {'type': 'level', 'optional': true, 'doc': 'Text.'}") },
		{ FIELD("'a': {'type': 's', 'doc': 'Text.'}, 'b': {'type': 'json',"
			"'doc': 'Text.'}, 'c': {'type': 'bool', 'doc': 'Text?'}") },
		{ FIELD("'a': {'type': 's', 'wire': 'w', 'optional': true, 'doc': 'Text.'},"
			"'b': {'type': 'list<id>', 'wire': 'w', 'max': 1, 'optional': true,"
			"'doc': 'Text.'}") },
		{ METHOD("'method': 'a/b', 'roles': ['client'], 'stage': 'any', 'doc': 'Text.',"
			 "'params': {}, 'result': {}, 'errors': [], 'fds': ['a', 'b?']") },
		{ METHOD("'method': 'a/b', 'roles': ['client'], 'stage': 'attached',"
			 "'doc': 'Text.', 'params': {}, 'notification': true") },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = { 0 };

		if (check(rows[i].text, &err) < 0)
			fail_msg("%s: %s", rows[i].text, err.text);
	}
}

struct mistake {
	const char *text;
	const char *sentence;
};

static void expect_mistakes(const struct mistake *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct err err = { 0 };

		if (check(rows[i].text, &err) != ERR_INVALID || !str_eq(err.text, rows[i].sentence))
			fail_msg("%s: '%s' and not '%s'", rows[i].text, err.text, rows[i].sentence);
	}
}

static void a_mistake_in_a_field_is_named_with_its_place(void **state)
{
	static const struct mistake rows[] = {
		{ FIELD("'a': {'type': 'string', 'doc': 'Text.'}"),
		  "x.json: s.a: a string or list without 'max'" },
		{ FIELD("'a': {'type': 'list<string>', 'max': 1, 'doc': 'Text.'}"),
		  "x.json: s.a: a list of strings without 'max_each'" },
		{ FIELD("'a': {'type': 'list<id>', 'doc': 'Text.'}"),
		  "x.json: s.a: a string or list without 'max'" },
		{ FIELD("'a': {'type': 'text', 'doc': 'Text.'}"),
		  "x.json: s.a: unknown type 'text'" },
		{ FIELD("'a': {'doc': 'Text.'}"), "x.json: s.a: unknown type ''" },
		{ FIELD("'a': {'type': 'list<bool>', 'max': 1, 'doc': 'Text.'}"),
		  "x.json: s.a: there are no lists of 'bool'" },
		{ FIELD("'a': {'type': 'bool', 'max': 1, 'doc': 'Text.'}"),
		  "x.json: s.a: a type that takes no 'max'" },
		{ FIELD("'a': {'type': 'id', 'min': 1, 'doc': 'Text.'}"),
		  "x.json: s.a: a type that takes no 'min'" },
		{ FIELD("'a': {'type': 'string', 'max': 'Y_MAX', 'doc': 'Text.'}"),
		  "x.json: s.a: neither a number nor the name of a limit is 'max'" },
		{ FIELD("'a': {'type': 'bool'}"),
		  "x.json: s.a: needs prose that ends in a full stop, not ''" },
		{ FIELD("'a': {'type': 'bool', 'doc': 'Text'}"),
		  "x.json: s.a: needs prose that ends in a full stop, not 'Text'" },
		{ FIELD("'a': {'type': 'bool', 'doc': 'Te*/xt.'}"),
		  "x.json: s.a: the prose must be one line without '*/': 'Te*/xt.'" },
		{ FIELD("'a': {'type': 'bool', 'doc': 'Text.', 'maximum': 1}"),
		  "x.json: s.a: unknown member 'maximum'" },
		{ FIELD("'a': 'bool'"), "x.json: s.a: must be an object, not 'something else'" },
		{ FIELD("'switch': {'type': 'bool', 'doc': 'Text.'}"),
		  "x.json: s.switch: a keyword of C is no name: 'switch'" },
		{ FIELD("'?': {'type': 'bool', 'doc': 'Text.'}"),
		  "x.json: s.?: this is no name: '?'" },
		{ FIELD("'aB': {'type': 'bool', 'doc': 'Text.'},"
			"'a_b': {'type': 'bool', 'doc': 'Text.'}"),
		  "x.json: s.aB and s.a_b are both 'member a_b' in C" },
		{ FIELD("'a': {'type': 'id', 'wire': 'w', 'doc': 'Text.', 'optional': true},"
			"'b': {'type': 'list<id>', 'wire': 'w', 'max': 1, 'doc': 'Text.'}"),
		  "x.json: s.b: must be optional, for it shares the name 'w'" },
	};

	(void)state;
	expect_mistakes(rows, ARRAY_LEN(rows));
}

static void a_mistake_in_a_method_is_named_with_its_place(void **state)
{
	static const struct mistake rows[] = {
		{ METHOD("'method': 'a', 'stage': 'any', 'doc': 'Text.', 'params': {},"
			 "'result': {}"),
		  "x.json: a: needs a list of 'roles'" },
		{ METHOD("'method': 'a', 'roles': ['root'], 'stage': 'any', 'doc': 'Text.',"
			 "'params': {}, 'result': {}"),
		  "x.json: a: no word of the enum 'role' is 'root'" },
		{ METHOD("'method': 'a', 'roles': ['client'], 'stage': 'soon', 'doc': 'Text.',"
			 "'params': {}, 'result': {}"),
		  "x.json: a: unknown stage 'soon'" },
		{ METHOD("'method': 'a', 'roles': ['client'], 'stage': 'any', 'doc': 'Text.',"
			 "'params': {}"),
		  "x.json: a: needs an object of 'fields'" },
		{ METHOD("'method': 'a', 'roles': ['client'], 'stage': 'any', 'doc': 'Text.',"
			 "'params': {}, 'notification': true, 'result': {}"),
		  "x.json: a: a notification has no 'result'" },
		{ METHOD("'method': 'a', 'roles': ['client'], 'stage': 'any', 'doc': 'Text.',"
			 "'params': {}, 'result': {}, 'fds': ['a?', 'b']"),
		  "x.json: a: a descriptor behind an optional one: 'b'" },
		{ METHOD("'method': 'a', 'roles': ['client'], 'stage': 'any', 'doc': 'Text.',"
			 "'params': {}, 'result': {}, 'fds': [1]"),
		  "x.json: a: must hold strings: 'fds and errors'" },
		{ METHOD("'method': 'a', 'roles': ['client'], 'stage': 'any', 'doc': 'Text.',"
			 "'params': {}, 'result': {}, 'errors': ['limit', 'broken']"),
		  "x.json: a: no error is called 'broken'" },
		{ METHOD("'method': 'a', 'roles': ['client'], 'stage': 'any', 'doc': 'Text.',"
			 "'params': {}, 'result': {}}, {'method': 'a/result', 'roles': ['client'],"
			 "'stage': 'any', 'doc': 'Text.', 'params': {}, 'result': {}"),
		  "x.json: a and a/result are both 'struct a_result' in C" },
	};

	(void)state;
	expect_mistakes(rows, ARRAY_LEN(rows));
}

static void a_mistake_elsewhere_is_named_too(void **state)
{
	static const struct mistake rows[] = {
		{ "{'protocol': 'x'}",
		  "x.json: top level: needs prose that ends in a full stop, not ''" },
		{ "{'protocol': 'x', 'doc': 'Text.', 'events': []}",
		  "x.json: top level: unknown member 'events'" },
		{ "{'protocol': 'x', 'doc': 'Text.', 'limits': {'A': {'value': 'x',"
		  "'unit': 'bytes', 'doc': 'Text.'}}}",
		  "x.json: A: a limit needs a whole number as 'value'" },
		{ "{'protocol': 'x', 'doc': 'Text.', 'limits': {'A': {'value': 1,"
		  "'doc': 'Text.'}}}",
		  "x.json: A: a limit needs a 'unit'" },
		{ "{'protocol': 'x', 'doc': 'Text.', 'enums': {'e': {'doc': 'Text.',"
		  "'values': {}}}}",
		  "x.json: e: an enum needs 'values'" },
		{ "{'protocol': 'x', 'doc': 'Text.', 'enums': {'e': {'doc': 'Text.',"
		  "'values': {'count': 'Text.'}}}}",
		  "x.json: e: taken by every enum is the word 'count'" },
		{ "{'protocol': 'x', 'doc': 'Text.', 'enums': {'e': {'doc': 'Text.',"
		  "'values': {'a-b': 'Text.', 'a_b': 'Text.'}}}}",
		  "enum 'e': x.json: e and e are both 'constant A_B' in C" },
		{ "{'protocol': 'x', 'doc': 'Text.', 'keys': [{'name': 'k', 'type': 'number',"
		  "'doc': 'Text.'}]}",
		  "x.json: k: unknown type 'number'" },
		{ "{'protocol': 'x', 'doc': 'Text.', 'keys': [{'name': 'k', 'type': 'string',"
		  "'doc': 'Text.'}]}",
		  "x.json: k: needs a number as 'max'" },
		{ "{'protocol': 'x', 'doc': 'Text.', 'keys': [{'name': 'k', 'type': 'enum',"
		  "'doc': 'Text.'}]}",
		  "x.json: k: an enum, and nothing else, has 'words'" },
	};

	(void)state;
	expect_mistakes(rows, ARRAY_LEN(rows));
}

static void names_in_c_follow_from_names_on_the_wire(void **state)
{
	static const struct {
		const char *wire;
		const char *lower;
		const char *upper;
	} rows[] = {
		{ "child/start", "child_start", "CHILD_START" },
		{ "_agentd/session/attach", "session_attach", "SESSION_ATTACH" },
		{ "$/cancel_request", "cancel_request", "CANCEL_REQUEST" },
		{ "_meta", "meta", "META" },
		{ "sessionUpdate", "session_update", "SESSION_UPDATE" },
		{ "read-only", "read_only", "READ_ONLY" },
		{ "none", "none", "NOTHING" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char lower[SCHEMA_NAME_MAX];
		char upper[SCHEMA_NAME_MAX];

		name_lower(lower, rows[i].wire);
		name_upper(upper, rows[i].wire);
		assert_string_equal(lower, rows[i].lower);
		assert_string_equal(upper, rows[i].upper);
	}
}

static void a_file_that_is_not_there_or_not_json_is_named(void **state)
{
	struct schema schema = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(schema_load(&schema, "/nowhere", "x", false, &err), 0);
	assert_null(schema.root);
	assert_int_equal(schema_load(&schema, "/nowhere", "x", true, &err), ERR_SYSTEM);
	assert_non_null(strstr(err.text, "/nowhere/x.json"));
	(void)fixture_file("x.json", "{\"protocol\": \"x\",}", 18);
	assert_int_equal(schema_load(&schema, fixture_dir(), "x", true, &err), ERR_INVALID);
	assert_non_null(strstr(err.text, "/x.json:1:"));
	schema_deinit(&schema);
	(void)fixture_file("x.json", "{\"protocol\": \"y\"}", 17);
	assert_int_equal(schema_load(&schema, fixture_dir(), "x", true, &err), ERR_INVALID);
	assert_non_null(strstr(err.text, "'protocol' is 'y' and not 'x'"));
	schema_deinit(&schema);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_well_formed_schema_is_accepted),
		FIXTURE_TEST(a_mistake_in_a_field_is_named_with_its_place),
		FIXTURE_TEST(a_mistake_in_a_method_is_named_with_its_place),
		FIXTURE_TEST(a_mistake_elsewhere_is_named_too),
		FIXTURE_TEST(names_in_c_follow_from_names_on_the_wire),
		FIXTURE_TEST(a_file_that_is_not_there_or_not_json_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
