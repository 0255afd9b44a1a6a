#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/err.h"

#include "agentd/lockdown.h"
#include "tests/support/fixture.h"

/* What a locked process says about one attempt. */
#define REFUSED 10
#define WORKED 11
#define NOT_LOCKED 12

#define PATH_SIZE 2048

static struct {
	char state[PATH_SIZE];
	char runtime[PATH_SIZE];
	char outside[PATH_SIZE]; /* writable by this user, but none of the two */
	char socket[108];        /* a Unix socket that listens */
	int port;                /* an internet socket that listens */
	int outside_fd;          /* the folder, open */
} place;

static bool closed(int fd)
{
	bool worked = fd >= 0;

	if (worked)
		(void)close(fd);
	return worked;
}

static bool waited(pid_t pid)
{
	if (pid == 0)
		_exit(0);
	return pid > 0;
}

static bool start_program(void)
{
	char program[] = "/bin/true";
	char *const argv[] = { program, NULL };
	char *const env[] = { NULL };

	(void)execve(program, argv, env); /* returns only when it has failed */
	return false;
}

static bool start_program_from_memory(void)
{
	char name[] = "x";
	char *const argv[] = { name, NULL };
	char *const env[] = { NULL };
	int fd = memfd_create("x", 0);

	if (fd < 0 || write(fd, "#!/bin/true\n", 12) != 12)
		return false;
	(void)fexecve(fd, argv, env);
	return false;
}

static bool spawn_program(void)
{
	char program[] = "/bin/true";
	char *const argv[] = { program, NULL };
	char *const env[] = { NULL };
	pid_t pid;

	return posix_spawn(&pid, program, NULL, NULL, argv, env) == 0;
}

static bool make_process(void)
{
	return waited(fork());
}

static bool make_process_like_a_thread(void)
{
	/* Shares everything, but is a process of its own. */
	return syscall(SYS_clone, CLONE_VM | CLONE_SIGHAND | CLONE_FILES | CLONE_VFORK | SIGCHLD, 0,
		       0, 0, 0) > 0;
}

static bool connect_unix(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", place.socket);
	return fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
}

static bool make_unix_datagram_pair(void)
{
	int pair[2];

	return socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0;
}

static bool make_unix_packet_pair(void)
{
	int pair[2];

	return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0;
}

static bool reconnect_pair(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int pair[2] = { -1, -1 };

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", place.socket);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		return false;
	(void)close(pair[1]);
	return connect(pair[0], (const struct sockaddr *)&address, sizeof(address)) == 0;
}

static bool serve_internet(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
	       listen(fd, 1) == 0;
}

static bool outside(char path[PATH_SIZE + 16], const char *name)
{
	return snprintf(path, PATH_SIZE + 16, "%s/%s", place.outside, name) > 0;
}

static bool create_outside(void)
{
	char path[PATH_SIZE + 16];

	return outside(path, "new") && closed(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static bool create_outside_by_descriptor(void)
{
	return closed(openat(place.outside_fd, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static bool create_unnamed_outside(void)
{
	return closed(open(place.outside, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
}

static bool write_outside(void)
{
	char path[PATH_SIZE + 16];

	return outside(path, "file") && closed(open(path, O_WRONLY | O_CLOEXEC));
}

static bool cut_outside(void)
{
	char path[PATH_SIZE + 16];

	return outside(path, "file") && truncate(path, 0) == 0;
}

static bool remove_outside(void)
{
	char path[PATH_SIZE + 16];

	return outside(path, "file") && unlink(path) == 0;
}

static bool make_folder_outside(void)
{
	char path[PATH_SIZE + 16];

	return outside(path, "folder") && mkdir(path, 0700) == 0;
}

static bool move_outside(void)
{
	char from[PATH_SIZE + 16];
	char to[PATH_SIZE + 16];

	(void)snprintf(from, sizeof(from), "%s/mine", place.state);
	return closed(open(from, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) && outside(to, "moved") &&
	       rename(from, to) == 0;
}

static bool link_into_state(void)
{
	char from[PATH_SIZE + 16];
	char to[PATH_SIZE + 16];

	(void)snprintf(to, sizeof(to), "%s/linked", place.state);
	return outside(from, "file") && link(from, to) == 0;
}

static bool change_mode_outside(void)
{
	char path[PATH_SIZE + 16];

	return outside(path, "file") && chmod(path, 0777) == 0;
}

static bool change_times_outside(void)
{
	char path[PATH_SIZE + 16];

	return outside(path, "file") && utimensat(AT_FDCWD, path, NULL, 0) == 0;
}

static bool make_socket_file(void)
{
	char path[PATH_SIZE + 16];

	(void)snprintf(path, sizeof(path), "%s/node", place.state);
	return mknod(path, S_IFSOCK | 0600, 0) == 0;
}

static bool trace_parent(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0;
}

static bool read_parent_memory(void)
{
	char byte = 0;
	const struct iovec local = { &byte, 1 };
	const struct iovec remote = { &place, 1 };

	return process_vm_readv(getppid(), &local, 1, &remote, 1, 0) == 1;
}

static bool open_parent_memory(void)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", getppid());
	return closed(open(path, O_RDWR | O_CLOEXEC));
}

static bool steal_descriptor(void)
{
	int pid = (int)syscall(SYS_pidfd_open, getppid(), 0);

	return closed((int)syscall(SYS_pidfd_getfd, pid, 1, 0));
}

static bool signal_parent_thread(void)
{
	return syscall(SYS_tgkill, getppid(), getppid(), 0) == 0;
}

static bool signal_parent_by_descriptor(void)
{
	int pid = (int)syscall(SYS_pidfd_open, getppid(), 0);

	return syscall(SYS_pidfd_send_signal, pid, 0, NULL, 0) == 0;
}

static bool raise_core_limit(void)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	return setrlimit(RLIMIT_CORE, &unlimited) == 0;
}

static bool push_into_terminal(void)
{
	char byte = 'x';

	return ioctl(STDIN_FILENO, 0x5412 /* TIOCSTI */, &byte) == 0 ||
	       errno != ENOSYS; /* the filter's word */
}

static void *thread_main(void *arg)
{
	return arg;
}

static bool start_thread(void)
{
	pthread_t thread;
	int mark = 0;
	void *result = NULL;

	return pthread_create(&thread, NULL, thread_main, &mark) == 0 &&
	       pthread_join(thread, &result) == 0 && result == &mark;
}

static bool look_up_name(void)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	bool worked = getaddrinfo("localhost", "80", &hints, &found) == 0 && found;

	if (found)
		freeaddrinfo(found);
	return worked;
}

static bool connect_internet(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)place.port),
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd >= 0 && (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ||
			   errno == EINPROGRESS);
}

static bool make_stream_pair(void)
{
	int pair[2];
	char byte = 0;

	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0 &&
	       write(pair[0], "x", 1) == 1 && read(pair[1], &byte, 1) == 1 && byte == 'x';
}

static bool keep_files_inside(void)
{
	char folder[PATH_SIZE + 16];
	char from[PATH_SIZE + 32];
	char to[PATH_SIZE + 32];

	(void)snprintf(folder, sizeof(folder), "%s/2026", place.state);
	(void)snprintf(from, sizeof(from), "%s/a", folder);
	(void)snprintf(to, sizeof(to), "%s/b", folder);
	return mkdir(folder, 0700) == 0 &&
	       closed(open(from, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) &&
	       rename(from, to) == 0 && truncate(to, 0) < 0 /* not in the list: ftruncate is */ &&
	       unlink(to) == 0 && rmdir(folder) == 0;
}

static bool read_everything(void)
{
	char path[PATH_SIZE + 16];

	return outside(path, "file") && closed(open(path, O_RDONLY | O_CLOEXEC)) &&
	       closed(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static bool make_sealed_memory(void)
{
	int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd >= 0 && write(fd, "x", 1) == 1 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0;
}

static const struct row {
	const char *name;
	bool (*attempt)(void);
	bool works;
} rows[] = {
	{ "execve", start_program, false },
	{ "fexecve of memory", start_program_from_memory, false },
	{ "posix_spawn", spawn_program, false },
	{ "fork", make_process, false },
	{ "clone without CLONE_THREAD", make_process_like_a_thread, false },
	{ "connecting a Unix socket", connect_unix, false },
	{ "a Unix datagram pair", make_unix_datagram_pair, false },
	{ "a Unix packet pair", make_unix_packet_pair, false },
	{ "connecting one half of a pair elsewhere", reconnect_pair, false },
	{ "serving on the internet", serve_internet, false },
	{ "creating a file outside", create_outside, false },
	{ "creating a file outside through an open folder", create_outside_by_descriptor, false },
	{ "an unnamed file outside", create_unnamed_outside, false },
	{ "writing a file outside", write_outside, false },
	{ "cutting a file outside", cut_outside, false },
	{ "removing a file outside", remove_outside, false },
	{ "making a folder outside", make_folder_outside, false },
	{ "moving a file out", move_outside, false },
	{ "linking a file in", link_into_state, false },
	{ "chmod outside", change_mode_outside, false },
	{ "utime outside", change_times_outside, false },
	{ "a socket file", make_socket_file, false },
	{ "tracing the parent", trace_parent, false },
	{ "reading the parent's memory", read_parent_memory, false },
	{ "opening the parent's memory", open_parent_memory, false },
	{ "taking a descriptor of the parent", steal_descriptor, false },
	{ "signalling a thread of the parent", signal_parent_thread, false },
	{ "signalling the parent by descriptor", signal_parent_by_descriptor, false },
	{ "raising a limit", raise_core_limit, false },
	{ "typing into the terminal", push_into_terminal, false },
	{ "a thread", start_thread, true },
	{ "looking up a name", look_up_name, true },
	{ "connecting on the internet", connect_internet, true },
	{ "a stream pair", make_stream_pair, true },
	{ "files below the state folder", keep_files_inside, true },
	{ "reading", read_everything, true },
	{ "sealed memory", make_sealed_memory, true },
};

/* Calls that nothing here needs, with arguments that an unlocked process could have success with.
 */
static const struct raw {
	const char *name;
	long number;
	long arguments[5];
} raw_calls[] = {
	{ "socket(NETLINK_AUDIT)", SYS_socket, { AF_NETLINK, SOCK_RAW, 9 } },
	{ "socket(NETLINK_KOBJECT_UEVENT)", SYS_socket, { AF_NETLINK, SOCK_RAW, 15 } },
	{ "socket(AF_VSOCK)", SYS_socket, { AF_VSOCK, SOCK_STREAM } },
	{ "socket(AF_PACKET)", SYS_socket, { AF_PACKET, SOCK_RAW } },
	{ "socket(AF_ALG)", SYS_socket, { AF_ALG, SOCK_SEQPACKET } },
	{ "unshare(CLONE_NEWUSER)", SYS_unshare, { CLONE_NEWUSER } },
	{ "unshare(0)", SYS_unshare, { 0 } },
	{ "socket(AF_UNIX, SOCK_DGRAM)", SYS_socket, { AF_UNIX, SOCK_DGRAM } },
	{ "socket(AF_UNIX, SOCK_SEQPACKET)", SYS_socket, { AF_UNIX, SOCK_SEQPACKET } },
	{ "kill of everybody", SYS_kill, { -1 } },
	{ "setns", SYS_setns, { -1 } },
	{ "setresuid", SYS_setresuid, { -1, -1, -1 } },
	{ "prctl(PR_SET_DUMPABLE)", SYS_prctl, { PR_SET_DUMPABLE, 1 } },
	{ "clone3", SYS_clone3, { 0 } },
	{ "keyctl", SYS_keyctl, { 0, -3 } },
	{ "userfaultfd", SYS_userfaultfd, { O_CLOEXEC | 1 } },
	{ "io_uring_enter", SYS_io_uring_enter, { -1 } },
	{ "personality", SYS_personality, { 0xffffffff } },
	{ "name_to_handle_at", SYS_name_to_handle_at, { AT_FDCWD } },
	{ "inotify_init1", SYS_inotify_init1, { 0 } },
	{ "fanotify_init", SYS_fanotify_init, { 0 } },
	{ "bpf", SYS_bpf, { 0 } },
	{ "perf_event_open", SYS_perf_event_open, { 0 } },
	{ "mount", SYS_mount, { 0 } },
	{ "fsopen", SYS_fsopen, { 0 } },
	{ "chroot", SYS_chroot, { 0 } },
	{ "setsid", SYS_setsid, { 0 } },
	{ "prctl(PR_SET_SECCOMP)", SYS_prctl, { PR_SET_SECCOMP } },
	{ "shmget", SYS_shmget, { 0, 4096, 0600 } },
};

/* The call being tried, in the process that tries it. */
static const struct raw *raw_now;

/* The filter's two words: nothing got as far as the call itself. */
static bool call_raw(void)
{
	const long *a = raw_now->arguments;

	errno = 0;
	return syscall(raw_now->number, a[0], a[1], a[2], a[3], a[4]) >= 0 ||
	       (errno != EPERM && errno != ENOSYS);
}

static struct lockdown_config config(void)
{
	return (struct lockdown_config){ .state_dir = place.state, .runtime_dir = place.runtime };
}

/* In a process of its own, which is locked when `locked` says so. */
static int status_of(bool (*attempt)(void), bool locked)
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		const struct lockdown_config folders = config();
		struct err err = { 0 };

		if (locked && lockdown_apply(&folders, &err) < 0) {
			(void)fprintf(stderr, "%s\n", err.text);
			_exit(NOT_LOCKED);
		}
		_exit(attempt() ? WORKED : REFUSED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int outcome(bool (*attempt)(void), bool locked)
{
	int status = status_of(attempt, locked);

	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void make_place(void)
{
	struct sockaddr_un unix_address = { .sun_family = AF_UNIX };
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(address);
	const char *dir = fixture_dir();
	int unix_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char path[PATH_SIZE + 16];

	(void)snprintf(place.state, PATH_SIZE, "%.2000s/state", dir);
	(void)snprintf(place.runtime, PATH_SIZE, "%.2000s/run", dir);
	(void)snprintf(place.outside, PATH_SIZE, "%.2000s/outside", dir);
	(void)snprintf(place.socket, sizeof(place.socket), "%.100s/s", dir);
	assert_int_equal(mkdir(place.state, 0700), 0);
	assert_int_equal(mkdir(place.runtime, 0700), 0);
	assert_int_equal(mkdir(place.outside, 0700), 0);
	assert_true(outside(path, "file") &&
		    closed(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)));
	place.outside_fd = open(place.outside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(unix_address.sun_path, sizeof(unix_address.sun_path), "%s", place.socket);
	assert_int_equal(bind(unix_fd, (struct sockaddr *)&unix_address, sizeof(unix_address)), 0);
	assert_int_equal(listen(unix_fd, 8), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	place.port = ntohs(address.sin_port);
}

static int setup(void **state)
{
	int result = fixture_setup(state);

	if (result == 0)
		make_place();
	return result;
}

/* The sockets of the place are of no further use; the fixture wants every descriptor back. */
static int teardown(void **state)
{
	for (int fd = STDERR_FILENO + 1; fd < 64; fd++) {
		int type = 0;
		socklen_t size = sizeof(type);

		if (fd == place.outside_fd ||
		    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0)
			(void)close(fd);
	}
	return fixture_teardown(state);
}

static void every_attempt_ends_as_the_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int got = outcome(rows[i].attempt, true);

		if (got != (rows[i].works ? WORKED : REFUSED))
			fail_msg("%s: %d", rows[i].name, got);
	}
}

static void no_call_outside_the_list_reaches_the_kernel(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(raw_calls); i++) {
		raw_now = &raw_calls[i];
		if (outcome(call_raw, true) != REFUSED)
			fail_msg("%s", raw_calls[i].name);
	}
}

/* Otherwise a row could be refused for another reason than the lock. */
static void without_the_lock_what_anybody_may_do_works(void **state)
{
	static bool (*const usual[])(void) = {
		make_process,
		connect_unix,
		make_unix_datagram_pair,
		serve_internet,
		create_outside_by_descriptor,
		write_outside,
		cut_outside,
		make_folder_outside,
		link_into_state,
		change_mode_outside,
		change_times_outside,
		read_parent_memory,
		signal_parent_thread,
		make_socket_file,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(usual); i++) {
		if (outcome(usual[i], false) != WORKED)
			fail_msg("attempt %zu does not work without the lock either", i);
	}
	assert_int_equal(outcome(start_program, false), 0); /* it became /bin/true */
}

static bool passes_self_test(void)
{
	const struct lockdown_config folders = config();
	struct err err = { 0 };

	if (lockdown_self_test(&folders, &err) == 0)
		return true;
	(void)fprintf(stderr, "%s\n", err.text);
	return false;
}

static void the_self_test_passes_in_a_locked_process(void **state)
{
	(void)state;
	assert_int_equal(outcome(passes_self_test, true), WORKED);
}

/* The first thing that it tries is execve, so an unlocked process ends there, with a sentence. */
static void the_self_test_ends_an_unlocked_process(void **state)
{
	(void)state;
	assert_int_equal(outcome(passes_self_test, false), 1);
}

static bool give_up(void)
{
	abort();
}

static void a_locked_process_can_still_end_itself(void **state)
{
	(void)state;
	assert_int_equal(outcome(give_up, true), -SIGABRT);
}

#if defined(__x86_64__)
static bool call_as_32_bit(void)
{
	long result = 20; /* getpid of i386 */

	__asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
	return result > 0;
}

static void a_call_of_the_32_bit_kind_ends_the_process(void **state)
{
	int got = outcome(call_as_32_bit, true);

	(void)state;
	if (got != -SIGSYS && got != -SIGSEGV) /* the second: this kernel has no such calls */
		fail_msg("%d", got);
}
#endif

static void a_folder_that_is_not_there_is_an_error(void **state)
{
	const struct lockdown_config folders = { .state_dir = "/nonexistent/state",
						 .runtime_dir = place.runtime };
	int status = 0;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		struct err err = { 0 };

		_exit(lockdown_apply(&folders, &err) == ERR_SYSTEM &&
				      strstr(err.text, "/nonexistent/state")
			      ? REFUSED
			      : WORKED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), REFUSED);
}

#define PLACE_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(every_attempt_ends_as_the_table_says),
		PLACE_TEST(no_call_outside_the_list_reaches_the_kernel),
		PLACE_TEST(without_the_lock_what_anybody_may_do_works),
		PLACE_TEST(the_self_test_passes_in_a_locked_process),
		PLACE_TEST(the_self_test_ends_an_unlocked_process),
		PLACE_TEST(a_locked_process_can_still_end_itself),
#if defined(__x86_64__)
		PLACE_TEST(a_call_of_the_32_bit_kind_ends_the_process),
#endif
		PLACE_TEST(a_folder_that_is_not_there_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
