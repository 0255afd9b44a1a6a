/*
 * call_uv.h - one tool call in progress, as call_uv.c (its life), call_ask_uv.c (may it run?) and
 * call_run_uv.c (its tool) share it.
 *
 * A call belongs to its drive and lives until every call of the same answer has ended; the end of
 * the last one frees them all, so nothing touches a call after it has ended it.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/wire/codec.h"

#include "agentd/session/turn.h"
#include "agentd/tool/tool.h"

struct approval;
struct drive;
struct exec_call;
struct patch_run;

struct call {
	struct drive *drive;
	json_t *item; /* what `tool` borrows from */
	struct tool_call tool;
	enum call_state state;
	char *wrong;                 /* why it cannot even be judged; NULL when it can */
	struct exec_command command; /* of exec_command */
	bool has_command;
	char *cwd; /* where it works */
	char ceiling[WIRE_ID_MAX + 1];
	char grant[WIRE_ID_MAX + 1]; /* "" for inside the ceiling */
	struct approval *approval;   /* while somebody is asked */
	struct exec_call *exec;
	struct patch_run *patch;
	size_t output; /* its record in the log; SIZE_MAX: none */
};

/* The move; CALL_ACT_NONE: nothing is to be done. */
enum call_act call_take(struct call *call, enum call_event event);

/* Each ends the call with its one output, for the model and for clients (update, consumed). */
void call_end(struct call *call, json_t *update, const char *text, size_t len);
void call_end_without(struct call *call, const char *status, const char *text, size_t len);

/* The same for calls that have not run: moves them first. `why`: what the model reads. */
void call_refuse(struct call *call, const char *why); /* by policy */
void call_reject(struct call *call);                  /* by a person */
void call_fail(struct call *call, const char *why);

void call_judge(struct call *call);    /* call_ask_uv.c: run, ask, or refuse */
void call_withdraw(struct call *call); /* takes the question back */
void call_run(struct call *call);      /* call_run_uv.c: it was allowed */
