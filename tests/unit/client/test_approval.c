#include <string.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "client/approval.h"
#include "tests/support/fixture.h"

static const struct agent_permission_option options[] = {
	{ .option_id = "o1", .name = "Yes", .kind = AGENT_OPTION_KIND_ALLOW_ONCE },
	{ .option_id = "o2", .name = "Always", .kind = AGENT_OPTION_KIND_ALLOW_ALWAYS },
	{ .option_id = "o3", .name = "No", .kind = AGENT_OPTION_KIND_REJECT_ONCE },
};

static const struct agent_tool_call deceiving = { .tool_call_id = "c", .title = "echo harmless" };
static const struct agent_session_request_permission request = { .tool_call = &deceiving,
								 .options = options,
								 .options_count = 3 };

static const char *const argv[] = { "rm", "-rf", "a b", "line 1\nline 2",
				    "\xe2\x80\xae"
				    "txt" };
static const char *const env[] = { "PAGER=cat", "COLORTERM=" };

static struct broker_grant_record record_of(void)
{
	return (struct broker_grant_record){
		.argv = { .items = argv, .count = ARRAY_LEN(argv) },
		.cwd = "/work\033[2J",
		.env = { .items = env, .count = ARRAY_LEN(env) },
		.mode = SANDBOX_MODE_DANGER_FULL_ACCESS,
		.network = true,
		.input = "*** Begin Patch\n+x\n",
		.reason = "trust me\n  sandbox   read-only",
	};
}

static void everything_that_was_stored_is_shown(void **state)
{
	static const char *const parts[] = {
		"rm -rf 'a b' $'line 1\\nline 2' $'\\u202etxt'",
		"    | line 1\n    | line 2\n",
		"/work\\x1b[2J",
		"PAGER=cat, COLORTERM removed",
		"NONE: it may do whatever you may do",
		"network   ON",
		"19 bytes on its standard input:\n    | *** Begin Patch\n    | +x\n",
		"its words, not checked",
		"    | trust me\n    |   sandbox   read-only\n",
	};
	struct broker_grant_record record = record_of();
	struct buf out SCOPED(buf_deinit) = BUF_INIT(65536);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(approval_show(&out, false, &record, &request, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (!strstr(buf_str(&out), parts[i]))
			fail_msg("'%s' is not in\n%s", parts[i], buf_str(&out));
	}
}

static void what_agentd_says_about_a_record_is_not_shown(void **state)
{
	struct broker_grant_record record = record_of();
	struct buf out SCOPED(buf_deinit) = BUF_INIT(65536);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(approval_show(&out, true, &record, &request, &err), 0);
	assert_null(strstr(buf_str(&out), "harmless"));
	assert_null(strstr(buf_str(&out), "\033[2J"));
}

static void a_long_command_is_not_cut(void **state)
{
	static char word[100001];
	const char *words[] = { "echo", word };
	struct broker_grant_record record = record_of();
	struct buf out SCOPED(buf_deinit) = BUF_INIT(1 << 20);
	struct err err = { 0 };

	(void)state;
	memset(word, 'x', sizeof word - 1);
	word[sizeof word - 2] = 'Y';
	record.argv.items = words;
	record.argv.count = 2;
	assert_int_equal(approval_show(&out, false, &record, &request, &err), 0);
	assert_non_null(strstr(buf_str(&out), "xY\n"));
}

static void a_question_inside_the_sandbox_says_so(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(65536);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(approval_show(&out, false, NULL, &request, &err), 0);
	assert_non_null(strstr(buf_str(&out), "inside the sandbox"));
	assert_non_null(strstr(buf_str(&out), "    | echo harmless"));
}

static void only_a_clear_word_is_an_answer(void **state)
{
	static const struct {
		const char *line;
		enum approval_answer answer;
	} rows[] = {
		{ "y", APPROVAL_ONCE },       { " YES \r", APPROVAL_ONCE },
		{ "a", APPROVAL_ALWAYS },     { "always", APPROVAL_ALWAYS },
		{ "n", APPROVAL_REJECT },     { "No", APPROVAL_REJECT },
		{ "", APPROVAL_NO_ANSWER },   { "  ", APPROVAL_NO_ANSWER },
		{ "ye", APPROVAL_NO_ANSWER }, { "yes please", APPROVAL_NO_ANSWER },
		{ "1", APPROVAL_NO_ANSWER },  { "fix the yes", APPROVAL_NO_ANSWER },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (approval_read(rows[i].line) != rows[i].answer)
			fail_msg("'%s'", rows[i].line);
	}
}

static void an_answer_and_its_option_belong_together(void **state)
{
	const struct agent_session_request_permission two = { .tool_call = &deceiving,
							      .options = &options[2],
							      .options_count = 1 };

	(void)state;
	assert_string_equal(approval_option(&request, APPROVAL_ONCE), "o1");
	assert_string_equal(approval_option(&request, APPROVAL_ALWAYS), "o2");
	assert_string_equal(approval_option(&request, APPROVAL_REJECT), "o3");
	assert_null(approval_option(&two, APPROVAL_ALWAYS));
	assert_int_equal(approval_meaning(&request, "o2"), APPROVAL_ALWAYS);
	assert_int_equal(approval_meaning(&request, "unheard of"), APPROVAL_REJECT);
	assert_int_equal(approval_meaning(&request, NULL), APPROVAL_REJECT);
	assert_int_equal(approval_decision(APPROVAL_NO_ANSWER), DECISION_DENY);
	assert_int_equal(approval_decision(APPROVAL_REJECT), DECISION_DENY);
	assert_int_equal(approval_decision(APPROVAL_ONCE), DECISION_ONCE);
	assert_int_equal(approval_decision(APPROVAL_ALWAYS), DECISION_SESSION);
}

static void only_what_is_offered_is_asked_for(void **state)
{
	const struct agent_session_request_permission two = { .tool_call = &deceiving,
							      .options = &options[2],
							      .options_count = 1 };
	struct buf all SCOPED(buf_deinit) = BUF_INIT(1024);
	struct buf some SCOPED(buf_deinit) = BUF_INIT(1024);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(approval_ask(&all, &request, &err), 0);
	assert_non_null(strstr(buf_str(&all), "Allow? [y/a/n] "));
	assert_int_equal(approval_ask(&some, &two, &err), 0);
	assert_non_null(strstr(buf_str(&some), "Allow? [y/n] "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(everything_that_was_stored_is_shown),
		FIXTURE_TEST(what_agentd_says_about_a_record_is_not_shown),
		FIXTURE_TEST(a_long_command_is_not_cut),
		FIXTURE_TEST(a_question_inside_the_sandbox_says_so),
		FIXTURE_TEST(only_a_clear_word_is_an_answer),
		FIXTURE_TEST(an_answer_and_its_option_belong_together),
		FIXTURE_TEST(only_what_is_offered_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
