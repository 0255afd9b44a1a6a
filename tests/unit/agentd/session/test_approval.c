#include <string.h>

#include "proto/base/err.h"

#include "agentd/session/approval.h"
#include "tests/support/fixture.h"

static const struct approval_teller anna = { .client = 1, .name = "anna" };
static const struct approval_teller bert = { .client = 2, .name = "bert" };

static json_t *params(void)
{
	return json_pack("{s:{s:s}}", "toolCall", "toolCallId", "call_1");
}

static struct approval *ask(struct approvals *approvals, bool has_grant)
{
	struct err err = { 0 };
	struct approval *approval = approval_new(approvals, 7, has_grant, params(), NULL, &err);

	if (!approval)
		fail_msg("%s", err.text);
	return approval;
}

static unsigned step(struct approval *approval, enum approval_event event,
		     enum approval_outcome outcome, const struct approval_teller *teller)
{
	unsigned acts = 0;
	struct err err = { 0 };

	if (approval_step(approval, event, outcome, teller, &acts, &err) < 0)
		fail_msg("%s", err.text);
	return acts;
}

static void a_client_alone_never_lets_a_command_leave_its_ceiling(void **state)
{
	struct approvals approvals;
	struct approval *approval;

	(void)state;
	approvals_init(&approvals);
	approval = ask(&approvals, true);
	for (int i = 0; i < 3; i++)
		assert_false(step(approval, APPROVAL_ON_ALLOW, APPROVAL_ALLOW_ALWAYS, &anna) &
			     APPROVAL_ACT_RUN);
	assert_true(approval_is_waiting(approval));
	approvals_deinit(&approvals);
}

/* Walks every sequence of up to `left` events and counts how often the command may run. */
static void walk(const struct approval *before, int ran, bool granted, int left)
{
	assert_true(ran <= 1);
	if (before->has_grant && ran > 0)
		assert_true(granted);
	for (int e = 1; left > 0 && e < APPROVAL_EVENT_COUNT; e++) {
		struct approval next = *before;
		unsigned acts = 0;
		struct err err = { 0 };

		if (approval_step(&next, (enum approval_event)e, APPROVAL_ALLOW_ONCE, &anna, &acts,
				  &err) < 0) {
			assert_int_equal(err.code, ERR_STATE);
			assert_memory_equal(&next, before, sizeof(next));
			continue;
		}
		walk(&next, ran + !!(acts & APPROVAL_ACT_RUN), granted || e == APPROVAL_ON_GRANTED,
		     left - 1);
	}
}

static void whatever_happens_a_command_runs_once_at_most_and_beyond_only_when_granted(void **state)
{
	struct approvals approvals;

	(void)state;
	approvals_init(&approvals);
	walk(ask(&approvals, true), 0, false, 5);
	walk(ask(&approvals, false), 0, false, 5);
	approvals_deinit(&approvals);
}

static void without_a_grant_the_first_answer_counts_and_the_second_is_late(void **state)
{
	static const struct {
		enum approval_event on;
		enum approval_outcome given;
		enum approval_outcome outcome;
		unsigned acts;
	} rows[] = {
		{ APPROVAL_ON_ALLOW, APPROVAL_ALLOW_ONCE, APPROVAL_ALLOW_ONCE,
		  APPROVAL_ACT_RUN | APPROVAL_ACT_ANNOUNCE },
		{ APPROVAL_ON_ALLOW, APPROVAL_ALLOW_ALWAYS, APPROVAL_ALLOW_ALWAYS,
		  APPROVAL_ACT_RUN | APPROVAL_ACT_ANNOUNCE },
		{ APPROVAL_ON_REJECT, APPROVAL_OPEN, APPROVAL_REJECT_ONCE,
		  APPROVAL_ACT_REFUSE | APPROVAL_ACT_ANNOUNCE },
		{ APPROVAL_ON_CANCEL, APPROVAL_OPEN, APPROVAL_CANCELLED, APPROVAL_ACT_ANNOUNCE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct approvals approvals;
		struct approval *approval;
		unsigned acts = 0;
		struct err err = { 0 };

		approvals_init(&approvals);
		approval = ask(&approvals, false);
		assert_int_equal(step(approval, rows[i].on, rows[i].given, &anna), rows[i].acts);
		assert_int_equal(approval->outcome, rows[i].outcome);
		assert_int_equal(approval_step(approval, APPROVAL_ON_ALLOW, APPROVAL_ALLOW_ONCE,
					       &bert, &acts, &err),
				 ERR_STATE);
		assert_int_not_equal(approval->by.client, bert.client);
		approvals_deinit(&approvals);
	}
}

static void whoever_said_yes_before_the_broker_is_named(void **state)
{
	struct approvals approvals;
	struct approval *approval;

	(void)state;
	approvals_init(&approvals);
	approval = ask(&approvals, true);
	(void)step(approval, APPROVAL_ON_ALLOW, APPROVAL_ALLOW_ONCE, &anna);
	(void)step(approval, APPROVAL_ON_ALLOW, APPROVAL_ALLOW_ONCE, &bert);
	assert_int_equal(step(approval, APPROVAL_ON_GRANTED, APPROVAL_ALLOW_ONCE, NULL),
			 APPROVAL_ACT_RUN | APPROVAL_ACT_ANNOUNCE);
	assert_string_equal(approval->by.name, "anna");
	approvals_deinit(&approvals);
}

static void whoever_speaks_first_after_the_broker_is_named(void **state)
{
	struct approvals approvals;
	struct approval *approval;

	(void)state;
	approvals_init(&approvals);
	approval = ask(&approvals, true);
	assert_int_equal(step(approval, APPROVAL_ON_GRANTED, APPROVAL_ALLOW_ALWAYS, NULL),
			 APPROVAL_ACT_RUN | APPROVAL_ACT_WAIT);
	assert_false(approval_is_waiting(approval));
	assert_int_equal(step(approval, APPROVAL_ON_ALLOW, APPROVAL_ALLOW_ONCE, &bert),
			 APPROVAL_ACT_ANNOUNCE);
	assert_string_equal(approval->by.name, "bert");
	assert_int_equal(approval->outcome, APPROVAL_ALLOW_ALWAYS);
	approvals_deinit(&approvals);
}

static void nobody_is_named_when_nobody_speaks_in_time(void **state)
{
	struct approvals approvals;
	struct approval *approval;

	(void)state;
	approvals_init(&approvals);
	approval = ask(&approvals, true);
	(void)step(approval, APPROVAL_ON_DENIED, APPROVAL_OPEN, NULL);
	assert_int_equal(step(approval, APPROVAL_ON_TIME, APPROVAL_OPEN, NULL),
			 APPROVAL_ACT_ANNOUNCE);
	assert_int_equal(approval->by.client, 0);
	assert_int_equal(approval->outcome, APPROVAL_REJECT_ONCE);
	approvals_deinit(&approvals);
}

static void a_no_takes_the_grant_back(void **state)
{
	struct approvals approvals;
	struct approval *approval;

	(void)state;
	approvals_init(&approvals);
	approval = ask(&approvals, true);
	(void)step(approval, APPROVAL_ON_ALLOW, APPROVAL_ALLOW_ONCE, &anna);
	assert_int_equal(step(approval, APPROVAL_ON_REJECT, APPROVAL_OPEN, &bert),
			 APPROVAL_ACT_WITHDRAW | APPROVAL_ACT_REFUSE | APPROVAL_ACT_ANNOUNCE);
	assert_string_equal(approval->by.name, "bert");
	approvals_deinit(&approvals);
}

static void at_most_so_many_questions_wait_at_once(void **state)
{
	struct approvals approvals;
	struct err err = { 0 };

	(void)state;
	approvals_init(&approvals);
	for (int i = 0; i < APPROVALS_MAX; i++)
		assert_non_null(approval_new(&approvals, i, false, params(), NULL, &err));
	assert_null(approval_new(&approvals, APPROVALS_MAX, false, params(), NULL, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_int_equal(approvals_waiting(&approvals), APPROVALS_MAX);
	approvals_deinit(&approvals);
}

static void a_question_is_found_by_its_key_until_it_is_freed(void **state)
{
	struct approvals approvals;
	struct approval *approval;

	(void)state;
	approvals_init(&approvals);
	approval = ask(&approvals, false);
	assert_string_equal(approval->call_id, "call_1");
	assert_ptr_equal(approval_find(&approvals, 7), approval);
	assert_null(approval_find(&approvals, 8));
	approval_free(&approvals, approval);
	assert_null(approval_find(&approvals, 7));
	approvals_deinit(&approvals);
}

static void every_outcome_is_found_by_its_name(void **state)
{
	(void)state;
	for (int o = APPROVAL_OPEN + 1; o < APPROVAL_OUTCOME_COUNT; o++) {
		const char *name = approval_outcome_name((enum approval_outcome)o);

		assert_non_null(name);
		assert_int_equal(approval_outcome_find(name), o);
	}
	assert_int_equal(approval_outcome_find("reject_always"), APPROVAL_OPEN);
	assert_int_equal(approval_outcome_find(NULL), APPROVAL_OPEN);
	assert_null(approval_outcome_name(APPROVAL_OUTCOME_COUNT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_client_alone_never_lets_a_command_leave_its_ceiling),
		FIXTURE_TEST(
			whatever_happens_a_command_runs_once_at_most_and_beyond_only_when_granted),
		FIXTURE_TEST(without_a_grant_the_first_answer_counts_and_the_second_is_late),
		FIXTURE_TEST(whoever_said_yes_before_the_broker_is_named),
		FIXTURE_TEST(whoever_speaks_first_after_the_broker_is_named),
		FIXTURE_TEST(nobody_is_named_when_nobody_speaks_in_time),
		FIXTURE_TEST(a_no_takes_the_grant_back),
		FIXTURE_TEST(at_most_so_many_questions_wait_at_once),
		FIXTURE_TEST(a_question_is_found_by_its_key_until_it_is_freed),
		FIXTURE_TEST(every_outcome_is_found_by_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
