/*
 * denial.h - what the sandbox has refused to a command, as a line for a person.
 *
 * Pure. Target and operation are the command's words: they leave quoted, and nothing in them
 * reaches a terminal as more than text.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/attr.h"
#include "proto/wire/common_gen.h"

struct buf;
struct err;

/* As the broker and agentd tell it; borrowed. */
struct denial {
	enum denial_rule rule;
	const char *operation;
	const char *target; /* may be empty */
	const char *error;  /* empty when the command was ended */
	int64_t count;
};

/* Appends one line without its end; with_advice: and what would allow it. */
int denial_line(struct buf *out, const struct denial *denial, bool with_advice, struct err *err)
	MUST_CHECK;

/* The sentence about a command that was ended because the rule could not be held. */
int denial_end(struct buf *out, const struct denial *denial, struct err *err) MUST_CHECK;
