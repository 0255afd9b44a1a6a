/*
 * str.h - the string helpers; none of them truncates, none of them reads past its argument.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"

struct buf;
struct err;

bool str_eq(const char *a, const char *b); /* NULL equals only NULL */
bool str_starts(const char *text, const char *prefix);
bool str_ends(const char *text, const char *suffix);

/* Copies with the final NUL; ERR_LIMIT, and nothing written, when it does not fit. */
int str_copy(char *out, size_t size, const char *text, struct err *err) MUST_CHECK;

char *str_dup(const char *text);                 /* NULL when out of memory */
char *str_dup_len(const char *text, size_t len); /* of exactly len bytes */
void str_free(char **text);                      /* for SCOPED; also sets NULL */

/* A decimal integer that is the whole text (ERR_INVALID) and lies in [low, high] (ERR_LIMIT). */
int str_to_int(int64_t *out, const char *text, int64_t low, int64_t high, struct err *err)
	MUST_CHECK;

/* Bytes of the UTF-8 character (RFC 3629, NUL not allowed) that starts here; 0 when it is malformed
 * or cut. */
size_t str_utf8_step(const char *text, size_t left);
bool str_is_utf8(const char *text, size_t len); /* nothing but such characters */

/* In place: what is no character, or a control one, becomes a question mark; text ends within size.
 */
void str_clean(char *text, size_t size);

/* Appends 'text' in quotes; bytes below 0x20, 0x7f, quotes and backslashes leave as \n \t \xNN \'
 * \\. */
int str_quote(struct buf *out, const char *text, size_t len, struct err *err) MUST_CHECK;
