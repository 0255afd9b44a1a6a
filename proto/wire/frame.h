/*
 * frame.h - one message per line of a stream.
 *
 * A struct frame belongs to one input buffer: zeroed once, kept beside it, and handed to every
 * call. Its text lies in the buffer and is valid until the next call or change. Empty lines are
 * skipped.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "proto/base/attr.h"

struct buf;
struct err;

#define FRAME_MAX 1048576                               /* bytes of one line without its newline */
#define FRAME_CHUNK_MAX 65536                           /* bytes appended at once */
#define FRAME_BUF_MAX (FRAME_MAX + 1 + FRAME_CHUNK_MAX) /* what an input buffer must hold */

struct frame {
	const char *text; /* not NUL-terminated */
	size_t len;
	size_t taken;   /* bytes of the buffer up to the end of the lines delivered */
	size_t scanned; /* bytes of the buffer known to hold no further newline */
};

enum frame_result {
	FRAME_READY, /* one line; call again */
	FRAME_MORE,  /* no whole line; everything delivered has left the buffer */
	FRAME_BAD    /* longer than FRAME_MAX: the stream cannot be followed any more */
};

enum frame_result frame_next(struct buf *in, struct frame *frame) MUST_CHECK;

/* Appends the message as a line; ERR_LIMIT beyond FRAME_MAX or the buffer's ceiling. On failure
 * nothing is appended. */
int frame_put(struct buf *out, const json_t *message, struct err *err) MUST_CHECK;
