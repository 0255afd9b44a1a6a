/*
 * patch_apply.h - a parsed patch, checked against the disk and carried out.
 */
#pragma once

#include <stddef.h>

#include "proto/base/attr.h"

struct buf;
struct err;
struct patch;
struct patch_tree;

#define PATCH_OUTPUT_MAX 524288U /* bytes of the text that says what happened */

enum patch_state {
	PATCH_UNVERIFIED, /* it does not fit the files; nothing was written */
	PATCH_FAILED,     /* it fits, but could not be written; everything is as before */
	PATCH_APPLIED
};

/*
 * Relative paths start in the working directory. Appends the text for the model to out: "Success.
 * Updated the following files: ..." or what is wrong. Only PATCH_APPLIED has changed anything. The
 * tree is left filled for a report; the caller deinits it. Fails only where not even a text could
 * be made.
 */
int patch_apply(enum patch_state *state, struct patch_tree *tree, const struct patch *patch,
		struct buf *out, struct err *err) MUST_CHECK;
