/*
 * history.h - what the model is sent of a session: which records, in which order, and what is
 * missing.
 *
 * Pure. Outputs of calls are written to the log as they arrive, and sent in the order of their
 * calls; this keeps that order. Every call has exactly one output: a second one, or one without a
 * call, is left out, and calls that a crash left without are reported.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"

struct err;
struct transcript;

struct history {
	uint32_t *records; /* indexes into the log */
	size_t count;
	size_t capacity;
};

void history_deinit(struct history *history); /* leaves an empty one */

/* The record that was appended last, or any other. */
int history_add(struct history *history, size_t record, struct err *err) MUST_CHECK;

/*
 * From the log alone. *out_open: array of the call items without an output, in order; the caller's
 * reference. Their outputs are then to be appended and added.
 */
int history_rebuild(struct history *history, const struct transcript *log, json_t **out_open,
		    struct err *err) MUST_CHECK;
