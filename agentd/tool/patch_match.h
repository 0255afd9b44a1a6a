/*
 * patch_match.h - where the chunks of an update apply in a file, and the file that results.
 *
 * Pure: bytes in, bytes out. Lines that a chunk only names as context keep their bytes, whatever
 * the patch made of them; added lines get the file's end of line; a file without a final newline
 * stays without one.
 */
#pragma once

#include <stddef.h>

#include "proto/base/attr.h"

struct buf;
struct err;
struct patch;
struct patch_chunk;
struct patch_op;

/* Work of one update in bytes compared; a longer search ends with ERR_LIMIT. */
#define PATCH_MATCH_WORK_MAX 500000000U
#define PATCH_FILE_MAX 67108864U /* bytes of a file before and after */

/* The file as it is. */
struct patch_file {
	const char *text; /* len bytes */
	size_t len;
};

/* What was not found, for the message. */
struct patch_miss {
	const struct patch_chunk *chunk;
	int is_context; /* the line behind @@; otherwise the old lines */
};

/*
 * Appends the new content to out. ERR_NOTFOUND with *miss when a chunk matches nowhere; out is as
 * before then.
 */
int patch_match(struct buf *out, const struct patch *patch, const struct patch_op *op,
		const struct patch_file *file, struct patch_miss *miss, struct err *err) MUST_CHECK;
