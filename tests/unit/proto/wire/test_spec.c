#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/wire/spec.h"

#include "tests/support/fixture.h"

#define WORDS_MAX 8

/* A list of texts, ended by NULL, as the codec hands it out. */
static struct wire_strings words(const char *const *items)
{
	struct wire_strings out = { .items = items };

	while (items[out.count])
		out.count++;
	return out;
}

static struct broker_grant_record spec_of(const char *const *argv, const char *const *env)
{
	return (struct broker_grant_record){
		.argv = words(argv), .env = words(env), .cwd = "/w", .mode = SANDBOX_MODE_READ_ONLY
	};
}

static const char *const nothing[] = { NULL };
static const char *const ls[] = { "ls", "-l", NULL };

static void a_command_names_a_program_a_folder_and_a_mode(void **state)
{
	static const char *const empty_name[] = { "", "x", NULL };
	static const struct row {
		const char *name;
		const char *const *argv;
		const char *cwd;
		enum sandbox_mode mode;
		int code;
	} rows[] = {
		{ "plain", ls, "/w", SANDBOX_MODE_READ_ONLY, 0 },
		{ "wide", ls, "/", SANDBOX_MODE_DANGER_FULL_ACCESS, 0 },
		{ "no argument", nothing, "/w", SANDBOX_MODE_READ_ONLY, ERR_INVALID },
		{ "empty program", empty_name, "/w", SANDBOX_MODE_READ_ONLY, ERR_INVALID },
		{ "no folder", ls, NULL, SANDBOX_MODE_READ_ONLY, ERR_INVALID },
		{ "relative folder", ls, "w", SANDBOX_MODE_READ_ONLY, ERR_INVALID },
		{ "empty folder", ls, "", SANDBOX_MODE_READ_ONLY, ERR_INVALID },
		{ "no mode", ls, "/w", SANDBOX_MODE_NONE, ERR_INVALID },
		{ "unknown mode", ls, "/w", SANDBOX_MODE_COUNT, ERR_INVALID },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct broker_grant_record spec = { .argv = words(rows[i].argv),
						    .cwd = rows[i].cwd,
						    .mode = rows[i].mode };
		struct err err = { 0 };

		if (spec_check(&spec, BROKER_ROLE_DAEMON, &err) != rows[i].code)
			fail_msg("%s: %d %s", rows[i].name, err.code, err.text);
	}
}

static int check_env(const char *entry, enum broker_role role)
{
	const char *env[] = { entry, NULL };
	struct broker_grant_record spec = spec_of(ls, env);
	struct err err = { 0 };

	return spec_check(&spec, role, &err);
}

static void agentd_cannot_set_what_makes_programs_load_code(void **state)
{
	static const char *const refused[] = {
		"LD_PRELOAD=/w/x.so",
		"LD_LIBRARY_PATH=/w",
		"LD_AUDIT=x",
		"LD_=x",
		"GCONV_PATH=x",
		"GLIBC_TUNABLES=x",
		"BASH_ENV=x",
		"BASH_FUNC_ls=() { x; }",
		"ENV=x",
		"IFS=x",
		"PS4=$(x)",
		"PROMPT_COMMAND=x",
		"PATH=/w",
		"HOME=/w",
		"XDG_CONFIG_HOME=/w",
		"NODE_OPTIONS=--require=x",
		"PYTHONSTARTUP=x",
		"PYTHONPATH=x",
		"PERL5OPT=-Mx",
		"PERL5LIB=x",
		"RUBYOPT=-rx",
		"RUBYLIB=x",
		"JAVA_TOOL_OPTIONS=x",
		"GIT_SSH_COMMAND=x",
		"GIT_EXTERNAL_DIFF=x",
		"GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_GLOBAL=/w/x",
		"GIT_EXEC_PATH=/w",
		"GIT_PAGER=x",
		"PAGER=x",
		"GH_PAGER=cat; x",
		"EDITOR=x",
		"MAKEFLAGS=x",
		"LESSOPEN=|x",
		"OPENSSL_CONF=x",
		"LD_PRELOAD=", /* taking one away may undo what the person's side has set */
		"GIT_CONFIG_NOSYSTEM=",
		"BASH_FUNC_ls%%=() { x; }",
		"A-B=x",
		"1A=x",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		if (check_env(refused[i], BROKER_ROLE_DAEMON) != ERR_DENIED)
			fail_msg("agentd may set %s", refused[i]);
		if (check_env(refused[i], BROKER_ROLE_CLIENT) != 0)
			fail_msg("a client may not set %s", refused[i]);
		if (check_env(refused[i], BROKER_ROLE_NONE) != ERR_DENIED)
			fail_msg("nobody may set %s", refused[i]);
	}
}

static void agentd_can_set_what_only_describes(void **state)
{
	static const char *const allowed[] = {
		"NO_COLOR=1",       "TERM=dumb",     "LANG=C.UTF-8",  "COLORTERM=",
		"PAGER=cat",        "GIT_PAGER=cat", "GH_PAGER=cat",  "AGENTD_CI=1",
		"CODEX_THREAD_ID=", "LDFLAGS=x",     "ENVIRONMENT=x", "GITHUB=x",
		"HOMEPAGE=x",       "_=x",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
		if (check_env(allowed[i], BROKER_ROLE_DAEMON) != 0)
			fail_msg("agentd may not set %s", allowed[i]);
	}
}

static void an_entry_is_a_name_and_a_value(void **state)
{
	static const char *const broken[] = { "", "A", "=x", "=" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		const char *items[] = { broken[i], NULL };
		struct wire_strings base = words(items);
		struct err err = { 0 };

		if (check_env(broken[i], BROKER_ROLE_CLIENT) != ERR_INVALID)
			fail_msg("a change '%s'", broken[i]);
		if (spec_check_base(&base, &err) != ERR_INVALID)
			fail_msg("a base '%s'", broken[i]);
	}
}

/* One text of so many bytes with its NUL; each list of them holds the same one. */
static char *long_text(size_t size)
{
	char *text = malloc(size);

	assert_non_null(text);
	memset(text, 'x', size - 1);
	text[1] = '=';
	text[size - 1] = '\0';
	return text;
}

static void argv_and_env_together_are_bounded(void **state)
{
	char *half = long_text(BROKER_SPEC_MAX / 2);
	char *over = long_text(BROKER_SPEC_MAX / 2 + 1);
	const char *fits[] = { half, NULL };
	const char *exceeds[] = { over, NULL };
	struct broker_grant_record spec = spec_of(fits, fits);
	const char *base_fits[] = { half, half, NULL };
	const char *base_exceeds[] = { half, over, NULL };
	struct wire_strings base = words(base_fits);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(spec_check(&spec, BROKER_ROLE_CLIENT, &err), 0);
	assert_int_equal(spec_check_base(&base, &err), 0);
	spec.env = words(exceeds);
	assert_int_equal(spec_check(&spec, BROKER_ROLE_CLIENT, &err), ERR_LIMIT);
	base = words(base_exceeds);
	assert_int_equal(spec_check_base(&base, &err), ERR_LIMIT);
	free(half);
	free(over);
}

static void the_environment_is_the_base_with_the_changes(void **state)
{
	static const struct row {
		const char *name;
		const char *base[WORDS_MAX];
		const char *changes[WORDS_MAX];
		bool network;
		const char *expected[WORDS_MAX];
	} rows[] = {
		{ "nothing", { NULL }, { NULL }, true, { NULL } },
		{ "sorted", { "B=2", "A=1", NULL }, { NULL }, true, { "A=1", "B=2", NULL } },
		{ "set", { "A=1", NULL }, { "B=2", NULL }, true, { "A=1", "B=2", NULL } },
		{ "replaced", { "A=1", NULL }, { "A=2", NULL }, true, { "A=2", NULL } },
		{ "removed", { "A=1", "B=2", NULL }, { "A=", NULL }, true, { "B=2", NULL } },
		{ "removed what is not there",
		  { "B=2", NULL },
		  { "A=", NULL },
		  true,
		  { "B=2", NULL } },
		{ "empty in the base", { "A=", NULL }, { NULL }, true, { "A=", NULL } },
		{ "last change holds",
		  { NULL },
		  { "A=1", "A=", "A=3", NULL },
		  true,
		  { "A=3", NULL } },
		{ "last of the base holds",
		  { "A=1", "A=2", NULL },
		  { NULL },
		  true,
		  { "A=2", NULL } },
		{ "a name is not its prefix",
		  { "AB=1", "A=2", NULL },
		  { "A=", NULL },
		  true,
		  { "AB=1", NULL } },
		{ "offline",
		  { "Z=1", NULL },
		  { NULL },
		  false,
		  { "AGENTD_SANDBOX_NETWORK_DISABLED=1", "CODEX_SANDBOX_NETWORK_DISABLED=1", "Z=1",
		    NULL } },
		{ "offline cannot be denied",
		  { NULL },
		  { "AGENTD_SANDBOX_NETWORK_DISABLED=", "CODEX_SANDBOX_NETWORK_DISABLED=0", NULL },
		  false,
		  { "AGENTD_SANDBOX_NETWORK_DISABLED=1", "CODEX_SANDBOX_NETWORK_DISABLED=1",
		    NULL } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct wire_strings base = words(rows[i].base);
		struct broker_grant_record spec = spec_of(ls, rows[i].changes);
		struct arena arena SCOPED(arena_deinit) = { 0 };
		struct wire_strings env = { 0 };
		struct err err = { 0 };

		spec.network = rows[i].network;
		assert_int_equal(spec_environment(&env, &base, &spec, &arena, &err), 0);
		for (size_t k = 0; k <= env.count; k++) {
			const char *want = rows[i].expected[k];

			if (k == env.count ? want != NULL
					   : !want || strcmp(env.items[k], want) != 0)
				fail_msg("%s: [%zu] is %s", rows[i].name, k,
					 k == env.count ? "missing" : env.items[k]);
		}
		assert_null(env.items[env.count]);
	}
}

#define PUSH                                                                                       \
	{                                                                                          \
		"git", "push", "origin", NULL                                                      \
	}
#define A1                                                                                         \
	{                                                                                          \
		"A=1", NULL                                                                        \
	}
#define RO SANDBOX_MODE_READ_ONLY

/* Against `git push origin` with A=1 in /w, read-only, with the network. */
/* clang-format off */
static const struct cover {
	const char *name;
	size_t prefix;
	const char *argv[WORDS_MAX];
	const char *env[WORDS_MAX];
	const char *cwd;
	enum sandbox_mode mode;
	bool network;
	bool covered;
} covers[] = {
	{ "same, all",                   0, PUSH, A1, "/w", RO, true, true },
	{ "same, prefix",                2, PUSH, A1, "/w", RO, true, true },
	{ "longer, all",                 0, { "git", "push", "origin", "-f", NULL }, A1, "/w", RO, true, false },
	{ "longer, prefix",              3, { "git", "push", "origin", "-f", NULL }, A1, "/w", RO, true, true },
	{ "shorter, all",                0, { "git", "push", NULL }, A1, "/w", RO, true, false },
	{ "the prefix alone",            2, { "git", "push", NULL }, A1, "/w", RO, true, true },
	{ "shorter than the prefix",     2, { "git", NULL }, A1, "/w", RO, true, false },
	{ "other tail",                  2, { "git", "push", "evil", NULL }, A1, "/w", RO, true, true },
	{ "other in the prefix",         2, { "git", "pull", "origin", NULL }, A1, "/w", RO, true, false },
	{ "longer word in the prefix",   2, { "git", "pushx", "origin", NULL }, A1, "/w", RO, true, false },
	{ "prefix longer than it was",   4, { "git", "push", "origin", "x", NULL }, A1, "/w", RO, true, false },
	{ "other folder",                2, PUSH, A1, "/w/x", RO, true, false },
	{ "wider mode",                  2, PUSH, A1, "/w", SANDBOX_MODE_WORKSPACE_WRITE, true, false },
	{ "without network",             2, PUSH, A1, "/w", RO, false, false },
	{ "other value",                 2, PUSH, { "A=2", NULL }, "/w", RO, true, false },
	{ "more changes",                2, PUSH, { "A=1", "B=1", NULL }, "/w", RO, true, false },
	{ "fewer changes",               2, PUSH, { NULL }, "/w", RO, true, false },
};
/* clang-format on */

static void a_decision_covers_the_same_prefix_and_nothing_else(void **state)
{
	static const char *const argv[] = PUSH;
	static const char *const env[] = A1;
	struct broker_grant_record then = spec_of(argv, env);

	(void)state;
	then.network = true;
	for (size_t i = 0; i < ARRAY_LEN(covers); i++) {
		const struct cover *row = &covers[i];
		struct broker_grant_record now = { .argv = words(row->argv),
						   .env = words(row->env),
						   .cwd = row->cwd,
						   .mode = row->mode,
						   .network = row->network };

		if (spec_covers(&then, row->prefix, &now) != row->covered)
			fail_msg("%s", row->name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_command_names_a_program_a_folder_and_a_mode),
		FIXTURE_TEST(agentd_cannot_set_what_makes_programs_load_code),
		FIXTURE_TEST(agentd_can_set_what_only_describes),
		FIXTURE_TEST(an_entry_is_a_name_and_a_value),
		FIXTURE_TEST(argv_and_env_together_are_bounded),
		FIXTURE_TEST(the_environment_is_the_base_with_the_changes),
		FIXTURE_TEST(a_decision_covers_the_same_prefix_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
