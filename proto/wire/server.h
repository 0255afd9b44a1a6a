/*
 * server.h - the server's end of packet sockets: connections, and the way from a packet to an
 * answer: envelope, role, stage, descriptors, parameters, handler.
 *
 * What a peer may do is its role, and a role belongs to the connection: whoever adds the connection
 * says which. Nothing here ever blocks. What a peer has not read waits in the kernel's buffer,
 * which is bounded: a peer that lets it fill is not read until it has caught up, and one that lets
 * it overflow is ended. A peer that is ended is marked dead; server_next_dead() then hands it over,
 * and its owner frees it with what hangs on it.
 *
 * A method that is not in the table does not exist; one that is not for the role of the connection
 * is refused. Handlers see decoded parameters. Nothing is logged: the table names who is told when
 * a request is answered, which may be long after its handler has returned, and when a peer has
 * ended.
 */
#pragma once

#include <poll.h>

#include "proto/wire/packet.h"
#include "proto/wire/rpc.h"

struct call;
struct peer;
struct ticket;

#define SERVER_PEERS_MAX (BROKER_PEERS_MAX + 1U) /* connections: clients and agentd */
#define SERVER_VALUES_MAX 16384U /* JSON values of one packet, and of one sealed file */
#define SERVER_ROUND_US 5000     /* then the loop's other work has its turn */
#define SERVER_WAITING_MAX 64    /* requests that ticket_wait() holds */
#define PEER_FLIGHT_MAX 32U      /* requests without an answer; then the peer is not read */
#define PEER_UNREAD_MAX 65536    /* bytes not read by it, by the kernel's count; likewise */

/* What is served, the same for the whole life of the program. */
struct server_table {
	const struct wire_method *methods; /* row 0 is no method */
	size_t method_count;
	/* [method]. 0: answered, or the ticket was taken, or the answer is an empty object. */
	int (*const *handlers)(struct call *call, struct err *err);
	const struct names *roles;
	/*
	 * Members that may come in a sealed file behind the other descriptors, as an object or, the
	 * last of them, alone; ends in NULL. A member, a bool, that announces one more descriptor.
	 */
	const char *const *sealed;
	const char *announcing;
	void (*on_answer)(const struct ticket *ticket, const struct err *why); /* NULL: ok */
	void (*on_end)(const struct peer *peer, const char *why);              /* once for each */
};

/* A request that has no answer yet. id is NULL when there is none, or it was answered. */
struct ticket {
	struct peer *peer;
	json_t *id;
	const struct wire_method *method;
};

struct server {
	const struct server_table *table;
	struct peer *peers[SERVER_PEERS_MAX];
	size_t peer_count;
	unsigned peer_number; /* of the last one */
	int64_t second;       /* in which spent_us was halved last */
	struct ticket waiting[SERVER_WAITING_MAX];
};

struct peer {
	struct server *server;
	unsigned number; /* for the log */
	int fd;
	int role;
	pid_t pid; /* 0: as its socket says */
	bool greeted;
	bool behind; /* must read before it is read */
	bool dead;
	size_t in_flight;
	int64_t spent_us; /* on its requests; halved every second */
};

/* Takes a checked connection in any case; NULL on failure. */
struct peer *server_add(struct server *server, int sock, int role, struct err *err) MUST_CHECK;

/* Tells somebody who is not served why, where that is possible without waiting; returns whether. */
bool server_refuse(int sock, const struct err *why);

/*
 * Fills in what to poll for, a row for each peer; newcomers are not looked at in the same round.
 *
 * A round serves one packet of each peer, those first whose requests have cost the least time, and
 * stops after SERVER_ROUND_US. So whoever asks for little waits for one handler at most, however
 * many others ask for much.
 */
size_t server_watch(const struct server *server, struct pollfd *fds);
void server_dispatch(struct server *server, const struct pollfd *fds, size_t count);

/* Takes the next peer that is dead out of the list, for the caller to free; NULL: none is. */
struct peer *server_next_dead(struct server *server) MUST_CHECK;
void peer_free(struct peer *peer);

/* What to poll for; and what to do about it: whether a packet came. */
short peer_events(const struct peer *peer);
bool peer_receive(struct peer *peer, short events, struct packet *packet);

/* Serves one packet; a violation of the envelope ends the peer. */
void peer_serve(struct peer *peer, struct packet *packet);

/*
 * Sends the message with one descriptor or none (-1); both are taken. ERR_LIMIT when it is longer
 * than BROKER_PACKET_MAX; any other trouble ends the peer and is no failure of the caller.
 */
int peer_send(struct peer *peer, json_t *message, int fd, struct err *err) MUST_CHECK;

/* Tells it something that it has not asked for; nobody (NULL) is told nothing. */
void peer_notify(struct peer *peer, size_t method, const void *params);

/* The same to all that have greeted. */
void server_notify(struct server *server, size_t method, const void *params);

/* Adds who it is to the members of a record (taken): number, role, and the kernel's word for uid
 * and pid. NULL on failure; nobody (NULL) adds nothing. */
json_t *peer_describe(const struct peer *peer, json_t *members) MUST_CHECK;

/* Marks it dead, once. */
void peer_end(struct peer *peer, const char *why);

/*
 * Answers with a result of the method's type, or (NULL) with the failure in err; the ticket is
 * empty then. Where the result is longer than a packet its member `large` (or NULL) travels in a
 * sealed file. A result that cannot be sent is a failure, which the peer is told and the caller
 * gets.
 */
int ticket_answer(struct ticket *ticket, const void *result, const char *large, struct err *err);
void ticket_drop(struct ticket *ticket); /* the peer has gone */

/*
 * Takes the ticket and holds it, until all those of a method are answered alike, or its peer is
 * handed over as dead.
 */
int ticket_wait(struct ticket *ticket, struct err *err) MUST_CHECK;
void server_wake(struct server *server, size_t method, const void *result, struct err *err);

/* One request in the hands of its handler. */
struct call {
	struct peer *peer;
	struct ticket ticket; /* answered later when the handler takes its id */
	const void *params;   /* of the method's type */
	struct kept kept;     /* what params are made of; the handler may take it */
	const int *fds;       /* what came along */
	size_t fd_count;
};
