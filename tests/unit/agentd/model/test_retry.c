#include <string.h>

#include "agentd/model/retry.h"
#include "tests/support/fixture.h"

static const struct cause request_cause = { CAUSE_REQUEST, MODEL_ERROR_SERVER, -1, "HTTP 500" };
static const struct cause stream_cause = { CAUSE_STREAM, MODEL_ERROR_NETWORK, -1, "cut" };
static const struct cause fatal_cause = { CAUSE_FATAL, MODEL_ERROR_REQUEST, -1, "HTTP 400" };

/* The middle of the jitter: exactly the doubled time. */
#define NO_JITTER RETRY_JITTER_PERMILLE

static struct retry_step step(struct retry *retry, enum retry_event event,
			      const struct cause *cause)
{
	struct retry_step out = { 0 };
	struct err err = { 0 };

	if (retry_on(retry, event, cause, NO_JITTER, &out, &err) < 0)
		fail_msg("%s", err.text);
	return out;
}

static void every_pair_of_state_and_event_has_one_outcome(void **state)
{
	static const struct {
		enum retry_state from;
		enum retry_event on;
		enum retry_state to;
		enum retry_act act;
	} known[] = {
		{ RETRY_TRYING, RETRY_ON_COMPLETED, RETRY_ENDED, RETRY_ACT_FINISH },
		{ RETRY_TRYING, RETRY_ON_FAILURE, RETRY_WAITING, RETRY_ACT_WAIT },
		{ RETRY_TRYING, RETRY_ON_CANCEL, RETRY_ENDED, RETRY_ACT_DROP },
		{ RETRY_WAITING, RETRY_ON_TIMER, RETRY_TRYING, RETRY_ACT_SEND },
		{ RETRY_WAITING, RETRY_ON_CANCEL, RETRY_ENDED, RETRY_ACT_DROP },
		{ RETRY_ENDED, RETRY_ON_CANCEL, RETRY_ENDED, RETRY_ACT_NOTHING },
	};

	(void)state;
	for (int s = 0; s < RETRY_STATE_COUNT; s++) {
		for (int e = 0; e < RETRY_EVENT_COUNT; e++) {
			struct retry retry = { .state = (enum retry_state)s,
					       .request_max = 1,
					       .stream_max = 1 };
			const struct retry before = retry;
			struct retry_step out = { .act = RETRY_ACT_COUNT };
			struct err err = { 0 };
			bool found = false;
			int rc =
				retry_on(&retry, (enum retry_event)e, &stream_cause, 0, &out, &err);

			for (size_t i = 0; i < ARRAY_LEN(known); i++) {
				if ((int)known[i].from != s || (int)known[i].on != e)
					continue;
				found = true;
				assert_int_equal(rc, 0);
				assert_int_equal(retry.state, known[i].to);
				assert_int_equal(out.act, known[i].act);
			}
			if (found)
				continue;
			if (rc != ERR_STATE || memcmp(&retry, &before, sizeof retry) != 0 ||
			    out.act != RETRY_ACT_COUNT)
				fail_msg("state %d, event %d: %d", s, e, rc);
		}
	}
}

static void a_failure_without_a_cause_is_refused(void **state)
{
	struct retry retry = { 0 };
	struct retry_step out = { 0 };
	struct err err = { 0 };

	(void)state;
	retry_init(&retry, 4, 5);
	assert_int_equal(retry_on(&retry, RETRY_ON_FAILURE, NULL, 0, &out, &err), ERR_STATE);
	assert_int_equal(retry.state, RETRY_TRYING);
}

static void a_stream_is_tried_again_five_times_with_doubled_waits(void **state)
{
	static const int64_t waits[] = { 200, 400, 800, 1600, 3200 };
	struct retry retry = { 0 };
	struct retry_step out;

	(void)state;
	retry_init(&retry, 4, 5);
	for (int i = 0; i < 5; i++) {
		out = step(&retry, RETRY_ON_FAILURE, &stream_cause);
		assert_int_equal(out.act, RETRY_ACT_WAIT);
		assert_int_equal(out.wait_ms, waits[i]);
		assert_int_equal(out.attempt, i + 1);
		assert_int_equal(out.attempts, 5);
		if (i == 0)
			assert_string_equal(out.text, "Reconnecting... 1/5 (cut)");
		assert_int_equal(step(&retry, RETRY_ON_TIMER, NULL).act, RETRY_ACT_SEND);
	}
	out = step(&retry, RETRY_ON_FAILURE, &stream_cause);
	assert_int_equal(out.act, RETRY_ACT_FAIL);
	assert_int_equal(out.error, MODEL_ERROR_NETWORK);
	assert_string_equal(out.text, "gave up after 5 reconnects: cut");
	assert_int_equal(retry.state, RETRY_ENDED);
}

/* (request_max + 1) * (stream_max + 1) requests, for every pair of limits. */
static void requests_that_fail_for_ever_end_after_both_accounts(void **state)
{
	(void)state;
	for (int requests = 0; requests <= 6; requests++) {
		for (int streams = 0; streams <= 6; streams++) {
			struct retry retry = { 0 };
			int sent = 1;

			retry_init(&retry, requests, streams);
			while (step(&retry, RETRY_ON_FAILURE, &request_cause).act ==
			       RETRY_ACT_WAIT) {
				assert_int_equal(step(&retry, RETRY_ON_TIMER, NULL).act,
						 RETRY_ACT_SEND);
				sent++;
			}
			assert_int_equal(sent, (requests + 1) * (streams + 1));
			assert_int_equal(retry.state, RETRY_ENDED);
		}
	}
}

static void a_broken_stream_does_not_use_up_requests(void **state)
{
	struct retry retry = { 0 };
	struct retry_step out;

	(void)state;
	retry_init(&retry, 2, 2);
	out = step(&retry, RETRY_ON_FAILURE, &request_cause);
	assert_string_equal(out.text, "Repeating the request... 1/2 (HTTP 500)");
	(void)step(&retry, RETRY_ON_TIMER, NULL);
	out = step(&retry, RETRY_ON_FAILURE, &stream_cause);
	assert_string_equal(out.text, "Reconnecting... 1/2 (cut)");
	(void)step(&retry, RETRY_ON_TIMER, NULL);
	out = step(&retry, RETRY_ON_FAILURE, &request_cause); /* the account began anew */
	assert_string_equal(out.text, "Repeating the request... 1/2 (HTTP 500)");
}

static void what_is_fatal_is_never_tried_again(void **state)
{
	struct retry retry = { 0 };
	struct retry_step out;

	(void)state;
	retry_init(&retry, 100, 100);
	out = step(&retry, RETRY_ON_FAILURE, &fatal_cause);
	assert_int_equal(out.act, RETRY_ACT_FAIL);
	assert_int_equal(out.error, MODEL_ERROR_REQUEST);
	assert_string_equal(out.text, "HTTP 400");
}

static void a_time_that_the_server_names_is_kept_to_exactly(void **state)
{
	(void)state;
	for (int64_t ms = 0; ms <= CAUSE_WAIT_MAX_MS; ms += 12345) {
		struct cause cause = stream_cause;
		struct retry retry = { 0 };

		cause.wait_ms = ms;
		retry_init(&retry, 4, 5);
		assert_int_equal(step(&retry, RETRY_ON_FAILURE, &cause).wait_ms, ms);
	}
}

static void jitter_is_at_most_ten_per_cent(void **state)
{
	(void)state;
	for (int n = 1; n <= 100; n++) {
		int64_t base = retry_backoff_ms(n, NO_JITTER);
		int64_t low = base;
		int64_t high = base;

		assert_true(base <= RETRY_MAX_MS);
		for (uint32_t random = 0; random < 1000; random++) {
			int64_t wait = retry_backoff_ms(n, random);

			low = wait < low ? wait : low;
			high = wait > high ? wait : high;
		}
		assert_int_equal(low, base - base / 10);
		assert_int_equal(high, base + base / 10);
		assert_true(retry_backoff_ms(n, UINT32_MAX) <= high);
	}
	assert_int_equal(retry_backoff_ms(100, NO_JITTER), RETRY_MAX_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(every_pair_of_state_and_event_has_one_outcome),
		FIXTURE_TEST(a_failure_without_a_cause_is_refused),
		FIXTURE_TEST(a_stream_is_tried_again_five_times_with_doubled_waits),
		FIXTURE_TEST(requests_that_fail_for_ever_end_after_both_accounts),
		FIXTURE_TEST(a_broken_stream_does_not_use_up_requests),
		FIXTURE_TEST(what_is_fatal_is_never_tried_again),
		FIXTURE_TEST(a_time_that_the_server_names_is_kept_to_exactly),
		FIXTURE_TEST(jitter_is_at_most_ten_per_cent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
