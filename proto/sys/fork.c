#include "proto/sys/fork.h"

#include <linux/sched.h>
#include <signal.h>

#include "proto/sys/call.h"

static pid_t clone_with(struct clone_args args, int *out_pidfd, struct err *err)
{
	int pidfd = -1;
	pid_t pid;

	args.pidfd = (uintptr_t)&pidfd;
	args.flags |= CLONE_PIDFD;
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
	/* Containers refuse it since no filter sees its flags; the older call has them in sight. */
	if (pid < 0 && (errno == ENOSYS || errno == EPERM) && !(args.flags & CLONE_INTO_CGROUP))
		pid = (pid_t)syscall(SYS_clone, args.flags | args.exit_signal, NULL, &pidfd, NULL,
				     0UL);
	if (pid < 0)
		return ERR_SYS(err, errno, "clone");
	*out_pidfd = pidfd;
	return pid;
}

pid_t fork_with_pidfd(uint64_t flags, bool sibling, int *out_pidfd, struct err *err)
{
	return clone_with((struct clone_args){ .flags = flags | (sibling ? CLONE_PARENT : 0),
					       .exit_signal = sibling ? 0 : SIGCHLD },
			  out_pidfd, err);
}

pid_t fork_into(uint64_t flags, int cgroup, int *out_pidfd, struct err *err)
{
	struct clone_args args = { .flags = flags, .exit_signal = SIGCHLD };

	if (cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (unsigned)cgroup;
	}
	return clone_with(args, out_pidfd, err);
}
