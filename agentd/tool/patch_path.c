#include "agentd/tool/patch_path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

static bool links_refused;

void patch_path_refuse_links(void)
{
	links_refused = true;
}

static int open_unlinked(const char *path, int flags, mode_t mode)
{
	struct open_how how = { .flags = (unsigned)flags, .resolve = RESOLVE_NO_SYMLINKS };

	if (flags & O_CREAT)
		how.mode = mode;
	return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
}

int patch_path_open(const char *path, int flags, mode_t mode)
{
	return links_refused ? open_unlinked(path, flags, mode) : open(path, flags, mode);
}

/* The folder of the path, and the name in it. */
static int open_folder(const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	char *folder SCOPED(str_free) = NULL;

	*name = slash ? slash + 1 : path;
	if (!slash)
		return open_unlinked(".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	folder = str_dup_len(path, slash == path ? 1 : (size_t)(slash - path));
	if (!folder) {
		errno = ENOMEM;
		return -1;
	}
	return open_unlinked(folder, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
}

int patch_path_mkdir(const char *path, mode_t mode)
{
	const char *name = path;
	int folder SCOPED(fd_close) = -1;

	if (!links_refused)
		return mkdir(path, mode);
	folder = open_folder(path, &name);
	return folder < 0 ? -1 : mkdirat(folder, name, mode);
}

static int remove_at(const char *path, int flags)
{
	const char *name = path;
	int folder SCOPED(fd_close) = open_folder(path, &name);

	return folder < 0 ? -1 : unlinkat(folder, name, flags);
}

int patch_path_rmdir(const char *path)
{
	return links_refused ? remove_at(path, AT_REMOVEDIR) : rmdir(path);
}

int patch_path_unlink(const char *path)
{
	return links_refused ? remove_at(path, 0) : unlink(path);
}

int patch_path_rename(const char *path, const char *beside)
{
	const char *slash = strrchr(beside, '/');
	const char *name = path;
	int folder SCOPED(fd_close) = -1;

	if (!links_refused)
		return rename(path, beside);
	folder = open_folder(path, &name);
	return folder < 0 ? -1 : renameat(folder, name, folder, slash ? slash + 1 : beside);
}

int patch_path_symlink(const char *target, const char *path)
{
	const char *name = path;
	int folder SCOPED(fd_close) = -1;

	if (!links_refused)
		return symlink(target, path);
	folder = open_folder(path, &name);
	return folder < 0 ? -1 : symlinkat(target, folder, name);
}

int patch_path_error(struct err *err, int sys, const char *path)
{
	if (links_refused && sys == ELOOP)
		return ERR_SET(err, ERR_DENIED,
			       "%s: leads through a symbolic link; outside of the sandbox name the "
			       "file itself",
			       path);
	return ERR_SYS(err, sys, "%s", path);
}
