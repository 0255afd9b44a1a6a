/*
 * Protected names that are not there, and changes from the host while a command runs. What is
 * looked at afterwards is the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"

#include "tests/support/fixture.h"
#include "tests/unit/broker/sandboxed.h"

#define REACTION_MS 5000 /* more than a busy machine needs; alone it takes one or two */

/* ------------------------------------------------------------------ names that are not there */

static const char *const names[] = { ".git", ".agents", ".agentd", ".codex", ".GIT" };

static void a_protected_name_that_is_not_there_cannot_be_made(void **state)
{
	static const char *const ways[] = {
		"mkdir $n",
		"mkdir -p $n/hooks",
		"mkdir ./$n//",
		"mkdir -p d && mkdir d/../$n",
		"mkdir ../desk/$n",
		"mkdir /proc/self/cwd/$n",
		"mkdir \"$PWD\"/$n",
		"cd / && mkdir \"$OLDPWD\"/$n",
		"ln -s /tmp $n",
		"echo x > f && ln f $n",
		"mkfifo $n",
		"mkdir -p d && mv -T d $n",
		"mkdir -p d/hooks && mv -T d $n",
		"echo x > f && mv -T f $n",
	};
	struct sandbox_config config = in_desk();
	struct sandbox *sandbox SCOPED(free_sandbox) = open_or_fail(&config);
	char text[256];
	const char *argv[] = { "sh", "-c", text, NULL };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ways) * ARRAY_LEN(names); i++) {
		const char *name = names[i % ARRAY_LEN(names)];
		const char *way = ways[i / ARRAY_LEN(names)];
		char path[64];

		(void)snprintf(text, sizeof text, "n=%s; %s && echo made", name, way);
		(void)snprintf(path, sizeof path, "desk/%s", name);
		run_in(sandbox, argv, desk);
		if (strstr(did.out, "made") || !strstr(did.out, "Read-only file system") ||
		    exists(path))
			fail_msg("%s: %s", text, did.out);
		expect_denied(DENIAL_RULE_PROTECTED, name);
		shell("rm -rf desk/* ");
	}
	sandbox_close(TAKE(sandbox));
	reap_all();
}

static void git_init_fails_at_the_top_and_leaves_nothing(void **state)
{
	struct sandbox_config config = in_desk();

	(void)state;
	run_script(&config,
		   "git init; git rev-parse --git-dir; ls -A; mkdir sub && git init -q sub "
		   "&& git -C sub rev-parse --git-dir");
	expect_out("Read-only file system");
	expect_out("not a git repository");
	expect_out("\n.git\n"); /* of the repository in the folder */
	assert_false(exists("desk/.git"));
	assert_true(exists("desk/sub/.git/HEAD"));
}

static void a_file_that_takes_a_protected_name_ends_the_command_and_is_removed(void **state)
{
	struct sandbox_config config = in_desk();
	struct sandbox *sandbox SCOPED(free_sandbox) = open_or_fail(&config);
	char text[128];
	const char *argv[] = { "sh", "-c", text, NULL };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names) - 1; i++) {
		char path[64];

		(void)snprintf(text, sizeof text, "echo 'gitdir: x' > %s; sleep 1000", names[i]);
		(void)snprintf(path, sizeof path, "desk/%s", names[i]);
		run_in(sandbox, argv, desk);
		assert_true(WIFSIGNALED(did.status) && WTERMSIG(did.status) == SIGKILL);
		expect_denied(DENIAL_RULE_CHANGED, names[i]);
		assert_false(exists(path));
	}
	sandbox_close(TAKE(sandbox));
	reap_all();
}

static void one_that_is_made_last_is_removed_too(void **state)
{
	static const char *const scripts[] = { "echo x > .git",
					       "exec dd if=/dev/null of=.git status=none",
					       "(while :; do : > .git; done) & sleep 0.01" };
	struct sandbox_config config = in_desk();

	(void)state;
	for (size_t i = 0; i < 20 * ARRAY_LEN(scripts); i++) {
		run_script(&config, scripts[i % ARRAY_LEN(scripts)]);
		expect_denied(DENIAL_RULE_CHANGED, ".git");
		assert_false(exists("desk/.git"));
	}
}

static void one_that_is_there_for_a_moment_ends_it_too(void **state)
{
	struct sandbox_config config = in_desk();

	(void)state;
	run_script(&config, "perl -e 'open(my $f, \">.git\"); unlink(\".git\"); sleep 1000'");
	assert_true(WIFSIGNALED(did.status));
	expect_denied(DENIAL_RULE_CHANGED, ".git");
}

static void without_room_for_watches_folders_are_looked_at(void **state)
{
	struct sandbox_config config = in_desk();
	int fds[1024];
	size_t count = 0;

	(void)state;
	while (count < ARRAY_LEN(fds) && (fds[count] = inotify_init1(IN_CLOEXEC)) >= 0)
		count++;
	run_script(&config, "echo x > .git; sleep 1000");
	while (count > 0)
		fd_close(&fds[--count]);
	assert_true(WIFSIGNALED(did.status));
	expect_denied(DENIAL_RULE_CHANGED, ".git");
	assert_false(exists("desk/.git"));
}

static void with_changes_logged_such_a_file_is_refused(void **state)
{
	struct sandbox_config config = in_desk();

	(void)state;
	config.log_denials = true;
	run_script(&config, "echo 'gitdir: x' > .git; echo a > mine; exit 3");
	assert_int_equal(WEXITSTATUS(did.status), 3);
	expect_denied(DENIAL_RULE_PROTECTED, ".git");
	assert_false(exists("desk/.git"));
	assert_true(exists("desk/mine"));
}

static void a_busy_folder_is_not_in_the_way(void **state)
{
	struct sandbox_config config = in_desk();

	(void)state;
	run_script(&config, "i=0; while [ $i -lt 3000 ]; do : > f$i; i=$((i+1)); done; echo done");
	assert_int_equal(did.status, 0);
	expect_out("done");
	assert_int_equal(did.denial_count, 0);
}

/* ------------------------------------------------------------------ the host while a command runs
 */

/* A command that says "started" and goes on until it is ended. */
static void start_loop(struct sandbox *sandbox, const char *body, struct started *out)
{
	char script[512];
	const char *argv[] = { "sh", "-c", script, NULL };
	int null SCOPED(fd_close) = open("/dev/null", O_RDWR | O_CLOEXEC);
	int ends[2];
	struct err err = { 0 };
	char byte;

	begin();
	(void)snprintf(script, sizeof script, "echo started; while :; do %s; done", body);
	assert_int_equal(fd_pipe(ends, &err), 0);
	start(sandbox, argv, desk, (int[]){ null, ends[1], null }, out);
	(void)close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	(void)close(ends[0]);
	assert_int_equal(next_event(out), CHILD_EXECUTED);
}

static bool ends_by_itself(const struct started *started, int within_ms)
{
	struct pollfd gone = { .fd = started->pidfd, .events = POLLIN };

	return poll(&gone, 1, within_ms) == 1;
}

static void what_the_host_does_to_a_protected_name_ends_the_command(void **state)
{
	static const struct row {
		const char *before;
		const char *loop;
		const char *host;
		const char *named; /* by the denial */
		const char *check; /* on the host, afterwards */
	} rows[] = {
		/* taken away, with a command that waits for that */
		{ "mkdir -p desk/.git/hooks", "mkdir -p .git/hooks", "rm -r desk/.git", ".git",
		  "test ! -e desk/.git" },
		{ "mkdir -p desk/.git/hooks", "echo x > .git/hooks/new", "mv desk/.git desk/old",
		  ".git", "test ! -e desk/.git; test ! -e desk/old/hooks/new" },
		/* and put in its place by the host, which stays */
		{ "git init -q desk", "mkdir -p .git/hooks; echo x > .git/evil",
		  "mv desk/.git old; git init -q desk", ".git",
		  "git -C desk rev-parse --git-dir; test ! -e desk/.git/evil" },
		/* made by the host, and filled */
		{ "true", "sleep 0.01", "git init -q desk", ".git",
		  "git -C desk rev-parse --git-dir" },
		{ "mkdir new; echo x > new/file", "sleep 0.01", "mv new desk/.codex", ".codex",
		  "test -e desk/.codex/file" },
		/* the root itself */
		{ "mkdir desk/.git", "echo x > .git/x", "mv desk d; mkdir -p desk/.git", NULL,
		  "test ! -e desk/.git/x" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sandbox_config config = in_desk();
		struct sandbox *sandbox SCOPED(free_sandbox) = NULL;
		struct started started SCOPED(started_deinit) = STARTED_NONE;
		struct err err = { 0 };

		shell("rm -rf desk d old new; mkdir desk");
		shell(rows[i].before);
		sandbox = open_or_fail(&config);
		start_loop(sandbox, rows[i].loop, &started);
		shell(rows[i].host);
		if (!rows[i].named)
			assert_int_equal(sandbox_kill(&started, &err), 0);
		if (!ends_by_itself(&started, REACTION_MS))
			fail_msg("row %zu: the command goes on", i);
		finish(&started);
		shell(rows[i].check);
		if (rows[i].named) {
			assert_true(WIFSIGNALED(did.status));
			expect_denied(DENIAL_RULE_CHANGED, rows[i].named);
		}
		sandbox_close(TAKE(sandbox));
		reap_all();
	}
}

static void what_git_does_on_the_host_disturbs_nobody(void **state)
{
	struct sandbox_config config = in_desk();
	struct sandbox *sandbox SCOPED(free_sandbox) = NULL;
	struct started started SCOPED(started_deinit) = STARTED_NONE;
	struct err err = { 0 };

	(void)state;
	shell("git init -q desk; cd desk; git config user.name a; git config user.email a@b; "
	      "echo 1 > file; git add file; git commit -qm 1");
	sandbox = open_or_fail(&config);
	start_loop(
		sandbox,
		"echo '[core] fsmonitor = evil' > .git/config; echo evil > .git/hooks/pre-commit; "
		"rm -f .git/config",
		&started);
	shell("cd desk; git config user.name b; git checkout -qb other; echo 2 > file; "
	      "git commit -qam 2; git gc -q; git worktree add -q ../tree; git worktree repair; "
	      "git worktree remove ../tree; git branch -q third; git checkout -q third");
	assert_false(ends_by_itself(&started, 0));
	assert_int_equal(sandbox_kill(&started, &err), 0);
	finish(&started);
	shell("cd desk; ! grep -q evil .git/config; test ! -e .git/hooks/pre-commit; git fsck");
	sandbox_close(TAKE(sandbox));
	reap_all();
}

static void mounts_of_the_host_come_and_go_without_harm(void **state)
{
	struct sandbox_config config = in_desk();
	struct sandbox *sandbox SCOPED(free_sandbox) = NULL;
	struct started started SCOPED(started_deinit) = STARTED_NONE;
	struct err err = { 0 };
	char point[PATH_MAX + 16];
	char git[PATH_MAX + 16];

	(void)state;
	(void)snprintf(point, sizeof point, "%s/stick", dir);
	(void)snprintf(git, sizeof git, "%s/.git", desk);
	shell("mkdir stick desk/.git");
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", point, "tmpfs", 0, NULL) < 0) {
		print_message("no mounts for this account: skipped\n");
		skip();
	}
	sandbox = open_or_fail(&config);
	start_loop(sandbox, "sleep 0.01", &started);
	assert_int_equal(umount(point), 0);
	assert_int_equal(rmdir(point), 0);
	assert_false(ends_by_itself(&started, 50));
	assert_int_equal(sandbox_kill(&started, &err), 0);
	finish(&started);
	sandbox_close(TAKE(sandbox));
	reap_all();
	/* And one that lies on a file system of its own is held like any other. */
	assert_int_equal(mount("none", git, "tmpfs", 0, NULL), 0);
	run_script(&config, "echo x > .git/x; umount .git; mv .git g; echo a > mine");
	expect_out("Read-only file system");
	shell("test -z \"$(ls -A desk/.git)\"; test -e desk/mine");
	assert_int_equal(umount(git), 0);
}

/* ------------------------------------------------------------------ the end of the broker */

/* In a process of its own: its pid, when its command has begun. */
static pid_t start_broker(const char *body, int *out_reader)
{
	struct sandbox_config config = in_desk();
	char script[512];
	const char *argv[] = { "sh", "-c", script, NULL };
	int ends[2];
	struct err err = { 0 };
	char byte;
	pid_t pid;

	(void)snprintf(script, sizeof script, "echo started; while :; do %s; done", body);
	assert_int_equal(fd_pipe(ends, &err), 0);
	pid = fork();
	if (pid == 0) {
		struct started started = STARTED_NONE;

		start(open_or_fail(&config), argv, desk, (int[]){ 0, ends[1], ends[1] }, &started);
		(void)close(ends[0]);
		(void)close(ends[1]);
		(void)pause();
		_exit(0);
	}
	(void)close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	*out_reader = ends[0];
	return pid;
}

static void a_killed_command_leaves_no_name(void **state)
{
	struct sandbox_config config = in_desk();
	struct sandbox *sandbox SCOPED(free_sandbox) = open_or_fail(&config);

	(void)state;
	for (int i = 0; i < 20; i++) {
		struct started started SCOPED(started_deinit) = STARTED_NONE;
		struct err err = { 0 };

		start_loop(sandbox, ": > .git", &started);
		if (sandbox_kill(&started, &err) < 0) /* too late: the watch was faster */
			assert_int_equal(err.code, ERR_GONE);
		finish(&started);
		assert_false(exists("desk/.git"));
	}
	sandbox_close(TAKE(sandbox));
	reap_all();
}

static void a_killed_broker_leaves_no_name_and_no_process(void **state)
{
	static const char *const loops[] = { ": > .git", "mkdir .git", "mkdir -p .agents/skills",
					     "ln -s x .codex", "mkdir -p d; mv -T d .git" };

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	for (size_t i = 0; i < 5 * ARRAY_LEN(loops); i++) {
		int reader SCOPED(fd_close) = -1;
		pid_t broker = start_broker(loops[i % ARRAY_LEN(loops)], &reader);
		char text[4096];

		assert_int_equal(kill(broker, SIGKILL), 0);
		assert_int_equal(waitpid(broker, NULL, 0), broker);
		while (read(reader, text, sizeof text) > 0)
			;
		reap_all(); /* until its processes are gone */
		shell("test -z \"$(ls -A desk | grep -v '^d$')\"");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SANDBOX_TEST(a_protected_name_that_is_not_there_cannot_be_made),
		SANDBOX_TEST(git_init_fails_at_the_top_and_leaves_nothing),
		SANDBOX_TEST(a_file_that_takes_a_protected_name_ends_the_command_and_is_removed),
		SANDBOX_TEST(one_that_is_made_last_is_removed_too),
		SANDBOX_TEST(one_that_is_there_for_a_moment_ends_it_too),
		SANDBOX_TEST(without_room_for_watches_folders_are_looked_at),
		SANDBOX_TEST(with_changes_logged_such_a_file_is_refused),
		SANDBOX_TEST(a_busy_folder_is_not_in_the_way),
		SANDBOX_TEST(what_the_host_does_to_a_protected_name_ends_the_command),
		SANDBOX_TEST(what_git_does_on_the_host_disturbs_nobody),
		SANDBOX_TEST(a_killed_command_leaves_no_name),
		SANDBOX_TEST(a_killed_broker_leaves_no_name_and_no_process),
		SANDBOX_TEST(mounts_of_the_host_come_and_go_without_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
