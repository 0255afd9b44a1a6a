/*
 * order.h - one command, as it crosses from the half of the broker that reads JSON to the half that
 * makes sandboxes and to the processes it has made.
 *
 * A struct order is of fixed size and holds no pointer. All text lies in one sealed block (a memfd
 * that nobody can change any more): the arguments, then the environment, then the working
 * directory, each with its final NUL and nothing between them. The process that becomes the command
 * checks both and believes no number in them; what does not add up is refused as a whole.
 */
#pragma once

#include <stdint.h>

#include "proto/base/attr.h"

struct err;

#define ORDER_MAGIC 0x6f726431U  /* "ord1"; another layout gets another number */
#define ORDER_ARGV_MAX 4096U     /* entries */
#define ORDER_ENV_MAX 8192U      /* entries: a ceiling's and a command's together */
#define ORDER_BLOCK_MAX 5242880U /* bytes of the whole block */

struct order {
	uint32_t magic;
	uint32_t argc;
	uint32_t envc;
	uint32_t block_bytes;
};

/* What to run, for order_pack(); all borrowed. */
struct command {
	const char *const *argv; /* at least the program */
	size_t argc;
	const char *const *env; /* the whole environment, NAME=value */
	size_t envc;
	const char *cwd; /* absolute */
};

/* Fills the order and makes its block, a descriptor that the caller owns. */
int order_pack(struct order *out, int *out_block, const struct command *command, struct err *err)
	MUST_CHECK;

/* The texts of a block: NULL-terminated lists of pointers into it. free(argv) frees both lists. */
struct order_text {
	char **argv;
	char **env;
	char *cwd;
};

/* Finds the texts of a block in memory. */
int order_parse(struct order_text *out, const struct order *order, char *block, size_t size,
		struct err *err) MUST_CHECK;

/* Maps the block, which must be sealed, for the rest of the process, and parses it. */
int order_read(struct order_text *out, const struct order *order, int block, struct err *err)
	MUST_CHECK;
