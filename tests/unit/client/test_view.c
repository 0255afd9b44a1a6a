#include <stdio.h>
#include <string.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/broker_gen.h"
#include "proto/wire/codec.h"

#include "client/view.h"
#include "tests/support/fixture.h"

struct run {
	struct view view;
	struct buf out;
};

static void run_deinit(struct run *run)
{
	view_deinit(&run->view);
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
	    view_update(&run->view, &update, &run->out, &err) < 0)
		fail_msg("%s: %s", text, err.text);
}

#define RUN                                                                                        \
	{                                                                                          \
		.out = BUF_INIT(1 << 20)                                                           \
	}

static void a_message_is_shown_as_it_comes(void **state)
{
	struct run run SCOPED(run_deinit) = RUN;

	(void)state;
	feed(&run, "{\"sessionUpdate\":\"agent_message_chunk\",\"messageId\":\"1\",\"content\":"
		   "{\"type\":\"text\",\"text\":\"Hel\"}}");
	assert_string_equal(buf_str(&run.out), "Hel");
	feed(&run, "{\"sessionUpdate\":\"agent_message_chunk\",\"messageId\":\"1\",\"content\":"
		   "{\"type\":\"text\",\"text\":\"lo\\n\"}}");
	feed(&run, "{\"sessionUpdate\":\"agent_message_chunk\",\"messageId\":\"2\",\"content\":"
		   "{\"type\":\"text\",\"text\":\"Next\"}}");
	assert_string_equal(buf_str(&run.out), "Hello\n\nNext");
}

static void what_others_say_is_marked_line_by_line(void **state)
{
	struct run run SCOPED(run_deinit) = RUN;

	(void)state;
	feed(&run, "{\"sessionUpdate\":\"user_message_chunk\",\"messageId\":\"1\",\"content\":"
		   "{\"type\":\"text\",\"text\":\"one\\ntwo\"}}");
	assert_string_equal(buf_str(&run.out), "> one\n> two");
}

static void output_of_commands_at_once_is_kept_apart(void **state)
{
	struct run run SCOPED(run_deinit) = RUN;

	(void)state;
	feed(&run,
	     "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"a\",\"title\":\"first\\nline\","
	     "\"kind\":\"execute\"}");
	feed(&run, "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"b\",\"title\":\"second\","
		   "\"kind\":\"execute\"}");
	feed(&run, "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"a\","
		   "\"_meta\":{\"agentd\":{\"output\":\"out a\\n\"}}}");
	feed(&run, "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"b\","
		   "\"_meta\":{\"agentd\":{\"output\":\"out b\"}}}");
	feed(&run,
	     "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"b\",\"status\":"
	     "\"completed\","
	     "\"rawOutput\":{\"exit_code\":0,\"duration_ms\":12,\"aggregated_output\":\"out b\"}}");
	assert_string_equal(buf_str(&run.out),
			    "$ first\n$ line\n\n$ second\n\n$ first...\n  out a\n\n"
			    "$ second\n  out b\n  exit 0, 12 ms\n");
}

static void who_came_late_sees_the_output_from_the_beginning(void **state)
{
	struct run run SCOPED(run_deinit) = RUN;

	(void)state;
	feed(&run, "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"a\",\"title\":\"x\",\"kind\":"
		   "\"execute\"}");
	feed(&run, "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"a\","
		   "\"_meta\":{\"agentd\":{\"output\":\"late\\n\"}}}");
	feed(&run, "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"a\",\"status\":"
		   "\"completed\",\"rawOutput\":{\"exit_code\":0,\"aggregated_output\":"
		   "\"early\\nlate\\n\"}}");
	assert_string_equal(buf_str(&run.out), "$ x\n  late\n  (from the beginning)\n  early\n"
					       "  late\n  exit 0\n");
}

static void output_of_the_past_is_shortened_and_says_so(void **state)
{
	struct run run SCOPED(run_deinit) = RUN;
	struct buf text SCOPED(buf_deinit) = BUF_INIT(65536);
	struct err err = { 0 };

	(void)state;
	feed(&run, "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"a\",\"title\":\"x\",\"kind\":"
		   "\"execute\"}");
	assert_int_equal(buf_puts(&text,
				  "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"a\","
				  "\"status\":\"failed\",\"rawOutput\":{\"exit_code\":1,"
				  "\"aggregated_output\":\"",
				  &err),
			 0);
	for (int i = 0; i < VIEW_REPLAY_LINES_MAX + 2; i++)
		assert_int_equal(buf_printf(&text, &err, "%d\\n", i), 0);
	assert_int_equal(buf_puts(&text, "\"}}", &err), 0);
	feed(&run, buf_str(&text));
	assert_non_null(strstr(buf_str(&run.out), "  19\n  (2 more lines)\n  exit 1\n"));
	assert_null(strstr(buf_str(&run.out), "  20\n"));
}

static void an_edit_shows_its_lines(void **state)
{
	struct run run SCOPED(run_deinit) = RUN;

	(void)state;
	feed(&run, "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"e\",\"title\":\"Edit "
		   "f\",\"kind\":\"edit\"}");
	assert_string_equal(buf_str(&run.out), "");
	feed(&run, "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"e\",\"status\":"
		   "\"completed\","
		   "\"content\":[{\"type\":\"diff\",\"path\":\"/f\",\"oldText\":\"a\\nb\\n\","
		   "\"newText\":\"a\\nc\\n\"}]}");
	assert_string_equal(buf_str(&run.out), "* Edit f\n  /f\n    a\n  - b\n  + c\n");
}

static void foreign_text_cannot_steer_the_terminal(void **state)
{
	static const char *const rows[] = {
		"{\"sessionUpdate\":\"agent_message_chunk\",\"messageId\":\"1\",\"content\":{"
		"\"type\":\"text\","
		"\"text\":\"\\u001b]0;x\\u0007\\u202e\"}}",
		"{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"a\",\"title\":\"\\u001b[2J\","
		"\"kind\":\"execute\"}",
		"{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"a\",\"_meta\":{"
		"\"agentd\":"
		"{\"output\":\"\\u001b[1A\\r\"}}}",
		"{\"sessionUpdate\":\"plan\",\"entries\":[{\"content\":\"\\u001b[0m\",\"priority\":"
		"\"high\","
		"\"status\":\"pending\"}]}",
		"{\"sessionUpdate\":\"notice\",\"severity\":\"info\",\"title\":\"\\u001b[0m\"}",
	};
	struct run run SCOPED(run_deinit) = RUN;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		feed(&run, rows[i]);
	assert_null(strchr(buf_str(&run.out), '\033'));
	assert_null(strchr(buf_str(&run.out), '\007'));
	assert_null(strchr(buf_str(&run.out), '\r'));
	assert_null(strstr(buf_str(&run.out), "\xe2\x80\xae"));
}

static void colours_are_there_only_when_asked_for(void **state)
{
	struct run run SCOPED(run_deinit) = RUN;

	(void)state;
	run.view.color = true;
	feed(&run, "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"a\",\"title\":\"ls\","
		   "\"kind\":\"execute\"}");
	assert_string_equal(buf_str(&run.out), "$ \033[1;36mls\033[0m\n");
}

static void a_plan_shows_where_each_step_stands(void **state)
{
	struct run run SCOPED(run_deinit) = RUN;

	(void)state;
	feed(&run, "{\"sessionUpdate\":\"plan\",\"entries\":["
		   "{\"content\":\"a\",\"priority\":\"low\",\"status\":\"completed\"},"
		   "{\"content\":\"b\",\"priority\":\"low\",\"status\":\"in_progress\"},"
		   "{\"content\":\"c\",\"priority\":\"low\",\"status\":\"pending\"}]}");
	assert_string_equal(buf_str(&run.out), "Plan\n  [x] a\n  [>] b\n  [ ] c\n");
}

static void an_answer_elsewhere_says_whose_it_was(void **state)
{
	struct run run SCOPED(run_deinit) = RUN;
	struct agent_client_info by = { .client_id = "c1", .name = "vscode" };
	struct agent_permission_resolved resolved = { .outcome =
							      AGENT_PERMISSION_OUTCOME_ALLOW_ONCE,
						      .by = &by };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(view_resolved(&run.view, &resolved, &run.out, &err), 0);
	assert_string_equal(buf_str(&run.out), "-- answered by vscode: allowed once\n");
}

static void a_header_says_what_holds(void **state)
{
	struct run run SCOPED(run_deinit) = RUN;
	struct broker_root roots[] = { { .path = "/w" }, { .path = "/tmp" } };
	struct broker_policy policy = { .roots = roots, .roots_count = 2 };
	struct agent_session_info info = { .model = "m",
					   .provider = "p",
					   .approval_policy = APPROVAL_POLICY_ON_REQUEST,
					   .sandbox_mode = SANDBOX_MODE_WORKSPACE_WRITE,
					   .cwd = "/w" };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(view_header(&run.view, "id", &info, &policy, &run.out, &err), 0);
	assert_string_equal(
		buf_str(&run.out),
		"session id\nmodel m (p)\nfolder /w\nsandbox workspace-write; writable: /w, "
		"/tmp; network off; asks: on-request\n");
}

static void a_header_says_by_what_it_holds_and_what_is_missing(void **state)
{
	static const char *const layers[] = { "namespaces", "landlock 7" };
	static const char *const limits[] = { "processes 2048 (rlimit)" };
	static const char *const missing[] = { "one \033[2J thing", "another" };
	static const char *const guarded[] = { "/w/.git", "/w/.codex", "/elsewhere/git" };
	struct run run SCOPED(run_deinit) = RUN;
	struct broker_root roots[] = { { .path = "/w", .protected = { guarded, 3 } } };
	struct broker_policy policy = { .roots = roots,
					.roots_count = 1,
					.layers = { layers, 2 },
					.limits = { limits, 1 },
					.missing = { missing, 2 } };
	struct agent_session_info info = { .model = "m",
					   .provider = "p",
					   .approval_policy = APPROVAL_POLICY_NEVER,
					   .sandbox_mode = SANDBOX_MODE_WORKSPACE_WRITE,
					   .cwd = "/w" };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(view_header(&run.view, "id", &info, &policy, &run.out, &err), 0);
	assert_non_null(
		strstr(buf_str(&run.out),
		       "; writable: /w (but not .git, .codex, /elsewhere/git); network off"));
	assert_non_null(strstr(buf_str(&run.out),
			       "\nheld by namespaces, landlock 7; limits: processes 2048 (rlimit)\n"
			       "not enforced here: one \\x1b[2J thing\n"
			       "not enforced here: another\n"));
}

static void what_the_sandbox_refused_stands_behind_a_failed_command(void **state)
{
	static const char denial[] =
		"{\"rule\":\"outside\",\"operation\":\"openat\",\"target\":\"/etc/x\","
		"\"error\":\"EROFS\",\"count\":2}";
	struct run run SCOPED(run_deinit) = RUN;
	struct buf update SCOPED(buf_deinit) = BUF_INIT(1 << 16);
	const char *line =
		"  denied: openat /etc/x (EROFS), 2 times: outside the writable folders\n";
	const char *at;
	int lines = 0;

	(void)state;
	feed(&run, "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"a\",\"title\":\"x\","
		   "\"kind\":\"execute\"}");
	assert_int_equal(
		buf_puts(&update,
			 "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"a\","
			 "\"status\":\"failed\",\"rawOutput\":{\"exit_code\":1,"
			 "\"aggregated_output\":\"\"},\"_meta\":{\"agentd\":{\"denials_lost\":3,"
			 "\"denials\":[",
			 NULL),
		0);
	for (int i = 0; i < VIEW_DENIALS_MAX + 2; i++)
		assert_int_equal(buf_printf(&update, NULL, "%s,", denial), 0);
	assert_int_equal(buf_puts(&update,
				  "{\"rule\":\"changed\",\"operation\":\"\",\"target\":\"/w\","
				  "\"error\":\"\",\"count\":1}]}}}",
				  NULL),
			 0);
	feed(&run, buf_str(&update));
	for (at = strstr(buf_str(&run.out), line); at; at = strstr(at + 1, line))
		lines++;
	assert_int_equal(lines, VIEW_DENIALS_MAX);
	assert_non_null(strstr(buf_str(&run.out), "  exit 1\n  denied: "));
	assert_true(str_ends(buf_str(&run.out),
			     "  the command was ended: a protected path was "
			     "changed, removed or made while the command ran: /w\n"
			     "  denied: 5 more\n"));
}

static void more_tools_than_are_remembered_do_no_harm(void **state)
{
	struct run run SCOPED(run_deinit) = RUN;
	struct agent_update update = { .session_update = AGENT_UPDATE_KIND_TOOL_CALL,
				       .title = "x",
				       .kind = AGENT_TOOL_KIND_EXECUTE };
	struct err err = { 0 };
	char id[32];

	(void)state;
	update.tool_call_id = id;
	for (int i = 0; i < VIEW_TOOLS_MAX * 2; i++) {
		(void)snprintf(id, sizeof id, "%d", i);
		assert_int_equal(view_update(&run.view, &update, &run.out, &err), 0);
	}
	(void)snprintf(id, sizeof id, "0");
	update.session_update = AGENT_UPDATE_KIND_TOOL_CALL_UPDATE;
	update.status = AGENT_TOOL_STATUS_COMPLETED;
	update.title = NULL;
	assert_int_equal(view_update(&run.view, &update, &run.out, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_message_is_shown_as_it_comes),
		FIXTURE_TEST(what_others_say_is_marked_line_by_line),
		FIXTURE_TEST(output_of_commands_at_once_is_kept_apart),
		FIXTURE_TEST(who_came_late_sees_the_output_from_the_beginning),
		FIXTURE_TEST(output_of_the_past_is_shortened_and_says_so),
		FIXTURE_TEST(an_edit_shows_its_lines),
		FIXTURE_TEST(foreign_text_cannot_steer_the_terminal),
		FIXTURE_TEST(colours_are_there_only_when_asked_for),
		FIXTURE_TEST(a_plan_shows_where_each_step_stands),
		FIXTURE_TEST(an_answer_elsewhere_says_whose_it_was),
		FIXTURE_TEST(a_header_says_what_holds),
		FIXTURE_TEST(a_header_says_by_what_it_holds_and_what_is_missing),
		FIXTURE_TEST(what_the_sandbox_refused_stands_behind_a_failed_command),
		FIXTURE_TEST(more_tools_than_are_remembered_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
