/*
 * call_uv.h - one question to agentd, waiting for the answer: for commands that ask something and
 * end.
 */
#pragma once

#include <jansson.h>

#include "proto/base/attr.h"
#include "proto/wire/agent_gen.h"

struct broker;
struct err;
struct paths;

#define CALL_GONE_MS 3000 /* how long the broker may take to notice that agentd has ended */

struct call_to {
	const struct paths *paths;
	struct broker *broker; /* starts agentd again when it was just ending */
};

/* Connects, greets, calls, leaves. params: of the method's type. *result: a new reference. */
int call_agentd(json_t **result, const struct call_to *to, enum agent_method method,
		const void *params, struct err *err) MUST_CHECK;
