/*
 * answer.h - what a turn leaves in the log: its beginning, the person's words, the model's answers,
 * its end.
 *
 * Pure but for the log itself. An answer is kept only when it is whole, so that nothing of a stream
 * that broke is ever in the log, or acted on.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "proto/base/attr.h"

struct attachment;
struct err;
struct model_settings;
struct session;
struct usage;

#define ANSWER_CALLS_MAX 128         /* calls in one answer of the model */
#define ANSWER_WINDOW_DEFAULT 272000 /* tokens; shown where model_context_window is not set */

struct answer_turn {
	const char *id;
	const struct model_settings *model;
	json_t *content;         /* of the prompt: array of content parts, shared */
	struct attachment *from; /* is not shown its own words; or NULL */
};

/* The transcript, with a title from the first prompt, unless there is one. */
int answer_begin(struct session *session, const json_t *content, struct err *err) MUST_CHECK;
int answer_open_turn(struct session *session, const struct answer_turn *turn, struct err *err)
	MUST_CHECK;
int answer_prompt(struct session *session, const struct answer_turn *turn, struct err *err)
	MUST_CHECK;

/* A whole answer. Calls are appended to `calls`. */
int answer_keep(struct session *session, const json_t *items, const struct usage *usage,
		json_t *calls, struct err *err) MUST_CHECK;

/* failure: the sentence, of a turn that has failed. */
int answer_close_turn(struct session *session, const char *turn_id, const char *failure,
		      struct err *err) MUST_CHECK;
