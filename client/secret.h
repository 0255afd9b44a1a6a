/*
 * secret.h - the variables that the model's provider needs, for agentd alone: API keys, headers,
 * trusted certificates.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"

struct conf;
struct err;

#define SECRETS_MAX 16 /* variables of one session */

struct secrets {
	const char *items[SECRETS_MAX]; /* NAME=value, borrowed from the environment */
	size_t count;
};

/* exec: CODEX_API_KEY counts too. Pure: the environment is an argument. */
int secrets_collect(struct secrets *out, const struct conf *conf, char *const *environment,
		    bool exec, struct err *err) MUST_CHECK;
