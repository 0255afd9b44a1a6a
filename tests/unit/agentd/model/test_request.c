#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/model/model.h"
#include "agentd/model/request.h"
#include "agentd/model/settings.h"
#include "tests/support/fixture.h"

static char url[] = "http://127.0.0.1:1/v1";
static char model[] = "gpt-4";
static char thinker[] = "gpt-5-mini";
static char key[] = "secret";

static void drop_json(json_t **value)
{
	json_decref(*value);
}

static json_t *json_of(const char *text)
{
	json_t *value = json_loads(text, 0, NULL);

	assert_non_null(value);
	return value;
}

static void expect_body(const struct model_request *request, const char *expected)
{
	struct buf body SCOPED(buf_deinit) = BUF_INIT(MODEL_REQUEST_MAX);
	struct err err = { 0 };
	json_t *parsed SCOPED(drop_json) = NULL;

	if (request_body(&body, request, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(buf_str(&body), expected);
	parsed = json_loads(buf_str(&body), JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(parsed);
}

static void the_least_request_has_model_input_and_stream(void **state)
{
	const struct model_settings settings = { .base_url = url, .model = model };
	const struct model_request request = { .session_id = "s1", .settings = &settings };

	(void)state;
	expect_body(&request, "{\"stream\":true,\"store\":false,\"model\":\"gpt-4\","
			      "\"prompt_cache_key\":\"s1\",\"input\":[]}");
}

static void the_full_request_is_this_one(void **state)
{
	static const char *const items[] = { "{\"type\":\"message\",\"n\":1}", "{\"n\":2}" };
	json_t *input SCOPED(drop_json) = json_of("[{\"n\":3},{\"n\":\"\xc3\xa9\"}]");
	json_t *tools SCOPED(drop_json) = json_of("[{\"type\":\"function\",\"name\":\"f\"}]");
	json_t *schema SCOPED(drop_json) = json_of("{\"type\":\"object\"}");
	char effort[] = "high";
	char summary[] = "detailed";
	char verbosity[] = "low";
	const struct model_settings settings = {
		.base_url = url,
		.model = model,
		.effort = effort,
		.summary = summary,
		.verbosity = verbosity,
	};
	const struct model_request request = {
		.session_id = "s1",
		.items = items,
		.item_count = 2,
		.input = input,
		.instructions = "Be \"good\".\n",
		.tools = tools,
		.output_schema = schema,
		.settings = &settings,
	};

	(void)state;
	expect_body(&request,
		    "{\"stream\":true,\"store\":false,\"model\":\"gpt-4\","
		    "\"instructions\":\"Be \\\"good\\\".\\n\","
		    "\"tools\":[{\"type\":\"function\",\"name\":\"f\"}],"
		    "\"tool_choice\":\"auto\",\"parallel_tool_calls\":true,"
		    "\"reasoning\":{\"effort\":\"high\",\"summary\":\"detailed\"},"
		    "\"include\":[\"reasoning.encrypted_content\"],"
		    "\"text\":{\"verbosity\":\"low\",\"format\":{\"type\":\"json_schema\","
		    "\"strict\":true,\"schema\":{\"type\":\"object\"},"
		    "\"name\":\"agentd_output_schema\"}},"
		    "\"prompt_cache_key\":\"s1\","
		    "\"input\":[{\"type\":\"message\",\"n\":1},{\"n\":2},{\"n\":3},{\"n\":"
		    "\"\xc3\xa9\"}]}");
}

static void reasoning_is_asked_for_where_the_model_or_the_settings_say_so(void **state)
{
	char none[] = "none";
	char high[] = "high";
	const struct {
		char *model;
		char *effort;
		char *summary;
		const char *part; /* NULL: no reasoning */
	} rows[] = {
		{ model, NULL, NULL, NULL },
		{ thinker, NULL, NULL, "\"reasoning\":{\"summary\":\"auto\"}" },
		{ thinker, NULL, none, "\"reasoning\":{}" },
		{ model, high, NULL, "\"reasoning\":{\"effort\":\"high\",\"summary\":\"auto\"}" },
		{ model, high, none, "\"reasoning\":{\"effort\":\"high\"}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct model_settings settings = { .base_url = url,
							 .model = rows[i].model,
							 .effort = rows[i].effort,
							 .summary = rows[i].summary };
		const struct model_request request = { .session_id = "s", .settings = &settings };
		struct buf body SCOPED(buf_deinit) = BUF_INIT(MODEL_REQUEST_MAX);

		assert_int_equal(request_body(&body, &request, NULL), 0);
		if (strstr(buf_str(&body), rows[i].part ? rows[i].part : "reasoning") !=
		    (rows[i].part ? strstr(buf_str(&body), rows[i].part) : NULL))
			fail_msg("row %zu: %s", i, buf_str(&body));
		assert_int_equal(rows[i].part != NULL,
				 strstr(buf_str(&body), "encrypted_content") != NULL);
	}
}

static void a_body_beyond_the_ceiling_is_refused(void **state)
{
	const struct model_settings settings = { .base_url = url, .model = model };
	const struct model_request request = { .session_id = "s1", .settings = &settings };
	struct buf whole SCOPED(buf_deinit) = BUF_INIT(MODEL_REQUEST_MAX);

	(void)state;
	assert_int_equal(request_body(&whole, &request, NULL), 0);
	for (size_t max = 0; max <= whole.len; max++) {
		struct buf body SCOPED(buf_deinit) = BUF_INIT(max);
		struct err err = { 0 };
		int rc = request_body(&body, &request, &err);

		assert_int_equal(rc, max == whole.len ? 0 : ERR_LIMIT);
	}
}

static void text_that_is_no_utf8_is_refused_by_name(void **state)
{
	const struct model_settings settings = { .base_url = url, .model = model };
	const struct model_request request = { .session_id = "s1",
					       .instructions = "\xff",
					       .settings = &settings };
	struct buf body SCOPED(buf_deinit) = BUF_INIT(MODEL_REQUEST_MAX);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(request_body(&body, &request, &err), ERR_INVALID);
	assert_string_equal(err.text, "model request: instructions is not valid UTF-8");
}

static void the_address_carries_encoded_parameters(void **state)
{
	struct model_settings settings = { .base_url = url };
	struct buf out SCOPED(buf_deinit) = BUF_INIT(REQUEST_URL_MAX);

	(void)state;
	assert_int_equal(request_url(&out, &settings, NULL), 0);
	assert_string_equal(buf_str(&out), "http://127.0.0.1:1/v1/responses");
	assert_int_equal(model_pairs_set(&settings.query, "api-version", "2025-04-01", NULL), 0);
	assert_int_equal(model_pairs_set(&settings.query, "a b", "c&d=\xc3\xa9", NULL), 0);
	buf_clear(&out);
	assert_int_equal(request_url(&out, &settings, NULL), 0);
	assert_string_equal(buf_str(&out), "http://127.0.0.1:1/v1/responses?api-version=2025-04-01"
					   "&a%20b=c%26d%3D%C3%A9");
	settings.base_url = NULL; /* not the settings' own */
	model_settings_deinit(&settings);
}

static const char *line_of(const struct request_headers *headers, const char *name)
{
	for (size_t i = 0; i < headers->count; i++) {
		if (str_starts(headers->lines[i], name))
			return headers->lines[i];
	}
	return "";
}

static void headers_name_the_session_and_carry_the_key(void **state)
{
	struct model_settings settings = { .base_url = url, .api_key = key };
	struct request_headers headers = { 0 };

	(void)state;
	assert_int_equal(request_headers(&headers, &settings, "s1", NULL), 0);
	assert_string_equal(line_of(&headers, "Authorization"), "Authorization: Bearer secret");
	assert_string_equal(line_of(&headers, "Accept"), "Accept: text/event-stream");
	assert_string_equal(line_of(&headers, "Content-Type"), "Content-Type: application/json");
	assert_string_equal(line_of(&headers, "session-id"), "session-id: s1");
	assert_string_equal(line_of(&headers, "thread-id"), "thread-id: s1");
	assert_string_equal(line_of(&headers, "originator"), "originator: agentd");
	assert_true(str_starts(line_of(&headers, "User-Agent"), "User-Agent: agentd/"));
	request_headers_deinit(&headers);
	settings.api_key = NULL;
	assert_int_equal(request_headers(&headers, &settings, "s1", NULL), 0);
	assert_string_equal(line_of(&headers, "Authorization"), "");
	request_headers_deinit(&headers);
}

static void headers_of_the_provider_replace_our_own(void **state)
{
	struct model_settings settings = { .base_url = url };
	struct request_headers headers = { 0 };

	(void)state;
	assert_int_equal(model_pairs_set(&settings.headers, "user-agent", "mine", NULL), 0);
	assert_int_equal(model_pairs_set(&settings.headers, "X-More", "1", NULL), 0);
	assert_int_equal(request_headers(&headers, &settings, "s1", NULL), 0);
	assert_string_equal(line_of(&headers, "User-Agent"), "");
	assert_string_equal(line_of(&headers, "user-agent"), "user-agent: mine");
	assert_string_equal(line_of(&headers, "X-More"), "X-More: 1");
	request_headers_deinit(&headers);
	settings.base_url = NULL;
	model_settings_deinit(&settings);
}

static void a_header_that_would_break_the_line_is_refused_and_not_shown(void **state)
{
	static const struct {
		const char *name;
		const char *value;
		enum err_code code;
	} rows[] = {
		{ "X", "plain", ERR_NONE },
		{ "X", "tab\there", ERR_NONE },
		{ "X", "secret\r\nY: 1", ERR_INVALID },
		{ "X", "secret\n", ERR_INVALID },
		{ "X", "secret\x7f", ERR_INVALID },
		{ "X Y", "v", ERR_INVALID },
		{ "X:", "v", ERR_INVALID },
		{ "", "v", ERR_INVALID },
		{ "X\n", "v", ERR_INVALID },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct model_settings settings = { 0 };
		struct request_headers headers = { 0 };
		struct err err = { 0 };

		assert_int_equal(
			model_pairs_set(&settings.headers, rows[i].name, rows[i].value, NULL), 0);
		if (request_headers(&headers, &settings, "s1", &err) != (int)rows[i].code)
			fail_msg("row %zu: %s", i, err.text);
		assert_null(strstr(err.text, "secret"));
		request_headers_deinit(&headers);
		model_settings_deinit(&settings);
	}
}

static void a_header_line_has_a_longest_length(void **state)
{
	(void)state;
	for (size_t over = 0; over < 2; over++) {
		size_t size = REQUEST_HEADER_MAX - strlen("X: ") + over;
		struct model_settings settings = { 0 };
		struct request_headers headers = { 0 };
		struct err err = { 0 };
		char *value = malloc(size + 1);

		assert_non_null(value);
		memset(value, 'v', size);
		value[size] = '\0';
		assert_int_equal(model_pairs_set(&settings.headers, "X", value, NULL), 0);
		assert_int_equal(request_headers(&headers, &settings, "s1", &err),
				 over ? ERR_LIMIT : ERR_NONE);
		request_headers_deinit(&headers);
		model_settings_deinit(&settings);
		free(value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(the_least_request_has_model_input_and_stream),
		FIXTURE_TEST(the_full_request_is_this_one),
		FIXTURE_TEST(reasoning_is_asked_for_where_the_model_or_the_settings_say_so),
		FIXTURE_TEST(a_body_beyond_the_ceiling_is_refused),
		FIXTURE_TEST(text_that_is_no_utf8_is_refused_by_name),
		FIXTURE_TEST(the_address_carries_encoded_parameters),
		FIXTURE_TEST(headers_name_the_session_and_carry_the_key),
		FIXTURE_TEST(headers_of_the_provider_replace_our_own),
		FIXTURE_TEST(a_header_that_would_break_the_line_is_refused_and_not_shown),
		FIXTURE_TEST(a_header_line_has_a_longest_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
