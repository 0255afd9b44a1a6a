/*
 * desk_uv.h - one session at a terminal: shows what happens, takes prompts and answers, leaves when
 * told to.
 *
 * Line-oriented: what is typed is read a line at a time, and nothing is answered by default. When a
 * question comes, what was typed before it is discarded, so that a line meant for something else
 * cannot answer it.
 */
#pragma once

#include <stdbool.h>

#include "proto/base/attr.h"

#include "client/approval.h"
#include "client/talk_uv.h"

struct desk;
struct err;

#define DESK_QUEUE_MAX 16   /* prompts typed while a turn runs */
#define DESK_LINE_MAX 65536 /* bytes of one typed line */

struct desk_input {
	struct talk_input talk;
	const char *program;         /* "agent attach", for sentences */
	const char *prompt;          /* sent when joined; NULL for none */
	const struct images *images; /* with that prompt; NULL for none */
	const char *prefix;          /* before each line; NULL for none */
	const char *record_file;     /* NULL for none */
	bool color;
	bool whole_lines;
	bool terminal;   /* standard input is one: prompts and answers are read from it */
	bool until_idle; /* ends with the first turn */
	void (*joined)(void *ctx,
		       const char *session_id); /* NULL, or: once, before the prompt is sent */
	enum approval_answer stand_in;          /* without a terminal: what is answered, aloud */
};

/* ended: runs once, when nothing more will happen; then desk_close() is due. exit_code as in
 * command.h. */
typedef void desk_ended_fn(void *ctx, struct desk *desk, int exit_code);

int desk_open(struct desk **out, const struct desk_input *input, desk_ended_fn *ended, void *ctx,
	      struct err *err) MUST_CHECK;
void desk_close(struct desk *desk); /* accepts NULL; freed by the loop */
const char *desk_session(const struct desk *desk);

/* What the signals of a terminal mean. */
void desk_interrupt(struct desk *desk);
void desk_leave(struct desk *desk);

/* A desk with a loop of its own and the signals of the terminal, until it has ended. */
int desk_run(const struct desk_input *input); /* in desk_run_uv.c */
