/*
 * rivals.c - who runs commands: ourselves, the bare kernel, and what others have made.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "tests/bench/sandbox/bench.h"

#define AT_ONCE 8
#define WORDS_MAX 64
#define LINE_MAX 65536

static pid_t held;

/* ------------------------------------------------------------------ as processes */

static char *const *environment(void)
{
	static char home[BENCH_PATH];
	static char user[BENCH_PATH];
	static char codex[BENCH_PATH];
	static char path[3 * BENCH_PATH];
	static char *env[] = { home, user, codex, path, NULL };

	(void)snprintf(home, sizeof home, "AGENTD_HOME=%s/home", bench.top);
	(void)snprintf(user, sizeof user, "HOME=%s", bench.peers ? bench.peers : bench.top);
	(void)snprintf(codex, sizeof codex, "CODEX_HOME=%s/home",
		       bench.peers ? bench.peers : bench.top);
	(void)snprintf(path, sizeof path, "PATH=%s",
		       getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
	return env;
}

pid_t bench_spawn(const char *const *argv)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	pid_t pid = -1;

	(void)sigemptyset(&none);
	(void)posix_spawnattr_init(&attributes);
	(void)posix_spawnattr_setsigmask(&attributes, &none);
	(void)posix_spawnattr_setpgroup(&attributes, 0);
	(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	(void)posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (posix_spawnp(&pid, argv[0], &actions, &attributes, (char *const *)(uintptr_t)argv,
			 environment()) != 0)
		pid = -1;
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)posix_spawnattr_destroy(&attributes);
	return pid;
}

bool bench_wait(pid_t pid)
{
	int status = 1;

	while (pid > 0 && waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
		;
	return pid > 0 && status == 0;
}

/* The words behind those that lead in. */
static const char *const *joined(const char *const *before, const char *const *argv)
{
	static const char *words[WORDS_MAX];
	size_t count = 0;

	while (*before && count + 1 < WORDS_MAX)
		words[count++] = *before++;
	while (*argv && count + 1 < WORDS_MAX)
		words[count++] = *argv++;
	words[count] = NULL;
	return words;
}

/* Eight at a time, by whatever starts one. */
static bool crowd_of(pid_t (*start)(const char *const *argv), const char *const *argv, size_t count)
{
	size_t running = 0;
	bool fine = true;

	for (size_t begun = 0; begun < count || running > 0;) {
		int status = 1;

		if (begun < count && running < AT_ONCE) {
			fine = start(argv) > 0 && fine;
			begun++;
			running++;
			continue;
		}
		if (waitpid(-1, &status, __WALL) < 0)
			return false;
		fine = fine && status == 0;
		running--;
	}
	return fine;
}

static void release_group(void)
{
	(void)kill(-held, SIGTERM);
	(void)kill(-held, SIGKILL);
	(void)waitpid(held, NULL, 0);
}

static bool bare_run(const char *const *argv)
{
	return bench_wait(bench_spawn(argv));
}

const struct rival rival_bare = { .name = "posix_spawn, no sandbox", .run = bare_run };

static pid_t bwrap_start(const char *const *argv)
{
	static const char *const before[] = { "bwrap",
					      "--new-session",
					      "--die-with-parent",
					      "--ro-bind",
					      "/",
					      "/",
					      "--dev",
					      "/dev",
					      "--bind",
					      bench.work,
					      bench.work,
					      "--bind",
					      "/tmp",
					      "/tmp",
					      "--unshare-user",
					      "--unshare-pid",
					      "--unshare-ipc",
					      "--unshare-uts",
					      "--unshare-net",
					      "--proc",
					      "/proc",
					      "--chdir",
					      bench.work,
					      "--",
					      NULL };

	return bench_spawn(joined(before, argv));
}

static bool bwrap_run(const char *const *argv)
{
	return bench_wait(bwrap_start(argv));
}

static bool bwrap_crowd(const char *const *argv, size_t count)
{
	return crowd_of(bwrap_start, argv, count);
}

static pid_t bwrap_hold(const char *const *argv)
{
	held = bwrap_start(argv);
	return held;
}

const struct rival rival_bwrap = { .name = "bwrap",
				   .run = bwrap_run,
				   .crowd = bwrap_crowd,
				   .hold = bwrap_hold,
				   .release = release_group };

/* A program of the peers' folder. */
static const char *peer_program(const char *name)
{
	static char path[BENCH_PATH];

	(void)snprintf(path, sizeof path, "%s/node_modules/.bin/%s",
		       bench.peers ? bench.peers : "/nonexistent", name);
	return path;
}

static bool srt_run(const char *const *argv)
{
	const char *before[] = { peer_program("srt"), NULL };

	return bench_wait(bench_spawn(joined(before, argv)));
}

const struct rival rival_srt = { .name = "srt", .run = srt_run };

static bool peer_cli_run(const char *const *argv)
{
	const char *before[] = { peer_program("codex"), "sandbox", "--", NULL };

	return bench_wait(bench_spawn(joined(before, argv)));
}

const struct rival rival_peer_cli = { .name = "the peer's command", .run = peer_cli_run };

static bool client_used;

static bool client_run(const char *const *argv)
{
	static char program[BENCH_PATH];
	const char *before[] = { program, "sandbox",  "-s", "workspace-write",
				 "-C",    bench.work, "--", NULL };

	(void)snprintf(program, sizeof program, "%s/agent",
		       getenv("AGENT_TEST_BIN") ? getenv("AGENT_TEST_BIN") : ".");
	client_used = true;
	return bench_wait(bench_spawn(joined(before, argv)));
}

const struct rival rival_client = { .name = "agent sandbox", .run = client_run };

/* ------------------------------------------------------------------ the bare kernel */

static void put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		_exit(126);
	(void)close(fd);
}

static void loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)ioctl(fd, SIOCSIFFLAGS, &request);
	(void)close(fd);
}

/* In the clone: what any sandbox has to do, and nothing besides. */
static _Noreturn void limit_child(const char *const *argv, uid_t uid, gid_t gid)
{
	struct mount_attr private = { .propagation = MS_PRIVATE };
	struct mount_attr sealed = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
						 MOUNT_ATTR_NODEV };
	struct sock_filter pass = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { .len = 1, .filter = &pass };
	char map[64];

	put_file("/proc/self/setgroups", "deny");
	(void)snprintf(map, sizeof map, "%u %u 1", uid, uid);
	put_file("/proc/self/uid_map", map);
	(void)snprintf(map, sizeof map, "%u %u 1", gid, gid);
	put_file("/proc/self/gid_map", map);
	loopback_up();
	(void)syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof private);
	(void)syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &sealed, sizeof sealed);
	(void)mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
	(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static pid_t limit_start(const char *const *argv)
{
	struct clone_args args = { .flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID |
					    CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET,
				   .exit_signal = SIGCHLD };
	uid_t uid = getuid();
	gid_t gid = getgid();
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);

	if (pid == 0)
		limit_child(argv, uid, gid);
	return pid;
}

static bool limit_run(const char *const *argv)
{
	return bench_wait(limit_start(argv));
}

static bool limit_crowd(const char *const *argv, size_t count)
{
	return crowd_of(limit_start, argv, count);
}

const struct rival rival_limit = { .name = "the bare kernel (limit)",
				   .run = limit_run,
				   .crowd = limit_crowd };

/* ------------------------------------------------------------------ ours */

static int null_fd(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return fd;
}

static json_t *start_params(const char *const *argv)
{
	json_t *list = json_array();

	for (size_t i = 0; argv[i]; i++)
		(void)json_array_append_new(list, json_string(argv[i]));
	return json_pack("{s:s, s:o}", "ceiling", bench.ceiling, "argv", list);
}

static bool ours_run(const char *const *argv)
{
	const int fds[] = { null_fd(), null_fd(), null_fd() };
	json_auto_t *result =
		broker_call(&bench.client, "child/start", start_params(argv), fds, ARRAY_LEN(fds));
	json_auto_t *exited = result ? broker_client_wait(&bench.client, "child/exited") : NULL;

	return exited && json_integer_value(json_object_get(exited, "code")) == 0;
}

/* Answers and notifications are counted as they come. */
static bool ours_crowd(const char *const *argv, size_t count)
{
	const int fds[] = { null_fd(), null_fd(), null_fd() };
	size_t begun = 0;
	size_t ended = 0;
	char packet[4096];

	while (ended < count) {
		ssize_t got;

		while (begun < count && begun - ended < AT_ONCE) {
			(void)broker_client_ask(&bench.client, "child/start", start_params(argv),
						fds, ARRAY_LEN(fds));
			begun++;
		}
		got = recv(bench.client.sock, packet, sizeof packet, 0);
		if (got <= 0 || memmem(packet, (size_t)got, "\"error\"", 7))
			return false;
		ended += memmem(packet, (size_t)got, "child/exited", 12) != NULL;
	}
	return true;
}

static char held_child[64];

static pid_t ours_hold(const char *const *argv)
{
	const int fds[] = { null_fd(), null_fd(), null_fd() };
	json_auto_t *result =
		broker_call(&bench.client, "child/start", start_params(argv), fds, ARRAY_LEN(fds));

	if (!result)
		return 0;
	(void)snprintf(held_child, sizeof held_child, "%s",
		       json_string_value(json_object_get(result, "child")));
	return bench.broker.pid;
}

static void ours_release(void)
{
	json_decref(broker_call(&bench.client, "child/kill",
				json_pack("{s:s, s:i}", "child", held_child, "signal", SIGKILL),
				NULL, 0));
	json_decref(broker_client_wait(&bench.client, "child/exited"));
}

const struct rival rival_ours = { .name = "ours, through the broker",
				  .run = ours_run,
				  .crowd = ours_crowd,
				  .hold = ours_hold,
				  .release = ours_release };

/* ------------------------------------------------------------------ the peer's server */

static struct server {
	pid_t pid;
	FILE *to;
	FILE *from;
	int last_id;
} server;

static bool server_start(void)
{
	const char *words[] = { peer_program("codex"), "app-server", NULL };
	int in[2];
	int out[2];

	if (server.pid > 0)
		return true;
	if (!bench.peers || access(words[0], X_OK) < 0 || pipe2(in, O_CLOEXEC) < 0 ||
	    pipe2(out, O_CLOEXEC) < 0)
		return false;
	server.pid = fork();
	if (server.pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(in[0], 0);
		(void)dup2(out[1], 1);
		(void)dup2(null_fd(), 2);
		(void)execve(words[0], (char *const *)(uintptr_t)words, environment());
		_exit(127);
	}
	(void)close(in[0]);
	(void)close(out[1]);
	server.to = fdopen(in[1], "w");
	server.from = fdopen(out[0], "r");
	(void)fprintf(server.to,
		      "{\"id\":0,\"method\":\"initialize\",\"params\":{\"clientInfo\":{\"name\":"
		      "\"bench\",\"version\":\"1\"}}}\n{\"method\":\"initialized\"}\n");
	return fflush(server.to) == 0;
}

static void server_send(const char *const *argv)
{
	json_t *list = json_array();
	json_auto_t *message = NULL;
	char *text;

	for (size_t i = 0; argv[i]; i++)
		(void)json_array_append_new(list, json_string(argv[i]));
	message = json_pack("{s:i, s:s, s:{s:o, s:s, s:i, s:{s:s, s:[], s:b}}}", "id",
			    ++server.last_id, "method", "command/exec", "params", "command", list,
			    "cwd", bench.work, "timeoutMs", 600000, "sandboxPolicy", "type",
			    "workspaceWrite", "writableRoots", "networkAccess", 0);
	text = json_dumps(message, JSON_COMPACT);
	(void)fprintf(server.to, "%s\n", text);
	(void)fflush(server.to);
	free(text);
}

/* The next answer to a command; false when it failed. */
static bool server_answer(void)
{
	static char line[LINE_MAX];

	while (fgets(line, sizeof line, server.from)) {
		if (strstr(line, "\"exitCode\":"))
			return strstr(line, "\"exitCode\":0") != NULL;
		if (strstr(line, "\"error\""))
			return false;
	}
	return false;
}

static bool peer_run(const char *const *argv)
{
	if (!server_start())
		return false;
	server_send(argv);
	return server_answer();
}

static bool peer_crowd(const char *const *argv, size_t count)
{
	size_t begun = 0;

	if (!server_start())
		return false;
	for (size_t ended = 0; ended < count; ended++) {
		while (begun < count && begun - ended < AT_ONCE) {
			server_send(argv);
			begun++;
		}
		if (!server_answer())
			return false;
	}
	return true;
}

static pid_t peer_hold(const char *const *argv)
{
	if (!server_start())
		return 0;
	server_send(argv);
	return server.pid;
}

static void server_end(void)
{
	if (server.pid <= 0)
		return;
	(void)fclose(server.to);
	(void)fclose(server.from);
	(void)kill(server.pid, SIGKILL);
	(void)waitpid(server.pid, NULL, 0);
	server = (struct server){ 0 };
}

const struct rival rival_peer = { .name = "the peer's server",
				  .run = peer_run,
				  .crowd = peer_crowd,
				  .hold = peer_hold,
				  .release = server_end };

/* ------------------------------------------------------------------ all of them */

bool rival_works(const struct rival *rival)
{
	return rival->run((const char *const[]){ "/bin/true", NULL });
}

void rivals_end(void)
{
	char program[BENCH_PATH];
	const char *words[] = { program, "daemon", "stop", NULL };

	server_end();
	(void)snprintf(program, sizeof program, "%s/agent",
		       getenv("AGENT_TEST_BIN") ? getenv("AGENT_TEST_BIN") : ".");
	if (client_used)
		(void)bench_wait(bench_spawn(words));
	(void)close(null_fd());
}
