/*
 * desk_part.h - what the files of a desk share: its state, and the steps that all of them take.
 *
 * Private to desk_uv.c (beginning, end, what is typed), desk_show.c (what happens) and desk_ask.c
 * (questions).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "proto/base/buf.h"
#include "proto/base/list.h"
#include "proto/wire/codec.h"

#include "client/desk_uv.h"
#include "client/text.h"
#include "client/view.h"

#define DESK_OUTPUT_MAX 8388608 /* bytes shown for one event */
#define DESK_NAME_MAX 100       /* bytes of a client's name that are shown */

/* A client that was there when the list last changed. */
struct seen {
	char id[WIRE_ID_MAX + 1];
	char name[DESK_NAME_MAX + 1];
};

struct desk {
	struct desk_input input;
	struct talk *talk;
	struct view view;
	struct text text;
	desk_ended_fn *ended;
	void *ctx;
	uv_poll_t stdin_poll; /* these two point back here; the last one closed frees */
	uv_timer_t ending;    /* tells the owner from the loop, not from inside an event */
	unsigned handles;     /* open ones */
	int exit_code;
	struct buf line;
	struct list questions; /* of struct waiting, in the order in which they came */
	struct talk_question *shown;
	char *queue[DESK_QUEUE_MAX];
	size_t queue_count;
	enum agent_session_state state;
	struct seen seen[AGENT_CLIENTS_MAX];
	size_t seen_count;
	bool clients_known;
	bool joined;
	bool prompting;  /* an own prompt is under way */
	bool turn_shown; /* how that turn ended has been said */
	bool mark;       /* the prompt mark stands at the beginning of the line */
	bool over;
	bool closed;
	int record_fd;
};

/* A question that waits behind the one that is shown. */
struct waiting {
	struct list node;
	struct talk_question *question;
};

/* Ends the desk: nothing more is shown or read, and the owner is told from the loop. */
void desk_end(struct desk *desk, int exit_code);

/* Shows, and ends the desk when that fails: a terminal that is gone reads nothing. */
void desk_show(struct desk *desk, const struct buf *out);
/* The same for a line that the person is to continue. */
void desk_show_open(struct desk *desk, const struct buf *out);
/* Something else than the prompt is about to be written. */
void desk_leave_mark(struct desk *desk);
/* A line of our own. */
void desk_say(struct desk *desk, enum agent_notice_level level, const char *sentence);

bool desk_at_rest(const struct desk *desk); /* nothing runs, nothing is asked */
void desk_send_prompt(struct desk *desk, const char *text, const struct images *images);
/* When at rest: the next queued prompt, or the mark that asks for one. */
void desk_ready(struct desk *desk);

/* Questions: one is shown at a time. */
void desk_asked(void *ctx, struct talk_question *question); /* of struct talk_events */
void desk_resolved(void *ctx, const struct agent_permission_resolved *resolved,
		   const struct talk_question *question);         /* of struct talk_events */
void desk_ask(struct desk *desk);                                 /* the line that asks, again */
void desk_answer(struct desk *desk, enum approval_answer answer); /* the one that is shown */
void desk_forget(struct desk *desk, const struct talk_question *question); /* NULL: all that wait */

extern const struct talk_events desk_events; /* what happens, in desk_show.c */
