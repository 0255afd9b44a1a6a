/*
 * reply.h - what the applet agent-patch said, as the output that the model reads. Pure.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"

struct buf;
struct err;

/* What came back from the applet. */
struct reply {
	const char *text; /* its standard output */
	size_t text_len;
	const char *report; /* its standard error */
	size_t report_len;
	int exit_code;
	uint64_t wall_ms;
};

/*
 * Appends the output for the model. *applied: everything was written. *changes: the array of the
 * report, the caller's to decref, or NULL when the applet left none.
 */
int reply_text(struct buf *out, bool *applied, json_t **changes, const struct reply *reply,
	       struct err *err) MUST_CHECK;
