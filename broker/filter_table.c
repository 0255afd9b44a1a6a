/*
 * filter_table.c - which system calls the filters refuse, as data.
 *
 * Everything else passes: an allow list of the calls that build tools make turns each new libc into
 * a defect, and what remains of the kernel behind namespaces without a capability is worth less.
 * Refusals are errors, not signals, since programs probe for what they may do.
 */
#include <errno.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "proto/sys/supervise.h"

#include "broker/filter.h"

#define PERSONALITY_HARMLESS 0x40008U /* PER_LINUX32, and ADDR_NO_RANDOMIZE for debuggers */

static const char *const command[] = {
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
	"kcmp", "pidfd_getfd", "fanotify_init", "fanotify_mark",
	/* mounts and namespaces: a user namespace of its own is a way to the rest of the kernel */
	"mount", "umount", "umount2", "pivot_root", "chroot", "fsopen", "fsconfig", "fsmount",
	"fspick", "unshare", "mount_setattr", "open_tree", "move_mount", "setns", "open_tree_attr",
	NULL
};

/* What init still does once the command runs, beside its supervision. */
static const char *const init[] = { "recvmsg",      "sendmsg", "wait4",      "kill",
				    "unlinkat",     "exit",    "exit_group", "restart_syscall",
				    "rt_sigreturn", NULL };

/*
 * Without namespaces: what the user's processes share by number or name, and what Landlock does not
 * know about files.
 */
static const char *const legacy[] = { "shmget",  "shmat",     "shmctl",      "semget",     "semctl",
				      "msgget",  "msgsnd",    "msgrcv",      "msgctl",     "ipc",
				      "mq_open", "mq_unlink", "setpriority", "ioprio_set", NULL };

/* clang-format off */
#define WHOLE 0xffffffffU
#define IS(argument, value)         { argument, SCMP_CMP_EQ, value, 0 }
#define FROM(argument, value)       { argument, SCMP_CMP_GE, value, 0 }
#define BITS(argument, mask, value) { argument, SCMP_CMP_MASKED_EQ, mask, value }

#define NO_FAMILY(family) \
	{ "socket", EAFNOSUPPORT, 1, { IS(0, family) } }, \
	{ "socketpair", EAFNOSUPPORT, 1, { IS(0, family) } }
#define NO_TYPE(family, mask, value) \
	{ "socket", EPERM, 2, { IS(0, family), BITS(1, mask, value) } }, \
	{ "socketpair", EPERM, 2, { IS(0, family), BITS(1, mask, value) } }
#define NO_NAMESPACE(flag) \
	{ "clone", EPERM, 1, { BITS(0, flag, flag) } }
#define NO_IOCTL(request) \
	{ "ioctl", EPERM, 1, { BITS(1, WHOLE, request) } }

/* Access lists are attributes; programs that copy files go on without. */
#define NO_ATTRIBUTE(call) { call, EOPNOTSUPP, 0, { { 0 } } }
#define NOT_OF_INIT(call, argument) \
	{ call, EPERM, 1, { BITS(argument, WHOLE, 1) } }

/* In a mode: setuid, setgid, writable for everybody. */
#define NO_MODE(call, argument) \
	{ call, EPERM, 1, { BITS(argument, 04000, 04000) } }, \
	{ call, EPERM, 1, { BITS(argument, 02000, 02000) } }, \
	{ call, EPERM, 1, { BITS(argument, 00002, 00002) } }

static const struct filter_rule command_rules[] = {
	/* AF_UNIX 1, AF_INET 2, AF_INET6 10 and AF_NETLINK 16 are the families that programs need. */
	NO_FAMILY(0), NO_FAMILY(3), NO_FAMILY(4), NO_FAMILY(5), NO_FAMILY(6), NO_FAMILY(7),
	NO_FAMILY(8), NO_FAMILY(9), NO_FAMILY(11), NO_FAMILY(12), NO_FAMILY(13), NO_FAMILY(14),
	NO_FAMILY(15),
	{ "socket", EAFNOSUPPORT, 1, { FROM(0, AF_NETLINK + 1) } },
	{ "socketpair", EAFNOSUPPORT, 1, { FROM(0, AF_NETLINK + 1) } },
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
	{ "socket", EAFNOSUPPORT, 2, { IS(0, AF_NETLINK), FROM(2, 1) } },
	/* i386's one call for all of them hides its arguments; the direct ones exist since Linux 4.3. */
	{ "socketcall", ENOSYS, 0, { { 0 } } },
	/* Types into a terminal; pastes into a console; loads a line discipline. */
	NO_IOCTL(TIOCSTI), NO_IOCTL(TIOCLINUX), NO_IOCTL(TIOCSETD),
	/* A supervisor of its own would answer before this filter does. */
	{ "seccomp", EPERM, 1, { BITS(1, SECCOMP_FILTER_FLAG_NEW_LISTENER, SECCOMP_FILTER_FLAG_NEW_LISTENER) } },
	/* Process 1 supervises the command, which must not starve it. */
	NOT_OF_INIT("prlimit64", 0), NOT_OF_INIT("sched_setaffinity", 0),
	NOT_OF_INIT("sched_setscheduler", 0), NOT_OF_INIT("sched_setparam", 0),
	NOT_OF_INIT("sched_setattr", 0), NOT_OF_INIT("setpriority", 1), NOT_OF_INIT("ioprio_set", 1),
	NO_NAMESPACE(CLONE_NEWNS), NO_NAMESPACE(CLONE_NEWCGROUP), NO_NAMESPACE(CLONE_NEWUTS),
	NO_NAMESPACE(CLONE_NEWIPC), NO_NAMESPACE(CLONE_NEWUSER), NO_NAMESPACE(CLONE_NEWPID),
	NO_NAMESPACE(CLONE_NEWNET),
	/* Its flags lie in memory; without it every libc takes clone. */
	{ "clone3", ENOSYS, 0, { { 0 } } },
};

static const struct filter_rule init_rules[] = { SUPERVISE_IOCTL };

static const struct filter_rule legacy_rules[] = {
	/* Every socket of the host has a name that can be connected to; socketpair() has none. */
	{ "socket", EPERM, 1, { IS(0, AF_UNIX) } },
	/* The modes and limits of what belongs to the user, but is none of the command's business. */
	NO_ATTRIBUTE("setxattr"), NO_ATTRIBUTE("lsetxattr"), NO_ATTRIBUTE("fsetxattr"),
	NO_MODE("chmod", 1), NO_MODE("fchmod", 1), NO_MODE("fchmodat", 2), NO_MODE("fchmodat2", 2),
	{ "prlimit64", EPERM, 1, { { 0, SCMP_CMP_NE, 0, 0 } } },
};

static const struct filter_rule offline_rules[] = {
	{ "socket", EAFNOSUPPORT, 1, { IS(0, AF_INET) } },
	{ "socket", EAFNOSUPPORT, 1, { IS(0, AF_INET6) } },
};
/* clang-format on */

#define RULES(name) .rules = (name), .rule_count = ARRAY_LEN(name), .companion = true

const struct filter_spec filter_specs[FILTER_COUNT] = {
	[FILTER_COMMAND] = { .lists = { { command, EPERM } },
			     .personality = PERSONALITY_HARMLESS,
			     RULES(command_rules) },
	[FILTER_INIT] = { .otherwise = EPERM,
			  .lists = { { init, 0 }, { supervise_needs, 0 } },
			  RULES(init_rules) },
	[FILTER_LEGACY] = { .lists = { { legacy, EPERM } }, RULES(legacy_rules) },
	[FILTER_OFFLINE] = { RULES(offline_rules) },
};
