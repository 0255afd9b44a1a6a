#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/attr.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/tool/exec.h"
#include "tests/support/fixture.h"

static const struct exec_settings usual = { .login_shell = true };

/* Decodes; returns the code, the sentence in *err. */
static int decode(const char *json, const struct exec_settings *settings, json_t **arguments,
		  struct exec_args *args, struct err *err)
{
	*arguments = json_loads(json, 0, NULL);
	assert_non_null(*arguments);
	return exec_args_decode(args, *arguments, settings, err);
}

static void absent_arguments_have_the_documented_defaults(void **state)
{
	struct exec_args args = { 0 };
	struct err err = { 0 };
	json_t *arguments = NULL;

	(void)state;
	assert_int_equal(decode("{\"cmd\":\"ls\",\"unknown\":1}", &usual, &arguments, &args, &err),
			 0);
	assert_string_equal(args.cmd, "ls");
	assert_null(args.workdir);
	assert_null(args.shell);
	assert_true(args.login);
	assert_false(args.tty);
	assert_int_equal(args.yield_ms, 10000);
	assert_int_equal(args.tokens_max, 10000);
	assert_false(args.escalated);
	assert_null(args.justification);
	assert_null(args.prefix_rule);
	json_decref(arguments);
}

static void null_stands_for_absent(void **state)
{
	struct exec_args args = { 0 };
	struct err err = { 0 };
	json_t *arguments = NULL;

	(void)state;
	assert_int_equal(decode("{\"cmd\":\"\",\"workdir\":null,\"login\":null,\"tty\":null,"
				"\"yield_time_ms\":null,\"prefix_rule\":null,"
				"\"sandbox_permissions\":null}",
				&usual, &arguments, &args, &err),
			 0);
	assert_string_equal(args.cmd, "");
	assert_true(args.login);
	json_decref(arguments);
}

static const struct {
	const char *json;
	const char *error;
} bad[] = {
	{ "[]", "expected an object" },
	{ "{}", "missing field `cmd`" },
	{ "{\"cmd\":null}", "missing field `cmd`" },
	{ "{\"cmd\":1}", "field `cmd`: expected a string" },
	{ "{\"cmd\":[\"ls\"]}", "field `cmd`: expected a string" },
	{ "{\"cmd\":\"a\",\"workdir\":1}", "field `workdir`: expected a string" },
	{ "{\"cmd\":\"a\",\"login\":\"yes\"}", "field `login`: expected true or false" },
	{ "{\"cmd\":\"a\",\"tty\":1}", "field `tty`: expected true or false" },
	{ "{\"cmd\":\"a\",\"yield_time_ms\":\"1\"}", "field `yield_time_ms`: expected a number" },
	{ "{\"cmd\":\"a\",\"yield_time_ms\":-1}",
	  "field `yield_time_ms`: expected a number from 0 up" },
	{ "{\"cmd\":\"a\",\"max_output_tokens\":-0.5}",
	  "field `max_output_tokens`: expected a number from 0 up" },
	{ "{\"cmd\":\"a\",\"sandbox_permissions\":\"root\"}",
	  "field `sandbox_permissions`: unknown variant `root`, expected `use_default` or "
	  "`require_escalated`" },
	{ "{\"cmd\":\"a\",\"prefix_rule\":\"ls\"}",
	  "field `prefix_rule`: expected a list of at most 64 strings" },
	{ "{\"cmd\":\"a\",\"prefix_rule\":[1]}", "field `prefix_rule[0]`: expected a string" },
};

static void wrong_arguments_are_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct exec_args args = { 0 };
		struct err err = { 0 };
		json_t *arguments = NULL;
		int rc = decode(bad[i].json, &usual, &arguments, &args, &err);

		if (rc != ERR_INVALID || strcmp(err.text, bad[i].error) != 0)
			fail_msg("%s: %s", bad[i].json, err.text);
		json_decref(arguments);
	}
}

static void further_permissions_are_refused_with_a_sentence(void **state)
{
	struct exec_args args = { 0 };
	struct err err = { 0 };
	json_t *arguments = NULL;

	(void)state;
	assert_int_equal(
		decode("{\"cmd\":\"a\",\"sandbox_permissions\":\"with_additional_permissions\"}",
		       &usual, &arguments, &args, &err),
		ERR_DENIED);
	json_decref(arguments);
}

static void a_login_shell_that_is_switched_off_is_refused_only_when_asked_for(void **state)
{
	static const struct exec_settings off = { .login_shell = false };
	struct exec_args args = { 0 };
	struct err err = { 0 };
	json_t *arguments = NULL;

	(void)state;
	assert_int_equal(decode("{\"cmd\":\"a\"}", &off, &arguments, &args, &err), 0);
	assert_false(args.login);
	json_decref(arguments);
	assert_int_equal(decode("{\"cmd\":\"a\",\"login\":false}", &off, &arguments, &args, &err),
			 0);
	json_decref(arguments);
	assert_int_equal(decode("{\"cmd\":\"a\",\"login\":true}", &off, &arguments, &args, &err),
			 ERR_DENIED);
	assert_string_equal(err.text,
			    "login shell is disabled by config; omit `login` or set it to "
			    "false.");
	json_decref(arguments);
}

static int64_t yield_of(const char *value)
{
	char json[128];
	struct exec_args args = { 0 };
	struct err err = { 0 };
	json_t *arguments = NULL;

	(void)snprintf(json, sizeof json, "{\"cmd\":\"a\",\"yield_time_ms\":%s}", value);
	assert_int_equal(decode(json, &usual, &arguments, &args, &err), 0);
	json_decref(arguments);
	return args.yield_ms;
}

static void yield_time_is_clamped(void **state)
{
	(void)state;
	assert_int_equal(yield_of("0"), 250);
	assert_int_equal(yield_of("249"), 250);
	assert_int_equal(yield_of("251"), 251);
	assert_int_equal(yield_of("29999.9"), 29999);
	assert_int_equal(yield_of("30000"), 30000);
	assert_int_equal(yield_of("30001"), 30000);
	assert_int_equal(yield_of("1e300"), 30000);
}

static int64_t tokens_of(const char *value, int64_t most)
{
	const struct exec_settings settings = { .login_shell = true, .tokens_max = most };
	char json[128];
	struct exec_args args = { 0 };
	struct err err = { 0 };
	json_t *arguments = NULL;

	(void)snprintf(json, sizeof json, "{\"cmd\":\"a\",\"max_output_tokens\":%s}", value);
	assert_int_equal(decode(json, &settings, &arguments, &args, &err), 0);
	json_decref(arguments);
	return args.tokens_max;
}

static void output_tokens_are_capped(void **state)
{
	(void)state;
	assert_int_equal(tokens_of("0", 0), 0);
	assert_int_equal(tokens_of("9999", 0), 9999);
	assert_int_equal(tokens_of("10001", 0), 10000);
	assert_int_equal(tokens_of("10001", 20000), 10001);
	assert_int_equal(tokens_of("20001", 20000), 20000);
	assert_int_equal(tokens_of("null", 500), 500);
}

static int decode_cmd(size_t len)
{
	char *cmd = malloc(len + 1);
	struct exec_args args = { 0 };
	struct err err = { 0 };
	json_t *arguments;
	int rc;

	assert_non_null(cmd);
	memset(cmd, 'x', len);
	cmd[len] = '\0';
	arguments = json_pack("{s:s}", "cmd", cmd);
	rc = exec_args_decode(&args, arguments, &usual, &err);
	json_decref(arguments);
	free(cmd);
	return rc;
}

static void a_command_may_be_as_long_as_one_argument(void **state)
{
	(void)state;
	assert_int_equal(decode_cmd(EXEC_CMD_MAX), 0);
	assert_int_equal(decode_cmd(EXEC_CMD_MAX + 1), ERR_INVALID);
}

static void a_command_holds_no_nul(void **state)
{
	struct exec_args args = { 0 };
	struct err err = { 0 };
	json_t *arguments = json_pack("{s:o}", "cmd", json_stringn("a\0b", 3));

	(void)state;
	assert_int_equal(exec_args_decode(&args, arguments, &usual, &err), ERR_INVALID);
	json_decref(arguments);
}

static void a_prefix_rule_counts_only_with_escalation(void **state)
{
	struct exec_args args = { 0 };
	struct err err = { 0 };
	json_t *arguments = NULL;

	(void)state;
	assert_int_equal(
		decode("{\"cmd\":\"a\",\"prefix_rule\":[\"a\"]}", &usual, &arguments, &args, &err),
		0);
	assert_null(args.prefix_rule);
	json_decref(arguments);
	assert_int_equal(decode("{\"cmd\":\"a\",\"prefix_rule\":[\"a\"],\"justification\":\"why?\","
				"\"sandbox_permissions\":\"require_escalated\"}",
				&usual, &arguments, &args, &err),
			 0);
	assert_non_null(args.prefix_rule);
	assert_true(args.escalated);
	assert_string_equal(args.justification, "why?");
	json_decref(arguments);
}

static int decode_stdin(const char *json, int64_t poll_max, struct stdin_args *args,
			struct err *err)
{
	const struct exec_settings settings = { .poll_max_ms = poll_max };
	json_t *arguments = json_loads(json, JSON_ALLOW_NUL, NULL);
	int rc;

	assert_non_null(arguments);
	rc = stdin_args_decode(args, arguments, &settings, err);
	if (rc == 0)
		args->chars = NULL; /* it is gone with the arguments */
	json_decref(arguments);
	return rc;
}

static const struct {
	const char *json;
	int64_t poll_max;
	int64_t yield_ms;
} waits[] = {
	{ "{\"session_id\":1,\"chars\":\"x\"}", 0, 250 },
	{ "{\"session_id\":1,\"chars\":\"x\",\"yield_time_ms\":1}", 0, 250 },
	{ "{\"session_id\":1,\"chars\":\"x\",\"yield_time_ms\":30001}", 0, 30000 },
	{ "{\"session_id\":1}", 0, 5000 },
	{ "{\"session_id\":1,\"chars\":\"\",\"yield_time_ms\":4999}", 0, 5000 },
	{ "{\"session_id\":1,\"yield_time_ms\":5001}", 0, 5001 },
	{ "{\"session_id\":1,\"yield_time_ms\":300001}", 0, 300000 },
	{ "{\"session_id\":1,\"yield_time_ms\":300001}", 600000, 300001 },
	{ "{\"session_id\":1,\"yield_time_ms\":300001}", 7000, 7000 },
	{ "{\"session_id\":1,\"yield_time_ms\":300001}", 1, 5000 },
};

static void polls_may_wait_longer_than_writes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		struct stdin_args args = { 0 };
		struct err err = { 0 };

		assert_int_equal(decode_stdin(waits[i].json, waits[i].poll_max, &args, &err), 0);
		if (args.yield_ms != waits[i].yield_ms)
			fail_msg("%s: %ld", waits[i].json, (long)args.yield_ms);
	}
}

static void wrong_stdin_arguments_are_named(void **state)
{
	struct stdin_args args = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(decode_stdin("{}", 0, &args, &err), ERR_INVALID);
	assert_string_equal(err.text, "missing field `session_id`");
	assert_int_equal(decode_stdin("{\"session_id\":\"1\"}", 0, &args, &err), ERR_INVALID);
	assert_int_equal(decode_stdin("{\"session_id\":1,\"chars\":1}", 0, &args, &err),
			 ERR_INVALID);
	assert_int_equal(decode_stdin("[1]", 0, &args, &err), ERR_INVALID);
	assert_int_equal(decode_stdin("{\"session_id\":1,\"chars\":\"a\\u0000b\"}", 0, &args, &err),
			 0);
	assert_int_equal(args.chars_len, 3);
}

static int decode_chars(size_t len)
{
	const struct exec_settings settings = { 0 };
	char *chars = calloc(1, len + 1);
	struct stdin_args args = { 0 };
	struct err err = { 0 };
	json_t *arguments;
	int rc;

	assert_non_null(chars);
	memset(chars, 'x', len);
	arguments = json_pack("{s:i, s:s}", "session_id", 1, "chars", chars);
	rc = stdin_args_decode(&args, arguments, &settings, &err);
	json_decref(arguments);
	free(chars);
	return rc;
}

static void what_is_written_has_a_limit(void **state)
{
	(void)state;
	assert_int_equal(decode_chars(EXEC_CHARS_MAX), 0);
	assert_int_equal(decode_chars(EXEC_CHARS_MAX + 1), ERR_INVALID);
}

static const struct {
	const char *wanted;
	const char *person;
	const char *shell;
} shells[] = {
	{ NULL, NULL, "/bin/sh" },
	{ NULL, "/bin/zsh", "/bin/zsh" },
	{ "bash", "/bin/zsh", "bash" },
	{ "/usr/local/bin/bash", "/bin/zsh", "/usr/local/bin/bash" },
	{ "sh", NULL, "sh" },
	{ "fish", "/bin/zsh", "/bin/zsh" },
	{ "./bash", "/bin/zsh", "/bin/zsh" },
	{ "", "/bin/zsh", "/bin/zsh" },
};

static void a_shell_that_is_not_known_is_the_persons(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
		const struct exec_args args = { .cmd = "x", .shell = shells[i].wanted };
		struct exec_command command SCOPED(exec_command_deinit) = { 0 };
		struct err err = { 0 };

		assert_int_equal(
			exec_command_init(&command, &args, "/", shells[i].person, "t", &err), 0);
		assert_string_equal(command.argv[0], shells[i].shell);
	}
}

static const struct {
	const char *workdir;
	const char *cwd;
} folders[] = {
	{ NULL, "/w" },     { "", "/w" },      { "sub/x", "/w/sub/x" },
	{ "/abs", "/abs" }, { "..", "/w/.." },
};

static void workdir_starts_in_the_sessions_folder(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		const struct exec_args args = { .cmd = "x", .workdir = folders[i].workdir };
		struct exec_command command SCOPED(exec_command_deinit) = { 0 };
		struct err err = { 0 };

		assert_int_equal(exec_command_init(&command, &args, "/w", NULL, "t", &err), 0);
		assert_string_equal(command.cwd, folders[i].cwd);
	}
}

static bool has_env(const struct exec_command *command, const char *entry)
{
	for (size_t i = 0; i < command->envc; i++) {
		if (str_eq(command->env[i], entry))
			return true;
	}
	return false;
}

static void what_is_started_differs_only_by_its_arguments(void **state)
{
	static const char *const wanted[] = { "AGENTD_THREAD_ID=id", "CODEX_THREAD_ID=id" };
	const struct exec_args args = { .cmd = "x y", .login = true };
	struct exec_command command SCOPED(exec_command_deinit) = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(exec_command_init(&command, &args, "/w", NULL, "id", &err), 0);
	assert_int_equal(command.argc, 3);
	assert_string_equal(command.argv[1], "-lc");
	assert_string_equal(command.argv[2], "x y");
	assert_int_equal(command.envc, ARRAY_LEN(wanted));
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		if (!has_env(&command, wanted[i]))
			fail_msg("%s", wanted[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(absent_arguments_have_the_documented_defaults),
		FIXTURE_TEST(null_stands_for_absent),
		FIXTURE_TEST(wrong_arguments_are_named),
		FIXTURE_TEST(further_permissions_are_refused_with_a_sentence),
		FIXTURE_TEST(a_login_shell_that_is_switched_off_is_refused_only_when_asked_for),
		FIXTURE_TEST(yield_time_is_clamped),
		FIXTURE_TEST(output_tokens_are_capped),
		FIXTURE_TEST(a_command_may_be_as_long_as_one_argument),
		FIXTURE_TEST(a_command_holds_no_nul),
		FIXTURE_TEST(a_prefix_rule_counts_only_with_escalation),
		FIXTURE_TEST(polls_may_wait_longer_than_writes),
		FIXTURE_TEST(wrong_stdin_arguments_are_named),
		FIXTURE_TEST(what_is_written_has_a_limit),
		FIXTURE_TEST(a_shell_that_is_not_known_is_the_persons),
		FIXTURE_TEST(workdir_starts_in_the_sessions_folder),
		FIXTURE_TEST(what_is_started_differs_only_by_its_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
