#include <stdio.h>
#include <string.h>

#include "proto/base/attr.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/conf.h"
#include "proto/conf/env.h"

#include "tests/support/fixture.h"

static char variables[][64] = {
	"HOME=/h",          "PATH=/bin",      "LANG=C",        "MY_API_KEY=1",  "Aws_Secret=2",
	"github_token=3",   "PASSWORD=4",     "DB_PASSWD=5",   "CREDENTIALS=6", "OPENAI_API_KEY=7",
	"CODEX_API_KEY=8",  "AGENTD_HOME=/a", "LOCAL_LOGIN=9", "HEADER_VAR=10", "EDITOR=vi",
	"EDITOR_OPTIONS=x", "=odd",           "odd",
};

static char *environment[ARRAY_LEN(variables) + 1];

/* The names that come through, in order, with a blank behind each. */
static void filtered(char *out, size_t size, const char *settings, const char *path_first)
{
	struct conf *conf SCOPED(conf_release) = NULL;
	struct conf_input input = { .config_dir = fixture_dir() };
	struct env_rules rules = { 0 };
	struct env env SCOPED(env_deinit) = { 0 };
	struct err err = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(variables); i++)
		environment[i] = variables[i];
	(void)fixture_file("config.ini", settings, strlen(settings));
	if (conf_load(&conf, &input, &err) < 0)
		fail_msg("%s", err.text);
	env_rules_from_conf(&rules, conf);
	rules.path_first = path_first;
	if (env_filter(&env, environment, &rules, &err) < 0)
		fail_msg("%s", err.text);
	assert_null(env.items[env.count]);
	*out = '\0';
	for (size_t i = 0; i < env.count; i++)
		(void)snprintf(out + strlen(out), size - strlen(out), "%s ", env.items[i]);
}

static void the_settings_decide_what_commands_see(void **state)
{
	static const struct {
		const char *settings;
		const char *want;
	} rows[] = {
		{ "", "HOME=/h PATH=/bin LANG=C LOCAL_LOGIN=9 HEADER_VAR=10 EDITOR=vi "
		      "EDITOR_OPTIONS=x " },
		{ "[shell_environment_policy]\ninherit = core\n", "HOME=/h PATH=/bin " },
		{ "[shell_environment_policy]\ninherit = none\nset.A = 1\n", "A=1 " },
		{ "[shell_environment_policy]\nexclude = [\"editor*\", \"LANG\"]\n",
		  "HOME=/h PATH=/bin LOCAL_LOGIN=9 HEADER_VAR=10 " },
		{ "[shell_environment_policy]\ninclude_only = [\"EDITOR*\", \"B\"]\n"
		  "[shell_environment_policy.set]\nA = 1\nB = 2\n",
		  "EDITOR=vi EDITOR_OPTIONS=x B=2 " },
		{ "[shell_environment_policy]\ninherit = core\nset.HOME = \"/other\"\n",
		  "PATH=/bin HOME=/other " },
	};
	char got[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		filtered(got, sizeof got, rows[i].settings, NULL);
		if (!str_eq(got, rows[i].want))
			fail_msg("%s\n-> %s", rows[i].settings, got);
	}
}

static void keys_of_the_provider_and_own_variables_never_come_through(void **state)
{
	static const char settings[] =
		"[shell_environment_policy]\nignore_default_excludes = true\n"
		"[shell_environment_policy.set]\nAGENTD_X = 1\nLOCAL_LOGIN = 2\n"
		"[model_providers.local]\nenv_key = LOCAL_LOGIN\n"
		"[model_providers.local.env_http_headers]\nX = \"HEADER_VAR\"\n";
	static const char *const dropped[] = { "LOCAL_LOGIN", "HEADER_VAR", "AGENTD_",
					       "OPENAI_API_KEY", "CODEX_API_KEY" };
	char got[1024];

	(void)state;
	filtered(got, sizeof got, settings, NULL);
	for (size_t i = 0; i < ARRAY_LEN(dropped); i++) {
		if (strstr(got, dropped[i]))
			fail_msg("%s in %s", dropped[i], got);
	}
	assert_non_null(strstr(got, "MY_API_KEY=1")); /* asked for in the settings */
}

static void the_folder_of_own_tools_comes_first_on_path(void **state)
{
	char got[1024];

	(void)state;
	filtered(got, sizeof got, "", "/own");
	assert_non_null(strstr(got, "PATH=/own:/bin "));
	filtered(got, sizeof got, "[shell_environment_policy.set]\nPATH = \"/x\"\n", "/own");
	assert_non_null(strstr(got, "PATH=/own:/x "));
	assert_null(strstr(got, "/bin"));
}

static void own_tools_are_functions_where_the_profile_sets_path_anew(void **state)
{
	char got[2048];

	(void)state;
	filtered(got, sizeof got, "[shell_environment_policy]\ninherit = none\n", "/own");
	assert_string_equal(got, "BASH_FUNC_apply_patch%%=() { '/own/apply_patch' \"$@\"; } "
				 "BASH_FUNC_applypatch%%=() { '/own/applypatch' \"$@\"; } ");
	filtered(got, sizeof got, "[shell_environment_policy]\ninherit = none\n", "/o'; x $(y) '");
	assert_true(str_starts(got,
			       "BASH_FUNC_apply_patch%%=() { '/o'\\''; x $(y) '\\''/apply_patch' "
			       "\"$@\"; } "));
	filtered(got, sizeof got, "", NULL);
	assert_null(strstr(got, "BASH_FUNC"));
}

static void without_a_terminal_there_are_no_colors_and_no_pagers(void **state)
{
	static char own[][32] = { "PAGER=less", "LANG=de_DE", "TERM=xterm", "HOME=/h",
				  "AGENTD_CI=0" };
	static const char *const wanted[] = {
		"HOME=/h",    "PAGER=cat",    "LANG=C.UTF-8",   "TERM=dumb",
		"NO_COLOR=1", "AGENTD_CI=1",  "COLORTERM=",     "GIT_PAGER=cat",
		"CODEX_CI=1", "GH_PAGER=cat", "LC_ALL=C.UTF-8", "LC_CTYPE=C.UTF-8"
	};
	char *list[ARRAY_LEN(own) + 1] = { NULL };
	json_auto_t *set = json_pack("{s:s}", "GIT_PAGER", "less");
	struct env_rules rules = { .inherit = ENV_INHERIT_ALL, .set = set, .unattended = true };
	struct env env SCOPED(env_deinit) = { 0 };
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		list[i] = own[i];
	assert_int_equal(env_filter(&env, list, &rules, &err), 0);
	assert_int_equal(env.count, ARRAY_LEN(wanted)); /* each name once */
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		bool there = false;

		for (size_t j = 0; j < env.count; j++)
			there = there || str_eq(env.items[j], wanted[i]);
		if (!there)
			fail_msg("%s", wanted[i]);
	}
}

static void a_name_that_cannot_be_set_is_refused(void **state)
{
	json_auto_t *set = json_pack("{s:s}", "a=b", "1");
	struct env_rules rules = { .inherit = ENV_INHERIT_ALL, .set = set };
	struct env env = { 0 };
	struct err err = { 0 };
	char *none[] = { NULL };

	(void)state;
	assert_int_equal(env_filter(&env, none, &rules, &err), ERR_INVALID);
}

static void the_number_of_variables_has_a_limit(void **state)
{
	static char *many[ENV_MAX + 2];
	static char item[] = "A=1";
	struct env_rules rules = { .inherit = ENV_INHERIT_ALL };
	struct env env = { 0 };
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ENV_MAX; i++)
		many[i] = item;
	assert_int_equal(env_filter(&env, many, &rules, &err), 0);
	env_deinit(&env);
	many[ENV_MAX] = item;
	assert_int_equal(env_filter(&env, many, &rules, &err), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(the_settings_decide_what_commands_see),
		FIXTURE_TEST(keys_of_the_provider_and_own_variables_never_come_through),
		FIXTURE_TEST(the_folder_of_own_tools_comes_first_on_path),
		FIXTURE_TEST(own_tools_are_functions_where_the_profile_sets_path_anew),
		FIXTURE_TEST(without_a_terminal_there_are_no_colors_and_no_pagers),
		FIXTURE_TEST(a_name_that_cannot_be_set_is_refused),
		FIXTURE_TEST(the_number_of_variables_has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
