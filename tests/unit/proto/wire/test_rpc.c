#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/json.h"
#include "proto/wire/rpc.h"

#include "tests/support/alloc_fail.h"
#include "tests/support/fixture.h"

static json_t *parse(const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);

	if (!value)
		fail_msg("test row is not JSON: %s", text);
	return value;
}

static void the_kind_follows_from_the_members(void **state)
{
	static const struct {
		const char *text;
		enum rpc_kind kind;
	} rows[] = {
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\"}", RPC_REQUEST },
		{ "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"a\",\"params\":{}}",
		  RPC_REQUEST },
		{ "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"a\",\"params\":null}",
		  RPC_REQUEST },
		{ "{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"params\":{}}", RPC_NOTIFICATION },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", RPC_RESULT },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null}", RPC_RESULT },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-1,\"message\":\"m\"}}",
		  RPC_ERROR },
		{ "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-1,\"message\":\"m\","
		  "\"data\":[]}}",
		  RPC_ERROR },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_auto_t *message = parse(rows[i].text);
		struct rpc rpc;
		struct err err = { 0 };

		if (rpc_parse(&rpc, message, &err) < 0)
			fail_msg("%s: %s", rows[i].text, err.text);
		if (rpc.kind != rows[i].kind)
			fail_msg("%s: kind %d", rows[i].text, rpc.kind);
		assert_int_equal(rpc.method != NULL,
				 rpc.kind == RPC_REQUEST || rpc.kind == RPC_NOTIFICATION);
		assert_int_equal(rpc.id != NULL, rpc.kind != RPC_NOTIFICATION);
		assert_true(!rpc.params || json_is_object(rpc.params));
		assert_int_equal(rpc.result != NULL, rpc.kind == RPC_RESULT);
		assert_int_equal(rpc.error_message != NULL, rpc.kind == RPC_ERROR);
	}
}

static void every_other_shape_is_refused(void **state)
{
	static const struct {
		const char *text;
	} rows[] = {
		{ "[]" },
		{ "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\"}]" },
		{ "{}" },
		{ "{\"id\":1,\"method\":\"a\"}" },
		{ "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"a\"}" },
		{ "{\"jsonrpc\":2.0,\"id\":1,\"method\":\"a\"}" },
		{ "{\"jsonrpc\":\"2.0\"}" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1}" },
		{ "{\"jsonrpc\":\"2.0\",\"result\":{}}" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"a\"}" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"a\"}" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"a\"}" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\"}" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":[]}" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":\"x\"}" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"result\":{}}" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"extra\":{}}" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"params\":{},\"result\":{}}" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\","
		  "\"error\":{\"code\":1,\"message\":\"m\"}}" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{},"
		  "\"error\":{\"code\":1,\"message\":\"m\"}}" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{}}" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1}}" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":null}" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1.5,\"message\":\"m\"}}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_auto_t *message = parse(rows[i].text);
		struct rpc rpc = { .kind = RPC_KIND_COUNT };
		struct err err = { 0 };

		if (rpc_parse(&rpc, message, &err) != ERR_INVALID && err.code != ERR_LIMIT)
			fail_msg("%s: %d", rows[i].text, err.code);
		assert_int_equal(rpc.kind, RPC_KIND_COUNT);
	}
}

static void names_and_ids_have_limits(void **state)
{
	static const struct {
		size_t method;
		size_t id;
		int rc;
	} rows[] = {
		{ 128, RPC_ID_MAX, 0 },
		{ 129, 1, ERR_LIMIT },
		{ 1, RPC_ID_MAX + 1, ERR_INVALID },
	};
	char text[512];

	(void)state;
	memset(text, 'x', sizeof text);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_auto_t *message = json_pack("{s:s, s:s%, s:s%}", "jsonrpc", "2.0", "id", text,
						 rows[i].id, "method", text, rows[i].method);
		struct rpc rpc;

		assert_int_equal(rpc_parse(&rpc, message, NULL), rows[i].rc);
	}
}

static void what_is_built_is_understood(void **state)
{
	json_auto_t *id = json_string("id");
	struct rpc rpc = { 0 };
	struct err err = { 0 };
	json_t *message = rpc_request(7, "a/b", json_pack("{s:i}", "x", 1));

	(void)state;
	assert_int_equal(rpc_parse(&rpc, message, &err), 0);
	assert_int_equal(rpc.kind, RPC_REQUEST);
	assert_int_equal(json_integer_value(rpc.id), 7);
	assert_string_equal(rpc.method, "a/b");
	assert_int_equal(json_integer_value(json_object_get(rpc.params, "x")), 1);
	json_decref(message);

	message = rpc_notification("n", NULL);
	assert_int_equal(rpc_parse(&rpc, message, &err), 0);
	assert_int_equal(rpc.kind, RPC_NOTIFICATION);
	assert_null(rpc.params);
	json_decref(message);

	message = rpc_result(id, json_object());
	assert_int_equal(rpc_parse(&rpc, message, &err), 0);
	assert_int_equal(rpc.kind, RPC_RESULT);
	assert_ptr_equal(rpc.id, id);
	json_decref(message);

	message = rpc_error(NULL, RPC_PARSE_ERROR, "why", NULL);
	assert_int_equal(rpc_parse(&rpc, message, &err), 0);
	assert_int_equal(rpc.kind, RPC_ERROR);
	assert_true(json_is_null(rpc.id));
	assert_int_equal(rpc.error_code, RPC_PARSE_ERROR);
	assert_string_equal(rpc.error_message, "why");
	json_decref(message);

	assert_null(rpc_result(id, NULL));
}

static void a_failure_arrives_with_its_code_and_sentence(void **state)
{
	(void)state;
	for (int code = ERR_NOMEM; code >= ERR_GONE; code--) {
		struct err sent = { 0 };
		struct err got = { 0 };
		struct rpc rpc = { 0 };
		json_t *message;

		(void)ERR_SET(&sent, (enum err_code)code, "sentence %d", code);
		message = rpc_failure(NULL, &sent);
		assert_int_equal(rpc_parse(&rpc, message, NULL), 0);
		assert_int_equal(rpc_to_err(&rpc, &got), code);
		assert_int_equal(got.code, code);
		assert_string_equal(got.text, sent.text);
		json_decref(message);
	}
}

static void a_strangers_error_is_read_by_its_number(void **state)
{
	static const struct {
		int64_t code;
		const char *data;
		int expected;
	} rows[] = {
		{ RPC_INVALID_PARAMS, "null", ERR_INVALID },
		{ RPC_NOT_FOUND, "null", ERR_NOTFOUND },
		{ RPC_INTERNAL_ERROR, "null", ERR_SYSTEM },
		{ RPC_DENIED, "{}", ERR_DENIED },
		{ 42, "null", ERR_SYSTEM },
		{ RPC_DENIED, "{\"code\": \"no such word\"}", ERR_SYSTEM },
		{ RPC_DENIED, "{\"code\": \"limit\"}", ERR_LIMIT },
		{ RPC_DENIED, "{\"code\": \"none\"}", ERR_SYSTEM },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_auto_t *data = parse(rows[i].data);
		struct rpc rpc = { .kind = RPC_ERROR,
				   .error_code = rows[i].code,
				   .error_message = "m",
				   .error_data = data };
		struct err err = { 0 };

		if (rpc_to_err(&rpc, &err) != rows[i].expected)
			fail_msg("%d with %s: %d", (int)rows[i].code, rows[i].data, err.code);
	}
	assert_int_equal(rpc_code_of((enum err_code)1), RPC_INTERNAL_ERROR);
	assert_int_equal(rpc_code_of((enum err_code)(ERR_GONE - 1)), RPC_INTERNAL_ERROR);
}

static int build_all(void *context)
{
	static const struct err err = { .code = ERR_LIMIT, .text = "sentence" };
	json_t *built[] = {
		rpc_request(1, "m", context ? json_object() : NULL),
		rpc_notification("m", json_object()),
		rpc_result(NULL, json_object()),
		rpc_error(NULL, 1, "m", json_object()),
		rpc_failure(NULL, &err),
	};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(built); i++) {
		if (!built[i])
			rc = ERR_NOMEM;
		json_decref(built[i]);
	}
	return rc;
}

/* Arguments that are consumed do not leak either; the leak checker of the sanitizer build says so.
 */
static void without_memory_nothing_is_built(void **state)
{
	(void)state;
	for (size_t n = 1; n < 200; n++) {
		alloc_fail_at(n);
		(void)build_all(state);
		alloc_fail_at(0);
	}
	assert_int_equal(build_all(state), 0);
}

static int parse_one(void *context)
{
	struct rpc rpc;

	return rpc_parse(&rpc, context, NULL);
}

static void without_memory_nothing_is_parsed(void **state)
{
	json_auto_t *message =
		parse("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1,\"message\":\"m\"}}");

	(void)state;
	alloc_fail_each(parse_one, message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(the_kind_follows_from_the_members),
		FIXTURE_TEST(every_other_shape_is_refused),
		FIXTURE_TEST(names_and_ids_have_limits),
		FIXTURE_TEST(what_is_built_is_understood),
		FIXTURE_TEST(a_failure_arrives_with_its_code_and_sentence),
		FIXTURE_TEST(a_strangers_error_is_read_by_its_number),
		FIXTURE_TEST(without_memory_nothing_is_built),
		FIXTURE_TEST(without_memory_nothing_is_parsed),
	};

	alloc_fail_json();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
