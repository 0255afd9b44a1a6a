/*
 * serve.h - from a packet to an answer: envelope, role, stage, descriptors, parameters, handler.
 *
 * A method that is not in the table does not exist; one that is not for the role of the connection
 * is refused and logged. Handlers see decoded parameters. Each request is logged with its outcome
 * when it is answered, which may be long after its handler has returned.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "proto/wire/broker_gen.h"

#include "broker/spec.h"

struct broker;
struct buf;
struct err;
struct packet;
struct peer;

/* A request that has no answer yet. id is NULL when there is none, or it was answered. */
struct ticket {
	struct peer *peer;
	json_t *id;
	const struct wire_method *method;
};

/* One request in the hands of its handler. */
struct call {
	struct broker *broker;
	struct peer *peer;
	struct ticket ticket; /* the handler may take it, and answer later */
	const void *params;   /* of the method's type */
	struct kept kept;     /* what params are made of; the handler may take it */
	const int *fds;       /* what came along */
	size_t fd_count;
};

/* 0: answered, or the ticket was taken, or the answer is an empty object. */
int serve_ceiling_open(struct call *call, struct err *err);
int serve_ceiling_show(struct call *call, struct err *err);
int serve_ceiling_close(struct call *call, struct err *err);
int serve_child_start(struct call *call, struct err *err);
int serve_child_kill(struct call *call, struct err *err);
int serve_grant_request(struct call *call, struct err *err);
int serve_grant_show(struct call *call, struct err *err);
int serve_grant_list(struct call *call, struct err *err);
int serve_grant_answer(struct call *call, struct err *err);
int serve_grant_cancel(struct call *call, struct err *err);

/* Serves one packet; a violation of the envelope ends the peer. */
void serve_packet(struct broker *broker, struct peer *peer, struct packet *packet);

/* Tells a peer something. */
void serve_notify(struct peer *peer, enum broker_method method, const void *params);

/*
 * Appends the whole of an anonymous file that nobody can change any more: it must carry all four
 * seals, so that what is checked here is what will be used, whoever else holds it. Never blocks.
 */
int serve_sealed(struct buf *out, int fd, struct err *err);

/*
 * Answers with a result of the method's type, or with a failure; the ticket is empty then. Where
 * the result is longer than a packet its member `large` (or NULL) travels in a sealed file. A
 * result that cannot be sent is a failure, which the peer is told and the caller gets.
 */
int ticket_answer(struct ticket *ticket, const void *result, const char *large, struct err *err);
void ticket_fail(struct ticket *ticket, const struct err *err);
struct ticket ticket_take(struct call *call);
void ticket_drop(struct ticket *ticket); /* the peer has gone */
