/*
 * outgoing.h - everything that a call needs to send its request, however often. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"

#include "agentd/model/request.h"

struct err;
struct model_request;

struct outgoing {
	bool replay; /* which half of the rest is filled */
	char *provider;
	/* for a server */
	struct buf url;
	struct buf body;
	struct request_headers headers;
	char *ca_file; /* or NULL */
	char *env_key; /* or NULL */
	/* for a cassette */
	char *session_id;
	char *cassette;  /* or NULL */
	char *last_text; /* of the user, or NULL */
	size_t model_items;
};

/* Fills a zeroed struct; after a failure it can be, and has to be, deinitialised. */
int outgoing_init(struct outgoing *out, const struct model_request *request, struct err *err)
	MUST_CHECK;
void outgoing_deinit(struct outgoing *out);
