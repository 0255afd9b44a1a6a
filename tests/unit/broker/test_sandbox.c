/*
 * What a sandboxed command can do to files, against the real kernel and as whoever runs the test:
 * what is looked at afterwards is the host.
 */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"

#include "tests/support/fixture.h"
#include "tests/unit/broker/sandboxed.h"

/* ------------------------------------------------------------------ files */

static void a_command_writes_in_its_root_and_nowhere_else(void **state)
{
	struct sandbox_config config = in_desk();

	(void)state;
	run_script(&config,
		   "echo a > mine && mkdir -p d/e && mv mine d/e/ && cat d/e/mine; "
		   "echo b > ../outside/file; echo b > ../outside/new; rm ../outside/file; "
		   "mv ../outside/file .; ln ../outside/file hard; mv d ../outside/; "
		   "echo b > /etc/agent-test; echo b > /tmp/agent-test; true");
	expect_out("a\n");
	expect_out("Read-only file system");
	assert_true(exists("desk/d/e/mine"));
	assert_false(exists("outside/new"));
	assert_true(exists("outside/file"));
	assert_false(exists("desk/hard"));
	assert_false(exists("outside/d"));
	shell("test \"$(cat outside/file)\" = old; test ! -e /tmp/agent-test");
}

static void the_ways_around_by_proc_and_links_lead_nowhere(void **state)
{
	struct sandbox_config config = in_desk();

	(void)state;
	shell("ln -s ../outside desk/link; ln -s ../outside/file desk/filelink");
	run_script(&config,
		   "cd link && echo b > file; cd -; echo b > filelink; "
		   "echo b > /proc/self/cwd/../outside/new; "
		   "echo b > /proc/self/root$PWD/../outside/new; "
		   "exec 9< ../outside; echo b > /proc/self/fd/9/new; echo b > /dev/fd/9/new; "
		   "exec 8< ../outside/file; echo b > /proc/self/fd/8; true");
	expect_out("Read-only file system");
	assert_false(exists("outside/new"));
	shell("test \"$(cat outside/file)\" = old");
}

static void read_only_writes_nothing_but_devices_and_shared_memory(void **state)
{
	struct sandbox_config config = in_desk();

	(void)state;
	config.mode = SANDBOX_MODE_READ_ONLY;
	config.exclude_slash_tmp = false;
	run_script(&config,
		   "echo a > mine; echo a > /tmp/agent-test; echo a > /dev/null && "
		   "head -c1 /dev/zero /dev/urandom > /dev/null && echo a > /dev/shm/x && "
		   "cat /dev/shm/x /etc/hostname > /dev/full; ls /dev/shm; test -c /dev/tty");
	expect_out("Read-only file system");
	expect_out("x\n");
	assert_int_equal(did.status, 0);
	assert_false(exists("desk/mine"));
	shell("test ! -e /tmp/agent-test; test ! -e /dev/shm/x");
}

static void the_temporary_folders_are_roots_unless_excluded(void **state)
{
	struct sandbox_config config = in_desk();

	(void)state;
	config.mode = SANDBOX_MODE_WORKSPACE_WRITE;
	config.exclude_tmpdir = false;
	config.tmpdir = outside;
	run_script(&config, "echo a > ../outside/new");
	assert_int_equal(did.status, 0);
	assert_true(exists("outside/new"));
	config.tmpdir = "relative/../../etc";
	run_script(&config, "echo a > mine");
	assert_int_equal(did.status, 0);
}

static void what_git_and_agents_read_is_protected(void **state)
{
	static const char *const names[] = { ".git", ".agents", ".agentd", ".codex" };
	struct sandbox_config config = in_desk();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char script[512];

		(void)snprintf(script, sizeof script,
			       "mkdir -p desk/%s/hooks; echo old > desk/%s/config", names[i],
			       names[i]);
		shell(script);
		(void)snprintf(
			script, sizeof script,
			"echo b > %s/config; echo b > %s/hooks/new; chmod 777 %s/config; "
			"rm -r %s; mv %s other; mkdir -p x && mv -T x %s; ln -sfn x %s; true",
			names[i], names[i], names[i], names[i], names[i], names[i], names[i]);
		run_script(&config, script);
		expect_out("Read-only file system");
		expect_out("Device or resource busy");
		(void)snprintf(script, sizeof script,
			       "test \"$(cat desk/%s/config)\" = old; test ! -e desk/%s/hooks/new; "
			       "test ! -e desk/other; test ! -x desk/%s/config",
			       names[i], names[i], names[i]);
		shell(script);
	}
}

static void a_nested_root_does_not_open_a_protected_path_again(void **state)
{
	struct sandbox_config config = in_desk();
	char inner[PATH_MAX + 16];
	char folder[PATH_MAX + 16];
	const char *roots[] = { inner, folder };

	(void)state;
	shell("mkdir -p desk/.git/hooks desk/sub/.git/hooks");
	(void)snprintf(inner, sizeof inner, "%s/.git/hooks", desk);
	(void)snprintf(folder, sizeof folder, "%s/sub", desk);
	config.roots = roots;
	config.root_count = 2;
	run_script(&config, "echo a > sub/mine || echo lost; echo b > .git/hooks/new; "
			    "echo b > sub/.git/hooks/new; mv sub sub2; rm -rf sub/.git; true");
	assert_null(strstr(did.out, "lost"));
	assert_false(exists("desk/.git/hooks/new"));
	assert_true(exists("desk/sub/.git/hooks"));
	assert_false(exists("desk/sub/.git/hooks/new"));
	assert_false(exists("desk/sub2"));
}

static void a_pointer_file_protects_what_it_points_to(void **state)
{
	struct sandbox_config config = in_desk();
	char main_root[PATH_MAX + 16];
	const char *roots[] = { main_root };

	(void)state;
	shell("mkdir -p main/deep/.git/worktrees/w/hooks main/deep/.git/hooks; "
	      "echo 'gitdir: ../main/deep/.git/worktrees/w  ' > desk/.git; "
	      "echo ../.. > main/deep/.git/worktrees/w/commondir");
	(void)snprintf(main_root, sizeof main_root, "%s/main", dir);
	config.roots = roots;
	config.root_count = 1;
	run_script(&config,
		   "echo a > ../main/deep/mine || echo lost; echo b > .git; rm .git; "
		   "echo b > ../main/deep/.git/worktrees/w/HEAD; "
		   "echo b > ../main/deep/.git/hooks/new; mv ../main/deep ../main/other; true");
	assert_null(strstr(did.out, "lost"));
	assert_true(exists("main/deep/mine"));
	assert_false(exists("main/deep/.git/worktrees/w/HEAD"));
	assert_false(exists("main/deep/.git/hooks/new"));
	shell("grep -q gitdir desk/.git; test -d main/deep; test ! -e main/other");
}

static void a_pointer_file_to_outside_makes_nothing_writable_there(void **state)
{
	struct sandbox_config config = in_desk();

	(void)state;
	shell("echo 'gitdir: ../outside' > desk/.git");
	run_script(&config, "echo b > ../outside/file; echo b > .git; echo a > mine");
	assert_int_equal(did.status, 0);
	shell("test \"$(cat outside/file)\" = old; grep -q gitdir desk/.git");
	shell("echo 'gitdir: ..' > desk/.git"); /* nonsense, which must not make the root read-only
						 */
	run_script(&config, "echo a > mine2");
	assert_true(exists("desk/mine2"));
}

static void a_linked_name_is_protected_as_link_and_as_target(void **state)
{
	struct sandbox_config config = in_desk();

	(void)state;
	shell("mkdir -p desk/real/git/hooks desk/myhooks desk/.agents; ln -s real desk/a; "
	      "ln -s a/git desk/.git; ln -s ../myhooks desk/.agents/hooks");
	run_script(&config,
		   "rm .git; mv .git x; ln -sfn /tmp .git; rm a; ln -sfn myhooks a; mv real other; "
		   "echo b > real/git/hooks/new; echo b > .git/hooks/new; echo b > myhooks/new; "
		   "rm -r myhooks; echo a > mine");
	assert_int_equal(did.status, 0);
	expect_out("Device or resource busy");
	assert_false(exists("desk/real/git/hooks/new"));
	assert_false(exists("desk/myhooks/new"));
	shell("test \"$(readlink desk/.git)\" = a/git; test \"$(readlink desk/a)\" = real");
}

static void the_products_folders_cannot_be_seen_or_moved(void **state)
{
	static const char *folders[3];
	struct sandbox_config config = in_desk();
	char inner[PATH_MAX + 16];
	char nested[PATH_MAX + 16];

	(void)state;
	shell("mv hidden desk/hidden; mkdir -p desk/hidden/run desk/up/state; echo s > "
	      "desk/up/state/f");
	(void)snprintf(hidden, sizeof hidden, "%.4000s/hidden", desk);
	(void)snprintf(inner, sizeof inner, "%.4000s/up/state", desk);
	folders[0] = hidden;
	folders[1] = inner;
	(void)snprintf(nested, sizeof nested, "%.4000s/hidden/run", desk);
	folders[2] = nested;
	config.hidden = folders;
	config.hidden_count = 3;
	run_script(&config, "ls hidden; cat hidden/file; chmod 700 hidden; mv hidden x; mv up x; "
			    "cat up/state/f; echo b > up/state/new; rm -rf hidden up; true");
	expect_out("Permission denied");
	assert_null(strstr(did.out, "secret"));
	assert_true(exists("desk/hidden/file"));
	assert_true(exists("desk/up/state/f"));
	assert_false(exists("desk/up/state/new"));
}

static void a_missing_product_folder_is_an_error(void **state)
{
	struct sandbox_config config = in_desk();
	struct sandbox *sandbox = NULL;
	struct err err = { 0 };

	(void)state;
	shell("rm -r hidden");
	assert_int_equal(sandbox_open(&sandbox, &config, &err), ERR_NOTFOUND);
	assert_non_null(strstr(err.text, "create it"));
}

static void what_is_no_workspace_is_refused_as_root(void **state)
{
	static const struct row {
		const char *root;
		enum err_code code;
	} rows[] = {
		{ "/", ERR_DENIED },          { "/proc", ERR_DENIED },
		{ "/dev/shm", ERR_DENIED },   { "/sys", ERR_DENIED },
		{ hidden, ERR_DENIED },       { "relative", ERR_INVALID },
		{ "/nowhere", ERR_NOTFOUND }, { "/etc/passwd", ERR_NOTFOUND },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sandbox_config config = in_desk();
		struct sandbox *sandbox = NULL;
		struct err err = { 0 };

		config.roots = &rows[i].root;
		config.root_count = 1;
		if (sandbox_open(&sandbox, &config, &err) != (int)rows[i].code)
			fail_msg("root '%s': %s", rows[i].root, err.text);
		assert_non_null(strstr(err.text, rows[i].root));
	}
}

/* ------------------------------------------------------------------ changes between two commands
 */

static void a_protected_name_that_appears_is_protected_from_the_next_command_on(void **state)
{
	struct sandbox_config config = in_desk();
	struct sandbox *sandbox SCOPED(free_sandbox) = open_or_fail(&config);
	const char *make[] = { "sh", "-c", "mkdir -p other && echo a > mine", NULL };
	const char *write[] = { "sh", "-c", "echo b > .git/config", NULL };

	(void)state;
	run_in(sandbox, make, desk);
	assert_int_equal(did.status, 0);
	shell("mkdir desk/.git");
	run_in(sandbox, write, desk);
	expect_out("Read-only file system");
	shell("rmdir desk/.git; mkdir desk/git2; mv desk/git2 desk/.git"); /* another folder of that
									      name */
	run_in(sandbox, write, desk);
	expect_out("Read-only file system");
	assert_string_equal(sandbox_view(sandbox)->roots[0].protected[3] + strlen(desk), "/.git");
	sandbox_close(TAKE(sandbox));
	reap_all();
}

static void a_root_that_was_replaced_is_looked_at_again(void **state)
{
	struct sandbox_config config = in_desk();
	struct sandbox *sandbox SCOPED(free_sandbox) = open_or_fail(&config);
	const char *write[] = { "sh", "-c", "echo a > mine", NULL };

	(void)state;
	shell("mv desk older; mkdir desk");
	run_in(sandbox, write, desk);
	assert_true(exists("desk/mine"));
	assert_false(exists("older/mine"));
	sandbox_close(TAKE(sandbox));
	reap_all();
}

/* The first child of this process, -1 without one. */
static pid_t first_child(void)
{
	FILE *file = fopen("/proc/thread-self/children", "re");
	int pid = -1;

	assert_non_null(file);
	if (fscanf(file, "%d", &pid) != 1)
		pid = -1;
	(void)fclose(file);
	return pid;
}

static void a_dead_zygote_is_replaced(void **state)
{
	struct sandbox_config config = in_desk();
	struct sandbox *sandbox SCOPED(free_sandbox) = open_or_fail(&config);
	const char *write[] = { "sh", "-c", "echo a > mine", NULL };
	pid_t zygote = first_child();

	(void)state;
	assert_true(zygote > 0);
	assert_int_equal(kill(zygote, SIGKILL), 0);
	assert_int_equal(waitpid(zygote, NULL, 0), zygote);
	run_in(sandbox, write, desk);
	assert_int_equal(did.status, 0);
	assert_true(first_child() > 0 && first_child() != zygote);
	sandbox_close(TAKE(sandbox));
	reap_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SANDBOX_TEST(a_command_writes_in_its_root_and_nowhere_else),
		SANDBOX_TEST(the_ways_around_by_proc_and_links_lead_nowhere),
		SANDBOX_TEST(read_only_writes_nothing_but_devices_and_shared_memory),
		SANDBOX_TEST(the_temporary_folders_are_roots_unless_excluded),
		SANDBOX_TEST(what_git_and_agents_read_is_protected),
		SANDBOX_TEST(a_nested_root_does_not_open_a_protected_path_again),
		SANDBOX_TEST(a_pointer_file_protects_what_it_points_to),
		SANDBOX_TEST(a_pointer_file_to_outside_makes_nothing_writable_there),
		SANDBOX_TEST(a_linked_name_is_protected_as_link_and_as_target),
		SANDBOX_TEST(the_products_folders_cannot_be_seen_or_moved),
		SANDBOX_TEST(a_missing_product_folder_is_an_error),
		SANDBOX_TEST(what_is_no_workspace_is_refused_as_root),
		SANDBOX_TEST(a_protected_name_that_appears_is_protected_from_the_next_command_on),
		SANDBOX_TEST(a_root_that_was_replaced_is_looked_at_again),
		SANDBOX_TEST(a_dead_zygote_is_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
