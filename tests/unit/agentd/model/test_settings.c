#include <stdio.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/conf.h"

#include "agentd/model/settings.h"
#include "tests/support/fixture.h"

#define OVERRIDES_MAX 12U

/* Name and value in turn. */
static const char *environment(void *ctx, const char *name)
{
	const char *const *pairs = ctx;

	for (; pairs && *pairs; pairs += 2) {
		if (str_eq(pairs[0], name))
			return pairs[1];
	}
	return NULL;
}

/* Settings from "key=value" overrides, NULL-terminated. */
static int settle(struct model_settings *out, const char *const *overrides, const char *const *env,
		  struct err *err)
{
	struct conf_input input = { .base = "/base", .overrides = overrides };
	struct conf *conf SCOPED(conf_release) = NULL;

	while (overrides && overrides[input.override_count])
		input.override_count++;
	if (conf_load(&conf, &input, err) < 0)
		fail_msg("%s", err->text);
	return model_settings_from_config(out, conf, environment, (void *)(uintptr_t)env, err);
}

static const char *const openai_env[] = { "OPENAI_API_KEY", "k1", NULL };

static void without_settings_it_is_openai_with_the_documented_numbers(void **state)
{
	struct model_settings settings = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(settle(&settings, NULL, openai_env, &err), 0);
	assert_string_equal(settings.provider, "openai");
	assert_string_equal(settings.base_url, "https://api.openai.com/v1");
	assert_string_equal(settings.model, MODEL_DEFAULT);
	assert_string_equal(settings.api_key, "k1");
	assert_string_equal(settings.env_key, "OPENAI_API_KEY");
	assert_int_equal(settings.request_max_retries, 4);
	assert_int_equal(settings.stream_max_retries, 5);
	assert_int_equal(settings.stream_idle_ms, 300000);
	assert_null(settings.effort);
	assert_false(settings.replay);
	model_settings_deinit(&settings);
}

static void every_key_of_a_provider_is_heard(void **state)
{
	static const char *const overrides[] = {
		"model=\"m\"",
		"model_provider=\"local\"",
		"model_reasoning_effort=\"high\"",
		"model_reasoning_summary=\"none\"",
		"model_verbosity=\"low\"",
		"model_providers.local.name=\"Local\"",
		"model_providers.local.base_url=\"http://127.0.0.1:1/v1//\"",
		"model_providers.local.env_key=\"LOCAL_KEY\"",
		"model_providers.local.request_max_retries=0",
		"model_providers.local.stream_max_retries=100",
		"model_providers.local.stream_idle_timeout_ms=7",
		"model_providers.local.query_params={\"a\"=\"1\"}",
		"model_providers.local.http_headers={\"X-A\"=\"1\", \"X-B\"=\"2\"}",
		"model_providers.local.env_http_headers={\"x-a\"=\"FROM_ENV\", \"X-C\"=\"UNSET\"}",
		"model_providers.local.env_http_headers.X-D=\"EMPTY\"",
		NULL,
	};
	static const char *const env[] = {
		"LOCAL_KEY",     "k2",  "FROM_ENV", "3", "EMPTY", "", "CODEX_CA_CERTIFICATE", "/ca",
		"SSL_CERT_FILE", "/no", NULL
	};
	struct model_settings settings = { 0 };
	struct err err = { 0 };

	(void)state;
	if (settle(&settings, overrides, env, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(settings.provider, "local");
	assert_string_equal(settings.name, "Local");
	assert_string_equal(settings.model, "m");
	assert_string_equal(settings.effort, "high");
	assert_string_equal(settings.summary, "none");
	assert_string_equal(settings.verbosity, "low");
	assert_string_equal(settings.base_url, "http://127.0.0.1:1/v1");
	assert_string_equal(settings.api_key, "k2");
	assert_int_equal(settings.request_max_retries, 0);
	assert_int_equal(settings.stream_max_retries, 100);
	assert_int_equal(settings.stream_idle_ms, 7);
	assert_int_equal(settings.query.count, 1);
	assert_string_equal(settings.query.items[0].name, "a");
	assert_int_equal(settings.headers.count,
			 2); /* from the environment, in place of the fixed */
	assert_string_equal(settings.headers.items[0].value, "3");
	assert_string_equal(settings.headers.items[1].value, "2");
	assert_string_equal(settings.ca_file, "/ca");
	model_settings_deinit(&settings);
}

static void a_key_is_found_or_its_absence_is_explained(void **state)
{
	static const struct {
		const char *overrides[OVERRIDES_MAX];
		const char *env[6];
		const char *key;  /* NULL with a sentence: refused; without: none is needed */
		const char *text; /* part of the sentence */
	} rows[] = {
		{ { NULL }, { "OPENAI_API_KEY", "k", NULL }, "k", NULL },
		{ { NULL }, { "OPENAI_API_KEY", "k", "CODEX_API_KEY", "c", NULL }, "c", NULL },
		{ { NULL }, { "OPENAI_API_KEY", "k", "CODEX_API_KEY", "", NULL }, "k", NULL },
		{ { NULL },
		  { NULL },
		  NULL,
		  "variable OPENAI_API_KEY is not set or empty (named by "
		  "model_providers.openai.env_key)" },
		{ { NULL },
		  { "OPENAI_API_KEY", "", NULL },
		  NULL,
		  "OPENAI_API_KEY is not set or empty" },
		{ { "model_provider=\"l\"", "model_providers.l.base_url=\"http://x\"", NULL },
		  { "OPENAI_API_KEY", "k", NULL },
		  NULL,
		  NULL },
		{ { "model_provider=\"l\"", "model_providers.l.base_url=\"http://x\"",
		    "model_providers.l.requires_openai_auth=true", NULL },
		  { "OPENAI_API_KEY", "k", NULL },
		  "k",
		  NULL },
		{ { "model_provider=\"l\"", "model_providers.l.base_url=\"http://x\"",
		    "model_providers.l.env_key=\"L_KEY\"",
		    "model_providers.l.env_key_instructions=\"Ask Ann.\"", NULL },
		  { "OPENAI_API_KEY", "k", NULL },
		  NULL,
		  "variable L_KEY is not set or empty (named by model_providers.l.env_key). Ask "
		  "Ann." },
		{ { "model_provider=\"l\"", "model_providers.l.base_url=\"http://x\"",
		    "model_providers.l.experimental_bearer_token=\"t\"", NULL },
		  { NULL },
		  "t",
		  NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct model_settings settings = { 0 };
		struct err err = { 0 };
		int rc = settle(&settings, rows[i].overrides, rows[i].env, &err);

		if (rc != (rows[i].text ? ERR_DENIED : 0))
			fail_msg("row %zu: %s", i, err.text);
		if (rows[i].text)
			assert_non_null(strstr(err.text, rows[i].text));
		assert_true(str_eq(settings.api_key, rows[i].key));
		model_settings_deinit(&settings);
	}
}

static void a_provider_that_cannot_be_used_is_refused_with_the_setting(void **state)
{
	static const struct {
		const char *overrides[OVERRIDES_MAX];
		const char *text;
	} rows[] = {
		{ { "model_provider=\"opena\"", NULL },
		  "model_provider 'opena': there is no section [model_providers.opena]; did you "
		  "mean 'openai'?" },
		{ { "model_provider=\"zzzzzzzz\"", NULL },
		  "model_provider 'zzzzzzzz': there is no section [model_providers.zzzzzzzz]" },
		{ { "model_provider=\"l\"", "model_providers.l.name=\"L\"", NULL },
		  "model_providers.l.base_url is not set" },
		{ { "model_provider=\"l\"", "model_providers.l.base_url=\"localhost:1\"", NULL },
		  "model_providers.l.base_url 'localhost:1' starts with neither https:// nor "
		  "http://" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct model_settings settings = { 0 };
		struct err err = { 0 };

		assert_int_equal(settle(&settings, rows[i].overrides, openai_env, &err),
				 ERR_INVALID);
		assert_string_equal(err.text, rows[i].text);
	}
}

static void the_built_in_address_can_be_replaced(void **state)
{
	static const struct {
		const char *overrides[OVERRIDES_MAX];
		const char *url;
	} rows[] = {
		{ { "openai_base_url=\"http://proxy/v1/\"", NULL }, "http://proxy/v1" },
		{ { "model_providers.openai.base_url=\"http://mine\"", NULL }, "http://mine" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct model_settings settings = { 0 };
		struct err err = { 0 };

		if (settle(&settings, rows[i].overrides, openai_env, &err) < 0)
			fail_msg("%s", err.text);
		assert_string_equal(settings.base_url, rows[i].url);
		model_settings_deinit(&settings);
	}
}

static void replay_needs_neither_key_nor_address(void **state)
{
	static const char *const plain[] = { "model_provider=\"replay\"", NULL };
	static const char *const file[] = { "model_provider=\"replay\"",
					    "model_providers.replay.cassette=\"tape.jsonl\"",
					    NULL };
	struct model_settings settings = { 0 };
	struct err err = { 0 };

	(void)state;
	if (settle(&settings, plain, NULL, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(settings.replay);
	assert_null(settings.cassette);
	assert_string_equal(settings.model, "replay");
	model_settings_deinit(&settings);
	if (settle(&settings, file, NULL, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(settings.cassette, "/base/tape.jsonl");
	model_settings_deinit(&settings);
}

static void pairs_have_a_largest_number(void **state)
{
	struct model_settings settings = { 0 };
	char name[16];
	struct err err = { 0 };

	(void)state;
	for (unsigned i = 0; i < MODEL_PAIRS_MAX; i++) {
		(void)snprintf(name, sizeof name, "n%u", i);
		assert_int_equal(model_pairs_set(&settings.query, name, "v", &err), 0);
	}
	assert_int_equal(model_pairs_set(&settings.query, "N0", "again", &err), 0);
	assert_string_equal(settings.query.items[0].value, "again");
	assert_int_equal(model_pairs_set(&settings.query, "more", "v", &err), ERR_LIMIT);
	model_settings_deinit(&settings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(without_settings_it_is_openai_with_the_documented_numbers),
		FIXTURE_TEST(every_key_of_a_provider_is_heard),
		FIXTURE_TEST(a_key_is_found_or_its_absence_is_explained),
		FIXTURE_TEST(a_provider_that_cannot_be_used_is_refused_with_the_setting),
		FIXTURE_TEST(the_built_in_address_can_be_replaced),
		FIXTURE_TEST(replay_needs_neither_key_nor_address),
		FIXTURE_TEST(pairs_have_a_largest_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
