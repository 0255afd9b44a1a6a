/*
 * ends.h - the descriptors of a child: pipes or a pseudo-terminal, made by agentd and sent along
 * with the request that starts the child.
 */
#pragma once

#include "proto/base/attr.h"

struct err;

#define ENDS_ROWS 24 /* size of a new terminal */
#define ENDS_COLUMNS 80

struct ends {
	int child[3]; /* stdin, stdout, stderr */
	int ours;     /* non-blocking: reads what the child writes, and writes to a terminal */
	int errors;   /* non-blocking, of ends_split() only; otherwise -1 */
};

#define ENDS_INIT                                                                                  \
	{                                                                                          \
		.child = { -1, -1, -1 }, .ours = -1, .errors = -1                                  \
	}

/* stdin is empty, stdout and stderr are one pipe. */
int ends_pipe(struct ends *out, struct err *err) MUST_CHECK;

/*
 * All three are one new terminal: its master, which the broker turns into the other end. Opening
 * that here would need the right to write to the person's own terminals.
 */
int ends_terminal(struct ends *out, struct err *err) MUST_CHECK;

/* stdin is input, taken over; stdout and stderr are a pipe each. */
int ends_split(struct ends *out, int input, struct err *err) MUST_CHECK;

void ends_close(struct ends *ends); /* for SCOPED */
