#include <stdio.h>
#include <string.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/codec.h"

#include "client/json.h"
#include "tests/support/fixture.h"

/* Feeds session updates as agentd sends them, and compares the lines. */
struct run {
	struct json_stream stream;
	struct buf out;
};

static void run_init(struct run *run)
{
	json_stream_init(&run->stream);
	buf_init(&run->out, 1 << 20);
}

static void run_deinit(struct run *run)
{
	json_stream_deinit(&run->stream);
	buf_deinit(&run->out);
}

static void feed(struct run *run, const char *text)
{
	json_auto_t *json = json_loads(text, 0, NULL);
	struct arena arena SCOPED(arena_deinit) = { 0 };
	struct agent_update update = { 0 };
	struct err err = { 0 };

	if (!json ||
	    codec_decode(&agent_update_type, json, &update, &arena, CODEC_LENIENT, &err) < 0 ||
	    json_update(&run->stream, &update, &run->out, &err) < 0)
		fail_msg("%s: %s", text, err.text);
}

static void finish(struct run *run, enum agent_turn_status status, const char *why)
{
	struct agent_turn_error error = { .message = why, .kind = "http" };
	struct agent_usage usage = { .input_tokens = 1,
				     .cached_input_tokens = 2,
				     .output_tokens = 3,
				     .reasoning_output_tokens = 4 };
	struct agent_turn_completed turn = { .status = status,
					     .usage = &usage,
					     .error = why ? &error : NULL };
	struct err err = { 0 };

	assert_int_equal(json_turn_ended(&run->stream, &turn, &run->out, &err), 0);
}

static void pieces_of_one_message_become_one_item(void **state)
{
	struct run run SCOPED(run_deinit) = { 0 };

	(void)state;
	run_init(&run);
	feed(&run, "{\"sessionUpdate\":\"agent_thought_chunk\",\"messageId\":\"m1\","
		   "\"content\":{\"type\":\"text\",\"text\":\"hm\"}}");
	feed(&run, "{\"sessionUpdate\":\"agent_message_chunk\",\"messageId\":\"m2\","
		   "\"content\":{\"type\":\"text\",\"text\":\"a\"}}");
	feed(&run, "{\"sessionUpdate\":\"agent_message_chunk\",\"messageId\":\"m2\","
		   "\"content\":{\"type\":\"text\",\"text\":\"b\"}}");
	feed(&run, "{\"sessionUpdate\":\"agent_message_chunk\",\"messageId\":\"m3\","
		   "\"content\":{\"type\":\"text\",\"text\":\"c\"}}");
	finish(&run, AGENT_TURN_STATUS_COMPLETED, NULL);
	assert_string_equal(buf_str(&run.out),
			    "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_0\",\"type\":"
			    "\"reasoning\",\"text\":\"hm\"}}\n"
			    "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_1\",\"type\":"
			    "\"agent_message\",\"text\":\"ab\"}}\n"
			    "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_2\",\"type\":"
			    "\"agent_message\",\"text\":\"c\"}}\n"
			    "{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":1,\"cached_"
			    "input_tokens\":2,"
			    "\"output_tokens\":3,\"reasoning_output_tokens\":4}}\n");
	assert_string_equal(run.stream.final_message, "c");
}

static void a_command_starts_and_ends_with_what_the_sdk_reads(void **state)
{
	struct run run SCOPED(run_deinit) = { 0 };

	(void)state;
	run_init(&run);
	feed(&run, "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"c\",\"title\":\"ls\","
		   "\"kind\":\"execute\","
		   "\"status\":\"in_progress\"}");
	feed(&run, "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"c\","
		   "\"_meta\":{\"agentd\":{\"output\":\"x\"}}}");
	feed(&run,
	     "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"c\",\"status\":\"failed\","
	     "\"rawOutput\":{\"exit_code\":3,\"aggregated_output\":\"x\",\"status\":\"failed\"}}");
	feed(&run,
	     "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"c\",\"status\":\"failed\"}");
	assert_string_equal(buf_str(&run.out), "{\"type\":\"item.started\",\"item\":{\"id\":\"item_"
					       "0\",\"type\":\"command_execution\","
					       "\"command\":\"ls\",\"aggregated_output\":\"\","
					       "\"exit_code\":null,\"status\":\"in_progress\"}}\n"
					       "{\"type\":\"item.completed\",\"item\":{\"id\":"
					       "\"item_0\",\"type\":\"command_execution\","
					       "\"command\":\"ls\",\"aggregated_output\":\"x\","
					       "\"exit_code\":3,\"status\":\"failed\"}}\n");
}

static void a_refused_command_is_declined(void **state)
{
	struct run run SCOPED(run_deinit) = { 0 };

	(void)state;
	run_init(&run);
	feed(&run, "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"c\",\"title\":\"ls\","
		   "\"kind\":\"execute\"}");
	feed(&run,
	     "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"c\",\"status\":\"failed\","
	     "\"rawOutput\":{\"status\":\"declined\"}}");
	assert_non_null(strstr(buf_str(&run.out), "\"exit_code\":null,\"status\":\"declined\""));
}

static void an_edit_is_told_once_it_has_happened(void **state)
{
	struct run run SCOPED(run_deinit) = { 0 };

	(void)state;
	run_init(&run);
	feed(&run, "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"e\",\"title\":\"Edit\","
		   "\"kind\":\"edit\"}");
	assert_string_equal(buf_str(&run.out), "");
	feed(&run, "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"e\",\"status\":"
		   "\"completed\","
		   "\"rawOutput\":{\"changes\":[{\"path\":\"a\",\"kind\":\"add\"},{\"path\":\"b\","
		   "\"kind\":\"delete\"}]}}");
	assert_string_equal(buf_str(&run.out),
			    "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_0\",\"type\":"
			    "\"file_change\",\"changes\":"
			    "[{\"path\":\"a\",\"kind\":\"add\"},{\"path\":\"b\",\"kind\":"
			    "\"delete\"}],\"status\":\"completed\"}}\n");
}

static void a_plan_is_one_item_that_changes(void **state)
{
	struct run run SCOPED(run_deinit) = { 0 };

	(void)state;
	run_init(&run);
	feed(&run,
	     "{\"sessionUpdate\":\"plan\",\"entries\":[{\"content\":\"s\",\"priority\":\"medium\","
	     "\"status\":\"in_progress\"}]}");
	feed(&run,
	     "{\"sessionUpdate\":\"plan\",\"entries\":[{\"content\":\"s\",\"priority\":\"medium\","
	     "\"status\":\"completed\"}]}");
	finish(&run, AGENT_TURN_STATUS_COMPLETED, NULL);
	assert_true(str_starts(buf_str(&run.out), "{\"type\":\"item.started\",\"item\":{\"id\":"
						  "\"item_0\",\"type\":\"todo_list\",\"items\":"
						  "[{\"text\":\"s\",\"completed\":false}]}}\n"
						  "{\"type\":\"item.updated\",\"item\":{\"id\":"
						  "\"item_0\",\"type\":\"todo_list\",\"items\":"
						  "[{\"text\":\"s\",\"completed\":true}]}}\n"
						  "{\"type\":\"item.completed\",\"item\":{\"id\":"
						  "\"item_0\",\"type\":\"todo_list\","));
}

static void a_turn_that_fails_says_so_twice(void **state)
{
	struct run run SCOPED(run_deinit) = { 0 };

	(void)state;
	run_init(&run);
	feed(&run, "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"c\",\"title\":\"ls\","
		   "\"kind\":\"execute\"}");
	buf_clear(&run.out);
	finish(&run, AGENT_TURN_STATUS_FAILED, "HTTP 500");
	assert_string_equal(buf_str(&run.out),
			    "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_0\",\"type\":"
			    "\"command_execution\","
			    "\"command\":\"ls\",\"aggregated_output\":\"\",\"exit_code\":null,"
			    "\"status\":\"failed\"}}\n"
			    "{\"type\":\"error\",\"message\":\"HTTP 500\"}\n"
			    "{\"type\":\"turn.failed\",\"error\":{\"message\":\"HTTP 500\"}}\n");
}

static void what_is_not_of_this_vocabulary_is_left_out(void **state)
{
	struct run run SCOPED(run_deinit) = { 0 };

	(void)state;
	run_init(&run);
	feed(&run, "{\"sessionUpdate\":\"usage_update\",\"used\":1,\"size\":2}");
	feed(&run, "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"t\",\"title\":\"x\",\"kind\":"
		   "\"think\"}");
	feed(&run, "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"unheard\",\"status\":"
		   "\"completed\"}");
	feed(&run, "{\"sessionUpdate\":\"user_message_chunk\",\"content\":{\"type\":\"text\","
		   "\"text\":\"x\"}}");
	assert_string_equal(buf_str(&run.out), "");
}

static void what_the_sandbox_refused_goes_with_the_item(void **state)
{
	struct run run SCOPED(run_deinit) = { 0 };

	(void)state;
	run_init(&run);
	feed(&run, "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"c\",\"title\":\"ls\","
		   "\"kind\":\"execute\"}");
	buf_clear(&run.out);
	feed(&run,
	     "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"c\",\"status\":\"failed\","
	     "\"rawOutput\":{\"exit_code\":1,\"aggregated_output\":\"x\",\"status\":\"failed\"},"
	     "\"_meta\":{\"agentd\":{\"output\":\"x\",\"denials\":[{\"rule\":\"network\","
	     "\"operation\":\"connect\",\"target\":\"a:1\",\"error\":\"ENETUNREACH\","
	     "\"count\":1}]}}}");
	assert_string_equal(
		buf_str(&run.out),
		"{\"type\":\"item.completed\",\"item\":{\"id\":\"item_0\",\"type\":"
		"\"command_execution\",\"command\":\"ls\",\"aggregated_output\":\"x\","
		"\"exit_code\":1,\"status\":\"failed\",\"denials\":[{\"rule\":\"network\","
		"\"operation\":\"connect\",\"target\":\"a:1\",\"error\":\"ENETUNREACH\","
		"\"count\":1}]}}\n");
}

static void more_calls_at_once_than_the_limit_are_refused(void **state)
{
	struct run run SCOPED(run_deinit) = { 0 };
	struct agent_update update = { .session_update = AGENT_UPDATE_KIND_TOOL_CALL,
				       .title = "x",
				       .kind = AGENT_TOOL_KIND_EXECUTE };
	struct err err = { 0 };
	char id[32];

	(void)state;
	run_init(&run);
	update.tool_call_id = id;
	for (int i = 0; i < JSON_TOOLS_MAX; i++) {
		(void)snprintf(id, sizeof id, "%d", i);
		assert_int_equal(json_update(&run.stream, &update, &run.out, &err), 0);
	}
	(void)snprintf(id, sizeof id, "one more");
	assert_int_equal(json_update(&run.stream, &update, &run.out, &err), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(pieces_of_one_message_become_one_item),
		FIXTURE_TEST(a_command_starts_and_ends_with_what_the_sdk_reads),
		FIXTURE_TEST(a_refused_command_is_declined),
		FIXTURE_TEST(an_edit_is_told_once_it_has_happened),
		FIXTURE_TEST(a_plan_is_one_item_that_changes),
		FIXTURE_TEST(a_turn_that_fails_says_so_twice),
		FIXTURE_TEST(what_is_not_of_this_vocabulary_is_left_out),
		FIXTURE_TEST(what_the_sandbox_refused_goes_with_the_item),
		FIXTURE_TEST(more_calls_at_once_than_the_limit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
