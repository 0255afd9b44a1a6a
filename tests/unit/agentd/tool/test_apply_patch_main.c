/* The applet as a program: how it is called, what it prints, how it ends. */

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "agentd/tool/patch_parse.h"
#include "tests/support/fixture.h"

#define OUT_MAX (1U << 20)
#define ADD "*** Begin Patch\n*** Add File: f\n+x\n*** End Patch\n"
#define DELETE "*** Begin Patch\n*** Delete File: nothing\n*** End Patch\n"
#define SUCCESS "Success. Updated the following files:\nA f\n"
#define USAGE "Usage: apply_patch 'PATCH'\n       echo 'PATCH' | apply_patch\n"
#define MISSING "Failed to read file to delete nothing: No such file or directory\n"

static struct {
	struct buf out;
	struct buf err;
	int code;
} seen;

static int setup(void **state)
{
	buf_init(&seen.out, OUT_MAX);
	buf_init(&seen.err, OUT_MAX);
	return fixture_setup(state) < 0 || chdir(fixture_dir()) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	buf_deinit(&seen.out);
	buf_deinit(&seen.err);
	return chdir("/") < 0 ? -1 : fixture_teardown(state);
}

static void read_file(struct buf *out, const char *path)
{
	struct err err = { 0 };

	buf_clear(out);
	assert_int_equal(buf_read_file(out, path, &err), 0);
}

/* Runs the applet under the given name with up to two arguments; input becomes its stdin. */
static void run_as(const char *name, const char *one, const char *two, const char *input,
		   size_t input_len)
{
	posix_spawn_file_actions_t actions;
	const char *args[] = { name, one, two, NULL };
	char *argv[ARRAY_LEN(args)] = { NULL };
	char path[4096];
	struct err err = { 0 };
	int in SCOPED(fd_close) = -1;
	int status = 0;
	pid_t pid = 0;

	(void)snprintf(path, sizeof path, "%s/%s", getenv("AGENT_TEST_LIBEXEC"), name);
	assert_int_equal(fd_sealed(&in, "input", input, input_len, &err), 0);
	for (size_t i = 0; args[i]; i++)
		assert_non_null(argv[i] = str_dup(args[i]));
	assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
	assert_int_equal(posix_spawn_file_actions_adddup2(&actions, in, 0), 0);
	assert_int_equal(posix_spawn_file_actions_addopen(&actions, 1, "../out",
							  O_WRONLY | O_CREAT | O_TRUNC, 0600),
			 0);
	assert_int_equal(posix_spawn_file_actions_addopen(&actions, 2, "../err",
							  O_WRONLY | O_CREAT | O_TRUNC, 0600),
			 0);
	assert_int_equal(posix_spawn(&pid, path, &actions, NULL, argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(posix_spawn_file_actions_destroy(&actions), 0);
	for (size_t i = 0; argv[i]; i++)
		free(argv[i]);
	assert_true(WIFEXITED(status));
	seen.code = WEXITSTATUS(status);
	read_file(&seen.out, "../out");
	read_file(&seen.err, "../err");
}

static void run(const char *one, const char *two, const char *input)
{
	run_as("agent-patch", one, two, input, strlen(input));
}

static const struct {
	const char *name;
	const char *one;
	const char *two;
	const char *input;
	int code;
	const char *out;
	const char *err;
} rows[] = {
	{ "patch as argument", ADD, NULL, "", 0, SUCCESS, "" },
	{ "patch from stdin", NULL, NULL, ADD, 0, SUCCESS, "" },
	{ "nothing from stdin", NULL, NULL, "", 2, "", USAGE },
	{ "two arguments", ADD, ADD, "", 2, "", USAGE },
	{ "help", "--help", NULL, "", 0, USAGE, "" },
	{ "does not fit", DELETE, NULL, "", 1, "", MISSING },
	{ "no patch", "hello", NULL, "", 1, "",
	  "invalid patch: The first line of the patch must be '*** Begin Patch'\n" },
	{ "empty patch", "*** Begin Patch\n*** End Patch", NULL, "", 1, "",
	  "patch rejected: empty patch\n" },
	{ "report, applied", "--report", NULL, ADD, 0, SUCCESS,
	  "{\"state\":\"applied\",\"changes\":[{\"path\":\"f\",\"kind\":\"add\",\"diff\":\"@@ -0,0 "
	  "+1,1 @@\\n+x\\n\",\"new_text\":\"x\\n\"}]}\n" },
	{ "report, does not fit", "--report", NULL, DELETE, 1, MISSING,
	  "{\"state\":\"unverified\",\"changes\":[]}\n" },
	{ "report, nothing", "--report", NULL, "", 1,
	  "invalid patch: The first line of the patch must be '*** Begin Patch'\n",
	  "{\"state\":\"unverified\",\"changes\":[]}\n" },
};

static void every_way_to_call_it_ends_as_documented(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char folder[16];

		(void)snprintf(folder, sizeof folder, "row%zu", i);
		assert_int_equal(mkdir(folder, 0700), 0);
		assert_int_equal(chdir(folder), 0);
		run(rows[i].one, rows[i].two, rows[i].input);
		if (seen.code != rows[i].code || strcmp(buf_str(&seen.out), rows[i].out) != 0 ||
		    strcmp(buf_str(&seen.err), rows[i].err) != 0)
			fail_msg("%s: %d '%s' '%s'", rows[i].name, seen.code, buf_str(&seen.out),
				 buf_str(&seen.err));
		assert_int_equal(chdir(".."), 0);
	}
}

static void models_know_it_under_two_names(void **state)
{
	(void)state;
	assert_int_equal(mkdir("d", 0700), 0);
	assert_int_equal(chdir("d"), 0);
	run_as("bin/apply_patch", ADD, NULL, "", 0);
	assert_int_equal(seen.code, 0);
	run_as("bin/applypatch", NULL, NULL, ADD, strlen(ADD));
	assert_int_equal(seen.code, 0);
}

/* A granted edit: `patch` must leave everything as it is, and say why. */
static void refuses_links(const char *patch, const char *path)
{
	char want[256];

	run("--report", "--no-links", patch);
	(void)snprintf(want, sizeof want, "%s: leads through a symbolic link; ", path);
	if (seen.code != 1 || !strstr(buf_str(&seen.out), want))
		fail_msg("%s: %d '%s'", patch, seen.code, buf_str(&seen.out));
}

static void an_approved_edit_follows_no_symbolic_link(void **state)
{
	struct stat info = { 0 };

	(void)state;
	assert_int_equal(mkdir("d", 0700), 0);
	assert_int_equal(mkdir("secret", 0700), 0);
	(void)fixture_file("secret/f", "1\n", 2);
	assert_int_equal(chdir("d"), 0);
	assert_int_equal(symlink("../secret", "folder"), 0);
	assert_int_equal(symlink("../secret/f", "file"), 0);
	assert_int_equal(symlink("../secret/new", "dangling"), 0);
	refuses_links("*** Begin Patch\n*** Update File: file\n@@\n-1\n+2\n*** End Patch\n",
		      "file");
	refuses_links("*** Begin Patch\n*** Update File: folder/f\n@@\n-1\n+2\n*** End Patch\n",
		      "folder/f");
	refuses_links("*** Begin Patch\n*** Delete File: folder/f\n*** End Patch\n", "folder/f");
	refuses_links("*** Begin Patch\n*** Add File: folder/new\n+x\n*** End Patch\n",
		      "folder/new");
	refuses_links("*** Begin Patch\n*** Add File: folder/a/b\n+x\n*** End Patch\n",
		      "folder/a/b");
	refuses_links("*** Begin Patch\n*** Add File: dangling\n+x\n*** End Patch\n", "dangling");
	assert_int_equal(lstat("../secret/new", &info), -1);
	assert_int_equal(lstat("../secret/a", &info), -1);
	assert_int_equal(stat("../secret/f", &info), 0);
	assert_int_equal(info.st_size, 2);
}

static void an_approved_edit_does_all_that_another_does(void **state)
{
	struct stat info = { 0 };

	(void)state;
	assert_int_equal(mkdir("d", 0700), 0);
	(void)fixture_file("d/u", "1\n", 2);
	(void)fixture_file("d/m", "1\n", 2);
	(void)fixture_file("d/x", "1\n", 2);
	assert_int_equal(chdir("d"), 0);
	run("--report", "--no-links",
	    "*** Begin Patch\n*** Update File: u\n@@\n-1\n+2\n*** Add File: a/b/c\n+x\n"
	    "*** Delete File: x\n*** Update File: m\n*** Move to: ../d/n\n@@\n-1\n+2\n"
	    "*** End Patch\n");
	assert_int_equal(seen.code, 0);
	assert_int_equal(lstat("a/b/c", &info), 0);
	assert_int_equal(lstat("n", &info), 0);
	assert_int_equal(lstat("x", &info), -1);
	assert_int_equal(lstat("m", &info), -1);
}

static void more_than_a_patch_may_be_is_refused(void **state)
{
	char *input = malloc(PATCH_TEXT_MAX + 1);

	(void)state;
	assert_non_null(input);
	memset(input, '\n', PATCH_TEXT_MAX + 1);
	assert_int_equal(mkdir("d", 0700), 0);
	assert_int_equal(chdir("d"), 0);
	run_as("agent-patch", NULL, NULL, input, PATCH_TEXT_MAX + 1);
	assert_int_equal(seen.code, 1);
	assert_string_equal(buf_str(&seen.err),
			    "Failed to read the patch from standard input: more "
			    "than 4194304 bytes\n");
	free(input);
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(every_way_to_call_it_ends_as_documented),
		ROW(models_know_it_under_two_names),
		ROW(an_approved_edit_follows_no_symbolic_link),
		ROW(an_approved_edit_does_all_that_another_does),
		ROW(more_than_a_patch_may_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
