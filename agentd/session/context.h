/*
 * context.h - what the model is told about its surroundings: bounds, instructions of the workspace,
 * place.
 *
 * Said when a session begins, and again when it has changed; what was said before stays in the
 * history, so that the server's prompt cache keeps working. Reads AGENTS.md files and nothing else.
 */
#pragma once

#include <stdint.h>

#include "proto/base/attr.h"

struct err;
struct session;

struct context_place {
	const char *shell; /* absolute, or NULL */
	int64_t now_ms;
};

/* Appends the items that are due. */
int context_refresh(struct session *session, const struct context_place *place, struct err *err)
	MUST_CHECK;
