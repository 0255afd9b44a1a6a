#include "agentd/tool/ends.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"

void ends_close(struct ends *ends)
{
	for (int i = 0; i < 3; i++)
		fd_close(&ends->child[i]);
	fd_close(&ends->ours);
	fd_close(&ends->errors);
}

static int copy_fd(int *out, int fd, struct err *err)
{
	*out = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return *out < 0 ? ERR_SYS(err, errno, "copy a descriptor") : 0;
}

static void hand_over(struct ends *out, struct ends *made)
{
	*out = *made;
	*made = (struct ends)ENDS_INIT;
}

/* A pipe whose reading end does not block. */
static int make_pipe(int *reads, int *writes, struct err *err)
{
	int ends[2] = { -1, -1 };
	int rc = fd_pipe(ends, err);

	if (rc < 0)
		return rc;
	*reads = ends[0];
	*writes = ends[1];
	return fd_set_nonblock(ends[0], err);
}

int ends_pipe(struct ends *out, struct err *err)
{
	struct ends ends SCOPED(ends_close) = ENDS_INIT;
	int rc = make_pipe(&ends.ours, &ends.child[1], err);

	if (rc == 0)
		rc = copy_fd(&ends.child[2], ends.child[1], err);
	if (rc < 0)
		return rc;
	ends.child[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (ends.child[0] < 0)
		return ERR_SYS(err, errno, "open '/dev/null'");
	hand_over(out, &ends);
	return 0;
}

int ends_terminal(struct ends *out, struct err *err)
{
	struct ends ends SCOPED(ends_close) = ENDS_INIT;
	struct winsize size = { .ws_row = ENDS_ROWS, .ws_col = ENDS_COLUMNS };
	int rc = 0;

	ends.ours = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (ends.ours < 0)
		return ERR_SYS(err, errno, "open '/dev/ptmx'");
	if (unlockpt(ends.ours) < 0 || ioctl(ends.ours, TIOCSWINSZ, &size) < 0)
		return ERR_SYS(err, errno, "set up a terminal");
	for (int i = 0; rc == 0 && i < 3; i++)
		rc = copy_fd(&ends.child[i], ends.ours, err);
	if (rc < 0)
		return rc;
	hand_over(out, &ends);
	return 0;
}

int ends_split(struct ends *out, int input, struct err *err)
{
	struct ends ends SCOPED(ends_close) = ENDS_INIT;
	int rc;

	ends.child[0] = input;
	rc = make_pipe(&ends.ours, &ends.child[1], err);
	if (rc == 0)
		rc = make_pipe(&ends.errors, &ends.child[2], err);
	if (rc < 0)
		return rc;
	hand_over(out, &ends);
	return 0;
}
