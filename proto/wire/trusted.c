#include "proto/wire/trusted.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"

#define UNMAPPED_UID 65534               /* shown for whom a user namespace has no number */
#define FIRST_USER_NAMESPACE 0xeffffffdU /* the kernel's fixed number of the machine's own */

/* Root, or in a user namespace without a number for it whoever has none there. */
static bool is_root(uid_t uid)
{
	struct stat own;

	return uid == 0 || (uid == UNMAPPED_UID && stat("/proc/self/ns/user", &own) == 0 &&
			    own.st_ino != FIRST_USER_NAMESPACE);
}

/* The first `length` bytes of the path are what is open. */
static int check(int fd, const char *path, int length, bool own, struct err *err)
{
	struct stat info = { 0 };

	if (fstat(fd, &info) < 0)
		return ERR_SYS(err, errno, "stat '%.*s'", length, path);
	if (!is_root(info.st_uid) && !(own && info.st_uid == geteuid()))
		return ERR_SET(err, ERR_DENIED, "'%.*s' belongs to uid %u: chown root it", length,
			       path, info.st_uid);
	if ((info.st_mode & (S_IWGRP | S_IWOTH)) &&
	    !(own && S_ISDIR(info.st_mode) && (info.st_mode & S_ISVTX)))
		return ERR_SET(err, ERR_DENIED, "others may write to '%.*s': chmod go-w it", length,
			       path);
	if (path[length] == '\0' && !S_ISREG(info.st_mode))
		return ERR_SET(err, ERR_DENIED, "'%s' is not a regular file", path);
	return 0;
}

int trusted_open(int *out, const char *path, bool own, struct err *err)
{
	int fd SCOPED(fd_close) = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char name[NAME_MAX + 1];
	size_t at = 1;

	if (fd < 0 || path[0] != '/')
		return ERR_SET(err, ERR_INVALID, "'%s': not an absolute path", path);
	while (check(fd, path, (int)at, own, err) == 0) {
		size_t from = at + strspn(path + at, "/");
		size_t length = strcspn(path + from, "/");
		bool last = path[from + length] == '\0';
		int next;

		if (path[at] == '\0') {
			*out = fd_take(&fd);
			return 0;
		}
		if (length == 0 || length > NAME_MAX)
			return ERR_SET(err, ERR_INVALID, "'%s': not the path of a file", path);
		memcpy(name, path + from, length);
		name[length] = '\0';
		next = openat(
			fd, name,
			O_NOFOLLOW | O_CLOEXEC |
				(last ? O_RDONLY | O_NONBLOCK | O_NOCTTY : O_PATH | O_DIRECTORY));
		at = from + length;
		if (next < 0 && errno == ENOENT)
			return ERR_SET(err, ERR_NOTFOUND, "'%.*s' does not exist", (int)at, path);
		if (next < 0)
			return ERR_SYS(err, errno, "open '%.*s', following no link", (int)at, path);
		fd_close(&fd);
		fd = next;
	}
	return err->code;
}
