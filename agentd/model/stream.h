/*
 * stream.h - how an answer arrives, from a server or from a cassette.
 *
 * Called from the loop. Each of them may start and abort requests, this one included: after an
 * abort nothing more is called.
 */
#pragma once

#include <stddef.h>

struct stream_sink {
	/* Once, before data; not when there is no answer. retry_after: header, or NULL. */
	void (*head)(void *ctx, int status, const char *retry_after);
	void (*data)(void *ctx, const char *bytes, size_t size);
	/* Once and last: why the connection failed, or NULL when the answer is whole. */
	void (*end)(void *ctx, const char *why);
};
