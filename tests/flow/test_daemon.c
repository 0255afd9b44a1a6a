#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/rpc.h"

#include "tests/support/fixture.h"
#include "tests/support/rig.h"

#define PATH_SIZE 1024

static void a_prompt_is_streamed_and_answered(void **state)
{
	struct rig rig;
	struct rig_agent agent;
	char session[RIG_ID_SIZE];
	json_t *done;
	int64_t prompt;

	(void)state;
	rig_start(&rig, "[{\"reasoning\": \"hm\", \"message\": \"Hello there\", \"deltas\": 1}]",
		  "");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	prompt = rig_prompt(&agent, session, "say hello");
	rig_expect_stop(&agent, prompt, "end_turn");
	rig_expect_text(&agent, "agent_thought_chunk", "hm");
	rig_expect_text(&agent, "agent_message_chunk", "Hello there");
	rig_expect_text(&agent, "user_message_chunk", ""); /* not its own words */
	json_decref(rig_wait_update(&agent, "usage_update"));
	done = rig_wait(&agent, "_agentd/turn_completed");
	assert_string_equal(json_string_value(json_object_get(done, "status")), "completed");
	assert_true(json_integer_value(
			    json_object_get(json_object_get(done, "usage"), "total_tokens")) > 0);
	json_decref(done);
	rig_agent_close(&agent);
	rig_stop(&rig);
}

static void a_command_runs_inside_the_sandbox_and_nowhere_else(void **state)
{
	struct rig rig;
	struct rig_agent agent;
	char session[RIG_ID_SIZE];
	char outside[PATH_SIZE];
	char *script = NULL;
	int64_t prompt;

	(void)state;
	rig_start(&rig, "[]", "");
	fake_model_stop(&rig.model);
	(void)snprintf(outside, sizeof(outside), "%s/outside", rig.broker.home);
	assert_true(asprintf(&script,
			     "[{\"calls\": [{\"name\": \"exec_command\", \"call_id\": \"c1\","
			     " \"arguments\": {\"cmd\": \"echo in > a; echo out > %s; cat a\"}}]},"
			     " {\"message\": \"done\"}]",
			     outside) > 0);
	rig_stop(&rig);
	rig_start(&rig, script, "");
	free(script);
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	prompt = rig_prompt(&agent, session, "go");
	rig_expect_stop(&agent, prompt, "end_turn");
	assert_true(rig_exists(&rig, "a"));
	assert_int_not_equal(access(outside, F_OK), 0);
	rig_expect_output(&rig, 1, "c1", "Read-only file system");
	rig_expect_output(&rig, 1, "c1", "\nin\n");
	rig_agent_close(&agent);
	rig_stop(&rig);
}

/* The denials of the call whose end is the next update of that kind; the caller's. */
static json_t *denials_of_next_end(struct rig_agent *agent)
{
	json_auto_t *update = rig_wait_update(agent, "tool_call_update");

	while (!json_object_get(update, "rawOutput")) {
		json_decref(update);
		update = rig_wait_update(agent, "tool_call_update");
	}
	return json_incref(json_object_get(
		json_object_get(json_object_get(update, "_meta"), "agentd"), "denials"));
}

static void what_was_refused_stays_with_its_call(void **state)
{
	static const char script[] =
		"[{\"calls\": [{\"name\": \"exec_command\", \"call_id\": \"c1\","
		" \"arguments\": {\"cmd\": \"mkdir .git\"}}]},"
		" {\"calls\": [{\"name\": \"exec_command\", \"call_id\": \"c2\","
		" \"arguments\": {\"cmd\": \"mkdir .git || true\"}}]}, {\"message\": \"done\"}]";
	struct rig rig;
	struct rig_agent agent;
	struct rig_agent late;
	char session[RIG_ID_SIZE];
	json_auto_t *first = NULL;
	json_auto_t *again = NULL;
	json_auto_t *none = NULL;

	(void)state;
	rig_start(&rig, script, "");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	rig_expect_stop(&agent, rig_prompt(&agent, session, "go"), "end_turn");
	rig_expect_output(&rig, 1, "c1", "\nDenied by the sandbox:\n- mkdir");
	first = denials_of_next_end(&agent);
	assert_string_equal(json_string_value(json_object_get(json_array_get(first, 0), "rule")),
			    "protected");
	none = denials_of_next_end(&agent);
	assert_null(none); /* it went on, and succeeded */
	assert_false(rig_exists(&rig, ".git"));
	rig_agent_close(&agent);
	rig_kill_daemon(&rig);
	rig_start_daemon(&rig);
	rig_agent_open(&late, &rig, "late");
	json_decref(rig_call(&late, "session/load",
			     json_pack("{s:s, s:s, s:[]}", "sessionId", session, "cwd",
				       rig.broker.work, "mcpServers")));
	again = denials_of_next_end(&late);
	assert_true(json_equal(first, again));
	rig_agent_close(&late);
	rig_stop(&rig);
}

static void what_holds_is_told_to_whoever_joins(void **state)
{
	struct rig rig;
	struct rig_agent agent;
	struct rig_agent late;
	char session[RIG_ID_SIZE];
	json_t *result;
	json_t *policy;

	(void)state;
	rig_start(&rig, "[]", "");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	rig_agent_open(&late, &rig, "late");
	result = rig_call(&late, "_agentd/session/attach",
			  rig_attach_params(session, "observer", "none"));
	policy = json_object_get(json_object_get(json_object_get(result, "_meta"), "agentd"),
				 "policy");
	assert_true(json_array_size(json_object_get(policy, "layers")) > 0);
	assert_true(json_is_array(json_object_get(policy, "missing")));
	assert_true(json_is_array(json_object_get(policy, "limits")));
	assert_true(json_array_size(json_object_get(
			    json_array_get(json_object_get(policy, "roots"), 0), "protected")) > 0);
	json_decref(result);
	rig_agent_close(&late);
	rig_agent_close(&agent);
	rig_stop(&rig);
}

static void calls_of_one_answer_run_at_the_same_time(void **state)
{
	/* Each waits for what the other one makes, so one after the other would never end. */
	static const char script[] =
		"[{\"calls\": ["
		"{\"name\": \"exec_command\", \"call_id\": \"c1\", \"arguments\": {\"login\": "
		"false,"
		" \"cmd\": \"mkfifo f; until [ -p g ]; do :; done; echo one > f; cat g\"}},"
		"{\"name\": \"exec_command\", \"call_id\": \"c2\", \"arguments\": {\"login\": "
		"false,"
		" \"cmd\": \"mkfifo g; until [ -p f ]; do :; done; cat f; echo two > g\"}}]},"
		"{\"message\": \"done\"}]";
	struct rig rig;
	struct rig_agent agent;
	char session[RIG_ID_SIZE];
	int64_t prompt;

	(void)state;
	rig_start(&rig, script, "");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	prompt = rig_prompt(&agent, session, "go");
	rig_expect_stop(&agent, prompt, "end_turn");
	rig_expect_output(&rig, 1, "c1", "two");
	rig_expect_output(&rig, 1, "c2", "one");
	rig_agent_close(&agent);
	rig_stop(&rig);
}

static void outputs_are_sent_in_the_order_of_their_calls(void **state)
{
	static const char script[] =
		"[{\"calls\": ["
		"{\"name\": \"exec_command\", \"call_id\": \"c1\", \"arguments\": {\"login\": "
		"false,"
		" \"cmd\": \"until [ -e second ]; do :; done\"}},"
		"{\"name\": \"exec_command\", \"call_id\": \"c2\", \"arguments\": {\"login\": "
		"false,"
		" \"cmd\": \"touch second\"}},"
		"{\"name\": \"nope\", \"call_id\": \"c3\", \"arguments\": {}}]},"
		"{\"message\": \"done\"}]";
	struct rig rig;
	struct rig_agent agent;
	char session[RIG_ID_SIZE];
	json_t *log;
	const json_t *input;
	char order[8] = "";
	size_t count = 0;

	(void)state;
	rig_start(&rig, script, "");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	rig_expect_stop(&agent, rig_prompt(&agent, session, "go"), "end_turn");
	log = fake_model_log(&rig.model);
	input = json_object_get(json_object_get(json_array_get(log, 1), "body"), "input");
	for (size_t i = 0; i < json_array_size(input) && count + 1 < sizeof(order); i++) {
		const json_t *item = json_array_get(input, i);
		const char *type = json_string_value(json_object_get(item, "type"));

		if (type && str_ends(type, "_output"))
			order[count++] = json_string_value(json_object_get(item, "call_id"))[1];
	}
	assert_string_equal(order, "123");
	json_decref(log);
	rig_agent_close(&agent);
	rig_stop(&rig);
}

static void a_patch_is_applied_and_shown(void **state)
{
	static const char script[] =
		"[{\"calls\": [{\"name\": \"apply_patch\", \"call_id\": \"c1\", \"input\":"
		" \"*** Begin Patch\\n*** Add File: new.txt\\n+hello\\n*** End Patch\\n\"}]},"
		"{\"message\": \"done\"}]";
	struct rig rig;
	struct rig_agent agent;
	char session[RIG_ID_SIZE];
	json_t *update;
	const json_t *diff;

	(void)state;
	rig_start(&rig, script, "");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	rig_expect_stop(&agent, rig_prompt(&agent, session, "go"), "end_turn");
	assert_true(rig_exists(&rig, "new.txt"));
	update = rig_wait_update(&agent, "tool_call");
	assert_string_equal(json_string_value(json_object_get(update, "kind")), "edit");
	json_decref(update);
	do
		update = rig_wait_update(&agent, "tool_call_update");
	while (!json_object_get(update, "rawOutput") && (json_decref(update), true));
	assert_string_equal(json_string_value(json_object_get(update, "status")), "completed");
	diff = json_array_get(json_object_get(update, "content"), 0);
	assert_string_equal(json_string_value(json_object_get(diff, "type")), "diff");
	assert_string_equal(json_string_value(json_object_get(diff, "newText")), "hello\n");
	json_decref(update);
	rig_agent_close(&agent);
	rig_stop(&rig);
}

static const char escalation[] =
	"[{\"calls\": [{\"name\": \"exec_command\", \"call_id\": \"c1\", \"arguments\":"
	" {\"cmd\": \"echo free > ../free\", \"sandbox_permissions\": \"require_escalated\","
	" \"justification\": \"May I?\"}}]}, {\"message\": \"done\"}]";

static const char *grant_of(const json_t *request)
{
	const json_t *meta = json_object_get(json_object_get(request, "params"), "_meta");

	return json_string_value(json_object_get(json_object_get(meta, "agentd"), "grant"));
}

static void the_first_of_two_clients_answers_and_the_other_is_told_who(void **state)
{
	struct rig rig;
	struct rig_agent one;
	struct rig_agent two;
	char session[RIG_ID_SIZE];
	json_t *request;
	json_t *other;
	json_t *resolved;
	int64_t prompt;

	(void)state;
	rig_start(&rig, escalation, "");
	rig_agent_open(&one, &rig, "one");
	rig_agent_open(&two, &rig, "two");
	rig_session(&rig, &one, "workspace-write", NULL, session);
	json_decref(rig_call(&two, "_agentd/session/attach",
			     rig_attach_params(session, "controller", "full")));
	prompt = rig_prompt(&one, session, "go");
	request = rig_wait_request(&one, "session/request_permission");
	other = rig_wait_request(&two, "session/request_permission");
	assert_true(
		json_equal(json_object_get(request, "params"), json_object_get(other, "params")));
	rig_decide(&rig, grant_of(other), "once");
	rig_answer(&two, other, "allow_once");
	resolved = rig_wait(&one, "_agentd/permission_resolved");
	assert_string_equal(json_string_value(json_object_get(resolved, "outcome")), "allow_once");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(resolved, "by"), "name")), "two");
	rig_answer(&one, request, "reject_once"); /* too late, and ignored */
	rig_expect_stop(&one, prompt, "end_turn");
	assert_true(rig_exists(&rig, "../free"));
	json_decref(request);
	json_decref(other);
	json_decref(resolved);
	rig_agent_close(&one);
	rig_agent_close(&two);
	rig_stop(&rig);
}

static void a_yes_without_the_brokers_word_runs_nothing(void **state)
{
	struct rig rig;
	struct rig_agent agent;
	char session[RIG_ID_SIZE];
	json_t *request;
	int64_t prompt;

	(void)state;
	rig_start(&rig, escalation, "");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	prompt = rig_prompt(&agent, session, "go");
	request = rig_wait_request(&agent, "session/request_permission");
	rig_answer(&agent, request, "allow_always");
	json_decref(rig_call(&agent, "_agentd/daemon/status", json_object()));
	assert_false(rig_exists(&rig, "../free"));
	rig_decide(&rig, grant_of(request), "deny");
	rig_expect_stop(&agent, prompt, "end_turn");
	assert_false(rig_exists(&rig, "../free"));
	rig_expect_output(&rig, 1, "c1", "rejected by user");
	json_decref(request);
	rig_agent_close(&agent);
	rig_stop(&rig);
}

static void a_question_survives_every_client_and_is_asked_again(void **state)
{
	struct rig rig;
	struct rig_agent agent;
	char session[RIG_ID_SIZE];
	json_t *request;
	json_t *attached;

	(void)state;
	rig_start(&rig, escalation, "");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	(void)rig_prompt(&agent, session, "go");
	json_decref(rig_wait_request(&agent, "session/request_permission"));
	rig_agent_close(&agent);
	rig_agent_open(&agent, &rig, "later");
	attached = rig_call(&agent, "_agentd/session/attach",
			    rig_attach_params(session, "controller", "pending_only"));
	assert_string_equal(json_string_value(json_object_get(attached, "state")),
			    "requires_action");
	assert_int_equal(json_integer_value(json_object_get(attached, "pendingPermissions")), 1);
	request = rig_wait_request(&agent, "session/request_permission");
	rig_decide(&rig, grant_of(request), "once");
	rig_answer(&agent, request, "allow_once");
	json_decref(rig_wait(&agent, "_agentd/turn_completed"));
	assert_true(rig_exists(&rig, "../free"));
	json_decref(attached);
	json_decref(request);
	rig_agent_close(&agent);
	rig_stop(&rig);
}

static void an_observer_is_not_asked_and_may_change_nothing(void **state)
{
	struct rig rig;
	struct rig_agent agent;
	struct rig_agent observer;
	char session[RIG_ID_SIZE];
	json_t *request;
	int64_t prompt;

	(void)state;
	rig_start(&rig, escalation, "");
	rig_agent_open(&agent, &rig, "test");
	rig_agent_open(&observer, &rig, "observer");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	json_decref(rig_call(&observer, "_agentd/session/attach",
			     rig_attach_params(session, "observer", "full")));
	rig_refused(&observer, "session/prompt",
		    json_pack("{s:s, s:[{s:s, s:s}]}", "sessionId", session, "prompt", "type",
			      "text", "text", "x"),
		    RPC_DENIED, "observer");
	rig_refused(&observer, "session/close", json_pack("{s:s}", "sessionId", session),
		    RPC_DENIED, "observer");
	prompt = rig_prompt(&agent, session, "go");
	request = rig_wait_request(&agent, "session/request_permission");
	rig_answer(&observer, request, "reject_once"); /* of a question that it was not asked */
	rig_decide(&rig, grant_of(request), "once");
	rig_answer(&agent, request, "allow_once");
	rig_expect_stop(&agent, prompt, "end_turn");
	json_decref(rig_wait(&observer, "_agentd/turn_completed"));
	for (size_t i = 0; i < json_array_size(observer.kept); i++)
		assert_string_not_equal(json_string_value(json_object_get(
						json_array_get(observer.kept, i), "method")),
					"session/request_permission");
	json_decref(request);
	rig_agent_close(&agent);
	rig_agent_close(&observer);
	rig_stop(&rig);
}

static void never_refuses_to_leave_the_sandbox_without_asking(void **state)
{
	struct rig rig;
	struct rig_agent agent;
	char session[RIG_ID_SIZE];

	(void)state;
	rig_start(&rig, escalation, "approval_policy = never");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	rig_expect_stop(&agent, rig_prompt(&agent, session, "go"), "end_turn");
	rig_expect_output(&rig, 1, "c1", "Rejected(");
	assert_false(rig_exists(&rig, "../free"));
	rig_agent_close(&agent);
	rig_stop(&rig);
}

static void inside_the_sandbox_the_first_answer_decides_and_always_is_remembered(void **state)
{
	static const char script[] =
		"[{\"calls\": [{\"name\": \"exec_command\", \"call_id\": \"c1\", \"arguments\":"
		" {\"cmd\": \"touch one\"}}]}, {\"message\": \"first\"},"
		" {\"calls\": [{\"name\": \"exec_command\", \"call_id\": \"c2\", \"arguments\":"
		" {\"cmd\": \"touch one\"}}]}, {\"message\": \"second\"}]";
	struct rig rig;
	struct rig_agent agent;
	char session[RIG_ID_SIZE];
	json_t *request;
	int64_t prompt;

	(void)state;
	rig_start(&rig, script, "");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write", "approval_policy=untrusted", session);
	prompt = rig_prompt(&agent, session, "go");
	request = rig_wait_request(&agent, "session/request_permission");
	assert_null(grant_of(request));
	rig_answer(&agent, request, "allow_always");
	json_decref(request);
	rig_expect_stop(&agent, prompt, "end_turn");
	assert_true(rig_exists(&rig, "one"));
	rig_expect_stop(&agent, rig_prompt(&agent, session, "again"), "end_turn");
	rig_agent_close(&agent);
	rig_stop(&rig);
}

static void whoever_attaches_late_sees_everything_once(void **state)
{
	static const char script[] =
		"[{\"message\": \"first\"}, {\"calls\": [{\"name\": \"exec_command\","
		" \"call_id\": \"c1\", \"arguments\": {\"cmd\": \"echo out\"}}]},"
		" {\"message\": \"second\"}]";
	struct rig rig;
	struct rig_agent agent;
	struct rig_agent late;
	char session[RIG_ID_SIZE];
	json_t *update;

	(void)state;
	rig_start(&rig, script, "");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	rig_expect_stop(&agent, rig_prompt(&agent, session, "one"), "end_turn");
	rig_expect_stop(&agent, rig_prompt(&agent, session, "two"), "end_turn");
	rig_agent_open(&late, &rig, "late");
	json_decref(rig_call(&late, "session/load",
			     json_pack("{s:s, s:s, s:[]}", "sessionId", session, "cwd",
				       rig.broker.work, "mcpServers")));
	rig_expect_text(&late, "user_message_chunk", "onetwo");
	rig_expect_text(&late, "agent_message_chunk", "firstsecond");
	update = rig_wait_update(&late, "tool_call");
	assert_string_equal(json_string_value(json_object_get(update, "title")), "echo out");
	json_decref(update);
	update = rig_wait_update(&late, "tool_call_update");
	assert_string_equal(json_string_value(json_object_get(json_object_get(update, "rawOutput"),
							      "aggregated_output")),
			    "out\n");
	json_decref(update);
	rig_agent_close(&agent);
	rig_agent_close(&late);
	rig_stop(&rig);
}

static void modes_change_only_with_a_new_ceiling(void **state)
{
	struct rig rig;
	struct rig_agent agent;
	char session[RIG_ID_SIZE];
	char ceiling[RIG_ID_SIZE];
	json_t *update;

	(void)state;
	rig_start(&rig, "[]", "");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	rig_refused(&agent, "session/set_mode",
		    json_pack("{s:s, s:s}", "sessionId", session, "modeId", "danger-full-access"),
		    RPC_DENIED, "needs a sandbox that only the person's client can open");
	rig_refused(&agent, "session/set_mode",
		    json_pack("{s:s, s:s}", "sessionId", session, "modeId", "yolo"),
		    RPC_INVALID_PARAMS, "no mode 'yolo'");
	rig_ceiling(&rig, "read-only", ceiling);
	rig_refused(&agent, "session/set_mode",
		    json_pack("{s:s, s:s, s:{s:{s:s}}}", "sessionId", session, "modeId",
			      "danger-full-access", "_meta", "agentd", "ceiling", ceiling),
		    RPC_INVALID_PARAMS, "of mode 'read-only'");
	json_decref(rig_call(&agent, "session/set_mode",
			     json_pack("{s:s, s:s, s:{s:{s:s}}}", "sessionId", session, "modeId",
				       "read-only", "_meta", "agentd", "ceiling", ceiling)));
	update = rig_wait_update(&agent, "current_mode_update");
	assert_string_equal(json_string_value(json_object_get(update, "currentModeId")),
			    "read-only");
	json_decref(update);
	rig_agent_close(&agent);
	rig_stop(&rig);
}

static void sessions_are_listed_closed_and_deleted(void **state)
{
	struct rig rig;
	struct rig_agent agent;
	char session[RIG_ID_SIZE];
	char path[PATH_SIZE];
	json_t *list;
	const json_t *item;

	(void)state;
	rig_start(&rig, "[{\"message\": \"x\"}]", "");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	rig_expect_stop(&agent, rig_prompt(&agent, session, "a title"), "end_turn");
	rig_transcript(&rig, session, path, sizeof(path));
	json_decref(rig_call(&agent, "session/close", json_pack("{s:s}", "sessionId", session)));
	list = rig_call(&agent, "session/list", json_object());
	item = json_array_get(json_object_get(list, "sessions"), 0);
	assert_string_equal(json_string_value(json_object_get(item, "sessionId")), session);
	assert_string_equal(json_string_value(json_object_get(item, "title")), "a title");
	json_decref(list);
	rig_refused(&agent, "session/list", json_pack("{s:s}", "cursor", "nonsense"),
		    RPC_INVALID_PARAMS, "cursor");
	rig_refused(&agent, "session/prompt",
		    json_pack("{s:s, s:[{s:s, s:s}]}", "sessionId", session, "prompt", "type",
			      "text", "text", "x"),
		    RPC_NOT_FOUND, "not attached");
	json_decref(rig_call(&agent, "session/delete", json_pack("{s:s}", "sessionId", session)));
	assert_int_not_equal(access(path, F_OK), 0);
	rig_refused(&agent, "session/load",
		    json_pack("{s:s, s:s, s:[]}", "sessionId", session, "cwd", rig.broker.work,
			      "mcpServers"),
		    RPC_NOT_FOUND, "no session");
	rig_agent_close(&agent);
	rig_stop(&rig);
}

static void who_asks_for_it_gets_a_recording(void **state)
{
	struct rig rig;
	struct rig_agent agent;
	char session[RIG_ID_SIZE];
	json_t *result;
	json_t *recorded;
	json_t *line;

	(void)state;
	rig_start(&rig, "[{\"message\": \"keep me\"}]", "");
	rig_agent_open(&agent, &rig, "test");
	result = rig_call(&agent, "session/new",
			  json_pack("{s:s, s:[], s:{s:{s:b}}}", "cwd", rig.broker.work,
				    "mcpServers", "_meta", "agentd", "record", true));
	(void)snprintf(session, sizeof(session), "%s",
		       json_string_value(json_object_get(result, "sessionId")));
	json_decref(result);
	rig_expect_stop(&agent, rig_prompt(&agent, session, "go"), "end_turn");
	recorded = rig_wait(&agent, "_agentd/recorded");
	line = json_loads(json_string_value(json_object_get(recorded, "line")), 0, NULL);
	assert_non_null(strstr(json_string_value(json_object_get(line, "body")), "keep me"));
	json_decref(line);
	json_decref(recorded);
	rig_agent_close(&agent);
	rig_stop(&rig);
}

static void the_work_goes_on_when_every_client_has_left(void **state)
{
	static const char script[] =
		"[{\"calls\": [{\"name\": \"exec_command\", \"call_id\": \"c1\", \"arguments\":"
		" {\"login\": false, \"cmd\": \"until [ -e go ]; do :; done; touch went\"}}]},"
		" {\"message\": \"done alone\"}]";
	struct rig rig;
	struct rig_agent agent;
	char session[RIG_ID_SIZE];
	char path[PATH_SIZE];
	json_t *attached;
	int fd;

	(void)state;
	rig_start(&rig, script, "");
	rig_agent_open(&agent, &rig, "test");
	rig_session(&rig, &agent, "workspace-write", NULL, session);
	(void)rig_prompt(&agent, session, "go");
	json_decref(rig_wait_update(&agent, "tool_call"));
	rig_agent_close(&agent);
	(void)snprintf(path, sizeof(path), "%s/go", rig.broker.work);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	fd_close(&fd);
	rig_agent_open(&agent, &rig, "late");
	attached = rig_call(&agent, "_agentd/session/attach",
			    rig_attach_params(session, "controller", "full"));
	if (!str_eq(json_string_value(json_object_get(attached, "state")), "idle"))
		json_decref(rig_wait(&agent, "_agentd/turn_completed"));
	json_decref(attached);
	assert_true(rig_exists(&rig, "went"));
	rig_expect_text(&agent, "agent_message_chunk", "done alone");
	rig_agent_close(&agent);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_prompt_is_streamed_and_answered),
		FIXTURE_TEST(a_command_runs_inside_the_sandbox_and_nowhere_else),
		FIXTURE_TEST(what_was_refused_stays_with_its_call),
		FIXTURE_TEST(what_holds_is_told_to_whoever_joins),
		FIXTURE_TEST(calls_of_one_answer_run_at_the_same_time),
		FIXTURE_TEST(outputs_are_sent_in_the_order_of_their_calls),
		FIXTURE_TEST(a_patch_is_applied_and_shown),
		FIXTURE_TEST(the_first_of_two_clients_answers_and_the_other_is_told_who),
		FIXTURE_TEST(a_yes_without_the_brokers_word_runs_nothing),
		FIXTURE_TEST(a_question_survives_every_client_and_is_asked_again),
		FIXTURE_TEST(an_observer_is_not_asked_and_may_change_nothing),
		FIXTURE_TEST(never_refuses_to_leave_the_sandbox_without_asking),
		FIXTURE_TEST(inside_the_sandbox_the_first_answer_decides_and_always_is_remembered),
		FIXTURE_TEST(whoever_attaches_late_sees_everything_once),
		FIXTURE_TEST(modes_change_only_with_a_new_ceiling),
		FIXTURE_TEST(sessions_are_listed_closed_and_deleted),
		FIXTURE_TEST(who_asks_for_it_gets_a_recording),
		FIXTURE_TEST(the_work_goes_on_when_every_client_has_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
