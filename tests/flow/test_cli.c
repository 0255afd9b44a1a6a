/* The command line as a person meets it: help, mistakes, refusals. No model is needed. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/attr.h"

#include "tests/support/command.h"
#include "tests/support/fixture.h"

struct row {
	const char *words[6];
	int status;
	const char *says;
};

static void check(const struct command_home *home, const struct row *row)
{
	struct command got SCOPED(command_deinit);

	command_run(&got, home, row->words, NULL);
	if (got.status != row->status ||
	    (!strstr(buf_str(&got.text), row->says) && !strstr(buf_str(&got.notes), row->says)))
		fail_msg("agent %s %s: %d\n%s%s", row->words[0], row->words[1] ? row->words[1] : "",
			 got.status, buf_str(&got.text), buf_str(&got.notes));
}

static void every_command_has_a_help_page(void **state)
{
	static const struct row rows[] = {
		{ { "--help" }, 0, "Usage: agent [OPTIONS] [PROMPT]" },
		{ { "help", "exec" }, 0, "Usage: agent exec" },
		{ { "exec", "--help" }, 0, "--output-schema FILE" },
		{ { "exec", "resume", "--help" }, 0, "Usage: agent exec" },
		{ { "attach", "-h" }, 0, "--read-only" },
		{ { "sessions", "--help" }, 0, "--json" },
		{ { "sandbox", "--help" }, 0, "127" },
		{ { "debug", "linux", "--help" }, 0, "--full-auto" },
		{ { "acp", "--help" }, 0, "Agent Client Protocol" },
		{ { "daemon", "--help" }, 0, "start | stop | status" },
		{ { "doctor", "--help" }, 0, "Usage: agent doctor" },
		{ { "demo", "--help" }, 0, "no account" },
		{ { "audit", "--help" }, 0, "verify [FILE]" },
		{ { "--version" }, 0, "agent " AGENT_VERSION },
	};
	struct command_home home;

	(void)state;
	command_home_make(&home, NULL, false);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check(&home, &rows[i]);
}

static void wrong_usage_names_the_word_and_the_nearest_and_ends_with_2(void **state)
{
	static const struct row rows[] = {
		{ { "--modell", "x" }, 2, "unknown option '--modell', did you mean '--model'?" },
		{ { "exec", "--jsn", "x" },
		  2,
		  "agent exec: unknown option '--jsn', did you mean '--json'?" },
		{ { "exec", "-a", "never", "x" }, 2, "unknown option '-a'" },
		{ { "sandbox", "--ful-auto", "ls" }, 2, "did you mean '--full-auto'?" },
		{ { "sandbox" }, 2, "a command is missing" },
		{ { "daemon", "statsu" }, 2, "did you mean 'status'?" },
		{ { "daemon" }, 2, "start, stop, status" },
		{ { "demoo" }, 2, "did you mean 'demo'?" },
		{ { "exec", "resume" }, 2, "--last" },
		{ { "exec", "-" }, 2, "empty" },
		{ { "exec" }, 2, "empty" },
		{ { "do this" }, 2, "not a terminal" },
	};
	struct command_home home;

	(void)state;
	command_home_make(&home, NULL, false);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check(&home, &rows[i]);
}

static void a_wrong_setting_names_itself_and_the_nearest(void **state)
{
	static const struct row rows[] = {
		{ { "exec", "-c", "sandbox_mod=read-only", "x" },
		  1,
		  "did you mean 'sandbox_mode'?" },
		{ { "exec", "-s", "workspace-wirte", "x" }, 1, "did you mean 'workspace-write'?" },
		{ { "exec", "-p", "none", "x" }, 1, "[profiles.none]" },
		{ { "exec", "-C", "/nonexistent", "x" }, 1, "/nonexistent" },
		{ { "exec", "--color", "sometimes", "--skip-git-repo-check", "x" },
		  1,
		  "auto, always, never" },
		{ { "sandbox", "-s", "none", "ls" }, 125, "not one of read-only" },
	};
	struct command_home home;

	(void)state;
	command_home_make(&home, NULL, false);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check(&home, &rows[i]);
}

static void a_wrong_line_of_the_settings_is_named(void **state)
{
	static const struct row row = {
		{ "exec", "x" },
		1,
		"config.ini:3: unknown key 'sandbox_workspace_write.network_acces', "
		"did you mean 'network_access'?"
	};
	struct command_home home;

	(void)state;
	command_home_make(&home, "model = m\n[sandbox_workspace_write]\nnetwork_acces = true\n",
			  false);
	check(&home, &row);
}

static void exec_wants_a_folder_that_can_be_undone(void **state)
{
	static const struct row row = { { "exec", "x" }, 1, "--skip-git-repo-check" };
	struct command_home home;

	(void)state;
	command_home_make(&home, NULL, false);
	check(&home, &row);
}

static void an_unsafe_state_folder_is_refused_with_the_mend(void **state)
{
	static const struct row open = { { "sessions" }, 1, "chmod 700" };
	static const struct row link = { { "sessions" }, 1, "symbolic link" };
	static const struct row file = { { "sessions" }, 1, "not a folder" };
	struct command_home home;
	char folder[700];
	char aside[700];

	(void)state;
	command_home_make(&home, NULL, false);
	(void)snprintf(folder, sizeof folder, "%s/state", home.home);
	(void)snprintf(aside, sizeof aside, "%s/aside", home.home);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(chmod(folder, 0770), 0);
	check(&home, &open);
	assert_int_equal(rename(folder, aside), 0);
	assert_int_equal(symlink(aside, folder), 0);
	check(&home, &link);
	assert_int_equal(unlink(folder), 0);
	(void)fixture_file("t/home/state", "", 0);
	check(&home, &file);
}

static void broker_and_daemon_start_on_demand_and_stop(void **state)
{
	static const struct row rows[] = {
		{ { "daemon", "status" }, 0, "broker: not running" },
		{ { "daemon", "stop" }, 0, "nothing was running" },
		{ { "sessions", "--json" }, 0, "[]" },
		{ { "daemon", "status" }, 0, "agentd: running" },
		{ { "daemon", "start" }, 0, "was running" },
		{ { "attach" }, 1, "there is no session of this folder yet" },
		{ { "attach", "0199" }, 1, "0199" },
		{ { "daemon", "status", "--json" }, 0, "\"running\": true" },
		{ { "daemon", "stop" }, 0, "broker and agentd were stopped" },
		{ { "daemon", "status" }, 0, "broker: not running" },
	};
	struct command_home home;

	(void)state;
	command_home_make(&home, NULL, false);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check(&home, &rows[i]);
}

static void two_that_start_at_once_share_one_broker(void **state)
{
	struct command_home home;
	struct command first SCOPED(command_deinit);
	struct command second SCOPED(command_deinit);
	struct command status SCOPED(command_deinit);

	(void)state;
	command_home_make(&home, NULL, false);
	command_start(&first, &home, COMMAND_WORDS("sessions"), NULL);
	command_start(&second, &home, COMMAND_WORDS("sessions"), NULL);
	command_finish(&first);
	command_finish(&second);
	if (first.status || second.status)
		fail_msg("%s%s", buf_str(&first.notes), buf_str(&second.notes));
	command_run(&status, &home, COMMAND_WORDS("daemon", "status"), NULL);
	assert_non_null(strstr(buf_str(&status.text), "agentd: running"));
	command_home_stop(&home);
}

static void doctor_names_what_it_tried(void **state)
{
	static const char *const parts[] = { "agent-broker", "runtime", "\"verdict\"" };
	struct command_home home;
	struct command got SCOPED(command_deinit);

	(void)state;
	command_home_make(&home, "[features]\nx = true\n", true);
	command_run(&got, &home, COMMAND_WORDS("doctor", "--json"), NULL);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (!strstr(buf_str(&got.text), parts[i]))
			fail_msg("'%s' is not in %s", parts[i], buf_str(&got.text));
	}
	assert_non_null(strstr(buf_str(&got.text), "features.x"));
	assert_non_null(strstr(buf_str(&got.text), "OPENAI_API_KEY"));
	command_home_stop(&home);
}

static void audit_says_whether_the_chain_is_unbroken(void **state)
{
	static const char record[] = "{\"seq\":1,\"prev\":\"0\",\"event\":\"start\"}\n";
	struct command_home home;
	struct command got SCOPED(command_deinit) = { 0 };
	struct command broken SCOPED(command_deinit) = { 0 };
	struct command wrong SCOPED(command_deinit) = { 0 };
	char path[1024];

	(void)state;
	command_home_make(&home, NULL, true);
	command_run(&got, &home, COMMAND_WORDS("daemon", "start"), NULL);
	command_home_stop(&home);
	command_deinit(&got);
	command_run(&got, &home, COMMAND_WORDS("audit", "verify"), NULL);
	if (got.status != 0 || !strstr(buf_str(&got.text), "records 1 to "))
		fail_msg("%d %s%s", got.status, buf_str(&got.text), buf_str(&got.notes));
	command_deinit(&got);
	(void)snprintf(path, sizeof path, "%s", fixture_file("twice", record, sizeof record - 1));
	command_run(&got, &home, COMMAND_WORDS("audit", "verify", path), NULL);
	assert_int_equal(got.status, 0);
	(void)fixture_file("twice", record, sizeof record - 2);
	command_run(&broken, &home, COMMAND_WORDS("audit", "verify", path), NULL);
	assert_int_equal(broken.status, 1);
	assert_non_null(strstr(buf_str(&broken.notes), "line 1: not a whole record"));
	command_run(&wrong, &home, COMMAND_WORDS("audit"), NULL);
	assert_int_equal(wrong.status, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		COMMAND_TEST(every_command_has_a_help_page),
		COMMAND_TEST(wrong_usage_names_the_word_and_the_nearest_and_ends_with_2),
		COMMAND_TEST(a_wrong_setting_names_itself_and_the_nearest),
		COMMAND_TEST(a_wrong_line_of_the_settings_is_named),
		COMMAND_TEST(exec_wants_a_folder_that_can_be_undone),
		COMMAND_TEST(an_unsafe_state_folder_is_refused_with_the_mend),
		COMMAND_TEST(broker_and_daemon_start_on_demand_and_stop),
		COMMAND_TEST(two_that_start_at_once_share_one_broker),
		COMMAND_TEST(doctor_names_what_it_tried),
		COMMAND_TEST(audit_says_whether_the_chain_is_unbroken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
