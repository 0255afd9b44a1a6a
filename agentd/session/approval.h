/*
 * approval.h - a question to people: many clients, one answer, and whose word it takes.
 *
 * Pure. A question with a grant is about leaving the ceiling: only the broker's word lets the
 * command run, and a client's "allow" merely says who it was. A client's "no" is enough by itself.
 * A question without a grant stays inside the ceiling: the first client's answer decides. Questions
 * wait as long as their turn lives, with or without clients; whoever attaches is asked again.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"
#include "proto/base/list.h"

struct err;
struct session;

#define APPROVALS_MAX 64       /* open at once in one session */
#define APPROVAL_TELLER_MS 250 /* after the broker's word: how long to wait for who it was */
#define APPROVAL_NAME_MAX 63   /* bytes of a client's name */

enum approval_state {
	APPROVAL_NONE,
	APPROVAL_PENDING,
	APPROVAL_CLAIMED,  /* a client said yes; the broker has not */
	APPROVAL_DECIDED,  /* the broker has spoken; who it was will be known in a moment */
	APPROVAL_RESOLVED, /* everybody may be told */
	APPROVAL_STATE_COUNT
};

enum approval_event {
	APPROVAL_ON_NONE,
	APPROVAL_ON_ALLOW,   /* a client answers */
	APPROVAL_ON_REJECT,  /* a client answers */
	APPROVAL_ON_GRANTED, /* the broker */
	APPROVAL_ON_DENIED,  /* the broker: denied, expired, or the ceiling is gone */
	APPROVAL_ON_TIME,
	APPROVAL_ON_CANCEL,
	APPROVAL_EVENT_COUNT
};

/* What the driver must do; several at once. */
#define APPROVAL_ACT_RUN 1U
#define APPROVAL_ACT_REFUSE 2U
#define APPROVAL_ACT_WITHDRAW 4U /* take the grant back */
#define APPROVAL_ACT_ANNOUNCE 8U /* tell the clients, then free it */
#define APPROVAL_ACT_WAIT 16U    /* APPROVAL_ON_TIME in APPROVAL_TELLER_MS */

enum approval_outcome {
	APPROVAL_OPEN,
	APPROVAL_ALLOW_ONCE,
	APPROVAL_ALLOW_ALWAYS,
	APPROVAL_REJECT_ONCE,
	APPROVAL_CANCELLED,
	APPROVAL_OUTCOME_COUNT
};

/* Who answered; zero id: nobody knows. */
struct approval_teller {
	int64_t client;
	char name[APPROVAL_NAME_MAX + 1];
};

struct approval {
	struct list node;
	int64_t key; /* unique in the daemon; also the id of the requests */
	bool has_grant;
	enum approval_state state;
	enum approval_outcome outcome;
	struct approval_teller by;
	json_t *params;      /* owned: of session/request_permission */
	const char *call_id; /* in params */
	void *ctx;           /* the driver's: the call, NULL when that is over */
	struct session *session;
};

struct approvals {
	struct list open;
	size_t count;
};

void approvals_init(struct approvals *approvals);
void approvals_deinit(struct approvals *approvals); /* frees what is open */

/* params is stolen, also on failure. ERR_LIMIT: too many questions at once. */
struct approval *approval_new(struct approvals *approvals, int64_t key, bool has_grant,
			      json_t *params, void *ctx, struct err *err) MUST_CHECK;
void approval_free(struct approvals *approvals, struct approval *approval);
struct approval *approval_find(const struct approvals *approvals, int64_t key);
bool approval_is_waiting(const struct approval *approval); /* somebody still has to answer */
size_t approvals_waiting(const struct approvals *approvals);

/*
 * What happened. outcome: with APPROVAL_ON_ALLOW and APPROVAL_ON_GRANTED, once or always. teller:
 * with a client's answer. A late answer is ERR_STATE and changes nothing.
 */
int approval_step(struct approval *approval, enum approval_event event,
		  enum approval_outcome outcome, const struct approval_teller *teller,
		  unsigned *out_acts, struct err *err) MUST_CHECK;

const char *approval_outcome_name(enum approval_outcome outcome); /* "allow_once", ... */
enum approval_outcome approval_outcome_find(const char *name);    /* APPROVAL_OPEN: unknown */
