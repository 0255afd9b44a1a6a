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

/* A connected socket of the running broker; ERR_GONE when none runs. */
int spawn_connect(int *out, const struct paths *paths, struct err *err) MUST_CHECK;

/* The same, and starts the broker when none runs. The folders must have been prepared. */
int spawn_broker(int *out, const struct paths *paths, struct err *err) MUST_CHECK;
