/*
 * daemon.h - agentd as a whole: what it owns, and the order in which that starts and stops.
 */
#pragma once

#include <stdbool.h>

#include "proto/base/attr.h"

struct err;

struct daemon_options {
	int broker_fd; /* the inherited link to the broker; taken over */
	const char *runtime_dir;
	const char *state_dir;
	const char *config_dir;
	bool no_lockdown; /* for debuggers: loud, and not what this program is for */
	char *const *environment;
};

/*
 * Starts, serves until the broker has gone or a signal says so, stops. 0: ended as asked; an error
 * otherwise, also when the broker has gone.
 */
int daemon_run(const struct daemon_options *options, struct err *err) MUST_CHECK;
