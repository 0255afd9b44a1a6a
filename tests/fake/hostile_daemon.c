/*
 * hostile_daemon.c - a program in agentd's place that does what its test tells it to.
 *
 * The real broker starts it as it starts agentd; it locks itself down as agentd does (unless the
 * environment has HOSTILE_UNLOCKED), says hello and ready, and then serves one connection after the
 * other on RUNTIME/agent.sock, packets of JSON-RPC:
 *
 *   say  {method, params, fds}   a request to the broker with so many descriptors of /dev/null
 *   send {text}                  the bytes to the broker as one packet
 *   run  {params, spec, seek}    child/start with a pipe: {output, code} of the command
 *   ask  {params, input, seals}  grant/request with a memfd as input: {grant, state}, kept open
 *   spoil {}                     writes to that memfd, cuts it and moves its offset
 *   wait {method}                the next notification from the broker
 *   try  {what, path, pid}       one system call that agentd must not be able to make: {errno,
 * said}
 *
 * An answer of the broker is {result} or {error, message}.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/broker_gen.h"
#include "proto/wire/json.h"
#include "proto/wire/packet.h"
#include "proto/wire/rpc.h"

#include "agentd/lockdown.h"
#include "tests/support/broker_client.h"

#define OUTPUT_MAX 65536
#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

static struct hostile {
	struct broker_client broker;
	int null;
	int input; /* the memfd of the last grant */
} hostile = { .null = -1, .input = -1 };

/* ---- what must not work; each answers with an errno, 0 when it worked ---- */

struct target {
	const char *path;
	pid_t pid;
	char said[512]; /* what a socket answered */
};

static int outcome(long rc)
{
	return rc < 0 ? errno : 0;
}

static int try_execve(struct target *target)
{
	char *argv[] = { NULL, NULL };
	char name[] = "true";

	argv[0] = name;
	(void)target;
	return outcome(execv("/bin/true", argv));
}

static int try_execveat(struct target *target)
{
	char *argv[] = { NULL };

	(void)target;
	return outcome(syscall(SYS_execveat, hostile.null, "", argv, argv, AT_EMPTY_PATH));
}

static int child_of(long pid)
{
	if (pid == 0)
		_exit(0);
	return outcome(pid);
}

static int try_fork(struct target *target)
{
	(void)target;
	return child_of(fork());
}

static int try_vfork(struct target *target)
{
	(void)target;
	return child_of(syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL, NULL, NULL, 0));
}

static int try_clone(struct target *target)
{
	(void)target;
	return child_of(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0));
}

static int try_clone3(struct target *target)
{
	struct {
		uint64_t fields[11];
	} args = { { 0, 0, 0, 0, SIGCHLD } };

	(void)target;
	return child_of(syscall(SYS_clone3, &args, sizeof args));
}

static int try_unix_socket(struct target *target)
{
	(void)target;
	return outcome(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int try_unix_packets(struct target *target)
{
	(void)target;
	return outcome(socket(AF_UNIX, SOCK_SEQPACKET, 0));
}

/* As a client of the broker would: connects, says hello, and tells what was answered. */
static int try_connect(struct target *target)
{
	static const char hello[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\",\"params\":"
				    "{\"version\":1,\"name\":\"hostile\"}}";
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int sock SCOPED(fd_close) = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ssize_t got;

	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", target->path);
	if (sock < 0 || connect(sock, (const struct sockaddr *)&address, sizeof address) < 0)
		return errno;
	(void)send(sock, hello, sizeof hello - 1, MSG_NOSIGNAL);
	got = recv(sock, target->said, sizeof target->said - 1, 0);
	target->said[got > 0 ? got : 0] = '\0';
	return 0;
}

/* The same by a grandchild that nobody is the parent of any more. */
static int try_connect_by_orphan(struct target *target)
{
	int ends[2];
	pid_t pid;
	ssize_t got;

	if (fd_pipe(ends, NULL) < 0)
		return errno;
	pid = fork();
	if (pid < 0)
		return errno;
	if (pid == 0) {
		if (fork() == 0) {
			(void)setsid();
			(void)close(ends[0]);
			while (getppid() == pid)
				(void)sched_yield();
			(void)try_connect(target);
			(void)!write(ends[1], target->said, strlen(target->said));
		}
		_exit(0);
	}
	fd_close(&ends[1]);
	(void)waitpid(pid, NULL, 0);
	got = read(ends[0], target->said, sizeof target->said - 1);
	target->said[got > 0 ? got : 0] = '\0';
	fd_close(&ends[0]);
	return 0;
}

static int try_write(struct target *target)
{
	int fd SCOPED(fd_close) = open(target->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return outcome(fd);
}

static int try_truncate(struct target *target)
{
	return outcome(truncate(target->path, 0));
}

static int try_chmod(struct target *target)
{
	return outcome(chmod(target->path, 0777));
}

static int try_link(struct target *target)
{
	return outcome(symlink("/etc", target->path));
}

static int try_ptrace(struct target *target)
{
	return outcome(ptrace(PTRACE_SEIZE, target->pid, NULL, NULL));
}

static int try_read_memory(struct target *target)
{
	char byte;
	struct iovec here = { .iov_base = &byte, .iov_len = 1 };

	return outcome(process_vm_readv(target->pid, &here, 1, &here, 1, 0));
}

static int try_open_memory(struct target *target)
{
	char path[64];
	int fd SCOPED(fd_close) = -1;

	(void)snprintf(path, sizeof path, "/proc/%d/mem", (int)target->pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return outcome(fd);
}

static int try_take_descriptor(struct target *target)
{
	int pidfd SCOPED(fd_close) = (int)syscall(SYS_pidfd_open, target->pid, 0);

	return pidfd < 0 ? errno : outcome(syscall(SYS_pidfd_getfd, pidfd, 3, 0));
}

static int try_kill(struct target *target)
{
	return outcome(kill(target->pid, SIGCONT));
}

static int try_unshare(struct target *target)
{
	(void)target;
	return outcome(unshare(CLONE_NEWUSER));
}

static int try_mount(struct target *target)
{
	(void)target;
	return outcome(mount("none", "/tmp", "tmpfs", 0, NULL));
}

static int try_io_uring(struct target *target)
{
	char params[256] = { 0 };

	(void)target;
	return outcome(syscall(SYS_io_uring_setup, 1, params));
}

static const struct attempt {
	const char *what;
	int (*run)(struct target *target);
} attempts[] = {
	{ "execve", try_execve },
	{ "execveat", try_execveat },
	{ "fork", try_fork },
	{ "vfork", try_vfork },
	{ "clone", try_clone },
	{ "clone3", try_clone3 },
	{ "unix socket", try_unix_socket },
	{ "unix packets", try_unix_packets },
	{ "connect", try_connect },
	{ "connect by an orphan", try_connect_by_orphan },
	{ "write", try_write },
	{ "truncate", try_truncate },
	{ "chmod", try_chmod },
	{ "link", try_link },
	{ "ptrace", try_ptrace },
	{ "read memory", try_read_memory },
	{ "open memory", try_open_memory },
	{ "take a descriptor", try_take_descriptor },
	{ "kill", try_kill },
	{ "unshare", try_unshare },
	{ "mount", try_mount },
	{ "io_uring", try_io_uring },
};

static json_t *do_try(const json_t *params)
{
	const char *what = json_string_value(json_object_get(params, "what"));
	struct target target = {
		.path = json_string_value(json_object_get(params, "path")),
		.pid = (pid_t)json_integer_value(json_object_get(params, "pid")),
	};

	for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
		if (str_eq(attempts[i].what, what)) {
			int number = attempts[i].run(&target);

			return json_pack("{s:i, s:s}", "errno", number, "said", target.said);
		}
	}
	return json_pack("{s:i, s:s}", "errno", -1, "said", "no such attempt");
}

/* ---- the broker ---- */

static json_t *answer_of(json_t *result)
{
	if (result)
		return json_pack("{s:o}", "result", result);
	return json_pack("{s:s, s:s}", "error", err_code_name(hostile.broker.err.code), "message",
			 hostile.broker.err.text);
}

static json_t *do_say(const json_t *params)
{
	int fds[] = { hostile.null, hostile.null, hostile.null, hostile.null };
	size_t count = (size_t)json_integer_value(json_object_get(params, "fds"));

	return answer_of(broker_call(&hostile.broker,
				     json_string_value(json_object_get(params, "method")),
				     json_incref(json_object_get(params, "params")), fds, count));
}

static json_t *do_send(const json_t *params)
{
	broker_client_send(&hostile.broker, json_string_value(json_object_get(params, "text")),
			   NULL, 0);
	return json_object();
}

static json_t *finish_command(json_t *started, int out)
{
	struct broker_command command = { .out = out };
	char output[OUTPUT_MAX];
	int code;

	(void)snprintf(command.child, sizeof command.child, "%s",
		       json_string_value(json_object_get(started, "child")));
	json_decref(started);
	code = broker_command_finish(&command, &hostile.broker, output, sizeof output);
	return json_pack("{s:{s:s, s:i}}", "result", "output", output, "code", code);
}

static json_t *do_run(const json_t *params)
{
	const char *spec = json_string_value(json_object_get(params, "spec"));
	int sealed SCOPED(fd_close) = -1;
	int read_end SCOPED(fd_close) = -1;
	int write_end SCOPED(fd_close) = -1;
	int ends[2];
	json_t *started;

	if (fd_pipe(ends, NULL) < 0 ||
	    (spec && fd_sealed(&sealed, "spec", spec, strlen(spec), NULL) < 0))
		return json_object();
	read_end = ends[0];
	write_end = ends[1];
	started = broker_call(
		&hostile.broker, "child/start", json_incref(json_object_get(params, "params")),
		(const int[]){ hostile.null, write_end, write_end, sealed }, spec ? 4 : 3);
	fd_close(&write_end);
	return started ? finish_command(started, fd_take(&read_end)) : answer_of(NULL);
}

/* What must fail, or must not matter: the input was sealed. */
static json_t *do_spoil(const json_t *params)
{
	(void)params;
	return json_pack("{s:b, s:b, s:b}", "wrote", pwrite(hostile.input, "evil", 4, 0) == 4,
			 "cut", ftruncate(hostile.input, 1) == 0, "moved",
			 lseek(hostile.input, 4, SEEK_SET) == 4);
}

static json_t *do_ask(const json_t *params)
{
	const char *input = json_string_value(json_object_get(params, "input"));
	int seals = (int)json_integer_value(json_object_get(params, "seals"));

	if (!input)
		return answer_of(broker_call(&hostile.broker, "grant/request",
					     json_incref(json_object_get(params, "params")), NULL,
					     0));
	fd_close(&hostile.input);
	hostile.input = memfd_create("input", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (write(hostile.input, input, strlen(input)) < 0 ||
	    fcntl(hostile.input, F_ADD_SEALS, seals < 0 ? SEALS : seals) < 0)
		return json_object();
	return answer_of(broker_call(&hostile.broker, "grant/request",
				     json_incref(json_object_get(params, "params")), &hostile.input,
				     1));
}

static json_t *do_wait(const json_t *params)
{
	return broker_client_wait(&hostile.broker,
				  json_string_value(json_object_get(params, "method")));
}

/* ---- the test's connection ---- */

static const struct deed {
	const char *name;
	json_t *(*run)(const json_t *params);
} deeds[] = {
	{ "say", do_say },     { "send", do_send }, { "run", do_run }, { "ask", do_ask },
	{ "spoil", do_spoil }, { "wait", do_wait }, { "try", do_try },
};

static json_t *act(const struct rpc *rpc)
{
	for (size_t i = 0; i < ARRAY_LEN(deeds); i++) {
		if (str_eq(deeds[i].name, rpc->method))
			return deeds[i].run(rpc->params);
	}
	return json_object();
}

static bool serve_one(int conn)
{
	struct packet packet SCOPED(packet_deinit) = { 0 };
	struct buf text SCOPED(buf_deinit) = BUF_INIT(BROKER_PACKET_MAX);
	struct rpc rpc = { 0 };
	json_auto_t *message = NULL;
	json_auto_t *answer = NULL;

	if (packet_recv(conn, &packet, NULL) != PACKET_DONE)
		return false;
	message = wire_json_load(packet.data.data, packet.data.len, NULL);
	if (!message || rpc_parse(&rpc, message, NULL) < 0)
		return false;
	answer = rpc_result(rpc.id, act(&rpc));
	return answer && wire_json_dump(&text, answer, NULL) == 0 &&
	       packet_send(conn, text.data, text.len, NULL, 0, NULL) == PACKET_DONE;
}

/* Until the broker has gone. */
static void serve(int listener)
{
	int conn SCOPED(fd_close) = -1;

	for (;;) {
		struct pollfd fds[] = { { .fd = hostile.broker.sock },
					{ .fd = conn < 0 ? listener : conn, .events = POLLIN } };

		if (poll(fds, 2, -1) < 0 || (fds[0].revents & (POLLHUP | POLLERR)))
			return;
		if (fds[1].revents == 0)
			continue;
		if (conn < 0)
			conn = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		else if (!serve_one(conn))
			fd_close(&conn);
	}
}

static int listen_at(const char *runtime)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s/agent.sock", runtime);
	(void)unlink(address.sun_path);
	if (sock < 0 || bind(sock, (const struct sockaddr *)&address, sizeof address) < 0 ||
	    listen(sock, 4) < 0)
		return -1;
	return sock;
}

static const char *option(char *const argv[], const char *name)
{
	for (size_t i = 1; argv[i] && argv[i + 1]; i++) {
		if (str_eq(argv[i], name))
			return argv[i + 1];
	}
	return NULL;
}

int main(int argc, char *argv[])
{
	const char *broker_fd = option(argv, "--broker-fd");
	struct lockdown_config config = { .state_dir = option(argv, "--state"),
					  .runtime_dir = option(argv, "--runtime") };
	struct err err = { 0 };
	int listener;

	(void)argc;
	if (!str_eq(broker_fd, "3") || !config.state_dir || !config.runtime_dir ||
	    !option(argv, "--config"))
		return EXIT_FAILURE;
	hostile.null = open("/dev/null", O_RDWR | O_CLOEXEC);
	listener = listen_at(config.runtime_dir);
	if (listener < 0 || hostile.null < 0)
		return EXIT_FAILURE;
	if (!getenv("HOSTILE_UNLOCKED") && lockdown_apply(&config, &err) < 0) {
		(void)fprintf(stderr, "hostile_daemon: %s\n", err.text);
		return EXIT_FAILURE;
	}
	broker_client_attach(&hostile.broker, 3);
	json_decref(
		broker_must(&hostile.broker, "hello",
			    json_pack("{s:i, s:s}", "version", BROKER_VERSION, "name", "hostile")));
	json_decref(broker_must(&hostile.broker, "daemon/ready", NULL));
	serve(listener);
	broker_client_close(&hostile.broker);
	return EXIT_SUCCESS;
}
