#include "proto/wire/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#define INHERITED_FD 3 /* the first one, as the protocol has it */

int listen_check_folder(const char *path, struct err *err)
{
	struct stat info = { 0 };

	if (lstat(path, &info) < 0)
		return ERR_SYS(err, errno, "folder '%s'", path);
	if (!S_ISDIR(info.st_mode))
		return ERR_SET(err, ERR_DENIED, "'%s' is not a folder", path);
	if (info.st_uid != getuid())
		return ERR_SET(err, ERR_DENIED, "'%s' belongs to uid %u: chown it to %u", path,
			       info.st_uid, getuid());
	if (info.st_mode & (S_IWGRP | S_IWOTH))
		return ERR_SET(err, ERR_DENIED, "others may write to '%s': chmod go-w it", path);
	return 0;
}

int listen_hold(int *out, const char *path, struct err *err)
{
	int folder SCOPED(fd_close) = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (folder < 0)
		return ERR_SYS(err, errno, "open '%s'", path);
	if (flock(folder, LOCK_EX | LOCK_NB) < 0)
		return ERR_SET(err, ERR_STATE, "another process serves '%s'", path);
	*out = fd_take(&folder);
	return 0;
}

/* By the folder's descriptor, so that no path is too long for an address. */
int listen_in(int *out, int folder, const char *name, struct err *err)
{
	int fd SCOPED(fd_close) = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int length = snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s",
			      folder, name);

	if (length < 0 || (size_t)length >= sizeof address.sun_path)
		return ERR_SET(err, ERR_LIMIT, "the name of the socket is too long");
	(void)unlinkat(folder, name, 0); /* bind() says when it is still there */
	if (fchmod(fd, 0600) < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
	    listen(fd, LISTEN_BACKLOG) < 0)
		return ERR_SYS(err, errno, "listen at '%s'", name);
	*out = fd_take(&fd);
	return 0;
}

int listen_inherited(int *out, struct err *err)
{
	char own[32];
	bool mine = false;
	bool one = false;
	int type = 0;
	int listens = 0;
	socklen_t size = sizeof type;

	(void)snprintf(own, sizeof own, "LISTEN_PID=%d", getpid());
	for (char *const *entry = environ; entry && *entry; entry++) {
		mine = mine || str_eq(*entry, own);
		one = one || str_eq(*entry, "LISTEN_FDS=1");
	}
	*out = -1;
	if (!mine)
		return 0;
	if (!one || getsockopt(INHERITED_FD, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
	    getsockopt(INHERITED_FD, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 ||
	    type != SOCK_SEQPACKET || !listens)
		return ERR_SET(err, ERR_INVALID, "LISTEN_FDS: not one listening socket of packets");
	if (fd_set_nonblock(INHERITED_FD, err) < 0)
		return err->code;
	*out = INHERITED_FD;
	return 0;
}
