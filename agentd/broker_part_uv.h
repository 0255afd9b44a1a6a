/*
 * broker_part_uv.h - what broker_uv.c (the link: packets in and out) and broker_ask_uv.c (what is
 * asked for) share.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/list.h"
#include "proto/wire/broker_gen.h"
#include "proto/wire/codec.h"

#include "agentd/broker_uv.h"

/* What an answer is for; the row says what to do with it. */
enum asked { ASKED_NOTHING, ASKED_CHILD, ASKED_GRANT, ASKED_SHOW, ASKED_BLOCKING };

struct pending {
	struct list node;
	int64_t id;
	enum asked asked;
	void *ctx;
	bool forgotten;
	broker_started_fn *started;
	broker_exited_fn *exited;
	broker_grant_fn *grant;
	broker_answer_fn *answer;
};

/* A running command, or a grant that waits for its answer. */
struct named {
	struct list node;
	char name[WIRE_ID_MAX + 1];
	void *ctx;
	broker_exited_fn *exited;
	broker_grant_fn *grant;
};

struct outgoing {
	struct list node;
	struct buf data;
	int fds[BROKER_FDS_MAX];
	size_t fd_count;
};

/* The handle of the loop is broker_uv.c's. */
struct broker_link {
	int fd;
	int64_t next_id;
	struct list pending;
	size_t pending_count;
	struct list children;
	struct list grants;
	struct list out;
	size_t out_count;
	broker_gone_fn *gone;
	void *gone_ctx;
	bool blocking_done;
	struct err blocking_err;
};

/* A packet to be filled in; owns its descriptors. */
struct outgoing *broker_outgoing_new(struct err *err) MUST_CHECK;
void broker_outgoing_release(struct outgoing **outgoing); /* for SCOPED */

/* The request as bytes; ERR_LIMIT when it does not fit a packet. */
int broker_pack(struct buf *out, int64_t id, enum broker_method method, const void *params,
		struct err *err) MUST_CHECK;

/* Takes the packet over in any case. */
int broker_queue(struct broker_link *link, struct outgoing *outgoing, struct err *err) MUST_CHECK;

/* An answer will come. NULL: too many do. */
struct pending *broker_expect(struct broker_link *link, enum asked asked, void *ctx,
			      struct err *err) MUST_CHECK;
void broker_pending_free(struct broker_link *link, struct pending *pending);
void broker_named_free(struct named *named);

/* A request without descriptors whose parameters fit a packet. NULL: nothing was sent. */
struct pending *broker_ask(struct broker_link *link, enum asked asked, enum broker_method method,
			   const void *params, void *ctx, struct err *err) MUST_CHECK;
/* For requests whose answer changes nothing: a failure means that the thing is gone already. */
void broker_tell(struct broker_link *link, enum broker_method method, const void *params);
void broker_cancel_grant(struct broker_link *link, const char *name);
