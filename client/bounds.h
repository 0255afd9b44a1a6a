/*
 * bounds.h - what the commands of a session may do at most, from settings to an open ceiling at the
 * broker.
 *
 * This is where the person's authority enters: mode, writable folders, network and environment are
 * read from the person's own settings and command line, and told to the broker on the client's own
 * connection.
 */
#pragma once

#include <stdbool.h>

#include "proto/base/attr.h"
#include "proto/wire/common_gen.h"

struct broker;
struct broker_ceiling_open_result;
struct err;
struct setup;

struct bounds_input {
	const struct setup *setup;
	const char *cwd;        /* folder of the session; NULL for the setup's */
	enum sandbox_mode mode; /* SANDBOX_MODE_NONE takes the settings' */
	bool keep;              /* it belongs to a session of agentd and outlives this connection */
	bool log_denials; /* without keep: report refused changes of files; a session's settings
			     say it */
};

/* *result borrows from the link until its next call. */
int bounds_open(struct broker *broker, const struct bounds_input *input,
		struct broker_ceiling_open_result *result, struct err *err) MUST_CHECK;
/* Sends only, for a caller that has more to send. */
int bounds_send(struct broker *broker, const struct bounds_input *input, int64_t *id,
		struct err *err) MUST_CHECK;
