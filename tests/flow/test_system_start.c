/*
 * System mode: how the broker is started, found and bounded: cgroups, a socket of the service
 * manager, the client's choice.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

#define READY_FD 20 /* beyond those of the test */

static const char *const modes[] = { "read-only", "workspace-write", "danger-full-access" };

/* ------------------------------------------------------------------ cgroups */

static const char *const cgroup_mounts[] = { "/sys/fs/cgroup/unified", "/sys/fs/cgroup" };

struct cgroup {
	char mount[64];
	char path[128]; /* delegated, below the mount */
};

/* One as a service manager makes it for a unit. */
static bool cgroup_open(struct cgroup *cgroup)
{
	struct statfs fs;

	for (size_t i = 0; i < ARRAY_LEN(cgroup_mounts); i++) {
		if (statfs(cgroup_mounts[i], &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC)
			continue;
		(void)snprintf(cgroup->mount, sizeof cgroup->mount, "%s", cgroup_mounts[i]);
		(void)snprintf(cgroup->path, sizeof cgroup->path, "%s/agent-test-%d", cgroup->mount,
			       getpid());
		return mkdir(cgroup->path, 0755) == 0 &&
		       setxattr(cgroup->path, "trusted.delegate", "1", 1, 0) == 0;
	}
	return false;
}

static void cgroup_write(const char *folder, const char *name, const char *text)
{
	char path[256];

	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	system_write(path, text);
}

static size_t cgroup_leaves(const struct cgroup *cgroup)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(4096);
	char path[256];
	int64_t count = 0;

	(void)snprintf(path, sizeof path, "%s/cgroup.stat", cgroup->path);
	assert_int_equal(buf_read_file(&text, path, NULL), 0);
	buf_cut(&text, strcspn(buf_str(&text), "\n"));
	assert_int_equal(
		str_to_int(&count, buf_str(&text) + strlen("nr_descendants "), 0, 1000, NULL), 0);
	return (size_t)count;
}

/* Also waits for what a broker that is gone has left to the kernel to end. */
static void cgroup_close(const struct cgroup *cgroup)
{
	char path[256];
	char text[256] = "";
	struct pollfd change = { .events = POLLPRI };

	(void)snprintf(path, sizeof path, "%s/cgroup.events", cgroup->path);
	change.fd = open(path, O_RDONLY | O_CLOEXEC);
	while (pread(change.fd, text, sizeof text - 1, 0) > 0 && strstr(text, "populated 1"))
		assert_int_equal(poll(&change, 1, BROKER_CLIENT_WAIT_MS), 1);
	fd_close(&change.fd);
	(void)snprintf(path, sizeof path, "%s/broker", cgroup->path);
	(void)rmdir(path); /* not made where nothing was delegated */
	assert_int_equal(rmdir(cgroup->path), 0);
}

/* The broker is started in it; the test itself is only there for that. */
static void rig_open_in(struct system_rig *rig, const struct cgroup *cgroup, const char *user)
{
	cgroup_write(cgroup->path, "cgroup.procs", "0");
	*rig = (struct system_rig){ 0 };
	if (!system_rig_start(rig, user, NULL))
		fail_msg("%s", rig->why);
	test_act_as(NULL);
	cgroup_write(cgroup->mount, "cgroup.procs", "0");
	test_act_as(user);
	broker_client_open(&rig->client, &rig->broker);
}

/* In system mode and as root's own broker. */
static const char *const owners[] = { SYSTEM_USER, NULL };

static void commands_are_in_a_leaf_that_goes_with_them(void **state)
{
	char want[256];
	char got[1024];
	struct cgroup cgroup;
	struct system_rig rig;
	pid_t monitor;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(owners) * ARRAY_LEN(modes); i++) {
		const char *mode = modes[i % ARRAY_LEN(modes)];

		if (!cgroup_open(&cgroup))
			skip(); /* no cgroups of version 2, or none can be made */
		rig_open_in(&rig, &cgroup, owners[i / ARRAY_LEN(modes)]);
		assert_int_equal(cgroup_leaves(&cgroup), 1); /* of the broker itself */
		system_rig_run(&rig, mode, "grep 0:: /proc/self/cgroup", got, sizeof got);
		(void)snprintf(want, sizeof want, "0::%s/ceiling-",
			       cgroup.path + strlen(cgroup.mount));
		if (!str_starts(got, want))
			fail_msg("%s: %s", mode, got);
		assert_int_equal(cgroup_leaves(&cgroup), 2);
		monitor = owners[i / ARRAY_LEN(modes)] ? system_rig_monitor(&rig) : 0;
		system_rig_close(&rig);
		if (monitor > 0)
			wait_for_end(monitor); /* the last thing it does is to remove them */
		cgroup_close(&cgroup);
	}
}

static void what_a_killed_broker_has_left_in_its_leaves_is_ended(void **state)
{
	char leaf[256];
	struct cgroup cgroup;
	struct system_rig rig;
	pid_t monitor;
	int status = 0;
	int ends[2];
	char byte;
	pid_t pid;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(owners); i++) {
		if (!cgroup_open(&cgroup))
			skip();
		(void)snprintf(leaf, sizeof leaf, "%s/ceiling-77", cgroup.path);
		assert_int_equal(mkdir(leaf, 0755), 0);
		assert_int_equal(fd_pipe(ends, NULL), 0);
		pid = fork();
		if (pid == 0) {
			cgroup_write(leaf, "cgroup.procs", "0");
			(void)!write(ends[1], "x", 1);
			(void)pause();
			_exit(0);
		}
		assert_int_equal(read(ends[0], &byte, 1), 1);
		fd_close(&ends[0]);
		fd_close(&ends[1]);
		rig_open_in(&rig, &cgroup, owners[i]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		assert_int_equal(access(leaf, F_OK), -1);
		monitor = owners[i] ? system_rig_monitor(&rig) : 0;
		system_rig_close(&rig);
		if (monitor > 0)
			wait_for_end(monitor);
		cgroup_close(&cgroup);
	}
}

/* What merely can be written to, as root can everywhere, is left alone. */
static void a_cgroup_that_was_not_delegated_is_left_alone(void **state)
{
	char got[1024];
	struct cgroup cgroup;
	struct system_rig rig;
	pid_t monitor;

	(void)state;
	if (!cgroup_open(&cgroup))
		skip();
	assert_int_equal(removexattr(cgroup.path, "trusted.delegate"), 0);
	rig_open_in(&rig, &cgroup, SYSTEM_USER);
	system_rig_run(&rig, "read-only", "grep 0:: /proc/self/cgroup", got, sizeof got);
	assert_null(strstr(got, "ceiling"));
	assert_int_equal(cgroup_leaves(&cgroup), 0);
	monitor = system_rig_monitor(&rig);
	system_rig_close(&rig);
	wait_for_end(monitor);
	cgroup_close(&cgroup);
}

/* ------------------------------------------------------------------ how it is reached */

/* What the broker is started with by a service manager, in the forked child. */
static _Noreturn void become_activated(const struct system_rig *rig, int sock, int ready)
{
	const struct test_broker *broker = &rig->broker;
	int log = open(broker->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	char program[1024];
	char text[32];

	test_act_as(NULL);
	(void)snprintf(program, sizeof program, "%s/agent-broker", getenv("AGENT_TEST_LIBEXEC"));
	(void)snprintf(text, sizeof text, "%d", getpid());
	(void)setenv("LISTEN_PID", text, 1);
	(void)setenv("LISTEN_FDS", "1", 1);
	if (dup2(ready, READY_FD) == READY_FD && dup2(sock, 3) == 3 && fcntl(3, F_SETFD, 0) == 0 &&
	    dup2(log, 2) == 2)
		(void)execl(program, program, "--user", SYSTEM_USER, "--runtime", broker->runtime,
			    "--state", broker->state, "--config", broker->config, "--agentd",
			    "/nonexistent/agentd", "--ready-fd", "20", NULL);
	_exit(127);
}

/* Starts it with such a socket; whether it is ready. */
static bool start_activated(struct system_rig *rig, int type, bool listens)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct buf word SCOPED(buf_deinit) = BUF_INIT(4096);
	int sock SCOPED(fd_close) = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	char path[700];
	int ends[2];

	*rig = (struct system_rig){ .broker = { .user = SYSTEM_USER } };
	test_broker_folders(&rig->broker);
	(void)snprintf(path, sizeof path, "%s/broker.sock", rig->broker.runtime);
	assert_int_equal(str_copy(address.sun_path, sizeof address.sun_path, path, NULL), 0);
	assert_int_equal(bind(sock, (const struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listens ? listen(sock, 4) : 0, 0);
	assert_int_equal(fd_pipe(ends, NULL), 0);
	rig->broker.pid = fork();
	if (rig->broker.pid == 0)
		become_activated(rig, sock, ends[1]);
	fd_close(&ends[1]);
	assert_int_equal(buf_read_fd(&word, ends[0], NULL), 0);
	fd_close(&ends[0]);
	return strcmp(buf_str(&word), "ok\n") == 0;
}

static void a_service_manager_may_listen_for_it(void **state)
{
	struct stat before;
	struct stat after;
	char path[700];
	struct system_rig rig;
	int status = -1;

	(void)state;
	assert_true(start_activated(&rig, SOCK_SEQPACKET, true));
	(void)snprintf(path, sizeof path, "%s/broker.sock", rig.broker.runtime);
	assert_int_equal(stat(path, &before), 0);
	broker_client_open(&rig.client, &rig.broker);
	broker_client_close(&rig.client);
	assert_int_equal(kill(rig.broker.pid, SIGTERM), 0);
	assert_int_equal(waitpid(rig.broker.pid, &status, 0), rig.broker.pid);
	assert_int_equal(status, 0);
	test_act_as(NULL);
	assert_int_equal(stat(path, &after), 0); /* the manager's, which goes on listening */
	assert_int_equal(after.st_ino, before.st_ino);
}

static void a_socket_of_another_kind_is_not_taken(void **state)
{
	static const struct row {
		int type;
		bool listens;
	} rows[] = { { SOCK_STREAM, true }, { SOCK_SEQPACKET, false }, { SOCK_DGRAM, false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct system_rig rig;
		int status = 0;

		assert_false(start_activated(&rig, rows[i].type, rows[i].listens));
		assert_int_equal(waitpid(rig.broker.pid, &status, 0), rig.broker.pid);
		assert_int_equal(WEXITSTATUS(status), 1);
		test_act_as(NULL);
	}
}

/* As the user alone: what 'agent sandbox' with these two variables of its environment says. */
static void run_client(const struct system_rig *rig, const char *variable, char *text, size_t size)
{
	uid_t uid = getpwnam(SYSTEM_USER)->pw_uid;
	gid_t gid = getpwnam(SYSTEM_USER)->pw_gid;
	struct buf said SCOPED(buf_deinit) = BUF_INIT(65536);
	char program[1024];
	char home[700];
	char runtime[700];
	int ends[2];
	pid_t pid;

	(void)snprintf(runtime, sizeof runtime, "XDG_RUNTIME_DIR=%s", rig->broker.home);
	(void)snprintf(program, sizeof program, "%s/agent", getenv("AGENT_TEST_BIN"));
	(void)snprintf(home, sizeof home, "HOME=%s", rig->broker.home);
	assert_int_equal(fd_pipe(ends, NULL), 0);
	test_act_as(NULL);
	pid = fork();
	if (pid == 0) {
		const char *const environment[] = { "PATH=/usr/bin:/bin", home, runtime, variable,
						    NULL };

		(void)dup2(ends[1], 1);
		(void)dup2(ends[1], 2);
		if (initgroups(SYSTEM_USER, gid) == 0 && setresgid(gid, gid, gid) == 0 &&
		    setresuid(uid, uid, uid) == 0 && chdir(rig->broker.work) == 0)
			(void)execle(program, program, "sandbox", "--", "sh", "-c",
				     "readlink /proc/self/ns/user; id -u", NULL, environment);
		_exit(127);
	}
	fd_close(&ends[1]);
	assert_int_equal(buf_read_fd(&said, ends[0], NULL), 0);
	fd_close(&ends[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	(void)snprintf(text, size, "%s", buf_str(&said));
}

static void make_home(struct system_rig *rig)
{
	static const char *const folders[] = {
		".local",  ".local/state",   ".local/state/agentd",
		".config", ".config/agentd", ".local/state/agentd/log"
	};
	char path[700];

	*rig = (struct system_rig){ .broker = { .user = SYSTEM_USER } };
	test_broker_folders(&rig->broker);
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		(void)snprintf(path, sizeof path, "%s/%s", rig->broker.home, folders[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	(void)snprintf(rig->broker.state, sizeof rig->broker.state, "%s/.local/state/agentd",
		       rig->broker.home);
	(void)snprintf(rig->broker.config, sizeof rig->broker.config, "%s/.config/agentd",
		       rig->broker.home);
	(void)snprintf(rig->broker.runtime, sizeof rig->broker.runtime, "/run/agentd/" SYSTEM_USER);
}

/* The broker that a client has started as the user's own. */
static void stop_own(const struct system_rig *rig)
{
	struct broker_client client;
	char runtime[700];

	(void)snprintf(runtime, sizeof runtime, "%s/agentd", rig->broker.home);
	test_act_as(SYSTEM_USER);
	broker_client_connect(&client, runtime, "broker.sock");
	json_decref(broker_must(&client, "hello",
				json_pack("{s:i, s:s}", "version", 1, "name", "test")));
	json_decref(broker_must(&client, "daemon/stop", json_pack("{s:b}", "broker", true)));
	assert_true(broker_client_ended(&client));
	broker_client_close(&client);
}

/* A command of the service is in the namespace of users in which the service is. */
static void a_client_takes_the_broker_of_the_system_where_it_serves(void **state)
{
	static const struct row {
		const char *variable;
		bool serves;
		bool service; /* or a broker of the user's own; NULL in `says` */
		const char *says;
	} rows[] = {
		{ "AGENTD_BROKER=system", true, true, NULL },
		{ "X=", true, true, NULL },
		{ "AGENTD_BROKER=user", true, false, NULL },
		{ "AGENTD_BROKER=other", true, false, "neither 'system' nor 'user'" },
		{ "AGENTD_BROKER=system", false, false,
		  "does not answer at '/run/agentd/" SYSTEM_USER },
		{ "X=", false, false, NULL },
	};
	char text[4096];
	char own[64] = "";
	bool made = access("/run/agentd", F_OK) < 0;
	struct system_rig rig;

	(void)state;
	assert_true(readlink("/proc/self/ns/user", own, sizeof own - 1) > 0);
	make_home(&rig);
	assert_true(system_rig_start(&rig, SYSTEM_USER, NULL) || !puts(rig.why));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!rows[i].serves && rig.broker.pid > 0) {
			test_act_as(SYSTEM_USER);
			assert_int_equal(test_broker_stop(&rig.broker), 0);
			rig.broker.pid = 0;
		}
		run_client(&rig, rows[i].variable, text, sizeof text);
		if (!rows[i].service && !rows[i].says)
			stop_own(&rig);
		if (rows[i].says ? !strstr(text, rows[i].says)
				 : !strstr(text, "\n1\n") || rows[i].service != !!strstr(text, own))
			fail_msg("%s, %s: %s", rows[i].variable, rows[i].serves ? "on" : "off",
				 text);
	}
	test_act_as(NULL);
	assert_int_equal(rmdir("/run/agentd/" SYSTEM_USER), 0);
	assert_int_equal(made ? rmdir("/run/agentd") : 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LEAK_TEST(commands_are_in_a_leaf_that_goes_with_them),
		LEAK_TEST(what_a_killed_broker_has_left_in_its_leaves_is_ended),
		LEAK_TEST(a_cgroup_that_was_not_delegated_is_left_alone),
		LEAK_TEST(a_service_manager_may_listen_for_it),
		LEAK_TEST(a_socket_of_another_kind_is_not_taken),
		LEAK_TEST(a_client_takes_the_broker_of_the_system_where_it_serves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
