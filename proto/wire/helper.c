#include "proto/wire/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"

#define NOBODY 65534U

/* By descriptor, since nobody may not find the way there. */
static int open_program(const char *name, struct err *err)
{
	char path[PATH_MAX] = "";
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - NAME_MAX - 1);
	char *slash = strrchr(path, '/');
	int fd = -1;

	if (length > 0 && slash && strlen(name) <= NAME_MAX) {
		memcpy(slash + 1, name, strlen(name) + 1);
		fd = open(path, O_PATH | O_CLOEXEC);
	}
	return fd < 0 ? ERR_SYS(err, errno, "open '%s'", path) : fd;
}

/* In the forked child. */
static _Noreturn void become(int program, char *const *argv, int input, int output)
{
	char *const nothing[] = { NULL };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)alarm(HELPER_SECONDS);
	if (dup2(input, 0) == 0 && dup2(output, 1) == 1 && dup2(null, 2) == 2 &&
	    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0 &&
	    (geteuid() != 0 || (setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
				setresuid(NOBODY, NOBODY, NOBODY) == 0)) &&
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		(void)fexecve(program, argv, nothing);
	_exit(127);
}

int helper_run(struct buf *out, char *const *argv, int input, struct err *err)
{
	int program SCOPED(fd_close) = open_program(argv[0], err);
	size_t before = out->len;
	int status = 0;
	int ends[2];
	pid_t pid;
	int rc;

	if (program < 0 || fd_pipe(ends, err) < 0)
		return err->code;
	pid = fork();
	if (pid == 0)
		become(program, argv, input, ends[1]);
	fd_close(&ends[1]);
	rc = buf_read_fd(out, ends[0], err);
	fd_close(&ends[0]); /* whatever it still has to say */
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return ERR_SYS(err, errno, "%s", argv[0]);
	if (rc < 0 || status == 0)
		return rc;
	return out->len > before
		       ? ERR_SET(err, ERR_INVALID, "%.*s", (int)strcspn(out->data + before, "\n"),
				 out->data + before)
		       : ERR_SET(err, ERR_SYSTEM, "%s ended with status %d", argv[0], status);
}
