/*
 * diff.h - two texts as the lines that left and came, with a little of what stands around them.
 *
 * Pure. Exact for texts that differ in few lines; where they differ in very many, all of the old
 * lines go and all of the new ones come.
 */
#pragma once

#include <stddef.h>

#include "proto/base/attr.h"

struct err;

#define DIFF_CELLS_MAX 4194304 /* lines that left times lines that came, compared one by one */
#define DIFF_AROUND 3          /* equal lines shown before and after a change */

/* sign: ' ', '+', '-', or '@' between two places that do not touch. The text has no newline. */
typedef int diff_line_fn(void *ctx, char sign, const char *text, size_t len, struct err *err);

int diff_lines(const char *old_text, const char *new_text, diff_line_fn *fn, void *ctx,
	       struct err *err) MUST_CHECK;
