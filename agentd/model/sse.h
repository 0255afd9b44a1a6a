/*
 * sse.h - a stream of server-sent events: bytes in, events out, wherever the bytes were torn.
 *
 * Pure: no I/O, no clock. It never looks into the data. Lines end in CR, LF or CRLF; comments, ids,
 * retry times and unknown fields are passed over; one byte order mark at the start is. What the
 * stream leaves unfinished at its end was no event.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"

struct err;

#define SSE_EVENT_MAX 16777216U /* bytes of one line, and of one event's data */
#define SSE_NAME_MAX 127        /* bytes of an event's name; a longer one reads as "" */

enum sse_result {
	SSE_BAD,   /* a limit was reached; the stream is of no use any more */
	SSE_MORE,  /* the bytes are used up */
	SSE_EVENT, /* one event */
	SSE_RESULT_COUNT
};

struct sse {
	struct buf line;  /* the part of a line that earlier bytes held */
	struct buf data;  /* of the event being read */
	const char *next; /* borrowed from sse_feed() until SSE_MORE */
	const char *end;
	bool begun;    /* the first line is behind us */
	bool has_data; /* also for an empty data line */
	bool handed;   /* the last result was this event: start a new one */
	bool after_cr; /* a line feed would belong to the line before */
	char name[SSE_NAME_MAX + 1];
};

/* Borrowed until the next call on the parser. */
struct sse_event {
	const char *name; /* "" when the event has none */
	const char *data; /* ends in a NUL behind len */
	size_t len;
};

void sse_init(struct sse *sse, size_t event_max);
void sse_deinit(struct sse *sse);

/* Hands over bytes, which must stay until sse_next() says SSE_MORE. Before that no others. */
void sse_feed(struct sse *sse, const char *bytes, size_t size);
enum sse_result sse_next(struct sse *sse, struct sse_event *out, struct err *err);
