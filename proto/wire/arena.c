#include "proto/wire/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#include "proto/base/err.h"

struct arena_block {
	struct arena_block *next;
	alignas(max_align_t) unsigned char bytes[];
};

void *arena_alloc(struct arena *arena, size_t size, struct err *err)
{
	struct arena_block *block;

	if (size > ARENA_MAX - arena->used) {
		(void)ERR_SET(err, ERR_LIMIT, "more than %d bytes decoded", ARENA_MAX);
		return NULL;
	}
	block = calloc(1, sizeof *block + size);
	if (!block) {
		(void)ERR_NOMEM_SET(err);
		return NULL;
	}
	block->next = arena->blocks;
	arena->blocks = block;
	arena->used += size;
	return block->bytes;
}

void arena_deinit(struct arena *arena)
{
	while (arena->blocks) {
		struct arena_block *block = arena->blocks;

		arena->blocks = block->next;
		free(block);
	}
	arena->used = 0;
}
