#include <stdlib.h>
#include <string.h>

#include "broker/step.h"
#include "tests/support/fixture.h"

static struct plan plan; /* large */

/* A root, a pin, a protected path in it, one outside, a hidden one, an absent one. */
static struct roots places = { .places = { { .kind = PLACE_ROOT },
					   { .kind = PLACE_ROOT },
					   { .kind = PLACE_PIN, .inside = true },
					   { .kind = PLACE_PROTECTED, .inside = true },
					   { .kind = PLACE_PROTECTED, .inside = false },
					   { .kind = PLACE_HIDDEN },
					   { .kind = PLACE_WATCHED, .inside = true } },
			       .count = 7,
			       .root_count = 2 };

/* The position of the n-th step of this kind; -1 when there are fewer. */
static int find(step_fn *apply, int n)
{
	for (size_t i = 0; i < plan.count; i++) {
		if (plan.steps[i].apply == apply && n-- == 0)
			return (int)i;
	}
	return -1;
}

/* Calls fn for every combination of features. */
static void each_feature_set(void (*fn)(const struct features *features))
{
	for (unsigned bits = 0; bits < 16; bits++) {
		struct features features = { .confined = bits & 1,
					     .network = bits & 2,
					     .fresh_proc = bits & 4,
					     .landlock = bits & 8 ? 7 : 0 };

		fn(&features);
	}
}

static void check_order(const struct features *features)
{
	plan_build(&plan, PLAN_ZYGOTE, &places, features);
	if (!features->confined)
		return;
	assert_true(find(mount_private, 0) < find(mount_hold, 0));
	for (int i = 0; i < 2; i++) {
		assert_in_range(find(mount_hold, i), 0, find(mount_seal, 0));
		assert_in_range(find(mount_seal, 0), 0, find(mount_attach, i));
		assert_in_range(find(mount_attach, i), 0, find(mount_pin, 0));
	}
	assert_true(find(mount_pin, 0) < find(mount_protect, 0));
	assert_true(find(mount_protect, 0) < find(mount_hide, 0));
	/* Mounts need the capabilities that the filter's step comes after. */
	assert_true(find(mount_hide, 0) < find(caps_bounds, 0));
	assert_true(find(caps_bounds, 0) < find(caps_no_privileges, 0));
	assert_int_equal(find(caps_no_privileges, 0), (int)plan.count - 1);
}

static void roots_open_before_protections_close_and_hiding_is_last(void **state)
{
	(void)state;
	each_feature_set(check_order);
}

static void check_one_step_for_each_place(const struct features *features)
{
	plan_build(&plan, PLAN_ZYGOTE, &places, features);
	assert_int_equal(find(mount_protect, 0) >= 0, features->confined);
	assert_int_equal(find(mount_protect, 1), -1); /* the one outside is read-only anyway */
	assert_int_equal(find(mount_attach, 1) >= 0, features->confined);
	assert_int_equal(find(mount_attach, 2), -1);
	assert_int_equal(find(mount_hide, 1), -1);
	assert_int_equal(find(mount_pin, 1), -1);
	if (features->confined)
		assert_int_equal(plan.steps[find(mount_protect, 0)].place, 3);
}

static void each_place_has_its_steps_once(void **state)
{
	(void)state;
	each_feature_set(check_one_step_for_each_place);
}

static void check_command(const struct features *features)
{
	bool confined = features->confined;

	plan_build(&plan, PLAN_COMMAND, &places, features);
	assert_int_equal(find(child_exec, 0), (int)plan.count - 1);
	assert_true(find(child_close, 0) == 0);
	assert_int_equal(find(filter_command, 0) >= 0, confined);
	assert_int_equal(find(caps_none, 0) >= 0, confined);
	if (confined)
		assert_int_equal(find(child_verify, 0), (int)plan.count - 3);
	/* Init gives it when the command has nothing left to do. */
	assert_int_equal(find(child_leave, 0), (int)plan.count - 2);
	/* The working directory is entered with the command's rights, not with the zygote's. */
	assert_true(find(caps_none, 0) < find(child_folder, 0));
}

static void check_init(const struct features *features)
{
	plan_build(&plan, PLAN_INIT, &places, features);
	/* Landlock lets nobody mount, and init only what the command may. */
	assert_true(find(mount_proc, 0) < find(child_stdio, 0));
	assert_int_equal(find(landlock_rules, 0),
			 features->confined && features->landlock > 0 ? (int)plan.count - 1 : -1);
}

static void what_init_does_for_a_command_is_under_the_commands_rules(void **state)
{
	(void)state;
	each_feature_set(check_init);
}

static void a_command_is_confined_and_checked_right_before_the_exec(void **state)
{
	(void)state;
	each_feature_set(check_command);
}

static void full_access_changes_nothing_but_the_session(void **state)
{
	struct features features = { .confined = false, .landlock = 7, .fresh_proc = true };

	(void)state;
	plan_build(&plan, PLAN_ZYGOTE, &places, &features);
	assert_int_equal(plan.count, 0);
	plan_build(&plan, PLAN_INIT, &places, &features);
	assert_int_equal(plan.count, 1); /* descriptors */
	plan_build(&plan, PLAN_COMMAND, &places, &features);
	assert_int_equal(plan.count, 6); /* stray ones, session, signals, folder, leave, exec */
}

static void the_network_and_proc_decide_about_their_own_steps(void **state)
{
	struct features features = { .confined = true, .network = true };

	(void)state;
	plan_build(&plan, PLAN_ZYGOTE, &places, &features);
	assert_int_equal(find(ns_loopback, 0), -1);
	plan_build(&plan, PLAN_INIT, &places, &features);
	assert_int_equal(find(mount_proc, 0), -1);
	features = (struct features){ .confined = true, .fresh_proc = true };
	plan_build(&plan, PLAN_ZYGOTE, &places, &features);
	assert_true(find(ns_loopback, 0) > find(ns_identity, 0));
	plan_build(&plan, PLAN_INIT, &places, &features);
	assert_int_equal(find(mount_proc, 0), 0);
}

static void a_plan_holds_as_many_places_as_there_can_be(void **state)
{
	struct roots *full = calloc(1, sizeof *full);
	struct features features = { .confined = true };

	(void)state;
	assert_non_null(full);
	full->count = PLACES_MAX; /* all of them roots, which have most steps */
	plan_build(&plan, PLAN_ZYGOTE, full, &features);
	assert_in_range(plan.count, 2 * PLACES_MAX, PLAN_STEPS_MAX);
	free(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(roots_open_before_protections_close_and_hiding_is_last),
		FIXTURE_TEST(each_place_has_its_steps_once),
		FIXTURE_TEST(what_init_does_for_a_command_is_under_the_commands_rules),
		FIXTURE_TEST(a_command_is_confined_and_checked_right_before_the_exec),
		FIXTURE_TEST(full_access_changes_nothing_but_the_session),
		FIXTURE_TEST(the_network_and_proc_decide_about_their_own_steps),
		FIXTURE_TEST(a_plan_holds_as_many_places_as_there_can_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
