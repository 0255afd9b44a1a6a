/*
 * term.h - foreign text on its way to a terminal, and words on their way to a shell's reader.
 *
 * Pure. What a model, a tool or a file says may neither move the cursor nor change the order in
 * which text is read: control characters, bidirectional marks, invisible characters and malformed
 * UTF-8 leave as visible escapes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"

struct buf;
struct err;

enum term_shape {
	TERM_LINE, /* stays one line: newlines and tabs are escaped too */
	TERM_TEXT  /* newlines and tabs are kept */
};

int term_clean(struct buf *out, const char *text, size_t len, enum term_shape shape,
	       struct err *err) MUST_CHECK;

/* A word as a shell would read it back to the same bytes: plain, 'quoted' or $'...'. Safe to show.
 */
int term_quote(struct buf *out, const char *word, size_t len, struct err *err) MUST_CHECK;
