/*
 * record.h - one line of a transcript: {"timestamp", "type", "item"?, "payload"}, written and
 * recognised.
 *
 * Pure. Lines are written with their members in this order, so that what a line is can be told from
 * its first bytes, without parsing it, when a long transcript is taken up again. A line that
 * another program wrote in another order is RECORD_OTHER and is passed over.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"

struct buf;
struct err;

#define RECORD_LINE_MAX 33554432 /* bytes of one line, the newline included */
#define RECORD_TIME_SIZE 25      /* bytes of 2026-01-31T23:59:59.999Z, the NUL included */

enum record_kind {
	RECORD_OTHER,  /* kept, not looked at */
	RECORD_META,   /* session_meta: the first line */
	RECORD_TURN,   /* turn_context: the settings that a turn ran with */
	RECORD_ITEM,   /* response_item: what the model said or was told */
	RECORD_UPDATE, /* event_msg update: what clients are shown, as ACP spells it */
	RECORD_USAGE,  /* event_msg token_count */
	RECORD_EVENT,  /* any other event_msg */
	RECORD_KIND_COUNT
};

/* Where in its line a record's payload lies. */
struct record_shape {
	enum record_kind kind;
	uint32_t payload_at;
	uint32_t payload_len;
	int64_t item; /* number of a message that clients are shown, 0 for none */
};

/* Appends the line with its newline. item: 0, or the number that clients know the message by. */
int record_format(struct buf *out, enum record_kind kind, int64_t item, const json_t *payload,
		  int64_t now_ms, struct err *err) MUST_CHECK;

/* line without its newline. */
void record_recognise(struct record_shape *out, const char *line, size_t len);

/* UTC with milliseconds. */
int record_time(char out[RECORD_TIME_SIZE], int64_t now_ms, struct err *err) MUST_CHECK;
