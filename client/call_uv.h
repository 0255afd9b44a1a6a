/*
 * call_uv.h - one question to agentd, waiting for the answer: for commands that ask something and
 * end.
 */
#pragma once

#include <jansson.h>

#include "proto/base/attr.h"
#include "proto/wire/agent_gen.h"

struct err;
struct paths;

/* Connects, greets, calls, leaves. params: of the method's type. *result: a new reference. */
int call_agentd(json_t **result, const struct paths *paths, enum agent_method method,
		const void *params, struct err *err) MUST_CHECK;
