#include "proto/sys/supervise.h"

#include <assert.h>
#include <linux/netlink.h>
#include <signal.h>
#include <sys/uio.h>

#include "proto/sys/supervise_call.h"

#define SYNC_WAKE_UP 1ULL /* the task runs on where the supervisor did; Linux 6.6 */
#define SET_FLAGS SECCOMP_IOW(4, uint64_t)

#define THREAD_PIDFD O_EXCL /* Linux 6.9; before, the leader stands for its threads */

#define CWD NONE
#define ALWAYS HANDED_ALWAYS
#define WRITE HANDED_WRITE

/* clang-format off */
#define CHANGE_OF(name) { name, supervise_change, HANDED_CHANGE, { CWD, 0 }, { 0 }, NONE }
#define CHANGE_AT(name) { name, supervise_change, HANDED_CHANGE, { 0, 1 }, { 0 }, NONE }

static const struct call calls[] = {
	{ "mkdir", supervise_mkdir, ALWAYS, { CWD, 0 }, { 0 }, 1 },
	{ "mkdirat", supervise_mkdir, ALWAYS, { 0, 1 }, { 0 }, 2 },
	{ "mknod", supervise_mknod, ALWAYS, { CWD, 0 }, { 0 }, 1 },
	{ "mknodat", supervise_mknod, ALWAYS, { 0, 1 }, { 0 }, 2 },
	{ "symlink", supervise_symlink, ALWAYS, { CWD, 1 }, { CWD, 0 }, NONE },
	{ "symlinkat", supervise_symlink, ALWAYS, { 1, 2 }, { CWD, 0 }, NONE },
	{ "link", supervise_link, ALWAYS, { CWD, 1 }, { CWD, 0 }, NONE },
	{ "linkat", supervise_link, ALWAYS, { 2, 3 }, { 0, 1 }, 4 },
	{ "rename", supervise_rename, ALWAYS, { CWD, 1 }, { CWD, 0 }, NONE },
	{ "renameat", supervise_rename, ALWAYS, { 2, 3 }, { 0, 1 }, NONE },
	{ "renameat2", supervise_rename, ALWAYS, { 2, 3 }, { 0, 1 }, 4 },
	{ "umask", supervise_umask, ALWAYS, { 0 }, { 0 }, NONE },
	{ "connect", supervise_connect, ALWAYS, { 0 }, { 0 }, NONE },
	{ "bind", supervise_bind, ALWAYS, { 0 }, { 0 }, NONE },
	{ "open", supervise_change, WRITE, { CWD, 0 }, { 0 }, 1 },
	{ "openat", supervise_change, WRITE, { 0, 1 }, { 0 }, 2 },
	CHANGE_AT("openat2"), CHANGE_OF("creat"), CHANGE_OF("truncate"), CHANGE_OF("truncate64"),
	CHANGE_OF("unlink"), CHANGE_AT("unlinkat"), CHANGE_OF("rmdir"),
	CHANGE_OF("chmod"), CHANGE_AT("fchmodat"), CHANGE_AT("fchmodat2"),
	CHANGE_OF("chown"), CHANGE_OF("chown32"), CHANGE_OF("lchown"), CHANGE_OF("lchown32"), CHANGE_AT("fchownat"),
	CHANGE_OF("utime"), CHANGE_OF("utimes"), CHANGE_AT("futimesat"), CHANGE_AT("utimensat"),
	CHANGE_AT("utimensat_time64"), CHANGE_OF("setxattr"), CHANGE_OF("lsetxattr"),
	CHANGE_OF("removexattr"), CHANGE_OF("lremovexattr"),
};

static_assert(ARRAY_LEN(calls) <= SUPERVISE_CALLS_MAX, "all of them are handed over");

const char *const supervise_needs[] = {
	/* being told, answering, waiting for connections */
	"poll", "ppoll", "clock_gettime", "close",
	/* what a task that waits in a call has given, and where it is */
	"read", "openat", "openat2", "newfstatat", "fstatat64", "fstatfs", "fstatfs64",
	"process_vm_readv", "pidfd_open", "pidfd_getfd", "fcntl", "fcntl64", "readlink",
	"getsockopt", "sendto", "recvfrom",
	/* what is made in its place */
	"umask", "mkdirat", "mknodat", "symlinkat", "linkat", "renameat2", "fchdir", "bind", "connect",
	"setitimer", "rt_sigreturn",
#if defined(__SANITIZE_ADDRESS__)
	"mmap", "munmap", "madvise", /* memory for the sanitizer's own records */
#endif
	NULL
};
/* clang-format on */

static struct supervisor the_supervisor; /* of the one command that this process supervises */

static void free_text(char **text)
{
	free(*text);
}

size_t supervise_calls(struct filter_handed out[SUPERVISE_CALLS_MAX], bool changes)
{
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		bool write = calls[i].when == HANDED_WRITE;

		if (changes || calls[i].when == HANDED_ALWAYS)
			out[count++] = (struct filter_handed){ calls[i].name,
							       write ? (unsigned)calls[i].value : 0,
							       write ? SUPERVISE_WRITES : 0 };
	}
	return count;
}

/* ------------------------------------------------------------------ a task */

bool task_waits(const struct supervisor *self, uint64_t id)
{
	return ioctl(self->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

int task_read(const struct task *task, uint64_t address, void *out, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t first = page - address % page;
	struct iovec to = { .iov_base = out, .iov_len = size };
	/* Up to the end of the page, and behind it, where there may be nothing. */
	struct iovec from[2] = {
		{ (void *)(uintptr_t)address, first < size ? first : size },
		{ (void *)(uintptr_t)(address + first), first < size ? size - first : 0 },
	};
	ssize_t got = process_vm_readv(task->pid, &to, 1, from, 2, 0);

	return got < 0 ? -errno : (int)got;
}

void task_deny(struct supervisor *self, struct task *task, enum denial_rule rule,
	       const char *target, int sys)
{
	denials_add(self->policy->denials, rule, task->name, target, sys);
	task->told = true;
}

int64_t task_status(const struct supervisor *self, const struct task *task, const char *key,
		    int base)
{
	char text[PATH_MAX];
	char name[32];
	const char *found;
	int64_t value = 0;
	ssize_t got;
	int fd SCOPED(fd_close) = -1;

	(void)snprintf(name, sizeof name, "%d/status", task->pid);
	fd = openat(self->proc, name, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
	text[got < 0 ? 0 : got] = '\0';
	found = strstr(text, key);
	if (!found)
		return -1;
	for (found += strlen(key); *found >= '0' && *found < '0' + base; found++)
		value = value * base + (*found - '0');
	return value;
}

int task_fd(const struct supervisor *self, const struct task *task, int number)
{
	int pidfd SCOPED(fd_close) = (int)syscall(SYS_pidfd_open, task->pid, THREAD_PIDFD);
	int64_t leader = pidfd < 0 ? task_status(self, task, "\nTgid:\t", 10) : 0;
	int fd;

	if (pidfd < 0)
		pidfd = (int)syscall(SYS_pidfd_open, leader, 0);
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
	return fd < 0 ? -errno : fd;
}

/* ------------------------------------------------------------------ the loop */

void supervise_answer(struct supervisor *self, uint64_t id, int result)
{
	struct seccomp_notif_resp answer = { .id = id, .error = result };

	if (result == LET_PASS) {
		answer.error = 0;
		answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	}
	/* A failure: the task is gone. */
	if (result != ANSWERED_LATER)
		(void)ioctl(self->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

static int refuse(struct supervisor *self, struct task *task)
{
	const __u64 *args = task->data->args;
	bool socket = str_starts(task->name, "socket");
	int error = filter_answer(self->policy->filter, task->data);
	char text[DENIAL_TARGET_MAX] = "";

	if (socket)
		(void)snprintf(text, sizeof text, "family %d, type %d, protocol %d", (int)args[0],
			       (int)args[1], (int)args[2]);
	else if (str_eq(task->name, "ioctl"))
		(void)snprintf(text, sizeof text, "request %#x", (unsigned)args[1]);
	task_deny(self, task, DENIAL_RULE_SYSTEM_CALL, text, error);
	return -error;
}

static void serve_one(struct supervisor *self)
{
	union {
		struct seccomp_notif notice;
		char room[SUPERVISE_NOTICE_MAX];
	} got = { .room = { 0 } };
	struct task task = { 0 };
	char *name SCOPED(free_text) = NULL;

	if (ioctl(self->listener, SECCOMP_IOCTL_NOTIF_RECV, &got) < 0)
		return; /* the task is gone */
	name = seccomp_syscall_resolve_num_arch(got.notice.data.arch, got.notice.data.nr);
	task = (struct task){ .id = got.notice.id,
			      .pid = (pid_t)got.notice.pid,
			      .data = &got.notice.data,
			      .name = name ? name : "" };
	for (size_t i = 0; i < ARRAY_LEN(calls) && !task.call; i++)
		task.call = str_eq(calls[i].name, name) ? &calls[i] : NULL;
	supervise_answer(self, task.id,
			 task.call ? task.call->answer(self, &task) : refuse(self, &task));
}

/* Breaks off what waits, and that is all. */
static void on_alarm(int signal)
{
	(void)signal;
}

struct supervisor *supervise_open(const struct supervise_policy *policy, struct err *err)
{
	struct seccomp_notif_sizes sizes;
	struct supervisor *self = &the_supervisor;
	struct sigaction awake = { .sa_handler = on_alarm };
	sigset_t alarm;
	void *room = malloc(PATH_MAX);

	self->policy = policy; /* the rest is zero, and its pages shared until they are used */
	self->listener = -1;
	if (!room || seccomp_syscall_resolve_name("mkdir") < 0)
		return (void)ERR_NOMEM_SET(err), NULL;
	self->mask = umask(0); /* the command was forked with the same one */
	free(room);            /* for the names of calls: the filter then lets no memory be added */
	self->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	self->diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	self->touch = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	(void)sigemptyset(&alarm);
	(void)sigaddset(&alarm, SIGALRM);
	if (self->proc < 0 || self->diag < 0 || self->touch < 0 ||
	    sigaction(SIGALRM, &awake, NULL) < 0 || sigprocmask(SIG_UNBLOCK, &alarm, NULL) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
		return (void)ERR_SYS(err, errno, "system call notification"), NULL;
	if (sizes.seccomp_notif > SUPERVISE_NOTICE_MAX ||
	    sizes.seccomp_notif_resp > sizeof(struct seccomp_notif_resp))
		return (void)ERR_SET(err, ERR_SYSTEM, "the kernel's notifications are longer"),
		       NULL;
	return self;
}

void supervise_listen(struct supervisor *self, int listener)
{
	/* Older kernels have no such flag, and are as right without. */
	(void)ioctl(listener, SET_FLAGS, SYNC_WAKE_UP);
	self->listener = listener;
}

size_t supervise_poll(const struct supervisor *self, struct pollfd *fds)
{
	if (self->listener < 0)
		return 0;
	fds[0] = (struct pollfd){ .fd = self->listener, .events = POLLIN };
	return 1 + sockets_poll(self, fds + 1);
}

void supervise_serve(struct supervisor *self, const struct pollfd *fds, size_t count)
{
	if (count == 0)
		return;
	sockets_serve(self, fds + 1, count - 1);
	if (fds[0].revents & POLLIN)
		serve_one(self);
	else if (fds[0].revents) /* nobody with this filter is left */
		fd_close(&self->listener);
}
