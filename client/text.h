/*
 * text.h - lines for people, written to a terminal, a pipe or a file.
 *
 * Writes what view and approval made; adds nothing but, where asked, a prefix before each line.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"

struct err;

#define TEXT_HELD_MAX 4194304 /* bytes of a line that is not finished yet */

struct text {
	int fd;             /* borrowed */
	const char *prefix; /* borrowed; NULL for none */
	bool whole_lines;   /* nothing of a line is written before its end */
	struct buf held;
};

void text_init(struct text *text, int fd, const char *prefix, bool whole_lines);
void text_deinit(
	struct text *text); /* writes nothing: what is held is lost unless text_end() came before */

int text_write(struct text *text, const char *data, size_t len, struct err *err) MUST_CHECK;
int text_flush(struct text *text, struct err *err) MUST_CHECK; /* writes what is held, as it is */
int text_end(struct text *text, struct err *err)
	MUST_CHECK; /* writes what is held, with a newline */

/* Whether to colour what goes to fd: `when` is auto (NULL too), always or never; ERR_INVALID for
 * another word. */
int text_color(bool *out, const char *when, int fd, char *const *environment, struct err *err)
	MUST_CHECK;
