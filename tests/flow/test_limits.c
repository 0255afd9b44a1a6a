/*
 * What the administrator allows binds clients and agentd alike, whoever asks: the real broker with
 * a requirements.ini, real clients, and a hostile program in agentd's place.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/str.h"

#include "tests/support/leak.h"
#include "tests/support/limited.h"

/* ------------------------------------------------------------------ the file */

static void a_broker_does_not_start_with_a_faulty_file(void **state)
{
	static const struct {
		const char *text;
		const char *sentence;
	} rows[] = {
		{ "[limits]\ncomands = 1\n", "requirements.ini:2: unknown key 'limits.comands', "
					     "did you mean 'limits.commands'?" },
		{ "allowed_sandbox_modes = [\"workspace-write\"]\n", "must contain 'read-only'" },
		{ "[limits]\ncommands = 0\n", ":2: limits.commands: must be a whole number" },
		{ "no sense\n", ":1: " },
		{ "\xff\n", "not UTF-8" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct limited rig = { 0 };

		if (limited_start(&rig, rows[i].text, NULL, NULL))
			fail_msg("row %zu: started", i);
		if (!strstr(rig.why, rows[i].sentence))
			fail_msg("row %zu: %s", i, rig.why);
	}
}

static void a_broker_does_not_start_with_a_file_that_others_may_write(void **state)
{
	static const mode_t modes[] = { 0620, 0602, 0666 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		struct limited rig = { 0 };

		test_broker_folders(&rig.broker);
		(void)snprintf(rig.file, sizeof rig.file, "%s/requirements.ini", rig.broker.home);
		limited_write(rig.file, "");
		assert_int_equal(chmod(rig.file, modes[i]), 0);
		assert_false(limited_start(&rig, NULL, NULL, NULL));
		assert_non_null(strstr(rig.why, "chmod go-w"));
	}
}

static void a_broker_does_not_start_with_a_link_or_without_the_file(void **state)
{
	struct limited rig = { 0 };
	char real[700];

	(void)state;
	test_broker_folders(&rig.broker);
	assert_false(limited_start(&rig, NULL, NULL, NULL));
	assert_non_null(strstr(rig.why, "does not exist"));
	(void)snprintf(real, sizeof real, "%s/real.ini", rig.broker.home);
	limited_write(real, "");
	assert_int_equal(symlink(real, rig.file), 0);
	assert_false(limited_start(&rig, NULL, NULL, NULL));
	assert_non_null(strstr(rig.why, "following no link"));
}

static void a_file_may_be_so_long(void **state)
{
	static const size_t sizes[] = { 262144, 262145 }; /* REQUIREMENTS_FILE_MAX */

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct limited rig = { 0 };
		char *text = malloc(sizes[i] + 1);
		bool started;

		assert_non_null(text);
		memset(text, '#', sizes[i]);
		for (size_t k = 0; k < sizes[i]; k += 100)
			text[k] = '\n';
		text[sizes[i]] = '\0';
		started = limited_start(&rig, text, NULL, NULL);
		free(text);
		if (started != (i == 0))
			fail_msg("%zu bytes: %s", sizes[i], rig.why);
		if (started)
			assert_int_equal(test_broker_stop(&rig.broker), 0);
	}
}

static void the_lock_of_agentd_stays_on_where_that_is_demanded(void **state)
{
	static const char *const option[] = { "--no-lockdown", NULL };
	struct limited rig = { 0 };

	(void)state;
	assert_false(limited_start(&rig, "[sandbox]\nallow_no_lockdown = false\n", NULL, option));
	assert_non_null(strstr(rig.why, "sandbox.allow_no_lockdown"));
	rig = (struct limited){ 0 };
	if (!limited_start(&rig, "[sandbox]\nallow_no_lockdown = true\n", NULL, option))
		fail_msg("%s", rig.why);
	assert_int_equal(test_broker_stop(&rig.broker), 0);
}

/* ------------------------------------------------------------------ clients */

static void a_client_opens_no_ceiling_beyond_the_limits(void **state)
{
	static const struct {
		const char *limits;
		const char *mode;
		bool network;
		const char *key; /* NULL: allowed */
	} rows[] = {
		{ "allowed_sandbox_modes = [\"read-only\"]", "read-only", false, NULL },
		{ "allowed_sandbox_modes = [\"read-only\"]", "workspace-write", false,
		  "allowed_sandbox_modes" },
		{ "allowed_sandbox_modes = [\"read-only\", \"workspace-write\"]",
		  "danger-full-access", true, "allowed_sandbox_modes" },
		{ "[sandbox]\nallow_network = false", "workspace-write", false, NULL },
		{ "[sandbox]\nallow_network = false", "workspace-write", true,
		  "sandbox.allow_network" },
		{ "[sandbox]\nallow_network = false", "danger-full-access", false,
		  "sandbox.allow_network" },
		{ "[permissions.filesystem]\ndeny_read = [\"/nonexistent\"]", "danger-full-access",
		  true, "permissions.filesystem.deny_read" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct limited rig;
		json_auto_t *result = NULL;

		limited_open(&rig, rows[i].limits);
		result = broker_call(&rig.client, "ceiling/open",
				     limited_ceiling(&rig, rows[i].mode, rows[i].network), NULL, 0);
		if (!!result != !rows[i].key)
			fail_msg("row %zu: %s", i, rig.client.err.text);
		if (!result && (rig.client.err.code != ERR_DENIED ||
				!strstr(rig.client.err.text, rows[i].key) ||
				!strstr(rig.client.err.text, rig.file)))
			fail_msg("row %zu: %s", i, rig.client.err.text);
		limited_close(&rig);
	}
}

static void counts_are_limited(void **state)
{
	struct limited rig;
	struct broker_client second;
	struct broker_client third;
	struct broker_command command;
	struct broker_command refused;
	char ceiling[33];
	char line[16];

	(void)state;
	limited_open(&rig, "[limits]\nceilings = 1\ncommands = 1\nconnections = 2\n");
	broker_client_ceiling(&rig.client, &rig.broker, "read-only", false, ceiling);
	broker_refused(&rig.client, "ceiling/open", limited_ceiling(&rig, "read-only", false),
		       ERR_LIMIT);
	assert_non_null(strstr(rig.client.err.text, "limits.ceilings"));

	assert_true(broker_command_start(&command, &rig.client, ceiling,
					 SH("echo on; read x </dev/zero")));
	broker_command_line(&command, line, sizeof line);
	assert_false(broker_command_start(&refused, &rig.client, ceiling, SH("true")));
	assert_int_equal(rig.client.err.code, ERR_LIMIT);
	assert_non_null(strstr(rig.client.err.text, "limits.commands"));
	json_decref(
		broker_must(&rig.client, "child/kill",
			    json_pack("{s:s, s:i}", "child", command.child, "signal", SIGKILL)));
	assert_int_equal(broker_command_finish(&command, &rig.client, NULL, 0), 128 + SIGKILL);
	assert_int_equal(limited_run(&rig, ceiling, SH("exit 3"), NULL), 3);

	broker_client_open(&second, &rig.broker);
	broker_client_connect(&third, rig.broker.runtime, "broker.sock");
	assert_null(broker_client_answer(&third, 1)); /* the refusal, or the end */
	broker_client_close(&third);
	broker_client_close(&second);
	limited_close(&rig);
}

static void denied_paths_cannot_be_read(void **state)
{
	struct limited rig = { 0 };
	char limits[TEXT_MAX];
	char path[700];
	char text[TEXT_MAX];
	char ceiling[33];

	(void)state;
	test_broker_folders(&rig.broker);
	(void)snprintf(path, sizeof path, "%s/secrets", rig.broker.work);
	assert_int_equal(mkdir(path, 0755), 0);
	(void)snprintf(path, sizeof path, "%s/secrets/key", rig.broker.work);
	limited_write(path, "SECRET\n");
	(void)snprintf(path, sizeof path, "%s/token-a", rig.broker.work);
	limited_write(path, "SECRET\n");
	(void)snprintf(path, sizeof path, "%s/plain", rig.broker.work);
	limited_write(path, "plain\n");
	(void)snprintf(limits, sizeof limits,
		       "[permissions.filesystem]\ndeny_read = [\"%s/secrets\", \"%s/token-*\"]\n",
		       rig.broker.work, rig.broker.work);
	if (!limited_start(&rig, limits, NULL, NULL))
		fail_msg("%s", rig.why);
	broker_client_open(&rig.client, &rig.broker);
	for (int i = 0; i < 2; i++) {
		broker_client_ceiling(&rig.client, &rig.broker, i ? "workspace-write" : "read-only",
				      false, ceiling);
		(void)limited_run(
			&rig, ceiling,
			SH("cat secrets/key token-a plain; ls secrets; mv secrets x; chmod 777 "
			   "secrets; rm -rf secrets token-a; cat secrets/key token-a"),
			text);
		assert_null(strstr(text, "SECRET"));
		assert_non_null(strstr(text, "plain\n"));
	}
	/* What comes into being later is hidden from the next command. */
	assert_int_equal(limited_run(&rig, ceiling, SH("! test -s token-b"), text), 0);
	(void)snprintf(path, sizeof path, "%s/token-b", rig.broker.work);
	limited_write(path, "SECRET\n");
	(void)limited_run(&rig, ceiling, SH("cat token-b; cat secrets/key token-a"), text);
	assert_null(strstr(text, "SECRET"));
	limited_close(&rig);
	(void)snprintf(path, sizeof path, "%s/secrets/key", rig.broker.work);
	assert_int_equal(access(path, F_OK), 0);
}

static void limits_are_shown(void **state)
{
	struct limited rig;
	json_auto_t *shown = NULL;
	const json_t *limits;

	(void)state;
	limited_open(&rig,
		     "allowed_approval_policies = [\"on-request\"]\n[limits]\ncommands = 3\n");
	shown = broker_must(&rig.client, "requirements/show", NULL);
	assert_string_equal(json_string_value(json_object_get(shown, "path")), rig.file);
	limits = json_object_get(shown, "requirements");
	assert_int_equal(json_integer_value(json_object_get(limits, "commands")), 3);
	assert_int_equal(json_array_size(json_object_get(limits, "allowed_approval_policies")), 1);
	assert_null(json_object_get(limits, "ceilings"));
	limited_close(&rig);
}

static void limits_longer_than_a_packet_come_in_a_sealed_file(void **state)
{
	struct limited rig;
	struct buf limits SCOPED(buf_deinit) = BUF_INIT(262144);
	struct buf sealed SCOPED(buf_deinit) = BUF_INIT(1048576);
	struct err err = { 0 };
	json_auto_t *shown = NULL;
	json_auto_t *read = NULL;
	char word[801];

	(void)state;
	memset(word, 'y', sizeof word - 1);
	word[sizeof word - 1] = '\0';
	/* One value has at most 64 KiB, so it takes two. */
	assert_int_equal(buf_puts(&limits, "[permissions.filesystem]\ndeny_read = [", &err), 0);
	for (int i = 0; i < 60; i++)
		assert_int_equal(buf_printf(&limits, &err, "\"/%s\",\n", word), 0);
	assert_int_equal(buf_puts(&limits, "]\n[rules]\nprefix_rules = [\n", &err), 0);
	for (int i = 0; i < 60; i++)
		assert_int_equal(buf_printf(&limits, &err,
					    "{pattern=[{token=\"a\"}],decision=\"prompt\","
					    "justification=\"%s\"},\n",
					    word),
				 0);
	assert_int_equal(buf_puts(&limits, "]\n", &err), 0);
	limited_open(&rig, buf_str(&limits));
	shown = broker_must(&rig.client, "requirements/show", NULL);
	assert_null(json_object_get(shown, "requirements"));
	assert_int_equal(buf_read_sealed(&sealed, rig.client.fd, &err), 0);
	read = json_loadb(sealed.data, sealed.len, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(read, "prefix_rules")), 60);
	limited_close(&rig);
}

static void without_a_file_there_are_no_limits_to_show(void **state)
{
	struct limited rig = { 0 };
	json_auto_t *shown = NULL;

	(void)state;
	test_broker_start(&rig.broker, NULL);
	broker_client_open(&rig.client, &rig.broker);
	shown = broker_must(&rig.client, "requirements/show", NULL);
	assert_int_equal(json_object_size(shown), 0);
	limited_close(&rig);
}

/* ------------------------------------------------------------------ a compromised agentd */

static void agentd_cannot_ask_for_what_nobody_may_allow(void **state)
{
	static const struct {
		const char *limits;
		const char *mode;
		bool network;
		const char *key; /* NULL: may be asked for */
	} rows[] = {
		{ "allowed_sandbox_modes = [\"read-only\", \"workspace-write\"]",
		  "danger-full-access", false, "allowed_sandbox_modes" },
		{ "allowed_sandbox_modes = [\"read-only\", \"workspace-write\"]", "workspace-write",
		  true, NULL },
		{ "[sandbox]\nallow_network = false", "workspace-write", true,
		  "sandbox.allow_network" },
		{ "[sandbox]\nallow_network = false", "danger-full-access", false,
		  "sandbox.allow_network" },
		{ "[permissions.filesystem]\ndeny_read = [\"/nonexistent\"]", "danger-full-access",
		  false, "permissions.filesystem.deny_read" },
		{ "[limits]\ncommands = 1", "danger-full-access", false, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct hostile hostile;
		json_auto_t *answer = NULL;
		const char *message;

		hostile_open(&hostile, rows[i].limits);
		answer = broker_must(
			&hostile.hand, "say",
			json_pack("{s:s, s:o, s:i}", "method", "grant/request", "params",
				  hostile_request(&hostile, rows[i].mode, rows[i].network), "fds",
				  0));
		message = json_string_value(json_object_get(answer, "message"));
		if (!!message != !!rows[i].key)
			fail_msg("row %zu: %s", i, message ? message : "was not refused");
		if (message &&
		    (!strstr(message, rows[i].key) ||
		     !str_eq(json_string_value(json_object_get(answer, "error")), "denied")))
			fail_msg("row %zu: %s", i, message);
		hostile_close(&hostile);
	}
}

static void agentd_sees_the_limits_and_cannot_exceed_the_count_of_commands(void **state)
{
	struct hostile hostile;
	json_auto_t *shown = NULL;
	json_auto_t *refused = NULL;
	struct broker_command command;
	char own[33];
	char line[16];

	(void)state;
	hostile_open(&hostile, "[limits]\ncommands = 1\n");
	shown = broker_must(
		&hostile.hand, "say",
		json_pack("{s:s, s:{}, s:i}", "method", "requirements/show", "params", "fds", 0));
	assert_non_null(json_object_get(json_object_get(shown, "result"), "requirements"));
	broker_client_ceiling(&hostile.rig.client, &hostile.rig.broker, "read-only", false, own);
	assert_true(broker_command_start(&command, &hostile.rig.client, own,
					 SH("echo on; read x </dev/zero")));
	broker_command_line(&command, line, sizeof line);
	refused = broker_must(
		&hostile.hand, "run",
		json_pack("{s:{s:s, s:[s]}}", "params", "ceiling", hostile.kept, "argv", "true"));
	assert_string_equal(json_string_value(json_object_get(refused, "error")), "limit");
	json_decref(
		broker_must(&hostile.rig.client, "child/kill",
			    json_pack("{s:s, s:i}", "child", command.child, "signal", SIGKILL)));
	assert_int_equal(broker_command_finish(&command, &hostile.rig.client, NULL, 0),
			 128 + SIGKILL);
	hostile_close(&hostile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LEAK_TEST(a_broker_does_not_start_with_a_faulty_file),
		LEAK_TEST(a_broker_does_not_start_with_a_file_that_others_may_write),
		LEAK_TEST(a_broker_does_not_start_with_a_link_or_without_the_file),
		LEAK_TEST(a_file_may_be_so_long),
		LEAK_TEST(the_lock_of_agentd_stays_on_where_that_is_demanded),
		LEAK_TEST(a_client_opens_no_ceiling_beyond_the_limits),
		LEAK_TEST(counts_are_limited),
		LEAK_TEST(denied_paths_cannot_be_read),
		LEAK_TEST(limits_are_shown),
		LEAK_TEST(limits_longer_than_a_packet_come_in_a_sealed_file),
		LEAK_TEST(without_a_file_there_are_no_limits_to_show),
		LEAK_TEST(agentd_cannot_ask_for_what_nobody_may_allow),
		LEAK_TEST(agentd_sees_the_limits_and_cannot_exceed_the_count_of_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
