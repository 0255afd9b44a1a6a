/*
 * json.h - what happens in a turn as the JSON lines of 'agent exec --json'.
 *
 * Pure. The vocabulary is that of the Codex SDK: thread.started, turn.started, item.started,
 * item.updated, item.completed, turn.completed, turn.failed, error. Items are numbered in the order
 * in which they began.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/wire/agent_gen.h"

struct err;

#define JSON_TOOLS_MAX 512        /* calls open at once */
#define JSON_MESSAGE_MAX 16777216 /* bytes of one message of the model */

/* A tool call whose end has not come. */
struct json_tool {
	char *id; /* NULL: free place */
	size_t number;
	json_t *item; /* as it was started */
};

struct json_stream {
	size_t next; /* number of the next item */
	enum agent_update_kind
		open; /* the message being collected: message or thought; NONE for none */
	char *message_id;
	struct buf message;
	char *final_message; /* the last message of the model; NULL before there is one */
	bool plan_open;
	size_t plan_number;
	json_t *plan; /* the item as it was last sent */
	struct json_tool tools[JSON_TOOLS_MAX];
};

void json_stream_init(struct json_stream *stream);
void json_stream_deinit(struct json_stream *stream);

/* Each appends whole lines, perhaps none. */
int json_thread_started(struct buf *out, const char *thread_id, struct err *err) MUST_CHECK;
int json_turn_started(struct buf *out, struct err *err) MUST_CHECK;
int json_update(struct json_stream *stream, const struct agent_update *update, struct buf *out,
		struct err *err) MUST_CHECK;
int json_error(struct buf *out, const char *message, struct err *err) MUST_CHECK;
/* An item of its own: a warning that does not end the turn. */
int json_warning(struct json_stream *stream, const char *message, struct buf *out, struct err *err)
	MUST_CHECK;
/* Completes what is open, then turn.completed or turn.failed. */
int json_turn_ended(struct json_stream *stream, const struct agent_turn_completed *turn,
		    struct buf *out, struct err *err) MUST_CHECK;
