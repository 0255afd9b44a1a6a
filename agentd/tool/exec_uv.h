/*
 * exec_uv.h - running commands, and the process sessions that outlive the call that started them.
 *
 * One struct exec_host per session of the person. The child's output comes straight to this file
 * (one pipe for both streams, or a pty), is kept as head and tail up to a ceiling and handed on
 * live; no amount of output grows the memory. A call ends when the command has ended and everything
 * that it wrote is read, or when its yield time is over; then the command goes on as a numbered
 * session for write_stdin.
 *
 * Decides nothing about permission: whoever calls has asked policy.h, and has the grant if one was
 * needed. Callbacks run from the loop, never from inside the function that started the call.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"

struct broker_link;
struct err;
struct exec_args;
struct exec_call; /* one model call in progress; gone after its done callback */
struct exec_command;
struct exec_host;
struct stdin_args;
struct uv_loop_s;

#define EXEC_SESSIONS_MAX 64  /* commands at once; the longest unused is killed for a new one */
#define EXEC_SESSIONS_WARN 60 /* from here on the model is told */
#define EXEC_DELTAS_MAX 10000 /* live pieces of output of one call; later ones are not sent */
#define EXEC_DELTA_BYTES 8192 /* at most, of one piece, before bad bytes are replaced */

/* How a call ended; borrowed for the callback. */
struct exec_outcome {
	const char *text; /* the whole output item for the model */
	size_t text_len;
	const char *output; /* what the command printed in this call, cut to the usual limit */
	size_t output_len;
	bool started; /* false: the broker could not start it; text says why */
	bool running; /* goes on as session_id */
	int64_t session_id;
	int exit_code; /* when it has ended; 128 + signal */
	uint64_t duration_ms;
	json_t *denied; /* of a command that failed, see denied.h; text has it too. NULL: nothing */
};

/* A piece of live output: whole UTF-8 characters. */
typedef void exec_output_fn(void *ctx, const char *text, size_t len);
typedef void exec_done_fn(void *ctx, const struct exec_outcome *outcome);
/* A sentence for the model and the clients: too many sessions. */
typedef void exec_notice_fn(void *ctx, const char *text);

struct exec_watch {
	exec_output_fn *output; /* may be NULL */
	exec_done_fn *done;
	void *ctx;
};

/* notice may be NULL. The link and the loop outlive the host. */
int exec_host_new(struct exec_host **out, struct uv_loop_s *loop, struct broker_link *link,
		  exec_notice_fn *notice, void *ctx, struct err *err) MUST_CHECK;

/* Kills every command; no callback runs after it. Frees itself once the loop has closed what
 * belongs to it. Accepts NULL. */
void exec_host_close(struct exec_host *host);

/* Kills every command that no call waits for. */
void exec_host_stop(struct exec_host *host);
size_t exec_host_count(const struct exec_host *host); /* commands running or not yet collected */

/* Borrowed for exec_start() only. */
struct exec_request {
	const char *ceiling;
	const char *grant; /* NULL, or: run the record stored under it */
	const struct exec_command *command;
	const struct exec_args *args;
};

/*
 * NULL and err when not even the pipes could be made; a refusal by the broker arrives as done with
 * started false.
 */
struct exec_call *exec_start(struct exec_host *host, const struct exec_request *request,
			     const struct exec_watch *watch, struct err *err) MUST_CHECK;

/* write_stdin, or a poll. NULL and err (the sentence is the output for the model) when there is no
 * such session, or another call waits for it. */
struct exec_call *exec_write(struct exec_host *host, const struct stdin_args *args,
			     const struct exec_watch *watch, struct err *err) MUST_CHECK;

/* The turn is interrupted: kills the command that this call started (a write or poll leaves it
 * running). No callback after it. */
void exec_cancel(struct exec_call *call);
