#include <string.h>

#include "proto/wire/common_gen.h"

#include "agentd/policy/policy.h"
#include "tests/support/fixture.h"

/* The words of the schema and those of the policy are the same numbers. */
_Static_assert((int)POLICY_NEVER == (int)APPROVAL_POLICY_NEVER, "approval policies");
_Static_assert((int)POLICY_UNTRUSTED == (int)APPROVAL_POLICY_UNTRUSTED, "approval policies");
_Static_assert((int)POLICY_ON_REQUEST == (int)APPROVAL_POLICY_ON_REQUEST, "approval policies");
_Static_assert((int)POLICY_ON_FAILURE == (int)APPROVAL_POLICY_ON_FAILURE, "approval policies");
_Static_assert((int)POLICY_APPROVAL_COUNT == (int)APPROVAL_POLICY_COUNT, "approval policies");
_Static_assert((int)POLICY_READ_ONLY == (int)SANDBOX_MODE_READ_ONLY, "sandbox modes");
_Static_assert((int)POLICY_WORKSPACE_WRITE == (int)SANDBOX_MODE_WORKSPACE_WRITE, "sandbox modes");
_Static_assert((int)POLICY_FULL_ACCESS == (int)SANDBOX_MODE_DANGER_FULL_ACCESS, "sandbox modes");
_Static_assert((int)POLICY_SANDBOX_COUNT == (int)SANDBOX_MODE_COUNT, "sandbox modes");

static struct judgement decide(int approval, int sandbox, int kind, int escalated)
{
	struct policy policy = { .approval = (enum policy_approval)approval,
				 .sandbox = (enum policy_sandbox)sandbox };
	struct action action = { .kind = (enum action_kind)kind, .escalated = escalated != 0 };

	return policy_decide(&policy, &action);
}

static bool is_command(int kind)
{
	return kind >= ACTION_COMMAND_SAFE && kind <= ACTION_COMMAND_DANGEROUS;
}

static bool in_domain(int a, int s, int k)
{
	return a > 0 && a < POLICY_APPROVAL_COUNT && s > 0 && s < POLICY_SANDBOX_COUNT && k > 0 &&
	       k < ACTION_KIND_COUNT;
}

/* A law about approval policy, sandbox, kind of action and escalation. */
typedef bool law_fn(int a, int s, int k, int e);

/* Walks the whole domain, two steps beyond it. */
static void holds_everywhere(law_fn *law)
{
	const int kinds = ACTION_KIND_COUNT + 2;
	const int sandboxes = POLICY_SANDBOX_COUNT + 2;
	const int all = (POLICY_APPROVAL_COUNT + 2) * sandboxes * kinds * 2;

	for (int i = 0; i < all; i++) {
		int e = i % 2;
		int k = i / 2 % kinds;
		int s = i / 2 / kinds % sandboxes;
		int a = i / 2 / kinds / sandboxes;

		if (!law(a, s, k, e))
			fail_msg("approval %d, sandbox %d, kind %d, escalated %d", a, s, k, e);
	}
}

static bool what_has_no_row_is_refused_law(int a, int s, int k, int e)
{
	return in_domain(a, s, k) || decide(a, s, k, e).verdict == VERDICT_REFUSE;
}

static void what_has_no_row_is_refused(void **state)
{
	(void)state;
	holds_everywhere(what_has_no_row_is_refused_law);
}

static bool leaving_the_ceiling_is_always_asked_for_law(int a, int s, int k, int e)
{
	struct judgement one = decide(a, s, k, e);

	return !one.beyond || one.verdict == VERDICT_ASK;
}

static void leaving_the_ceiling_is_always_asked_for(void **state)
{
	(void)state;
	holds_everywhere(leaving_the_ceiling_is_always_asked_for_law);
}

static bool nothing_lies_beyond_full_access_law(int a, int s, int k, int e)
{
	return s != POLICY_FULL_ACCESS || !decide(a, s, k, e).beyond;
}

static void nothing_lies_beyond_full_access(void **state)
{
	(void)state;
	holds_everywhere(nothing_lies_beyond_full_access_law);
}

static bool never_asks_nobody_law(int a, int s, int k, int e)
{
	return a != POLICY_NEVER || decide(a, s, k, e).verdict != VERDICT_ASK;
}

static void never_asks_nobody(void **state)
{
	(void)state;
	holds_everywhere(never_asks_nobody_law);
}

static bool only_never_refuses_what_somebody_could_approve_law(int a, int s, int k, int e)
{
	return a < POLICY_UNTRUSTED || !in_domain(a, s, k) || k == ACTION_PATCH_EMPTY ||
	       decide(a, s, k, e).verdict != VERDICT_REFUSE;
}

static void only_never_refuses_what_somebody_could_approve(void **state)
{
	(void)state;
	holds_everywhere(only_never_refuses_what_somebody_could_approve_law);
}

static bool an_escalated_command_runs_unasked_only_where_there_is_no_sandbox_law(int a, int s,
										 int k, int e)
{
	return !e || !is_command(k) || s == POLICY_FULL_ACCESS ||
	       decide(a, s, k, e).verdict != VERDICT_RUN;
}

static void an_escalated_command_runs_unasked_only_where_there_is_no_sandbox(void **state)
{
	(void)state;
	holds_everywhere(an_escalated_command_runs_unasked_only_where_there_is_no_sandbox_law);
}

static bool an_escalated_command_in_a_sandbox_needs_a_grant_law(int a, int s, int k, int e)
{
	struct judgement one = decide(a, s, k, e);

	return !e || !is_command(k) || s >= POLICY_FULL_ACCESS || one.verdict != VERDICT_ASK ||
	       one.beyond;
}

static void an_escalated_command_in_a_sandbox_needs_a_grant(void **state)
{
	(void)state;
	holds_everywhere(an_escalated_command_in_a_sandbox_needs_a_grant_law);
}

static bool asking_to_leave_never_makes_it_easier_law(int a, int s, int k, int e)
{
	(void)e;
	return decide(a, s, k, 1).verdict <= decide(a, s, k, 0).verdict;
}

static void asking_to_leave_never_makes_it_easier(void **state)
{
	(void)state;
	holds_everywhere(asking_to_leave_never_makes_it_easier_law);
}

static bool a_better_known_command_is_never_stricter_law(int a, int s, int k, int e)
{
	return !is_command(k) || k == ACTION_COMMAND_DANGEROUS ||
	       decide(a, s, k, e).verdict >= decide(a, s, k + 1, e).verdict;
}

static void a_better_known_command_is_never_stricter(void **state)
{
	(void)state;
	holds_everywhere(a_better_known_command_is_never_stricter_law);
}

static bool a_patch_outside_is_never_easier_than_one_inside_law(int a, int s, int k, int e)
{
	return k != ACTION_PATCH_INSIDE ||
	       decide(a, s, ACTION_PATCH_OUTSIDE, e).verdict <= decide(a, s, k, e).verdict;
}

static void a_patch_outside_is_never_easier_than_one_inside(void **state)
{
	(void)state;
	holds_everywhere(a_patch_outside_is_never_easier_than_one_inside_law);
}

static bool a_patch_writes_nothing_in_read_only_without_a_grant_law(int a, int s, int k, int e)
{
	struct judgement one = decide(a, s, k, e);

	return s != POLICY_READ_ONLY || k < ACTION_PATCH_EMPTY || one.verdict == VERDICT_REFUSE ||
	       one.beyond;
}

static void a_patch_writes_nothing_in_read_only_without_a_grant(void **state)
{
	(void)state;
	holds_everywhere(a_patch_writes_nothing_in_read_only_without_a_grant_law);
}

static bool on_failure_is_on_request_law(int a, int s, int k, int e)
{
	struct judgement other = decide(POLICY_ON_REQUEST, s, k, e);
	struct judgement one = decide(a, s, k, e);

	return a != POLICY_ON_FAILURE ||
	       (one.verdict == other.verdict && one.beyond == other.beyond &&
		one.refusal == other.refusal);
}

static void on_failure_is_on_request(void **state)
{
	(void)state;
	holds_everywhere(on_failure_is_on_request_law);
}

/* The tables of the documented behaviour, row by row: run, ask, grant, no. */
static const struct {
	const char *name;
	enum policy_approval approval;
	enum action_kind kind;
	int escalated;
	const char *cells; /* read-only, workspace-write, full access */
} rows[] = {
	{ "untrusted, safe", POLICY_UNTRUSTED, ACTION_COMMAND_SAFE, 0, "rrr" },
	{ "untrusted, git", POLICY_UNTRUSTED, ACTION_COMMAND_CONFINED, 0, "rra" },
	{ "untrusted, unknown", POLICY_UNTRUSTED, ACTION_COMMAND_UNKNOWN, 0, "aaa" },
	{ "untrusted, dangerous", POLICY_UNTRUSTED, ACTION_COMMAND_DANGEROUS, 0, "aaa" },
	{ "untrusted, safe, escalated", POLICY_UNTRUSTED, ACTION_COMMAND_SAFE, 1, "gga" },
	{ "untrusted, unknown, escalated", POLICY_UNTRUSTED, ACTION_COMMAND_UNKNOWN, 1, "gga" },
	{ "on-request, safe", POLICY_ON_REQUEST, ACTION_COMMAND_SAFE, 0, "rrr" },
	{ "on-request, unknown", POLICY_ON_REQUEST, ACTION_COMMAND_UNKNOWN, 0, "rrr" },
	{ "on-request, dangerous", POLICY_ON_REQUEST, ACTION_COMMAND_DANGEROUS, 0, "aaa" },
	{ "on-request, unknown, escalated", POLICY_ON_REQUEST, ACTION_COMMAND_UNKNOWN, 1, "ggr" },
	{ "on-request, dangerous, escalated", POLICY_ON_REQUEST, ACTION_COMMAND_DANGEROUS, 1,
	  "gga" },
	{ "never, safe", POLICY_NEVER, ACTION_COMMAND_SAFE, 0, "rrr" },
	{ "never, unknown", POLICY_NEVER, ACTION_COMMAND_UNKNOWN, 0, "rrr" },
	{ "never, dangerous", POLICY_NEVER, ACTION_COMMAND_DANGEROUS, 0, "nnn" },
	{ "never, escalated", POLICY_NEVER, ACTION_COMMAND_SAFE, 1, "nnn" },
	{ "untrusted, empty patch", POLICY_UNTRUSTED, ACTION_PATCH_EMPTY, 0, "nnn" },
	{ "untrusted, patch inside", POLICY_UNTRUSTED, ACTION_PATCH_INSIDE, 0, "gaa" },
	{ "untrusted, patch outside", POLICY_UNTRUSTED, ACTION_PATCH_OUTSIDE, 0, "gga" },
	{ "on-request, empty patch", POLICY_ON_REQUEST, ACTION_PATCH_EMPTY, 0, "nnn" },
	{ "on-request, patch inside", POLICY_ON_REQUEST, ACTION_PATCH_INSIDE, 0, "grr" },
	{ "on-request, patch outside", POLICY_ON_REQUEST, ACTION_PATCH_OUTSIDE, 0, "ggr" },
	{ "never, empty patch", POLICY_NEVER, ACTION_PATCH_EMPTY, 0, "nnn" },
	{ "never, patch inside", POLICY_NEVER, ACTION_PATCH_INSIDE, 0, "nrr" },
	{ "never, patch outside", POLICY_NEVER, ACTION_PATCH_OUTSIDE, 0, "nnr" },
};

static char letter(struct judgement one)
{
	if (one.verdict == VERDICT_ASK)
		return one.beyond ? 'g' : 'a';
	return one.verdict == VERDICT_RUN ? 'r' : 'n';
}

static void the_documented_tables_hold(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (int s = POLICY_READ_ONLY; s < POLICY_SANDBOX_COUNT; s++) {
			char got = letter(
				decide(rows[i].approval, s, rows[i].kind, rows[i].escalated));

			if (got != rows[i].cells[s - POLICY_READ_ONLY])
				fail_msg("%s, sandbox %d: %c", rows[i].name, s, got);
		}
	}
}

static void a_refusal_tells_the_model_why(void **state)
{
	(void)state;
	assert_int_equal(decide(POLICY_NEVER, 1, ACTION_COMMAND_SAFE, 1).refusal,
			 REFUSAL_ESCALATION);
	assert_int_equal(decide(POLICY_NEVER, 2, ACTION_COMMAND_DANGEROUS, 1).refusal,
			 REFUSAL_ESCALATION);
	assert_int_equal(decide(POLICY_NEVER, 2, ACTION_COMMAND_DANGEROUS, 0).refusal,
			 REFUSAL_DANGEROUS);
	assert_int_equal(decide(POLICY_NEVER, POLICY_READ_ONLY, ACTION_PATCH_OUTSIDE, 0).refusal,
			 REFUSAL_PATCH_READ_ONLY);
	assert_int_equal(
		decide(POLICY_NEVER, POLICY_WORKSPACE_WRITE, ACTION_PATCH_OUTSIDE, 0).refusal,
		REFUSAL_PATCH_OUTSIDE);
	assert_int_equal(decide(POLICY_ON_REQUEST, 2, ACTION_PATCH_EMPTY, 0).refusal,
			 REFUSAL_PATCH_EMPTY);
	assert_int_equal(decide(0, 0, 0, 0).refusal, REFUSAL_UNKNOWN);
	for (int i = 0; i < REFUSAL_COUNT + 2; i++)
		assert_non_null(policy_refusal_text((enum refusal)i));
	assert_string_equal(policy_refusal_text(REFUSAL_PATCH_EMPTY),
			    "patch rejected: empty patch");
	assert_non_null(strstr(policy_refusal_text(REFUSAL_PATCH_OUTSIDE),
			       "patch rejected: writing outside of the project; "));
	assert_non_null(strstr(policy_refusal_text(REFUSAL_PATCH_READ_ONLY),
			       "blocked by read-only sandbox; "));
	assert_non_null(
		strstr(policy_refusal_text(REFUSAL_ESCALATION), "approval policy is never"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(what_has_no_row_is_refused),
		FIXTURE_TEST(leaving_the_ceiling_is_always_asked_for),
		FIXTURE_TEST(nothing_lies_beyond_full_access),
		FIXTURE_TEST(never_asks_nobody),
		FIXTURE_TEST(only_never_refuses_what_somebody_could_approve),
		FIXTURE_TEST(an_escalated_command_runs_unasked_only_where_there_is_no_sandbox),
		FIXTURE_TEST(an_escalated_command_in_a_sandbox_needs_a_grant),
		FIXTURE_TEST(asking_to_leave_never_makes_it_easier),
		FIXTURE_TEST(a_better_known_command_is_never_stricter),
		FIXTURE_TEST(a_patch_outside_is_never_easier_than_one_inside),
		FIXTURE_TEST(a_patch_writes_nothing_in_read_only_without_a_grant),
		FIXTURE_TEST(on_failure_is_on_request),
		FIXTURE_TEST(the_documented_tables_hold),
		FIXTURE_TEST(a_refusal_tells_the_model_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
