/*
 * session_part.h - what session.c and session_load.c share about a session that is being made.
 */
#pragma once

#include <jansson.h>

#include "proto/base/attr.h"

struct err;
struct session;
struct sessions;

/* A session that nobody knows of yet; NULL and err on failure. */
struct session *session_allocate(struct sessions *sessions, const char *id, const char *cwd,
				 struct err *err) MUST_CHECK;
void session_release(struct session **session); /* for SCOPED: one that was not enlisted */

/* One more session may live; closes the one that has idled longest if need be. */
int session_make_room(struct sessions *sessions, struct err *err) MUST_CHECK;

/* Live from now on. Consumes the session on failure. */
int session_enlist(struct session **out, struct session *session, struct err *err) MUST_CHECK;
