#include "proto/wire/program.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"

int program_code(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

/* These functions return the error number. */
static int spawn(pid_t *out, int sock, const char *const *argv)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	sigset_t pipe;
	int rc = posix_spawn_file_actions_init(&actions);

	if (rc != 0)
		return rc;
	rc = posix_spawnattr_init(&attr);
	if (rc == 0) {
		(void)sigemptyset(&none);
		(void)sigemptyset(&pipe);
		(void)sigaddset(&pipe, SIGPIPE);
		(void)posix_spawnattr_setsigmask(&attr, &none);
		(void)posix_spawnattr_setsigdefault(&attr, &pipe);
		(void)posix_spawnattr_setflags(&attr,
					       POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
		rc = posix_spawn_file_actions_adddup2(&actions, sock, PROGRAM_FD);
		if (rc == 0)
			rc = posix_spawn(out, argv[0], &actions, &attr,
					 (char *const *)(uintptr_t)argv, environ);
		(void)posix_spawnattr_destroy(&attr);
	}
	(void)posix_spawn_file_actions_destroy(&actions);
	return rc;
}

int program_start(pid_t *out, int *out_sock, const char *const *argv, struct err *err)
{
	int pair[2];
	int rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return ERR_SYS(err, errno, "socketpair");
	rc = spawn(out, pair[1], argv);
	fd_close(&pair[1]);
	if (rc == 0)
		*out_sock = fd_take(&pair[0]);
	fd_close(&pair[0]);
	return rc == 0 ? 0 : ERR_SYS(err, rc, "start '%s'", argv[0]);
}
