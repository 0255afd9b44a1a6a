/*
 * broker_link.h - calls to the broker, one at a time, waiting for the answer.
 *
 * A client's connection carries the person's authority: it opens ceilings and answers grants. This
 * file speaks and prints nothing. What a call decodes borrows from the link and is valid until the
 * next call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"
#include "proto/wire/broker_gen.h"

struct broker;
struct err;

#define BROKER_ANSWER_MS                                                                           \
	30000 /* how long an answer may take; starting the daemon is the slowest                   \
	       */

/* A command of this connection that has ended; borrows from the link. */
struct broker_exit {
	bool seen;
	struct broker_child_exited how;
};

/* What the broker says of itself. */
struct broker_self {
	int64_t pid;
	char build[65];
};

/* Descriptors that travel with a request; they stay the caller's. */
struct broker_fds {
	const int *items;
	size_t count;
};

/* Takes over the connected socket, also on failure. */
int broker_open(struct broker **out, int fd, struct err *err) MUST_CHECK;
void broker_close(struct broker *broker);    /* accepts NULL */
void broker_release(struct broker **broker); /* for SCOPED */

/* hello, once for each connection; afterwards it is known who is at the other end. */
int broker_greet(struct broker *broker, struct err *err) MUST_CHECK;
const struct broker_self *broker_self(const struct broker *broker);

/* fds: NULL for none. Sends without waiting, so that requests that do not need each other's answers
 * travel together. */
int broker_send(struct broker *broker, enum broker_method method, const void *params,
		const struct broker_fds *fds, int64_t *id, struct err *err) MUST_CHECK;
/* Waits for that answer and decodes it into *result, of the method's result type. Errors keep their
 * code. */
int broker_wait(struct broker *broker, enum broker_method method, int64_t id, void *result,
		struct err *err) MUST_CHECK;
/* Both. */
int broker_call(struct broker *broker, enum broker_method method, const void *params,
		const struct broker_fds *fds, void *result, struct err *err) MUST_CHECK;

/* The stored record of a grant, however long it is. */
int broker_grant_record(struct broker *broker, const char *grant, struct broker_grant_record *out,
			struct err *err) MUST_CHECK;

/* For a loop that waits for more than answers: the socket, and what to do when it can be read. */
int broker_fd(const struct broker *broker);
int broker_receive(struct broker *broker, struct err *err) MUST_CHECK;
/* Waits until agentd has ended, at most so long; at once when that was told before. */
int broker_wait_gone(struct broker *broker, int wait_ms, struct err *err) MUST_CHECK;
/* Waits until the broker has closed the connection. */
int broker_wait_end(struct broker *broker, struct err *err) MUST_CHECK;
/* How the command of this connection ended; it starts one at a time. */
const struct broker_exit *broker_last_exit(const struct broker *broker);
