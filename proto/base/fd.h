/*
 * fd.h - descriptors: owned by one variable, close-on-exec from birth, -1 when there is none.
 */
#pragma once

#include <stddef.h>

#include "proto/base/attr.h"

struct err;

void fd_close(int *fd); /* for SCOPED; accepts -1, sets -1 */
int fd_take(int *fd);   /* hands the descriptor over and leaves -1 */

int fd_set_nonblock(int fd, struct err *err) MUST_CHECK;

/* For blocking descriptors. ERR_GONE when nobody reads any more (and SIGPIPE is ignored). */
int fd_write_all(int fd, const void *data, size_t size, struct err *err) MUST_CHECK;

/* A pipe, both ends close-on-exec: out[0] reads, out[1] writes. */
int fd_pipe(int out[2], struct err *err) MUST_CHECK;

/* Blocks the signals, `count` of them; they are read from a descriptor that does not block. */
int fd_signals(int *out, const int *signals, size_t count, struct err *err) MUST_CHECK;

/* The next signal from there; 0 when there is none. */
int fd_next_signal(int fd);

/* An anonymous file that holds the bytes and can never change again (all four seals), offset 0. */
int fd_sealed(int *out, const char *name, const void *data, size_t size, struct err *err)
	MUST_CHECK;
