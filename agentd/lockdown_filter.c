#include "agentd/lockdown_filter.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "proto/base/err.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA                                                                                 \
	0x53564d41 /* names of memory areas; the allocator of newer libraries sets them */
#endif

/*
 * What is not here fails with ENOSYS, so that a library which probes for a newer call falls back to
 * the older one. Names that a machine's ABI lacks are skipped by libseccomp's resolver.
 */
static const char *const allowed[] = {
	/* bytes */
	"read",
	"write",
	"readv",
	"writev",
	"pread64",
	"pwrite64",
	"preadv",
	"pwritev",
	"lseek",
	"close",
	"close_range",
	"dup",
	"dup2",
	"dup3",
	"fcntl",
	"pipe",
	"pipe2",
	"eventfd2",
	"memfd_create",
	/* files; where writing is allowed is Landlock's part. No chmod, chown, link, symlink,
	 * xattr, utime: Landlock does not bound those. */
	"open",
	"openat",
	"openat2",
	"fstat",
	"stat",
	"lstat",
	"newfstatat",
	"statx",
	"fstatfs",
	"statfs",
	"access",
	"faccessat",
	"faccessat2",
	"readlink",
	"readlinkat",
	"getdents64",
	"getcwd",
	"mkdir",
	"mkdirat",
	"unlink",
	"unlinkat",
	"rmdir",
	"rename",
	"renameat",
	"renameat2",
	"ftruncate",
	"fsync",
	"fdatasync",
	"fallocate",
	"flock",
	"umask",
	/* memory */
	"mmap",
	"munmap",
	"mprotect",
	"mremap",
	"madvise",
	"brk",
	"membarrier",
	/* waiting */
	"poll",
	"ppoll",
	"select",
	"pselect6",
	"epoll_create1",
	"epoll_ctl",
	"epoll_wait",
	"epoll_pwait",
	"epoll_pwait2",
	"nanosleep",
	"clock_nanosleep",
	"restart_syscall",
	/* threads */
	"futex",
	"set_robust_list",
	"get_robust_list",
	"rseq",
	"sched_yield",
	"sched_getaffinity",
	"gettid",
	"exit",
	"exit_group",
	/* signals, of itself only */
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"rt_sigtimedwait",
	"sigaltstack",
	/* network: the families are bounded below. No listen: the listener exists. */
	"connect",
	"bind",
	"accept",
	"accept4",
	"getsockname",
	"getpeername",
	"getsockopt",
	"setsockopt",
	"sendto",
	"sendmsg",
	"sendmmsg",
	"recvfrom",
	"recvmsg",
	"recvmmsg",
	"shutdown",
	/* looking at itself, and a peer by descriptor */
	"getpid",
	"getppid",
	"getuid",
	"geteuid",
	"getgid",
	"getegid",
	"getresuid",
	"getresgid",
	"uname",
	"sysinfo",
	"getrlimit",
	"getrusage",
	"times",
	"clock_gettime",
	"clock_getres",
	"gettimeofday",
	"time",
	"getrandom",
	"pidfd_open",
};

/* Refused with EPERM instead of ENOSYS: nothing probes for these, and a log line should say what
 * happened. */
static const char *const forbidden[] = {
	"execve",
	"execveat",
	"fork",
	"vfork",
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"pidfd_getfd",
	"pidfd_send_signal",
	"kill",
	"tkill",
	"rt_sigqueueinfo",
	"rt_tgsigqueueinfo",
	"kcmp",
	"unshare",
	"setns",
	"mount",
	"umount2",
	"pivot_root",
	"chroot",
	"move_mount",
	"open_tree",
	"fsopen",
	"fsconfig",
	"fsmount",
	"fspick",
	"mount_setattr",
	"bpf",
	"perf_event_open",
	"keyctl",
	"add_key",
	"request_key",
	"userfaultfd",
	"io_uring_setup",
	"io_uring_enter",
	"io_uring_register",
	"init_module",
	"finit_module",
	"delete_module",
	"kexec_load",
	"kexec_file_load",
	"open_by_handle_at",
	"name_to_handle_at",
	"chmod",
	"fchmod",
	"fchmodat",
	"chown",
	"fchown",
	"lchown",
	"fchownat",
	"setxattr",
	"lsetxattr",
	"fsetxattr",
	"removexattr",
	"utimensat",
	"link",
	"linkat",
	"symlink",
	"symlinkat",
	"mknod",
	"mknodat",
	"setuid",
	"setgid",
	"setresuid",
	"setresgid",
	"setgroups",
	"setsid",
	"setpgid",
	"capset",
	"reboot",
	"swapon",
	"swapoff",
	"acct",
	"quotactl",
	"personality",
	"modify_ldt",
	"ioperm",
	"iopl",
	"listen",
};

#define PAIR_FLAGS (SOCK_CLOEXEC | SOCK_NONBLOCK)

/* Calls that are kept for some values of one argument. */
static const struct {
	const char *call;
	unsigned arg;
	enum scmp_compare how;
	scmp_datum_t a; /* the value, or the mask of a masked comparison */
	scmp_datum_t b; /* what the masked value must be */
} bounded[] = {
	{ "clone", 0, SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_VM | CLONE_SIGHAND,
	  CLONE_THREAD | CLONE_VM | CLONE_SIGHAND },
	{ "socket", 0, SCMP_CMP_EQ, AF_INET, 0 },
	{ "socket", 0, SCMP_CMP_EQ, AF_INET6, 0 },
	{ "ioctl", 1, SCMP_CMP_EQ, FIONBIO, 0 },
	{ "ioctl", 1, SCMP_CMP_EQ, FIONREAD, 0 },
	{ "ioctl", 1, SCMP_CMP_EQ, FIOCLEX, 0 },
	{ "ioctl", 1, SCMP_CMP_EQ, TCGETS, 0 },
	{ "ioctl", 1, SCMP_CMP_EQ, TIOCSPTLCK, 0 }, /* a new pseudo-terminal */
	{ "ioctl", 1, SCMP_CMP_EQ, TIOCSWINSZ, 0 },
	{ "prctl", 0, SCMP_CMP_EQ, PR_SET_NAME, 0 },
	{ "prctl", 0, SCMP_CMP_EQ, PR_SET_VMA, 0 },
	{ "prctl", 0, SCMP_CMP_EQ, PR_GET_NO_NEW_PRIVS, 0 },
	{ "prlimit64", 2, SCMP_CMP_EQ, 0, 0 }, /* asks, sets nothing */
};

static int failed(struct err *err, int result, const char *call)
{
	return ERR_SYS(err, -result, "seccomp rule for '%s'", call);
}

/* Kernels older than a call, and machines without it, have nothing to bound. */
static int add_list(scmp_filter_ctx filter, uint32_t action, const char *const *names, size_t count,
		    struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		int number = seccomp_syscall_resolve_name(names[i]);
		int result;

		if (number < 0) /* __NR_SCMP_ERROR, or a pseudo number: not on this machine */
			continue;
		result = seccomp_rule_add(filter, action, number, 0);
		if (result < 0)
			return failed(err, result, names[i]);
	}
	return 0;
}

static int add_bounded(scmp_filter_ctx filter, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(bounded); i++) {
		struct scmp_arg_cmp cmp = { .arg = bounded[i].arg,
					    .op = bounded[i].how,
					    .datum_a = bounded[i].a,
					    .datum_b = bounded[i].b };
		int number = seccomp_syscall_resolve_name(bounded[i].call);
		int result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, 1, &cmp);

		if (result < 0)
			return failed(err, result, bounded[i].call);
	}
	return 0;
}

/* The two that need more than one comparison. */
static int add_pairs(scmp_filter_ctx filter, struct err *err)
{
	/* getaddrinfo() asks the kernel which address families are up. */
	const struct scmp_arg_cmp netlink[] = { SCMP_A0(SCMP_CMP_EQ, AF_NETLINK),
						SCMP_A2(SCMP_CMP_EQ, 0 /* NETLINK_ROUTE */) };
	/* A stream pair is connected for life, so it reaches nobody; a datagram pair could connect
	 * elsewhere. */
	const struct scmp_arg_cmp pair[] = {
		SCMP_A0(SCMP_CMP_EQ, AF_UNIX),
		SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX & ~(scmp_datum_t)PAIR_FLAGS, SOCK_STREAM),
	};
	/* raise() and abort(). */
	const struct scmp_arg_cmp self[] = { SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()) };
	int result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, netlink);

	if (result < 0)
		return failed(err, result, "socket");
	result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 2, pair);
	if (result < 0)
		return failed(err, result, "socketpair");
	result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, self);
	if (result < 0)
		return failed(err, result, "tgkill");
	return 0;
}

static void filter_release(scmp_filter_ctx *filter)
{
	if (*filter)
		seccomp_release(*filter);
}

int lockdown_filter_install(struct err *err)
{
	scmp_filter_ctx filter SCOPED(filter_release) = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int result;

	if (!filter)
		return ERR_NOMEM_SET(err);
	/* Calls of a foreign ABI (32 bit, x32) are not in the list at all. */
	result = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (result == 0)
		result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (result ==
	    0) /* a tree instead of a chain: fewer steps per call; older libraries lack it */
		(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (result < 0)
		return ERR_SYS(err, -result, "seccomp attributes");
	if (add_list(filter, SCMP_ACT_ALLOW, allowed, ARRAY_LEN(allowed), err) < 0 ||
	    add_list(filter, SCMP_ACT_ERRNO(EPERM), forbidden, ARRAY_LEN(forbidden), err) < 0 ||
	    add_bounded(filter, err) < 0 || add_pairs(filter, err) < 0)
		return (int)err->code;
	result = seccomp_load(filter);
	if (result < 0)
		return ERR_SYS(err, -result, "load the seccomp filter");
	return 0;
}
