/*
 * supervise_try.c - whether this kernel and whoever confines us let a supervisor do its work.
 */
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "proto/sys/fork.h"
#include "proto/sys/supervise_call.h"

/* In a child with the same descriptors: hands over its listener, and a call. */
static _Noreturn void be_heard(int out, int (*install)(struct err *err))
{
	struct err err = { 0 };
	/* As a program is after its exec; the caller is not, for which no capability helps here. */
	int rc = prctl(PR_SET_DUMPABLE, 1) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0
			 ? -1
			 : install(&err);
	int listener = rc < 0 ? -err.sys : rc;

	(void)prctl(PR_SET_DUMPABLE, 1); /* as whoever has become a program */
	if (fd_write_all(out, &listener, sizeof listener, &err) == 0 && listener >= 0)
		(void)mkdir("", 0);
	_exit(0);
}

int supervise_try(int (*install)(struct err *err), struct err *err)
{
	static const int word = 0x68656172;
	char notice[SUPERVISE_NOTICE_MAX] = { 0 };
	int copy = 0;
	struct iovec to = { &copy, sizeof copy };
	struct iovec from = { (void *)(uintptr_t)&word, sizeof word };
	int pidfd SCOPED(fd_close) = -1;
	int listener = -EPROTO;
	int ends[2];
	pid_t pid;

	if (fd_pipe(ends, err) < 0 || (pid = fork_with_pidfd(CLONE_FILES, false, &pidfd, err)) < 0)
		return err->code;
	if (pid == 0)
		be_heard(ends[1], install);
	if (read(ends[0], &listener, sizeof listener) < 0 || listener < 0)
		(void)ERR_SYS(err, -listener, "seccomp with a listener");
	else if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, notice) < 0)
		(void)ERR_SYS(err, errno, "SECCOMP_IOCTL_NOTIF_RECV");
	else if (process_vm_readv(pid, &to, 1, &from, 1, 0) < 0)
		(void)ERR_SYS(err, errno, "process_vm_readv");
	else if (syscall(SYS_pidfd_getfd, pidfd, listener, 0) < 0)
		(void)ERR_SYS(err, errno, "pidfd_getfd");
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return err->code;
}
