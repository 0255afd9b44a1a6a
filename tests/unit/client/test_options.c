#include <string.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "client/options.h"
#include "tests/support/fixture.h"

struct parsed {
	struct options options;
	struct err err;
	int rc;
};

static void parsed_deinit(struct parsed *parsed)
{
	options_deinit(&parsed->options);
}

/* Words are NULL-terminated. */
static void parse(struct parsed *out, const char *const *argv)
{
	size_t argc = 0;

	while (argv[argc])
		argc++;
	*out = (struct parsed){ .rc = 0 };
	out->rc = options_parse(&out->options, argv, argc, &out->err);
}

#define PARSE(parsed, ...) parse(&(parsed), (const char *const[]){ __VA_ARGS__, NULL })

static void the_vector_of_the_sdk_is_understood(void **state)
{
	struct parsed got SCOPED(parsed_deinit) = { 0 };
	size_t configs = 0;

	(void)state;
	PARSE(got, "exec", "--experimental-json", "--config", "a=1", "--config",
	      "openai_base_url=\"x\"", "--model", "m", "--thread-source", "s", "--sandbox",
	      "workspace-write", "--cd", "/w", "--add-dir", "/d", "--skip-git-repo-check",
	      "--output-schema", "/f", "--config", "approval_policy=\"never\"", "resume", "0199",
	      "--image", "/i.png");
	if (got.rc < 0)
		fail_msg("%s", got.err.text);
	assert_int_equal(got.options.command, COMMAND_EXEC);
	assert_int_equal(got.options.word_count, 2);
	assert_string_equal(got.options.words[0], "resume");
	assert_string_equal(got.options.words[1], "0199");
	assert_null(got.options.words[2]);
	assert_true(options_has(&got.options, OPTION_JSON));
	assert_string_equal(options_value(&got.options, OPTION_IMAGE), "/i.png");
	for (size_t i = 0; i < got.options.use_count; i++)
		configs += got.options.uses[i].id == OPTION_CONFIG ? 1 : 0;
	assert_int_equal(configs, 3);
}

static void an_option_is_written_in_several_ways(void **state)
{
	static const char *const rows[][3] = {
		{ "--model", "x", NULL }, { "--model=x", NULL }, { "-m", "x", NULL },
		{ "-mx", NULL },          { "-m=x", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct parsed got SCOPED(parsed_deinit) = { 0 };

		parse(&got, rows[i]);
		if (got.rc < 0 || !str_eq(options_value(&got.options, OPTION_MODEL), "x"))
			fail_msg("%s", rows[i][0]);
	}
}

static void the_last_of_several_values_counts(void **state)
{
	struct parsed got SCOPED(parsed_deinit) = { 0 };

	(void)state;
	PARSE(got, "-m", "a", "-m", "b", "--yolo");
	assert_string_equal(options_value(&got.options, OPTION_MODEL), "b");
	assert_true(options_has(&got.options, OPTION_BYPASS));
	assert_null(options_value(&got.options, OPTION_CD));
}

static void the_command_line_of_sandbox_keeps_its_own_options(void **state)
{
	static const struct {
		const char *argv[8];
		const char *first;
		size_t count;
	} rows[] = {
		{ { "sandbox", "ls", "-l", "--color" }, "ls", 3 },
		{ { "sandbox", "--full-auto", "--", "-x" }, "-x", 1 },
		{ { "sandbox", "linux", "ls" }, "ls", 1 },
		{ { "debug", "landlock", "-s", "read-only", "ls" }, "ls", 1 },
		{ { "sandbox", "--", "linux" }, "linux", 1 },
		{ { "sandbox", "linux", "linux" }, "linux", 1 },
		{ { "sandbox", "exec", "-h" }, "exec", 2 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct parsed got SCOPED(parsed_deinit) = { 0 };

		parse(&got, rows[i].argv);
		if (got.rc < 0 || got.options.command != COMMAND_SANDBOX ||
		    got.options.word_count != rows[i].count ||
		    !str_eq(got.options.words[0], rows[i].first))
			fail_msg("row %zu: %s", i, got.err.text);
	}
}

static void options_may_stand_before_the_command(void **state)
{
	struct parsed got SCOPED(parsed_deinit) = { 0 };
	struct parsed wrong SCOPED(parsed_deinit) = { 0 };

	(void)state;
	PARSE(got, "-c", "model=x", "exec", "do it");
	assert_int_equal(got.rc, 0);
	assert_int_equal(got.options.command, COMMAND_EXEC);
	PARSE(wrong, "-a", "never", "exec", "do it");
	assert_int_equal(wrong.rc, ERR_INVALID);
	assert_non_null(strstr(wrong.err.text, "--ask-for-approval"));
}

static void what_is_not_known_is_named_with_the_nearest(void **state)
{
	static const struct {
		const char *argv[4];
		const char *says;
	} rows[] = {
		{ { "--modle", "x" }, "did you mean '--model'" },
		{ { "exec", "--jsn" }, "did you mean '--json'" },
		{ { "exec", "-a", "never" }, "unknown option '-a'" },
		{ { "sandbox", "--ful-auto", "ls" }, "did you mean '--full-auto'" },
		{ { "exec", "--zzzzzzzzzz" }, "agent exec --help" },
		{ { "sesions" }, "did you mean 'sessions'" },
		{ { "exec", "--model" }, "needs a value" },
		{ { "exec", "-m" }, "needs a value" },
		{ { "exec", "--json=1" }, "takes no value" },
		{ { "attach", "-rx" }, "unknown option '-rx'" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct parsed got SCOPED(parsed_deinit) = { 0 };

		parse(&got, rows[i].argv);
		if (got.rc != ERR_INVALID || !strstr(got.err.text, rows[i].says))
			fail_msg("row %zu: %s", i, got.err.text);
	}
}

static void a_prompt_is_what_is_left(void **state)
{
	struct parsed got SCOPED(parsed_deinit) = { 0 };
	struct parsed single SCOPED(parsed_deinit) = { 0 };

	(void)state;
	PARSE(got, "fix", "exec", "please");
	assert_int_equal(got.options.command, COMMAND_CHAT);
	assert_int_equal(got.options.word_count, 3);
	PARSE(single, "--", "sesions");
	assert_int_equal(single.rc, 0);
}

static void help_is_there_for_every_command(void **state)
{
	struct parsed asked SCOPED(parsed_deinit) = { 0 };

	(void)state;
	for (unsigned id = COMMAND_CHAT; id < COMMAND_COUNT; id++) {
		struct buf text SCOPED(buf_deinit) = BUF_INIT(65536);
		struct err err = { 0 };

		assert_int_equal(options_help(&text, (enum command_id)id, &err), 0);
		if (!strstr(buf_str(&text), "Usage: agent") || !strstr(buf_str(&text), "--help"))
			fail_msg("command %u: %s", id, buf_str(&text));
	}
	PARSE(asked, "help", "sandbox");
	assert_true(options_has(&asked.options, OPTION_HELP));
	assert_int_equal(asked.options.command, COMMAND_SANDBOX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(the_vector_of_the_sdk_is_understood),
		FIXTURE_TEST(an_option_is_written_in_several_ways),
		FIXTURE_TEST(the_last_of_several_values_counts),
		FIXTURE_TEST(the_command_line_of_sandbox_keeps_its_own_options),
		FIXTURE_TEST(options_may_stand_before_the_command),
		FIXTURE_TEST(what_is_not_known_is_named_with_the_nearest),
		FIXTURE_TEST(a_prompt_is_what_is_left),
		FIXTURE_TEST(help_is_there_for_every_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
