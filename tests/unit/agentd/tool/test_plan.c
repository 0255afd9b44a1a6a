#include <stdlib.h>
#include <string.h>

#include "proto/base/attr.h"
#include "proto/base/err.h"

#include "agentd/tool/plan.h"
#include "tests/support/fixture.h"

static int decode(const char *json, struct plan *plan, json_t **arguments, struct err *err)
{
	*arguments = json_loads(json, 0, NULL);
	assert_non_null(*arguments);
	return plan_decode(plan, *arguments, err);
}

static void a_plan_has_steps_in_order(void **state)
{
	struct plan plan = { 0 };
	struct err err = { 0 };
	json_t *arguments = NULL;

	(void)state;
	assert_int_equal(decode("{\"explanation\":\"why\",\"plan\":["
				"{\"step\":\"a\",\"status\":\"completed\"},"
				"{\"step\":\"b\",\"status\":\"in_progress\"},"
				"{\"step\":\"c\",\"status\":\"pending\",\"more\":1}]}",
				&plan, &arguments, &err),
			 0);
	assert_string_equal(plan.explanation, "why");
	assert_int_equal(plan.count, 3);
	assert_string_equal(plan.steps[1].step, "b");
	assert_int_equal(plan.steps[0].status, PLAN_COMPLETED);
	assert_int_equal(plan.steps[1].status, PLAN_IN_PROGRESS);
	assert_int_equal(plan.steps[2].status, PLAN_PENDING);
	json_decref(arguments);
}

static void the_least_plan_is_empty(void **state)
{
	struct plan plan = { 0 };
	struct err err = { 0 };
	json_t *arguments = NULL;

	(void)state;
	assert_int_equal(decode("{\"plan\":[],\"explanation\":null}", &plan, &arguments, &err), 0);
	assert_null(plan.explanation);
	assert_int_equal(plan.count, 0);
	json_decref(arguments);
}

static const struct {
	const char *json;
	const char *error;
} bad[] = {
	{ "[]", "expected an object" },
	{ "{}", "missing field `plan`" },
	{ "{\"plan\":1}", "field `plan`: expected a list of at most 128 steps" },
	{ "{\"plan\":[1]}", "plan[0]: expected an object" },
	{ "{\"plan\":[{\"status\":\"pending\"}]}", "plan[0]: field `step`: expected a string" },
	{ "{\"plan\":[{\"step\":\"a\"}]}", "plan[0]: field `status`: expected a string" },
	{ "{\"plan\":[{\"step\":\"a\",\"status\":\"done\"}]}",
	  "plan[0]: field `status`: unknown variant `done`, expected one of `pending`, "
	  "`in_progress`, `completed`" },
	{ "{\"plan\":[],\"explanation\":1}", "field `explanation`: expected a string" },
};

static void wrong_plans_are_refused_and_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct plan plan = { 0 };
		struct err err = { 0 };
		json_t *arguments = NULL;

		assert_int_equal(decode(bad[i].json, &plan, &arguments, &err), ERR_INVALID);
		assert_string_equal(err.text, bad[i].error);
		json_decref(arguments);
	}
}

/* A plan of `steps` steps, each `len` bytes long, explained in `why` bytes. */
static int decode_sized(size_t steps, size_t len, size_t why)
{
	char *text = malloc(PLAN_EXPLANATION_MAX + 2);
	json_t *list = json_array();
	json_t *arguments;
	struct plan plan = { 0 };
	struct err err = { 0 };
	int rc;

	assert_non_null(text);
	memset(text, 'x', PLAN_EXPLANATION_MAX + 2);
	for (size_t i = 0; i < steps; i++)
		assert_int_equal(json_array_append_new(list, json_pack("{s:s%, s:s}", "step", text,
								       len, "status", "pending")),
				 0);
	arguments = json_pack("{s:o, s:s%}", "plan", list, "explanation", text, why);
	rc = plan_decode(&plan, arguments, &err);
	json_decref(arguments);
	free(text);
	return rc;
}

static void a_plan_has_limits(void **state)
{
	(void)state;
	assert_int_equal(decode_sized(PLAN_STEPS_MAX, 1, 1), 0);
	assert_int_equal(decode_sized(PLAN_STEPS_MAX + 1, 1, 1), ERR_INVALID);
	assert_int_equal(decode_sized(1, PLAN_STEP_BYTES_MAX, 1), 0);
	assert_int_equal(decode_sized(1, PLAN_STEP_BYTES_MAX + 1, 1), ERR_INVALID);
	assert_int_equal(decode_sized(1, 1, PLAN_EXPLANATION_MAX), 0);
	assert_int_equal(decode_sized(1, 1, PLAN_EXPLANATION_MAX + 1), ERR_INVALID);
}

static void every_status_has_its_name(void **state)
{
	(void)state;
	assert_null(plan_status_name(PLAN_STATUS_NONE));
	assert_string_equal(plan_status_name(PLAN_IN_PROGRESS), "in_progress");
	assert_null(plan_status_name(PLAN_STATUS_COUNT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_plan_has_steps_in_order),
		FIXTURE_TEST(the_least_plan_is_empty),
		FIXTURE_TEST(wrong_plans_are_refused_and_named),
		FIXTURE_TEST(a_plan_has_limits),
		FIXTURE_TEST(every_status_has_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
