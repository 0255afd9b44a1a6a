#include "agentd/lockdown.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"

#define PROBE_PATH_MAX 4096

/* Each tries one thing for real and says whether it worked; what worked is undone. */
typedef bool attempt_fn(const struct lockdown_config *config);

static bool closes(int fd)
{
	bool worked = fd >= 0;

	fd_close(&fd);
	return worked;
}

static bool try_execve(const struct lockdown_config *config)
{
	char shell[] = "sh";
	char flag[] = "-c";
	char script[] = "echo 'agentd: the lockdown does not hold: execve works' >&2; exit 1";
	char *const argv[] = { shell, flag, script, NULL };
	char *const env[] = { NULL };

	(void)config;
	(void)syscall(SYS_execve, "/bin/sh", argv,
		      env); /* returns only when it failed, as it must */
	return false;
}

static bool try_clone(unsigned long flags)
{
	long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		(void)waitpid((pid_t)pid, NULL, 0);
	return pid > 0;
}

static bool try_fork(const struct lockdown_config *config)
{
	(void)config;
	return try_clone(0);
}

static bool try_vfork(const struct lockdown_config *config)
{
	(void)config;
	return try_clone(CLONE_VFORK);
}

static bool try_unix_stream(const struct lockdown_config *config)
{
	(void)config;
	return closes(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static bool try_unix_packet(const struct lockdown_config *config)
{
	(void)config;
	return closes(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
}

/* A datagram pair could be connected to another address later. */
static bool try_unix_pair(const struct lockdown_config *config)
{
	int pair[2] = { -1, -1 };

	(void)config;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	fd_close(&pair[0]);
	fd_close(&pair[1]);
	return true;
}

static bool try_raw_socket(const struct lockdown_config *config)
{
	(void)config;
	return closes(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
}

/* Everybody may write there, and nothing comes of it: what refuses is the lock. */
static bool try_write_device(const struct lockdown_config *config)
{
	(void)config;
	return closes(open("/dev/null", O_WRONLY | O_CLOEXEC));
}

static bool try_create_outside(const struct lockdown_config *config)
{
	char path[PROBE_PATH_MAX];
	bool worked = false;

	(void)config;
	(void)snprintf(path, sizeof(path), "/tmp/.agentd-lockdown-%ld", (long)getpid());
	worked = closes(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR));
	if (worked)
		(void)unlink(path);
	return worked;
}

static bool try_chmod(const struct lockdown_config *config)
{
	return chmod(config->state_dir, S_IRWXU) == 0;
}

static bool try_trace(const struct lockdown_config *config)
{
	(void)config;
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}

static bool try_read_process(const struct lockdown_config *config)
{
	char from = 0;
	char into = 0;
	const struct iovec local = { &into, 1 };
	const struct iovec remote = { &from, 1 };

	(void)config;
	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == 1;
}

static bool try_signal_parent(const struct lockdown_config *config)
{
	(void)config;
	return kill(getppid(), 0) == 0;
}

static bool try_unshare(const struct lockdown_config *config)
{
	(void)config;
	return unshare(0) == 0;
}

static bool try_io_uring(const struct lockdown_config *config)
{
	unsigned char params[256] = { 0 }; /* struct io_uring_params, all zero */

	(void)config;
	return closes((int)syscall(SYS_io_uring_setup, 1, params));
}

static bool try_keyring(const struct lockdown_config *config)
{
	(void)config;
	return syscall(SYS_keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -3 /* session */, 0) >= 0;
}

static bool try_undo_hiding(const struct lockdown_config *config)
{
	(void)config;
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

static bool have_capability(const struct lockdown_config *config)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	(void)config;
	if (syscall(SYS_capget, &header, data) < 0)
		return false; /* not in the list of kept calls either */
	return data[0].permitted || data[1].permitted;
}

static void *thread_main(void *arg)
{
	return arg;
}

static bool can_start_thread(const struct lockdown_config *config)
{
	pthread_t thread;
	int mark = 0;
	void *result = NULL;

	(void)config;
	return pthread_create(&thread, NULL, thread_main, &mark) == 0 &&
	       pthread_join(thread, &result) == 0 && result == &mark;
}

static bool can_make_socket(const struct lockdown_config *config)
{
	(void)config;
	return closes(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) ||
	       closes(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static bool can_write_below(const char *dir)
{
	char path[PROBE_PATH_MAX];
	int length = snprintf(path, sizeof(path), "%s/.lockdown-%ld", dir, (long)getpid());
	bool worked = false;

	if (length < 0 || (size_t)length >= sizeof(path))
		return false;
	worked = closes(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR));
	return worked && unlink(path) == 0;
}

static bool can_write_state(const struct lockdown_config *config)
{
	return can_write_below(config->state_dir);
}

static bool can_write_runtime(const struct lockdown_config *config)
{
	return can_write_below(config->runtime_dir);
}

static const struct attempt {
	const char *what;
	attempt_fn *try;
	bool must_work;
} attempts[] = {
	{ "execve", try_execve, false },
	{ "fork", try_fork, false },
	{ "vfork", try_vfork, false },
	{ "a Unix stream socket", try_unix_stream, false },
	{ "a Unix packet socket", try_unix_packet, false },
	{ "a Unix datagram pair", try_unix_pair, false },
	{ "a packet socket", try_raw_socket, false },
	{ "opening a device for writing", try_write_device, false },
	{ "creating a file outside", try_create_outside, false },
	{ "chmod", try_chmod, false },
	{ "ptrace", try_trace, false },
	{ "reading a process's memory", try_read_process, false },
	{ "signalling the parent", try_signal_parent, false },
	{ "unshare", try_unshare, false },
	{ "io_uring", try_io_uring, false },
	{ "a keyring", try_keyring, false },
	{ "becoming traceable again", try_undo_hiding, false },
	{ "a capability", have_capability, false },
	{ "starting a thread", can_start_thread, true },
	{ "making an internet socket", can_make_socket, true },
	{ "writing below the state folder", can_write_state, true },
	{ "writing below the runtime folder", can_write_runtime, true },
};

int lockdown_self_test(const struct lockdown_config *config, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
		const struct attempt *attempt = &attempts[i];

		if (attempt->try(config) == attempt->must_work)
			continue;
		if (attempt->must_work)
			return ERR_SET(err, ERR_DENIED, "the lockdown breaks too much: %s fails",
				       attempt->what);
		return ERR_SET(err, ERR_DENIED, "the lockdown does not hold: %s works",
			       attempt->what);
	}
	return 0;
}
