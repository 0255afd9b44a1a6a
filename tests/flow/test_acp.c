/* 'agent acp' as an editor uses it, with the real broker and daemon and a scripted model. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/base/str.h"

#include "tests/support/command.h"
#include "tests/support/fake_model.h"
#include "tests/support/fixture.h"

static const char *const with_key[] = { "FAKE_KEY=k", NULL };

struct editor {
	struct command_home home;
	struct fake_model model;
	struct command acp;
	int id; /* of the last request */
};

static void editor_open(struct editor *editor, const char *script)
{
	char settings[1024];

	*editor = (struct editor){ .id = 0 };
	command_home_make(&editor->home, NULL, true);
	fake_model_start(&editor->model, script);
	(void)snprintf(
		settings, sizeof settings,
		"model = test-model\nmodel_provider = fake\n[sandbox_workspace_write]\n"
		"exclude_slash_tmp = true\nexclude_tmpdir_env_var = true\n"
		"[model_providers.fake]\nname = fake\nbase_url = \"http://127.0.0.1:%d/v1\"\n"
		"env_key = FAKE_KEY\n",
		editor->model.port);
	(void)fixture_file("t/home/config.ini", settings, strlen(settings));
	command_start(&editor->acp, &editor->home, COMMAND_WORDS("acp"), with_key);
}

static void editor_close(struct editor *editor)
{
	command_finish(&editor->acp);
	if (editor->acp.status != 0)
		fail_msg("%s", buf_str(&editor->acp.notes));
	command_deinit(&editor->acp);
	command_home_stop(&editor->home);
	fake_model_stop(&editor->model);
}

/* Sends a request; params is JSON text. */
static void ask(struct editor *editor, const char *method, const char *params)
{
	char line[8192];

	(void)snprintf(line, sizeof line,
		       "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"%s\",\"params\":%s}\n",
		       ++editor->id, method, params);
	command_write(&editor->acp, line);
}

/* The answer to the last request. */
static json_t *answer(struct editor *editor)
{
	char part[64];
	json_t *message;

	for (;;) {
		const char *line;

		(void)snprintf(part, sizeof part, "\"id\":%d,", editor->id);
		line = command_line(&editor->acp, part);
		message = json_loads(line, 0, NULL);
		assert_non_null(message);
		if (!json_object_get(message, "method"))
			return message;
		json_decref(message);
		fail_msg("a request has the id of an answer: %s", line);
	}
}

static json_t *call(struct editor *editor, const char *method, const char *params)
{
	ask(editor, method, params);
	return answer(editor);
}

/* initialize and session/new; the session's id. */
static void begin(struct editor *editor, char *session, size_t size)
{
	char params[1024];
	json_auto_t *greeted =
		call(editor, "initialize",
		     "{\"protocolVersion\":1,\"clientInfo\":{\"name\":\"test editor\","
		     "\"version\":\"1\"}}");
	json_auto_t *fresh = NULL;
	const char *id;

	assert_non_null(json_object_get(greeted, "result"));
	(void)snprintf(params, sizeof params, "{\"cwd\":\"%s\",\"mcpServers\":[]}",
		       editor->home.work);
	fresh = call(editor, "session/new", params);
	id = json_string_value(json_object_get(json_object_get(fresh, "result"), "sessionId"));
	if (!id)
		fail_msg("%s", json_dumps(fresh, 0));
	(void)snprintf(session, size, "%s", id);
}

static void prompt(struct editor *editor, const char *session)
{
	char params[1024];

	(void)snprintf(params, sizeof params,
		       "{\"sessionId\":\"%s\",\"prompt\":[{\"type\":\"text\",\"text\":\"go\"}]}",
		       session);
	ask(editor, "session/prompt", params);
}

static const char escalating[] = "[{\"after_outputs\": 0, \"calls\": [{\"name\": \"exec_command\", "
				 "\"call_id\": \"c1\", \"arguments\": "
				 "{\"cmd\": \"echo x > ../out\", \"login\": false, "
				 "\"sandbox_permissions\": \"require_escalated\", "
				 "\"justification\": \"be\\u202eware\"}}]},"
				 "{\"after_outputs\": 1, \"message\": \"Done.\"}]";

static void answer_question(struct editor *editor, json_t *question, const char *option)
{
	char line[1024];
	char *id SCOPED(str_free) =
		json_dumps(json_object_get(question, "id"), JSON_ENCODE_ANY | JSON_COMPACT);

	if (option)
		(void)snprintf(line, sizeof line,
			       "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"outcome\":{"
			       "\"outcome\":\"selected\","
			       "\"optionId\":\"%s\"}}}\n",
			       id, option);
	else
		(void)snprintf(line, sizeof line,
			       "{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\":{\"code\":-32603,"
			       "\"message\":\"no\"}}\n",
			       id);
	command_write(&editor->acp, line);
}

/* Answers the question about an escalation so; whether the command ran. */
static bool escalate(const char *option, json_t **question)
{
	struct editor editor;
	char session[128];
	char path[700];
	json_auto_t *asked = NULL;
	json_auto_t *done = NULL;

	editor_open(&editor, escalating);
	begin(&editor, session, sizeof session);
	prompt(&editor, session);
	asked = json_loads(command_line(&editor.acp, "session/request_permission"), 0, NULL);
	assert_non_null(asked);
	answer_question(&editor, asked, option);
	done = answer(&editor);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(done, "result"), "stopReason")),
		"end_turn");
	editor_close(&editor);
	if (question)
		*question = TAKE(asked);
	(void)snprintf(path, sizeof path, "%s/out", editor.home.top);
	return access(path, F_OK) == 0;
}

static void a_yes_of_the_editor_is_carried_to_the_broker(void **state)
{
	(void)state;
	assert_true(escalate("allow_once", NULL));
}

static void a_no_of_the_editor_is_a_no(void **state)
{
	(void)state;
	assert_false(escalate("reject_once", NULL));
}

static void an_editor_that_cannot_answer_says_no(void **state)
{
	(void)state;
	assert_false(escalate(NULL, NULL));
}

static void an_unheard_of_option_is_a_no(void **state)
{
	(void)state;
	assert_false(escalate("allow_everything", NULL));
}

static void a_question_shows_the_brokers_record(void **state)
{
	json_auto_t *question = NULL;
	json_t *call_shown;
	json_t *input;
	const char *text;

	(void)state;
	(void)escalate("reject_once", &question);
	call_shown = json_object_get(json_object_get(question, "params"), "toolCall");
	input = json_object_get(call_shown, "rawInput");
	text = json_string_value(json_object_get(call_shown, "title"));
	assert_true(str_ends(text, " -c 'echo x > ../out'"));
	assert_string_equal(json_string_value(json_object_get(input, "command")), text);
	assert_string_equal(json_string_value(json_object_get(input, "sandbox")),
			    "danger-full-access");
	assert_string_equal(json_string_value(json_object_get(input, "model_says")),
			    "be\\u202eware");
}

static void a_mode_is_changed_with_a_ceiling_of_its_own(void **state)
{
	struct editor editor;
	char session[128];
	char params[512];
	json_auto_t *changed = NULL;
	json_auto_t *refused = NULL;

	(void)state;
	editor_open(&editor, "[]");
	begin(&editor, session, sizeof session);
	(void)snprintf(params, sizeof params, "{\"sessionId\":\"%s\",\"modeId\":\"read-only\"}",
		       session);
	changed = call(&editor, "session/set_mode", params);
	if (!json_object_get(changed, "result"))
		fail_msg("%s", json_dumps(changed, 0));
	(void)command_line(&editor.acp, "\"currentModeId\":\"read-only\"}");
	(void)snprintf(params, sizeof params, "{\"sessionId\":\"%s\",\"modeId\":\"nonsense\"}",
		       session);
	refused = call(&editor, "session/set_mode", params);
	assert_non_null(json_object_get(refused, "error"));
	editor_close(&editor);
}

static void what_cannot_be_opened_is_answered_with_the_reason(void **state)
{
	struct editor editor;
	json_auto_t *greeted = NULL;
	json_auto_t *relative = NULL;
	json_auto_t *missing = NULL;

	(void)state;
	editor_open(&editor, "[]");
	greeted = call(&editor, "initialize", "{\"protocolVersion\":1}");
	relative = call(&editor, "session/new", "{\"cwd\":\"place\",\"mcpServers\":[]}");
	assert_non_null(strstr(
		json_string_value(json_object_get(json_object_get(relative, "error"), "message")),
		"absolute"));
	missing = call(&editor, "session/new", "{\"cwd\":\"/nonexistent\",\"mcpServers\":[]}");
	assert_non_null(strstr(
		json_string_value(json_object_get(json_object_get(missing, "error"), "message")),
		"/nonexistent"));
	command_write(&editor.acp, "this is not JSON\n");
	(void)command_line(&editor.acp, "-32700");
	editor_close(&editor);
}

static void nothing_but_messages_is_on_standard_output(void **state)
{
	struct editor editor;
	char session[128];
	const char *line;

	(void)state;
	editor_open(&editor, "[{\"message\": \"Hello.\"}]");
	begin(&editor, session, sizeof session);
	prompt(&editor, session);
	json_decref(answer(&editor));
	line = buf_str(&editor.acp.text);
	while (*line) {
		size_t len = strcspn(line, "\n");
		json_auto_t *message = json_loadb(line, len, 0, NULL);

		if (!json_is_object(message))
			fail_msg("%.*s", (int)len, line);
		line += len + (line[len] ? 1 : 0);
	}
	editor_close(&editor);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		COMMAND_TEST(a_yes_of_the_editor_is_carried_to_the_broker),
		COMMAND_TEST(a_no_of_the_editor_is_a_no),
		COMMAND_TEST(an_editor_that_cannot_answer_says_no),
		COMMAND_TEST(an_unheard_of_option_is_a_no),
		COMMAND_TEST(a_question_shows_the_brokers_record),
		COMMAND_TEST(a_mode_is_changed_with_a_ceiling_of_its_own),
		COMMAND_TEST(what_cannot_be_opened_is_answered_with_the_reason),
		COMMAND_TEST(nothing_but_messages_is_on_standard_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
