#include "proto/wire/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#ifndef SO_PEERPIDFD /* Linux 6.5; newer than the headers of some systems */
#define SO_PEERPIDFD 77
#endif

#define STAT_PARENT 4 /* which words of it */
#define STAT_START 22
#define STAT_MAX                                                                                   \
	1024U /* bytes of /proc/PID/stat that are looked at; the fields needed come early */

/* One reading of /proc/PID/stat. A number is one process as long as its start time stays. */
struct link {
	pid_t pid;
	pid_t parent;
	int64_t start; /* clock ticks since boot */
};

static int read_link(struct link *out, pid_t pid, struct err *err)
{
	char path[sizeof "/proc//stat" + 3 * sizeof pid];
	char text[STAT_MAX + 1] = { 0 };
	int fd SCOPED(fd_close) = -1;
	int64_t words[STAT_START + 1] = { [STAT_PARENT] = -1, [STAT_START] = -1 };
	char *rest = NULL;

	(void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, text, STAT_MAX) > 0)
		rest = strrchr(text, ')'); /* word 2; the name before it may hold anything */
	for (int i = 2; rest && i <= STAT_START; i++)
		(void)!str_to_int(&words[i], strsep(&rest, " "), 0, INT64_MAX, NULL);
	if (words[STAT_PARENT] < 0 || words[STAT_START] < 0)
		return ERR_SET(err, ERR_DENIED, "cannot read %s", path);
	*out = (struct link){ pid, (pid_t)words[STAT_PARENT], words[STAT_START] };
	return 0;
}

/*
 * While a parent is read it could die and its number be given to a stranger. So the child is read
 * again after its parent: if it still has that parent, the parent was read alive. The ancestor,
 * alive and a subreaper, cannot leave the chain by deaths in between.
 */
int peer_check_chain(pid_t pid, pid_t ancestor, struct err *err)
{
	struct link child = { 0 };
	struct link again = { 0 };
	struct link parent = { 0 };

	if (pid <= 0)
		return ERR_SET(err, ERR_DENIED, "the peer is outside of our PID namespace");
	if (read_link(&child, pid, err) < 0)
		return ERR_DENIED;
	for (int i = 0; i < PEER_CHAIN_MAX; i++) {
		if (child.pid == ancestor)
			return ERR_SET(err, ERR_DENIED, "process %d was started by process %d", pid,
				       ancestor);
		if (child.parent == 0 || child.pid == 1)
			return 0;
		if (read_link(&parent, child.parent, err) < 0 ||
		    read_link(&again, child.pid, err) < 0)
			return ERR_DENIED;
		if (child.parent != again.parent || child.start != again.start)
			return ERR_SET(err, ERR_DENIED, "the parents of process %d change", pid);
		child = parent;
	}
	return ERR_SET(err, ERR_DENIED, "process %d has more than %d parents", pid, PEER_CHAIN_MAX);
}

/* Whether the process that connected still runs; before Linux 6.5 that is unknown, hence true. */
static bool runs(int sock)
{
	int pinned SCOPED(fd_close) = -1;
	socklen_t size = sizeof pinned;
	struct pollfd ended = { .events = POLLIN };

	if (getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &pinned, &size) < 0)
		return errno == ENOPROTOOPT;
	ended.fd = pinned;
	return poll(&ended, 1, 0) == 0;
}

int peer_check(int sock, uid_t uid, pid_t ancestor, struct err *err)
{
	struct ucred who = { .uid = (uid_t)-1 };
	socklen_t size = sizeof who;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0 || who.uid != uid)
		return ERR_SET(err, ERR_DENIED, "the peer is user %d and not user %d", (int)who.uid,
			       (int)uid);
	if (peer_check_chain(who.pid, ancestor, err) < 0)
		return ERR_DENIED;
	/* Asked last: a process that runs now had its number all the while. */
	return runs(sock) ? 0 : ERR_SET(err, ERR_DENIED, "process %d has ended", who.pid);
}
