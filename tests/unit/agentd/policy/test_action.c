#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/attr.h"
#include "proto/base/err.h"

#include "agentd/policy/action.h"
#include "tests/support/fixture.h"

static const struct {
	const char *cwd;
	const char *path;
	const char *whole;
} spelled[] = {
	{ "/w", "a", "/w/a" },       { "/w", "a/b/", "/w/a/b" },   { "/w", "./a//b", "/w/a/b" },
	{ "/w/x", "../a", "/w/a" },  { "/w", "../../../a", "/a" }, { "/w", "..", "/" },
	{ "/w", "a/../../b", "/b" }, { "/w", "/etc/x", "/etc/x" }, { "/w", "/etc/../x/.", "/x" },
	{ "/w/", ".", "/w" },        { "/", "a", "/a" },           { "/w", "...", "/w/..." },
	{ "/w", ".git", "/w/.git" }, { "/w", "", "/w" },
};

static void paths_are_resolved_as_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(spelled); i++) {
		char path[ACTION_PATH_MAX];
		struct err err = { 0 };

		assert_int_equal(action_path(path, spelled[i].cwd, spelled[i].path, &err), 0);
		if (strcmp(path, spelled[i].whole) != 0)
			fail_msg("%s in %s: %s", spelled[i].path, spelled[i].cwd, path);
	}
}

static void a_path_has_the_kernels_limit(void **state)
{
	char in[ACTION_PATH_MAX + 2];
	char path[ACTION_PATH_MAX];
	struct err err = { 0 };

	(void)state;
	memset(in, 'a', sizeof in);
	in[0] = '/';
	in[ACTION_PATH_MAX - 1] = '\0';
	assert_int_equal(action_path(path, "/", in, &err), 0);
	assert_string_equal(path, in);
	in[ACTION_PATH_MAX - 1] = 'a';
	in[ACTION_PATH_MAX] = '\0';
	assert_int_equal(action_path(path, "/", in, &err), ERR_LIMIT);
}

static const char *const guarded_w[] = { "/w/.git", "/repo/real.git" };
static const char *const guarded_inner[] = { "/w/open/.git" };
static const struct action_root roots[] = {
	{ .path = "/w", .guarded = guarded_w, .guarded_count = 2 },
	{ .path = "/tmp" },
	{ .path = "/w/.git/opened" },
	{ .path = "/repo/real.git/worktrees/" },
	{ .path = "/w/open", .guarded = guarded_inner, .guarded_count = 1 },
};

static const struct {
	const char *path;
	bool inside;
} places[] = {
	{ "/w/a", true },
	{ "/w", true },
	{ "/wx/a", false },
	{ "/etc/passwd", false },
	{ "/tmp/x", true },
	{ "/w/.git", false },
	{ "/w/.git/hooks/pre-commit", false },
	{ "/w/.gitignore", true },
	{ "/w/.github/x", true },
	{ "/w/.agents/x", false },
	{ "/w/.agentd", false },
	{ "/w/.codex/config.toml", false },
	{ "/tmp/.git", false },
	{ "/w/sub/.git/x", true }, /* only right below a root */
	{ "/w/.git/opened/x", true },
	{ "/w/.git/opened/.git", false },
	{ "/repo/real.git/x", false },
	{ "/repo/real.git/worktrees/x", true },
	{ "/w/open/x", true },
	{ "/w/open/.git/x", false },
	{ "/", false },
};

static void a_path_is_inside_when_a_root_holds_it_and_nothing_guards_it(void **state)
{
	const struct action_place place = { .cwd = "/w",
					    .roots = roots,
					    .root_count = ARRAY_LEN(roots) };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (action_path_inside(&place, places[i].path) != places[i].inside)
			fail_msg("%s", places[i].path);
	}
}

static void without_roots_nothing_is_inside(void **state)
{
	const struct action_place place = { .cwd = "/w" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		assert_false(action_path_inside(&place, places[i].path));
}

static void the_root_folder_can_be_a_root(void **state)
{
	static const struct action_root all = { .path = "/" };
	const struct action_place place = { .cwd = "/w", .roots = &all, .root_count = 1 };

	(void)state;
	assert_true(action_path_inside(&place, "/etc/passwd"));
	assert_true(action_path_inside(&place, "/"));
	assert_false(action_path_inside(&place, "/.git/x"));
}

static enum action_kind patch_of(const char *a, const char *b)
{
	const struct action_place place = { .cwd = "/w/sub",
					    .roots = roots,
					    .root_count = ARRAY_LEN(roots) };
	const char *const paths[] = { a, b };

	return action_of_patch(&place, paths, b ? 2 : a ? 1 : 0).kind;
}

static void one_path_outside_makes_the_patch_an_outside_one(void **state)
{
	char long_path[ACTION_PATH_MAX + 10];

	(void)state;
	memset(long_path, 'a', sizeof long_path);
	long_path[sizeof long_path - 1] = '\0';
	assert_int_equal(patch_of(NULL, NULL), ACTION_PATCH_EMPTY);
	assert_int_equal(patch_of("a", NULL), ACTION_PATCH_INSIDE);
	assert_int_equal(patch_of("a", "../b"), ACTION_PATCH_INSIDE);
	assert_int_equal(patch_of("a", "../../b"), ACTION_PATCH_OUTSIDE);
	assert_int_equal(patch_of("/etc/x", "a"), ACTION_PATCH_OUTSIDE);
	assert_int_equal(patch_of("../.git/config", NULL), ACTION_PATCH_OUTSIDE);
	assert_int_equal(patch_of("x/../../.git/config", NULL), ACTION_PATCH_OUTSIDE);
	assert_int_equal(patch_of(long_path, NULL), ACTION_PATCH_OUTSIDE);
}

static void a_command_is_what_is_known_of_it(void **state)
{
	(void)state;
	assert_int_equal(action_of_script("ls", false).kind, ACTION_COMMAND_SAFE);
	assert_int_equal(action_of_script("git status", false).kind, ACTION_COMMAND_CONFINED);
	assert_int_equal(action_of_script("make", false).kind, ACTION_COMMAND_UNKNOWN);
	assert_int_equal(action_of_script("rm -f x", false).kind, ACTION_COMMAND_DANGEROUS);
	assert_false(action_of_script("ls", false).escalated);
	assert_true(action_of_script("ls", true).escalated);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(paths_are_resolved_as_text),
		FIXTURE_TEST(a_path_has_the_kernels_limit),
		FIXTURE_TEST(a_path_is_inside_when_a_root_holds_it_and_nothing_guards_it),
		FIXTURE_TEST(without_roots_nothing_is_inside),
		FIXTURE_TEST(the_root_folder_can_be_a_root),
		FIXTURE_TEST(one_path_outside_makes_the_patch_an_outside_one),
		FIXTURE_TEST(a_command_is_what_is_known_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
