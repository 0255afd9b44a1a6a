/*
 * fanout.h - one session seen by many clients, none of which can slow the others.
 *
 * Pure. A client is a cursor into the session's log plus a place in the text that the model is
 * writing at the moment. It pulls: whenever its queue has room it gets the next record, and when it
 * has all of them, what is new of the live text. So a slow client gets large pieces instead of many
 * small ones and loses nothing that ends up in the log; what does not (live output of commands) it
 * may miss. Nothing is queued for it here but the few messages that must come behind a certain
 * record: answers, questions, states.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/base/list.h"

#include "agentd/session/show.h"

struct err;
struct transcript;

#define FANOUT_LIVE_MAX 32             /* messages of one model answer */
#define FANOUT_LIVE_BYTES_MAX 16777216 /* text of one of them */
#define FANOUT_AFTER_MAX 1024          /* messages that wait for one client */

struct fanout_client;

/* How lines leave. None of these may leave the fan-out from inside the call: a client ends from the
 * loop. */
struct fanout_sink {
	bool (*ready)(const struct fanout_client *client); /* its queue has room */
	void (*send)(struct fanout_client *client, const char *line, size_t len);
	void (*lost)(struct fanout_client *client,
		     const struct err *why); /* cannot be served any more */
};

/* Embedded by the attachment of a client; one client may be attached to several sessions. */
struct fanout_client {
	struct list node;
	size_t cursor;     /* the next record */
	size_t skip;       /* a record that this client sent itself, SIZE_MAX for none */
	int64_t live_item; /* the message being sent live; those before are complete */
	size_t live_sent;  /* bytes of its text */
	struct list after; /* messages that come behind a record */
	size_t after_count;
};

struct live {
	int64_t item;
	enum show_kind kind;
	int64_t part; /* of the answer, as the model numbers it */
	bool claimed; /* the finished item has its number */
	struct buf text;
};

struct fanout {
	const char *session_id;       /* borrowed */
	const struct transcript *log; /* borrowed; NULL before there is one */
	const struct fanout_sink *sink;
	struct list clients;
	struct live live[FANOUT_LIVE_MAX]; /* in the order of the answer */
	size_t live_count;
	int64_t item_next;
	struct buf line; /* scratch, and the last piece of live text for the next client */
	int64_t cached_item;
	size_t cached_from;
	size_t cached_to;
};

void fanout_init(struct fanout *fanout, const char *session_id, const struct fanout_sink *sink);
void fanout_deinit(struct fanout *fanout); /* no client may be left */
void fanout_set_log(struct fanout *fanout, const struct transcript *log);

/* From the first record, or behind the last one. */
void fanout_join(struct fanout *fanout, struct fanout_client *client, bool replay);
void fanout_leave(struct fanout_client *client); /* drops what waits; idempotent after a join */

/* More of the model's text. A change of kind or part begins another message. */
int fanout_live(struct fanout *fanout, enum show_kind kind, int64_t part, const char *text,
		size_t len, struct err *err) MUST_CHECK;
/*
 * A message of this kind is finished and this is its text: the number for the log, that of the
 * oldest live one not yet claimed. A new number when there is none, or when it was not the
 * beginning of this text.
 */
int64_t fanout_live_claim(struct fanout *fanout, enum show_kind kind, const char *text, size_t len);
void fanout_live_drop(struct fanout *fanout); /* everything is in the log now, or void */

int64_t fanout_item(struct fanout *fanout); /* a new number */

/* Sends what clients have room for. Call it when records or text were added, or a queue drained. */
void fanout_pump(struct fanout *fanout);
void fanout_pump_client(struct fanout *fanout, struct fanout_client *client);

/* A message (with its newline) behind every record that the log has now: to one client, to all but
 * one. */
int fanout_after(struct fanout *fanout, struct fanout_client *client, const char *line, size_t len,
		 struct err *err) MUST_CHECK;
void fanout_after_all(struct fanout *fanout, const struct fanout_client *except, const char *line,
		      size_t len);

/* To those who are up to date and have room; lost for the others. */
void fanout_transient(struct fanout *fanout, const char *line, size_t len);
bool fanout_wants_transient(const struct fanout *fanout); /* whether anybody would get it */
