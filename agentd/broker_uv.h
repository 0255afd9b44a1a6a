/*
 * broker_uv.h - the link to the broker: everything that agentd cannot do itself is asked for here.
 *
 * One link per daemon, over the socket pair that the broker made when it started agentd; there is
 * no second way to get one. Requests carry ids and are answered in any order; callbacks run from
 * the event loop, never from inside the call that asked. `ctx` names the asker: after
 * broker_child_forget() or broker_grant_cancel() with that ctx no callback of it runs any more.
 * Never waits, never retries, never decides. When the broker closes, the link calls its gone
 * function once and every later request fails with ERR_GONE.
 *
 * Call order of one command: started (with a name) and then, exactly once, exited; or started with
 * NULL and an error, and then nothing. Whatever a broker_child_spec points to is borrowed for the
 * call only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/wire/broker_gen.h"
#include "proto/wire/common_gen.h"

struct err;
struct uv_loop_s;
struct broker_link;

#define BROKER_LINK_PENDING_MAX 512 /* requests without an answer; one more is ERR_LIMIT */
#define BROKER_LINK_OUT_MAX                                                                        \
	1024 /* packets that the socket did not take yet; one more is ERR_LIMIT */

struct broker_child_spec {
	const char *ceiling;
	const char *grant; /* NULL, or: run the stored record; argv, cwd and env must be empty */
	const char *const *argv; /* argc entries; no NULL at the end needed */
	size_t argc;
	const char *cwd;        /* NULL: the ceiling's folder */
	const char *const *env; /* NAME=value sets, NAME= removes */
	size_t envc;
	int stdio[3]; /* the child's ends; closed by the call, whatever it returns */
};

struct broker_grant_spec {
	const char *ceiling;
	const char *const *argv;
	size_t argc;
	const char *cwd;
	const char *const *env;
	size_t envc;
	enum sandbox_mode mode;
	bool network;
	const char *input; /* NULL, or the standard input to store with the grant */
	size_t input_len;
	const char *reason; /* NULL, or the model's justification */
};

/* child: NULL on failure, with err; otherwise err is NULL and the name is valid during the call
 * only. */
typedef void broker_started_fn(void *ctx, const char *child, const struct err *err);

/* How it ended, and what the sandbox refused it; borrowed. The whole tree is gone by then. */
typedef void broker_exited_fn(void *ctx, const struct broker_child_exited *exited);

/*
 * Called with BROKER_GRANT_STATE_PENDING first and then with the answer; or once, when an earlier
 * decision covers it. grant is NULL and err set when the broker refused to store it; that call is
 * the last one too.
 */
typedef void broker_grant_fn(void *ctx, const char *grant, enum broker_grant_state state,
			     enum decision decision, const struct err *err);

/* result is borrowed and NULL on failure, when err is set. */
typedef void broker_answer_fn(void *ctx, const struct broker_ceiling_show_result *result,
			      const struct err *err);

/* Why the link ended; called once. */
typedef void broker_gone_fn(void *ctx, const struct err *err);

/* Takes over fd (closed on failure too). The link lives in loop until broker_link_close() has run
 * its course. */
int broker_link_new(struct broker_link **out, struct uv_loop_s *loop, int fd, broker_gone_fn *gone,
		    void *gone_ctx, struct err *err);
void broker_link_close(struct broker_link *link); /* idempotent; no callback runs after it */

/* Blocking, before the loop runs: hello; then, when clients may come, daemon/ready. */
int broker_link_greet(struct broker_link *link, struct err *err);
int broker_link_ready(struct broker_link *link, struct err *err);

int broker_child_start(struct broker_link *link, const struct broker_child_spec *spec,
		       broker_started_fn *started, broker_exited_fn *exited, void *ctx,
		       struct err *err);

/* Drops ctx's callbacks. A command that runs goes on unless it was killed; one that is only being
 * started is killed. */
void broker_child_forget(struct broker_link *link, void *ctx);
int broker_child_kill(struct broker_link *link, const char *child, int signal, struct err *err);

int broker_grant_request(struct broker_link *link, const struct broker_grant_spec *spec,
			 broker_grant_fn *fn, void *ctx, struct err *err);

/* Withdraws ctx's grant, asked for or stored, unless it was used; fn is not called any more. */
void broker_grant_cancel(struct broker_link *link, void *ctx);

int broker_ceiling_show(struct broker_link *link, const char *ceiling, broker_answer_fn *fn,
			void *ctx, struct err *err);
void broker_ceiling_forget(struct broker_link *link, void *ctx); /* fn of ctx runs no more */
void broker_ceiling_close(struct broker_link *link, const char *ceiling);
