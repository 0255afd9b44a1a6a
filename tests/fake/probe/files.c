/*
 * files.c - attempts on files: every way to change one, by name, by descriptor and around both.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"

#include "tests/fake/probe/probe.h"

#define NR_FILE_SETATTR 469 /* Linux 6.17 */
#define NR_SETXATTRAT 463   /* Linux 6.13 */
#define NR_FCHMODAT2 452    /* Linux 6.6 */
#define TEXT "escaped\n"
#define SWAPS 20000
#define DEEP 300

static int put_text(int fd)
{
	int sys;

	if (fd < 0)
		return errno;
	sys = outcome(write(fd, TEXT, sizeof TEXT - 1) < 0 ? -1 : 0);
	(void)close(fd);
	return sys;
}

static int try_append(char **words)
{
	return put_text(open(words[0], O_WRONLY | O_APPEND | O_CLOEXEC));
}

static int try_overwrite(char **words)
{
	return put_text(open(words[0], O_WRONLY | O_TRUNC | O_CLOEXEC));
}

static int try_open_write(char **words)
{
	return outcome(open(words[0], O_WRONLY | O_CLOEXEC | O_NONBLOCK));
}

static int try_create(char **words)
{
	return put_text(open(words[0], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
}

static int try_creat(char **words)
{
	return put_text((int)syscall(SYS_creat, words[0], 0644));
}

static int try_openat2(char **words)
{
	struct open_how how = { .flags = O_WRONLY | O_CREAT | O_CLOEXEC, .mode = 0644 };

	return put_text((int)syscall(SYS_openat2, AT_FDCWD, words[0], &how, sizeof how));
}

static int try_read(char **words)
{
	char text[65] = "";
	int fd = open(words[0], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t got;

	if (fd < 0)
		return errno;
	got = read(fd, text, sizeof text - 1);
	if (got < 0)
		return outcome(got);
	for (ssize_t i = 0; i < got; i++)
		text[i] = (char)(text[i] < ' ' || text[i] > '~' ? '.' : text[i]);
	note(" '%s'", text);
	(void)close(fd);
	return 0;
}

static int try_list(char **words)
{
	DIR *folder = opendir(words[0]);
	struct dirent *entry;
	int count = 0;

	if (!folder)
		return errno;
	while ((entry = readdir(folder)))
		count += entry->d_name[0] != '.';
	(void)closedir(folder);
	note(" %d entries", count);
	return count > 0 ? 0 : ENOENT;
}

static int try_mkdir(char **words)
{
	return outcome(mkdir(words[0], 0755));
}

static int try_rmdir(char **words)
{
	return outcome(rmdir(words[0]));
}

static int try_unlink(char **words)
{
	return outcome(unlink(words[0]));
}

static int try_symlink(char **words)
{
	return outcome(symlink(words[0], words[1]));
}

static int try_link(char **words)
{
	return outcome(linkat(AT_FDCWD, words[0], AT_FDCWD, words[1], 0));
}

static int try_link_followed(char **words)
{
	return outcome(linkat(AT_FDCWD, words[0], AT_FDCWD, words[1], AT_SYMLINK_FOLLOW));
}

static int try_rename(char **words)
{
	return outcome(rename(words[0], words[1]));
}

static int try_exchange(char **words)
{
	return outcome(renameat2(AT_FDCWD, words[0], AT_FDCWD, words[1], RENAME_EXCHANGE));
}

static int try_whiteout(char **words)
{
	return outcome(renameat2(AT_FDCWD, words[0], AT_FDCWD, words[1], RENAME_WHITEOUT));
}

static int try_chmod(char **words)
{
	return outcome(chmod(words[0], 0777));
}

static int try_chmod_flags(char **words)
{
	return outcome(syscall(NR_FCHMODAT2, AT_FDCWD, words[0], 0777, AT_SYMLINK_NOFOLLOW));
}

static int try_chown(char **words)
{
	return outcome(lchown(words[0], getuid(), getgid()));
}

static int try_truncate(char **words)
{
	return outcome(truncate(words[0], 0));
}

static int try_times(char **words)
{
	return outcome(utimensat(AT_FDCWD, words[0], NULL, 0));
}

static int try_xattr(char **words)
{
	return outcome(setxattr(words[0], "user.escaped", "1", 1, 0));
}

static int try_xattr_at(char **words)
{
	struct {
		uint64_t value;
		uint32_t size;
		uint32_t flags;
	} args = { .value = (uintptr_t) "1", .size = 1 };

	return outcome(
		syscall(NR_SETXATTRAT, AT_FDCWD, words[0], 0, "user.escaped", &args, sizeof args));
}

static int try_set_attributes(char **words)
{
	struct {
		uint64_t flags;
		uint32_t extent;
		uint32_t extents;
		uint32_t project;
		uint32_t cow;
	} attributes = { 0 };

	attributes.flags = FS_XFLAG_NODUMP;
	return outcome(
		syscall(NR_FILE_SETATTR, AT_FDCWD, words[0], &attributes, sizeof attributes, 0));
}

/* By a descriptor that may only read, which needs no right to write for most of them. */
static int try_descriptor_chmod(char **words)
{
	int fd = open(words[0], O_RDONLY | O_CLOEXEC);
	int sys = fd < 0 ? errno : outcome(fchmod(fd, 0777));

	(void)close(fd);
	return sys;
}

static int try_descriptor_flags(char **words)
{
	int flags = FS_NODUMP_FL;
	int fd = open(words[0], O_RDONLY | O_CLOEXEC);
	int sys = fd < 0 ? errno : outcome(ioctl(fd, FS_IOC_SETFLAGS, &flags));

	(void)close(fd);
	return sys;
}

static int try_descriptor_map(char **words)
{
	int fd = open(words[0], O_RDONLY | O_CLOEXEC);
	void *map;

	if (fd < 0)
		return errno;
	map = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return map == MAP_FAILED ? errno : 0;
}

static int try_reopen(char **words)
{
	char path[64];
	int fd = open(words[0], O_PATH | O_CLOEXEC);

	if (fd < 0)
		return errno;
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return put_text(open(path, O_WRONLY | O_APPEND | O_CLOEXEC));
}

static int try_lock(char **words)
{
	int fd = open(words[0], O_RDONLY | O_CLOEXEC);

	return fd < 0 ? errno : outcome(flock(fd, LOCK_EX | LOCK_NB));
}

/* A lease delays whoever opens the file for writing, for up to three quarters of a minute. */
static int try_lease(char **words)
{
	int fd = open(words[0], O_RDONLY | O_CLOEXEC);

	return fd < 0 ? errno : outcome(fcntl(fd, F_SETLEASE, F_RDLCK));
}

static int try_write_lease(char **words)
{
	int fd = open(words[0], O_RDONLY | O_CLOEXEC);

	return fd < 0 ? errno : outcome(fcntl(fd, F_SETLEASE, F_WRLCK));
}

static int try_watch(char **words)
{
	int fd = inotify_init1(IN_CLOEXEC);

	return fd < 0 ? errno : outcome(inotify_add_watch(fd, words[0], IN_ALL_EVENTS));
}

static int try_dotdot(char **words)
{
	struct open_how how = { .flags = O_WRONLY | O_APPEND | O_CLOEXEC };
	int folder = open(words[0], O_PATH | O_DIRECTORY | O_CLOEXEC);
	int sys = folder < 0 ? errno : put_text(openat(folder, words[1], O_WRONLY | O_APPEND));

	if (sys == 0)
		return 0;
	return put_text((int)syscall(SYS_openat2, folder, words[1], &how, sizeof how));
}

static int try_fchdir(char **words)
{
	int folder = open(words[0], O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (folder < 0 || fchdir(folder) < 0)
		return errno;
	return put_text(open(words[1], O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
}

/* A file without a name, which is given one. */
static int try_nameless(char **words)
{
	char path[64];
	int fd = open(words[0], O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);

	if (fd < 0)
		return errno;
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, path, AT_FDCWD, words[1], AT_SYMLINK_FOLLOW) == 0)
		return 0;
	return outcome(linkat(fd, "", AT_FDCWD, words[1], AT_EMPTY_PATH));
}

static int try_handle(char **words)
{
	struct {
		struct file_handle head;
		unsigned char bytes[MAX_HANDLE_SZ];
	} handle = { .head.handle_bytes = MAX_HANDLE_SZ };
	int mount = 0;
	int base = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (name_to_handle_at(AT_FDCWD, words[0], &handle.head, &mount, 0) < 0)
		return errno;
	return outcome(open_by_handle_at(base, &handle.head, O_WRONLY | O_CLOEXEC));
}

/* The root folder of most file systems has inode 2, so its handle need not be asked for. */
static int try_guessed_handle(char **words)
{
	struct {
		struct file_handle head;
		uint32_t inode[2];
	} handle = { .head = { .handle_bytes = 8, .handle_type = 1 }, .inode = { 2, 0 } };
	int base = open(words[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return outcome(open_by_handle_at(base, &handle.head, O_RDONLY | O_CLOEXEC));
}

static int try_device(char **words)
{
	mode_t type = words[1][0] == 'c' ? S_IFCHR : S_IFBLK;

	return outcome(mknod(words[0], type | 0600,
			     makedev((unsigned)number(words[2]), (unsigned)number(words[3]))));
}

static int try_fifo(char **words)
{
	return outcome(mkfifo(words[0], 0644));
}

struct swap {
	const char *link;
	const char *targets[2];
	volatile bool stop;
};

static void *swap_links(void *data)
{
	struct swap *swap = data;
	char next[PATH_MAX];

	(void)snprintf(next, sizeof next, "%s.next", swap->link);
	for (unsigned i = 0; !swap->stop; i++) {
		if (symlink(swap->targets[i % 2], next) == 0)
			(void)rename(next, swap->link);
	}
	(void)unlink(next);
	return NULL;
}

/* LINK INSIDE OUTSIDE NAME: writes LINK/NAME while LINK changes between the two folders. */
static int try_swap(char **words)
{
	struct swap swap = { .link = words[0], .targets = { words[1], words[2] } };
	char path[PATH_MAX];
	pthread_t thread;
	int made = 0;

	if (pthread_create(&thread, NULL, swap_links, &swap) != 0)
		return EAGAIN;
	(void)snprintf(path, sizeof path, "%s/%s", words[0], words[3]);
	for (unsigned i = 0; i < SWAPS; i++) {
		if (put_text(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)) == 0)
			made++;
	}
	swap.stop = true;
	(void)pthread_join(thread, NULL);
	note(" %d of %d writes went through", made, SWAPS);
	return made > 0 ? 0 : EROFS;
}

/* FOLDER: folders in folders, and leaves them behind. */
static int try_deep(char **words)
{
	int at = open(words[0], O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < DEEP; i++) {
		int next;

		if (mkdirat(at, "deep", 0755) < 0)
			return errno;
		next = openat(at, "deep", O_PATH | O_DIRECTORY | O_CLOEXEC);
		(void)close(at);
		at = next;
	}
	(void)close(at);
	return 0;
}

const struct verb verbs_files[] = {
	{ "append", 1, try_append },
	{ "overwrite", 1, try_overwrite },
	{ "open_write", 1, try_open_write },
	{ "create", 1, try_create },
	{ "creat", 1, try_creat },
	{ "openat2", 1, try_openat2 },
	{ "read", 1, try_read },
	{ "list", 1, try_list },
	{ "mkdir", 1, try_mkdir },
	{ "rmdir", 1, try_rmdir },
	{ "unlink", 1, try_unlink },
	{ "symlink", 2, try_symlink },
	{ "link", 2, try_link },
	{ "link_followed", 2, try_link_followed },
	{ "rename", 2, try_rename },
	{ "exchange", 2, try_exchange },
	{ "whiteout", 2, try_whiteout },
	{ "chmod", 1, try_chmod },
	{ "chmod_flags", 1, try_chmod_flags },
	{ "chown", 1, try_chown },
	{ "truncate", 1, try_truncate },
	{ "times", 1, try_times },
	{ "xattr", 1, try_xattr },
	{ "xattr_at", 1, try_xattr_at },
	{ "set_attributes", 1, try_set_attributes },
	{ "descriptor_chmod", 1, try_descriptor_chmod },
	{ "descriptor_flags", 1, try_descriptor_flags },
	{ "descriptor_map", 1, try_descriptor_map },
	{ "reopen", 1, try_reopen },
	{ "lock", 1, try_lock },
	{ "lease", 1, try_lease },
	{ "write_lease", 1, try_write_lease },
	{ "watch", 1, try_watch },
	{ "dotdot", 2, try_dotdot },
	{ "fchdir", 2, try_fchdir },
	{ "nameless", 2, try_nameless },
	{ "handle", 1, try_handle },
	{ "guessed_handle", 1, try_guessed_handle },
	{ "device", 4, try_device },
	{ "fifo", 1, try_fifo },
	{ "swap", 4, try_swap },
	{ "deep", 1, try_deep },
	{ NULL, 0, NULL },
};
