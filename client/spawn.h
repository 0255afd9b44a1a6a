/*
 * spawn.h - the broker, started on demand: one at a time, under a lock, as a process of its own.
 *
 * The broker outlives the client that started it. Its standard error goes to a log file below the
 * state folder.
 */
#pragma once

#include "proto/base/attr.h"

struct err;
struct paths;

#define SPAWN_READY_MS 10000 /* how long a new broker may take until it listens */

/*
 * Whose broker it is: the one that root has started for this user, where there is one that serves,
 * otherwise the user's own. AGENTD_BROKER says 'system' or 'user' to have no choice. By itself a
 * user's own is not taken in place of a system's that does not answer where the machine is managed,
 * nor a system's where AGENTD_HOME names folders that it does not know.
 */
int spawn_choose(struct paths *paths, char *const *environment, struct err *err) MUST_CHECK;

/* A connected socket of the running broker; ERR_GONE when none runs. */
int spawn_connect(int *out, const struct paths *paths, struct err *err) MUST_CHECK;

/* The same, and starts the broker when none runs. The folders must have been prepared. */
int spawn_broker(int *out, const struct paths *paths, struct err *err) MUST_CHECK;
