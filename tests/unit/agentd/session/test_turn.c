#include <string.h>

#include "proto/base/err.h"

#include "agentd/session/turn.h"
#include "tests/support/fixture.h"

static const struct row {
	enum turn_state from;
	enum turn_event on;
	enum turn_state to;
	enum turn_act act;
} turn_rows[] = {
	{ TURN_IDLE, TURN_ON_PROMPT, TURN_PREPARING, TURN_ACT_PREPARE },
	{ TURN_IDLE, TURN_ON_CANCEL, TURN_IDLE, TURN_ACT_NONE },
	{ TURN_PREPARING, TURN_ON_READY, TURN_THINKING, TURN_ACT_ASK_MODEL },
	{ TURN_PREPARING, TURN_ON_FAIL, TURN_SAVING, TURN_ACT_STOP_PREPARING },
	{ TURN_PREPARING, TURN_ON_CANCEL, TURN_SAVING, TURN_ACT_STOP_PREPARING },
	{ TURN_THINKING, TURN_ON_RETRY, TURN_THINKING, TURN_ACT_DROP_PARTIAL },
	{ TURN_THINKING, TURN_ON_ANSWER, TURN_SAVING, TURN_ACT_SAVE },
	{ TURN_THINKING, TURN_ON_CALLS, TURN_WORKING, TURN_ACT_START_CALLS },
	{ TURN_THINKING, TURN_ON_FAIL, TURN_SAVING, TURN_ACT_STOP_MODEL },
	{ TURN_THINKING, TURN_ON_CANCEL, TURN_SAVING, TURN_ACT_STOP_MODEL },
	{ TURN_WORKING, TURN_ON_CALL_DONE, TURN_WORKING, TURN_ACT_NONE },
	{ TURN_WORKING, TURN_ON_CALLS_DONE, TURN_THINKING, TURN_ACT_ASK_MODEL },
	{ TURN_WORKING, TURN_ON_FAIL, TURN_STOPPING, TURN_ACT_STOP_CALLS },
	{ TURN_WORKING, TURN_ON_CANCEL, TURN_STOPPING, TURN_ACT_STOP_CALLS },
	{ TURN_STOPPING, TURN_ON_CALL_DONE, TURN_STOPPING, TURN_ACT_NONE },
	{ TURN_STOPPING, TURN_ON_CALLS_DONE, TURN_SAVING, TURN_ACT_SAVE },
	{ TURN_STOPPING, TURN_ON_TIME, TURN_SAVING, TURN_ACT_ABANDON_CALLS },
	{ TURN_STOPPING, TURN_ON_FAIL, TURN_STOPPING, TURN_ACT_NONE },
	{ TURN_STOPPING, TURN_ON_CANCEL, TURN_STOPPING, TURN_ACT_NONE },
	{ TURN_SAVING, TURN_ON_SAVED, TURN_IDLE, TURN_ACT_FINISH },
	{ TURN_SAVING, TURN_ON_FAIL, TURN_IDLE, TURN_ACT_FINISH },
	{ TURN_SAVING, TURN_ON_CANCEL, TURN_SAVING, TURN_ACT_NONE },
};

static const struct row *find(int state, int event)
{
	for (size_t i = 0; i < ARRAY_LEN(turn_rows); i++) {
		if ((int)turn_rows[i].from == state && (int)turn_rows[i].on == event)
			return &turn_rows[i];
	}
	return NULL;
}

static void every_pair_of_the_turn_is_listed_or_refused_without_a_change(void **state)
{
	(void)state;
	for (int s = 0; s < TURN_STATE_COUNT; s++) {
		for (int e = 0; e < TURN_EVENT_COUNT; e++) {
			const struct row *row = find(s, e);
			struct turn turn = { .state = (enum turn_state)s, .calls_open = 2 };
			const struct turn before = turn;
			enum turn_act act = TURN_ACT_COUNT;
			struct err err = { 0 };
			int result = turn_step(&turn, (enum turn_event)e, &act, &err);

			if (row && (result != 0 || turn.state != row->to || act != row->act))
				fail_msg("state %d, event %d", s, e);
			if (!row && (result != ERR_STATE || act != TURN_ACT_COUNT ||
				     memcmp(&turn, &before, sizeof(turn)) != 0))
				fail_msg("state %d, event %d is taken", s, e);
		}
	}
}

static void cancelling_is_taken_in_every_state(void **state)
{
	(void)state;
	for (int s = TURN_IDLE; s < TURN_STATE_COUNT; s++)
		assert_non_null(find(s, TURN_ON_CANCEL));
}

/* From every state some events lead back to idle, so a turn cannot get stuck. */
static void every_state_leads_back_to_idle(void **state)
{
	bool ends[TURN_STATE_COUNT] = { [TURN_IDLE] = true };

	(void)state;
	for (int round = 0; round < TURN_STATE_COUNT; round++) {
		for (size_t i = 0; i < ARRAY_LEN(turn_rows); i++) {
			if (ends[turn_rows[i].to])
				ends[turn_rows[i].from] = true;
		}
	}
	for (int s = TURN_IDLE; s < TURN_STATE_COUNT; s++)
		assert_true(ends[s]);
}

static enum turn_act step(struct turn *turn, enum turn_event event)
{
	enum turn_act act = TURN_ACT_COUNT;
	struct err err = { 0 };

	if (turn_step(turn, event, &act, &err) < 0)
		fail_msg("%s", err.text);
	return act;
}

static struct turn working(size_t calls)
{
	struct turn turn;
	enum turn_act act;
	struct err err = { 0 };

	turn_init(&turn);
	(void)step(&turn, TURN_ON_PROMPT);
	(void)step(&turn, TURN_ON_READY);
	assert_int_equal(turn_step_calls(&turn, calls, &act, &err), 0);
	assert_int_equal(act, TURN_ACT_START_CALLS);
	return turn;
}

static void the_model_is_asked_again_after_the_last_call_and_not_before(void **state)
{
	struct turn turn = working(3);
	enum turn_act act;
	struct err err = { 0 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(turn_step_call_done(&turn, &act, &err), 0);
		assert_int_equal(act, TURN_ACT_NONE);
		assert_int_equal(turn.state, TURN_WORKING);
	}
	assert_int_equal(turn_step_call_done(&turn, &act, &err), 0);
	assert_int_equal(act, TURN_ACT_ASK_MODEL);
	assert_int_equal(turn_step_call_done(&turn, &act, &err), ERR_STATE);
}

static void an_answer_with_calls_has_at_least_one(void **state)
{
	struct turn turn = { .state = TURN_THINKING };
	enum turn_act act;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(turn_step_calls(&turn, 0, &act, &err), ERR_STATE);
	assert_int_equal(turn.state, TURN_THINKING);
}

static void the_first_event_that_ends_a_turn_decides_its_outcome(void **state)
{
	static const struct {
		enum turn_event first;
		enum turn_event second;
		enum turn_outcome outcome;
	} rows[] = {
		{ TURN_ON_CANCEL, TURN_ON_FAIL, TURN_INTERRUPTED },
		{ TURN_ON_FAIL, TURN_ON_CANCEL, TURN_FAILED },
		{ TURN_ON_CANCEL, TURN_ON_CANCEL, TURN_INTERRUPTED },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct turn turn = working(1);

		(void)step(&turn, rows[i].first);
		(void)step(&turn, rows[i].second);
		(void)step(&turn, TURN_ON_CALLS_DONE);
		assert_int_equal(step(&turn, TURN_ON_SAVED), TURN_ACT_FINISH);
		assert_int_equal(turn.outcome, rows[i].outcome);
	}
}

static void a_turn_that_cannot_be_saved_has_failed(void **state)
{
	struct turn turn = { .state = TURN_THINKING };

	(void)state;
	(void)step(&turn, TURN_ON_ANSWER);
	assert_int_equal(turn.outcome, TURN_COMPLETED);
	(void)step(&turn, TURN_ON_FAIL);
	assert_int_equal(turn.outcome, TURN_FAILED);
}

static void the_next_turn_starts_without_an_outcome(void **state)
{
	struct turn turn = { .state = TURN_IDLE, .outcome = TURN_FAILED, .calls_open = 7 };

	(void)state;
	(void)step(&turn, TURN_ON_PROMPT);
	assert_int_equal(turn.outcome, TURN_OPEN);
	assert_int_equal(turn.calls_open, 0);
}

static const struct call_row {
	enum call_state from;
	enum call_event on;
	enum call_state to;
	enum call_act act;
} call_rows[] = {
	{ CALL_JUDGING, CALL_ON_RUN, CALL_RUNNING, CALL_ACT_RUN },
	{ CALL_JUDGING, CALL_ON_ASK, CALL_WAITING, CALL_ACT_ASK },
	{ CALL_JUDGING, CALL_ON_REFUSE, CALL_DONE, CALL_ACT_REFUSED },
	{ CALL_JUDGING, CALL_ON_CANCEL, CALL_DONE, CALL_ACT_ABORTED },
	{ CALL_WAITING, CALL_ON_RUN, CALL_RUNNING, CALL_ACT_RUN },
	{ CALL_WAITING, CALL_ON_REFUSE, CALL_DONE, CALL_ACT_REFUSED },
	{ CALL_WAITING, CALL_ON_CANCEL, CALL_DONE, CALL_ACT_WITHDRAW },
	{ CALL_RUNNING, CALL_ON_RESULT, CALL_DONE, CALL_ACT_DELIVER },
	{ CALL_RUNNING, CALL_ON_REFUSE, CALL_DONE, CALL_ACT_REFUSED },
	{ CALL_RUNNING, CALL_ON_CANCEL, CALL_STOPPING, CALL_ACT_KILL },
	{ CALL_STOPPING, CALL_ON_RESULT, CALL_DONE, CALL_ACT_DELIVER },
	{ CALL_STOPPING, CALL_ON_REFUSE, CALL_DONE, CALL_ACT_ABORTED },
	{ CALL_STOPPING, CALL_ON_TIME, CALL_DONE, CALL_ACT_ABORTED },
	{ CALL_STOPPING, CALL_ON_CANCEL, CALL_STOPPING, CALL_ACT_NONE },
	{ CALL_DONE, CALL_ON_CANCEL, CALL_DONE, CALL_ACT_NONE },
};

static const struct call_row *find_call(int state, int event)
{
	for (size_t i = 0; i < ARRAY_LEN(call_rows); i++) {
		if ((int)call_rows[i].from == state && (int)call_rows[i].on == event)
			return &call_rows[i];
	}
	return NULL;
}

static void every_pair_of_a_call_is_listed_or_refused_without_a_change(void **state)
{
	(void)state;
	for (int s = 0; s < CALL_STATE_COUNT; s++) {
		for (int e = 0; e < CALL_EVENT_COUNT; e++) {
			const struct call_row *row = find_call(s, e);
			enum call_state call = (enum call_state)s;
			enum call_act act = CALL_ACT_COUNT;
			struct err err = { 0 };
			int result = call_step(&call, (enum call_event)e, &act, &err);

			if (row && (result != 0 || call != row->to || act != row->act))
				fail_msg("state %d, event %d", s, e);
			if (!row &&
			    (result != ERR_STATE || (int)call != s || act != CALL_ACT_COUNT))
				fail_msg("state %d, event %d is taken", s, e);
		}
	}
}

/* A call gets its one output on the way into the last state, whichever way that is. */
static void every_way_into_the_end_of_a_call_has_an_output(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(call_rows); i++) {
		const struct call_row *row = &call_rows[i];

		if (row->to == CALL_DONE && row->from != CALL_DONE)
			assert_int_not_equal(row->act, CALL_ACT_NONE);
	}
}

static void every_state_and_outcome_has_a_name(void **state)
{
	(void)state;
	for (int s = 0; s < TURN_STATE_COUNT; s++)
		assert_non_null(turn_state_name((enum turn_state)s));
	for (int o = 0; o < TURN_OUTCOME_COUNT; o++)
		assert_non_null(turn_outcome_name((enum turn_outcome)o));
	assert_string_equal(turn_state_name(TURN_STATE_COUNT), "none");
	assert_string_equal(turn_outcome_name(TURN_OUTCOME_COUNT), "open");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(every_pair_of_the_turn_is_listed_or_refused_without_a_change),
		FIXTURE_TEST(cancelling_is_taken_in_every_state),
		FIXTURE_TEST(every_state_leads_back_to_idle),
		FIXTURE_TEST(the_model_is_asked_again_after_the_last_call_and_not_before),
		FIXTURE_TEST(an_answer_with_calls_has_at_least_one),
		FIXTURE_TEST(the_first_event_that_ends_a_turn_decides_its_outcome),
		FIXTURE_TEST(a_turn_that_cannot_be_saved_has_failed),
		FIXTURE_TEST(the_next_turn_starts_without_an_outcome),
		FIXTURE_TEST(every_pair_of_a_call_is_listed_or_refused_without_a_change),
		FIXTURE_TEST(every_way_into_the_end_of_a_call_has_an_output),
		FIXTURE_TEST(every_state_and_outcome_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
