/*
 * patch_parse.h - the text that a model sends to apply_patch, as operations on files.
 *
 * Pure. Lenient where models are sloppy (white space around the whole, around markers, a here-doc
 * around it, CRLF, a missing first @@), strict otherwise. Says nothing about whether a path may be
 * written or a chunk matches.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"

struct buf;
struct err;

#define PATCH_TEXT_MAX 4194304U /* bytes of one patch */
#define PATCH_OPS_MAX 4096U     /* files in one patch */
#define PATCH_PATH_MAX 4095U    /* bytes of one path */

enum patch_kind { PATCH_NONE, PATCH_ADD, PATCH_DELETE, PATCH_UPDATE, PATCH_KIND_COUNT };

/* How a line of a chunk stands to the file. */
enum patch_mark { PATCH_CONTEXT = ' ', PATCH_ADDED = '+', PATCH_REMOVED = '-' };

struct patch_line {
	enum patch_mark mark;
	const char *text; /* without the mark and the end of line */
	size_t len;
};

struct patch_chunk {
	const char *context; /* the line behind @@; NULL when there is none */
	size_t first;        /* its lines: patch.lines[first .. first + count) */
	size_t count;
	bool at_end; /* *** End of File */
};

struct patch_op {
	enum patch_kind kind;
	const char *path;
	const char *move_to; /* NULL unless an update moves the file */
	size_t first_chunk;  /* PATCH_UPDATE: patch.chunks[first_chunk .. + chunk_count) */
	size_t chunk_count;
	size_t first_line; /* PATCH_ADD: patch.lines[first_line .. + line_count) */
	size_t line_count;
};

/* Everything in it lives in its own copy of the text. Zeroed is empty. */
struct patch {
	char *text;
	struct patch_op *ops;
	size_t op_count;
	struct patch_chunk *chunks;
	size_t chunk_count;
	struct patch_line *lines;
	size_t line_count;
};

/*
 * A patch without operations is parsed; refusing it is the caller's part. ERR_INVALID carries
 * "invalid patch: ..." or "invalid hunk at line N, ...".
 */
int patch_parse(struct patch *out, const char *text, size_t len, struct err *err) MUST_CHECK;
void patch_deinit(struct patch *patch);

/* Every path that it touches, destinations of moves too, as spelled. The array is the caller's to
 * free(), the strings stay the patch's. */
int patch_paths(const struct patch *patch, const char ***out, size_t *out_count, struct err *err)
	MUST_CHECK;

/* The patch in its plain form; parsing that yields the same patch. */
int patch_print(struct buf *out, const struct patch *patch, struct err *err) MUST_CHECK;
