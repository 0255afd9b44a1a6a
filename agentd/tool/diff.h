/*
 * diff.h - two versions of a file as the hunks of a unified diff, for people to read.
 *
 * Pure. Smallest edit script (Myers) as long as fewer than DIFF_EDITS_MAX lines differ; beyond that
 * the differing middle is shown as replaced, so that the time stays bounded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"

struct buf;
struct err;

#define DIFF_EDITS_MAX 1000 /* lines added and removed that a smallest script is searched for */
#define DIFF_CONTEXT 3      /* unchanged lines around a change */

struct diff_text {
	const char *text; /* len bytes, not NULL */
	size_t len;
};

/*
 * Appends "@@ -1,3 +1,4 @@" hunks, nothing when the contents are equal. Hunks for which out has no
 * room are left out, from the first such on, and *cut says so.
 */
int diff_unified(struct buf *out, const struct diff_text *before, const struct diff_text *after,
		 bool *cut, struct err *err) MUST_CHECK;
