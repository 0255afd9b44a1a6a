/*
 * filter_table.c - which system calls the filters refuse, as data.
 *
 * Everything else passes: an allow list of the calls that build tools make turns each new libc into
 * a defect, and what remains of the kernel behind namespaces without a capability is worth less.
 * Refusals are errors, not signals, since programs probe for what they may do.
 */
#include "broker/step.h"

#define SECCOMP_NEW_LISTENER (1U << 3) /* the C library's header is older than the kernel's */

static const char *const common[] = {
	/* asynchronous calls that no filter sees */
	"io_uring_setup", "io_uring_enter", "io_uring_register",
	/* keys belong to the user, not to a namespace */
	"add_key", "request_key", "keyctl",
	/* memory of others, and what exploits of the kernel's memory management are made of */
	"userfaultfd", "vmsplice", "move_pages", "migrate_pages", "mbind", "set_mempolicy",
	"set_mempolicy_home_node", "process_madvise",
	/* the kernel and the machine */
	"bpf", "perf_event_open", "kexec_load", "kexec_file_load", "init_module", "finit_module",
	"delete_module", "create_module", "query_module", "get_kernel_syms", "reboot", "swapon",
	"swapoff", "syslog", "acct", "quotactl", "quotactl_fd", "nfsservctl", "lookup_dcookie",
	"vhangup", "iopl", "ioperm", "uselib", "ustat", "_sysctl",
	/* the clock */
	"settimeofday", "stime", "clock_settime", "clock_settime64", "adjtimex", "clock_adjtime",
	"clock_adjtime64",
	/* files by handle, around every mount */
	"open_by_handle_at", "name_to_handle_at",
	/* looking into others */
	"kcmp", "pidfd_getfd", "fanotify_init", "fanotify_mark", NULL
};

/* Mounts and namespaces: a user namespace of its own is a command's way to the rest of the kernel.
 */
static const char *const command[] = { "mount",      "umount",  "umount2",        "pivot_root",
				       "chroot",     "fsopen",  "fsconfig",       "fsmount",
				       "fspick",     "unshare", "mount_setattr",  "open_tree",
				       "move_mount", "setns",   "open_tree_attr", NULL };

/* What init still does once the command runs. */
static const char *const init[] = { "read", "sendmsg",    "wait4",           "close",
				    "exit", "exit_group", "restart_syscall", "rt_sigreturn",
				    NULL };

const char *const *const filter_names[FILTER_COUNT] = {
	[FILTER_COMMON] = common, [FILTER_COMMAND] = command, [FILTER_INIT] = init
};

/* clang-format off */
#define WHOLE 0xffffffffU
#define IS(argument, value)         { argument, SCMP_CMP_EQ, value, 0 }
#define FROM(argument, value)       { argument, SCMP_CMP_GE, value, 0 }
#define BITS(argument, mask, value) { argument, SCMP_CMP_MASKED_EQ, mask, value }

#define NO_FAMILY(family) \
	{ FILTER_COMMON, "socket", EAFNOSUPPORT, 1, { IS(0, family) } }, \
	{ FILTER_COMMON, "socketpair", EAFNOSUPPORT, 1, { IS(0, family) } }
#define NO_TYPE(family, mask, value) \
	{ FILTER_COMMON, "socket", EPERM, 2, { IS(0, family), BITS(1, mask, value) } }, \
	{ FILTER_COMMON, "socketpair", EPERM, 2, { IS(0, family), BITS(1, mask, value) } }
#define NO_NAMESPACE(flag) \
	{ FILTER_COMMAND, "clone", EPERM, 1, { BITS(0, flag, flag) } }
#define NO_IOCTL(request) \
	{ FILTER_COMMON, "ioctl", EPERM, 1, { BITS(1, WHOLE, request) } }

const struct filter_rule filter_rules[] = {
	/* AF_UNIX 1, AF_INET 2, AF_INET6 10 and AF_NETLINK 16 are the families that programs need. */
	NO_FAMILY(0), NO_FAMILY(3), NO_FAMILY(4), NO_FAMILY(5), NO_FAMILY(6), NO_FAMILY(7),
	NO_FAMILY(8), NO_FAMILY(9), NO_FAMILY(11), NO_FAMILY(12), NO_FAMILY(13), NO_FAMILY(14),
	NO_FAMILY(15),
	{ FILTER_COMMON, "socket", EAFNOSUPPORT, 1, { FROM(0, AF_NETLINK + 1) } },
	{ FILTER_COMMON, "socketpair", EAFNOSUPPORT, 1, { FROM(0, AF_NETLINK + 1) } },
	/*
	 * Streams (1) and sequenced packets (5) alone: a datagram of AF_UNIX could reach any socket of
	 * the host by its path with one call, and SOCK_RAW is a datagram there.
	 */
	NO_TYPE(AF_UNIX, 0x1, 0x0), NO_TYPE(AF_UNIX, 0x2, 0x2), NO_TYPE(AF_UNIX, 0x8, 0x8),
	/* Streams (1) and datagrams (2). */
	NO_TYPE(AF_INET, 0xf, 0x0), NO_TYPE(AF_INET, 0x3, 0x3), NO_TYPE(AF_INET, 0x4, 0x4),
	NO_TYPE(AF_INET, 0x8, 0x8),
	NO_TYPE(AF_INET6, 0xf, 0x0), NO_TYPE(AF_INET6, 0x3, 0x3), NO_TYPE(AF_INET6, 0x4, 0x4),
	NO_TYPE(AF_INET6, 0x8, 0x8),
	/* Netlink is for asking about interfaces, which language runtimes do. */
	{ FILTER_COMMON, "socket", EAFNOSUPPORT, 2, { IS(0, AF_NETLINK), FROM(2, 1) } },
	/* i386's one call for all of them hides its arguments; the direct ones exist since Linux 4.3. */
	{ FILTER_COMMON, "socketcall", ENOSYS, 0, { { 0 } } },
	/* Types into a terminal; pastes into a console; loads a line discipline. */
	NO_IOCTL(TIOCSTI), NO_IOCTL(TIOCLINUX), NO_IOCTL(TIOCSETD),
	/* A supervisor of its own would answer before this filter does. */
	{ FILTER_COMMON, "seccomp", EPERM, 1, { BITS(1, SECCOMP_NEW_LISTENER, SECCOMP_NEW_LISTENER) } },
	NO_NAMESPACE(CLONE_NEWNS), NO_NAMESPACE(CLONE_NEWCGROUP), NO_NAMESPACE(CLONE_NEWUTS),
	NO_NAMESPACE(CLONE_NEWIPC), NO_NAMESPACE(CLONE_NEWUSER), NO_NAMESPACE(CLONE_NEWPID),
	NO_NAMESPACE(CLONE_NEWNET),
	/* Its flags lie in memory; without it every libc takes clone. */
	{ FILTER_COMMAND, "clone3", ENOSYS, 0, { { 0 } } },
};
/* clang-format on */

const size_t filter_rule_count = sizeof filter_rules / sizeof filter_rules[0];
