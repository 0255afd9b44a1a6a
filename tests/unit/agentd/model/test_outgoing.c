#include <jansson.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/model/model.h"
#include "agentd/model/outgoing.h"
#include "agentd/model/settings.h"
#include "tests/support/alloc_fail.h"
#include "tests/support/fixture.h"

static char provider[] = "p";
static char url[] = "http://127.0.0.1:1/v1";
static char model[] = "m";
static char ca_file[] = "/ca";
static char env_key[] = "P_KEY";
static char tape[] = "/tape";

static const char *const items[] = {
	"{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"text\":\"first\"}]}",
	"{\"type\":\"reasoning\"}",
	"{\"type\":\"function_call\"}",
	"{\"type\":\"function_call_output\"}",
};

static void for_a_server_it_holds_address_headers_and_body(void **state)
{
	const struct model_settings settings = { .provider = provider,
						 .base_url = url,
						 .model = model,
						 .ca_file = ca_file,
						 .env_key = env_key };
	const struct model_request request = { .session_id = "s1",
					       .items = items,
					       .item_count = ARRAY_LEN(items),
					       .settings = &settings };
	struct outgoing out = { 0 };

	(void)state;
	assert_int_equal(outgoing_init(&out, &request, NULL), 0);
	assert_string_equal(buf_str(&out.url), "http://127.0.0.1:1/v1/responses");
	assert_non_null(strstr(buf_str(&out.body), "\"first\""));
	assert_true(out.headers.count > 0);
	assert_string_equal(out.ca_file, "/ca");
	assert_string_equal(out.env_key, "P_KEY");
	assert_string_equal(out.provider, "p");
	assert_null(out.session_id);
	outgoing_deinit(&out);
}

static void for_a_cassette_it_knows_how_far_the_conversation_is(void **state)
{
	const struct model_settings settings = { .provider = provider,
						 .replay = true,
						 .cassette = tape };
	static const struct {
		size_t item_count;
		const char *input;
		size_t model_items;
		const char *last_text;
	} rows[] = {
		{ 0, NULL, 0, NULL },
		{ 4, NULL, 2, "first" },
		{ 0, "[{\"role\":\"user\",\"content\":\"second\"},{\"role\":\"assistant\"}]", 1,
		  "second" },
		{ 4, "[{\"role\":\"user\",\"content\":\"second\"}]", 2, "second" },
		{ 4, "[{\"role\":\"assistant\"}]", 3, "first" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *input = rows[i].input ? json_loads(rows[i].input, 0, NULL) : NULL;
		const struct model_request request = { .session_id = "s1",
						       .items = items,
						       .item_count = rows[i].item_count,
						       .input = input,
						       .settings = &settings };
		struct outgoing out = { 0 };

		assert_int_equal(outgoing_init(&out, &request, NULL), 0);
		assert_true(out.replay);
		assert_string_equal(out.session_id, "s1");
		assert_string_equal(out.cassette, "/tape");
		assert_int_equal(out.body.len, 0);
		if (out.model_items != rows[i].model_items ||
		    !str_eq(out.last_text, rows[i].last_text))
			fail_msg("row %zu: %zu '%s'", i, out.model_items, out.last_text);
		outgoing_deinit(&out);
		json_decref(input);
	}
}

static void a_failure_leaves_something_that_can_be_cleaned_up(void **state)
{
	char key[] = "two\nlines";
	const struct model_settings settings = {
		.provider = provider, .base_url = url, .model = model, .api_key = key
	};
	const struct model_request request = { .session_id = "s1", .settings = &settings };
	struct outgoing out = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(outgoing_init(&out, &request, &err), ERR_INVALID);
	outgoing_deinit(&out);
	outgoing_deinit(&out);
}

/* Each allocation of the making fails once; jansson's too. */
static void want_of_memory_is_an_error_and_leaks_nothing(void **state)
{
	const struct model_settings server = { .provider = provider,
					       .base_url = url,
					       .model = model,
					       .ca_file = ca_file,
					       .env_key = env_key };
	const struct model_settings replay = { .provider = provider,
					       .replay = true,
					       .cassette = tape };
	const struct model_settings *const both[] = { &server, &replay };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		const struct model_request request = { .session_id = "s1",
						       .items = items,
						       .item_count = ARRAY_LEN(items),
						       .settings = both[i] };
		size_t failures = 0;
		size_t asked = 0;
		size_t nth = 0;

		do {
			struct outgoing out = { 0 };
			struct err err = { 0 };
			int rc;

			alloc_fail_at(++nth);
			rc = outgoing_init(&out, &request, &err);
			asked = alloc_fail_count();
			alloc_fail_at(0);
			failures += rc < 0;
			assert_int_equal(rc < 0, err.code != ERR_NONE);
			outgoing_deinit(&out);
		} while (asked >= nth);
		assert_true(failures > 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(for_a_server_it_holds_address_headers_and_body),
		FIXTURE_TEST(for_a_cassette_it_knows_how_far_the_conversation_is),
		FIXTURE_TEST(a_failure_leaves_something_that_can_be_cleaned_up),
		FIXTURE_TEST(want_of_memory_is_an_error_and_leaks_nothing),
	};

	alloc_fail_json();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
