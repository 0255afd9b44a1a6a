/*
 * System mode: root starts the broker for a user. Who has which rights, and what the users of two
 * such brokers can do to each other.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "tests/support/fixture.h"
#include "tests/support/leak.h"
#include "tests/support/system_rig.h"

#define NEEDED                                                                                     \
	(1ULL << CAP_SYS_ADMIN | 1ULL << CAP_NET_ADMIN | 1ULL << CAP_SETUID | 1ULL << CAP_SETGID | \
	 1ULL << CAP_SETPCAP | 1ULL << CAP_KILL)
#define INSIDE "AGENT_TEST_INSIDE" /* the namespace of one of the tests */
#define SH(script)                                                                                 \
	(const char *const[])                                                                      \
	{                                                                                          \
		"sh", "-c", script, NULL                                                           \
	}

static const char *const modes[] = { "read-only", "workspace-write", "danger-full-access" };

/* ------------------------------------------------------------------ privilege */

static void only_the_monitor_has_rights_and_only_those_of_the_table(void **state)
{
	static const char *const sets[] = { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" };
	uid_t uid = getpwnam(SYSTEM_USER)->pw_uid;
	char want[128];
	char got[128];
	struct stat owner;
	struct system_rig rig;

	(void)state;
	system_rig_open(&rig, SYSTEM_USER);
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		system_status(rig.broker.pid, sets[i], got, sizeof got);
		if (strcmp(got, "0000000000000000") != 0)
			fail_msg("front, %s: %s", sets[i], got);
		system_status(system_rig_monitor(&rig), sets[i], got, sizeof got);
		(void)snprintf(want, sizeof want, "%016llx", i % 4 == 0 ? 0 : NEEDED);
		if (strcmp(got, want) != 0)
			fail_msg("monitor, %s: %s", sets[i], got);
	}
	(void)snprintf(want, sizeof want, "%u\t%u\t%u\t%u", uid, uid, uid, uid);
	system_status(rig.broker.pid, "Uid", got, sizeof got);
	assert_string_equal(got, want);
	system_status(system_rig_monitor(&rig), "Uid", got, sizeof got);
	assert_string_equal(got, "0\t0\t0\t0");
	system_status(system_rig_monitor(&rig), "NoNewPrivs", got, sizeof got);
	assert_string_equal(got, "1");
	/* Whom nobody may trace belongs to root there. */
	(void)snprintf(got, sizeof got, "/proc/%d/mem", rig.broker.pid);
	assert_int_equal(stat(got, &owner), 0);
	assert_int_equal(owner.st_uid, 0);
	system_rig_close(&rig);
}

/* The broker that starts has a bounding set without it, as in a unit that forgot it. */
static void without_one_of_them_it_does_not_start(void **state)
{
	static const struct row {
		unsigned long capability;
		const char *name;
	} rows[] = {
		{ CAP_SYS_ADMIN, "sys_admin" }, { CAP_NET_ADMIN, "net_admin" },
		{ CAP_SETUID, "setuid" },       { CAP_SETGID, "setgid" },
		{ CAP_SETPCAP, "setpcap" },     { CAP_KILL, "kill" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct system_rig rig = { 0 };
		char want[64];
		int status = 0;
		pid_t pid;

		rig.broker.user = SYSTEM_USER;
		test_broker_folders(&rig.broker);
		test_act_as(NULL);
		pid = fork();
		if (pid == 0) {
			bool refused = prctl(PR_CAPBSET_DROP, rows[i].capability, 0, 0, 0) == 0 &&
				       !system_rig_start(&rig, SYSTEM_USER, NULL);

			(void)snprintf(want, sizeof want, "capability %s: needed", rows[i].name);
			if (refused && strstr(rig.why, want))
				_exit(0);
			print_error("%s", rig.why);
			_exit(1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status != 0)
			fail_msg("%s: %d", rows[i].name, status);
	}
}

static void who_cannot_be_served_is_told_so(void **state)
{
	static const struct row {
		const char *user;
		const char *options[3];
		const char *why;
	} rows[] = {
		{ "root", { NULL }, "root, or no user" },
		{ "no-such-user", { NULL }, "root, or no user" },
		{ SYSTEM_USER, { "--requirements", "/dev/null", NULL }, "not with --user" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct system_rig rig = { 0 };

		rig.broker.user = SYSTEM_USER;
		test_broker_folders(&rig.broker);
		rig.broker.user = rows[i].user;
		assert_false(system_rig_start(&rig, NULL, rows[i].options));
		if (!strstr(rig.why, rows[i].why))
			fail_msg("%s: %s", rows[i].user, rig.why);
		test_act_as(NULL);
	}
}

/* ------------------------------------------------------------------ commands */

static void a_command_is_the_user_with_the_users_groups(void **state)
{
	const struct passwd *user = getpwnam(SYSTEM_USER);
	gid_t groups[64];
	int count = ARRAY_LEN(groups);
	char want[1024];
	char got[1024];
	struct system_rig rig;
	int length = snprintf(want, sizeof want, "%u %u", user->pw_uid, user->pw_gid);

	(void)state;
	assert_true(getgrouplist(SYSTEM_USER, user->pw_gid, groups, &count) > 0);
	for (int i = 0; i < count; i++)
		length += snprintf(want + length, sizeof want - (size_t)length, " %u", groups[i]);
	system_rig_open(&rig, SYSTEM_USER);
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		system_rig_run(&rig, modes[i], "echo $(id -u) $(id -g) $(id -G)", got, sizeof got);
		if (!str_starts(got, want) || got[length] != '\n')
			fail_msg("%s: %s", modes[i], got);
		system_rig_run(&rig, modes[i], "grep -E 'Cap(Prm|Eff|Bnd)|NoNew' /proc/self/status",
			       got, sizeof got);
		if (!strstr(got, "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n") ||
		    !strstr(got, "NoNewPrivs:\t1"))
			fail_msg("%s: %s", modes[i], got);
	}
	system_rig_close(&rig);
}

static void the_policy_says_that_it_is_system_mode_and_what_bounds(void **state)
{
	struct system_rig rig;

	(void)state;
	system_rig_open(&rig, SYSTEM_USER);
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		char ceiling[33];
		json_auto_t *shown = NULL;
		json_t *policy;

		broker_client_ceiling(&rig.client, &rig.broker, modes[i], false, ceiling);
		shown = broker_must(&rig.client, "ceiling/show",
				    json_pack("{s:s}", "ceiling", ceiling));
		policy = json_object_get(shown, "policy");
		assert_string_equal(
			json_string_value(json_array_get(json_object_get(policy, "layers"), 0)),
			"system");
		if (i == 2)
			continue; /* nothing bounds full access without a cgroup */
		assert_non_null(strstr(
			json_string_value(json_array_get(json_object_get(policy, "limits"), 0)),
			"processes 2048 (rlimit"));
	}
	system_rig_close(&rig);
}

/* In the namespace of the next test. */
static void it_works_where_user_namespaces_are_off(void **state)
{
	char got[1024];
	struct system_rig rig;

	(void)state;
	system_write("/proc/sys/user/max_user_namespaces", "0");
	assert_int_equal(unshare(CLONE_NEWUSER), -1);
	assert_int_equal(errno, ENOSPC);
	system_rig_open(&rig, SYSTEM_USER);
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		system_rig_run(&rig, modes[i], "echo $(id -u); touch /etc/no 2>&1", got,
			       sizeof got);
		if (!str_starts(got, "1\n") || !strstr(got, i < 2 ? "Read-only" : "denied"))
			fail_msg("%s: %s", modes[i], got);
	}
	system_rig_close(&rig);
}

/*
 * The setting belongs to a namespace: here one with all users in it, whose root sets it for itself
 * and all below. So nobody else on the machine has to go without them for this test.
 */
static void no_user_namespace_is_needed(void **state)
{
	char path[64];
	char byte = 0;
	int status = 0;
	int pair[2];
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write(pair[1], "x", 1) == 1 &&
		    read(pair[1], &byte, 1) == 1 && setenv(INSIDE, "1", 1) == 0)
			(void)execl("/proc/self/exe", "flow_system", NULL);
		_exit(127);
	}
	assert_int_equal(read(pair[0], &byte, 1), 1);
	(void)snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
	system_write(path, "0 0 65536");
	(void)snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
	system_write(path, "0 0 65536");
	assert_int_equal(write(pair[0], "x", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	fd_close(&pair[0]);
	fd_close(&pair[1]);
	assert_int_equal(status, 0);
}

/* Also what a command has orphaned: its output ends with the last process that has it. */
static void either_half_takes_all_along_when_it_is_killed(void **state)
{
	static const char script[] =
		"(setsid sh -c 'trap \"\" TERM HUP; echo ready; sleep 1000' &);"
		" sleep 1000";

	(void)state;
	for (size_t m = 0; m < 2 * ARRAY_LEN(modes); m++) {
		struct broker_command command;
		struct system_rig rig;
		char ceiling[33];
		char text[64];
		pid_t monitor;

		system_rig_open(&rig, SYSTEM_USER);
		monitor = system_rig_monitor(&rig);
		broker_client_ceiling(&rig.client, &rig.broker, modes[m / 2], false, ceiling);
		assert_true(broker_command_start(&command, &rig.client, ceiling, SH(script)));
		broker_command_line(&command, text, sizeof text);
		test_act_as(NULL);
		assert_int_equal(kill(m % 2 ? monitor : rig.broker.pid, SIGKILL), 0);
		assert_int_equal(waitpid(rig.broker.pid, NULL, 0), rig.broker.pid);
		assert_int_equal(read(command.out, text, sizeof text), 0);
		fd_close(&command.out);
		broker_client_close(&rig.client);
		wait_for_end(monitor);
		test_act_as(NULL);
	}
}

/* ------------------------------------------------------------------ two users */

static void expect(struct system_rig *rig, const char *mode, const char *script, const char *want)
{
	char got[4096];

	test_act_as(rig->broker.user);
	system_rig_run(rig, mode, script, got, sizeof got);
	if (strcmp(got, want) != 0)
		fail_msg("%s, %s: %s", mode, script, got);
}

static void two_users_neither_see_nor_reach_each_other(void **state)
{
	struct system_rig one;
	struct system_rig two;
	struct broker_command sleeper;
	char script[4096];
	char ceiling[33];
	char pid[64];

	(void)state;
	system_rig_open(&one, SYSTEM_USER);
	system_rig_open(&two, SYSTEM_OTHER);
	broker_client_ceiling(&two.client, &two.broker, "danger-full-access", false, ceiling);
	assert_true(broker_command_start(&sleeper, &two.client, ceiling,
					 SH("echo $$; exec sleep 1000")));
	broker_command_line(&sleeper, pid, sizeof pid);
	for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
		(void)snprintf(script, sizeof script,
			       "for i in '%s' '%s' '%s' '%s'; do ls \"$i\" >/dev/null 2>&1 && echo "
			       "$i; done; kill -0 %s 2>/dev/null && echo signalled; cat "
			       "/proc/%s/environ 2>/dev/null",
			       two.broker.work, two.broker.runtime, two.broker.state,
			       two.broker.config, pid, pid);
		expect(&one, modes[m], script, "");
	}
	/* In a sandbox there is nobody else at all. */
	(void)snprintf(script, sizeof script, "test -e /proc/%s || echo nobody", pid);
	expect(&one, "read-only", script, "nobody\n");
	test_act_as(SYSTEM_OTHER);
	json_decref(broker_must(&two.client, "child/kill",
				json_pack("{s:s, s:i}", "child", sleeper.child, "signal", 9)));
	(void)broker_command_finish(&sleeper, &two.client, NULL, 0);
	system_rig_close(&two);
	test_act_as(SYSTEM_USER);
	system_rig_close(&one);
}

/* What somebody hears who connects and says nothing. */
static void expect_refusal(const struct system_rig *rig, const char *user)
{
	struct broker_client client;
	char text[1024] = "";

	test_act_as(user);
	broker_client_connect(&client, rig->broker.runtime, "broker.sock");
	assert_true(recv(client.sock, text, sizeof text - 1, 0) > 0);
	if (!strstr(text, "the peer is user"))
		fail_msg("%s", text);
	assert_true(broker_client_ended(&client));
	broker_client_close(&client);
}

/* Even where the folder and the socket are open to all: the kernel says who it is. */
static void nobody_but_the_user_is_heard(void **state)
{
	char path[700];
	struct system_rig rig;

	(void)state;
	system_rig_open(&rig, SYSTEM_USER);
	(void)snprintf(path, sizeof path, "%s/broker.sock", rig.broker.runtime);
	test_act_as(NULL);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(chmod(rig.broker.runtime, 0755), 0);
	assert_int_equal(chmod(rig.broker.home, 0755), 0);
	expect_refusal(&rig, SYSTEM_OTHER);
	expect_refusal(&rig, NULL);
	test_act_as(SYSTEM_USER);
	system_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LEAK_TEST(only_the_monitor_has_rights_and_only_those_of_the_table),
		LEAK_TEST(without_one_of_them_it_does_not_start),
		LEAK_TEST(who_cannot_be_served_is_told_so),
		LEAK_TEST(a_command_is_the_user_with_the_users_groups),
		LEAK_TEST(the_policy_says_that_it_is_system_mode_and_what_bounds),
		LEAK_TEST(no_user_namespace_is_needed),
		LEAK_TEST(either_half_takes_all_along_when_it_is_killed),
		LEAK_TEST(two_users_neither_see_nor_reach_each_other),
		LEAK_TEST(nobody_but_the_user_is_heard),
	};

	const struct CMUnitTest inside[] = {
		FIXTURE_TEST(it_works_where_user_namespaces_are_off),
	};

	if (getenv(INSIDE))
		return cmocka_run_group_tests(inside, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
