#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/tool/tool.h"
#include "tests/support/fixture.h"

#define PATCH "*** Begin Patch\\n*** Delete File: f\\n*** End Patch\\n"

static const struct tool_settings usual = { .custom_tools = true, .exec = { .login_shell = true } };
static const struct tool_settings plain = { .exec = { .login_shell = true } };

static const json_t *named(const json_t *list, const char *name)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);

		if (str_eq(json_string_value(json_object_get(one, "name")), name))
			return one;
	}
	fail_msg("no tool '%s'", name);
	return NULL;
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void every_tool_is_offered_with_its_parameters(void **state)
{
	static const struct {
		const char *tool;
		const char *parameters; /* names, one space apart */
		const char *required;
	} tools[] = {
		{ "exec_command",
		  "cmd workdir shell login tty yield_time_ms max_output_tokens "
		  "sandbox_permissions justification prefix_rule",
		  "cmd" },
		{ "write_stdin", "session_id chars yield_time_ms max_output_tokens", "session_id" },
		{ "update_plan", "explanation plan", "plan" },
		{ "apply_patch", "input", "input" },
	};
	json_t *list = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(tool_describe(&list, &plain, &err), 0);
	assert_int_equal(json_array_size(list), ARRAY_LEN(tools));
	for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
		const json_t *tool = named(list, tools[i].tool);
		json_t *parameters = json_object_get(tool, "parameters");
		struct buf names SCOPED(buf_deinit) = BUF_INIT(512);
		const char *name;
		json_t *value;

		assert_string_equal(text_of(tool, "type"), "function");
		assert_true(json_is_false(json_object_get(tool, "strict")));
		assert_true(json_is_false(json_object_get(parameters, "additionalProperties")));
		json_object_foreach(json_object_get(parameters, "properties"), name, value)
			assert_int_equal(
				buf_printf(&names, &err, "%s%s", names.len ? " " : "", name), 0);
		assert_string_equal(buf_str(&names), tools[i].parameters);
		assert_string_equal(json_string_value(json_array_get(
					    json_object_get(parameters, "required"), 0)),
				    tools[i].required);
	}
	json_decref(list);
}

static void models_with_free_form_tools_get_the_grammar(void **state)
{
	json_t *list = NULL;
	struct err err = { 0 };
	const json_t *tool;
	const json_t *format;

	(void)state;
	assert_int_equal(tool_describe(&list, &usual, &err), 0);
	tool = named(list, "apply_patch");
	format = json_object_get(tool, "format");
	assert_string_equal(text_of(tool, "type"), "custom");
	assert_string_equal(text_of(format, "type"), "grammar");
	assert_string_equal(text_of(format, "syntax"), "lark");
	assert_true(str_starts(text_of(format, "definition"), "start: begin_patch"));
	assert_string_equal(text_of(named(list, "exec_command"), "type"), "function");
	json_decref(list);
}

/* One call item, its outcome: the tool, or the output for the model. */
static const struct {
	const char *item;
	enum tool tool;
	const char *error;
} calls[] = {
	{ "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"exec_command\","
	  "\"arguments\":\"{\\\"cmd\\\":\\\"ls\\\"}\"}",
	  TOOL_EXEC_COMMAND, NULL },
	{ "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"write_stdin\","
	  "\"arguments\":\"{\\\"session_id\\\":1000}\"}",
	  TOOL_WRITE_STDIN, NULL },
	{ "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"update_plan\","
	  "\"arguments\":\"{\\\"plan\\\":[]}\"}",
	  TOOL_UPDATE_PLAN, NULL },
	{ "{\"type\":\"custom_tool_call\",\"call_id\":\"c\",\"name\":\"apply_patch\","
	  "\"input\":\"" PATCH "\"}",
	  TOOL_APPLY_PATCH, NULL },
	{ "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"apply_patch\","
	  "\"arguments\":\"{\\\"input\\\":\\\"*** Begin Patch\\\\n*** End Patch\\\"}\"}",
	  TOOL_APPLY_PATCH, NULL },

	{ "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"magic\",\"arguments\":\"{}\"}",
	  TOOL_NONE, "unsupported call: magic" },
	{ "{\"type\":\"custom_tool_call\",\"call_id\":\"c\",\"name\":\"exec_command\","
	  "\"input\":\"ls\"}",
	  TOOL_NONE, "unsupported call: exec_command" },
	{ "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"exec_command\","
	  "\"arguments\":\"{}\"}",
	  TOOL_NONE, "failed to parse function arguments: missing field `cmd`" },
	{ "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"exec_command\"}", TOOL_NONE,
	  "failed to parse function arguments: missing arguments" },
	{ "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"write_stdin\","
	  "\"arguments\":\"{}\"}",
	  TOOL_NONE, "failed to parse function arguments: missing field `session_id`" },
	{ "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"update_plan\","
	  "\"arguments\":\"{}\"}",
	  TOOL_NONE, "failed to parse function arguments: missing field `plan`" },
	{ "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"apply_patch\","
	  "\"arguments\":\"{}\"}",
	  TOOL_NONE, "failed to parse function arguments: missing field `input`" },
	{ "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"exec_command\","
	  "\"arguments\":\"{\\\"cmd\\\":\\\"a\\\","
	  "\\\"sandbox_permissions\\\":\\\"with_additional_permissions\\\"}\"}",
	  TOOL_NONE,
	  "exec_command failed: additional permissions are not available; ask for "
	  "`require_escalated` or keep to the sandbox" },
	{ "{\"type\":\"custom_tool_call\",\"call_id\":\"c\",\"name\":\"apply_patch\","
	  "\"input\":\"hello\"}",
	  TOOL_NONE,
	  "apply_patch verification failed: invalid patch: The first line of the patch must be "
	  "'*** Begin Patch'" },
	{ "{\"type\":\"custom_tool_call\",\"call_id\":\"c\",\"name\":\"apply_patch\","
	  "\"input\":\"*** Begin Patch\\n*** Update File: f\\n*** End Patch\"}",
	  TOOL_NONE,
	  "apply_patch verification failed: invalid hunk at line 2, Update file hunk for path 'f' "
	  "is empty" },
};

static void calls_become_arguments_or_what_the_model_reads(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		struct tool_call call SCOPED(tool_call_deinit) = { 0 };
		json_t *item = json_loads(calls[i].item, 0, NULL);
		struct err err = { 0 };
		int rc;

		assert_true(tool_call_is(item));
		assert_int_equal(tool_call_init(&call, item, &err), 0);
		assert_string_equal(call.id, "c");
		rc = tool_call_decode(&call, &usual, &err);
		if (calls[i].error && (rc >= 0 || strcmp(err.text, calls[i].error) != 0))
			fail_msg("%s: '%s'", calls[i].item, err.text);
		if (!calls[i].error && (rc < 0 || call.tool != calls[i].tool))
			fail_msg("%s: %d '%s'", calls[i].item, rc, err.text);
		json_decref(item);
	}
}

static void arguments_that_are_no_json_say_where(void **state)
{
	struct tool_call call SCOPED(tool_call_deinit) = { 0 };
	json_t *item = json_pack("{s:s, s:s, s:s, s:s}", "type", "function_call", "call_id", "c",
				 "name", "exec_command", "arguments", "{\"cmd\":");
	struct err err = { 0 };

	(void)state;
	assert_int_equal(tool_call_init(&call, item, &err), 0);
	assert_true(tool_call_decode(&call, &usual, &err) < 0);
	assert_true(str_starts(err.text, "failed to parse function arguments: "));
	assert_non_null(strstr(err.text, "line 1 column"));
	json_decref(item);
}

static void a_shell_apply_patch_comes_out_as_the_tool(void **state)
{
	static const struct {
		const char *cmd;
		const char *workdir;
		const char *result;
	} rows[] = {
		{ "apply_patch <<'E'\n*** Begin Patch\n*** Delete File: f\n*** End Patch\nE", NULL,
		  NULL },
		{ "apply_patch <<'E'\n*** Begin Patch\n*** Delete File: f\n*** End Patch\nE", "sub",
		  "sub" },
		{ "cd a && apply_patch <<'E'\n*** Begin Patch\n*** Delete File: f\n*** End "
		  "Patch\nE",
		  NULL, "a" },
		{ "cd a && apply_patch <<'E'\n*** Begin Patch\n*** Delete File: f\n*** End "
		  "Patch\nE",
		  "sub", "sub/a" },
		{ "cd /a && apply_patch <<'E'\n*** Begin Patch\n*** Delete File: f\n*** End "
		  "Patch\nE",
		  "sub", "/a" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct tool_call call SCOPED(tool_call_deinit) = { 0 };
		json_t *arguments =
			json_pack("{s:s, s:s*}", "cmd", rows[i].cmd, "workdir", rows[i].workdir);
		char *text = json_dumps(arguments, 0);
		json_t *item = json_pack("{s:s, s:s, s:s, s:s}", "type", "function_call", "call_id",
					 "c", "name", "exec_command", "arguments", text);
		struct err err = { 0 };

		assert_int_equal(tool_call_init(&call, item, &err), 0);
		assert_int_equal(tool_call_decode(&call, &usual, &err), 0);
		assert_int_equal(call.tool, TOOL_APPLY_PATCH);
		assert_false(call.custom);
		assert_int_equal(call.patch.op_count, 1);
		if (rows[i].result)
			assert_string_equal(call.workdir, rows[i].result);
		else
			assert_null(call.workdir);
		free(text);
		json_decref(arguments);
		json_decref(item);
	}
}

static void what_is_no_call_is_refused(void **state)
{
	static const char *const items[] = {
		"{\"type\":\"message\",\"call_id\":\"c\",\"name\":\"exec_command\"}",
		"{\"type\":\"function_call\",\"name\":\"exec_command\"}",
		"{\"type\":\"function_call\",\"call_id\":\"c\"}",
		"{\"call_id\":\"c\",\"name\":\"x\"}",
		"[]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(items); i++) {
		struct tool_call call = { 0 };
		json_t *item = json_loads(items[i], 0, NULL);
		struct err err = { 0 };

		assert_int_equal(tool_call_init(&call, item, &err), ERR_INVALID);
		json_decref(item);
	}
}

static void outputs_are_of_the_calls_kind(void **state)
{
	static const struct {
		const char *type;
		const char *output;
	} kinds[] = { { "function_call", "function_call_output" },
		      { "custom_tool_call", "custom_tool_call_output" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct tool_call call SCOPED(tool_call_deinit) = { 0 };
		json_t *item = json_pack("{s:s, s:s, s:s}", "type", kinds[i].type, "call_id", "c",
					 "name", "x");
		json_t *output = NULL;
		struct err err = { 0 };

		assert_int_equal(tool_call_init(&call, item, &err), 0);
		assert_int_equal(tool_output(&output, &call, "text", 3, &err), 0);
		assert_string_equal(text_of(output, "type"), kinds[i].output);
		assert_string_equal(text_of(output, "call_id"), "c");
		assert_string_equal(text_of(output, "output"), "tex");
		json_decref(output);
		assert_int_equal(tool_output_aborted(&output, item, &err), 0);
		assert_string_equal(text_of(output, "type"), kinds[i].output);
		assert_string_equal(text_of(output, "output"), "aborted");
		json_decref(output);
		assert_int_equal(tool_output(&output, &call, "\xff", 1, &err), ERR_INVALID);
		json_decref(item);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(every_tool_is_offered_with_its_parameters),
		FIXTURE_TEST(models_with_free_form_tools_get_the_grammar),
		FIXTURE_TEST(calls_become_arguments_or_what_the_model_reads),
		FIXTURE_TEST(arguments_that_are_no_json_say_where),
		FIXTURE_TEST(a_shell_apply_patch_comes_out_as_the_tool),
		FIXTURE_TEST(what_is_no_call_is_refused),
		FIXTURE_TEST(outputs_are_of_the_calls_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
