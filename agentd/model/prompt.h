/*
 * prompt.h - what the model is told before the person speaks: how to work here, what the sandbox
 * allows, where it is.
 *
 * Pure. When bounds or place change, a new message is added and the old ones stay, so that the
 * server's prompt cache keeps working.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/wire/common_gen.h"

struct err;

/* The base instructions: English, ends in a newline. */
const char *prompt_instructions(void);

struct prompt_bounds {
	enum sandbox_mode sandbox;
	enum approval_policy approval;
	bool network;             /* open inside the sandbox */
	bool commits;             /* git may commit in some root */
	const char *const *roots; /* writable, absolute */
	size_t root_count;
};

/* What commands may touch, and when the person is asked: for a developer message. */
int prompt_permissions(struct buf *out, const struct prompt_bounds *bounds, struct err *err)
	MUST_CHECK;

struct prompt_place {
	const char *cwd;
	const char *shell;    /* "bash"; NULL leaves a line out, as below */
	const char *date;     /* 2026-05-01 */
	const char *timezone; /* Europe/Berlin */
};

/* <environment_context>: for a user message. */
int prompt_environment(struct buf *out, const struct prompt_place *place,
		       const struct prompt_bounds *bounds, struct err *err) MUST_CHECK;

/* A message item; role: developer or user. NULL when out of memory or the text is no UTF-8. */
json_t *prompt_item(const char *role, const char *text);
