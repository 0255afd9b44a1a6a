/*
 * err.h - what went wrong, as one sentence that a person can act on.
 *
 * A fallible function returns 0 (or a count) on success and a negative enum err_code on failure,
 * and then has filled the struct err that its caller gave it. The struct is passed around by
 * pointer, holds its text inline and is never freed. The first function that notices a failure sets
 * it; callers add context in front. The sentence is always well-formed UTF-8, whatever the
 * arguments held, and the arguments may point into it.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "proto/base/attr.h"

/* What a caller can act on. Everything finer is in the sentence. */
enum err_code {
	ERR_NONE = 0,
	ERR_NOMEM = -1,    /* no memory */
	ERR_SYSTEM = -2,   /* a system call failed; struct err.sys holds its errno */
	ERR_INVALID = -3,  /* the input is malformed */
	ERR_LIMIT = -4,    /* a named limit was reached */
	ERR_STATE = -5,    /* not now: the object is in the wrong state for this */
	ERR_DENIED = -6,   /* understood, and refused */
	ERR_NOTFOUND = -7, /* there is no such thing */
	ERR_GONE = -8      /* the other side has closed */
};

/* Bytes with the final NUL; a longer sentence is cut and ends in "...". */
#define ERR_TEXT_MAX 512

struct err {
	enum err_code code;
	int sys; /* errno where code is ERR_SYSTEM, otherwise 0 */
	char text[ERR_TEXT_MAX];
};

/* Fill err (which may be NULL) and return the code. */
int err_set(struct err *err, enum err_code code, const char *format, ...) PRINTF_LIKE(3, 4);
int err_set_va(struct err *err, enum err_code code, const char *format, va_list args)
	PRINTF_LIKE(3, 0);
int err_sys(struct err *err, int sys, const char *format, ...) PRINTF_LIKE(3, 4);

/*
 * Put "context: " in front of the sentence; returns err's code, so that a caller can forward it.
 * Never returns 0: without a code, or without an err, it is ERR_SYSTEM.
 */
int err_prefix(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* The code as a word of the protocol: "limit", "denied", ... */
const char *err_code_name(enum err_code code);

#define ERR_SET(err, code, ...) err_set((err), (code), __VA_ARGS__)
#define ERR_SYS(err, sys, ...) err_sys((err), (sys), __VA_ARGS__)
#define ERR_WRAP(err, ...) err_prefix((err), __VA_ARGS__)
#define ERR_NOMEM_SET(err) err_set((err), ERR_NOMEM, "out of memory")
