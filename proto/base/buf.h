/*
 * buf.h - bytes that grow up to a ceiling named at birth. The only code that does arithmetic on
 * message bytes.
 *
 * The owner is whoever holds the struct; BUF_INIT allocates nothing. `data` is NUL-terminated
 * behind `len` once anything was stored, so text can be read in place; buf_str() is safe in every
 * state. A function that fails leaves the content as it was. What is appended must not lie in the
 * buffer itself.
 */
#pragma once

#include <stddef.h>

#include "proto/base/attr.h"

struct err;

struct buf {
	char *data;
	size_t len;
	size_t cap;
	size_t max; /* content bytes at most; appending beyond is ERR_LIMIT */
};

#define BUF_INIT(limit)                                                                            \
	{                                                                                          \
		.data = NULL, .len = 0, .cap = 0, .max = (limit)                                   \
	}

void buf_init(struct buf *buf, size_t max);
void buf_deinit(struct buf *buf); /* accepts zeroed and deinitialised; keeps max */
void buf_clear(struct buf *buf);  /* keeps the memory */

/* Room for `extra` more bytes behind the content. Allows writing there, then buf_grow(). */
int buf_reserve(struct buf *buf, size_t extra, struct err *err) MUST_CHECK;
void buf_grow(struct buf *buf, size_t added); /* after buf_reserve() and a write into the room */

int buf_append(struct buf *buf, const void *data, size_t size, struct err *err) MUST_CHECK;
int buf_puts(struct buf *buf, const char *text, struct err *err) MUST_CHECK;
int buf_putc(struct buf *buf, char byte, struct err *err) MUST_CHECK;
int buf_printf(struct buf *buf, struct err *err, const char *format, ...) PRINTF_LIKE(3, 4)
	MUST_CHECK;

/* Drop the first `size` bytes (at most len); drop what lies behind the first `len` bytes. */
void buf_consume(struct buf *buf, size_t size);
void buf_cut(struct buf *buf, size_t len);

/* The content as a string, "" when empty; valid until the next change. */
const char *buf_str(const struct buf *buf);

/* Hands the content over as a heap string (never NULL unless out of memory); the buffer is empty
 * afterwards. */
char *buf_take(struct buf *buf);

/*
 * Appends everything readable from fd, or the whole file; ERR_LIMIT when it exceeds the ceiling. A
 * file by name must be a regular one (a named pipe in a workspace would hold the caller for ever).
 */
int buf_read_file(struct buf *buf, const char *path, struct err *err) MUST_CHECK;
int buf_read_fd(struct buf *buf, int fd, struct err *err) MUST_CHECK;

/*
 * Appends the whole of an anonymous file that nobody can change any more: it must carry all four
 * seals, so that what is checked here is what will be used, whoever else holds it. Never blocks.
 */
int buf_read_sealed(struct buf *buf, int fd, struct err *err) MUST_CHECK;
