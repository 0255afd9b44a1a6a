/*
 * scan.h - reads the two JSON texts that make up nearly all of a stream, deltas, without a tree.
 *
 * Pure, allocates nothing. It takes flat objects only: members that are strings, whole numbers,
 * literals or empty lists. Whatever else it meets it leaves to the real parser, which must agree
 * with it about everything it takes; a fuzz target holds the two against each other.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

struct scan_text {
	const char *at; /* into the input; NULL: no such member, or not a string */
	size_t len;
	bool escaped; /* holds backslashes: see scan_unescape() */
};

struct scan_delta {
	struct scan_text type;
	struct scan_text delta;
	int64_t output_index; /* -1 when there is none */
};

/* false: not such an object, or not JSON at all; *out is then of no use. */
bool scan_delta(struct scan_delta *out, const char *data, size_t len);

/* Appends the text that an escaped one means. */
int scan_unescape(struct buf *out, const struct scan_text *text, struct err *err);
