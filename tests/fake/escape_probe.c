/*
 * escape_probe.c - a command that tries to leave its sandbox, and says what came of each attempt.
 *
 *   escape_probe HOST_PID HOST_PORT ABSTRACT_NAME
 *
 * One line per attempt: its name and the name of the errno, or "OK" where it succeeded. HOST_PID is
 * a process outside of the same user, HOST_PORT listens on the loopback outside, ABSTRACT_NAME is
 * an abstract socket that listens outside.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/str.h"

#define DOCUMENTATION_ADDRESS 0xc0000201 /* 192.0.2.1, which is nobody */
#define NR_OPEN_TREE_ATTR 467
#define NR_QUOTACTL_FD 443
#define X32_GETPID 0x40000027
#define I386_SOCKETCALL 102
#define I386_UNSHARE 310
#define I386_KEYCTL 288
#define I386_SOCKET 359

static pid_t host_pid;
static in_port_t host_port;
static const char *abstract_name;

/* 0 where the attempt succeeded. A negative result is a failed call. */
static int outcome(long result)
{
	int sys = errno;

	if (result > STDERR_FILENO)
		(void)close((int)result);
	return result < 0 ? sys : 0;
}

static int with_socket(int family, int type, int protocol)
{
	return outcome(socket(family, type, protocol));
}

static int open_write(const char *path)
{
	return outcome(open(path, O_WRONLY | O_CLOEXEC));
}

static int open_read(const char *path)
{
	return outcome(open(path, O_RDONLY | O_CLOEXEC));
}

/* ------------------------------------------------------------------ mounts and namespaces */

static int try_mount(void)
{
	return outcome(mount("none", "/mnt", "tmpfs", 0, NULL));
}

static int try_remount(void)
{
	return outcome(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
}

static int try_umount(void)
{
	return outcome(umount2("/dev", MNT_DETACH));
}

static int try_open_tree(void)
{
	return outcome(syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE));
}

static int try_open_tree_attr(void)
{
	return outcome(syscall(NR_OPEN_TREE_ATTR, AT_FDCWD, "/", OPEN_TREE_CLONE, NULL, 0));
}

static int try_fsopen(void)
{
	return outcome(syscall(SYS_fsopen, "tmpfs", 0));
}

static int try_mount_setattr(void)
{
	struct mount_attr attr = { .attr_clr = MOUNT_ATTR_RDONLY };

	return outcome(syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &attr, sizeof attr));
}

static int try_chroot(void)
{
	return outcome(chroot("/tmp"));
}

static int try_pivot_root(void)
{
	return outcome(syscall(SYS_pivot_root, "/", "/"));
}

static int try_unshare_user(void)
{
	return outcome(unshare(CLONE_NEWUSER));
}

static int try_unshare_mount(void)
{
	return outcome(unshare(CLONE_NEWNS));
}

static int try_setns(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int sys = outcome(setns(fd, 0));

	(void)close(fd);
	return sys;
}

static int try_clone_user(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : 0;
}

static int try_clone3(void)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);

	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : 0;
}

/* ------------------------------------------------------------------ the kernel */

static int try_keyctl(void)
{
	return outcome(syscall(SYS_keyctl, 0, -3, 0, 0, 0)); /* the session keyring's id */
}

static int try_add_key(void)
{
	return outcome(syscall(SYS_add_key, "user", "x", "y", 1, -4));
}

static int try_io_uring(void)
{
	char params[120] = { 0 };

	return outcome(syscall(SYS_io_uring_setup, 1, params));
}

static int try_bpf(void)
{
	return outcome(syscall(SYS_bpf, 0, NULL, 0));
}

static int try_perf(void)
{
	return outcome(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
}

static int try_userfaultfd(void)
{
	return outcome(syscall(SYS_userfaultfd, 1));
}

static int try_handle(void)
{
	return outcome(syscall(SYS_name_to_handle_at, AT_FDCWD, "/", NULL, NULL, 0));
}

static int try_quotactl_fd(void)
{
	return outcome(syscall(NR_QUOTACTL_FD, 0, 0, 0, NULL));
}

static int try_syslog(void)
{
	return outcome(syscall(SYS_syslog, 3, NULL, 0));
}

static int try_clock(void)
{
	return outcome(syscall(SYS_clock_settime, 0, NULL));
}

static int try_persona(unsigned long persona)
{
	return outcome(syscall(SYS_personality, persona));
}

static int try_persona_exec(void)
{
	return try_persona(READ_IMPLIES_EXEC);
}

static int try_persona_old(void)
{
	return try_persona(UNAME26);
}

static int try_persona_masked(void)
{
	return try_persona(0xbfffffffu); /* the question, but for one bit */
}

static int try_persona_question(void)
{
	return try_persona(0xffffffffu);
}

static int try_persona_debugger(void)
{
	return try_persona(ADDR_NO_RANDOMIZE);
}

static int try_listener(void)
{
	struct sock_filter pass = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { .len = 1, .filter = &pass };

	return outcome(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 1u << 3, &program));
}

static int try_own_filter(void)
{
	struct sock_filter pass = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { .len = 1, .filter = &pass };

	return outcome(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

static int try_tiocsti(void)
{
	char byte = 'x';

	/* The kernel looks at the low half alone, and so must the filter. */
	return outcome(syscall(SYS_ioctl, STDIN_FILENO, 0x7f00000000UL | TIOCSTI, &byte));
}

#ifdef __x86_64__
static int i386_call(long number, long first, long second, long third)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(first), "c"(second), "d"(third)
			 : "memory", "r8", "r9", "r10", "r11");
	if (result >= 0)
		return 0;
	return (int)-(int32_t)result;
}

static int try_i386_socketcall(void)
{
	return i386_call(I386_SOCKETCALL, 1, 0, 0);
}

static int try_i386_socket(void)
{
	return i386_call(I386_SOCKET, AF_UNIX, SOCK_DGRAM, 0);
}

static int try_i386_unshare(void)
{
	return i386_call(I386_UNSHARE, CLONE_NEWUSER, 0, 0);
}

static int try_i386_keyctl(void)
{
	return i386_call(I386_KEYCTL, 0, -3, 0);
}

/* In a child, as the filter's answer is its death. */
static int try_x32(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(syscall(X32_GETPID) < 0 ? errno : 0);
	(void)waitpid(pid, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? ENOSYS : WEXITSTATUS(status);
}
#endif

/* ------------------------------------------------------------------ processes */

static int try_kill(void)
{
	return outcome(kill(host_pid, 0));
}

static int try_ptrace(void)
{
	return outcome(ptrace(PTRACE_SEIZE, host_pid, NULL, NULL));
}

static int try_ptrace_init(void)
{
	return outcome(ptrace(PTRACE_SEIZE, 1, NULL, NULL));
}

static int try_read_memory(void)
{
	char byte;
	struct iovec part = { .iov_base = &byte, .iov_len = 1 };

	return outcome(process_vm_readv(host_pid, &part, 1, &part, 1, 0));
}

static int try_init_memory(void)
{
	return open_read("/proc/1/mem");
}

static int try_init_environment(void)
{
	char byte;
	int fd = open("/proc/1/environ", O_RDONLY | O_CLOEXEC);
	int sys = fd < 0 ? errno : outcome(read(fd, &byte, 1) < 0 ? -1 : 0);

	(void)close(fd);
	return sys;
}

static int try_init_root(void)
{
	return open_read("/proc/1/root");
}

static int try_init_descriptors(void)
{
	return open_read("/proc/1/fd/0");
}

static int try_kill_init(void)
{
	/* Process 1 of a namespace gets no signal from inside that it does not handle. */
	return outcome(kill(1, SIGKILL));
}

static int try_terminal(void)
{
	return open_write("/dev/tty");
}

static int try_oom(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	int sys = fd < 0 ? errno : outcome(write(fd, "-1000", 5) < 0 ? -1 : 0);

	(void)close(fd);
	return sys;
}

static int try_more_files(void)
{
	struct rlimit limit = { 1 << 16, 1 << 16 };

	return outcome(setrlimit(RLIMIT_NOFILE, &limit));
}

/* ------------------------------------------------------------------ privilege */

static int try_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };
	bool any = false;

	if (syscall(SYS_capget, &header, data) < 0)
		return errno;
	for (int i = 0; i < 2; i++)
		any = any || data[i].effective || data[i].permitted || data[i].inheritable;
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		any = any || prctl(PR_CAPBSET_READ, cap) || prctl(PR_CAP_AMBIENT, 1, cap, 0, 0);
	return any ? 0 : EPERM;
}

static int try_privileges(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? EPERM : 0;
}

static int try_device(void)
{
	return outcome(mknod("device", S_IFCHR | 0600, makedev(1, 1)));
}

static int try_core_pattern(void)
{
	return open_write("/proc/sys/kernel/core_pattern") ? EPERM : 0;
}

static int try_sysrq(void)
{
	return open_write("/proc/sysrq-trigger") ? EPERM : 0;
}

static int try_memory_device(void)
{
	return open_read("/dev/mem");
}

static int try_cgroup(void)
{
	return mkdir("/sys/fs/cgroup/escape", 0700) < 0 ? EPERM : 0;
}

/* A descriptor other than the three and the folder that is read. */
static int try_stray(void)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;
	int sys = EBADF;

	while (folder && (entry = readdir(folder))) {
		long fd = entry->d_name[0] == '.' ? 0 : strtoll(entry->d_name, NULL, 10);

		if (fd > STDERR_FILENO && fd != dirfd(folder))
			sys = 0;
	}
	if (folder)
		(void)closedir(folder);
	return folder ? sys : ENOENT;
}

/* ------------------------------------------------------------------ sockets */

static int try_unix_datagram(void)
{
	return with_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int try_unix_raw(void)
{
	return with_socket(AF_UNIX, SOCK_RAW, 0);
}

static int try_unix_pair(void)
{
	int pair[2];

	return outcome(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
}

static int try_unix_stream(void)
{
	return with_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static int try_unix_packets(void)
{
	int pair[2];
	int sys = outcome(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));

	(void)close(pair[0]);
	(void)close(pair[1]);
	return sys;
}

static int try_packet(void)
{
	return with_socket(AF_PACKET, SOCK_RAW, 0);
}

static int try_raw(void)
{
	return with_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static int try_vsock(void)
{
	return with_socket(AF_VSOCK, SOCK_STREAM, 0);
}

static int try_alg(void)
{
	return with_socket(AF_ALG, SOCK_SEQPACKET, 0);
}

static int try_bluetooth(void)
{
	return with_socket(AF_BLUETOOTH, SOCK_RAW, 0);
}

static int try_audit(void)
{
	return with_socket(AF_NETLINK, SOCK_RAW, 9);
}

static int try_route(void)
{
	return with_socket(AF_NETLINK, SOCK_RAW, 0);
}

static int try_high_family(void)
{
	/* The family in the low half is AF_PACKET; the kernel reads no more. */
	return outcome(syscall(SYS_socket, 0x100000000UL | AF_PACKET, SOCK_RAW, 0));
}

static int connect_to(in_addr_t address, in_port_t port, int flags)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(address) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	int sys = outcome(connect(fd, (struct sockaddr *)&name, sizeof name));

	(void)close(fd);
	return sys;
}

static int try_internet(void)
{
	return connect_to(DOCUMENTATION_ADDRESS, 80, SOCK_NONBLOCK);
}

static int try_host_loopback(void)
{
	return connect_to(INADDR_LOOPBACK, host_port, 0);
}

static int try_own_loopback(void)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof name;
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int sys;

	if (bind(server, (struct sockaddr *)&name, length) < 0 || listen(server, 1) < 0 ||
	    getsockname(server, (struct sockaddr *)&name, &length) < 0)
		return errno;
	sys = connect_to(INADDR_LOOPBACK, ntohs(name.sin_port), 0);
	(void)close(server);
	return sys;
}

static int try_abstract(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int length = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "%s", abstract_name);
	int sys = outcome(
		connect(fd, (struct sockaddr *)&name,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)));

	(void)close(fd);
	return sys;
}

static const struct attempt {
	const char *name;
	int (*run)(void);
} attempts[] = {
	{ "mount", try_mount },
	{ "remount", try_remount },
	{ "umount", try_umount },
	{ "open_tree", try_open_tree },
	{ "open_tree_attr", try_open_tree_attr },
	{ "fsopen", try_fsopen },
	{ "mount_setattr", try_mount_setattr },
	{ "chroot", try_chroot },
	{ "pivot_root", try_pivot_root },
	{ "unshare_user", try_unshare_user },
	{ "unshare_mount", try_unshare_mount },
	{ "setns", try_setns },
	{ "clone_user", try_clone_user },
	{ "clone3", try_clone3 },
	{ "keyctl", try_keyctl },
	{ "add_key", try_add_key },
	{ "io_uring", try_io_uring },
	{ "bpf", try_bpf },
	{ "perf", try_perf },
	{ "userfaultfd", try_userfaultfd },
	{ "handle", try_handle },
	{ "quotactl_fd", try_quotactl_fd },
	{ "syslog", try_syslog },
	{ "clock", try_clock },
	{ "personality_exec", try_persona_exec },
	{ "personality_old", try_persona_old },
	{ "personality_masked", try_persona_masked },
	{ "personality_question", try_persona_question },
	{ "personality_debugger", try_persona_debugger },
	{ "seccomp_listener", try_listener },
	{ "seccomp_own", try_own_filter },
	{ "tiocsti", try_tiocsti },
#ifdef __x86_64__
	{ "i386_socketcall", try_i386_socketcall },
	{ "i386_socket", try_i386_socket },
	{ "i386_unshare", try_i386_unshare },
	{ "i386_keyctl", try_i386_keyctl },
	{ "x32", try_x32 },
#endif
	{ "kill", try_kill },
	{ "ptrace", try_ptrace },
	{ "ptrace_init", try_ptrace_init },
	{ "read_memory", try_read_memory },
	{ "init_memory", try_init_memory },
	{ "init_environment", try_init_environment },
	{ "init_root", try_init_root },
	{ "init_descriptors", try_init_descriptors },
	{ "kill_init", try_kill_init },
	{ "terminal", try_terminal },
	{ "oom", try_oom },
	{ "more_files", try_more_files },
	{ "capabilities", try_capabilities },
	{ "privileges", try_privileges },
	{ "device", try_device },
	{ "core_pattern", try_core_pattern },
	{ "sysrq", try_sysrq },
	{ "memory_device", try_memory_device },
	{ "cgroup", try_cgroup },
	{ "stray", try_stray },
	{ "unix_datagram", try_unix_datagram },
	{ "unix_raw", try_unix_raw },
	{ "unix_pair", try_unix_pair },
	{ "unix_stream", try_unix_stream },
	{ "unix_packets", try_unix_packets },
	{ "packet", try_packet },
	{ "raw", try_raw },
	{ "vsock", try_vsock },
	{ "alg", try_alg },
	{ "bluetooth", try_bluetooth },
	{ "audit", try_audit },
	{ "route", try_route },
	{ "high_family", try_high_family },
	{ "internet", try_internet },
	{ "host_loopback", try_host_loopback },
	{ "own_loopback", try_own_loopback },
	{ "abstract", try_abstract },
};

int main(int argc, char **argv)
{
	struct err err = { 0 };
	int64_t pid = 0;
	int64_t port = 0;

	if (argc != 4 || str_to_int(&pid, argv[1], 1, INT32_MAX, &err) < 0 ||
	    str_to_int(&port, argv[2], 1, UINT16_MAX, &err) < 0) {
		(void)fprintf(stderr, "usage: escape_probe HOST_PID HOST_PORT ABSTRACT_NAME\n");
		return 2;
	}
	host_pid = (pid_t)pid;
	host_port = (in_port_t)port;
	abstract_name = argv[3];
	for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
		int sys = attempts[i].run();

		printf("%s %s\n", attempts[i].name, sys ? strerrorname_np(sys) : "OK");
	}
	return 0;
}
