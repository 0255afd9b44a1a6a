/*
 * drive_uv.h - what turn_uv.c and call_uv.c share: the things of the event loop that belong to one
 * session.
 *
 * struct drive belongs to its session and outlives it only until its handles have closed; `session`
 * is NULL by then. A struct call lives from the model's answer until every call of that answer has
 * its output.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/base/list.h"

#include "agentd/model/model.h"
#include "agentd/model/settings.h"
#include "agentd/session/session.h"
#include "agentd/session/turn.h"
#include "agentd/session/turn_uv.h"
#include "agentd/tool/tool.h"

#define DRIVE_STOP_MS                                                                              \
	5000 /* what an edit that has begun is given to end when the turn is interrupted */
#define CALLS_AT_ONCE_MAX 16     /* of one answer; the others begin as these end */
#define DRIVE_REQUESTS_MAX 10000 /* requests to the model in one turn */
#define DRIVE_RETIRED_MAX 16     /* ceilings that a running command may still live in */

struct turn_host {
	struct turn_place place;
	struct list drives;
	bool closing;
};

struct drive {
	struct turn_host *host;
	struct session *session;
	struct list node; /* of host->drives */

	/* the model */
	struct model_call *asking;
	struct model_settings settings;
	bool settings_made;
	json_t *items; /* finished items of the answer that is streaming */
	json_t *output_schema;
	json_t *content;         /* of the prompt */
	struct attachment *from; /* during the prompt only */
	size_t requests;

	/* its calls */
	struct exec_host *exec; /* NULL before the first command; see drive_exec() */
	struct tool_settings tools;
	struct call *calls;
	size_t call_count;
	size_t call_next; /* the first that was not judged yet */

	/* the end */
	char turn_id[UUID_SIZE];
	struct err failure; /* why the turn fails; the first reason counts */
	enum model_error failure_kind;

	struct list adoptions; /* ceilings being asked about */
	json_t *retired;       /* ceilings whose commands may still run */
};

/* Where commands of this session run; made when the first one does. NULL and err on failure. */
struct exec_host *drive_exec(struct drive *drive, struct err *err);

/* Questions whose teller is waited for: calls_teller_time() in APPROVAL_TELLER_MS. */
void drive_wait_teller(struct drive *drive);

/* An event of the turn; does what follows from it. Failing is an event like others: see
 * drive_fail(). */
void drive_event(struct drive *drive, enum turn_event event);
void drive_fail(struct drive *drive, const struct err *err);

/*
 * call_uv.c: the calls of an answer. Prepared (shown, decoded), started (as many as may run at
 * once, and further ones whenever one has ended), and ended one by one with drive_call_done();
 * calls_end() puts their outputs into the history, in the order of the calls.
 */
int calls_prepare(struct drive *drive, json_t *items, struct err *err) MUST_CHECK;
void calls_start(struct drive *drive);
void calls_cancel(struct drive *drive);  /* each ends, at once or soon */
void calls_abandon(struct drive *drive); /* those that are left end now */
void calls_end(struct drive *drive);
void calls_drop(struct drive *drive); /* the session closes: nothing is written or told any more */
void calls_answer(struct approval *approval, enum approval_event event,
		  enum approval_outcome outcome, const struct approval_teller *teller);

void calls_teller_time(struct drive *drive);

void drive_call_done(struct drive *drive);
