/*
 * victims.h - what commands of a sandbox might harm on the host, held by the test that starts them:
 * folders, sockets, a process with a secret, a key, a terminal, shared memory.
 *
 * victims_touched() says what has happened to any of them since the last time, in words; nothing
 * has, when it says nothing. Each of them notices: victims_self_test() touches them one by one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "proto/base/buf.h"

#define VICTIM_SOCKETS_MAX 32
#define VICTIMS_TEXT_MAX 1048576 /* bytes that describe the folders */

/* What a case may touch, because a person allowed it. */
enum victim_kind {
	VICTIM_FILES = 1 << 0,   /* outside the roots, and protected ones */
	VICTIM_NETWORK = 1 << 1, /* TCP and UDP */
	VICTIM_SOCKETS = 1 << 2, /* of AF_UNIX */
	VICTIM_PROCESS = 1 << 3,
	VICTIM_KEYS = 1 << 4,
	VICTIM_SHARED = 1 << 5, /* System V, POSIX, terminal, FIFO */
	VICTIM_HOST = 1 << 6    /* what there is once: host name, clock, settings */
};

struct victim_socket {
	int fd;
	enum victim_kind kind;
	char name[160];
};

/* The folders that a case names; all lie in one, and all exist. */
struct victim_folders {
	char top[512];
	char work[600];   /* a repository with everything that is protected; the session's folder */
	char bare[600];   /* nothing in it; a second root */
	char tree[600];   /* a linked worktree of a repository outside; a third root */
	char linked[600]; /* where .git is a symbolic link to a folder outside; a fourth root */
	char outside[600]; /* files of the person */
};

struct victims {
	struct victim_folders at;
	struct victim_socket sockets[VICTIM_SOCKETS_MAX];
	size_t socket_count;
	pid_t process;     /* same user, with SECRET in its environment */
	char started[256]; /* how it was then */
	int port_tcp;
	int port_tcp6;
	int port_udp;
	char address[64]; /* of the host, other than the loopback; empty: it has none */
	long key;         /* in the user's keyring; 0: no keyrings here */
	int shm;          /* System V identifiers */
	int sem;
	int msg;
	char shared[64]; /* name of POSIX shared memory, and of a queue */
	void *shm_at;
	int queue;      /* POSIX message queue, or -1 */
	int terminal;   /* master */
	int slave_fd;   /* the other end */
	char slave[64]; /* its name */
	int fifo;       /* read end of outside/fifo */
	struct buf files;
	struct buf host;
};

/* Makes them below `top`, which exists. */
void victims_open(struct victims *victims, const char *top);

/* Sockets that come to be only when sandboxes are there already. */
void victims_bind_late(struct victims *victims);
void victims_close(struct victims *victims);

/* Removes from the roots what was not there at the beginning. */
void victims_tidy(struct victims *victims);

/* Appends what has happened to others than `allowed`, and starts anew. */
void victims_touched(struct victims *victims, unsigned allowed, struct buf *out);

/* Fails the test where something could be touched without being noticed. */
void victims_self_test(struct victims *victims);
