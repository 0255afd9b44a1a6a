/*
 * show.h - what clients see of a session: records of the log and live text as lines of the agent
 * socket.
 *
 * Pure. Each function appends whole messages (`session/update` notifications), each with its
 * newline. A message is at most about SHOW_LINE_MAX bytes; longer text is split into several chunks
 * of the same message.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"

#include "agentd/session/record.h"

struct buf;
struct err;

#define SHOW_CHUNK_MAX 65536 /* bytes of text in one chunk, before escaping */
#define SHOW_LINE_MAX 983040 /* bytes of one message: below what a line of the socket may have */

enum show_kind {
	SHOW_NONE,
	SHOW_USER,    /* user_message_chunk */
	SHOW_MESSAGE, /* agent_message_chunk */
	SHOW_THOUGHT, /* agent_thought_chunk */
	SHOW_KIND_COUNT
};

/* Words of a message. `item` names it: clients put chunks of the same one together. */
struct show_words {
	enum show_kind kind;
	int64_t item;
	const char *text; /* len bytes */
	size_t len;
};
int show_text(struct buf *out, const char *session_id, const struct show_words *words,
	      struct err *err) MUST_CHECK;

/* Any update object, as ACP spells it. */
int show_update(struct buf *out, const char *session_id, const json_t *update, struct err *err)
	MUST_CHECK;

/* Live output of a tool call. */
int show_output(struct buf *out, const char *session_id, const char *call_id, const char *text,
		size_t len, struct err *err) MUST_CHECK;

/* A record of the log. Those that are not for clients yield nothing. */
struct show_source {
	enum record_kind kind;
	int64_t item;
	const char *payload; /* payload_len bytes */
	size_t payload_len;
	size_t already; /* bytes of the message's text that the client has got live */
};
int show_record(struct buf *out, const char *session_id, const struct show_source *source,
		struct err *err) MUST_CHECK;

/* The text of a message or of a reasoning's summary, appended; SHOW_NONE for other items. */
int show_item_text(struct buf *out, const json_t *item, enum show_kind *kind, struct err *err)
	MUST_CHECK;
