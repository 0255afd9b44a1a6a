/*
 * model.h - one streamed answer of a language model, whatever it comes from.
 *
 * A call sends one request and yields events until exactly one of MODEL_COMPLETED or MODEL_FAILED,
 * which is the last. Broken streams are sent again by the call itself: MODEL_RETRYING says that
 * everything since the start of the call is void. Nothing here runs a tool, asks anybody, or keeps
 * history.
 *
 * Threads: the loop's only. The process ignores SIGPIPE. model_new() creates everything that a
 * locked-down process could not create later (wake-up sockets, TLS set-up), so call it before the
 * lockdown.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"

struct err;
struct model;          /* connections kept open, cassettes being played; one per daemon */
struct model_call;     /* one answer; belongs to struct model */
struct model_settings; /* settings.h */
struct uv_loop_s;

#define MODEL_REQUEST_MAX 67108864U /* bytes of one request body */

struct usage {
	int64_t input_tokens;
	int64_t cached_input_tokens;
	int64_t output_tokens;
	int64_t reasoning_output_tokens;
	int64_t total_tokens;
};

enum model_event_kind {
	MODEL_NOTHING,         /* never sent */
	MODEL_TEXT_DELTA,      /* text */
	MODEL_REASONING_DELTA, /* text: summary or raw reasoning, parts separated by a blank line */
	MODEL_ITEM_DONE, /* item: a finished message, reasoning or call, to be kept verbatim */
	MODEL_RETRYING,  /* attempt of attempts, message "Reconnecting... 1/5 (why)" */
	MODEL_COMPLETED, /* usage */
	MODEL_FAILED,    /* error, message */
	MODEL_EVENT_COUNT
};

/* Why a call failed, as far as somebody can act on it. */
enum model_error {
	MODEL_ERROR_NONE,
	MODEL_ERROR_CONTEXT,    /* the input exceeds the model's window: compact */
	MODEL_ERROR_QUOTA,      /* nothing left to spend, or a usage limit with a reset time */
	MODEL_ERROR_AUTH,       /* key missing, refused or not allowed to */
	MODEL_ERROR_REQUEST,    /* the server refuses the request as it is */
	MODEL_ERROR_OVERLOADED, /* the server is full */
	MODEL_ERROR_INCOMPLETE, /* the server ended the answer early */
	MODEL_ERROR_NETWORK,    /* not reached, or cut off, too often */
	MODEL_ERROR_SERVER,     /* the server failed, too often */
	MODEL_ERROR_INTERNAL,   /* no memory, or a limit of this program */
	MODEL_ERROR_COUNT
};

/* Everything in it is borrowed for the call of the function, `item` may be increfed and kept. */
struct model_event {
	enum model_event_kind kind;
	const char *text; /* UTF-8, ends in a NUL or not: use text_len */
	size_t text_len;
	int64_t output_index; /* which item of the answer a delta belongs to; -1 when not told */
	json_t *item;
	struct usage usage;
	int attempt; /* MODEL_RETRYING: the n-th retry of at most `attempts` */
	int attempts;
	size_t items_done; /* MODEL_RETRYING: items yielded by what is void now */
	enum model_error error;
	const char *message;
};

/* May cancel the call, and may start others. */
typedef void model_event_fn(void *ctx, const struct model_event *event);

/* One line of a cassette without its newline: one finished exchange (see cassette.h). */
typedef void model_record_fn(void *ctx, const char *line);

/* All borrowed for model_start() only, but for `record_ctx`. */
struct model_request {
	const char *session_id;
	const char *const *items; /* first part of the input: items as compact JSON texts */
	size_t item_count;
	json_t *input; /* second part of the input: array of items; or NULL */
	const char *instructions;
	json_t *tools;         /* array, or NULL */
	json_t *output_schema; /* or NULL */
	const struct model_settings *settings;
	model_record_fn *record; /* or NULL */
	void *record_ctx;
};

int model_new(struct model **out, struct uv_loop_s *loop, struct err *err) MUST_CHECK;

/* Cancels every call; frees itself once the loop has closed what belongs to it. Accepts NULL. */
void model_close(struct model *model);

/*
 * NULL and err when the request cannot even be tried (no key, bad URL, too large). No event is sent
 * from inside this function. A session that has begun to act on finished items and then is told
 * MODEL_RETRYING cancels, and starts a new call with those items in the input.
 */
struct model_call *model_start(struct model *model, const struct model_request *request,
			       model_event_fn *fn, void *ctx, struct err *err) MUST_CHECK;

/* No event after it. Not after MODEL_COMPLETED or MODEL_FAILED: the call is gone then. */
void model_cancel(struct model_call *call);

const char *model_error_name(enum model_error error); /* "context", "quota", ... */
