/*
 * arena.h - memory that is given back all at once.
 *
 * Holds what decoding one message needs: structs and arrays, never text (that stays in the
 * message). A zeroed struct arena is an empty one.
 */
#pragma once

#include <stddef.h>

#include "proto/base/attr.h"

struct err;

#define ARENA_MAX 16777216 /* bytes that one arena hands out */

struct arena {
	struct arena_block *blocks; /* newest first */
	size_t used;                /* bytes handed out */
};

/* Zeroed and aligned for every type; NULL with ERR_NOMEM or ERR_LIMIT. */
void *arena_alloc(struct arena *arena, size_t size, struct err *err) MUST_CHECK;

void arena_deinit(struct arena *arena); /* accepts zeroed and deinitialised */
