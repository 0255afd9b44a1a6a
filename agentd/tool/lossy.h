/*
 * lossy.h - any bytes as UTF-8 text: what is not UTF-8 becomes U+FFFD, piece by piece.
 *
 * A character cut in two by the end of a piece waits for the next one. NUL counts as bad. One
 * replacement stands for the longest start of a character that led nowhere, as browsers do it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"

struct buf;
struct err;

#define LOSSY_GROWTH 3U /* output bytes at most for one input byte */

struct lossy {
	char held[3]; /* the start of a character, at most 3 bytes */
	size_t held_len;
};

/* Appends the text of what is complete; `end`: nothing follows, so nothing is held back. */
int lossy_append(struct lossy *lossy, struct buf *out, const char *data, size_t len, bool end,
		 struct err *err) MUST_CHECK;
