/*
 * delta.h - what one server-sent event of a Responses stream says.
 *
 * Pure. Events that it does not know, cannot parse or does not need are DELTA_NOTHING: a newer
 * server is no error. It decides nothing; what a failure means is cause.h's.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"

#include "agentd/model/model.h"

struct err;
struct sse_event;

enum delta_kind {
	DELTA_NOTHING,
	DELTA_TEXT,       /* text, output_index */
	DELTA_REASONING,  /* text, output_index */
	DELTA_ITEM,       /* item */
	DELTA_COMPLETED,  /* usage */
	DELTA_FAILED,     /* code, message */
	DELTA_INCOMPLETE, /* code: the reason */
	DELTA_KIND_COUNT
};

struct delta_event {
	enum delta_kind kind;
	const char *text; /* not NUL-terminated */
	size_t text_len;
	int64_t output_index; /* -1 when not told */
	json_t *item;
	struct usage usage;
	const char *code;    /* never NULL */
	const char *message; /* never NULL */
};

struct delta {
	json_t *message; /* of the last event: what its delta_event borrows from */
	struct buf text; /* the same, where escapes had to be resolved */
};

void delta_init(struct delta *delta);
void delta_deinit(struct delta *delta);

/* *out is borrowed from `event` and `delta` until the next call. Fails for want of memory only. */
int delta_read(struct delta *delta, const struct sse_event *event, struct delta_event *out,
	       struct err *err) MUST_CHECK;
