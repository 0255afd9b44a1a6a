/* 'agent sandbox' as a script uses it: stdio, exit status, signals, and what the kernel holds. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/attr.h"

#include "tests/support/command.h"
#include "tests/support/fixture.h"

/* The test's own folder lies in /tmp. */
static const char narrow[] = "[sandbox_workspace_write]\nexclude_slash_tmp = true\n"
			     "exclude_tmpdir_env_var = true\n";

static void the_exit_status_is_that_of_the_command(void **state)
{
	static const struct {
		const char *words[8];
		int status;
		const char *says;
	} rows[] = {
		{ { "sandbox", "true" }, 0, "" },
		{ { "sandbox", "--", "sh", "-c", "echo out; exit 7" }, 7, "out" },
		{ { "sandbox", "sh", "-c", "kill -9 $$" }, 137, "" },
		{ { "sandbox", "sh", "-c", "kill -15 $$" }, 143, "" },
		{ { "sandbox", "/nonexistent/program" }, 127, "no such program" },
		{ { "sandbox", "no-such-program" }, 127, "no such program" },
		{ { "sandbox", "/etc/passwd" }, 126, "/etc/passwd" },
		{ { "sandbox", "linux", "echo", "alias" }, 0, "alias" },
		{ { "debug", "linux", "echo", "old name" }, 0, "old name" },
		{ { "debug", "landlock", "echo", "older name" }, 0, "older name" },
		{ { "sandbox", "-C", "/usr", "pwd" }, 0, "/usr" },
		{ { "sandbox", "-C", "/nonexistent", "pwd" }, 125, "/nonexistent" },
	};
	struct command_home home;

	(void)state;
	command_home_make(&home, NULL, false);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct command got SCOPED(command_deinit);

		command_run(&got, &home, rows[i].words, NULL);
		if (got.status != rows[i].status || (!strstr(buf_str(&got.text), rows[i].says) &&
						     !strstr(buf_str(&got.notes), rows[i].says)))
			fail_msg("row %zu: %d %s%s", i, got.status, buf_str(&got.text),
				 buf_str(&got.notes));
	}
	command_home_stop(&home);
}

static void input_and_output_pass_unchanged(void **state)
{
	static char text[200001];
	struct command_home home;
	struct command got SCOPED(command_deinit);

	(void)state;
	for (size_t i = 0; i < sizeof text - 1; i++)
		text[i] = (char)('a' + i % 26);
	command_home_make(&home, NULL, false);
	command_start(&got, &home, COMMAND_WORDS("sandbox", "sh", "-c", "wc -c; echo err >&2"),
		      NULL);
	command_write(&got, text);
	command_finish(&got);
	assert_int_equal(got.status, 0);
	assert_string_equal(buf_str(&got.text), "200000\n");
	assert_string_equal(buf_str(&got.notes), "err\n");
	command_home_stop(&home);
}

static void the_mode_decides_what_can_be_written(void **state)
{
	static const struct {
		const char *words[8];
		bool inside; /* the folder's file gets written */
	} rows[] = {
		{ { "sandbox", "sh", "-c", "touch in; touch ../out" }, false },
		{ { "sandbox", "-s", "read-only", "sh", "-c", "touch in; touch ../out" }, false },
		{ { "sandbox", "--full-auto", "sh", "-c", "touch in; touch ../out" }, true },
		{ { "sandbox", "-c", "sandbox_mode=workspace-write", "sh", "-c",
		    "touch in; touch ../out" },
		  true },
		{ { "sandbox", "--full-auto", "sh", "-c", "touch in; touch .git/x" }, true },
	};
	struct command_home home;
	char in[700];
	char out[700];
	char git[700];

	(void)state;
	command_home_make(&home, narrow, true);
	(void)snprintf(in, sizeof in, "%s/in", home.work);
	(void)snprintf(out, sizeof out, "%s/out", home.top);
	(void)snprintf(git, sizeof git, "%s/.git/x", home.work);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct command got SCOPED(command_deinit);

		command_run(&got, &home, rows[i].words, NULL);
		assert_int_not_equal(got.status, 0);
		if ((access(in, F_OK) == 0) != rows[i].inside || access(out, F_OK) == 0 ||
		    access(git, F_OK) == 0)
			fail_msg("row %zu: %s", i, buf_str(&got.notes));
		(void)unlink(in);
	}
	command_home_stop(&home);
}

static void what_was_denied_is_told_to_those_who_ask(void **state)
{
	static const char script[] = "touch ../out 2>&-; mkdir .git 2>&-; exit 5";
	struct command_home home;
	struct command quiet SCOPED(command_deinit);
	struct command told SCOPED(command_deinit);
	struct command none SCOPED(command_deinit);
	char path[700];

	(void)state;
	command_home_make(&home, narrow, false);
	command_run(&quiet, &home, COMMAND_WORDS("sandbox", "--full-auto", "sh", "-c", script),
		    NULL);
	assert_int_equal(quiet.status, 5);
	assert_string_equal(buf_str(&quiet.notes), "");
	command_run(
		&told, &home,
		COMMAND_WORDS("sandbox", "--full-auto", "--log-denials", "--", "sh", "-c", script),
		NULL);
	assert_int_equal(told.status, 5);
	assert_string_equal(buf_str(&told.text), "");
	if (!strstr(buf_str(&told.notes),
		    "/out (EROFS): outside the writable folders; allowed by") ||
	    !strstr(buf_str(&told.notes), ".git (EROFS): a protected path; "))
		fail_msg("%s", buf_str(&told.notes));
	command_run(&none, &home, COMMAND_WORDS("sandbox", "--log-denials", "true"), NULL);
	assert_int_equal(none.status, 0);
	assert_non_null(strstr(buf_str(&none.notes), "agent sandbox: no denial was reported\n"));
	(void)snprintf(path, sizeof path, "%s/.git", home.work);
	assert_int_not_equal(access(path, F_OK), 0);
	command_home_stop(&home);
}

static void a_target_cannot_steer_the_terminal(void **state)
{
	struct command_home home;
	struct command got SCOPED(command_deinit);

	(void)state;
	command_home_make(&home, narrow, false);
	command_run(&got, &home,
		    COMMAND_WORDS("sandbox", "--full-auto", "--log-denials", "sh", "-c",
				  "touch \"../$(printf 'x\\033[2J\\n\\342\\200\\256agent: fine')\" "
				  "2>&-; exit 0"),
		    NULL);
	assert_int_equal(got.status, 0);
	if (!strstr(buf_str(&got.notes), "\\u202eagent: fine") ||
	    strpbrk(buf_str(&got.notes), "\033\342") ||
	    strstr(buf_str(&got.notes), "\nagent: fine"))
		fail_msg("%s", buf_str(&got.notes));
	command_home_stop(&home);
}

static void a_command_whose_protection_fell_is_ended_with_a_sentence(void **state)
{
	struct command_home home;
	struct command got SCOPED(command_deinit);
	char git[700];

	(void)state;
	command_home_make(&home, narrow, false);
	(void)snprintf(git, sizeof git, "%s/.git", home.work);
	command_start(
		&got, &home,
		COMMAND_WORDS("sandbox", "--full-auto", "sh", "-c", "echo ready; exec sleep 300"),
		NULL);
	(void)command_line(&got, "ready");
	assert_int_equal(mkdir(git, 0700), 0); /* from elsewhere, where the command could write */
	command_finish(&got);
	assert_int_equal(got.status, 128 + SIGKILL);
	if (!strstr(buf_str(&got.notes), "agent sandbox: the command was ended: a protected path"))
		fail_msg("%s", buf_str(&got.notes));
	command_home_stop(&home);
}

static void commits_are_possible_where_the_settings_say_so(void **state)
{
	static const char script[] =
		"touch .git/objects/x; touch .git/hooks/x; echo x >.git/config";
	struct command_home home;
	struct stat st;
	char path[700];

	(void)state;
	command_home_make(&home, narrow, true);
	(void)snprintf(path, sizeof path, "%s/.git/objects", home.work);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof path, "%s/.git/hooks", home.work);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)fixture_file("t/place/.git/config", "", 0);
	for (int allow = 0; allow < 2; allow++) {
		struct command tried SCOPED(command_deinit);

		command_run(&tried, &home,
			    COMMAND_WORDS("sandbox", "--full-auto", "-c",
					  allow ? "sandbox_workspace_write.allow_git_commit=true"
						: "sandbox_workspace_write.allow_git_commit=false",
					  "sh", "-c", script),
			    NULL);
		assert_int_not_equal(tried.status, 0);
		(void)snprintf(path, sizeof path, "%s/.git/objects/x", home.work);
		assert_int_equal(access(path, F_OK) == 0, allow);
		(void)snprintf(path, sizeof path, "%s/.git/hooks/x", home.work);
		assert_int_not_equal(access(path, F_OK), 0);
		(void)snprintf(path, sizeof path, "%s/.git/config", home.work);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size, 0);
	}
	command_home_stop(&home);
}

static void the_legacy_sandbox_says_what_it_does_not_hold(void **state)
{
	static const char *const names[] = { "sandbox.legacy_landlock=true",
					     "features.use_legacy_landlock=true" };
	struct command_home home;
	struct command usual SCOPED(command_deinit);

	(void)state;
	command_home_make(&home, narrow, false);
	command_run(&usual, &home, COMMAND_WORDS("sandbox", "--log-denials", "true"), NULL);
	assert_int_equal(usual.status, 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct command got SCOPED(command_deinit);

		command_run(&got, &home,
			    COMMAND_WORDS("sandbox", "-c", names[i], "--log-denials", "sh", "-c",
					  "touch in"),
			    NULL);
		assert_int_equal(got.status, 1); /* still read-only */
		if (!strstr(buf_str(&got.notes), "agent sandbox: not enforced here: ") ||
		    got.notes.len <= usual.notes.len)
			fail_msg("%s: %s", names[i], buf_str(&got.notes));
	}
	command_home_stop(&home);
}

static void secrets_of_the_environment_stay_outside(void **state)
{
	static const char *const environment[] = { "MY_TOKEN=secret", "EDITOR=vi", NULL };
	struct command_home home;
	struct command got SCOPED(command_deinit);

	(void)state;
	command_home_make(&home, NULL, false);
	command_start(&got, &home, COMMAND_WORDS("sandbox", "env"), environment);
	command_finish(&got);
	assert_int_equal(got.status, 0);
	assert_non_null(strstr(buf_str(&got.text), "EDITOR=vi"));
	assert_null(strstr(buf_str(&got.text), "secret"));
	assert_null(strstr(buf_str(&got.text), "AGENTD_HOME"));
	command_home_stop(&home);
}

static void a_large_environment_reaches_the_command(void **state)
{
	static char large[100010] = "LARGE=";
	const char *const environment[] = { large, NULL };
	struct command_home home;
	struct command got SCOPED(command_deinit);

	(void)state;
	memset(large + 6, 'x', sizeof large - 7);
	command_home_make(&home, NULL, false);
	command_start(&got, &home, COMMAND_WORDS("sandbox", "sh", "-c", "echo ${#LARGE}"),
		      environment);
	command_finish(&got);
	assert_string_equal(buf_str(&got.text), "100003\n");
	command_home_stop(&home);
}

static void a_signal_reaches_the_command(void **state)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1 };
	struct command_home home;

	(void)state;
	command_home_make(&home, NULL, false);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		struct command got SCOPED(command_deinit);

		command_start(
			&got, &home,
			COMMAND_WORDS("sandbox", "sh", "-c",
				      "trap 'echo caught; exit 9' INT TERM HUP USR1; echo ready; "
				      "read line"),
			NULL);
		(void)command_line(&got, "ready");
		assert_int_equal(kill(got.pid, signals[i]), 0);
		(void)command_line(&got, "caught");
		command_finish(&got);
		assert_int_equal(got.status, 9);
	}
	command_home_stop(&home);
}

static void the_command_ends_with_the_client(void **state)
{
	struct command_home home;
	struct command got SCOPED(command_deinit);

	(void)state;
	command_home_make(&home, NULL, false);
	command_start(&got, &home,
		      COMMAND_WORDS("sandbox", "sh", "-c",
				    "trap '' HUP TERM; echo ready; sleep 300 & wait"),
		      NULL);
	(void)command_line(&got, "ready");
	assert_int_equal(kill(got.pid, SIGKILL), 0);
	command_finish(&got); /* its output ends only when nothing holds it any more */
	assert_int_equal(got.status, 128 + SIGKILL);
	command_home_stop(&home);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		COMMAND_TEST(the_exit_status_is_that_of_the_command),
		COMMAND_TEST(input_and_output_pass_unchanged),
		COMMAND_TEST(the_mode_decides_what_can_be_written),
		COMMAND_TEST(what_was_denied_is_told_to_those_who_ask),
		COMMAND_TEST(a_target_cannot_steer_the_terminal),
		COMMAND_TEST(a_command_whose_protection_fell_is_ended_with_a_sentence),
		COMMAND_TEST(commits_are_possible_where_the_settings_say_so),
		COMMAND_TEST(the_legacy_sandbox_says_what_it_does_not_hold),
		COMMAND_TEST(secrets_of_the_environment_stay_outside),
		COMMAND_TEST(a_large_environment_reaches_the_command),
		COMMAND_TEST(a_signal_reaches_the_command),
		COMMAND_TEST(the_command_ends_with_the_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
