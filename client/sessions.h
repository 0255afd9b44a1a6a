/*
 * sessions.h - the sessions that agentd knows, page by page.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "proto/base/attr.h"

struct err;
struct call_to;

#define SESSIONS_PAGES_MAX 200 /* of one listing; each has up to AGENT_SESSIONS_PAGE */

/* *out: array of session items as agentd sends them, newest first; cwd: of this folder only, or
 * NULL. */
int sessions_list(json_t **out, const struct call_to *to, const char *cwd, struct err *err)
	MUST_CHECK;

/* The id of the newest one of this folder (NULL: of any); ERR_NOTFOUND when there is none. Free it.
 */
int sessions_newest(char **out, const struct call_to *to, const char *cwd, struct err *err)
	MUST_CHECK;
