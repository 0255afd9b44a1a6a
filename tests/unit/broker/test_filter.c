/*
 * The filters, each installed in a child of the test, which then makes the calls. What the
 * command's own position adds is tried in test_sandbox.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/err.h"

#include "broker/filter.h"
#include "tests/support/fixture.h"

#define PASSES 200 /* exit codes of the child, beside errno values */
#define NOT_INSTALLED 201

/* Makes one call behind a filter: PASSES where the filter let it through, else its errno. */
static int behind(enum filter_kind kind, long number, const unsigned long arguments[3])
{
	struct err err = { 0 };
	int status = 0;
	pid_t pid;

	assert_int_equal(filter_prepare(true, &err), 0);
	pid = fork();
	if (pid == 0) {
		long result;

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || filter_install(kind, &err) < 0)
			_exit(NOT_INSTALLED);
		errno = 0;
		result = syscall(number, arguments[0], arguments[1], arguments[2], 0, 0);
		if (result >= 0 || (errno != EPERM && errno != ENOSYS && errno != EAFNOSUPPORT))
			errno = PASSES;
		/* Not _exit(): a sanitizer does more before that than a filter lets pass. */
		(void)syscall(SYS_exit_group, errno);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void every_socket_but_those_that_programs_need_is_refused(void **state)
{
	(void)state;
	for (unsigned long family = 0; family < 48; family++) {
		for (unsigned long type = 1; type < 8; type++) {
			unsigned long arguments[] = { family, type | SOCK_CLOEXEC, 0 };
			bool unix_ok = family == AF_UNIX &&
				       (type == SOCK_STREAM || type == SOCK_SEQPACKET);
			bool inet_ok = (family == AF_INET || family == AF_INET6) &&
				       (type == SOCK_STREAM || type == SOCK_DGRAM);
			bool refused = behind(FILTER_COMMAND, SYS_socket, arguments) != PASSES;

			if (family == AF_NETLINK ? (refused && type == SOCK_RAW)
						 : refused == (unix_ok || inet_ok))
				fail_msg("family %lu, type %lu", family, type);
		}
	}
}

static void no_personality_but_the_harmless_ones_passes(void **state)
{
	static const unsigned long harmless[] = { 0, 8, 0x40000, 0x40008, 0xffffffff };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(harmless); i++) {
		unsigned long arguments[3] = { harmless[i] };

		assert_int_equal(behind(FILTER_COMMAND, SYS_personality, arguments), PASSES);
	}
	for (unsigned bit = 0; bit < 32; bit++) {
		unsigned long arguments[3] = { 1ul << bit };

		if (arguments[0] != 8 && arguments[0] != 0x40000)
			assert_int_equal(behind(FILTER_COMMAND, SYS_personality, arguments), EPERM);
		arguments[0] = 0xffffffff & ~(1ul << bit);
		assert_int_equal(behind(FILTER_COMMAND, SYS_personality, arguments), EPERM);
	}
}

static void no_namespace_can_be_cloned_and_no_mount_made(void **state)
{
	static const unsigned long flags[] = { CLONE_NEWNS,  CLONE_NEWCGROUP, CLONE_NEWUTS,
					       CLONE_NEWIPC, CLONE_NEWUSER,   CLONE_NEWPID,
					       CLONE_NEWNET };
	unsigned long none[3] = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		unsigned long arguments[3] = { flags[i] | SIGCHLD };

		assert_int_equal(behind(FILTER_COMMAND, SYS_clone, arguments), EPERM);
		assert_int_equal(behind(FILTER_COMMAND, SYS_unshare, arguments), EPERM);
	}
	assert_int_equal(behind(FILTER_COMMAND, SYS_clone3, none), ENOSYS);
	for (const char *const *name = filter_specs[FILTER_COMMAND].lists[0].names; *name; name++) {
		int number = seccomp_syscall_resolve_name(*name);

		if (number >= 0)
			assert_int_equal(behind(FILTER_COMMAND, number, none), EPERM);
	}
}

static void every_listed_call_is_refused_where_it_exists(void **state)
{
	unsigned long none[3] = { 0 };

	(void)state;
	for (const char *const *name = filter_specs[FILTER_COMMAND].lists[0].names; *name; name++) {
		int number = seccomp_syscall_resolve_name(*name);

		if (number >= 0 && behind(FILTER_COMMAND, number, none) != EPERM)
			fail_msg("%s", *name);
	}
}

static void no_name_in_the_table_is_misspelt(void **state)
{
	static const char *const young[] = { "open_tree_attr" }; /* younger than some libseccomp */

	(void)state;
	for (size_t i = 0; i < 2 * FILTER_COUNT; i++) {
		const char *const *name = filter_specs[i / 2].lists[i % 2].names;

		for (; name && *name; name++) {
			if (seccomp_syscall_resolve_name(*name) == __NR_SCMP_ERROR &&
			    strcmp(*name, young[0]) != 0)
				fail_msg("%s", *name);
		}
	}
	for (size_t kind = 0; kind < FILTER_COUNT; kind++) {
		for (size_t i = 0; i < filter_specs[kind].rule_count; i++)
			assert_int_not_equal(
				seccomp_syscall_resolve_name(filter_specs[kind].rules[i].call),
				__NR_SCMP_ERROR);
	}
}

static void init_can_do_nothing_but_wait_and_tell(void **state)
{
	static const long refused[] = { SYS_open,   SYS_socket, SYS_execve, SYS_clone, SYS_unlink,
					SYS_ptrace, SYS_mount,  SYS_prctl,  SYS_setns, SYS_write };
	unsigned long none[3] = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		assert_int_equal(behind(FILTER_INIT, refused[i], none), EPERM);
	assert_int_equal(behind(FILTER_INIT, SYS_wait4, none), PASSES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(no_name_in_the_table_is_misspelt),
		FIXTURE_TEST(every_listed_call_is_refused_where_it_exists),
		FIXTURE_TEST(every_socket_but_those_that_programs_need_is_refused),
		FIXTURE_TEST(no_personality_but_the_harmless_ones_passes),
		FIXTURE_TEST(no_namespace_can_be_cloned_and_no_mount_made),
		FIXTURE_TEST(init_can_do_nothing_but_wait_and_tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
