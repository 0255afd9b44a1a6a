/*
 * supervise_call.h - the inside of supervise*.c: a call that was handed over, what is copied of it,
 * and the handlers that answer it.
 *
 * A handler first copies everything: texts and structs from the memory of the task, descriptors
 * through /proc or from its table. Then task_waits() tells whether all of it was the task's own,
 * which cannot go on while it waits; from there on only the copies are used.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/sys/call.h"
#include "proto/sys/supervise.h"

struct task;

/* 0 or a negative errno, which the task is told; or one of these. */
enum { LET_PASS = 1, ANSWERED_LATER };
typedef int handler_fn(struct supervisor *self, struct task *task);

/* Which arguments name a file; NONE: no folder, the working directory. */
#define NONE (-1)
struct named {
	signed char folder;
	signed char path;
};

/* Any of these in the flags of an open() changes a file. */
#define SUPERVISE_WRITES (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)

/* Bytes; the kernel's structs may become longer than the header's. */
#define SUPERVISE_NOTICE_MAX 512

/* When a call is handed over: changes where they are wanted, writes by their flags in value. */
enum handed { HANDED_ALWAYS, HANDED_CHANGE, HANDED_WRITE };

struct call {
	const char *name;
	handler_fn *answer;
	enum handed when;
	struct named to;
	struct named from;
	signed char value; /* mode or flags */
};

/* A task that waits in a call. */
struct task {
	uint64_t id;
	pid_t pid; /* of a thread */
	const struct seccomp_data *data;
	const struct call *call;
	const char *name;
	bool told; /* the denial, already */
};

/* A connect() that the task waits for. */
struct pending {
	uint64_t id;
	int socket;
	int target; /* -1, or the socket's file: then it is tried again, else waited for */
	int64_t deadline_ms;
	char text[DENIAL_TARGET_MAX];
};

struct supervisor {
	const struct supervise_policy *policy;
	int listener;
	int proc;     /* "/proc" */
	int diag;     /* netlink, asks which file a socket has made */
	int touch;    /* a datagram socket, which no stream lets connect */
	int64_t mask; /* umask of the whole command; -1: no longer one and the same */
	struct pending pendings[SUPERVISE_PENDING_MAX];
	size_t pending_count;
};

bool task_waits(const struct supervisor *self, uint64_t id);
int task_read(const struct task *task, uint64_t address, void *out, size_t size);
void task_deny(struct supervisor *self, struct task *task, enum denial_rule rule,
	       const char *target, int sys);
/* A copy of the task's descriptor, also where /proc hides them, or a negative errno. */
int task_fd(const struct supervisor *self, const struct task *task, int number);
/* A number of /proc/TID/status behind the key; -1 when there is none. */
int64_t task_status(const struct supervisor *self, const struct task *task, const char *key,
		    int base);

/* A file that a task names: the text, what a relative one starts from, the folder it is in. */
struct spot {
	int start;
	int folder;
	char text[PATH_MAX];
	char *rest;       /* in text: behind what has become the start */
	const char *last; /* in text: the last component, once there is a folder */
};

#define SPOT_NONE                                                                                  \
	{                                                                                          \
		.start = -1, .folder = -1                                                          \
	}

int spot_read(const struct supervisor *self, const struct task *task, struct named named,
	      struct spot *out);
int spot_begin(const struct supervisor *self, const struct task *task, int folder,
	       struct spot *spot);
int spot_folder(struct spot *spot);                /* opens the folder */
int spot_file(const struct spot *spot, int flags); /* O_PATH of the file */
int spot_mask(const struct supervisor *self, const struct task *task);
/* Whether the name may be made; tells the denial. */
int spot_allowed(struct supervisor *self, struct task *task, const struct spot *spot, int present,
		 int absent);
/* Tells of a refusal by the sandbox, if it is one; returns rc. */
int spot_told(struct supervisor *self, struct task *task, const struct spot *spot, int rc);
void spot_close(struct spot *spot);
/* The canonical path of a descriptor, with something behind it or "". */
void path_text(char out[DENIAL_TARGET_MAX], int fd, const char *behind);

handler_fn supervise_mkdir, supervise_mknod, supervise_symlink, supervise_link, supervise_rename,
	supervise_umask, supervise_change;
handler_fn supervise_connect, supervise_bind;

size_t sockets_poll(const struct supervisor *self, struct pollfd *fds);
void sockets_serve(struct supervisor *self, const struct pollfd *fds, size_t count);
void supervise_answer(struct supervisor *self, uint64_t id, int result);
