/*
 * driver.h - what a session has done for it by the event loop: asking the model, running commands,
 * talking to the broker.
 *
 * A table of functions, so that sessions and the methods of clients know nothing of the loop.
 * turn_uv.c fills it in.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "proto/wire/common_gen.h"

#include "agentd/session/approval.h"

struct attachment;
struct err;
struct session;

/* err: NULL, or why the session keeps what it had. Called from the loop, once, unless the session
 * closes first. */
typedef void session_adopted_fn(void *ctx, struct session *session, const struct err *err);

struct session_adopt {
	struct session *session;
	const char *ceiling;
	enum sandbox_mode mode; /* that it must have; SANDBOX_MODE_NONE: any */
	session_adopted_fn *done;
	void *ctx;
};

/* The event loop's side. */
struct session_driver {
	int (*open)(void *ctx, struct session *session, struct err *err);
	/* Ends everything that runs for it; afterwards the session is not touched any more. */
	void (*close)(void *ctx, struct session *session);
	/* Asks the broker about a ceiling and takes it over, see session_adopt. */
	int (*adopt)(void *ctx, const struct session_adopt *adopt, struct err *err);
	/* content: array of Responses content parts, shared. `from` is not shown its own words. */
	int (*prompt)(void *ctx, struct session *session, struct attachment *from, json_t *content,
		      json_t *output_schema, struct err *err);
	void (*cancel)(void *ctx, struct session *session);
	void (*answer)(void *ctx, struct approval *approval, enum approval_event event,
		       enum approval_outcome outcome, const struct approval_teller *teller);
	int64_t (*now_ms)(void *ctx); /* since 1970 */
	void *ctx;

	/* A turn is over and everybody was told; for the prompt that waits. Set by the api. */
	void (*finished)(void *finished_ctx, struct session *session, const struct err *failure);
	void *finished_ctx;
};
