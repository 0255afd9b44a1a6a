/*
 * What the real broker records: who did what and with which outcome, never an argument; and what
 * happens when it cannot.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/audit.h"

#include "tests/support/leak.h"
#include "tests/support/limited.h"

#define LOG_MAX 1048576

static const char *log_path(const struct limited *rig)
{
	static char path[700];

	(void)snprintf(path, sizeof path, "%s/log/" AUDIT_FILE, rig->broker.state);
	return path;
}

/* Array of the records of one event. */
static json_t *records(const struct limited *rig, const char *event)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(LOG_MAX);
	struct audit_chain chain = { 0 };
	struct err err = { 0 };
	json_t *found = json_array();

	if (audit_verify(log_path(rig), &chain, &err) < 0 ||
	    buf_read_file(&text, log_path(rig), &err) < 0)
		fail_msg("%s", err.text);
	for (char *line = text.data, *end; (end = strchr(line, '\n')); line = end + 1) {
		json_t *record = json_loadb(line, (size_t)(end - line), 0, NULL);

		assert_non_null(record);
		if (str_eq(json_string_value(json_object_get(record, "event")), event))
			(void)json_array_append(found, record);
		json_decref(record);
	}
	return found;
}

/* A member of the n-th record of an event. */
static json_t *member(const struct limited *rig, const char *event, size_t n, const char *name)
{
	json_auto_t *found = records(rig, event);
	json_t *value = json_object_get(json_array_get(found, n), name);

	if (!value)
		fail_msg("%s %zu: no %s", event, n, name);
	return json_incref(value);
}

static void is_text(const struct limited *rig, const char *event, size_t n, const char *name,
		    const char *text)
{
	json_auto_t *value = member(rig, event, n, name);

	if (!str_eq(json_string_value(value), text))
		fail_msg("%s %zu: %s is '%s'", event, n, name, json_string_value(value));
}

static void is_number(const struct limited *rig, const char *event, size_t n, const char *name,
		      json_int_t number)
{
	json_auto_t *value = member(rig, event, n, name);

	if (json_integer_value(value) != number)
		fail_msg("%s %zu: %s is %" JSON_INTEGER_FORMAT, event, n, name,
			 json_integer_value(value));
}

static void commands_are_recorded_without_their_arguments(void **state)
{
	struct limited rig;
	struct buf text SCOPED(buf_deinit) = BUF_INIT(LOG_MAX);
	struct broker_command command;
	char ceiling[33];
	char line[16];
	json_auto_t *digest = NULL;

	(void)state;
	limited_open(&rig, "");
	broker_client_ceiling(&rig.client, &rig.broker, "read-only", false, ceiling);
	assert_int_equal(limited_run(&rig, ceiling, SH("exit 7 # TOP-SECRET"), NULL), 7);
	assert_true(broker_command_start(&command, &rig.client, ceiling,
					 SH("echo on; read x </dev/zero")));
	broker_command_line(&command, line, sizeof line);
	json_decref(
		broker_must(&rig.client, "child/kill",
			    json_pack("{s:s, s:i}", "child", command.child, "signal", SIGKILL)));
	assert_int_equal(broker_command_finish(&command, &rig.client, NULL, 0), 128 + SIGKILL);
	limited_close(&rig);

	is_number(&rig, "start", 0, "seq", 1);
	is_text(&rig, "start", 0, "requirements", rig.file);
	is_text(&rig, "ceiling_opened", 0, "mode", "read-only");
	is_text(&rig, "ceiling_opened", 0, "role", "client");
	is_number(&rig, "ceiling_opened", 0, "pid", getpid());
	is_number(&rig, "ceiling_opened", 0, "uid", getuid());
	is_text(&rig, "child_started", 0, "program", "sh");
	is_number(&rig, "child_started", 0, "argc", 3);
	is_text(&rig, "child_started", 0, "cwd", rig.broker.work);
	is_number(&rig, "child_exited", 0, "code", 7);
	is_text(&rig, "child_exited", 0, "ended_by", "itself");
	is_number(&rig, "child_exited", 1, "signal", SIGKILL);
	is_text(&rig, "child_exited", 1, "ended_by", "its connection");
	is_text(&rig, "ceiling_closed", 0, "ceiling", ceiling);
	digest = member(&rig, "child_started", 0, "argv_sha256");
	assert_int_equal(json_string_length(digest), 64);
	assert_int_equal(buf_read_file(&text, log_path(&rig), NULL), 0);
	assert_null(strstr(buf_str(&text), "TOP-SECRET"));
}

/* The count; which they were is told to whoever started the command. */
static void what_the_sandbox_refused_is_told_and_counted(void **state)
{
	struct limited rig;
	struct broker_command command;
	char ceiling[33];
	json_auto_t *opened = NULL;
	json_auto_t *exited = NULL;
	const json_t *denial;
	const json_t *missing;

	(void)state;
	limited_open(&rig, "");
	opened =
		broker_must(&rig.client, "ceiling/open", limited_ceiling(&rig, "read-only", false));
	missing = json_object_get(json_object_get(opened, "policy"), "missing");
	for (size_t i = 0; i < json_array_size(missing); i++) {
		if (strstr(json_string_value(json_array_get(missing, i)), "notif")) {
			limited_close(&rig);
			skip(); /* this kernel cannot tell */
		}
	}
	(void)snprintf(ceiling, sizeof ceiling, "%s",
		       json_string_value(json_object_get(opened, "ceiling")));
	assert_true(broker_command_start(&command, &rig.client, ceiling, SH("mkdir new")));
	fd_close(&command.out);
	exited = broker_client_wait(&rig.client, "child/exited");
	denial = json_array_get(json_object_get(exited, "denials"), 0);
	if (!str_starts(json_string_value(json_object_get(denial, "operation")), "mkdir") ||
	    !str_eq(json_string_value(json_object_get(denial, "error")), "EROFS") ||
	    !str_ends(json_string_value(json_object_get(denial, "target")), "new"))
		fail_msg("%s", json_dumps(exited, 0));
	limited_close(&rig);
	is_number(&rig, "child_exited", 0, "denials", 1);
}

static void grants_are_recorded_from_the_request_to_the_use(void **state)
{
	struct hostile hostile;
	struct limited *rig = &hostile.rig;
	json_auto_t *asked = NULL;
	json_auto_t *shown = NULL;
	const char *grant;
	const char *seal;

	(void)state;
	hostile_open(&hostile, "");
	asked = broker_must(&hostile.hand, "say",
			    json_pack("{s:s, s:o, s:i}", "method", "grant/request", "params",
				      hostile_request(&hostile, "danger-full-access", true), "fds",
				      0));
	grant = json_string_value(json_object_get(json_object_get(asked, "result"), "grant"));
	assert_non_null(grant);
	shown = broker_must(&rig->client, "grant/show", json_pack("{s:s}", "grant", grant));
	seal = json_string_value(json_object_get(json_object_get(shown, "record"), "seal"));
	json_decref(broker_must(
		&rig->client, "grant/answer",
		json_pack("{s:s, s:s, s:s}", "grant", grant, "seal", seal, "decision", "once")));
	json_decref(broker_must(
		&hostile.hand, "run",
		json_pack("{s:{s:s, s:s}}", "params", "ceiling", hostile.kept, "grant", grant)));
	is_text(rig, "grant_requested", 0, "grant", grant);
	is_text(rig, "grant_requested", 0, "role", "daemon");
	is_text(rig, "grant_requested", 0, "state", "pending");
	is_text(rig, "grant_requested", 0, "mode", "danger-full-access");
	is_text(rig, "grant_answered", 0, "grant", grant);
	is_text(rig, "grant_answered", 0, "role", "client");
	is_text(rig, "grant_answered", 0, "decision", "once");
	is_text(rig, "child_started", 0, "grant", grant);
	is_text(rig, "child_started", 0, "mode", "danger-full-access");
	hostile_close(&hostile);
}

static void refusals_and_violations_are_recorded(void **state)
{
	struct limited rig;
	struct broker_client rude;
	struct broker_client one_too_many;

	(void)state;
	limited_open(&rig, "[limits]\nconnections = 2\n");
	broker_client_open(&rude, &rig.broker);
	broker_client_connect(&one_too_many, rig.broker.runtime, "broker.sock");
	assert_null(broker_client_answer(&one_too_many, 1));
	broker_client_close(&one_too_many);
	broker_client_send(&rude, "{no sense", NULL, 0);
	assert_true(broker_client_ended(&rude));
	broker_client_close(&rude);
	limited_close(&rig);
	is_number(&rig, "peer_refused", 0, "uid", getuid());
	is_text(&rig, "violation", 0, "role", "client");
}

static void the_log_goes_on_over_restarts_and_kill_9(void **state)
{
	struct limited rig;
	json_auto_t *starts = NULL;

	(void)state;
	limited_open(&rig, "");
	broker_client_close(&rig.client);
	assert_int_equal(kill(rig.broker.pid, SIGKILL), 0);
	assert_int_equal(waitpid(rig.broker.pid, NULL, 0), rig.broker.pid);
	if (!limited_start(&rig, "", NULL, NULL))
		fail_msg("%s", rig.why);
	assert_int_equal(test_broker_stop(&rig.broker), 0);
	starts = records(&rig, "start");
	assert_int_equal(json_array_size(starts), 2);
}

static void a_log_that_cannot_be_written_is_said_or_stops_everything(void **state)
{
	struct limited rig;
	json_auto_t *opened = NULL;
	char ceiling[33];
	char folder[700];
	const json_t *missing;
	bool said = false;

	(void)state;
	/* Not required: it is said, and work goes on. */
	rig = (struct limited){ 0 };
	test_broker_folders(&rig.broker);
	(void)snprintf(folder, sizeof folder, "%s/log/" AUDIT_FILE, rig.broker.state);
	assert_int_equal(mkdir(folder, 0700), 0);
	if (!limited_start(&rig, "", NULL, NULL))
		fail_msg("%s", rig.why);
	broker_client_open(&rig.client, &rig.broker);
	opened =
		broker_must(&rig.client, "ceiling/open", limited_ceiling(&rig, "read-only", false));
	missing = json_object_get(json_object_get(opened, "policy"), "missing");
	for (size_t i = 0; i < json_array_size(missing); i++)
		said |= str_starts(json_string_value(json_array_get(missing, i)), "audit log");
	assert_true(said);
	limited_close(&rig);
	assert_true(test_broker_logged(&rig.broker, "audit_failed required=no"));

	/* Required: no broker, and no command once it fails. */
	assert_false(limited_start(&rig, "[audit]\nrequired = true\n", NULL, NULL));
	assert_non_null(strstr(rig.why, "what cannot be recorded is not done"));
	limited_open(&rig, "[audit]\nrequired = true\n");
	broker_client_ceiling(&rig.client, &rig.broker, "read-only", false, ceiling);
	assert_int_equal(limited_run(&rig, ceiling, SH("exit 4"), NULL), 4);
	assert_int_equal(truncate(log_path(&rig), 3), 0);
	{
		struct broker_command command;

		assert_false(broker_command_start(&command, &rig.client, ceiling, SH("exit 4")));
		assert_int_equal(rig.client.err.code, ERR_STATE);
		assert_non_null(strstr(rig.client.err.text, "what cannot be recorded"));
	}
	broker_refused(&rig.client, "ceiling/open", limited_ceiling(&rig, "read-only", false),
		       ERR_STATE);
	limited_close(&rig);
}

static void switched_off_there_is_no_log(void **state)
{
	struct limited rig;
	char ceiling[33];

	(void)state;
	limited_open(&rig, "[audit]\nlog = off\nrequired = true\n");
	broker_client_ceiling(&rig.client, &rig.broker, "read-only", false, ceiling);
	assert_int_equal(limited_run(&rig, ceiling, SH("exit 4"), NULL), 4);
	limited_close(&rig);
	assert_int_equal(access(log_path(&rig), F_OK), -1);
}

static void no_command_sees_the_log(void **state)
{
	struct limited rig;
	char ceiling[33];
	char text[TEXT_MAX];
	char script[1024];

	(void)state;
	limited_open(&rig, "");
	broker_client_ceiling(&rig.client, &rig.broker, "workspace-write", false, ceiling);
	(void)snprintf(script, sizeof script, "cat '%s'; echo x >'%s'", log_path(&rig),
		       log_path(&rig));
	(void)limited_run(&rig, ceiling, SH(script), text);
	assert_null(strstr(text, "ceiling_opened"));
	limited_close(&rig);
	is_number(&rig, "start", 0, "seq", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LEAK_TEST(commands_are_recorded_without_their_arguments),
		LEAK_TEST(what_the_sandbox_refused_is_told_and_counted),
		LEAK_TEST(grants_are_recorded_from_the_request_to_the_use),
		LEAK_TEST(refusals_and_violations_are_recorded),
		LEAK_TEST(the_log_goes_on_over_restarts_and_kill_9),
		LEAK_TEST(a_log_that_cannot_be_written_is_said_or_stops_everything),
		LEAK_TEST(switched_off_there_is_no_log),
		LEAK_TEST(no_command_sees_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
