#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "broker/roots.h"
#include "tests/support/fixture.h"

static struct roots found; /* large */
static char dir[PATH_MAX];
static char desk[PATH_MAX];

static void shell(const char *script)
{
	int status = 1;
	pid_t pid = fork();

	if (pid == 0) {
		if (chdir(dir) == 0)
			(void)execlp("sh", "sh", "-ec", script, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int setup(void **state)
{
	int rc = fixture_setup(state);

	if (rc < 0 || !realpath(fixture_dir(), dir))
		return -1;
	(void)snprintf(desk, sizeof desk, "%.4000s/desk", dir);
	shell("mkdir desk");
	return 0;
}

static int teardown(void **state)
{
	roots_deinit(&found);
	return fixture_teardown(state);
}

static struct sandbox_config in_work(void)
{
	return (struct sandbox_config){ .mode = SANDBOX_MODE_WORKSPACE_WRITE,
					.cwd = desk,
					.exclude_slash_tmp = true,
					.exclude_tmpdir = true };
}

static void find_or_fail(const struct sandbox_config *config)
{
	struct err err = { 0 };

	roots_deinit(&found);
	if (roots_find(&found, config, &err) < 0)
		fail_msg("%s", err.text);
}

/* The place of this kind at desk/name, or at dir/name for a name with a leading slash. */
static const struct place *place_at(enum place_kind kind, const char *name)
{
	char path[2 * PATH_MAX];

	(void)snprintf(path, sizeof path, "%s%s%s", name[0] == '/' ? dir : desk,
		       name[0] == '/' || !name[0] ? "" : "/", name);
	for (size_t i = 0; i < found.count; i++) {
		if (found.places[i].kind == kind && strcmp(found.places[i].path, path) == 0)
			return &found.places[i];
	}
	return NULL;
}

static size_t count_of(enum place_kind kind)
{
	size_t count = 0;

	for (size_t i = 0; i < found.count; i++)
		count += found.places[i].kind == kind;
	return count;
}

static void a_pointer_file_is_split_at_its_first_colon(void **state)
{
	static const struct row {
		const char *text;
		const char *target;
	} rows[] = {
		{ "gitdir: ../x", "../x" },
		{ "gitdir:/a b/c\n", "/a b/c" },
		{ "  x :\t y:z \r\n", "y:z" },
		{ "gitdir:", NULL },
		{ "gitdir: \n", NULL },
		{ "no colon", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[64];

		(void)snprintf(text, sizeof text, "%s", rows[i].text);
		if (!str_eq(pointer_target(text), rows[i].target))
			fail_msg("'%s'", rows[i].text);
	}
}

static void roots_are_canonical_sorted_and_named_once(void **state)
{
	struct sandbox_config config = in_work();
	char link[PATH_MAX + 16];
	char inner[PATH_MAX + 16];
	const char *roots[] = { inner, link, desk };

	(void)state;
	shell("ln -s desk link; mkdir desk/inner");
	(void)snprintf(link, sizeof link, "%s/link", dir);
	(void)snprintf(inner, sizeof inner, "%s/../desk/inner", desk);
	config.roots = roots;
	config.root_count = 3;
	find_or_fail(&config);
	assert_int_equal(found.root_count, 2);
	assert_string_equal(found.places[0].path, desk);
	assert_non_null(place_at(PLACE_ROOT, "inner"));
}

static void other_modes_have_no_roots(void **state)
{
	struct sandbox_config config = in_work();

	(void)state;
	config.mode = SANDBOX_MODE_READ_ONLY;
	shell("mkdir desk/.git");
	find_or_fail(&config);
	assert_int_equal(found.count, 0);
}

static void temporary_folders_that_cannot_be_roots_are_none(void **state)
{
	static const char *const folders[] = { "relative", "/nowhere", "/etc/passwd",
					       "/dev/shm", "/",        "" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		struct sandbox_config config = in_work();

		config.exclude_tmpdir = false;
		config.tmpdir = folders[i];
		find_or_fail(&config);
		assert_int_equal(found.root_count, 1);
	}
}

static void absent_names_are_watched_and_present_ones_protected(void **state)
{
	struct sandbox_config config = in_work();

	(void)state;
	shell("mkdir desk/.git; echo > desk/.codex");
	find_or_fail(&config);
	assert_non_null(place_at(PLACE_PROTECTED, ".git"));
	assert_non_null(place_at(PLACE_PROTECTED, ".codex"));
	assert_non_null(place_at(PLACE_WATCHED, ".agents"));
	assert_non_null(place_at(PLACE_WATCHED, ".agentd"));
	assert_false(roots_changed(&found));
	shell("mkdir desk/.agents");
	assert_true(roots_changed(&found));
}

static void a_change_of_what_a_place_is_shows(void **state)
{
	static const char *const changes[] = { "echo x >> desk/.git",
					       "mv desk/.git desk/g; cp desk/g desk/.git",
					       "rm desk/.git", "rm desk/.git; mkdir desk/.git",
					       "mv desk w2; mkdir desk; cp -p w2/.git desk" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		struct sandbox_config config = in_work();

		shell("rm -rf desk w2; mkdir desk; echo 'gitdir: x' > desk/.git; touch -d @1 "
		      "desk/.git");
		find_or_fail(&config);
		assert_false(roots_changed(&found));
		shell(changes[i]);
		if (!roots_changed(&found))
			fail_msg("%s", changes[i]);
	}
}

static void broken_pointers_protect_the_file_alone(void **state)
{
	static const char *const contents[] = {
		"", "nothing", "gitdir:", "gitdir: missing", "gitdir: .", "gitdir: ..", "gitdir: /"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
		struct sandbox_config config = in_work();
		char script[128];

		(void)snprintf(script, sizeof script, "printf '%s' > desk/.git", contents[i]);
		shell(script);
		find_or_fail(&config);
		if (count_of(PLACE_PROTECTED) != 1 || !place_at(PLACE_PROTECTED, ".git"))
			fail_msg("'%s'", contents[i]);
	}
}

static void a_worktree_leads_to_its_repository(void **state)
{
	struct sandbox_config config = in_work();

	(void)state;
	shell("mkdir -p main/.git/worktrees/w; echo 'gitdir: ../main/.git/worktrees/w' > "
	      "desk/.git; "
	      "echo ../.. > main/.git/worktrees/w/commondir");
	find_or_fail(&config);
	assert_non_null(place_at(PLACE_PROTECTED, "/main/.git/worktrees/w"));
	assert_non_null(place_at(PLACE_PROTECTED, "/main/.git"));
	assert_false(place_at(PLACE_PROTECTED, "/main/.git")->inside);
	assert_int_equal(count_of(PLACE_PIN), 0);
}

static void links_are_protected_with_everything_on_their_way(void **state)
{
	struct sandbox_config config = in_work();

	(void)state;
	shell("mkdir -p desk/b/real/hooks desk/tools; ln -s b desk/a; ln -s a/real desk/.git; "
	      "ln -s ../../tools desk/b/real/scripts; ln -s loop desk/loop; ln -s loop "
	      "desk/.codex; "
	      "ln -s /nowhere/at/all desk/.agents");
	find_or_fail(&config);
	assert_non_null(place_at(PLACE_PROTECTED, ".git"));
	assert_non_null(place_at(PLACE_PROTECTED, "a"));
	assert_non_null(place_at(PLACE_PROTECTED, "b/real"));
	assert_non_null(place_at(PLACE_PROTECTED, "tools"));
	assert_non_null(place_at(PLACE_PROTECTED, "loop"));
	assert_non_null(place_at(PLACE_PROTECTED, ".agents"));
	assert_non_null(place_at(PLACE_PIN, "b"));
	assert_null(place_at(PLACE_PIN, "b/real"));
}

static void folders_above_what_lies_deep_are_pinned_up_to_the_root(void **state)
{
	struct sandbox_config config = in_work();
	char deep[PATH_MAX + 32];
	const char *hidden[] = { deep };

	(void)state;
	shell("mkdir -p desk/x/y/state");
	(void)snprintf(deep, sizeof deep, "%s/x/y/state", desk);
	config.hidden = hidden;
	config.hidden_count = 1;
	find_or_fail(&config);
	assert_non_null(place_at(PLACE_HIDDEN, "x/y/state"));
	assert_non_null(place_at(PLACE_PIN, "x/y"));
	assert_non_null(place_at(PLACE_PIN, "x"));
	assert_int_equal(count_of(PLACE_PIN), 2);
}

static void a_root_with_too_many_protected_paths_is_refused(void **state)
{
	struct sandbox_config config = in_work();
	struct err err = { 0 };

	(void)state;
	shell("mkdir desk/.git desk/t; i=0; while [ $i -lt 30 ]; do mkdir desk/t/$i; "
	      "ln -s ../t/$i desk/.git/$i; i=$((i+1)); done");
	find_or_fail(&config); /* four names, 30 links and their targets: the limit */
	shell("mkdir desk/t/a; ln -s ../t/a desk/.git/a");
	roots_deinit(&found);
	assert_int_equal(roots_find(&found, &config, &err), ERR_LIMIT);
	assert_int_equal(found.count, 0);
}

static void an_opened_place_is_the_one_that_was_looked_at(void **state)
{
	struct sandbox_config config = in_work();
	int fd SCOPED(fd_close) = -1;
	struct err err = { 0 };

	(void)state;
	find_or_fail(&config);
	assert_int_equal(roots_open(&fd, &found.places[0], &err), 0);
	fd_close(&fd);
	shell("mv desk older; mkdir desk");
	assert_int_equal(roots_open(&fd, &found.places[0], &err), ERR_STATE);
	shell("rmdir desk; ln -s older desk");
	assert_int_equal(roots_open(&fd, &found.places[0], &err), ERR_STATE);
}

static void reserved_names_belong_to_their_folder(void **state)
{
	static const struct row {
		const char *folder;
		const char *name;
		bool reserved;
	} rows[] = {
		{ "desk", ".git", true },      { "desk", ".agents", true },
		{ "desk", ".codex", true },    { "desk", ".GIT", true },
		{ "desk", "git", false },      { "desk", ".gitignore", false },
		{ "desk", ".git/", false },    { "desk", "", false },
		{ "desk/sub", ".git", false }, { ".", ".git", false },
		{ "desk/nest", ".git", true }, { "desk/nest", ".codex", false },
	};
	struct sandbox_config config = in_work();
	char path[PATH_MAX + 16];
	struct stat st;

	(void)state;
	shell("mkdir -p desk/.agents desk/sub desk/nest/.git");
	find_or_fail(&config);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		(void)snprintf(path, sizeof path, "%s/%s", dir, rows[i].folder);
		assert_int_equal(stat(path, &st), 0);
		if (roots_reserved(&found, st.st_dev, st.st_ino, rows[i].name) != rows[i].reserved)
			fail_msg("%s in %s", rows[i].name, rows[i].folder);
	}
}

static void where_commits_are_allowed_the_rest_of_git_is_held(void **state)
{
	static const struct row {
		const char *before;
		bool commits; /* otherwise all of .git is read-only */
	} rows[] = {
		{ "mkdir -p .git/hooks .git/objects; echo > .git/config", true },
		{ "mkdir -p .git", false }, /* without a config it is no repository yet */
		{ "mkdir -p .git; echo > .git/config; echo .. > .git/commondir", false },
		{ "echo 'gitdir: x' > .git", false },
		{ "mkdir real; echo > real/config; ln -s real .git", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sandbox_config config = in_work();
		char script[256];

		config.allow_git_commit = true;
		(void)snprintf(script, sizeof script, "rm -rf desk; mkdir desk; cd desk; %s",
			       rows[i].before);
		shell(script);
		find_or_fail(&config);
		if (!place_at(PLACE_PROTECTED, ".git") != rows[i].commits)
			fail_msg("row %zu", i);
		if (!rows[i].commits)
			continue;
		assert_non_null(place_at(PLACE_PIN, ".git"));
		assert_non_null(place_at(PLACE_PROTECTED, ".git/config"));
		assert_non_null(place_at(PLACE_PROTECTED, ".git/hooks"));
		assert_non_null(place_at(PLACE_WATCHED, ".git/commondir"));
		assert_non_null(place_at(PLACE_WATCHED, ".git/worktrees"));
		assert_null(place_at(PLACE_PROTECTED, ".git/objects"));
	}
}

static void nested_repositories_are_found_within_bounds(void **state)
{
	static const struct row {
		const char *where;
		bool found;
	} rows[] = {
		{ "a/.git", true },        { "a/b/.git", true },   { "a/b/c/.git", true },
		{ "a/b/c/d/.git", false }, { "link/.git", false }, { ".agents/x/.git", false },
	};
	struct sandbox_config config = in_work();

	(void)state;
	shell("mkdir -p desk/a/b/c/d/.git desk/a/b/c/.git desk/a/b/.git desk/.agents/x/.git; "
	      "echo 'gitdir: ..' > desk/a/.git; mkdir -p out/.git; ln -s ../out desk/link");
	find_or_fail(&config);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!place_at(PLACE_PROTECTED, rows[i].where) == rows[i].found)
			fail_msg("%s", rows[i].where);
	}
	assert_non_null(place_at(PLACE_PIN, "a/b/c"));
	assert_false(found.cut);
}

static void more_nested_repositories_than_fit_are_said_to_be_there(void **state)
{
	struct sandbox_config config = in_work();
	char script[128];

	(void)state;
	(void)snprintf(script, sizeof script,
		       "i=0; while [ $i -lt %d ]; do mkdir -p desk/$i/.git; "
		       "i=$((i+1)); done",
		       NESTED_MAX);
	shell(script);
	find_or_fail(&config);
	assert_int_equal(count_of(PLACE_PROTECTED), NESTED_MAX);
	assert_false(found.cut);
	shell("mkdir -p desk/one-more/.git");
	find_or_fail(&config);
	assert_int_equal(count_of(PLACE_PROTECTED), NESTED_MAX);
	assert_true(found.cut);
}

static void temporary_folders_are_not_searched(void **state)
{
	struct sandbox_config config = in_work();
	char other[PATH_MAX + 16];

	(void)state;
	shell("mkdir -p other/clone/.git other/.git");
	(void)snprintf(other, sizeof other, "%s/other", dir);
	config.exclude_tmpdir = false;
	config.tmpdir = other;
	find_or_fail(&config);
	assert_non_null(place_at(PLACE_PROTECTED, "/other/.git"));
	assert_null(place_at(PLACE_PROTECTED, "/other/clone/.git"));
}

static void what_is_hidden_or_read_only_already_gets_no_place(void **state)
{
	struct sandbox_config config = in_work();
	char settings[PATH_MAX + 32];
	const char *hidden[] = { settings };

	(void)state;
	shell("mkdir -p desk/.agentd/.git desk/home/.git desk/.git/modules/lib desk/lib; "
	      "echo 'gitdir: ../.git/modules/lib' > desk/lib/.git");
	(void)snprintf(settings, sizeof settings, "%s/.agentd", desk);
	config.hidden = hidden;
	config.hidden_count = 1;
	find_or_fail(&config);
	assert_non_null(place_at(PLACE_HIDDEN, ".agentd"));
	assert_null(place_at(PLACE_PROTECTED, ".agentd"));
	assert_non_null(place_at(PLACE_PROTECTED, "lib/.git"));
	assert_null(place_at(PLACE_PROTECTED, ".git/modules/lib"));
	assert_non_null(place_at(PLACE_PROTECTED, "home/.git"));
}

int main(void)
{
#define ROOTS_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		ROOTS_TEST(a_pointer_file_is_split_at_its_first_colon),
		ROOTS_TEST(roots_are_canonical_sorted_and_named_once),
		ROOTS_TEST(other_modes_have_no_roots),
		ROOTS_TEST(temporary_folders_that_cannot_be_roots_are_none),
		ROOTS_TEST(absent_names_are_watched_and_present_ones_protected),
		ROOTS_TEST(a_change_of_what_a_place_is_shows),
		ROOTS_TEST(broken_pointers_protect_the_file_alone),
		ROOTS_TEST(a_worktree_leads_to_its_repository),
		ROOTS_TEST(links_are_protected_with_everything_on_their_way),
		ROOTS_TEST(folders_above_what_lies_deep_are_pinned_up_to_the_root),
		ROOTS_TEST(a_root_with_too_many_protected_paths_is_refused),
		ROOTS_TEST(an_opened_place_is_the_one_that_was_looked_at),
		ROOTS_TEST(reserved_names_belong_to_their_folder),
		ROOTS_TEST(where_commits_are_allowed_the_rest_of_git_is_held),
		ROOTS_TEST(nested_repositories_are_found_within_bounds),
		ROOTS_TEST(more_nested_repositories_than_fit_are_said_to_be_there),
		ROOTS_TEST(temporary_folders_are_not_searched),
		ROOTS_TEST(what_is_hidden_or_read_only_already_gets_no_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
