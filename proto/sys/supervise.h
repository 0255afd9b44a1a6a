/*
 * supervise.h - the system calls of a command that its filter hands to a supervisor: those that are
 * refused, so that they can be told; those that make a name or connect a socket, which it performs
 * in the command's place; and, if wanted, those that would change a file.
 *
 * What is performed was copied from the command first and is not read again, so that no other
 * thread of the command can exchange it behind the check. Whatever cannot be read or understood is
 * refused. The supervisor must be under the command's own Landlock rules, and without capabilities
 * but the one that lets it look into processes of its own user namespace.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"
#include "proto/sys/filter.h"
#include "proto/wire/denial.h"

struct err;
struct pollfd;

#define SUPERVISE_PENDING_MAX 64 /* connections under way; a further one is told EAGAIN */
#define SUPERVISE_SOCKETS_MAX                                                                      \
	1024 /* bound to paths; the oldest ones are forgotten, and then refused */
#define SUPERVISE_CALLS_MAX 64

/* What has to be known about the command, and who is told; outlives the supervisor. */
struct supervise_policy {
	const void *context; /* of the two functions */
	/* Whether nobody may make this name in the folder. */
	bool (*reserved)(const void *context, uint64_t device, uint64_t inode, const char *name);
	/* Which rule keeps a path from being changed; OUTSIDE: none that names it. */
	enum denial_rule (*rule)(const void *context, const char *path);
	const struct filter_spec *filter; /* whose refusals are handed over */
	bool network;                     /* the host's can be reached */
	int landlock;                     /* ABI of its rules, 0: none */
	struct denials *denials;
};

/* The calls to hand over, returns how many; `changes`: also those that change a file. Pure. */
size_t supervise_calls(struct filter_handed out[SUPERVISE_CALLS_MAX], bool changes);

/*
 * What the supervisor calls itself, as its own filter has to let pass; the list ends with NULL. It
 * also needs ioctl() with requests of a listener.
 */
extern const char *const supervise_needs[];
#define SUPERVISE_IOCTL                                                                            \
	{                                                                                          \
		"ioctl", 0, 1,                                                                     \
		{                                                                                  \
			{                                                                          \
				1, SCMP_CMP_MASKED_EQ, 0xff00U, 0x2100U                            \
			}                                                                          \
		}                                                                                  \
	}

/* Before the first supervisor is forked: where sockets are kept that its commands have bound. */
int supervise_share(struct err *err) MUST_CHECK;

/*
 * Whether all this works here: a child that `install`s a filter (which returns the listener) is
 * heard, its memory read, a descriptor of it taken. The caller ends soon: its descriptors stay
 * open.
 */
int supervise_try(int (*install)(struct err *err), struct err *err) MUST_CHECK;

struct supervisor;

/* Before its own filter, which takes away what this needs. One in a process; NULL on failure. */
struct supervisor *supervise_open(const struct supervise_policy *policy, struct err *err);

/* Takes the listener of the command's filter; until then there is nothing to poll. */
void supervise_listen(struct supervisor *self, int listener);

/* What to poll, at most SUPERVISE_PENDING_MAX + 1; and what to do when some of it is ready. */
size_t supervise_poll(const struct supervisor *self, struct pollfd *fds);
int supervise_timeout_ms(const struct supervisor *self); /* -1: none */
void supervise_serve(struct supervisor *self, const struct pollfd *fds, size_t count);
