/*
 * peer.h - one connection to the broker: whole packets in, whole packets out.
 *
 * What a peer may do is its role, and a role belongs to the connection: 'daemon' to the socket pair
 * that the broker made when it started agentd, 'client' to what was accepted and checked. Nothing
 * here ever blocks. What a peer has not read waits in the kernel's buffer, which is bounded: a peer
 * that lets it fill is not read until it has caught up, and one that lets it overflow is ended. A
 * peer that is ended is marked dead; its owner then frees it and what hangs on it.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"
#include "proto/wire/broker_gen.h"

struct err;
struct packet;

#define PEER_FLIGHT_MAX 32U /* requests without an answer; then the peer is not read */
#define PEER_UNREAD_MAX                                                                            \
	65536 /* bytes that a peer has not read, by the kernel's count; likewise                   \
	       */

struct peer {
	unsigned number; /* for the log */
	int fd;
	enum broker_role role;
	bool greeted;
	bool behind; /* must read before it is read */
	bool dead;
	size_t in_flight;
};

/* Takes the socket in any case; `number` names it in the log. NULL on failure. */
struct peer *peer_new(int sock, enum broker_role role, unsigned number, struct err *err) MUST_CHECK;
void peer_free(struct peer *peer);

/* What to poll for; and what to do about it: whether a packet came. */
short peer_events(const struct peer *peer);
bool peer_receive(struct peer *peer, short events, struct packet *packet);

/*
 * Sends the message with one descriptor or none (-1); both are taken. ERR_LIMIT when it is longer
 * than BROKER_PACKET_MAX; any other trouble ends the peer and is no failure of the caller.
 */
int peer_send(struct peer *peer, json_t *message, int fd, struct err *err) MUST_CHECK;

/* Marks it dead, once, with a line in the log. */
void peer_end(struct peer *peer, const char *why);
