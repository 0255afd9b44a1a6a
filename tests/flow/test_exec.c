/* 'agent exec' with the real broker and daemon, and a scripted model in the place of the provider.
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/base/str.h"

#include "tests/support/command.h"
#include "tests/support/fake_model.h"
#include "tests/support/fixture.h"

#define KEY "FAKE_KEY=k"

static const char *const with_key[] = { KEY, NULL };

struct stage {
	struct command_home home;
	struct fake_model model;
};

static void stage_make(struct stage *stage, const char *script, bool repository)
{
	char settings[1024];

	command_home_make(&stage->home, NULL, repository);
	fake_model_start(&stage->model, script);
	(void)snprintf(
		settings, sizeof settings,
		"model = test-model\nmodel_provider = fake\n[sandbox_workspace_write]\n"
		"exclude_slash_tmp = true\nexclude_tmpdir_env_var = true\n"
		"[model_providers.fake]\nname = fake\nbase_url = \"http://127.0.0.1:%d/v1\"\n"
		"env_key = FAKE_KEY\nstream_max_retries = 1\nrequest_max_retries = 0\n",
		stage->model.port);
	(void)fixture_file("t/home/config.ini", settings, strlen(settings));
}

static void stage_clear(struct stage *stage)
{
	command_home_stop(&stage->home);
	fake_model_stop(&stage->model);
}

static void exec(struct command *got, const struct stage *stage, const char *const *words,
		 const char *input)
{
	command_start(got, &stage->home, words, with_key);
	if (input)
		command_write(got, input);
	command_finish(got);
}

/* The events of a run, each line one object. */
static json_t *events_of(const struct command *got)
{
	json_t *events = json_array();
	const char *line = buf_str(&got->text);

	while (*line) {
		size_t len = strcspn(line, "\n");
		json_t *event = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);

		if (!event)
			fail_msg("not JSON: %.*s", (int)len, line);
		assert_int_equal(json_array_append_new(events, event), 0);
		line += len + (line[len] ? 1 : 0);
	}
	return events;
}

static const char *text_at(json_t *events, size_t i, const char *name)
{
	const char *text = json_string_value(json_object_get(json_array_get(events, i), name));

	return text ? text : "";
}

static json_t *item_at(json_t *events, size_t i)
{
	return json_object_get(json_array_get(events, i), "item");
}

static const char work_script[] =
	"[{\"match\": \"work\", \"after_outputs\": 0, \"message\": \"I look\", \"calls\": "
	"[{\"name\": "
	"\"exec_command\", \"call_id\": \"c1\", \"arguments\": {\"cmd\": \"echo hi; touch in; "
	"touch ../out; "
	"touch .git/x; exit 3\", \"login\": false}}], \"times\": 0},"
	"{\"match\": \"work\", \"after_outputs\": 1, \"calls\": [{\"name\": \"apply_patch\", "
	"\"call_id\": \"c2\", "
	"\"custom\": true, \"input\": \"*** Begin Patch\\n*** Add File: new.txt\\n+one\\n*** End "
	"Patch\\n\"}], "
	"\"times\": 0},"
	"{\"match\": \"work\", \"after_outputs\": 2, \"message\": \"Done.\", \"times\": 0},"
	"{\"match\": \"again\", \"message\": \"Second.\", \"times\": 0}]";

static void the_events_are_those_that_the_sdk_reads(void **state)
{
	struct stage stage;
	struct command got SCOPED(command_deinit);
	json_auto_t *events = NULL;
	char path[700];

	(void)state;
	stage_make(&stage, work_script, true);
	exec(&got, &stage,
	     COMMAND_WORDS("exec", "--experimental-json", "--sandbox", "workspace-write"),
	     "do the work");
	if (got.status != 0)
		fail_msg("%d: %s%s", got.status, buf_str(&got.text), buf_str(&got.notes));
	events = events_of(&got);
	assert_string_equal(text_at(events, 0, "type"), "thread.started");
	assert_string_equal(text_at(events, 1, "type"), "turn.started");
	assert_string_equal(json_string_value(json_object_get(item_at(events, 2), "text")),
			    "I look");
	assert_string_equal(text_at(events, 3, "type"), "item.started");
	assert_string_equal(json_string_value(json_object_get(item_at(events, 4), "type")),
			    "command_execution");
	assert_int_equal(json_integer_value(json_object_get(item_at(events, 4), "exit_code")), 3);
	assert_string_equal(json_string_value(json_object_get(item_at(events, 4), "status")),
			    "failed");
	assert_string_equal(json_string_value(json_object_get(item_at(events, 5), "type")),
			    "file_change");
	assert_string_equal(json_string_value(json_object_get(item_at(events, 6), "text")),
			    "Done.");
	assert_string_equal(text_at(events, 7, "type"), "turn.completed");
	assert_true(json_is_integer(json_object_get(
		json_object_get(json_array_get(events, 7), "usage"), "reasoning_output_tokens")));
	assert_int_equal(json_array_size(events), 8);
	(void)snprintf(path, sizeof path, "%s/in", stage.home.work);
	assert_int_equal(access(path, F_OK), 0);
	(void)snprintf(path, sizeof path, "%s/new.txt", stage.home.work);
	assert_int_equal(access(path, F_OK), 0);
	(void)snprintf(path, sizeof path, "%s/out", stage.home.top);
	assert_int_not_equal(access(path, F_OK), 0);
	(void)snprintf(path, sizeof path, "%s/.git/x", stage.home.work);
	assert_int_not_equal(access(path, F_OK), 0);
	stage_clear(&stage);
}

/* The output of a call as the model has read it. */
static void expect_output(const struct stage *stage, const char *call, const char *part)
{
	json_auto_t *log = fake_model_log(&stage->model);
	size_t i;
	json_t *request;

	json_array_foreach(log, i, request) {
		json_t *input = json_object_get(json_object_get(request, "body"), "input");
		size_t k;
		json_t *item;

		json_array_foreach(input, k, item) {
			const char *output = json_string_value(json_object_get(item, "output"));

			if (!output ||
			    !str_eq(json_string_value(json_object_get(item, "call_id")), call))
				continue;
			if (!strstr(output, part))
				fail_msg("%s: %s", part, output);
			return;
		}
	}
	fail_msg("no output of %s", call);
}

static bool has_rule(json_t *item, const char *rule)
{
	size_t i;
	json_t *denial;

	json_array_foreach(json_object_get(item, "denials"), i, denial) {
		if (str_eq(json_string_value(json_object_get(denial, "rule")), rule))
			return true;
	}
	return false;
}

static void what_the_sandbox_refused_is_told_to_model_script_and_person(void **state)
{
	struct stage stage;
	struct command got SCOPED(command_deinit);
	struct command plain SCOPED(command_deinit);
	json_auto_t *events = NULL;

	(void)state;
	stage_make(&stage, work_script, true);
	exec(&got, &stage, COMMAND_WORDS("exec", "--json", "-s", "workspace-write", "work"), NULL);
	assert_int_equal(got.status, 0);
	events = events_of(&got);
	if (!has_rule(item_at(events, 4), "outside") || !has_rule(item_at(events, 4), "protected"))
		fail_msg("%s", buf_str(&got.text));
	expect_output(&stage, "c1", "\nDenied by the sandbox:\n- ");
	exec(&plain, &stage, COMMAND_WORDS("exec", "-s", "workspace-write", "work"), NULL);
	assert_int_equal(plain.status, 0);
	assert_non_null(strstr(buf_str(&plain.notes), "  denied: "));
	stage_clear(&stage);
}

static void the_model_is_told_that_it_may_commit(void **state)
{
	struct stage stage;
	char path[700];

	(void)state;
	stage_make(&stage, "[{\"message\": \"Done.\", \"times\": 0}]", true);
	(void)snprintf(path, sizeof path, "%s/.git/hooks", stage.home.work);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)fixture_file("t/place/.git/config", "", 0);
	for (int allow = 0; allow < 2; allow++) {
		struct command got SCOPED(command_deinit);
		json_auto_t *log = NULL;
		char *body SCOPED(str_free) = NULL;

		exec(&got, &stage,
		     COMMAND_WORDS("exec", "-s", "workspace-write", "-c",
				   allow ? "sandbox_workspace_write.allow_git_commit=true"
					 : "sandbox_workspace_write.allow_git_commit=false",
				   "x"),
		     NULL);
		assert_int_equal(got.status, 0);
		log = fake_model_log(&stage.model);
		body = json_dumps(json_array_get(log, (size_t)allow), JSON_COMPACT);
		assert_non_null(body);
		assert_int_equal(strstr(body, "`git commit` works") != NULL, allow);
	}
	stage_clear(&stage);
}

/* A profile that sets PATH anew, as /etc/profile does. */
static void a_script_in_a_login_shell_finds_apply_patch(void **state)
{
	static const char profile[] = "PATH=/usr/bin:/bin\n";
	struct stage stage;
	struct command got SCOPED(command_deinit);
	char path[700];

	(void)state;
	stage_make(&stage,
		   "[{\"after_outputs\": 0, \"calls\": [{\"name\": \"exec_command\", "
		   "\"call_id\": \"c1\", \"arguments\": {\"shell\": \"/bin/bash\", \"cmd\": "
		   "\"set -e\\nmkdir sub\\ncd sub\\napply_patch <<'EOF'\\n*** Begin Patch\\n"
		   "*** Add File: made\\n+one\\n*** End Patch\\nEOF\\nfor f in made; do\\n"
		   "applypatch \\\"*** Begin Patch\\n*** Update File: $f\\n@@\\n-one\\n+two\\n"
		   "*** End Patch\\\"\\ndone\\ncat made\\necho end of $PATH\"}}]},"
		   "{\"message\": \"Done.\"}]",
		   true);
	(void)fixture_file("t/.bash_profile", profile, strlen(profile));
	exec(&got, &stage, COMMAND_WORDS("exec", "-s", "workspace-write", "go"), NULL);
	assert_int_equal(got.status, 0);
	expect_output(&stage, "c1", "Process exited with code 0\n");
	expect_output(&stage, "c1", "two\nend of /usr/bin:/bin\n");
	(void)snprintf(path, sizeof path, "%s/sub/made", stage.home.work);
	assert_int_equal(access(path, F_OK), 0);
	stage_clear(&stage);
}

static void a_thread_is_taken_up_by_its_id_and_by_last(void **state)
{
	struct stage stage;
	struct command first SCOPED(command_deinit);
	struct command second SCOPED(command_deinit);
	struct command third SCOPED(command_deinit);
	json_auto_t *events = NULL;
	json_auto_t *more = NULL;

	(void)state;
	stage_make(&stage, work_script, true);
	exec(&first, &stage, COMMAND_WORDS("exec", "--json", "again"), NULL);
	events = events_of(&first);
	exec(&second, &stage,
	     COMMAND_WORDS("exec", "--json", "resume", text_at(events, 0, "thread_id"), "again"),
	     NULL);
	more = events_of(&second);
	assert_int_equal(second.status, 0);
	assert_string_equal(text_at(more, 0, "thread_id"), text_at(events, 0, "thread_id"));
	assert_int_equal(
		json_integer_value(json_object_get(
			json_object_get(json_array_get(more, 3), "usage"), "input_tokens")),
		2 * json_integer_value(json_object_get(
			    json_object_get(json_array_get(events, 3), "usage"), "input_tokens")));
	exec(&third, &stage, COMMAND_WORDS("exec", "resume", "--last"), "again");
	assert_int_equal(third.status, 0);
	assert_string_equal(buf_str(&third.text), "Second.\n");
	stage_clear(&stage);
}

static void people_get_the_answer_alone_on_standard_output(void **state)
{
	struct stage stage;
	struct command got SCOPED(command_deinit);
	struct buf last SCOPED(buf_deinit) = BUF_INIT(4096);
	char path[700];

	(void)state;
	stage_make(&stage, work_script, true);
	exec(&got, &stage, COMMAND_WORDS("exec", "--full-auto", "-o", "last.txt", "work"), NULL);
	assert_int_equal(got.status, 0);
	assert_string_equal(buf_str(&got.text), "Done.\n");
	assert_non_null(strstr(buf_str(&got.notes), "deprecated"));
	assert_non_null(strstr(buf_str(&got.notes), "$ echo hi"));
	assert_null(strchr(buf_str(&got.notes), '\033'));
	(void)snprintf(path, sizeof path, "%s/last.txt", stage.home.work);
	assert_int_equal(buf_read_file(&last, path, NULL), 0);
	assert_string_equal(buf_str(&last), "Done.");
	stage_clear(&stage);
}

static void standard_input_is_read_only_when_it_is_the_prompt(void **state)
{
	struct stage stage;
	struct command open SCOPED(command_deinit);
	struct command both SCOPED(command_deinit);
	json_auto_t *log = NULL;
	char *body SCOPED(str_free) = NULL;

	(void)state;
	stage_make(&stage, work_script, true);
	command_start(&open, &stage.home, COMMAND_WORDS("exec", "again"), with_key);
	(void)command_line(&open, "Second."); /* its input is an open pipe all the while */
	command_finish(&open);
	assert_int_equal(open.status, 0);
	exec(&both, &stage, COMMAND_WORDS("exec", "--stdin", "again"), "more of it");
	assert_int_equal(both.status, 0);
	log = fake_model_log(&stage.model);
	body = json_dumps(log, JSON_COMPACT);
	assert_non_null(body);
	assert_non_null(strstr(body, "<stdin>\\nmore of it\\n</stdin>"));
	stage_clear(&stage);
}

static void a_turn_that_fails_ends_with_1_and_says_why(void **state)
{
	struct stage stage;
	struct command got SCOPED(command_deinit);
	struct command plain SCOPED(command_deinit);
	json_auto_t *events = NULL;

	(void)state;
	stage_make(&stage,
		   "[{\"status\": 400, \"body\": {\"error\": {\"message\": \"no such model\"}}, "
		   "\"times\": 0}]",
		   true);
	exec(&got, &stage, COMMAND_WORDS("exec", "--json", "x"), NULL);
	assert_int_equal(got.status, 1);
	events = events_of(&got);
	assert_string_equal(text_at(events, 2, "type"), "error");
	assert_string_equal(text_at(events, 3, "type"), "turn.failed");
	assert_non_null(strstr(buf_str(&got.text), "no such model"));
	exec(&plain, &stage, COMMAND_WORDS("exec", "x"), NULL);
	assert_int_equal(plain.status, 1);
	assert_string_equal(buf_str(&plain.text), "");
	assert_non_null(strstr(buf_str(&plain.notes), "no such model"));
	stage_clear(&stage);
}

static void a_missing_key_names_its_variable_and_where_it_is_configured(void **state)
{
	struct stage stage;
	struct command got SCOPED(command_deinit);

	(void)state;
	stage_make(&stage, work_script, true);
	command_start(&got, &stage.home, COMMAND_WORDS("exec", "x"), NULL);
	command_finish(&got);
	assert_int_equal(got.status, 1);
	assert_non_null(strstr(buf_str(&got.notes), "FAKE_KEY"));
	assert_non_null(strstr(buf_str(&got.notes), "model_providers.fake.env_key"));
	stage_clear(&stage);
}

static void nothing_is_asked_and_an_escalation_is_refused(void **state)
{
	static const char script[] = "[{\"after_outputs\": 0, \"calls\": [{\"name\": "
				     "\"exec_command\", \"call_id\": \"c1\", "
				     "\"arguments\": {\"cmd\": \"touch ../out\", \"login\": false, "
				     "\"sandbox_permissions\": "
				     "\"require_escalated\", \"justification\": \"please\"}}]},"
				     "{\"after_outputs\": 1, \"message\": \"Then not.\"}]";
	struct stage stage;
	struct command got SCOPED(command_deinit);
	char path[700];

	(void)state;
	stage_make(&stage, script, true);
	exec(&got, &stage, COMMAND_WORDS("exec", "-c", "approval_policy=\"on-request\"", "x"),
	     NULL);
	assert_int_equal(got.status, 0);
	assert_string_equal(buf_str(&got.text), "Then not.\n");
	(void)snprintf(path, sizeof path, "%s/out", stage.home.top);
	assert_int_not_equal(access(path, F_OK), 0);
	stage_clear(&stage);
}

static void a_signal_interrupts_the_turn_and_ends_with_1(void **state)
{
	static const char script[] = "[{\"after_outputs\": 0, \"calls\": [{\"name\": "
				     "\"exec_command\", \"call_id\": \"c1\", \"arguments\": "
				     "{\"cmd\": \"echo begun; sleep 300\", \"login\": false, "
				     "\"yield_time_ms\": 30000}}]}]";
	struct stage stage;
	struct command got SCOPED(command_deinit);
	json_auto_t *events = NULL;

	(void)state;
	stage_make(&stage, script, true);
	command_start(&got, &stage.home, COMMAND_WORDS("exec", "--json", "x"), with_key);
	(void)command_line(&got, "item.started");
	assert_int_equal(kill(got.pid, SIGTERM), 0);
	command_finish(&got);
	assert_int_equal(got.status, 1);
	events = events_of(&got);
	assert_string_equal(text_at(events, json_array_size(events) - 1, "type"), "turn.failed");
	stage_clear(&stage);
}

static void ones_own_settings_can_be_left_out(void **state)
{
	struct stage stage;
	struct command got SCOPED(command_deinit);
	char url[128];

	(void)state;
	stage_make(&stage, work_script, true);
	(void)snprintf(url, sizeof url, "openai_base_url=http://127.0.0.1:%d/v1", stage.model.port);
	command_start(&got, &stage.home,
		      COMMAND_WORDS("exec", "--ignore-user-config", "-c", url, "again"),
		      COMMAND_WORDS("CODEX_API_KEY=k"));
	command_finish(&got);
	if (got.status != 0)
		fail_msg("%s", buf_str(&got.notes));
	assert_non_null(strstr(buf_str(&got.notes), "(openai)"));
	assert_string_equal(buf_str(&got.text), "Second.\n");
	stage_clear(&stage);
}

static void the_schema_of_the_answer_reaches_the_model(void **state)
{
	struct stage stage;
	struct command got SCOPED(command_deinit);
	struct command broken SCOPED(command_deinit);
	static const char schema[] = "{\"type\": \"object\", \"x-mark\": 1}";
	json_auto_t *log = NULL;
	json_t *format;

	(void)state;
	stage_make(&stage, work_script, true);
	(void)fixture_file("t/place/schema.json", schema, strlen(schema));
	exec(&got, &stage, COMMAND_WORDS("exec", "--output-schema", "schema.json", "again"), NULL);
	assert_int_equal(got.status, 0);
	log = fake_model_log(&stage.model);
	format = json_object_get(
		json_object_get(json_object_get(json_array_get(log, 0), "body"), "text"), "format");
	assert_string_equal(json_string_value(json_object_get(format, "type")), "json_schema");
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(format, "schema"), "x-mark")),
		1);
	(void)fixture_file("t/place/schema.json", "{", 1);
	exec(&broken, &stage, COMMAND_WORDS("exec", "--output-schema", "schema.json", "again"),
	     NULL);
	assert_int_equal(broken.status, 1);
	assert_non_null(strstr(buf_str(&broken.notes), "--output-schema"));
	stage_clear(&stage);
}

static void when_agentd_is_killed_the_way_back_is_said(void **state)
{
	static const char script[] = "[{\"match\": \"x\", \"after_outputs\": 0, \"calls\": "
				     "[{\"name\": \"exec_command\", \"call_id\": \"c1\", "
				     "\"arguments\": {\"cmd\": \"sleep 300\", \"login\": false, "
				     "\"yield_time_ms\": 30000}}]},"
				     "{\"match\": \"again\", \"message\": \"Back.\"}]";
	struct stage stage;
	struct command got SCOPED(command_deinit);
	struct command status SCOPED(command_deinit);
	struct command back SCOPED(command_deinit);
	json_auto_t *events = NULL;
	json_auto_t *json = NULL;

	(void)state;
	stage_make(&stage, script, true);
	command_start(&got, &stage.home, COMMAND_WORDS("exec", "--json", "x"), with_key);
	(void)command_line(&got, "item.started");
	command_run(&status, &stage.home, COMMAND_WORDS("daemon", "status", "--json"), NULL);
	json = json_loads(buf_str(&status.text), 0, NULL);
	assert_int_equal(kill((pid_t)json_integer_value(
				      json_object_get(json_object_get(json, "agentd"), "pid")),
			      SIGKILL),
			 0);
	command_finish(&got);
	assert_int_equal(got.status, 1);
	assert_non_null(strstr(buf_str(&got.notes), "agent attach "));
	events = events_of(&got);
	assert_string_equal(text_at(events, json_array_size(events) - 1, "type"), "turn.failed");
	exec(&back, &stage,
	     COMMAND_WORDS("exec", "resume", text_at(events, 0, "thread_id"), "again"), NULL);
	if (back.status != 0)
		fail_msg("%s", buf_str(&back.notes));
	assert_string_equal(buf_str(&back.text), "Back.\n");
	stage_clear(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		COMMAND_TEST(the_events_are_those_that_the_sdk_reads),
		COMMAND_TEST(what_the_sandbox_refused_is_told_to_model_script_and_person),
		COMMAND_TEST(the_model_is_told_that_it_may_commit),
		COMMAND_TEST(a_script_in_a_login_shell_finds_apply_patch),
		COMMAND_TEST(a_thread_is_taken_up_by_its_id_and_by_last),
		COMMAND_TEST(people_get_the_answer_alone_on_standard_output),
		COMMAND_TEST(standard_input_is_read_only_when_it_is_the_prompt),
		COMMAND_TEST(a_turn_that_fails_ends_with_1_and_says_why),
		COMMAND_TEST(a_missing_key_names_its_variable_and_where_it_is_configured),
		COMMAND_TEST(nothing_is_asked_and_an_escalation_is_refused),
		COMMAND_TEST(a_signal_interrupts_the_turn_and_ends_with_1),
		COMMAND_TEST(ones_own_settings_can_be_left_out),
		COMMAND_TEST(the_schema_of_the_answer_reaches_the_model),
		COMMAND_TEST(when_agentd_is_killed_the_way_back_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
