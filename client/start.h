/*
 * start.h - broker and daemon, running: what every command that talks to agentd begins with.
 */
#pragma once

#include <stdbool.h>

#include "proto/base/attr.h"

struct broker;
struct broker_daemon_start_result;
struct err;
struct paths;

#define START_TRIES 5 /* connections to a broker that closes them while it ends */

/* Starts the broker when none runs, and has it start agentd when that does not run. */
int start_daemon(struct broker **out, const struct paths *paths, struct err *err) MUST_CHECK;

/* The broker alone. *out is NULL when none runs and `start` is false. */
int start_broker(struct broker **out, const struct paths *paths, bool start, struct err *err)
	MUST_CHECK;

/* agentd, by a broker that runs; waits for the end of one that is just ending. */
int start_agentd(struct broker *broker, struct broker_daemon_start_result *out, struct err *err)
	MUST_CHECK;
