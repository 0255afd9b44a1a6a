/*
 * method.h - what a peer may say, to whom and when: the rows of the generated method tables.
 *
 * Row 0 of a table is no method. The zero of every column refuses.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct type;

/* What a connection must have achieved before. Ordered. */
enum wire_stage {
	WIRE_STAGE_NONE,     /* never */
	WIRE_STAGE_ANY,      /* at once */
	WIRE_STAGE_GREETED,  /* after the first call, which settles the version */
	WIRE_STAGE_ATTACHED, /* when attached to the session that the parameters name */
	WIRE_STAGE_COUNT
};

struct wire_method {
	const char *name;
	enum wire_stage stage;
	unsigned
		roles; /* 1U << role for each that may send it to the server; 0: the server's own */
	unsigned to;   /* 1U << role for each that the server sends it to */
	bool notification; /* has no answer */
	size_t fds_min;    /* descriptors that come along */
	size_t fds_max;
	const struct type *params;
	const struct type *result; /* NULL for a notification */
};

/* The row of a name, that is the number of the generated method enum; 0 when there is none. */
size_t wire_method_find(const struct wire_method *methods, size_t count, const char *name);
