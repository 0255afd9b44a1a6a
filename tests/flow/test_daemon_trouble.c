#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/base/str.h"
#include "proto/wire/rpc.h"

#include "tests/support/fixture.h"
#include "tests/support/rig.h"

#define TEXT_MAX 16777216
#define REASON_SIZE 1024
#define PATH_SIZE 1024

/* Far more than the socket and the queue hold, so it is pushed into being slow. */
static void a_slow_client_slows_nobody_and_misses_no_word(void **state)
{
	enum { DELTAS = 40000, EACH = 20 };
	struct rig rig;
	struct rig_agent fast;
	struct rig_agent slow;
	char session[RIG_ID_SIZE];
	char *script = NULL;
	struct buf one = BUF_INIT(TEXT_MAX);
	struct buf two = BUF_INIT(TEXT_MAX);
	int64_t prompt;

	(void)state;
	assert_true(asprintf(&script, "[{\"message\": \"0123456789abcdef...\\n\", \"deltas\": %d}]",
			     DELTAS) > 0);
	rig_start(&rig, script, "");
	free(script);
	rig_agent_open(&fast, &rig, "fast");
	rig_agent_open(&slow, &rig, "slow");
	rig_session(&rig, &fast, "workspace-write", NULL, session);
	json_decref(rig_call(&slow, "_agentd/session/attach",
			     rig_attach_params(session, "controller", "none")));
	prompt = rig_prompt(&fast, session, "talk"); /* and nobody reads on the slow one */
	rig_expect_stop(&fast, prompt, "end_turn");
	rig_text(&fast, "agent_message_chunk", &one);
	assert_int_equal(one.len, DELTAS * EACH);
	json_decref(rig_wait(&slow, "_agentd/turn_completed"));
	rig_text(&slow, "agent_message_chunk", &two);
	assert_string_equal(buf_str(&one), buf_str(&two));
	buf_deinit(&one);
	buf_deinit(&two);
	rig_agent_close(&fast);
	rig_agent_close(&slow);
	rig_stop(&rig);
}

/* Many small records, together more than a queue and the socket hold. */
static void a_long_history_is_replayed_whole(void **state)
{
	enum { CALLS = 100, TURNS = 8 };
	struct rig rig;
	struct rig_agent agent;
	struct rig_agent late;
	char session[RIG_ID_SIZE];
	struct buf script SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(
		buf_puts(&script, "[{\"times\": 0, \"after_outputs\": 0, \"calls\": [", &err), 0);
	for (int i = 0; i < CALLS; i++)
		assert_int_equal(buf_printf(&script, &err,
					    "%s{\"name\": \"nope\", \"arguments\": {}}",
					    i > 0 ? "," : ""),
				 0);
	assert_int_equal(buf_puts(&script, "]}, {\"times\": 0, \"message\": \"the end\"}]", &err),
			 0);
	rig_start(&rig, script.data, "");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	for (int i = 0; i < TURNS; i++)
		rig_expect_stop(&agent, rig_prompt(&agent, session, "go"), "end_turn");
	rig_agent_open(&late, &rig, "late");
	json_decref(rig_call(&late, "_agentd/session/attach",
			     rig_attach_params(session, "controller", "full")));
	for (int i = 0; i < CALLS * TURNS; i++)
		json_decref(rig_wait_update(&late, "tool_call"));
	rig_agent_close(&agent);
	rig_agent_close(&late);
	rig_stop(&rig);
}

static void cancelling_ends_the_model_and_answers_cancelled(void **state)
{
	struct rig rig;
	struct rig_agent agent;
	char session[RIG_ID_SIZE];
	json_t *done;
	int64_t prompt;

	(void)state;
	rig_start(&rig,
		  "[{\"message\": \"never ends\", \"unfinished\": true, \"hang\": true}, "
		  "{\"message\": \"next\"}]",
		  "");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	prompt = rig_prompt(&agent, session, "go");
	json_decref(rig_wait_update(&agent, "agent_message_chunk")); /* it has begun */
	rig_notify(&agent, "session/cancel", json_pack("{s:s}", "sessionId", session));
	rig_expect_stop(&agent, prompt, "cancelled");
	done = rig_wait(&agent, "_agentd/turn_completed");
	assert_string_equal(json_string_value(json_object_get(done, "status")), "interrupted");
	json_decref(done);
	rig_expect_stop(&agent, rig_prompt(&agent, session, "next"), "end_turn");
	rig_agent_close(&agent);
	rig_stop(&rig);
}

static void cancelling_kills_what_runs_and_withdraws_what_is_asked(void **state)
{
	static const char script[] =
		"[{\"calls\": ["
		"{\"name\": \"exec_command\", \"call_id\": \"c1\", \"arguments\":"
		" {\"cmd\": \"echo up; exec sleep 1000\", \"yield_time_ms\": 30000}},"
		"{\"name\": \"exec_command\", \"call_id\": \"c2\", \"arguments\":"
		" {\"cmd\": \"true\", \"sandbox_permissions\": \"require_escalated\"}}]},"
		"{\"message\": \"next\"}]";
	struct rig rig;
	struct rig_agent agent;
	char session[RIG_ID_SIZE];
	json_t *resolved;
	json_t *status;
	int64_t prompt;

	(void)state;
	rig_start(&rig, script, "");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	prompt = rig_prompt(&agent, session, "go");
	json_decref(rig_wait_request(&agent, "session/request_permission"));
	rig_notify(&agent, "session/cancel", json_pack("{s:s}", "sessionId", session));
	resolved = rig_wait(&agent, "_agentd/permission_resolved");
	assert_string_equal(json_string_value(json_object_get(resolved, "outcome")), "cancelled");
	json_decref(resolved);
	rig_expect_stop(&agent, prompt, "cancelled");
	rig_expect_stop(&agent, rig_prompt(&agent, session, "next"), "end_turn");
	rig_expect_output(&rig, 1, "c1", "aborted");
	rig_expect_output(&rig, 1, "c2", "aborted");
	status = broker_must(&rig.hands, "daemon/status", json_object());
	assert_int_equal(json_integer_value(json_object_get(status, "grants")), 0);
	json_decref(status);
	rig_agent_close(&agent);
	rig_stop(&rig); /* which fails when the command is left */
}

static void a_failed_turn_says_why_to_everybody(void **state)
{
	struct rig rig;
	struct rig_agent agent;
	struct rig_agent other;
	char session[RIG_ID_SIZE];
	char reason[REASON_SIZE];
	json_t *done;
	int64_t prompt;

	(void)state;
	rig_start(&rig, "[{\"status\": 400, \"body\": {\"error\": {\"message\": \"too odd\"}}}]",
		  "");
	rig_agent_open(&agent, &rig, "test");
	rig_agent_open(&other, &rig, "other");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	json_decref(rig_call(&other, "_agentd/session/attach",
			     rig_attach_params(session, "observer", "full")));
	prompt = rig_prompt(&agent, session, "go");
	rig_stop_reason(&agent, prompt, reason, sizeof(reason));
	assert_non_null(strstr(reason, "too odd"));
	done = rig_wait(&other, "_agentd/turn_completed");
	assert_string_equal(json_string_value(json_object_get(done, "status")), "failed");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(done, "error"), "message")),
		reason);
	json_decref(done);
	rig_agent_close(&agent);
	rig_agent_close(&other);
	rig_stop(&rig);
}

static void a_missing_key_fails_the_turn_and_names_its_variable(void **state)
{
	struct rig rig;
	struct rig_agent agent;
	char session[RIG_ID_SIZE];
	char reason[REASON_SIZE];

	(void)state;
	rig_start(&rig, "[]", "");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write",
		    "model_providers.fake.env_key=\"RIG_KEY_THAT_IS_NOT_SET\"", session);
	rig_stop_reason(&agent, rig_prompt(&agent, session, "go"), reason, sizeof(reason));
	assert_non_null(strstr(reason, "RIG_KEY_THAT_IS_NOT_SET"));
	rig_agent_close(&agent);
	rig_stop(&rig);
}

static void after_a_broken_stream_the_whole_answer_comes_and_a_notice_before(void **state)
{
	struct rig rig;
	struct rig_agent agent;
	char session[RIG_ID_SIZE];
	json_t *notice;
	struct buf text SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);

	(void)state;
	rig_start(&rig,
		  "[{\"message\": \"abcdefgh\", \"deltas\": 50, \"cut\": 2000},"
		  " {\"message\": \"whole\"}]",
		  "");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	rig_expect_stop(&agent, rig_prompt(&agent, session, "go"), "end_turn");
	notice = rig_wait(&agent, "_agentd/notice");
	assert_string_equal(json_string_value(json_object_get(notice, "kind")), "reconnecting");
	json_decref(notice);
	rig_text(&agent, "agent_message_chunk", &text);
	assert_true(str_ends(buf_str(&text), "whole"));
	/* Of the broken stream nothing is kept. */
	json_decref(rig_call(&agent, "session/load",
			     json_pack("{s:s, s:s, s:[]}", "sessionId", session, "cwd",
				       rig.broker.work, "mcpServers")));
	rig_expect_text(&agent, "agent_message_chunk", "whole");
	rig_agent_close(&agent);
	rig_stop(&rig);
}

static void killed_at_work_the_daemon_resumes_with_everything_that_was_finished(void **state)
{
	static const char script[] =
		"[{\"message\": \"first\"},"
		" {\"calls\": ["
		"{\"name\": \"exec_command\", \"call_id\": \"c1\", \"arguments\":"
		" {\"cmd\": \"echo done\"}},"
		"{\"name\": \"exec_command\", \"call_id\": \"c2\", \"arguments\":"
		" {\"cmd\": \"exec sleep 1000\", \"yield_time_ms\": 30000}}]},"
		" {\"message\": \"after\"}]";
	struct rig rig;
	struct rig_agent agent;
	char session[RIG_ID_SIZE];
	char ceiling[RIG_ID_SIZE];
	json_t *update = NULL;

	(void)state;
	rig_start(&rig, script, "");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	rig_expect_stop(&agent, rig_prompt(&agent, session, "one"), "end_turn");
	(void)rig_prompt(&agent, session, "two");
	do {
		json_decref(update);
		update = rig_wait_update(&agent, "tool_call_update");
	} while (!json_object_get(update, "rawOutput")); /* the first command is finished */
	json_decref(update);
	rig_kill_daemon(&rig);
	assert_true(rig_ended(&agent));
	rig_agent_close(&agent);
	rig_start_daemon(&rig);
	rig_agent_open(&agent, &rig, "again");
	rig_ceiling(&rig, "workspace-write", ceiling);
	json_decref(rig_call(&agent, "session/load",
			     json_pack("{s:s, s:s, s:[], s:{s:{s:s}}}", "sessionId", session, "cwd",
				       rig.broker.work, "mcpServers", "_meta", "agentd", "ceiling",
				       ceiling)));
	rig_expect_text(&agent, "user_message_chunk", "onetwo");
	rig_expect_text(&agent, "agent_message_chunk", "first");
	rig_expect_stop(&agent, rig_prompt(&agent, session, "three"), "end_turn");
	rig_expect_output(&rig, 2, "c1", "done");
	rig_expect_output(&rig, 2, "c2", "aborted");
	rig_agent_close(&agent);
	rig_stop(&rig);
}

static void when_the_broker_dies_the_daemon_says_so_and_ends(void **state)
{
	struct rig rig;
	struct rig_agent agent;
	char session[RIG_ID_SIZE];
	json_t *notice;

	(void)state;
	rig_start(&rig, "[{\"message\": \"x\", \"unfinished\": true, \"hang\": true}]", "");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	(void)rig_prompt(&agent, session, "go");
	json_decref(rig_wait(&agent, "_agentd/state"));
	assert_int_equal(kill(rig.broker.pid, SIGKILL), 0);
	notice = rig_wait(&agent, "_agentd/notice");
	assert_string_equal(json_string_value(json_object_get(notice, "kind")), "broker_gone");
	json_decref(notice);
	assert_true(rig_ended(&agent));
	rig_agent_close(&agent);
	rig_lost(&rig);
}

static void a_full_disk_fails_the_turn_and_leaves_the_transcript_readable(void **state)
{
	struct rig rig;
	struct rig_agent agent;
	char session[RIG_ID_SIZE];
	char reason[REASON_SIZE];
	char path[PATH_SIZE];
	struct stat about;

	(void)state;
	rig_start(&rig,
		  "[{\"message\": \"one\"}, {\"message\": \"two\"}, {\"message\": \"three\"}]", "");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	rig_expect_stop(&agent, rig_prompt(&agent, session, "first"), "end_turn");
	rig_transcript(&rig, session, path, sizeof(path));
	assert_int_equal(stat(path, &about), 0);
	rig_limit_files(&rig, (uint64_t)about.st_size + 400); /* of the daemon: the disk is full */
	rig_stop_reason(&agent, rig_prompt(&agent, session, "second"), reason, sizeof(reason));
	assert_non_null(strstr(reason, "write transcript"));
	rig_limit_files(&rig, UINT64_MAX);
	rig_expect_stop(&agent, rig_prompt(&agent, session, "third"), "end_turn");
	json_decref(rig_call(&agent, "session/load",
			     json_pack("{s:s, s:s, s:[]}", "sessionId", session, "cwd",
				       rig.broker.work, "mcpServers")));
	rig_agent_close(&agent);
	rig_stop(&rig);
}

static void what_makes_no_sense_is_answered_and_changes_nothing(void **state)
{
	static const struct {
		const char *line;
		int code;
	} rows[] = {
		{ "{\n", RPC_PARSE_ERROR },
		{ "[]\n", RPC_INVALID_REQUEST },
		{ "{\"jsonrpc\":\"1.0\",\"id\":7,\"method\":\"x\"}\n", RPC_INVALID_REQUEST },
		{ "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"fs/read\"}\n", RPC_METHOD_NOT_FOUND },
		{ "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"session/new\",\"params\":{}}\n",
		  RPC_INVALID_PARAMS },
		{ "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"session/update\",\"params\":{}}\n",
		  RPC_METHOD_NOT_FOUND },
	};
	struct rig rig;
	struct rig_agent agent;

	(void)state;
	rig_start(&rig, "[]", "");
	rig_agent_open(&agent, &rig, "test");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *reply;

		rig_send(&agent, rows[i].line);
		reply = rig_next(&agent);
		if (json_integer_value(json_object_get(json_object_get(reply, "error"), "code")) !=
		    rows[i].code)
			fail_msg("%s", rows[i].line);
		json_decref(reply);
	}
	rig_send(&agent, "{\"jsonrpc\":\"2.0\",\"method\":\"whatever\"}\n"); /* ignored */
	rig_send(&agent, "{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":{}}\n"); /* of no question */
	json_decref(rig_call(&agent, "_agentd/daemon/status", json_object()));
	rig_agent_close(&agent);
	rig_stop(&rig);
}

static void without_a_ceiling_nothing_can_run(void **state)
{
	static const char script[] =
		"[{\"calls\": [{\"name\": \"exec_command\", \"call_id\": \"c1\", \"arguments\":"
		" {\"cmd\": \"true\"}}]}, {\"message\": \"done\"}]";
	struct rig rig;
	struct rig_agent agent;
	char session[RIG_ID_SIZE];

	(void)state;
	rig_start(&rig, script, "");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, NULL, NULL, session);
	rig_expect_stop(&agent, rig_prompt(&agent, session, "go"), "end_turn");
	rig_expect_output(&rig, 1, "c1", "no sandbox is open");
	rig_agent_close(&agent);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_slow_client_slows_nobody_and_misses_no_word),
		FIXTURE_TEST(a_long_history_is_replayed_whole),
		FIXTURE_TEST(cancelling_ends_the_model_and_answers_cancelled),
		FIXTURE_TEST(cancelling_kills_what_runs_and_withdraws_what_is_asked),
		FIXTURE_TEST(a_failed_turn_says_why_to_everybody),
		FIXTURE_TEST(a_missing_key_fails_the_turn_and_names_its_variable),
		FIXTURE_TEST(after_a_broken_stream_the_whole_answer_comes_and_a_notice_before),
		FIXTURE_TEST(killed_at_work_the_daemon_resumes_with_everything_that_was_finished),
		FIXTURE_TEST(when_the_broker_dies_the_daemon_says_so_and_ends),
		FIXTURE_TEST(a_full_disk_fails_the_turn_and_leaves_the_transcript_readable),
		FIXTURE_TEST(what_makes_no_sense_is_answered_and_changes_nothing),
		FIXTURE_TEST(without_a_ceiling_nothing_can_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
