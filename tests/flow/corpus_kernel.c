/*
 * corpus_kernel.c - system calls that no command needs, in each way that they can be made.
 */
#include "proto/base/err.h"

#include "tests/flow/corpus.h"

#define NEVER                                                                                      \
	{                                                                                          \
		"EPERM"                                                                            \
	}
#define GONE                                                                                       \
	{                                                                                          \
		"EPERM|ENOSYS"                                                                     \
	} /* the kernel may not have it at all */
#define I386                                                                                       \
	{                                                                                          \
		"EPERM|ENOSYS"                                                                     \
	} /* the kernel may not run 32-bit programs */
#define X32                                                                                        \
	{                                                                                          \
		"ENOSYS|ECANCELED"                                                                 \
	}

#define NATIVE(id, name)                                                                           \
	{                                                                                          \
		id, name, "call " name, NEVER                                                      \
	}
#define OLD(id, name)                                                                              \
	{                                                                                          \
		id, name, "call " name, GONE                                                       \
	}
#define COMPAT(id, name)                                                                           \
	{                                                                                          \
		id, "32-bit " name, "i386 " name, I386                                             \
	}

static const struct corpus_case cases[] = {
	NATIVE("PR-06", "mount"),
	NATIVE("PR-06", "remount"),
	NATIVE("PR-06", "bind"),
	NATIVE("PR-06", "propagate"),
	NATIVE("PR-06", "umount"),
	NATIVE("PR-06", "pivot_root"),
	NATIVE("PR-06", "chroot"),
	NATIVE("PR-06", "open_tree"),
	NATIVE("PR-06", "move_mount"),
	NATIVE("PR-06", "fsopen"),
	NATIVE("PR-06", "fsconfig"),
	NATIVE("PR-06", "fsmount"),
	NATIVE("PR-06", "fspick"),
	NATIVE("PR-06", "mount_setattr"),
	OLD("PR-06", "open_tree_attr"),
	COMPAT("PR-06", "mount"),
	COMPAT("PR-06", "umount"),
	COMPAT("PR-06", "pivot_root"),
	COMPAT("PR-06", "chroot"),
	COMPAT("PR-06", "open_tree"),
	COMPAT("PR-06", "move_mount"),
	COMPAT("PR-06", "fsopen"),
	COMPAT("PR-06", "fsconfig"),
	COMPAT("PR-06", "fsmount"),
	COMPAT("PR-06", "fspick"),
	COMPAT("PR-06", "mount_setattr"),
	NATIVE("PR-07", "unshare_user"),
	NATIVE("PR-07", "unshare_mounts"),
	NATIVE("PR-07", "unshare_net"),
	NATIVE("PR-07", "unshare_all"),
	NATIVE("PR-07", "setns"),
	COMPAT("PR-07", "unshare_user"),
	COMPAT("PR-07", "setns"),
	{ "PR-07", "clone with a user namespace", "clone 0x10000000", NEVER },
	{ "PR-07", "clone with a mount namespace", "clone 0x00020000", NEVER },
	{ "PR-07", "clone with a network namespace", "clone 0x40000000", NEVER },
	{ "PR-07", "clone with a PID namespace", "clone 0x20000000", NEVER },
	{ "PR-07", "clone with a cgroup namespace", "clone 0x02000000", NEVER },
	{ "PR-07", "clone with all of them", "clone 0x7e020000", NEVER },
	{ "PR-07", "clone with high bits", "clone 0x110000000", { "EPERM|EINVAL" } },
	{ "PR-07", "clone3", "clone3 0", { "ENOSYS" } },
	{ "PR-07", "clone3 with a user namespace", "clone3 0x10000000", { "ENOSYS" } },
	{ "PR-07", "clone3 with a time namespace", "clone3 0x80", { "ENOSYS" } },
	{ "PR-07", "32-bit clone with a user namespace", "i386_number 120 0x10000011 0", I386 },
	{ "PR-07", "32-bit clone3", "i386_number 435 0 0", { "ENOSYS" } },
	NATIVE("PR-08", "io_uring_setup"),
	NATIVE("PR-08", "io_uring_enter"),
	NATIVE("PR-08", "io_uring_register"),
	COMPAT("PR-08", "io_uring_setup"),
	COMPAT("PR-08", "io_uring_enter"),
	COMPAT("PR-08", "io_uring_register"),
	NATIVE("PR-10", "keyctl"),
	NATIVE("PR-10", "keyctl_read"),
	NATIVE("PR-10", "keyctl_join"),
	NATIVE("PR-10", "keyctl_persistent"),
	NATIVE("PR-10", "add_key"),
	NATIVE("PR-10", "request_key"),
	COMPAT("PR-10", "keyctl"),
	COMPAT("PR-10", "add_key"),
	COMPAT("PR-10", "request_key"),
	{ "PR-12", "x32 socket", "x32 socket_packet", X32 },
	{ "PR-12", "x32 mount", "x32 mount", X32 },
	{ "PR-12", "x32 unshare", "x32 unshare_user", X32 },
	{ "PR-12", "x32 keyctl", "x32 keyctl", X32 },
	{ "PR-12", "x32 io_uring_setup", "x32 io_uring_setup", X32 },
	{ "PR-12", "x32 ptrace of init", "x32 ptrace_attach_init", X32 },
	NATIVE("PR-13", "listener"),
	NATIVE("PR-13", "listener_tsync"),
	COMPAT("PR-13", "listener"),
	NATIVE("PR-23", "persona_exec"),
	NATIVE("PR-23", "persona_compat"),
	NATIVE("PR-23", "persona_uname26"),
	NATIVE("PR-23", "persona_mmap_zero"),
	{ "PR-23", "personality with high bits alone", "call persona_high_bits", { "*" } },
	COMPAT("PR-23", "persona_exec"),
	NATIVE("PR-25", "fanotify_init"),
	NATIVE("PR-25", "fanotify_mark"),
	COMPAT("PR-25", "fanotify_init"),

	NATIVE("OWN-10", "bpf"),
	NATIVE("OWN-10", "perf_event_open"),
	NATIVE("OWN-10", "userfaultfd"),
	COMPAT("OWN-10", "bpf"),
	COMPAT("OWN-10", "perf_event_open"),
	COMPAT("OWN-10", "userfaultfd"),
	NATIVE("OWN-11", "name_to_handle_at"),
	NATIVE("OWN-11", "open_by_handle_at"),
	NATIVE("OWN-11", "pidfd_getfd"),
	NATIVE("OWN-11", "kcmp"),
	COMPAT("OWN-11", "name_to_handle_at"),
	COMPAT("OWN-11", "open_by_handle_at"),
	COMPAT("OWN-11", "pidfd_getfd"),
	COMPAT("OWN-11", "kcmp"),
	NATIVE("OWN-12", "process_madvise"),
	{ "OWN-12", "process_mrelease", "call process_mrelease", { "D" } },
	NATIVE("OWN-12", "move_pages"),
	NATIVE("OWN-12", "migrate_pages"),
	NATIVE("OWN-12", "mbind"),
	NATIVE("OWN-12", "set_mempolicy"),
	NATIVE("OWN-12", "vmsplice"),
	COMPAT("OWN-12", "move_pages"),
	COMPAT("OWN-12", "migrate_pages"),
	COMPAT("OWN-12", "vmsplice"),
	NATIVE("OWN-13", "kexec_load"),
	NATIVE("OWN-13", "kexec_file_load"),
	NATIVE("OWN-13", "init_module"),
	NATIVE("OWN-13", "finit_module"),
	NATIVE("OWN-13", "delete_module"),
	NATIVE("OWN-13", "reboot"),
	NATIVE("OWN-13", "swapon"),
	NATIVE("OWN-13", "swapoff"),
	NATIVE("OWN-13", "acct"),
	NATIVE("OWN-13", "quotactl"),
	OLD("OWN-13", "quotactl_fd"),
	NATIVE("OWN-13", "syslog"),
	NATIVE("OWN-13", "vhangup"),
	OLD("OWN-13", "iopl"),
	OLD("OWN-13", "ioperm"),
	OLD("OWN-13", "uselib"),
	OLD("OWN-13", "ustat"),
	OLD("OWN-13", "lookup_dcookie"),
	COMPAT("OWN-13", "kexec_load"),
	COMPAT("OWN-13", "init_module"),
	COMPAT("OWN-13", "finit_module"),
	COMPAT("OWN-13", "delete_module"),
	COMPAT("OWN-13", "reboot"),
	COMPAT("OWN-13", "swapon"),
	COMPAT("OWN-13", "acct"),
	COMPAT("OWN-13", "quotactl"),
	COMPAT("OWN-13", "syslog"),
	NATIVE("OWN-14", "settimeofday"),
	NATIVE("OWN-14", "clock_settime"),
	NATIVE("OWN-14", "adjtimex"),
	NATIVE("OWN-14", "clock_adjtime"),
	COMPAT("OWN-14", "settimeofday"),
	COMPAT("OWN-14", "stime"),
	COMPAT("OWN-14", "clock_settime"),
	COMPAT("OWN-14", "clock_settime64"),
	COMPAT("OWN-14", "adjtimex"),
	COMPAT("OWN-14", "clock_adjtime"),
	COMPAT("OWN-14", "clock_adjtime64"),
	{ "OWN-15", "the host's name", "call sethostname", { "D" } },
	{ "OWN-15", "the host's domain", "call setdomainname", { "D" } },
	{ "OWN-15", "32-bit sethostname", "i386 sethostname", I386 },
	{ "OWN-16", "32-bit socketcall", "i386 socketcall", { "ENOSYS" } },
	{ "OWN-16", "32-bit socket of packets", "i386 socket_packet", { "D" } },
	{ "OWN-16", "32-bit ptrace of init", "i386 ptrace_attach_init", { "D" } },
	{ "OWN-16", "32-bit ipc()", "i386_number 117 23 0", { "*" } },
};

const struct corpus_table corpus_kernel = { cases, ARRAY_LEN(cases) };
