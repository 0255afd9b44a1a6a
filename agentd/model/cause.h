/*
 * cause.h - what a broken answer means: try the request again, the stream, or give up.
 *
 * Pure; the wall clock comes in as a number. What nobody thought of is fatal.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

#include "agentd/model/model.h"

#define CAUSE_WAIT_MAX_MS 3600000 /* a server that asks for more is not waited for */
#define CAUSE_BODY_SHOWN 300      /* bytes of an error body that is not JSON in the sentence */

enum cause_kind {
	CAUSE_FATAL,
	CAUSE_REQUEST, /* worth the same request again: nothing of an answer has come */
	CAUSE_STREAM,  /* worth a new stream */
	CAUSE_KIND_COUNT
};

struct cause {
	enum cause_kind kind;
	enum model_error error; /* what it is called if it ends the call */
	int64_t wait_ms;        /* as the server asked; -1: back off */
	char text[ERR_TEXT_MAX];
};

/* An answer other than 2xx. */
struct cause_answer {
	int status;
	const char *body; /* its beginning */
	size_t body_len;
	const char *retry_after; /* header, or NULL */
	int64_t now_s;           /* seconds since 1970 */
	const char *env_key; /* names the variable in the sentence about a refused key; or NULL */
	const char *provider;
};

void cause_from_answer(struct cause *out, const struct cause_answer *answer);

/* No answer at all: not resolved, not connected, TLS refused, closed before the first byte. */
void cause_from_transport(struct cause *out, const char *why);

/* The stream ended, with why or (NULL) in good order, before response.completed. */
void cause_from_cut(struct cause *out, const char *why);
void cause_from_idle(struct cause *out, int64_t idle_ms);

/* response.failed or error, response.incomplete. */
void cause_from_failed(struct cause *out, const char *code, const char *message);
void cause_from_incomplete(struct cause *out, const char *reason);

/* A failure of this program, such as a limit of its own: fatal. */
void cause_from_err(struct cause *out, const struct err *err);

/* Seconds or an HTTP date as milliseconds from now; -1 when it is neither. */
int64_t cause_retry_after_ms(const char *text, int64_t now_s);

/* "... try again in 1.5s ...", "... 20ms": milliseconds; -1 when the text does not say. */
int64_t cause_try_again_ms(const char *message);
