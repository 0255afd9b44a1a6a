/*
 * turn.h - what happens next in a turn, and in each of its tool calls.
 *
 * Pure: two tables of moves. The driver (turn_uv.c) tells what happened and does what it is told;
 * time and cancelling are events like any other. A pair that is not in the table is ERR_STATE and
 * changes nothing.
 *
 *   idle -prompt-> preparing -ready-> thinking -answer-> saving -saved-> idle
 *                                     ^   | calls
 *                        all calls done   v
 *                                    working -cancel-> stopping -all calls done, time-> saving
 *
 *   judging -ask-> waiting -run-> running -result-> done
 *      \-run----------------------^  \-cancel-> stopping -result, time-> done
 *      \-refuse-> done
 */
#pragma once

#include <stddef.h>

#include "proto/base/attr.h"

struct err;

enum turn_state {
	TURN_NONE,      /* no such state: takes nothing */
	TURN_IDLE,      /* waits for a prompt */
	TURN_PREPARING, /* collects what the first request needs */
	TURN_THINKING,  /* the model answers */
	TURN_WORKING,   /* calls of the last answer are judged, asked for, running */
	TURN_STOPPING,  /* cancelled or failed: the calls are being ended */
	TURN_SAVING,    /* everything is in the transcript, which goes to the disk */
	TURN_STATE_COUNT
};

enum turn_event {
	TURN_ON_NONE,
	TURN_ON_PROMPT,
	TURN_ON_READY,      /* the first request can be made */
	TURN_ON_RETRY,      /* the model's stream broke and begins anew */
	TURN_ON_ANSWER,     /* the model is done and wants nothing */
	TURN_ON_CALLS,      /* the model is done and wants calls */
	TURN_ON_CALL_DONE,  /* one of several */
	TURN_ON_CALLS_DONE, /* the last one */
	TURN_ON_FAIL,
	TURN_ON_CANCEL,
	TURN_ON_TIME,  /* the calls had long enough to end */
	TURN_ON_SAVED, /* or saving failed, which the outcome says */
	TURN_EVENT_COUNT
};

/* What the driver must do now. */
enum turn_act {
	TURN_ACT_NONE,
	TURN_ACT_PREPARE,
	TURN_ACT_ASK_MODEL,
	TURN_ACT_DROP_PARTIAL, /* what the broken stream said is void */
	TURN_ACT_START_CALLS,
	TURN_ACT_STOP_PREPARING, /* stop, then save */
	TURN_ACT_STOP_MODEL,     /* stop, then save */
	TURN_ACT_STOP_CALLS,     /* cancel each call; a deadline runs */
	TURN_ACT_ABANDON_CALLS,  /* forget those that are left, then save */
	TURN_ACT_SAVE,
	TURN_ACT_FINISH, /* tell everybody */
	TURN_ACT_COUNT
};

enum turn_outcome {
	TURN_OPEN, /* nothing has decided it */
	TURN_COMPLETED,
	TURN_INTERRUPTED,
	TURN_FAILED,
	TURN_OUTCOME_COUNT
};

struct turn {
	enum turn_state state;
	enum turn_outcome outcome; /* of the turn in progress, or of the last one */
	size_t calls_open;
};

void turn_init(struct turn *turn);

/* The first event that ends the turn decides its outcome, but for a failure to save. */
int turn_step(struct turn *turn, enum turn_event event, enum turn_act *out_act, struct err *err)
	MUST_CHECK;

/* TURN_ON_CALLS with the number of calls (at least one). */
int turn_step_calls(struct turn *turn, size_t count, enum turn_act *out_act, struct err *err)
	MUST_CHECK;

/* One call has its output: TURN_ON_CALL_DONE or TURN_ON_CALLS_DONE. */
int turn_step_call_done(struct turn *turn, enum turn_act *out_act, struct err *err) MUST_CHECK;

enum call_state {
	CALL_NONE,
	CALL_JUDGING,  /* policy is being asked */
	CALL_WAITING,  /* people are being asked */
	CALL_RUNNING,  /* the tool works */
	CALL_STOPPING, /* the tool is being ended */
	CALL_DONE,     /* has its one output */
	CALL_STATE_COUNT
};

enum call_event {
	CALL_ON_NONE,
	CALL_ON_RUN,    /* allowed */
	CALL_ON_ASK,    /* somebody must be asked */
	CALL_ON_REFUSE, /* by policy, by a person, or because it cannot be tried */
	CALL_ON_RESULT, /* the tool is done */
	CALL_ON_CANCEL,
	CALL_ON_TIME, /* ending took too long */
	CALL_EVENT_COUNT
};

enum call_act {
	CALL_ACT_NONE,
	CALL_ACT_RUN,
	CALL_ACT_ASK,
	CALL_ACT_REFUSED,  /* the output says why */
	CALL_ACT_DELIVER,  /* the output is the tool's */
	CALL_ACT_WITHDRAW, /* take the question back; the output is 'aborted' */
	CALL_ACT_KILL,
	CALL_ACT_ABORTED, /* the output is 'aborted' */
	CALL_ACT_COUNT
};

int call_step(enum call_state *state, enum call_event event, enum call_act *out_act,
	      struct err *err) MUST_CHECK;

const char *turn_state_name(enum turn_state state);
const char *turn_outcome_name(enum turn_outcome outcome); /* "completed", "interrupted", "failed" */
