/*
 * Calls that the supervisor answers: refused ones, and those that make names. A function of the
 * test is the command, and the test looks at what has become of the folder.
 */
#include <dirent.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "proto/base/path.h"

#include "tests/unit/proto/sys/supervised.h"

/* ------------------------------------------------------------------ refused calls */

static int tried(long rc)
{
	return rc < 0 ? errno : 0;
}

static void make_refused_calls(void)
{
	seen->results[0] = tried(syscall(SYS_mount, "a", "b", "c", 0, NULL));
	seen->results[1] = tried(socket(AF_PACKET, SOCK_RAW, 0));
	seen->results[2] = tried(ioctl(0, TIOCSTI, "x"));
	seen->results[3] = tried(syscall(SYS_personality, 0x0400000));
	seen->results[4] = tried(syscall(SYS_clone3, NULL, 0));
}

static void a_refused_call_is_answered_with_the_errno_of_the_description_and_told(void **state)
{
	static const int expected[] = { EPERM, EAFNOSUPPORT, EPERM, EPERM, ENOSYS };

	(void)state;
	supervised(make_refused_calls);
	assert_memory_equal(seen->results, expected, sizeof expected);
	assert_int_equal(seen->denials.count, ARRAY_LEN(expected) - 1); /* all but clone3 */
	expect_denial(DENIAL_RULE_SYSTEM_CALL, "mount", "", EPERM);
	expect_denial(DENIAL_RULE_SYSTEM_CALL, "socket", "family 17, type 3, protocol 0",
		      EAFNOSUPPORT);
	expect_denial(DENIAL_RULE_SYSTEM_CALL, "ioctl", "request 0x5412", EPERM);
	expect_denial(DENIAL_RULE_SYSTEM_CALL, "personality", "", EPERM);
}

/* ------------------------------------------------------------------ names */

/* The same calls as the kernel answers them without a filter, in another folder. */
static int native[256];
static int count;
static int *results;

static void row(long rc)
{
	results[count++] = tried(rc);
}

/* What can be said about names, in an empty working directory. */
static void make_folders(void)
{
	char lengthy[PATH_MAX + 2];
	char name[NAME_MAX + 2];

	(void)umask(027);
	memset(lengthy, 'a', sizeof lengthy);
	lengthy[PATH_MAX + 1] = '\0';
	memset(name, 'n', sizeof name);
	name[NAME_MAX + 1] = '\0';
	row(mkdir("d", 0777));
	row(mkdir("d", 0777));
	row(mkdir("d/e///", 0755));
	row(mkdir("missing/e", 0755));
	row(mkdir("", 0755));
	row(mkdir(".", 0755));
	row(mkdir("..", 0755));
	row(mkdir("/", 0755));
	row(mkdir("///", 0755));
	row(mkdir("d/..", 0755));
	row(mkdir("d/.", 0755));
	row(mkdir(lengthy, 0755));
	row(mkdir(name, 0755));
	name[NAME_MAX] = '\0';
	row(mkdir(name, 0755));
	row(syscall(SYS_mkdir, NULL, 0755));
	row(syscall(SYS_mkdir, 8, 0755));
	row(symlink(lengthy, "much"));
}

static void make_in(int folder, int file)
{
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	row(mkdirat(folder, "in", 0700));
	row(mkdirat(folder, "", 0700));
	row(mkdirat(file, "in", 0700));
	row(mkdirat(999, "in", 0700));
	row(mkdirat(999, "/", 0700));
	row(mkdirat(-7, "in", 0700));
	row(mkdir("file/in", 0700));
	row(mkdir("file/", 0700));
	/* Text up to the end of the page, with and without its NUL. */
	(void)munmap(pages + 4096, 4096);
	memcpy(pages + 4096 - 5, "edge", 5);
	row(mkdir(pages + 4096 - 5, 0700));
	memcpy(pages + 4096 - 4, "edge", 4);
	row(mkdir(pages + 4096 - 4, 0700));
	row(symlink("d", "s"));
	row(symlink("d", "s"));
	row(symlink("", "empty"));
	row(symlink("x", ""));
	row(symlink("x", "trailing/"));
	row(symlinkat("../x", folder, "up"));
	row(mkdir("s/through", 0711));
	row(mkdir("s/", 0711));
	row(symlink("loop", "loop"));
	row(mkdir("loop/x", 0711));
	row(mknod("fifo", S_IFIFO | 0666, 0));
	row(mknod("plain", 0666, 0));
	row(mknod("sock", S_IFSOCK | 0666, 0));
	row(mknod("bad", S_IFDIR | 0666, 0));
	row(mknod("slash/", S_IFIFO | 0666, 0));
	row(mknodat(folder, "fifo", S_IFIFO | 0600, 0));
}

static void link_and_rename(int folder)
{
	row(link("file", "hard"));
	row(link("file", "hard"));
	row(link("d", "hardfolder"));
	row(link("s", "softlink"));
	row(linkat(AT_FDCWD, "loop", AT_FDCWD, "loop2", 0));
	row(linkat(AT_FDCWD, "loop", AT_FDCWD, "loop3", AT_SYMLINK_FOLLOW));
	row(linkat(AT_FDCWD, "file", folder, "hard", 0x8000));
	row(linkat(AT_FDCWD, "missing", folder, "hard", 0));
	row(linkat(AT_FDCWD, "", folder, "hard", 0));
	row(link("file/", "hard2"));
	row(link("file", "hard2/"));
	row(rename("hard", "soft"));
	row(rename("missing", "x"));
	row(rename("d", "dd/"));
	row(rename("soft", "soft2/"));
	row(rename("soft/", "soft2"));
	row(rename("dd", "dd/in/dd"));
	row(rename(".", "x"));
	row(rename("dd/..", "x"));
	row(rename("/", "x"));
	row(rename("x", "/"));
	row(rename("", "x"));
	row(rename("soft", ""));
	row(rename("loop", "circle"));
	row(syscall(SYS_renameat2, AT_FDCWD, "soft", AT_FDCWD, "fifo", RENAME_NOREPLACE));
	row(syscall(SYS_renameat2, AT_FDCWD, "soft", AT_FDCWD, "dd", RENAME_EXCHANGE));
	row(syscall(SYS_renameat2, AT_FDCWD, "soft", AT_FDCWD, "dd", 0xf0));
	row(renameat(folder, "in", AT_FDCWD, "out"));
	row(rename("file", "plain"));
	row(mkdirat(folder, "after", 02775));
}

static void make_all_kinds(void)
{
	int folder;
	int file;

	make_folders();
	folder = open("d", O_PATH | O_DIRECTORY);
	file = open("file", O_CREAT | O_WRONLY, 0600);
	make_in(folder, file);
	link_and_rename(folder);
	(void)close(folder);
	(void)close(file);
}

static void name_all_in_the_sandbox(void)
{
	results = seen->results;
	make_all_kinds();
}

/* Name, mode and number of links of everything in the folder, or where a link points. */
static void list(const char *path, size_t top, char *out, size_t size)
{
	struct dirent **entries = NULL;
	int found = scandir(path, &entries, NULL, alphasort);
	char inner[PATH_MAX];
	char target[PATH_MAX];

	for (int i = 0; i < found; i++) {
		struct stat st = { 0 };
		ssize_t len;
		bool self = strcmp(entries[i]->d_name, ".") == 0 ||
			    strcmp(entries[i]->d_name, "..") == 0;

		if (!self && path_join(inner, path, entries[i]->d_name)) {
			assert_int_equal(lstat(inner, &st), 0);
			len = readlink(inner, target, sizeof target - 1);
			target[len > 0 ? len : 0] = '\0';
			(void)snprintf(out + strlen(out), size - strlen(out), "%s %o %ju %s\n",
				       inner + top, st.st_mode, (uintmax_t)st.st_nlink, target);
			if (S_ISDIR(st.st_mode))
				list(inner, top, out, size);
		}
		free(entries[i]);
	}
	free((void *)entries);
}

static void names_are_made_as_the_kernel_makes_them(void **state)
{
	static char expected[65536];
	static char found[65536];
	char other[PATH_MAX];
	pid_t pid;

	(void)state;
	(void)snprintf(other, sizeof other, "%s-native", fixture_dir());
	assert_int_equal(mkdir(other, 0700), 0);
	results = mmap(NULL, sizeof native, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		       0);
	pid = fork();
	if (pid == 0) {
		if (chdir(other) == 0)
			make_all_kinds();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	memcpy(native, results, sizeof native);
	(void)munmap(results, sizeof native);
	supervised(name_all_in_the_sandbox);
	list(other, strlen(other), expected, sizeof expected);
	list(fixture_dir(), strlen(fixture_dir()), found, sizeof found);
	(void)snprintf(other, sizeof other, "rm -r '%s-native'", fixture_dir());
	for (size_t i = 0; i < ARRAY_LEN(native); i++) {
		if (native[i] != seen->results[i])
			print_error("row %zu: %s instead of %s\n", i,
				    strerrorname_np(seen->results[i]), strerrorname_np(native[i]));
	}
	pid = fork();
	if (pid == 0) {
		(void)execl("/bin/sh", "sh", "-c", other, NULL);
		_exit(1);
	}
	(void)waitpid(pid, NULL, 0);
	assert_memory_equal(native, seen->results, sizeof native);
	assert_string_equal(expected, found);
}

static void link_what_has_no_name(void)
{
	char path[64];
	int file = open(".", O_TMPFILE | O_RDWR, 0600);
	int folder;

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	seen->results[0] = tried(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	file = open(".", O_TMPFILE | O_RDWR, 0600);
	seen->results[1] = tried(linkat(file, "", AT_FDCWD, "empty", AT_EMPTY_PATH));
	seen->results[2] = tried(mkdir("/proc/self/cwd/by-cwd", 0700));
	folder = open("by-cwd", O_PATH | O_DIRECTORY);
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d/by-fd", folder);
	seen->results[3] = tried(mkdir(path, 0700));
	(void)snprintf(path, sizeof path, "/dev/fd/%d/by-dev", folder);
	seen->results[4] = tried(mkdir(path, 0700));
	(void)snprintf(path, sizeof path, "/proc/thread-self/fd/%d/../by-thread", folder);
	seen->results[5] = tried(mkdir(path, 0700));
	/* Init's own are out of reach, also behind a link and in other words. */
	seen->results[6] = tried(mkdir("/proc/1/cwd/x", 0700));
	seen->results[7] = tried(symlink("/proc/self/cwd", "tricky"));
	seen->results[7] += tried(mkdir("tricky/x", 0700));
	seen->results[8] = tried(mkdir("/proc/./self/root/x", 0700));
	seen->results[9] = tried(mkdir("/proc/self/fd/0x/x", 0700));
}

static void what_means_the_task_itself_is_taken_from_the_task(void **state)
{
	static const int expected[] = { 0, 0, 0, 0, 0, 0, ELOOP, ELOOP, ELOOP };
	struct stat st;
	char path[PATH_MAX];

	(void)state;
	supervised(link_what_has_no_name);
	assert_memory_equal(seen->results, expected, sizeof expected);
	assert_int_not_equal(seen->results[9], 0);
	for (size_t i = 0; i < 6; i++) {
		static const char *const names[] = { "named",        "empty",         "by-cwd",
						     "by-cwd/by-fd", "by-cwd/by-dev", "by-thread" };

		(void)snprintf(path, sizeof path, "%s/%s", fixture_dir(), names[i]);
		assert_int_equal(lstat(path, &st), 0);
	}
}

static void make_under_masks(void)
{
	pid_t pid;

	seen->results[0] = tried(mkdir("first", 0777));
	pid = fork();
	if (pid == 0) {
		(void)umask(077);
		_exit(tried(mkdir("second", 0777)));
	}
	(void)waitpid(pid, &seen->results[1], 0);
	seen->results[2] = tried(mkdir("third", 0777));
}

static void each_process_has_its_own_mask(void **state)
{
	static const char *const names[] = { "first", "second", "third" };
	char path[PATH_MAX];
	struct stat st;
	mode_t mask = umask(022);

	(void)state;
	supervised(make_under_masks);
	(void)umask(mask);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_int_equal(seen->results[i], 0);
		(void)snprintf(path, sizeof path, "%s/%s", fixture_dir(), names[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, i == 1 ? 0700 : 0755);
	}
}

static void make_devices(void)
{
	seen->results[0] = tried(mknod("white", S_IFCHR | 0666, makedev(0, 0)));
	seen->results[1] = tried(mknod("disk", S_IFBLK | 0666, makedev(8, 0)));
	(void)close(open("x", O_CREAT | O_WRONLY, 0600));
	seen->results[2] =
		tried(syscall(SYS_renameat2, AT_FDCWD, "x", AT_FDCWD, "y", RENAME_WHITEOUT));
}

static void no_device_is_made_not_even_one_that_hides(void **state)
{
	(void)state;
	supervised(make_devices);
	for (int i = 0; i < 3; i++)
		assert_int_equal(seen->results[i], EPERM);
}

/* ------------------------------------------------------------------ protected names */

static void make_reserved_names(void)
{
	int folder = open(".", O_RDONLY | O_DIRECTORY);

	(void)mkdir("sub", 0700);
	seen->results[103] = tried(symlink(".", "here"));
	(void)close(open("f", O_CREAT | O_WRONLY, 0600));
	count = 0;
	results = seen->results;
	row(mkdir(".git", 0700));
	row(mkdir("sub/../.git/", 0700));
	row(mkdir("here/.git", 0700));
	row(mkdir(".GIT", 0700));
	row(mkdirat(folder, ".git", 0700));
	row(mkdir("/proc/self/cwd/.git", 0700));
	row(mknod(".git", S_IFIFO | 0600, 0));
	row(mknod(".git", S_IFREG | 0600, 0));
	row(symlink("sub", ".git"));
	row(symlinkat("sub", folder, ".git"));
	row(link("f", ".git"));
	row(linkat(folder, "f", folder, ".git", 0));
	row(rename("sub", ".git"));
	row(rename("sub", ".git/"));
	row(renameat(folder, "sub", folder, ".git"));
	row(syscall(SYS_renameat2, folder, "sub", folder, ".git", RENAME_NOREPLACE));
	count = 100;
	row(mkdir("sub/.git", 0700)); /* no root's top */
	row(mkdir(".github", 0700));
	row(rename(".git", "x"));
}

static void no_protected_name_is_made_by_any_call(void **state)
{
	struct stat st;
	char path[PATH_MAX];

	(void)state;
	supervised_reserve(".git");
	supervised(make_reserved_names);
	for (int i = 0; i < 16; i++) {
		if (seen->results[i] != EROFS)
			fail_msg("row %d: %d", i, seen->results[i]);
	}
	assert_int_equal(seen->results[100], 0);
	assert_int_equal(seen->results[101], 0);
	assert_int_equal(seen->results[102], ENOENT);
	assert_int_equal(seen->results[103], 0);
	(void)snprintf(path, sizeof path, "%s/.git", fixture_dir());
	assert_int_equal(lstat(path, &st), -1);
	expect_denial(DENIAL_RULE_PROTECTED, "mkdir", "/.git", EROFS);
	expect_denial(DENIAL_RULE_PROTECTED, "renameat2", "/.git", EROFS);
}

static void make_what_has_appeared(void)
{
	(void)mkdir("sub", 0700);
	count = 0;
	results = seen->results;
	row(mkdir(".git", 0700));
	row(symlink("x", ".git"));
	row(rename("sub", ".git"));
	row(rename(".git", "sub"));
	row(syscall(SYS_renameat2, AT_FDCWD, ".git", AT_FDCWD, "sub", RENAME_EXCHANGE));
}

static void a_protected_name_that_has_appeared_cannot_be_moved_or_replaced(void **state)
{
	static const int expected[] = { EEXIST, EEXIST, EBUSY, EBUSY, EBUSY };
	char path[PATH_MAX];

	(void)state;
	supervised_reserve(".git");
	(void)snprintf(path, sizeof path, "%s/.git", fixture_dir());
	assert_int_equal(mkdir(path, 0700), 0);
	supervised(make_what_has_appeared);
	assert_memory_equal(seen->results, expected, sizeof expected);
	assert_int_equal(seen->denials.count, 2); /* mkdir -p is no offence */
	assert_int_equal(seen->denials.items[0].count, 2);
}

/* ------------------------------------------------------------------ the machine's other numbers */

#ifdef __x86_64__
/* As a 32-bit program calls, with its numbers; an errno or 0. */
static int call_i386(int number, const void *a, long b, long c)
{
	long rc = number;

	__asm__ volatile("int $0x80"
			 : "+a"(rc)
			 : "b"((long)(uintptr_t)a), "c"(b), "d"(c)
			 : "r8", "r9", "r10", "r11", "memory");
	return (int)rc < 0 ? -(int)rc : 0;
}

enum { I386_MKDIR = 39, I386_RENAME = 38, I386_SOCKET = 359, I386_CONNECT = 362, I386_MOUNT = 21 };

static void call_as_32_bit(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "host.sock" };
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	char *other = low + 1024;

	memcpy(low, "made", 5);
	seen->results[0] = call_i386(I386_MKDIR, low, 0700, 0);
	memcpy(other, ".git", 5);
	seen->results[1] = call_i386(I386_MKDIR, other, 0700, 0);
	seen->results[2] = call_i386(I386_RENAME, low, (long)(uintptr_t)other, 0);
	memcpy(low, &address, sizeof address);
	seen->results[3] = call_i386(I386_CONNECT, (void *)(long)socket(AF_UNIX, SOCK_STREAM, 0),
				     (long)(uintptr_t)low, sizeof address);
	seen->results[4] = call_i386(I386_SOCKET, (void *)AF_PACKET, SOCK_RAW, 0);
	seen->results[5] = call_i386(I386_MOUNT, low, 0, 0);
}

static void programs_of_32_bits_are_held_by_their_own_numbers(void **state)
{
	static const int expected[] = { 0, EROFS, EROFS, EPERM, EAFNOSUPPORT, EPERM };
	struct sockaddr_un host = { .sun_family = AF_UNIX };
	int fd SCOPED(fd_close) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int status = 0;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) /* a kernel without them ends it */
		_exit(call_i386(20, NULL, 0, 0) == ENOSYS);
	(void)waitpid(pid, &status, 0);
	if (status != 0)
		skip();
	(void)snprintf(host.sun_path, sizeof host.sun_path, "%.90s/host.sock", fixture_dir());
	assert_int_equal(bind(fd, (struct sockaddr *)&host, sizeof host), 0);
	assert_int_equal(listen(fd, 1), 0);
	supervised_reserve(".git");
	supervised(call_as_32_bit);
	assert_memory_equal(seen->results, expected, sizeof expected);
	assert_int_equal(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0), 0);
	expect_denial(DENIAL_RULE_HOST_SOCKET, "connect", "/host.sock", EPERM);
}
#endif

/* ------------------------------------------------------------------ many, odd and interrupted */

static void *make_and_remove(void *argument)
{
	char name[32];
	int failures = 0;

	for (int i = 0; i < 50; i++) {
		(void)snprintf(name, sizeof name, "t%d-%d", *(int *)argument, i);
		failures += mkdir(name, 0700) < 0 || rename(name, "missing/x") == 0;
		failures += rmdir(name) < 0;
	}
	*(int *)argument = failures;
	return NULL;
}

static void run_threads(void)
{
	static int numbers[200];
	static pthread_t threads[200];

	for (int i = 0; i < 200; i++) {
		numbers[i] = i;
		seen->results[1] +=
			pthread_create(&threads[i], NULL, make_and_remove, &numbers[i]) != 0;
	}
	for (int i = 0; i < 200; i++) {
		(void)pthread_join(threads[i], NULL);
		seen->results[0] += numbers[i];
	}
}

static void two_hundred_threads_are_answered(void **state)
{
	(void)state;
	supervised(run_threads);
	assert_int_equal(seen->results[1], 0);
	assert_int_equal(seen->results[0], 0);
}

static void on_signal(int signal)
{
	(void)signal;
}

static void make_under_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	pid_t parent = getpid();
	pid_t pid;

	(void)sigaction(SIGURG, &action, NULL);
	pid = fork();
	if (pid == 0) {
		while (kill(parent, SIGURG) == 0)
			;
		_exit(0);
	}
	for (int i = 0; i < 5000; i++) {
		seen->results[0] += mkdir("one", 0700) < 0;
		seen->results[0] += rmdir("one") < 0;
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

static void a_signal_does_not_make_a_name_twice(void **state)
{
	(void)state;
	supervised(make_under_signals);
	assert_int_equal(seen->results[0], 0);
}

/* ------------------------------------------------------------------ changes */

static void change_things(void)
{
	int fd;

	/* The root of the tree is not read-only in this test, but /proc/sys may be looked at. */
	count = 0;
	results = seen->results;
	fd = open("new", O_CREAT | O_WRONLY, 0600);
	row(fd);
	(void)close(fd);
	row(open(".git", O_CREAT | O_WRONLY, 0600));
	row(creat(".git", 0600));
	row(open("missing", O_WRONLY));
	row(open("/dev/null", O_WRONLY));
	row(chmod("new", 0700));
	row(unlink("new"));
	row(truncate("missing", 0));
	row(syscall(SYS_utimensat, 1, NULL, NULL, 0));
	row(syscall(SYS_open, NULL, O_WRONLY));
}

static void changes_are_let_pass_but_for_protected_names(void **state)
{
	(void)state;
	supervised_reserve(".git");
	supervised_run(&(struct supervised){ .changes = true }, change_things);
	static const int expected[] = { 0, EROFS, EROFS, ENOENT, 0, 0, 0, ENOENT };

	assert_memory_equal(seen->results, expected, sizeof expected);
	assert_int_equal(seen->results[9], EFAULT);
	expect_denial(DENIAL_RULE_PROTECTED, "creat", "/.git", EROFS);
	assert_int_equal(seen->denials.count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SUPERVISED_TEST(
			a_refused_call_is_answered_with_the_errno_of_the_description_and_told),
		SUPERVISED_TEST(names_are_made_as_the_kernel_makes_them),
		SUPERVISED_TEST(what_means_the_task_itself_is_taken_from_the_task),
		SUPERVISED_TEST(each_process_has_its_own_mask),
		SUPERVISED_TEST(no_device_is_made_not_even_one_that_hides),
		SUPERVISED_TEST(no_protected_name_is_made_by_any_call),
		SUPERVISED_TEST(a_protected_name_that_has_appeared_cannot_be_moved_or_replaced),
#ifdef __x86_64__
		SUPERVISED_TEST(programs_of_32_bits_are_held_by_their_own_numbers),
#endif
		SUPERVISED_TEST(two_hundred_threads_are_answered),
		SUPERVISED_TEST(a_signal_does_not_make_a_name_twice),
		SUPERVISED_TEST(changes_are_let_pass_but_for_protected_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
