#include <string.h>

#include "agentd/model/cause.h"
#include "tests/support/fixture.h"

#define NOW 1777600000 /* 2026-05-01 01:46:40 UTC */
#define KIND(k) (CAUSE_##k)
#define ERROR(e) (MODEL_ERROR_##e)

struct answer_row {
	int status;
	const char *body;
	const char *retry_after;
	enum cause_kind kind;
	enum model_error error;
	int64_t wait_ms;
	const char *text;
};

static void check_answer(const struct answer_row *row)
{
	const struct cause_answer answer = {
		.status = row->status,
		.body = row->body,
		.body_len = strlen(row->body),
		.retry_after = row->retry_after,
		.now_s = NOW,
		.env_key = "KEY_VARIABLE",
		.provider = "local",
	};
	struct cause cause = { 0 };

	cause_from_answer(&cause, &answer);
	if (cause.kind != row->kind || cause.error != row->error || cause.wait_ms != row->wait_ms)
		fail_msg("%d %s: kind %d, error %d, wait %lld", row->status, row->body,
			 (int)cause.kind, (int)cause.error, (long long)cause.wait_ms);
	if (strcmp(cause.text, row->text) != 0)
		fail_msg("%d %s: '%s'", row->status, row->body, cause.text);
}

static void a_status_means_what_its_row_tells(void **state)
{
	static const struct answer_row rows[] = {
		{ 500, "", NULL, KIND(REQUEST), ERROR(SERVER), -1, "HTTP 500" },
		{ 503, "busy", NULL, KIND(REQUEST), ERROR(SERVER), -1, "HTTP 503: busy" },
		{ 503, "", "1", KIND(REQUEST), ERROR(SERVER), 1000, "HTTP 503" },
		{ 599, "", NULL, KIND(REQUEST), ERROR(SERVER), -1, "HTTP 599" },
		{ 429, "", NULL, KIND(STREAM), ERROR(OVERLOADED), -1, "HTTP 429" },
		{ 429, "", "0", KIND(STREAM), ERROR(OVERLOADED), 0, "HTTP 429" },
		{ 429, "", "7", KIND(STREAM), ERROR(OVERLOADED), 7000, "HTTP 429" },
		{ 429, "", "soon", KIND(STREAM), ERROR(OVERLOADED), -1, "HTTP 429" },
		{ 429, "{\"error\":{\"message\":\"try again in 2s\"}}", NULL, KIND(STREAM),
		  ERROR(OVERLOADED), 2000, "HTTP 429: try again in 2s" },
		{ 429, "", "3600", KIND(STREAM), ERROR(OVERLOADED), 3600000, "HTTP 429" },
		{ 429, "", "3601", KIND(FATAL), ERROR(OVERLOADED), -1,
		  "the server asks to wait 3601 s, which is too long: HTTP 429" },
		{ 401, "{\"error\":{\"message\":\"bad key\"}}", NULL, KIND(STREAM), ERROR(AUTH), -1,
		  "HTTP 401: bad key (the key is the value of KEY_VARIABLE, see "
		  "model_providers.local.env_key)" },
		{ 400, "{\"error\":{\"message\":\"no such model\"}}", NULL, KIND(FATAL),
		  ERROR(REQUEST), -1, "HTTP 400: no such model" },
		{ 400, "{\"error\":\"flat\"}", NULL, KIND(FATAL), ERROR(REQUEST), -1,
		  "HTTP 400: flat" },
		{ 400, "{\"message\":\"top\"}", NULL, KIND(FATAL), ERROR(REQUEST), -1,
		  "HTTP 400: top" },
		{ 400, "{\"detail\":\"fine\"}", NULL, KIND(FATAL), ERROR(REQUEST), -1,
		  "HTTP 400: fine" },
		{ 400, "two\nlines", "5", KIND(FATAL), ERROR(REQUEST), -1, "HTTP 400: two lines" },
		{ 400, "bad \xff byte", NULL, KIND(FATAL), ERROR(REQUEST), -1,
		  "HTTP 400: bad ? byte" },
		{ 402, "", NULL, KIND(FATAL), ERROR(QUOTA), -1, "HTTP 402" },
		{ 403, "", NULL, KIND(FATAL), ERROR(AUTH), -1, "HTTP 403" },
		{ 404, "", NULL, KIND(FATAL), ERROR(REQUEST), -1, "HTTP 404" },
		{ 413, "", NULL, KIND(FATAL), ERROR(REQUEST), -1, "HTTP 413" },
		{ 302, "", NULL, KIND(FATAL), ERROR(REQUEST), -1, "HTTP 302" },
		{ 199, "", NULL, KIND(FATAL), ERROR(REQUEST), -1, "HTTP 199" },
		{ 600, "", NULL, KIND(FATAL), ERROR(REQUEST), -1, "HTTP 600" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check_answer(&rows[i]);
}

static void a_known_code_settles_the_matter_whatever_the_status(void **state)
{
	static const struct answer_row rows[] = {
		{ 400, "{\"error\":{\"code\":\"context_length_exceeded\",\"message\":\"m\"}}", NULL,
		  KIND(FATAL), ERROR(CONTEXT), -1, "HTTP 400: m" },
		{ 429, "{\"error\":{\"code\":\"insufficient_quota\",\"message\":\"m\"}}", "1",
		  KIND(FATAL), ERROR(QUOTA), -1, "HTTP 429: m" },
		{ 503, "{\"error\":{\"code\":\"server_is_overloaded\",\"message\":\"m\"}}", NULL,
		  KIND(FATAL), ERROR(OVERLOADED), -1, "HTTP 503: m" },
		{ 503, "{\"error\":{\"code\":\"slow_down\",\"message\":\"m\"}}", NULL, KIND(FATAL),
		  ERROR(OVERLOADED), -1, "HTTP 503: m" },
		{ 429, "{\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"m\"}}", NULL,
		  KIND(STREAM), ERROR(OVERLOADED), -1, "HTTP 429: m" },
		{ 429, "{\"error\":{\"code\":\"new_code\",\"message\":\"m\"}}", NULL, KIND(STREAM),
		  ERROR(OVERLOADED), -1, "HTTP 429: m" },
		{ 429, "{\"error\":{\"type\":\"usage_limit_reached\",\"message\":\"m\"}}", NULL,
		  KIND(FATAL), ERROR(QUOTA), -1, "m" },
		{ 429,
		  "{\"error\":{\"type\":\"usage_limit_reached\",\"message\":\"m\",\"resets_at\":"
		  "1777603600}}",
		  "5", KIND(FATAL), ERROR(QUOTA), -1, "m; it resets at 2026-05-01 02:46 UTC" },
		{ 429, "{\"error\":{\"type\":\"usage_limit_reached\",\"resets_in_seconds\":60}}",
		  NULL, KIND(FATAL), ERROR(QUOTA), -1,
		  "{\"error\":{\"type\":\"usage_limit_reached\",\"resets_in_seconds\":60}}; it "
		  "resets at "
		  "2026-05-01 01:47 UTC" },
		{ 429, "{\"error\":{\"type\":\"usage_not_included\",\"message\":\"m\"}}", NULL,
		  KIND(FATAL), ERROR(QUOTA), -1, "m" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check_answer(&rows[i]);
}

static void a_long_body_is_shown_from_its_beginning(void **state)
{
	char body[CAUSE_BODY_SHOWN * 2];
	const struct cause_answer answer = { .status = 500, .body = body, .body_len = sizeof body };
	struct cause cause = { 0 };

	(void)state;
	memset(body, 'x', sizeof body);
	cause_from_answer(&cause, &answer);
	assert_int_equal(strlen(cause.text), strlen("HTTP 500: ") + CAUSE_BODY_SHOWN);
}

static void a_failed_response_means_what_its_code_says(void **state)
{
	static const struct {
		const char *code;
		const char *message;
		enum cause_kind kind;
		enum model_error error;
		int64_t wait_ms;
		const char *text;
	} rows[] = {
		{ "context_length_exceeded", "too long", KIND(FATAL), ERROR(CONTEXT), -1,
		  "context_length_exceeded: too long" },
		{ "insufficient_quota", "", KIND(FATAL), ERROR(QUOTA), -1, "insufficient_quota" },
		{ "usage_limit_reached", "", KIND(FATAL), ERROR(QUOTA), -1, "usage_limit_reached" },
		{ "invalid_prompt", "", KIND(FATAL), ERROR(REQUEST), -1, "invalid_prompt" },
		{ "server_is_overloaded", "", KIND(FATAL), ERROR(OVERLOADED), -1,
		  "server_is_overloaded" },
		{ "slow_down", "", KIND(FATAL), ERROR(OVERLOADED), -1, "slow_down" },
		{ "rate_limit_exceeded", "Please try again in 1.5s.", KIND(STREAM), ERROR(SERVER),
		  1500, "rate_limit_exceeded: Please try again in 1.5s." },
		{ "rate_limit_exceeded", "later", KIND(STREAM), ERROR(SERVER), -1,
		  "rate_limit_exceeded: later" },
		{ "rate_limit_exceeded", "try again in 2h", KIND(FATAL), ERROR(SERVER), -1,
		  "the server asks to wait 7200 s, which is too long: rate_limit_exceeded: try "
		  "again in 2h" },
		{ "server_error", "try again in 9s", KIND(STREAM), ERROR(SERVER), -1,
		  "server_error: try again in 9s" },
		{ "", "", KIND(STREAM), ERROR(SERVER), -1, "the server reports a failure" },
	};
	struct cause cause = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cause_from_failed(&cause, rows[i].code, rows[i].message);
		if (cause.kind != rows[i].kind || cause.error != rows[i].error ||
		    cause.wait_ms != rows[i].wait_ms || strcmp(cause.text, rows[i].text) != 0)
			fail_msg("%s: %d %d %lld '%s'", rows[i].code, (int)cause.kind,
				 (int)cause.error, (long long)cause.wait_ms, cause.text);
	}
}

static void what_breaks_on_the_way_is_worth_another_try(void **state)
{
	struct cause cause = { 0 };

	(void)state;
	cause_from_transport(&cause, "no route");
	assert_int_equal(cause.kind, CAUSE_REQUEST);
	assert_string_equal(cause.text, "no route");
	cause_from_cut(&cause, NULL);
	assert_int_equal(cause.kind, CAUSE_STREAM);
	assert_string_equal(cause.text, "stream closed before response.completed");
	cause_from_cut(&cause, "reset");
	assert_string_equal(cause.text, "stream closed before response.completed: reset");
	cause_from_idle(&cause, 300000);
	assert_int_equal(cause.kind, CAUSE_STREAM);
	assert_string_equal(cause.text, "nothing came for 300000 ms");
}

static void an_incomplete_answer_and_our_own_limits_are_final(void **state)
{
	const struct err err = { .code = ERR_LIMIT, .text = "too much" };
	struct cause cause = { 0 };

	(void)state;
	cause_from_incomplete(&cause, "content_filter");
	assert_int_equal(cause.kind, CAUSE_FATAL);
	assert_int_equal(cause.error, MODEL_ERROR_INCOMPLETE);
	assert_string_equal(cause.text, "the answer is incomplete: content_filter");
	cause_from_err(&cause, &err);
	assert_int_equal(cause.kind, CAUSE_FATAL);
	assert_int_equal(cause.error, MODEL_ERROR_INTERNAL);
	assert_string_equal(cause.text, "too much");
}

static void retry_after_is_seconds_or_a_date(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
		{ "0", 0 },
		{ "5", 5000 },
		{ " 5 ", 5000 },
		{ "1.5", 1500 },
		{ "999999999", 999999999000 },
		{ "9999999999", -1 },
		{ "-1", -1 },
		{ "5 s", -1 },
		{ "", -1 },
		{ "Fri, 01 May 2026 01:46:50 GMT", 10000 },
		{ "Friday, 01-May-26 01:46:50 GMT", 10000 },
		{ "Fri May  1 01:46:50 2026", 10000 },
		{ "Fri, 01 May 2026 01:46:40 GMT", 0 },
		{ "Fri, 01 May 2020 01:46:40 GMT", 0 },
		{ "Fri, 01 May 2026 01:46:50 CET", -1 },
		{ "Fri, 01 May 2026", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (cause_retry_after_ms(rows[i].text, NOW) != rows[i].ms)
			fail_msg("'%s': %lld", rows[i].text,
				 (long long)cause_retry_after_ms(rows[i].text, NOW));
	}
}

static void try_again_in_is_read_from_the_sentence(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
		{ "Rate limit reached. Please try again in 11.054s. Visit", 11054 },
		{ "Please try again in 28ms.", 28 },
		{ "Please try again in 28.9ms", 28 },
		{ "please TRY AGAIN in 3 seconds", 3000 },
		{ "try again in 1 second", 1000 },
		{ "try again in 2 minutes", 120000 },
		{ "try again in 6m0s", 360000 },
		{ "try again in 1m2.5s", 62500 },
		{ "try again in 1h0m0s", 3600000 },
		{ "try again in 0s", 0 },
		{ "try again in 5 parsecs", -1 },
		{ "try again in 5", -1 },
		{ "try again in a moment", -1 },
		{ "try again in -3s", -1 },
		{ "try again in 9999999999s", -1 },
		{ "try again later", -1 },
		{ "", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (cause_try_again_ms(rows[i].text) != rows[i].ms)
			fail_msg("'%s': %lld", rows[i].text,
				 (long long)cause_try_again_ms(rows[i].text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_status_means_what_its_row_tells),
		FIXTURE_TEST(a_known_code_settles_the_matter_whatever_the_status),
		FIXTURE_TEST(a_long_body_is_shown_from_its_beginning),
		FIXTURE_TEST(a_failed_response_means_what_its_code_says),
		FIXTURE_TEST(what_breaks_on_the_way_is_worth_another_try),
		FIXTURE_TEST(an_incomplete_answer_and_our_own_limits_are_final),
		FIXTURE_TEST(retry_after_is_seconds_or_a_date),
		FIXTURE_TEST(try_again_in_is_read_from_the_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
