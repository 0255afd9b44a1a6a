/*
 * replay_uv.h - answers requests from cassettes, in pieces torn at odd places, as a network would.
 *
 * Each session plays its cassette from the start, or, when it was begun by an earlier daemon, from
 * where its items say it stands. Reads files, sends nothing.
 */
#pragma once

#include <stddef.h>

#include "proto/base/attr.h"

struct err;
struct replay;      /* what each session has played; one per daemon */
struct replay_call; /* one answer being played */
struct stream_sink;
struct uv_loop_s;

#define REPLAY_SESSIONS_MAX 64U /* remembered; the one unused for longest is forgotten */

struct replay_request {
	const char *session_id;
	const char *file;      /* NULL: the demo */
	size_t model_items;    /* in the request's input */
	const char *last_text; /* of the user, or NULL */
};

int replay_new(struct replay **out, struct uv_loop_s *loop, struct err *err) MUST_CHECK;
void replay_free(struct replay *replay); /* when no call is left; accepts NULL */

/* ERR_NOTFOUND when the cassette has no further answer. No sink call from inside. */
struct replay_call *replay_send(struct replay *replay, const struct replay_request *request,
				const struct stream_sink *sink, void *ctx, struct err *err)
	MUST_CHECK;
void replay_abort(struct replay_call *call); /* no sink call after it; not after `end` */
