#include "proto/sys/tree.h"

#include <fcntl.h>

#include "proto/base/fd.h"
#include "proto/sys/call.h"

int tree_attributes(int tree, unsigned flags, struct mount_attr attr, struct err *err)
{
	return SYSCALL(err, mount_setattr, tree, "", flags | AT_EMPTY_PATH, &attr, sizeof attr);
}

int tree_copy(int *out, int folder, const char *name, unsigned flags, struct mount_attr attr,
	      struct err *err)
{
	*out = (int)syscall(SYS_open_tree, folder, name,
			    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
				    AT_SYMLINK_NOFOLLOW | flags);
	if (*out < 0)
		return ERR_SYS(err, errno, "open_tree");
	return tree_attributes(*out, flags, attr, err);
}

int tree_attach(int tree, int folder, const char *name, struct err *err)
{
	return SYSCALL(err, move_mount, tree, "", folder, name,
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

int tree_make(int *out, const char *type, const char *const *options, unsigned attributes,
	      struct err *err)
{
	int context SCOPED(fd_close) = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
	long rc = context;

	for (; rc >= 0 && options[0]; options += 2)
		rc = syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, options[0], options[1], 0);
	if (rc < 0 || syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return ERR_SYS(err, errno, "make a %s", type);
	*out = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes);
	return CHECK(err, *out, "fsmount %s", type);
}
