/* The real applet on real files; only the broker is played. */

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/broker_gen.h"

#include "agentd/tool/patch_parse.h"
#include "agentd/tool/patch_uv.h"
#include "tests/support/fake_broker.h"
#include "tests/support/fixture.h"

static struct {
	bool done;
	char *text;
	bool applied;
	json_t *changes;
	json_t *denied;
} seen;

static char applet[4096];

static void on_done(void *ctx, const struct patch_outcome *outcome)
{
	assert_ptr_equal(ctx, &seen);
	assert_false(seen.done);
	seen.done = true;
	seen.text = str_dup_len(outcome->text, outcome->text_len);
	seen.applied = outcome->applied;
	seen.changes = json_incref(outcome->changes);
	seen.denied = json_incref(outcome->denied);
	uv_stop(fake_broker_loop());
}

static void forget_seen(void)
{
	free(seen.text);
	json_decref(seen.changes);
	json_decref(seen.denied);
	memset(&seen, 0, sizeof seen);
}

static int setup(void **state)
{
	if (fixture_setup(state) < 0 || fake_broker_open() != 0)
		return -1;
	(void)snprintf(applet, sizeof applet, "%s/agent-patch", getenv("AGENT_TEST_LIBEXEC"));
	return 0;
}

static int teardown(void **state)
{
	if (fake_broker_close() < 0)
		return -1;
	forget_seen();
	return fixture_teardown(state);
}

static struct patch_run *begin(const char *program, const char *patch, struct err *err)
{
	const struct patch_request request = { .ceiling = "c",
					       .applet = program,
					       .cwd = fixture_dir(),
					       .patch = patch,
					       .patch_len = strlen(patch) };

	forget_seen();
	return patch_start(fake_broker_loop(), NULL, &request, on_done, &seen, err);
}

static void run(const char *program, const char *patch)
{
	struct err err = { 0 };

	assert_non_null(begin(program, patch, &err));
	while (!seen.done) {
		if (uv_run(fake_broker_loop(), UV_RUN_DEFAULT) == 0 && !seen.done)
			fail_msg("nothing left to wait for");
	}
}

static bool exists(const char *name)
{
	char path[4096];
	struct stat info = { 0 };

	(void)snprintf(path, sizeof path, "%s/%s", fixture_dir(), name);
	return stat(path, &info) == 0;
}

static void a_patch_that_fits_is_applied_and_reported(void **state)
{
	(void)state;
	run(applet, "*** Begin Patch\n*** Add File: f\n+x\n*** End Patch\n");
	assert_true(seen.applied);
	assert_true(str_starts(seen.text, "Exit code: 0\nWall time: "));
	assert_true(str_ends(seen.text, " seconds\nOutput:\nSuccess. Updated the following files:\n"
					"A f\n"));
	assert_int_equal(json_array_size(seen.changes), 1);
	assert_true(exists("f"));
}

static void a_patch_that_does_not_fit_says_so(void **state)
{
	(void)state;
	run(applet, "*** Begin Patch\n*** Delete File: f\n*** End Patch\n");
	assert_false(seen.applied);
	assert_string_equal(seen.text, "apply_patch verification failed: Failed to read file to "
				       "delete f: No such file or directory");
}

static void what_the_sandbox_refused_is_told_of_a_patch_that_was_not_applied(void **state)
{
	static const struct broker_denial denial = { DENIAL_RULE_PROTECTED, "openat", ".git/x",
						     "EROFS", 1 };

	(void)state;
	fake_broker_deny(&denial, 1);
	run(applet, "*** Begin Patch\n*** Delete File: f\n*** End Patch\n");
	assert_true(str_ends(seen.text, "\nDenied by the sandbox:\n- openat '.git/x': EROFS, a "
					"protected path\n"));
	assert_int_equal(json_array_size(json_object_get(seen.denied, "denials")), 1);
	run(applet, "*** Begin Patch\n*** Add File: f\n+x\n*** End Patch\n");
	assert_true(seen.applied);
	assert_null(seen.denied);
	assert_null(strstr(seen.text, "Denied"));
}

static void a_patch_that_cannot_be_written_says_so(void **state)
{
	(void)state;
	(void)fixture_file("f", "1\n", 2);
	run(applet, "*** Begin Patch\n*** Add File: f/x\n+1\n*** End Patch\n");
	assert_false(seen.applied);
	assert_true(str_starts(seen.text, "Exit code: 1\n"));
	assert_true(str_ends(seen.text, "Failed to write file f/x: Not a directory\n"));
}

static void a_patch_of_four_mebibytes_goes_through(void **state)
{
	static const char head[] = "*** Begin Patch\n*** Add File: f\n";
	struct buf patch SCOPED(buf_deinit) = BUF_INIT(PATCH_TEXT_MAX);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(buf_puts(&patch, head, &err), 0);
	while (patch.len + 80 < PATCH_TEXT_MAX)
		assert_int_equal(
			buf_puts(&patch, "+0123456789012345678901234567890123456789\n", &err), 0);
	assert_int_equal(buf_puts(&patch, "*** End Patch\n", &err), 0);
	run(applet, patch.data);
	assert_true(seen.applied);
}

static void an_applet_that_is_missing_fails_with_a_sentence(void **state)
{
	(void)state;
	run("/nowhere/agent-patch", "*** Begin Patch\n*** Add File: f\n+x\n*** End Patch\n");
	assert_false(seen.applied);
	assert_null(seen.changes);
	assert_string_equal(seen.text, "apply_patch failed: no such file or directory");
}

static void a_program_that_is_no_applet_applies_nothing(void **state)
{
	(void)state;
	run("false", "*** Begin Patch\n*** Add File: f\n+x\n*** End Patch\n");
	assert_false(seen.applied);
	assert_true(str_starts(seen.text, "Exit code: 1\n"));
}

static void a_cancelled_edit_is_finished_but_not_answered(void **state)
{
	struct err err = { 0 };
	struct patch_run *one;

	(void)state;
	one = begin(applet, "*** Begin Patch\n*** Add File: f\n+x\n*** End Patch\n", &err);
	assert_non_null(one);
	patch_cancel(one);
	fake_broker_wait();
	assert_false(seen.done);
	assert_true(exists("f"));
}

static void a_broker_that_is_gone_fails_the_start_at_once(void **state)
{
	struct err err = { 0 };

	(void)state;
	fake_broker_refuse(true);
	assert_null(begin(applet, "", &err));
	assert_int_equal(err.code, ERR_GONE);
}

static void a_granted_patch_is_named_by_its_grant_alone(void **state)
{
	const struct patch_request request = { .ceiling = "c",
					       .grant = "grant1",
					       .applet = applet,
					       .cwd = "/",
					       .patch = "x",
					       .patch_len = 1 };
	struct err err = { 0 };

	(void)state;
	fake_broker_refuse(true);
	assert_null(patch_start(fake_broker_loop(), NULL, &request, on_done, &seen, &err));
	assert_string_equal(fake_broker_asked()->grant, "grant1");
	assert_int_equal(fake_broker_asked()->argc, 0);
	assert_false(fake_broker_asked()->has_cwd);
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(a_patch_that_fits_is_applied_and_reported),
		ROW(a_patch_that_does_not_fit_says_so),
		ROW(what_the_sandbox_refused_is_told_of_a_patch_that_was_not_applied),
		ROW(a_patch_that_cannot_be_written_says_so),
		ROW(a_patch_of_four_mebibytes_goes_through),
		ROW(an_applet_that_is_missing_fails_with_a_sentence),
		ROW(a_program_that_is_no_applet_applies_nothing),
		ROW(a_cancelled_edit_is_finished_but_not_answered),
		ROW(a_broker_that_is_gone_fails_the_start_at_once),
		ROW(a_granted_patch_is_named_by_its_grant_alone),
	};

	fake_broker_prepare();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
