/*
 * capture.h - what a command printed: its beginning and its end, and how much there was between.
 *
 * However much comes in, at most CAPTURE_HEAD_MAX + CAPTURE_TAIL_MAX bytes stay.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"

struct err;

#define CAPTURE_HEAD_MAX 524288U /* bytes kept of the beginning */
#define CAPTURE_TAIL_MAX 524288U /* bytes kept of the end */
/* Bytes of capture_text() at most: all bad, and the line about what is missing. */
#define CAPTURE_TEXT_MAX ((CAPTURE_HEAD_MAX + CAPTURE_TAIL_MAX) * 3U + 64U)

struct capture {
	struct buf head;
	char *tail; /* a ring once it has its full size */
	size_t tail_cap;
	size_t tail_len;
	size_t tail_at; /* where the next byte goes */
	uint64_t bytes; /* everything that came */
	uint64_t lines; /* line ends in it */
};

void capture_init(struct capture *capture);
void capture_deinit(struct capture *capture);
void capture_clear(struct capture *capture); /* gives the memory back */

int capture_add(struct capture *capture, const char *data, size_t len, struct err *err) MUST_CHECK;
uint64_t capture_omitted(const struct capture *capture);

/* Appends what was kept as UTF-8, with "... N bytes omitted ..." between head and tail. */
int capture_text(const struct capture *capture, struct buf *out, struct err *err) MUST_CHECK;
