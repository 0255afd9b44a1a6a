/*
 * serve.h - one connection, and the way from its packet to an answer: envelope, role, stage,
 * descriptors, parameters, handler.
 *
 * What a peer may do is its role, and a role belongs to the connection: 'daemon' to the socket pair
 * that the broker made when it started agentd, 'client' to what was accepted and checked. Nothing
 * here ever blocks. What a peer has not read waits in the kernel's buffer, which is bounded: a peer
 * that lets it fill is not read until it has caught up, and one that lets it overflow is ended. A
 * peer that is ended is marked dead; its owner then frees it and what hangs on it.
 *
 * A method that is not in the table does not exist; one that is not for the role of the connection
 * is refused and logged. Handlers see decoded parameters. Each request is logged with its outcome
 * when it is answered, which may be long after its handler has returned.
 */
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/wire/packet.h"
#include "proto/wire/rpc.h"

#include "broker/spec.h"

struct broker;

#define PEER_FLIGHT_MAX 32U   /* requests without an answer; then the peer is not read */
#define PEER_UNREAD_MAX 65536 /* bytes not read by it, by the kernel's count; likewise */

struct peer {
	unsigned number; /* for the log */
	int fd;
	enum broker_role role;
	bool greeted;
	bool behind; /* must read before it is read */
	bool dead;
	size_t in_flight;
};

void peer_free(struct peer *peer);

/* What to poll for; and what to do about it: whether a packet came. */
short peer_events(const struct peer *peer);
bool peer_receive(struct peer *peer, short events, struct packet *packet);

/*
 * Sends the message with one descriptor or none (-1); both are taken. ERR_LIMIT when it is longer
 * than BROKER_PACKET_MAX; any other trouble ends the peer and is no failure of the caller.
 */
int peer_send(struct peer *peer, json_t *message, int fd, struct err *err) MUST_CHECK;

/* Tells it something that it has not asked for; nobody (NULL) is told nothing. */
void peer_notify(struct peer *peer, enum broker_method method, const void *params);

/* Marks it dead, once, with a line in the log. */
void peer_end(struct peer *peer, const char *why);

/* A request that has no answer yet. id is NULL when there is none, or it was answered. */
struct ticket {
	struct peer *peer;
	json_t *id;
	const struct wire_method *method;
};

/*
 * Answers with a result of the method's type, or (NULL) with the failure in err; the ticket is
 * empty then. Where the result is longer than a packet its member `large` (or NULL) travels in a
 * sealed file. A result that cannot be sent is a failure, which the peer is told and the caller
 * gets.
 */
int ticket_answer(struct ticket *ticket, const void *result, const char *large, struct err *err);
void ticket_drop(struct ticket *ticket); /* the peer has gone */

/* One request in the hands of its handler. */
struct call {
	struct broker *broker;
	struct peer *peer;
	struct ticket ticket; /* answered later when the handler takes its id */
	const void *params;   /* of the method's type */
	struct kept kept;     /* what params are made of; the handler may take it */
	const int *fds;       /* what came along */
	size_t fd_count;
};

/* The methods. 0: answered, or the ticket was taken, or the answer is an empty object. */
extern int (*const serve_handlers[BROKER_METHOD_COUNT])(struct call *call, struct err *err);

/* Serves one packet; a violation of the envelope ends the peer. */
void serve_packet(struct broker *broker, struct peer *peer, struct packet *packet);

/*
 * Appends the whole of an anonymous file that nobody can change any more: it must carry all four
 * seals, so that what is checked here is what will be used, whoever else holds it. Never blocks.
 */
int serve_sealed(struct buf *out, int fd, struct err *err);
