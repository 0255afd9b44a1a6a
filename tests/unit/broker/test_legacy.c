/* What Landlock and the filters hold alone, without namespaces: what is looked at is the host. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"

#include "broker/probe.h"
#include "tests/support/fixture.h"
#include "tests/unit/broker/sandboxed.h"

static struct sandbox_config legacy(void)
{
	struct sandbox_config config = in_desk();

	config.legacy_landlock = true;
	return config;
}

static void refused(const char *what)
{
	expect_out(what);
	if (strstr(did.out, "lost"))
		fail_msg("%s", did.out);
}

static void what_exists_in_a_root_is_writable_and_nothing_else(void **state)
{
	struct sandbox_config config = legacy();

	(void)state;
	shell("mkdir -p desk/src/deep; echo old > desk/file; ln -s ../outside desk/link");
	run_script(
		&config,
		"echo a > file && echo a > src/new && mkdir src/deep/x && mv src/new src/deep/ && "
		"ln src/deep/new src/hard && rm src/hard && cat file src/deep/new && echo right; "
		"echo b > new && echo lost; mkdir d && echo lost; rm file && echo lost; "
		"mv src other && echo lost; echo b > ../outside/file && echo lost; "
		"echo b > link/file && echo lost; truncate -s 0 ../outside/file && echo lost; "
		"rm ../outside/file && echo lost; ln ../outside/file src/h && echo lost; "
		"mv ../outside/file src/ && echo lost; echo b > /tmp/agent-test && echo lost; "
		"echo b > /proc/self/cwd/../outside/file && echo lost; exit 0");
	refused("a\na\nright\n");
	expect_out("Permission denied");
	assert_int_equal(did.status, 0);
	shell("test \"$(cat outside/file)\" = old; test ! -e /tmp/agent-test; test ! -e desk/new");
}

static void tools_that_keep_modes_and_attributes_work(void **state)
{
	struct sandbox_config config = legacy();

	(void)state;
	shell("mkdir desk/src; echo old > desk/file");
	run_script(&config, "cp -a file src/a && cp -p file src/b && install -m 755 file src/c && "
			    "tar cf - file | tar xf - -C src && mv src/a src/d && ls src && "
			    "test -x src/c && echo right");
	refused("b\nc\nd\nfile\nright\n");
}

static void read_only_writes_nothing_but_devices(void **state)
{
	struct sandbox_config config = legacy();

	(void)state;
	config.mode = SANDBOX_MODE_READ_ONLY;
	config.exclude_slash_tmp = false;
	shell("echo old > desk/file");
	run_script(&config, "cat file /etc/hostname > /dev/null && head -c1 /dev/zero > /dev/null "
			    "&& echo right; echo b > file && echo lost; echo b > /tmp/agent-test "
			    "&& echo lost; echo b > /dev/shm/agent-test && echo lost; ls /dev && "
			    "echo lost; cat < /dev/ptmx && echo lost; exit 0");
	refused("right\n");
	shell("test \"$(cat desk/file)\" = old; test ! -e /dev/shm/agent-test");
}

static void a_protected_path_is_excepted_at_any_depth(void **state)
{
	struct sandbox_config config = legacy();
	char nested[PATH_MAX + 16];
	const char *roots[] = { nested };

	(void)state;
	shell("mkdir -p desk/.git/hooks desk/sub/deep/.git/hooks desk/sub/other; "
	      "echo old > desk/.git/config; echo old > desk/sub/deep/.git/config");
	(void)snprintf(nested, sizeof nested, "%s/sub/deep", desk);
	config.roots = roots;
	config.root_count = 1;
	run_script(
		&config,
		"echo a > sub/other/mine && echo right; for d in . sub/deep; do "
		"echo b > $d/.git/config && echo lost; echo b > $d/.git/hooks/new && echo lost; "
		"rm -rf $d/.git && echo lost; mv $d/.git sub/other/ && echo lost; "
		"ln $d/.git/config sub/other/c && echo lost; done; mv sub/deep sub/other && "
		"echo lost; mv sub sub2 && echo lost; mkdir .agents .codex && echo lost; exit 0");
	refused("right\n");
	shell("test \"$(cat desk/.git/config desk/sub/deep/.git/config)\" = 'old\nold'; "
	      "test ! -e desk/.agents; test ! -e desk/.git/hooks/new");
}

static void a_temporary_folder_is_whole(void **state)
{
	struct sandbox_config config = legacy();

	(void)state;
	config.exclude_tmpdir = false;
	config.tmpdir = outside;
	run_script(&config, "cd ../outside && echo a > new && mkdir d && mv new d/ && rm file && "
			    "echo right");
	refused("right\n");
	assert_true(exists("outside/d/new"));
}

static void the_hidden_folders_are_neither_read_nor_listed(void **state)
{
	struct sandbox_config config = legacy();

	(void)state;
	shell("mkdir desk/in; ln -s ../hidden desk/link");
	run_script(&config, "cat ../hidden/file && echo lost; ls ../hidden && echo lost; ls / && "
			    "echo lost; cat link/file && echo lost; ls .. && echo lost; "
			    "cat ../outside/file /etc/hostname > /dev/null && ls . ../outside "
			    "/usr /etc > /dev/null && echo right; exit 0");
	refused("right\n");
	assert_null(strstr(did.out, "secret"));
}

static void a_folder_that_cannot_be_listed_is_passed(void **state)
{
	struct sandbox_config config = legacy();
	char root[PATH_MAX + 16];
	const char *roots[] = { root };

	(void)state;
	if (geteuid() == 0) /* may list it by a capability only, which it gives up */
		shell("chown 1:1 . || true");
	shell("mkdir -p outside/in; chmod 0711 .");
	(void)snprintf(root, sizeof root, "%s/in", outside);
	config.roots = roots;
	config.root_count = 1;
	run_script(&config, "cat ../outside/file; cat ../hidden/file && echo lost; exit 0");
	assert_null(strstr(did.out, "lost"));
	assert_null(strstr(did.out, "secret"));
	if (geteuid() == 0)
		shell("chown 0:0 .");
}

static void the_limit_of_entries_holds_on_both_sides(void **state)
{
	struct sandbox_config config = legacy();

	(void)state;
	/* What lies above the root counts too. */
	shell("cd desk && seq 15000 | xargs touch");
	run_script(&config, "echo right");
	expect_out("right\n");
	shell("cd desk && seq 15001 16500 | xargs touch");
	run_script(&config, "echo lost");
	assert_string_equal(did.out, "");
	assert_non_null(strstr(did.failure.text, "more than 16384 entries"));
}

/* ------------------------------------------------------------------ processes */

/* What comes of attempts of tests/fake/escape_probe where that is not as with namespaces. */
static const struct {
	const char *name;
	const char *outcome;
} attempts[] = {
	{ "kill", "EPERM" },
	{ "ptrace", "EPERM" },
	{ "read_memory", "EPERM" },
	{ "unshare_user", "EPERM" },
	{ "clone_user", "EPERM" },
	{ "mount", "EPERM" },
	{ "keyctl", "EPERM" },
	{ "io_uring", "EPERM" },
	{ "unix_datagram", "EPERM" },
	{ "unix_stream", "EPERM" },
	/* a pair of them, which nobody else can reach */
	{ "unix_packets", "OK" },
	/* there is no socket to connect */
	{ "abstract", "EBADF" },
	{ "internet", "EBADF" },
	{ "host_loopback", "EBADF" },
	{ "more_files", "EPERM" },
	{ "privileges", "EPERM" },
	{ "stray", "EBADF" },
};

static void the_doors_of_the_host_are_shut(void **state)
{
	struct sandbox_config config = legacy();
	char script[PATH_MAX + 128];

	(void)state;
	(void)snprintf(script, sizeof script, "echo; exec %s/escape_probe %d 9 agent-test-none",
		       getenv("AGENT_TEST_FAKE"), getpid());
	run_script(&config, script);
	for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
		char line[128];

		(void)snprintf(line, sizeof line, "\n%s %s\n", attempts[i].name,
			       attempts[i].outcome);
		if (!strstr(did.out, line)) {
			(void)fputs(did.out, stderr);
			fail_msg("no '%s'", line + 1);
		}
	}
}

static void nothing_of_a_capability_is_left(void **state)
{
	struct sandbox_config config = legacy();

	(void)state;
	/* An ordinary user cannot empty the bounding set; nothing comes from it without privileges.
	 */
	run_script(&config, "grep -cE '^(Cap(Inh|Prm|Eff|Amb):.0*|NoNewPrivs:.1|Seccomp:.2)$' "
			    "/proc/self/status; grep CapBnd /proc/self/status");
	assert_int_equal(strncmp(did.out, "6\n", 2), 0);
	if (geteuid() == 0)
		expect_out("CapBnd:\t0000000000000000\n");
}

static void modes_that_reach_beyond_the_user_are_refused(void **state)
{
	struct sandbox_config config = legacy();

	(void)state;
	shell("echo old > desk/file");
	run_script(&config, "chmod 755 file && chmod 600 file && echo right; chmod 4755 file && "
			    "echo lost; chmod g+s file && echo lost; chmod o+w ../outside/file && "
			    "echo lost; exit 0");
	refused("right\n");
	shell("test \"$(stat -c %a desk/file)\" = 600");
}

/* The errno of opening a named pipe of the desk for writing; ENXIO where nobody reads it. */
static int open_alone(const char *name)
{
	char path[PATH_MAX + 16];
	int fd SCOPED(fd_close) = -1;

	(void)snprintf(path, sizeof path, "%s/%s", desk, name);
	fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? errno : 0;
}

static void the_tree_ends_with_its_command(void **state)
{
	struct sandbox_config config = legacy();
	char script[256];

	(void)state;
	shell("mkfifo desk/alive");
	(void)snprintf(
		script, sizeof script,
		"setsid sh -c 'trap \"\" TERM HUP; exec 3<> alive; echo >&3; exec sleep 1000' "
		"> /dev/null 2>&1 & read x < alive; kill -9 $PPID; kill -9 %d; echo right",
		getpid());
	run_script(&config, script);
	refused("right\n");
	/* Nobody holds the other end of the pipe any more. */
	assert_int_equal(open_alone("alive"), ENXIO);
}

static void the_view_says_what_is_missing(void **state)
{
	struct sandbox_config config = legacy();
	struct sandbox *sandbox SCOPED(free_sandbox) = open_or_fail(&config);
	const struct sandbox_view *view = sandbox_view(sandbox);

	(void)state;
	assert_int_equal(view->layer_count, 2);
	assert_string_equal(view->layers[0], "seccomp");
	assert_non_null(strstr(view->layers[1], "landlock "));
	assert_in_range(view->missing_count, 5, SANDBOX_LAYERS_MAX);
	for (size_t i = 0; i < view->missing_count; i++)
		assert_in_range(strlen(view->missing[i]), 20, 256); /* what the protocol takes */
	assert_false(view->network);
	sandbox_close(TAKE(sandbox));
	reap_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SANDBOX_TEST(what_exists_in_a_root_is_writable_and_nothing_else),
		SANDBOX_TEST(tools_that_keep_modes_and_attributes_work),
		SANDBOX_TEST(read_only_writes_nothing_but_devices),
		SANDBOX_TEST(a_protected_path_is_excepted_at_any_depth),
		SANDBOX_TEST(a_temporary_folder_is_whole),
		SANDBOX_TEST(the_hidden_folders_are_neither_read_nor_listed),
		SANDBOX_TEST(a_folder_that_cannot_be_listed_is_passed),
		SANDBOX_TEST(the_limit_of_entries_holds_on_both_sides),
		SANDBOX_TEST(the_doors_of_the_host_are_shut),
		SANDBOX_TEST(nothing_of_a_capability_is_left),
		SANDBOX_TEST(modes_that_reach_beyond_the_user_are_refused),
		SANDBOX_TEST(the_tree_ends_with_its_command),
		SANDBOX_TEST(the_view_says_what_is_missing),
	};
	struct probe probes[PROBES_MAX];
	size_t count = probe_all(probes);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(probes[i].name, "legacy_landlock") == 0 && !probes[i].ok) {
			(void)fprintf(stderr, "skipped: %s\n", probes[i].detail);
			return FIXTURE_SKIPPED;
		}
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
