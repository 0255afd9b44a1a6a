/*
 * link_uv.h - the connection to agentd: requests with their answers, notifications in and out.
 *
 * Speaks and prints nothing, decides nothing. The link is freed in its close callback; link_close()
 * may be called from anywhere, more than once, and no event runs after it. An answer function runs
 * exactly once: with the answer, or, when the link ends first, with ERR_GONE.
 */
#pragma once

#include <jansson.h>

#include "proto/base/attr.h"

struct err;
struct link;
struct rpc;
struct uv_loop_s;

#define LINK_PENDING_MAX 64  /* requests without an answer */
#define LINK_OUT_MAX 8388608 /* bytes that the socket did not take yet */

/* err is NULL for a result; otherwise result is NULL. */
typedef void link_answer_fn(void *ctx, json_t *result, const struct err *err);

struct link_events {
	void (*request)(void *ctx, const struct rpc *rpc); /* to be answered with link_answer() */
	void (*notification)(void *ctx, const struct rpc *rpc);
	void (*gone)(void *ctx,
		     const struct err *err); /* the other side, or a broken message; at most once */
};

/* `events` is borrowed while the link lives. */
int link_open(struct link **out, struct uv_loop_s *loop, const char *socket_path,
	      const struct link_events *events, void *ctx, struct err *err) MUST_CHECK;
void link_close(struct link *link); /* accepts NULL */

/* params and result are consumed, also on failure. */
int link_request(struct link *link, const char *method, json_t *params, link_answer_fn *fn,
		 void *ctx, struct err *err) MUST_CHECK;
int link_notify(struct link *link, const char *method, json_t *params, struct err *err) MUST_CHECK;
int link_answer(struct link *link, json_t *id, json_t *result, struct err *err) MUST_CHECK;
int link_refuse(struct link *link, json_t *id, const struct err *why, struct err *err) MUST_CHECK;

/* A whole message as it is; for a bridge. */
int link_send(struct link *link, const json_t *message, struct err *err) MUST_CHECK;
