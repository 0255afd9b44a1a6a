/*
 * paint.h - the few colours that lines have, and text in them.
 *
 * Pure. The text is foreign and is cleaned on the way; only the colours are escape sequences.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"

#include "client/term.h"

struct buf;
struct err;

enum paint {
	PAINT_PLAIN,
	PAINT_BOLD,
	PAINT_DIM,
	PAINT_COMMAND,
	PAINT_ADDED,
	PAINT_REMOVED,
	PAINT_WARNING,
	PAINT_ERROR,
	PAINT_COUNT
};

int paint_text(struct buf *out, enum paint paint, const char *text, size_t len,
	       enum term_shape shape, struct err *err) MUST_CHECK;

/* No colour where there shall be none. */
static inline enum paint paint_if(bool color, enum paint paint)
{
	return color ? paint : PAINT_PLAIN;
}
