/*
 * http_uv.h - POST a body, get the answer's bytes as they come: libcurl on the libuv loop.
 *
 * The only file that knows curl. It keeps connections open between requests, verifies TLS, follows
 * no redirect (a key would follow it), and takes proxies from the environment as curl does. It
 * knows nothing of models. Whatever a locked-down process could not make later is made by
 * http_new(): afterwards only inet sockets, threads and stream socket pairs are created.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"

struct err;
struct http;      /* the connections; one per daemon */
struct http_call; /* one request */
struct stream_sink;
struct uv_loop_s;

#define HTTP_CONNECT_MS 15000    /* time to get a connection, name look-up and TLS included */
#define HTTP_CONNECTIONS_KEPT 16 /* idle ones */
#define HTTP_HEADER_KEPT 256U    /* bytes of a header value that is kept */
#define HTTP_PENDING_MAX 262144U /* bytes of an answer held before the socket has to wait */
#define HTTP_DRAIN_MS 2000       /* at most, for the end of an answer nobody waits for */
#define HTTP_DRAIN_BYTES_MAX 65536U

/* Borrowed until the request has ended, or http_abort(). `body` until then even after a drain. */
struct http_request {
	const char *url;
	char *const *headers; /* lines "Name: value" */
	size_t header_count;
	const char *body;
	size_t body_size;
	const char *ca_file; /* instead of the system's; or NULL */
};

/* Before any lockdown: nothing like it can be made after it. */
int http_new(struct http **out, struct uv_loop_s *loop, struct err *err) MUST_CHECK;

/* Ends every request without a word and frees itself when the loop has closed its handles. */
void http_close(struct http *http);

/* The sink is called from the loop, never from inside this function. */
struct http_call *http_send(struct http *http, const struct http_request *request,
			    const struct stream_sink *sink, void *ctx, struct err *err) MUST_CHECK;

/* No sink call after it. Not after `end`. */
void http_abort(struct http_call *call);

/*
 * The rest of the answer is of no interest, but the connection is: only `end` comes, soon, and the
 * request must stay until then.
 */
void http_drain(struct http_call *call);
