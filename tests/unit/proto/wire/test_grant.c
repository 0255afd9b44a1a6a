#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/digest.h"
#include "proto/wire/grant.h"

#include "tests/support/fixture.h"

#define CEILING "c0"
#define START_MS 1000

static const char *const git_push[] = { "git", "push", NULL };
static const char *const git_pull[] = { "git", "pull", NULL };

/* A request for the command with names that are made of the number. */
static struct grant draft_of(unsigned number, const char *ceiling, const char *const *argv)
{
	struct grant draft = { .record = { .argv = { .items = argv, .count = 2 },
					   .cwd = "/w",
					   .mode = SANDBOX_MODE_DANGER_FULL_ACCESS,
					   .network = true } };

	(void)snprintf(draft.id, sizeof draft.id, "g%u", number);
	(void)snprintf(draft.nonce, sizeof draft.nonce, "n%u", number);
	(void)snprintf(draft.ceiling, sizeof draft.ceiling, "%s", ceiling);
	return draft;
}

static void set_input(struct grant *draft, const char *text)
{
	draft->input = text ? strdup(text) : NULL;
}

static enum broker_grant_state request(struct grants *grants, unsigned number, const char *ceiling,
				       const char *const *argv, int64_t now_ms)
{
	struct grant draft = draft_of(number, ceiling, argv);
	const struct grant *grant = NULL;
	char id[ID_SIZE];
	struct err err = { 0 };

	memcpy(id, draft.id, sizeof id);
	if (grants_request(grants, &draft, now_ms, &grant, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(grant->id, id);
	assert_null(draft.record.argv.items); /* it has moved into the store */
	return grant->record.state;
}

static int answer_prefix(struct grants *grants, unsigned number, const char *seal,
			 enum decision decision, size_t prefix)
{
	enum broker_grant_state granted = BROKER_GRANT_STATE_NONE;
	char id[ID_SIZE];
	const struct grant *grant;
	struct broker_grant_answer answer = { .grant = id,
					      .decision = decision,
					      .has_prefix = prefix > 0,
					      .prefix = (int64_t)prefix };
	struct err err = { 0 };

	(void)snprintf(id, sizeof id, "g%u", number);
	grant = grants_find(grants, id, NULL);
	answer.seal = seal ? seal : grant ? grant->seal : "";
	return grants_answer(grants, &answer, START_MS, &granted, &err);
}

static int answer(struct grants *grants, unsigned number, enum decision decision)
{
	return answer_prefix(grants, number, NULL, decision, 0);
}

/* Every grant goes with its ceiling. */
static void empty(struct grants *grants)
{
	while (grants->count > 0) {
		char ceiling[ID_SIZE];

		memcpy(ceiling, grants->items[0]->ceiling, sizeof ceiling);
		grants_settle(grants, ceiling);
	}
}

static int use(struct grants *grants, unsigned number, const char *ceiling, int64_t now_ms)
{
	const struct grant *grant = NULL;
	char id[ID_SIZE];
	struct err err = { 0 };
	int rc;

	(void)snprintf(id, sizeof id, "g%u", number);
	rc = grants_use(grants, id, ceiling, now_ms, &grant, &err);
	if (rc == 0)
		assert_string_equal(grant->id, id);
	grants_settle(grants, NULL);
	return rc;
}

static void nothing_runs_before_a_person_has_answered(void **state)
{
	struct grants grants = { 0 };

	(void)state;
	assert_int_equal(request(&grants, 1, CEILING, git_push, START_MS),
			 BROKER_GRANT_STATE_PENDING);
	assert_int_equal(use(&grants, 1, CEILING, START_MS), ERR_STATE);
	assert_non_null(grants_find(&grants, "g1", NULL));
	empty(&grants);
}

static void once_is_one_use(void **state)
{
	struct grants grants = { 0 };

	(void)state;
	(void)request(&grants, 1, CEILING, git_push, START_MS);
	assert_int_equal(answer(&grants, 1, DECISION_ONCE), 0);
	assert_int_equal(use(&grants, 1, CEILING, START_MS), 0);
	assert_int_equal(use(&grants, 1, CEILING, START_MS), ERR_NOTFOUND);
	assert_null(grants_find(&grants, "g1", NULL));
	assert_int_equal(request(&grants, 2, CEILING, git_push, START_MS),
			 BROKER_GRANT_STATE_PENDING);
	empty(&grants);
}

static void denied_is_gone(void **state)
{
	struct grants grants = { 0 };

	(void)state;
	(void)request(&grants, 1, CEILING, git_push, START_MS);
	assert_int_equal(answer(&grants, 1, DECISION_DENY), 0);
	assert_null(grants_find(&grants, "g1", NULL));
	assert_int_equal(use(&grants, 1, CEILING, START_MS), ERR_NOTFOUND);
	assert_int_equal(answer(&grants, 1, DECISION_ONCE), ERR_NOTFOUND);
	assert_int_equal(grants.bytes, 0);
	empty(&grants);
}

static void what_is_no_decision_denies(void **state)
{
	static const enum decision odd[] = { DECISION_NONE, DECISION_COUNT };
	struct grants grants = { 0 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(odd); i++) {
		(void)request(&grants, i, CEILING, git_push, START_MS);
		assert_int_equal(answer(&grants, i, odd[i]), 0);
		assert_int_equal(use(&grants, i, CEILING, START_MS), ERR_NOTFOUND);
	}
	empty(&grants);
}

/* Each part of the record with its length, as the schema says: nobody can move a boundary. */
static void the_seal_is_the_digest_of_nonce_and_record(void **state)
{
	static const struct {
		const char *input;
		const char *reason;
		const char *text;
	} rows[] = {
		{ NULL, NULL,
		  "2:n12:g12:c01:23:git4:push2:/w1:018:danger-full-access4:true1:01:0" },
		{ "in", NULL,
		  "2:n12:g12:c01:23:git4:push2:/w1:018:danger-full-access4:true1:12:in1:0" },
		{ NULL, "why",
		  "2:n12:g12:c01:23:git4:push2:/w1:018:danger-full-access4:true1:01:13:why" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct grants grants = { 0 };
		const struct grant *grant = NULL;
		struct grant draft = draft_of(1, CEILING, git_push);
		struct err err = { 0 };
		char want[DIGEST_SIZE];

		set_input(&draft, rows[i].input);
		draft.record.reason = rows[i].reason;
		assert_int_equal(grants_request(&grants, &draft, START_MS, &grant, &err), 0);
		digest_bytes(want, rows[i].text, strlen(rows[i].text));
		assert_string_equal(grant->record.seal, want);
		assert_string_equal(grant->record.nonce, "n1");
		empty(&grants);
	}
}

static void an_answer_needs_the_seal_of_the_record(void **state)
{
	static const char *const wrong[] = { "", "s", "s2", "s11", "S1", "g1" };
	struct grants grants = { 0 };

	(void)state;
	(void)request(&grants, 1, CEILING, git_push, START_MS);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		if (answer_prefix(&grants, 1, wrong[i], DECISION_ONCE, 0) != ERR_DENIED)
			fail_msg("the seal '%s' was taken", wrong[i]);
	}
	assert_int_equal(use(&grants, 1, CEILING, START_MS), ERR_STATE);
	assert_int_equal(answer(&grants, 1, DECISION_ONCE), 0);
	empty(&grants);
}

static void the_first_answer_counts(void **state)
{
	struct grants grants = { 0 };

	(void)state;
	(void)request(&grants, 1, CEILING, git_push, START_MS);
	assert_int_equal(answer(&grants, 1, DECISION_ONCE), 0);
	assert_int_equal(answer(&grants, 1, DECISION_DENY), ERR_STATE);
	assert_int_equal(answer(&grants, 1, DECISION_SESSION), ERR_STATE);
	assert_int_equal(use(&grants, 1, CEILING, START_MS), 0);
	empty(&grants);
}

static void a_grant_belongs_to_its_ceiling(void **state)
{
	struct grants grants = { 0 };

	(void)state;
	(void)request(&grants, 1, CEILING, git_push, START_MS);
	assert_int_equal(answer(&grants, 1, DECISION_SESSION), 0);
	assert_int_equal(use(&grants, 1, "c1", START_MS), ERR_NOTFOUND);
	assert_int_equal(request(&grants, 2, "c1", git_push, START_MS), BROKER_GRANT_STATE_PENDING);
	empty(&grants);
}

static void a_session_decision_grants_what_it_covers(void **state)
{
	struct grants grants = { 0 };

	(void)state;
	(void)request(&grants, 1, CEILING, git_push, START_MS);
	assert_int_equal(answer(&grants, 1, DECISION_SESSION), 0);
	assert_int_equal(use(&grants, 1, CEILING, START_MS), 0);
	for (unsigned i = 2; i < 5; i++) {
		assert_int_equal(request(&grants, i, CEILING, git_push, START_MS),
				 BROKER_GRANT_STATE_GRANTED);
		assert_int_equal(use(&grants, i, CEILING, START_MS), 0);
		assert_int_equal(use(&grants, i, CEILING, START_MS), ERR_NOTFOUND);
	}
	assert_int_equal(request(&grants, 9, CEILING, git_pull, START_MS),
			 BROKER_GRANT_STATE_PENDING);
	empty(&grants);
}

static void a_prefix_widens_a_decision_up_to_what_was_shown(void **state)
{
	struct grants grants = { 0 };

	(void)state;
	(void)request(&grants, 1, CEILING, git_push, START_MS);
	assert_int_equal(answer_prefix(&grants, 1, NULL, DECISION_SESSION, 3), ERR_INVALID);
	assert_int_equal(answer_prefix(&grants, 1, NULL, DECISION_ONCE, 1), ERR_INVALID);
	assert_int_equal(answer_prefix(&grants, 1, NULL, DECISION_SESSION, 1), 0);
	assert_int_equal(request(&grants, 2, CEILING, git_pull, START_MS),
			 BROKER_GRANT_STATE_GRANTED);
	empty(&grants);
}

static void a_decision_covers_the_same_input_only(void **state)
{
	static const struct row {
		const char *then;
		const char *now;
		enum broker_grant_state state;
	} rows[] = {
		{ "patch", "patch", BROKER_GRANT_STATE_GRANTED },
		{ "patch", "Patch", BROKER_GRANT_STATE_PENDING },
		{ "patch", "patch2", BROKER_GRANT_STATE_PENDING },
		{ "patch", NULL, BROKER_GRANT_STATE_PENDING },
		{ NULL, "patch", BROKER_GRANT_STATE_PENDING },
		{ NULL, "", BROKER_GRANT_STATE_PENDING },
		{ "", "", BROKER_GRANT_STATE_GRANTED },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		struct grants grants = { 0 };
		const struct grant *grant = NULL;
		struct grant draft = draft_of(1, CEILING, git_push);
		struct err err = { 0 };

		set_input(&draft, rows[i].then);
		assert_int_equal(grants_request(&grants, &draft, START_MS, &grant, &err), 0);
		assert_int_equal(answer(&grants, 1, DECISION_SESSION), 0);
		draft = draft_of(2, CEILING, git_push);
		set_input(&draft, rows[i].now);
		assert_int_equal(grants_request(&grants, &draft, START_MS, &grant, &err), 0);
		if (grant->record.state != rows[i].state)
			fail_msg("row %u", i);
		empty(&grants);
	}
}

static void an_answered_grant_is_used_in_time_or_expires(void **state)
{
	struct grants grants = { 0 };
	char id[ID_SIZE];
	int64_t late = START_MS + BROKER_GRANT_USE_MS;

	(void)state;
	assert_null(grants_next(&grants));
	(void)request(&grants, 1, CEILING, git_push, START_MS);
	(void)request(&grants, 2, CEILING, git_push, START_MS);
	assert_null(grants_next(&grants)); /* a pending one waits for ever */
	assert_false(grants_expire(&grants, late, id));
	assert_int_equal(answer(&grants, 1, DECISION_ONCE), 0);
	assert_int_equal(answer(&grants, 2, DECISION_ONCE), 0);
	assert_int_equal(grants_next(&grants)->expires_ms, late);
	assert_false(grants_expire(&grants, late - 1, id));
	assert_int_equal(use(&grants, 1, CEILING, late - 1), 0);
	assert_int_equal(use(&grants, 2, CEILING, late), ERR_STATE);
	assert_true(grants_expire(&grants, late, id));
	assert_string_equal(id, "g2");
	assert_false(grants_expire(&grants, late, id));
	assert_int_equal(use(&grants, 2, CEILING, START_MS), ERR_NOTFOUND);
	empty(&grants);
}

static void a_session_decision_outlives_its_first_use(void **state)
{
	struct grants grants = { 0 };
	char id[ID_SIZE];
	int64_t late = START_MS + BROKER_GRANT_USE_MS;

	(void)state;
	(void)request(&grants, 1, CEILING, git_push, START_MS);
	assert_int_equal(answer(&grants, 1, DECISION_SESSION), 0);
	assert_true(grants_expire(&grants, late, id));
	assert_int_equal(use(&grants, 1, CEILING, late), ERR_NOTFOUND);
	assert_int_equal(request(&grants, 2, CEILING, git_push, late), BROKER_GRANT_STATE_GRANTED);
	assert_int_equal(use(&grants, 2, CEILING, late), 0);
	empty(&grants);
}

static void grants_and_decisions_die_with_their_ceiling(void **state)
{
	struct grants grants = { 0 };

	(void)state;
	(void)request(&grants, 1, CEILING, git_push, START_MS);
	assert_int_equal(answer(&grants, 1, DECISION_SESSION), 0);
	(void)request(&grants, 2, CEILING, git_pull, START_MS);
	(void)request(&grants, 3, "c1", git_pull, START_MS);
	grants_settle(&grants, CEILING);
	assert_null(grants_find(&grants, "g1", NULL));
	assert_null(grants_find(&grants, "g2", NULL));
	assert_non_null(grants_find(&grants, "g3", NULL));
	assert_int_equal(request(&grants, 4, CEILING, git_push, START_MS),
			 BROKER_GRANT_STATE_PENDING);
	empty(&grants);
}

static void a_withdrawn_grant_cannot_be_used(void **state)
{
	struct grants grants = { 0 };

	(void)state;
	(void)request(&grants, 1, CEILING, git_push, START_MS);
	assert_int_equal(answer(&grants, 1, DECISION_ONCE), 0);
	grants_find(&grants, "g1", NULL)->used = true;
	grants_settle(&grants, NULL);
	assert_null(grants_find(&grants, "g1", NULL));
	assert_int_equal(use(&grants, 1, CEILING, START_MS), ERR_NOTFOUND);
	empty(&grants);
}

static void a_ceiling_has_so_many_grants_at_once(void **state)
{
	struct grants grants = { 0 };
	const struct grant *grant = NULL;
	struct grant draft = draft_of(1000, CEILING, git_push);
	struct err err = { 0 };

	(void)state;
	for (unsigned i = 0; i < BROKER_GRANTS_MAX; i++)
		(void)request(&grants, i, CEILING, git_push, START_MS);
	assert_int_equal(grants_request(&grants, &draft, START_MS, &grant, &err), ERR_LIMIT);
	(void)request(&grants, 1001, "c1", git_push, START_MS);
	assert_int_equal(answer(&grants, 3, DECISION_DENY), 0);
	assert_int_equal(grants_request(&grants, &draft, START_MS, &grant, &err), 0);
	empty(&grants);
}

static void so_many_grants_and_decisions_are_stored(void **state)
{
	struct grants grants = { 0 };
	const struct grant *grant = NULL;
	struct grant draft = draft_of(1, "one-more", git_push);
	char words[GRANT_ALL_MAX][16];
	const char *argv[GRANT_ALL_MAX][2];
	struct err err = { 0 };

	(void)state;
	for (unsigned i = 0; i < GRANT_ALL_MAX; i++) {
		(void)snprintf(words[i], sizeof words[i], "w%u", i);
		argv[i][0] = "rm";
		argv[i][1] = words[i];
		assert_int_equal(request(&grants, i, CEILING, argv[i], START_MS),
				 BROKER_GRANT_STATE_PENDING);
		assert_int_equal(answer(&grants, i, DECISION_SESSION), 0);
		assert_int_equal(use(&grants, i, CEILING, START_MS), 0);
	}
	assert_int_equal(grants_request(&grants, &draft, START_MS, &grant, &err), ERR_LIMIT);
	grants_settle(&grants, CEILING);
	assert_int_equal(grants_request(&grants, &draft, START_MS, &grant, &err), 0);
	empty(&grants);
}

static void the_store_is_bounded(void **state)
{
	struct grants grants = { 0 };
	const struct grant *grant = NULL;
	char *input = malloc(BROKER_INPUT_MAX + 1);
	struct grant draft = { 0 };
	struct err err = { 0 };
	unsigned stored = 0;

	(void)state;
	assert_non_null(input);
	memset(input, 'x', BROKER_INPUT_MAX);
	input[BROKER_INPUT_MAX] = '\0';
	for (;;) {
		draft = draft_of(stored, CEILING, git_push);
		set_input(&draft, input);
		if (grants_request(&grants, &draft, START_MS, &grant, &err) < 0)
			break;
		stored++;
	}
	assert_int_equal(err.code, ERR_LIMIT);
	assert_int_equal(stored, GRANT_STORE_MAX / BROKER_INPUT_MAX - 1);
	assert_true(grants.bytes <= GRANT_STORE_MAX);
	assert_int_equal(answer(&grants, 0, DECISION_DENY), 0);
	assert_int_equal(grants_request(&grants, &draft, START_MS, &grant, &err), 0);
	empty(&grants);
	assert_int_equal(grants.bytes, 0);
	free(input);
}

static void pending_grants_are_listed_oldest_first(void **state)
{
	struct grants grants = { 0 };
	const char *ids[GRANT_ALL_MAX];

	(void)state;
	(void)request(&grants, 1, CEILING, git_push, START_MS);
	(void)request(&grants, 2, "c1", git_push, START_MS);
	(void)request(&grants, 3, CEILING, git_push, START_MS);
	(void)request(&grants, 4, CEILING, git_push, START_MS);
	assert_int_equal(answer(&grants, 3, DECISION_ONCE), 0);
	assert_int_equal(grants_pending(&grants, NULL, ids), 3);
	assert_string_equal(ids[0], "g1");
	assert_string_equal(ids[1], "g2");
	assert_string_equal(ids[2], "g4");
	assert_int_equal(grants_pending(&grants, CEILING, ids), 2);
	assert_int_equal(grants_pending(&grants, "c9", ids), 0);
	empty(&grants);
}

/* What a record keeps counts as memory, not as text: these are many small values. */
static void the_memory_of_small_values_counts(void **state)
{
	enum { VALUES = 8192 };
	struct grants grants = { 0 };
	const struct grant *grant = NULL;
	struct err err = { 0 };
	size_t stored = 0;
	int rc = 0;

	(void)state;
	for (; rc == 0; stored++) {
		struct grant draft SCOPED(grant_deinit) =
			draft_of((unsigned)stored, CEILING, git_push);

		(void)snprintf(draft.ceiling, sizeof draft.ceiling, "c%zu", stored);
		draft.kept.message = json_array();
		for (int i = 0; i < VALUES; i++)
			assert_int_equal(
				json_array_append_new(draft.kept.message, json_string("x")), 0);
		rc = grants_request(&grants, &draft, START_MS, &grant, &err);
	}
	assert_int_equal(rc, ERR_LIMIT);
	assert_non_null(strstr(err.text, "bytes in all grants"));
	assert_in_range(stored, 10, 100);
	while (grants.count > 0)
		grants_settle(&grants, grants.items[0]->ceiling);
	assert_int_equal(grants.bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(nothing_runs_before_a_person_has_answered),
		FIXTURE_TEST(once_is_one_use),
		FIXTURE_TEST(denied_is_gone),
		FIXTURE_TEST(what_is_no_decision_denies),
		FIXTURE_TEST(the_seal_is_the_digest_of_nonce_and_record),
		FIXTURE_TEST(an_answer_needs_the_seal_of_the_record),
		FIXTURE_TEST(the_first_answer_counts),
		FIXTURE_TEST(a_grant_belongs_to_its_ceiling),
		FIXTURE_TEST(a_session_decision_grants_what_it_covers),
		FIXTURE_TEST(a_prefix_widens_a_decision_up_to_what_was_shown),
		FIXTURE_TEST(a_decision_covers_the_same_input_only),
		FIXTURE_TEST(an_answered_grant_is_used_in_time_or_expires),
		FIXTURE_TEST(a_session_decision_outlives_its_first_use),
		FIXTURE_TEST(grants_and_decisions_die_with_their_ceiling),
		FIXTURE_TEST(a_withdrawn_grant_cannot_be_used),
		FIXTURE_TEST(a_ceiling_has_so_many_grants_at_once),
		FIXTURE_TEST(so_many_grants_and_decisions_are_stored),
		FIXTURE_TEST(the_store_is_bounded),
		FIXTURE_TEST(pending_grants_are_listed_oldest_first),
		FIXTURE_TEST(the_memory_of_small_values_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
