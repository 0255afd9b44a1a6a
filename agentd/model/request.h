/*
 * request.h - what is sent to a server that speaks the Responses API: address, headers, body.
 *
 * Pure. The same request gives the same bytes, so that the server's prompt cache can work.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"

struct err;
struct model_request;
struct model_settings;

#define REQUEST_URL_MAX 8192U     /* bytes of the address with its parameters */
#define REQUEST_HEADER_MAX 16384U /* bytes of one header line */
#define REQUEST_SCHEMA_NAME "agentd_output_schema"

/* Header lines "Name: value". */
struct request_headers {
	char **lines;
	size_t count;
};

int request_url(struct buf *out, const struct model_settings *settings, struct err *err) MUST_CHECK;

/* Refuses names and values that would break the line: a key with a newline from a file, say. */
int request_headers(struct request_headers *out, const struct model_settings *settings,
		    const char *session_id, struct err *err) MUST_CHECK;
void request_headers_deinit(struct request_headers *headers);

int request_body(struct buf *out, const struct model_request *request, struct err *err) MUST_CHECK;

/* Whether a model of this name thinks before it answers, as far as names tell. */
bool request_model_reasons(const char *model);
