#include <stdlib.h>
#include <string.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/requirements.h"

#include "tests/support/fixture.h"

#define FILE_NAME "/etc/r.ini"
#define HOME "/home/u"

static void every_key_becomes_a_member(void **state)
{
	static const struct {
		const char *text;
		const char *json;
	} rows[] = {
		{ "", "{}" },
		{ "# nothing\n", "{}" },
		{ "allowed_approval_policies = [\"on-request\", \"never\"]",
		  "{\"allowed_approval_policies\":[\"on-request\",\"never\"]}" },
		{ "allowed_sandbox_modes = [\"read-only\"]",
		  "{\"allowed_sandbox_modes\":[\"read-only\"]}" },
		{ "allowed_web_search_modes = []",
		  "{\"allowed_web_search_modes\":[\"disabled\"]}" },
		{ "allowed_web_search_modes = [\"cached\"]",
		  "{\"allowed_web_search_modes\":[\"cached\",\"disabled\"]}" },
		{ "allow_login_shell = false", "{\"allow_login_shell\":false}" },
		{ "[permissions.filesystem]\ndeny_read = [\"/etc/shadow\", \"~/.ssh\", \"~\",\n"
		  "  \"~/.aws/*\", \"/srv/.hidden\", \"/srv/a..b\"]",
		  "{\"deny_read\":[\"/etc/shadow\",\"/home/u/.ssh\",\"/home/u\",\"/home/u/.aws/*\","
		  "\"/srv/.hidden\",\"/srv/a..b\"]}" },
		{ "[sandbox]\nallow_network = false\nallow_legacy_landlock = true\n"
		  "allow_no_lockdown = false",
		  "{\"allow_network\":false,\"allow_legacy_landlock\":true,"
		  "\"allow_no_lockdown\":false}" },
		{ "[limits]\ncommands = 1\nceilings = 256\nconnections = 64\nmemory_mib = 16\n"
		  "pids = 8\ncpu_percent = 1000000",
		  "{\"commands\":1,\"ceilings\":256,\"connections\":64,\"memory_mib\":16,"
		  "\"pids\":8,\"cpu_percent\":1000000}" },
		{ "[audit]\nlog = syslog\nrequired = true",
		  "{\"audit_log\":\"syslog\",\"audit_required\":true}" },
		{ "[rules]\nprefix_rules = [\n"
		  "  { pattern = [{ token = \"rm\" }], decision = \"forbidden\" },\n"
		  "  { pattern = [{ token = \"git\" }, { any_of = [\"push\", \"fetch\"] }],\n"
		  "    decision = \"prompt\", justification = \"leaves\" },\n"
		  "]",
		  "{\"prefix_rules\":[{\"pattern\":[{\"token\":\"rm\"}],\"decision\":\"forbidden\"}"
		  ","
		  "{\"pattern\":[{\"token\":\"git\"},{\"any_of\":[\"push\",\"fetch\"]}],"
		  "\"decision\":\"prompt\",\"justification\":\"leaves\"}]}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_auto_t *json = NULL;
		struct err err = { 0 };
		char *shown SCOPED(str_free) = NULL;

		if (requirements_parse(&json, rows[i].text, FILE_NAME, HOME, &err) < 0)
			fail_msg("%s: %s", rows[i].text, err.text);
		shown = json_dumps(json, JSON_COMPACT);
		assert_string_equal(shown, rows[i].json);
	}
}

static const struct {
	const char *text;
	const char *sentence; /* part of it */
} wrong[] = {
	{ "alowed_sandbox_modes = []",
	  FILE_NAME ":1: unknown key 'alowed_sandbox_modes', did you mean "
		    "'allowed_sandbox_modes'?" },
	{ "\n[limit]\ncommands = 1",
	  FILE_NAME ":3: unknown key 'limit.commands', did you mean 'limits.commands'?" },
	{ "deny_read = [\"/a\"]", "did you mean 'permissions.filesystem.deny_read'?" },
	{ "zzzzzzzzzzzzzzzzzzzzzz = 1", FILE_NAME ":1: unknown key 'zzzzzzzzzz" },
	{ "[limits]\ncommands = 1\ncommands = 2", ":3: 'limits.commands' is there twice" },
	{ "[limits]\ncommands = 0", "from 1 to 256" },
	{ "[limits]\ncommands = 257", "from 1 to 256" },
	{ "[limits]\nceilings = 257", "from 1 to 256" },
	{ "[limits]\nconnections = 65", "from 1 to 64" },
	{ "[limits]\nmemory_mib = 15", "from 16" },
	{ "[limits]\nmemory_mib = 1073741825", "to 1073741824" },
	{ "[limits]\npids = 7", "from 8" },
	{ "[limits]\npids = many", "whole number" },
	{ "[limits]\ncpu_percent = 0", "from 1" },
	{ "[limits]\ncpu_percent = 1000001", "to 1000000" },
	{ "[sandbox]\nallow_network = 1", "must be true or false" },
	{ "allowed_approval_policies = []", "must not be empty" },
	{ "allowed_approval_policies = [\"alway\"]", "entry 1: 'alway' is not one of" },
	{ "allowed_approval_policies = never", "must be a list" },
	{ "allowed_sandbox_modes = []", "must contain 'read-only'" },
	{ "allowed_sandbox_modes = [\"workspace-write\"]", "must contain 'read-only'" },
	{ "allowed_sandbox_modes = [\"read-only\", \"workspace_write\"]",
	  "did you mean 'workspace-write'?" },
	{ "allowed_web_search_modes = [\"life\"]", "did you mean 'live'?" },
	{ "[permissions.filesystem]\ndeny_read = [\"./a\"]", "neither an absolute path" },
	{ "[permissions.filesystem]\ndeny_read = [\"a\"]", "neither an absolute path" },
	{ "[permissions.filesystem]\ndeny_read = [\"\"]", "neither an absolute path" },
	{ "[permissions.filesystem]\ndeny_read = [\"~root/a\"]", "neither an absolute path" },
	{ "[permissions.filesystem]\ndeny_read = [\"/a/./b\"]", "have no place here" },
	{ "[permissions.filesystem]\ndeny_read = [\"/a/..\"]", "have no place here" },
	{ "[permissions.filesystem]\ndeny_read = [\"/a/**/b\"]", "have no place here" },
	{ "[permissions.filesystem]\ndeny_read = [1]", "must be a text" },
	{ "[audit]\nlog = journal", "'journal' is not one of file, syslog, off" },
	{ "[audit]\nrequired = yes", "must be true or false" },
	{ "[rules]\nprefix_rules = { }", "must be a list" },
	{ "[rules]\nprefix_rules = [1]", "entry 1: must be a table" },
	{ "[rules]\nprefix_rules = [{ decision = \"prompt\" }]", "'pattern' is missing" },
	{ "[rules]\nprefix_rules = [{ pattern = [{token=\"a\"}] }]", "'decision' is missing" },
	{ "[rules]\nprefix_rules = [{ pattern = [], decision = \"prompt\" }]",
	  "pattern: must be a list of 1 to 64" },
	{ "[rules]\nprefix_rules = [{ pattern = [{token=\"a\"}], decision = \"allow\" }]",
	  "can only tighten" },
	{ "[rules]\nprefix_rules = [{ pattern = [{token=\"a\"}], decision = \"ask\" }]",
	  "must be 'prompt' or 'forbidden'" },
	{ "[rules]\nprefix_rules = [{ pattern = [{token=\"a\"}], decision = 1 }]",
	  "must be 'prompt' or 'forbidden'" },
	{ "[rules]\nprefix_rules = [{ pattern = [{token=\"a\"}], decision = \"prompt\", "
	  "justificaton = \"x\" }]",
	  "did you mean 'justification'?" },
	{ "[rules]\nprefix_rules = [{ pattern = [{token=\"a\"}], decision = \"prompt\", "
	  "justification = \"\" }]",
	  "justification: must be a text" },
	{ "[rules]\nprefix_rules = [{ pattern = [{tokn=\"a\"}], decision = \"prompt\" }]",
	  "pattern: entry 1: unknown key 'tokn'" },
	{ "[rules]\nprefix_rules = [{ pattern = [{}], decision = \"prompt\" }]",
	  "either 'token' or 'any_of'" },
	{ "[rules]\nprefix_rules = [{ pattern = [{token=\"a\", any_of=[\"b\"]}], "
	  "decision = \"prompt\" }]",
	  "either 'token' or 'any_of'" },
	{ "[rules]\nprefix_rules = [{ pattern = [{token=\"\"}], decision = \"prompt\" }]",
	  "token: must be a text" },
	{ "[rules]\nprefix_rules = [{ pattern = [{any_of=[]}], decision = \"prompt\" }]",
	  "any_of: must be a list" },
	{ "[rules]\nprefix_rules = [{ pattern = [{any_of=[1]}], decision = \"prompt\" }]",
	  "any_of: entry 1 must be a text" },
	{ "garbage", FILE_NAME ":1: " },
	{ "[limits", FILE_NAME ":1: " },
	{ "[permissions.filesystem]\ndeny_read = [\"/a\"", FILE_NAME ":2: " },
};

static void whatever_is_wrong_is_said_with_its_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		json_t *json = NULL;
		struct err err = { 0 };

		if (requirements_parse(&json, wrong[i].text, FILE_NAME, HOME, &err) == 0)
			fail_msg("%s: was taken", wrong[i].text);
		assert_null(json);
		if (!strstr(err.text, wrong[i].sentence) || !str_starts(err.text, FILE_NAME ":"))
			fail_msg("%s: %s", wrong[i].text, err.text);
	}
}

static void without_a_home_folder_no_entry_may_begin_there(void **state)
{
	json_t *json = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(requirements_parse(&json,
					    "[permissions.filesystem]\ndeny_read = [\"~/a\"]",
					    FILE_NAME, NULL, &err),
			 ERR_INVALID);
	assert_non_null(strstr(err.text, "no home folder"));
}

/* So many entries, or one fewer. */
static int with_entries(const char *before, const char *entry, size_t count, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(REQUIREMENTS_FILE_MAX);
	json_auto_t *json = NULL;

	assert_int_equal(buf_puts(&text, before, err), 0);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(buf_puts(&text, entry, err), 0);
	assert_int_equal(buf_puts(&text, "]\n", err), 0);
	return requirements_parse(&json, buf_str(&text), FILE_NAME, HOME, err);
}

static void lists_are_bounded(void **state)
{
	static const struct {
		const char *before;
		const char *entry;
		size_t max;
	} rows[] = {
		{ "[permissions.filesystem]\ndeny_read = [", "\"/a\",", 64 },
		{ "[rules]\nprefix_rules = [", "{pattern=[{token=\"a\"}],decision=\"prompt\"},",
		  256 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = { 0 };

		if (with_entries(rows[i].before, rows[i].entry, rows[i].max, &err) < 0)
			fail_msg("%s", err.text);
		assert_true(with_entries(rows[i].before, rows[i].entry, rows[i].max + 1, &err) < 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(every_key_becomes_a_member),
		FIXTURE_TEST(whatever_is_wrong_is_said_with_its_line),
		FIXTURE_TEST(without_a_home_folder_no_entry_may_begin_there),
		FIXTURE_TEST(lists_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
