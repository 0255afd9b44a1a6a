/*
 * conn_uv.h - the clients' socket: who may connect, bytes to lines, and lines to bytes.
 *
 * One struct conn per client, freed when its handle has closed. Lines go to the hooks, which know
 * what they mean. What is sent is collected and written once per turn of the loop, so that many
 * small messages are one write. Whoever does not read fills its queue: then nothing more is read
 * from it either, and hooks are told (drained) when there is room again. Beyond CONN_OUT_MAX it is
 * closed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "proto/base/attr.h"

struct conn;
struct conn_host;
struct err;
struct uv_loop_s;

#define CONN_CLIENTS_MAX 64   /* connections at once */
#define CONN_OUT_READY 262144 /* queued bytes from which on a client counts as slow */
#define CONN_OUT_MAX 67108864 /* queued bytes at most */
#define CONN_READ_SIZE 65536  /* bytes taken from the socket at once */
#define CONN_BACKLOG 16       /* connections waiting to be accepted */

struct conn_hooks {
	/* A client has connected; the returned object (NULL refuses it) is given to the others. */
	void *(*opened)(void *ctx, struct conn *conn);
	void (*line)(void *client, const char *line, size_t len); /* without the newline */
	void (*drained)(void *client);
	void (*closed)(void *client); /* nothing after it; frees the object */
	void *ctx;
};

/*
 * Makes the socket (mode 0600; a stale one is replaced) and listens; nobody is accepted before the
 * loop runs. ancestor: peers below this process are refused.
 */
int conn_host_new(struct conn_host **out, struct uv_loop_s *loop, const char *path, pid_t ancestor,
		  const struct conn_hooks *hooks, struct err *err) MUST_CHECK;

/* Writes what was sent since; call it before the loop waits. */
void conn_host_flush(struct conn_host *host);

/* Closes the listener and every client after a last, blocking attempt to write what is queued. */
void conn_host_close(struct conn_host *host);

bool conn_ready(const struct conn *conn);                        /* its queue has room */
void conn_send(struct conn *conn, const char *line, size_t len); /* with its newline */
void conn_close(struct conn *conn, const char *why); /* idempotent; closed() comes from the loop */
