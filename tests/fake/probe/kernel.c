/*
 * kernel.c - attempts on the kernel itself: a system call by name, in each of the three ways that
 * an x86-64 kernel can be called.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/str.h"

#include "tests/fake/probe/probe.h"

#define X32_BIT 0x40000000
#define CREATE_WRITE 0100101 /* the flags of open(); to others a mode */
#define NEW_LISTENER (1UL << 3)
#define BAD (-1L) /* where only the number is of interest, and a success would do harm */

/* No call of the table does harm when it is allowed: what it names does not exist. */
static const struct call {
	const char *name;
	long number;
	long args[6];
	long i386; /* 0: has none, or is not worth the trouble */
} calls[] = {
	{ "mount", SYS_mount, { 0, (long)"/nowhere", (long)"tmpfs", 0, 0 }, 21 },
	{ "remount", SYS_mount, { 0, (long)"/", 0, MS_REMOUNT | MS_BIND, 0 }, 0 },
	{ "bind", SYS_mount, { (long)"/", (long)"/tmp", 0, MS_BIND, 0 }, 0 },
	{ "propagate", SYS_mount, { 0, (long)"/", 0, MS_SHARED | MS_REC, 0 }, 0 },
	{ "umount", SYS_umount2, { (long)"/dev", MNT_DETACH }, 52 },
	{ "pivot_root", SYS_pivot_root, { (long)"/", (long)"/" }, 217 },
	{ "chroot", SYS_chroot, { (long)"/tmp" }, 61 },
	{ "open_tree", SYS_open_tree, { AT_FDCWD, (long)"/", 1 }, 428 },
	{ "move_mount",
	  SYS_move_mount,
	  { AT_FDCWD, (long)"/dev", AT_FDCWD, (long)"/tmp", 0 },
	  429 },
	{ "fsopen", SYS_fsopen, { (long)"tmpfs", 0 }, 430 },
	{ "fsconfig", SYS_fsconfig, { BAD, 6 }, 431 },
	{ "fsmount", SYS_fsmount, { BAD }, 432 },
	{ "fspick", SYS_fspick, { AT_FDCWD, (long)"/", 0 }, 433 },
	{ "mount_setattr", SYS_mount_setattr, { AT_FDCWD, (long)"/", 0, 0, 0 }, 442 },
	{ "open_tree_attr", 467, { AT_FDCWD, (long)"/", 1 }, 467 },
	{ "unshare_user", SYS_unshare, { CLONE_NEWUSER }, 310 },
	{ "unshare_mounts", SYS_unshare, { CLONE_NEWNS }, 0 },
	{ "unshare_net", SYS_unshare, { CLONE_NEWNET }, 0 },
	{ "unshare_all", SYS_unshare, { 0x7e020000 }, 0 },
	{ "setns", SYS_setns, { BAD, 0 }, 346 },
	{ "keyctl", SYS_keyctl, { 0, -4, 0 }, 288 },
	{ "keyctl_read", SYS_keyctl, { 11, -4, 0, 0 }, 0 },
	{ "keyctl_join", SYS_keyctl, { 1, 0 }, 0 },
	{ "keyctl_persistent", SYS_keyctl, { 22, -1, -2 }, 0 },
	{ "add_key", SYS_add_key, { (long)"user", (long)"agent-escape", (long)"x", 1, -4 }, 286 },
	{ "request_key", SYS_request_key, { (long)"user", (long)"agent-test", 0, -4 }, 287 },
	{ "io_uring_setup", SYS_io_uring_setup, { 1, 0 }, 425 },
	{ "io_uring_enter", SYS_io_uring_enter, { BAD }, 426 },
	{ "io_uring_register", SYS_io_uring_register, { BAD }, 427 },
	{ "bpf", SYS_bpf, { 0, 0, 0 }, 357 },
	{ "perf_event_open", SYS_perf_event_open, { 0, 0, -1, -1, 0 }, 336 },
	{ "userfaultfd", SYS_userfaultfd, { 1 }, 374 },
	{ "fanotify_init", SYS_fanotify_init, { 0x200, O_RDONLY }, 338 },
	{ "fanotify_mark", SYS_fanotify_mark, { BAD }, 339 },
	{ "name_to_handle_at", SYS_name_to_handle_at, { AT_FDCWD, (long)"/", 0, 0, 0 }, 341 },
	{ "open_by_handle_at", SYS_open_by_handle_at, { AT_FDCWD, 0, 0 }, 342 },
	{ "pidfd_getfd", SYS_pidfd_getfd, { BAD, 0, 0 }, 438 },
	{ "kcmp", SYS_kcmp, { 1, 1, 0, 0, 0 }, 349 },
	{ "process_madvise", SYS_process_madvise, { BAD }, 440 },
	{ "process_mrelease", SYS_process_mrelease, { BAD }, 0 },
	{ "move_pages", SYS_move_pages, { 1, 0, 0, 0, 0, 0 }, 317 },
	{ "migrate_pages", SYS_migrate_pages, { 1, 0, 0, 0 }, 294 },
	{ "mbind", SYS_mbind, { 0, 0, 0, 0, 0, 0 }, 274 },
	{ "set_mempolicy", SYS_set_mempolicy, { 0, 0, 0 }, 276 },
	{ "vmsplice", SYS_vmsplice, { BAD }, 316 },
	{ "kexec_load", SYS_kexec_load, { 0, 0, 0, BAD }, 283 },
	{ "kexec_file_load", SYS_kexec_file_load, { BAD, BAD }, 0 },
	{ "init_module", SYS_init_module, { 0, 0, 0 }, 128 },
	{ "finit_module", SYS_finit_module, { BAD }, 350 },
	{ "delete_module", SYS_delete_module, { (long)"agent_no_such", 0 }, 129 },
	{ "reboot", SYS_reboot, { 0, 0, 0, 0 }, 88 },
	{ "swapon", SYS_swapon, { (long)"/nowhere", 0 }, 87 },
	{ "swapoff", SYS_swapoff, { (long)"/nowhere" }, 115 },
	{ "acct", SYS_acct, { (long)"/nowhere" }, 51 },
	{ "quotactl", SYS_quotactl, { BAD, (long)"/nowhere" }, 131 },
	{ "quotactl_fd", 443, { BAD }, 443 },
	{ "syslog", SYS_syslog, { 3, 0, 0 }, 103 },
	{ "vhangup", SYS_vhangup, { 0 }, 111 },
	{ "iopl", SYS_iopl, { 3 }, 110 },
	{ "ioperm", SYS_ioperm, { 0x80, 1, 1 }, 101 },
	{ "uselib", SYS_uselib, { (long)"/nowhere" }, 86 },
	{ "ustat", SYS_ustat, { 0, 0 }, 62 },
	{ "lookup_dcookie", SYS_lookup_dcookie, { 0 }, 253 },
	{ "settimeofday", SYS_settimeofday, { BAD, 0 }, 79 },
	{ "clock_settime", SYS_clock_settime, { 0, BAD }, 264 },
	{ "clock_settime64", 0, { 0, BAD }, 404 },
	{ "stime", 0, { BAD }, 25 },
	{ "adjtimex", SYS_adjtimex, { BAD }, 124 },
	{ "clock_adjtime", SYS_clock_adjtime, { 0, BAD }, 343 },
	{ "clock_adjtime64", 0, { 0, BAD }, 405 },
	{ "sethostname", SYS_sethostname, { (long)"escaped", BAD }, 74 },
	{ "setdomainname", SYS_setdomainname, { (long)"escaped", BAD }, 121 },
	{ "persona_exec", SYS_personality, { 0x0400000 }, 136 },
	{ "persona_compat", SYS_personality, { 0x0200000 }, 0 },
	{ "persona_uname26", SYS_personality, { 0x0020000 }, 0 },
	{ "persona_mmap_zero", SYS_personality, { 0x0100000 }, 0 },
	{ "persona_high_bits", SYS_personality, { 0x500000000000000 }, 0 },
	{ "listener", SYS_seccomp, { SECCOMP_SET_MODE_FILTER, NEW_LISTENER, 0 }, 354 },
	{ "listener_tsync", SYS_seccomp, { SECCOMP_SET_MODE_FILTER, NEW_LISTENER | 0x11, 0 }, 0 },
	{ "socketcall", 0, { 1, 0 }, 102 },
	{ "olduname", 0, { 0 }, 59 },
	{ "socket_packet", SYS_socket, { 17, 3, 0 }, 359 },
	{ "ptrace_attach_init", SYS_ptrace, { 16, 1, 0, 0 }, 26 },
};

static const struct call *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		if (str_eq(calls[i].name, name))
			return &calls[i];
	}
	return NULL;
}

static int try_call(char **words)
{
	const struct call *call = find(words[0]);
	const long *args = call ? call->args : NULL;

	if (!call)
		return EINVAL;
	return outcome(syscall(call->number, args[0], args[1], args[2], args[3], args[4], args[5]));
}

#ifdef __x86_64__
static int call_i386(long number, long first, long second)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(first), "c"(second), "d"(0L), "S"(0L), "D"(0L)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)result < 0 ? -(int)result : 0;
}

/* Pointers do not fit, so that only numbers are of interest. */
static int try_i386(char **words)
{
	const struct call *call = find(words[0]);
	bool text = call && call->args[0] > INT32_MAX;

	if (!call || call->i386 == 0)
		return EINVAL;
	return call_i386(call->i386, text ? 0 : call->args[0],
			 call->args[1] > INT32_MAX ? 0 : call->args[1]);
}

/* Any number of i386 with two small arguments. */
static int try_i386_number(char **words)
{
	return call_i386(number(words[0]), number(words[1]), number(words[2]));
}

/* NUMBER PATH: where a pointer fits into half a register. */
static int try_i386_path(char **words)
{
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	if (low == MAP_FAILED)
		return errno;
	(void)snprintf(low, 4096, "%s", words[1]);
	return call_i386(number(words[0]), (long)(uintptr_t)low, CREATE_WRITE);
}

/* In a child: the answer may be its death. */
static int try_x32(char **words)
{
	const struct call *call = find(words[0]);
	pid_t pid = call ? fork() : -1;

	if (pid == 0) {
		long rc = syscall(X32_BIT | call->number, call->args[0], call->args[1], 0, 0, 0);

		_exit(rc < 0 ? errno : 0);
	}
	return call ? child_outcome(pid) : EINVAL;
}
#else
static int try_i386(char **words)
{
	(void)words;
	return ENOSYS;
}

static int try_i386_number(char **words)
{
	return try_i386(words);
}

static int try_i386_path(char **words)
{
	return try_i386(words);
}

static int try_x32(char **words)
{
	return try_i386(words);
}
#endif

static int try_clone(char **words)
{
	pid_t pid =
		(pid_t)syscall(SYS_clone, (unsigned long)number(words[0]) | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : child_outcome(pid);
}

static int try_clone3(char **words)
{
	struct clone_args args = { .exit_signal = SIGCHLD, .flags = (uint64_t)number(words[0]) };
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);

	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : child_outcome(pid);
}

/* REQUEST as a number; on standard input. */
static int try_ioctl(char **words)
{
	char bytes[64] = "x";

	return outcome(syscall(SYS_ioctl, STDIN_FILENO, number(words[0]), bytes));
}

/* The last two words are folded into the upper half, which the kernel ignores. */
static int try_ioctl_terminal(char **words)
{
	char bytes[64] = "x";
	int fd = open(words[0], O_RDWR | O_NOCTTY | O_CLOEXEC);

	return fd < 0 ? errno : outcome(syscall(SYS_ioctl, fd, number(words[1]), bytes));
}

static int try_setns(char **words)
{
	int fd = open(words[0], O_RDONLY | O_CLOEXEC);

	return fd < 0 ? errno : outcome(setns(fd, 0));
}

/* Enters all namespaces of a process by its pidfd. */
static int try_setns_process(char **words)
{
	int fd = (int)syscall(SYS_pidfd_open, number(words[0]), 0);

	return fd < 0 ? errno : outcome(setns(fd, CLONE_NEWNS | CLONE_NEWNET));
}

static int try_own_filter(char **words)
{
	struct sock_filter pass = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { .len = 1, .filter = &pass };

	(void)words;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return errno;
	/* Allowed: but what was refused before must still be. */
	return outcome(syscall(SYS_unshare, CLONE_NEWUSER));
}

static int try_strict(char **words)
{
	(void)words;
	return outcome(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0));
}

const struct verb verbs_kernel[] = {
	{ "call", 1, try_call },
	{ "i386", 1, try_i386 },
	{ "i386_number", 3, try_i386_number },
	{ "i386_path", 2, try_i386_path },
	{ "x32", 1, try_x32 },
	{ "clone", 1, try_clone },
	{ "clone3", 1, try_clone3 },
	{ "ioctl", 1, try_ioctl },
	{ "ioctl_terminal", 2, try_ioctl_terminal },
	{ "setns", 1, try_setns },
	{ "setns_process", 1, try_setns_process },
	{ "own_filter", 0, try_own_filter },
	{ "strict", 0, try_strict },
	{ NULL, 0, NULL },
};
