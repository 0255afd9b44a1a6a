/*
 * talk_uv.h - one session as a client sees it: joining it, prompting, what happens in it, and its
 * questions.
 *
 * Decodes what comes from agentd and hands it on; prints nothing and decides nothing. Authority
 * goes another way: the ceiling that a session gets was opened at the broker, and what a question
 * asks is read at the broker and answered there with its seal before agentd is told. Events borrow
 * for the call, except questions, which live until they are answered, resolved elsewhere, or the
 * talk ends.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "proto/base/attr.h"
#include "proto/base/list.h"
#include "proto/wire/agent_gen.h"
#include "proto/wire/arena.h"
#include "proto/wire/broker_gen.h"

#include "client/approval.h"

struct broker;
struct err;
struct images;
struct options;
struct setup;
struct talk;
struct uv_loop_s;

enum talk_how {
	TALK_NEW,    /* a new session */
	TALK_RESUME, /* continue one under this client's own settings; its past is not shown */
	TALK_ATTACH, /* join one as it is, with its past; one that nobody has settings for gets this
			client's */
	TALK_OBSERVE /* the same, and only look */
};

struct talk_input {
	struct uv_loop_s *loop;
	const struct setup *setup;
	const struct options *options; /* of TALK_ATTACH: for the session's own folder */
	struct broker *broker;
	enum talk_how how;
	const char *session_id; /* of all but TALK_NEW */
	const char *name;       /* of this client, shown to others */
	bool exec;              /* for the choice of variables */
	bool record;
	bool ephemeral;
	bool ignore_user_config;
};

/* A question of the agent. Owned by the talk. */
struct talk_question {
	struct list node; /* of the talk's open ones */
	json_t *id;
	json_t *params;
	struct arena arena;
	struct agent_session_request_permission request; /* borrows from params and arena */
	const char *key;   /* names it in permission_resolved; may be "" */
	const char *grant; /* the broker's record; NULL when nothing exceeds the ceiling */
	char *seal;        /* of the record as it was shown; NULL before */
};

/* What is known when a session was joined. Members may be NULL. */
struct talk_joined {
	const char *session_id;
	const struct agent_session_info *info;
	const struct broker_policy *policy; /* of the ceiling; NULL: nobody has opened one */
	enum agent_session_state state;
};

struct talk_events {
	void (*joined)(void *ctx, const struct talk_joined *joined);
	void (*update)(void *ctx, const struct agent_update *update);
	void (*notice)(void *ctx, const struct agent_notice *notice);
	void (*asked)(void *ctx, struct talk_question *question);
	/* question: NULL when this client does not hold it; freed after the call. */
	void (*resolved)(void *ctx, const struct agent_permission_resolved *resolved,
			 const struct talk_question *question);
	void (*clients)(void *ctx, const struct agent_clients_changed *changed);
	void (*state)(void *ctx, enum agent_session_state state);
	void (*recorded)(void *ctx, const char *line);
	void (*turn_ended)(void *ctx, const struct agent_turn_completed *turn);
	void (*answered)(void *ctx,
			 const struct err *err); /* the prompt; err is NULL when all went well */
	void (*failed)(void *ctx,
		       const struct err *err); /* it cannot be joined, or the link has ended */
};

int talk_open(struct talk **out, const struct talk_input *input, const struct talk_events *events,
	      void *ctx, struct err *err) MUST_CHECK;
void talk_close(
	struct talk *talk); /* accepts NULL; no event runs after it, open questions are dropped */

const char *talk_session(const struct talk *talk); /* "" before it was joined */

/* Everything is borrowed; images and schema may be NULL. */
struct talk_prompt {
	const char *text;
	const struct images *images;
	json_t *schema;
};
int talk_prompt(struct talk *talk, const struct talk_prompt *prompt, struct err *err) MUST_CHECK;
int talk_cancel(struct talk *talk, struct err *err) MUST_CHECK;
/* Ends the session in agentd, for everybody; nothing is answered. */
int talk_end(struct talk *talk, struct err *err) MUST_CHECK;

/* Reads the record that a question is about; *out borrows from the broker's link until its next
 * call. */
int talk_record(struct talk *talk, struct talk_question *question, struct broker_grant_record *out,
		struct err *err) MUST_CHECK;
/* Answers at the broker, then agentd; frees the question. ERR_STATE: somebody was faster. */
int talk_answer(struct talk *talk, struct talk_question *question, enum approval_answer answer,
		struct err *err) MUST_CHECK;
