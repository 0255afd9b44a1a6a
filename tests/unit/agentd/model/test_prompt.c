#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/model/prompt.h"
#include "tests/support/fixture.h"

#define TEXT_MAX 65536U

static const char *const roots[] = { "/w", "/tmp" };

static void the_instructions_describe_every_tool_and_the_patch_format(void **state)
{
	static const char *const words[] = {
		"exec_command",      "write_stdin",       "apply_patch",       "update_plan",
		"require_escalated", "justification",     "AGENTS.md",         "*** Begin Patch",
		"*** Add File: ",    "*** Update File: ", "*** Delete File: ", "*** Move to: ",
		"*** End of File",   "*** End Patch"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!strstr(prompt_instructions(), words[i]))
			fail_msg("'%s' is missing", words[i]);
	}
	assert_true(str_ends(prompt_instructions(), "\n"));
	assert_true(str_is_utf8(prompt_instructions(), strlen(prompt_instructions())));
}

static void permissions(struct buf *out, enum sandbox_mode sandbox, enum approval_policy approval,
			bool network)
{
	const struct prompt_bounds bounds = { .sandbox = sandbox,
					      .approval = approval,
					      .network = network,
					      .roots = roots,
					      .root_count = ARRAY_LEN(roots) };

	buf_clear(out);
	assert_int_equal(prompt_permissions(out, &bounds, NULL), 0);
}

static void every_mode_and_policy_is_told_by_its_name(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);

	(void)state;
	for (int s = 1; s < SANDBOX_MODE_COUNT; s++) {
		for (int a = 1; a < APPROVAL_POLICY_COUNT; a++) {
			const char *policy = a == APPROVAL_POLICY_ON_FAILURE
						     ? "on-request"
						     : names_get(&approval_policy_names, a);

			permissions(&out, (enum sandbox_mode)s, (enum approval_policy)a, false);
			assert_true(str_starts(buf_str(&out), "<permissions>\n"));
			assert_true(str_ends(buf_str(&out), "\n</permissions>"));
			assert_non_null(strstr(buf_str(&out), names_get(&sandbox_mode_names, s)));
			assert_non_null(strstr(buf_str(&out), policy));
			assert_int_equal(strstr(buf_str(&out), "\n- /w\n- /tmp\n") != NULL,
					 s == SANDBOX_MODE_WORKSPACE_WRITE);
		}
	}
}

static void what_nobody_set_allows_nothing(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);

	(void)state;
	permissions(&out, SANDBOX_MODE_NONE, APPROVAL_POLICY_NONE, false);
	assert_string_equal(buf_str(&out),
			    "<permissions>\nNo command can run. The network is closed.\n"
			    "Nothing is approved.\n</permissions>");
}

static void the_network_is_told(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);

	(void)state;
	permissions(&out, SANDBOX_MODE_WORKSPACE_WRITE, APPROVAL_POLICY_NEVER, true);
	assert_non_null(strstr(buf_str(&out), "The network is open."));
	permissions(&out, SANDBOX_MODE_WORKSPACE_WRITE, APPROVAL_POLICY_NEVER, false);
	assert_non_null(strstr(buf_str(&out), "The network is closed."));
}

static void commits_are_told_where_they_work(void **state)
{
	struct prompt_bounds bounds = { .sandbox = SANDBOX_MODE_WORKSPACE_WRITE };
	struct buf out SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);

	(void)state;
	assert_int_equal(prompt_permissions(&out, &bounds, NULL), 0);
	assert_non_null(strstr(buf_str(&out), "`.git`, `.agents`"));
	assert_null(strstr(buf_str(&out), "commit"));
	buf_clear(&out);
	bounds.commits = true;
	assert_int_equal(prompt_permissions(&out, &bounds, NULL), 0);
	assert_non_null(strstr(buf_str(&out), "`git commit` works"));
}

static void the_environment_is_this_block(void **state)
{
	const struct prompt_place place = { "/w", "bash", "2026-05-01", "Europe/Berlin" };
	const struct prompt_place bare = { .cwd = "/w" };
	const struct prompt_bounds bounds = { .sandbox = SANDBOX_MODE_READ_ONLY };
	const struct prompt_bounds full = { .sandbox = SANDBOX_MODE_DANGER_FULL_ACCESS };
	struct buf out SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);

	(void)state;
	assert_int_equal(prompt_environment(&out, &place, &bounds, NULL), 0);
	assert_string_equal(buf_str(&out), "<environment_context>\n"
					   "  <cwd>/w</cwd>\n"
					   "  <shell>bash</shell>\n"
					   "  <current_date>2026-05-01</current_date>\n"
					   "  <timezone>Europe/Berlin</timezone>\n"
					   "  <sandbox_mode>read-only</sandbox_mode>\n"
					   "  <network_access>restricted</network_access>\n"
					   "</environment_context>");
	buf_clear(&out);
	assert_int_equal(prompt_environment(&out, &bare, &full, NULL), 0);
	assert_string_equal(buf_str(&out), "<environment_context>\n"
					   "  <cwd>/w</cwd>\n"
					   "  <sandbox_mode>danger-full-access</sandbox_mode>\n"
					   "  <network_access>enabled</network_access>\n"
					   "</environment_context>");
}

static void an_item_is_a_message_with_one_text(void **state)
{
	json_t *item = prompt_item("developer", "rules");
	char *text = json_dumps(item, JSON_COMPACT);

	(void)state;
	assert_string_equal(text, "{\"type\":\"message\",\"role\":\"developer\",\"content\":"
				  "[{\"type\":\"input_text\",\"text\":\"rules\"}]}");
	free(text);
	json_decref(item);
	assert_null(prompt_item("user", "\xff"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(the_instructions_describe_every_tool_and_the_patch_format),
		FIXTURE_TEST(every_mode_and_policy_is_told_by_its_name),
		FIXTURE_TEST(what_nobody_set_allows_nothing),
		FIXTURE_TEST(the_network_is_told),
		FIXTURE_TEST(commits_are_told_where_they_work),
		FIXTURE_TEST(the_environment_is_this_block),
		FIXTURE_TEST(an_item_is_a_message_with_one_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
