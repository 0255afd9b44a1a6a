/*
 * process.c - attempts on other processes, by their number.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"

#include "tests/fake/probe/probe.h"

#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE (3 << 13)
#define OWN_NAMESPACE_PIDS 100 /* the first processes of a namespace have small numbers */

static int try_kill(char **words)
{
	return outcome(kill((pid_t)number(words[0]), (int)number(words[1])));
}

static int try_tgkill(char **words)
{
	pid_t pid = (pid_t)number(words[0]);

	return outcome(syscall(SYS_tgkill, pid, pid, number(words[1])));
}

static int try_queue(char **words)
{
	return outcome(sigqueue((pid_t)number(words[0]), (int)number(words[1]),
				(union sigval){ .sival_int = 0 }));
}

static int try_pidfd_signal(char **words)
{
	int fd = (int)syscall(SYS_pidfd_open, number(words[0]), 0);

	if (fd < 0)
		return errno;
	return outcome(syscall(SYS_pidfd_send_signal, fd, number(words[1]), NULL, 0));
}

/* By the folder in /proc, which is a pidfd too. */
static int try_proc_signal(char **words)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof path, "/proc/%s", words[0]);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	return outcome(syscall(SYS_pidfd_send_signal, fd, number(words[1]), NULL, 0));
}

/* A descriptor of the other process, taken through its pidfd. */
static int try_take(char **words)
{
	int fd = (int)syscall(SYS_pidfd_open, number(words[0]), 0);

	if (fd < 0)
		return errno;
	return outcome(syscall(SYS_pidfd_getfd, fd, number(words[1]), 0));
}

static int try_owner(char **words)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fcntl(fd, F_SETOWN, number(words[0])) < 0)
		return errno;
	return outcome(fcntl(fd, F_GETOWN) == number(words[0]) ? 0 : -1);
}

/* Signals that arrive at whoever owns a pipe's end. */
static int try_signal_by_pipe(char **words)
{
	struct f_owner_ex owner = { .type = F_OWNER_PID, .pid = (pid_t)number(words[0]) };
	int ends[2];

	if (pipe(ends) < 0 || fcntl(ends[0], F_SETSIG, SIGTERM) < 0)
		return errno;
	if (fcntl(ends[0], F_SETOWN_EX, &owner) < 0 ||
	    fcntl(ends[0], F_SETFL, O_ASYNC | O_NONBLOCK) < 0)
		return errno;
	return outcome(write(ends[1], "x", 1) < 0 ? -1 : 0);
}

static int try_attach(char **words)
{
	pid_t pid = (pid_t)number(words[0]);

	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) < 0)
		return errno;
	(void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return 0;
}

static int try_seize(char **words)
{
	return outcome(ptrace(PTRACE_SEIZE, (pid_t)number(words[0]), NULL, NULL));
}

static int try_vm_read(char **words)
{
	char byte = 0;
	struct iovec here = { .iov_base = &byte, .iov_len = 1 };
	struct iovec there = { .iov_base = &byte, .iov_len = 1 };

	return outcome(process_vm_readv((pid_t)number(words[0]), &here, 1, &there, 1, 0));
}

static int try_vm_write(char **words)
{
	char byte = 0;
	struct iovec here = { .iov_base = &byte, .iov_len = 1 };
	struct iovec there = { .iov_base = &byte, .iov_len = 1 };

	return outcome(process_vm_writev((pid_t)number(words[0]), &here, 1, &there, 1, 0));
}

/* PID FILE r|w */
static int try_proc(char **words)
{
	char path[256];
	char byte;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/%s/%s", words[0], words[1]);
	fd = open(path, (words[2][0] == 'w' ? O_WRONLY : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || words[2][0] == 'w')
		return outcome(fd);
	/* Some are opened by anybody and checked when they are read. */
	if (read(fd, &byte, 1) >= 0 || errno == EISDIR || errno == EIO)
		return 0;
	return errno;
}

static int try_prlimit(char **words)
{
	struct rlimit limit = { 0, 0 };

	return outcome(prlimit((pid_t)number(words[0]), RLIMIT_CORE, &limit, NULL));
}

static int try_priority(char **words)
{
	return outcome(setpriority(PRIO_PROCESS, (id_t)number(words[0]), 19));
}

/* Of every process of the user, which knows no PID namespace. */
static int try_priority_user(char **words)
{
	(void)words;
	if (getpid() >= OWN_NAMESPACE_PIDS)
		return EDOM;
	return outcome(setpriority(PRIO_USER, getuid(), 19));
}

static int try_ioprio(char **words)
{
	return outcome(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, number(words[0]), IOPRIO_IDLE));
}

static int try_ioprio_user(char **words)
{
	(void)words;
	if (getpid() >= OWN_NAMESPACE_PIDS)
		return EDOM;
	return outcome(syscall(SYS_ioprio_set, 3, getuid(), IOPRIO_IDLE));
}

static int try_affinity(char **words)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	return outcome(sched_setaffinity((pid_t)number(words[0]), sizeof set, &set));
}

static int try_scheduler(char **words)
{
	struct sched_param param = { 0 };

	return outcome(sched_setscheduler((pid_t)number(words[0]), SCHED_IDLE, &param));
}

static int try_group(char **words)
{
	return outcome(setpgid(0, (pid_t)number(words[0])));
}

static int try_mrelease(char **words)
{
	int fd = (int)syscall(SYS_pidfd_open, number(words[0]), 0);

	return fd < 0 ? errno : outcome(syscall(SYS_process_mrelease, fd, 0));
}

/* Everything that a number could name; what answers is a process that can be signalled. */
static int try_scan(char **words)
{
	int found = 0;
	pid_t last = (pid_t)number(words[0]);

	for (pid_t pid = 2; pid <= last; pid++) {
		if (pid != getpid() && pid != getppid() && kill(pid, 0) == 0)
			found++;
	}
	note(" %d", found);
	return found > 0 ? 0 : ESRCH;
}

/* A parent outside, which the namespaces do not have. */
static int try_parent(char **words)
{
	(void)words;
	note(" parent %d", (int)getppid());
	return getppid() > 1 && getppid() != getpid() && getppid() < getpid() ? 0 : ESRCH;
}

/* Sends the signal to everybody, and must outlive it. Never where everybody would be the host. */
static int try_everybody(char **words)
{
	pid_t pid = getpid() < OWN_NAMESPACE_PIDS ? fork() : -1;

	if (pid == 0) {
		(void)setpgid(0, 0);
		_exit(outcome(kill(-1, (int)number(words[0]))));
	}
	return child_outcome(pid);
}

const struct verb verbs_process[] = {
	{ "kill", 2, try_kill },
	{ "tgkill", 2, try_tgkill },
	{ "queue", 2, try_queue },
	{ "pidfd_signal", 2, try_pidfd_signal },
	{ "proc_signal", 2, try_proc_signal },
	{ "take", 2, try_take },
	{ "owner", 1, try_owner },
	{ "signal_by_pipe", 1, try_signal_by_pipe },
	{ "attach", 1, try_attach },
	{ "seize", 1, try_seize },
	{ "vm_read", 1, try_vm_read },
	{ "vm_write", 1, try_vm_write },
	{ "proc", 3, try_proc },
	{ "prlimit", 1, try_prlimit },
	{ "priority", 1, try_priority },
	{ "priority_user", 0, try_priority_user },
	{ "ioprio", 1, try_ioprio },
	{ "ioprio_user", 0, try_ioprio_user },
	{ "affinity", 1, try_affinity },
	{ "scheduler", 1, try_scheduler },
	{ "group", 1, try_group },
	{ "mrelease", 1, try_mrelease },
	{ "scan", 1, try_scan },
	{ "parent", 0, try_parent },
	{ "everybody", 1, try_everybody },
	{ NULL, 0, NULL },
};
