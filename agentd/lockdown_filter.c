#include "agentd/lockdown_filter.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/sys/filter.h"

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
	NULL,
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
	NULL,
};

#define PAIR_FLAGS (SOCK_CLOEXEC | SOCK_NONBLOCK)
#define THREAD (CLONE_THREAD | CLONE_VM | CLONE_SIGHAND)

/* clang-format off */
#define IF(call, argument, value) { call, 0, 1, { { argument, SCMP_CMP_EQ, value, 0 } } }

int lockdown_filter_install(struct err *err)
{
	/* Calls that are kept for some values of their arguments. */
	const struct filter_rule kept[] = {
		{ "clone", 0, 1, { { 0, SCMP_CMP_MASKED_EQ, THREAD, THREAD } } },
		IF("socket", 0, AF_INET),
		IF("socket", 0, AF_INET6),
		/* getaddrinfo() asks the kernel which address families are up. */
		{ "socket", 0, 2, { { 0, SCMP_CMP_EQ, AF_NETLINK, 0 },
				    { 2, SCMP_CMP_EQ, 0 /* NETLINK_ROUTE */, 0 } } },
		/* A stream pair is connected for life, so it reaches nobody; a datagram pair could
		 * connect elsewhere. */
		{ "socketpair", 0, 2, { { 0, SCMP_CMP_EQ, AF_UNIX, 0 },
					{ 1, SCMP_CMP_MASKED_EQ, UINT32_MAX & ~(scmp_datum_t)PAIR_FLAGS,
					  SOCK_STREAM } } },
		IF("ioctl", 1, FIONBIO),
		IF("ioctl", 1, FIONREAD),
		IF("ioctl", 1, FIOCLEX),
		IF("ioctl", 1, TCGETS),
		IF("ioctl", 1, TIOCSPTLCK), /* a new pseudo-terminal */
		IF("ioctl", 1, TIOCSWINSZ),
		IF("prctl", 0, PR_SET_NAME),
		IF("prctl", 0, PR_SET_VMA),
		IF("prctl", 0, PR_GET_NO_NEW_PRIVS),
		IF("prlimit64", 2, 0), /* asks, sets nothing */
		IF("tgkill", 0, (scmp_datum_t)getpid()), /* raise() and abort() */
	};
	/* Calls of a foreign ABI (32 bit, x32) are not in the list at all. */
	const struct filter_spec spec = { .otherwise = ENOSYS,
					  .lists = { { allowed, 0 }, { forbidden, EPERM } },
					  .rules = kept,
					  .rule_count = ARRAY_LEN(kept) };
	static struct filter filter;

	if (filter_compile(&spec, &filter, NULL, err) < 0)
		return (int)err->code;
	return filter_load(&filter, SECCOMP_FILTER_FLAG_TSYNC, err);
}
/* clang-format on */
