/*
 * out.h - text of one generated file. The first failure sticks; later calls do nothing, and
 * out_write() reports it. The owner is whoever holds the struct.
 */
#pragma once

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"

#define OUT_MAX 8388608 /* bytes of one generated file */

struct out {
	struct buf text;
	int rc; /* 0 while all went well, else err says more */
	struct err err;
};

void out_init(struct out *out);
void out_deinit(struct out *out);

void out_printf(struct out *out, const char *format, ...) PRINTF_LIKE(2, 3);

/* A comment of its own, wrapped, behind that many tabs. */
void out_comment(struct out *out, unsigned tabs, const char *text);

/* A C string literal with its quotes. */
void out_literal(struct out *out, const char *text);

/* Writes dir/name, making the folders of name below dir that are missing. */
int out_write(struct out *out, const char *dir, const char *name, struct err *err) MUST_CHECK;
