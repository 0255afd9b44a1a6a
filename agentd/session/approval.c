#include "agentd/session/approval.h"

#include <stdlib.h>

#include "proto/base/err.h"
#include "proto/base/str.h"

/* Whose word settles the outcome of a move. */
enum word {
	WORD_NONE,  /* nothing is settled, or it was before */
	WORD_GIVEN, /* what came with the event */
	WORD_REJECT,
	WORD_CANCEL
};

#define RUN APPROVAL_ACT_RUN
#define REFUSE APPROVAL_ACT_REFUSE
#define WITHDRAW APPROVAL_ACT_WITHDRAW
#define ANNOUNCE APPROVAL_ACT_ANNOUNCE
#define WAIT APPROVAL_ACT_WAIT

/* clang-format off */
static const struct move {
	bool has_grant;
	enum approval_state from;
	enum approval_event on;
	enum approval_state to;
	enum word word;
	bool teller; /* whoever sent this is the one who decided */
	unsigned acts;
} moves[] = {
	{ false, APPROVAL_PENDING, APPROVAL_ON_ALLOW,   APPROVAL_RESOLVED, WORD_GIVEN,  true,  RUN | ANNOUNCE },
	{ false, APPROVAL_PENDING, APPROVAL_ON_REJECT,  APPROVAL_RESOLVED, WORD_REJECT, true,  REFUSE | ANNOUNCE },
	{ false, APPROVAL_PENDING, APPROVAL_ON_CANCEL,  APPROVAL_RESOLVED, WORD_CANCEL, false, ANNOUNCE },

	{ true,  APPROVAL_PENDING, APPROVAL_ON_ALLOW,   APPROVAL_CLAIMED,  WORD_NONE,   true,  0 },
	{ true,  APPROVAL_PENDING, APPROVAL_ON_REJECT,  APPROVAL_RESOLVED, WORD_REJECT, true,  WITHDRAW | REFUSE | ANNOUNCE },
	{ true,  APPROVAL_PENDING, APPROVAL_ON_GRANTED, APPROVAL_DECIDED,  WORD_GIVEN,  false, RUN | WAIT },
	{ true,  APPROVAL_PENDING, APPROVAL_ON_DENIED,  APPROVAL_DECIDED,  WORD_REJECT, false, REFUSE | WAIT },
	{ true,  APPROVAL_PENDING, APPROVAL_ON_CANCEL,  APPROVAL_RESOLVED, WORD_CANCEL, false, WITHDRAW | ANNOUNCE },

	{ true,  APPROVAL_CLAIMED, APPROVAL_ON_ALLOW,   APPROVAL_CLAIMED,  WORD_NONE,   false, 0 },
	{ true,  APPROVAL_CLAIMED, APPROVAL_ON_REJECT,  APPROVAL_RESOLVED, WORD_REJECT, true,  WITHDRAW | REFUSE | ANNOUNCE },
	{ true,  APPROVAL_CLAIMED, APPROVAL_ON_GRANTED, APPROVAL_RESOLVED, WORD_GIVEN,  false, RUN | ANNOUNCE },
	{ true,  APPROVAL_CLAIMED, APPROVAL_ON_DENIED,  APPROVAL_DECIDED,  WORD_REJECT, false, REFUSE | WAIT },
	{ true,  APPROVAL_CLAIMED, APPROVAL_ON_CANCEL,  APPROVAL_RESOLVED, WORD_CANCEL, false, WITHDRAW | ANNOUNCE },

	{ true,  APPROVAL_DECIDED, APPROVAL_ON_ALLOW,   APPROVAL_RESOLVED, WORD_NONE,   true,  ANNOUNCE },
	{ true,  APPROVAL_DECIDED, APPROVAL_ON_REJECT,  APPROVAL_RESOLVED, WORD_NONE,   true,  ANNOUNCE },
	{ true,  APPROVAL_DECIDED, APPROVAL_ON_TIME,    APPROVAL_RESOLVED, WORD_NONE,   false, ANNOUNCE },
	{ true,  APPROVAL_DECIDED, APPROVAL_ON_CANCEL,  APPROVAL_RESOLVED, WORD_NONE,   false, ANNOUNCE },
};
/* clang-format on */

static const char *const outcome_words[APPROVAL_OUTCOME_COUNT] = {
	[APPROVAL_ALLOW_ONCE] = "allow_once",
	[APPROVAL_ALLOW_ALWAYS] = "allow_always",
	[APPROVAL_REJECT_ONCE] = "reject_once",
	[APPROVAL_CANCELLED] = "cancelled",
};

void approvals_init(struct approvals *approvals)
{
	list_init(&approvals->open);
	approvals->count = 0;
}

void approval_free(struct approvals *approvals, struct approval *approval)
{
	list_remove(&approval->node);
	approvals->count--;
	json_decref(approval->params);
	free(approval);
}

void approvals_deinit(struct approvals *approvals)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &approvals->open)
		approval_free(approvals, LIST_ENTRY(node, struct approval, node));
}

struct approval *approval_new(struct approvals *approvals, int64_t key, bool has_grant,
			      json_t *params, void *ctx, struct err *err)
{
	struct approval *approval = NULL;

	if (approvals->count >= APPROVALS_MAX)
		(void)ERR_SET(err, ERR_LIMIT, "more than %d questions wait in this session",
			      APPROVALS_MAX);
	else if (!params || !(approval = calloc(1, sizeof(*approval))))
		(void)ERR_NOMEM_SET(err);
	if (!approval) {
		json_decref(params);
		return NULL;
	}
	approval->key = key;
	approval->has_grant = has_grant;
	approval->state = APPROVAL_PENDING;
	approval->call_id = json_string_value(
		json_object_get(json_object_get(params, "toolCall"), "toolCallId"));
	if (!approval->call_id)
		approval->call_id = "";
	approval->params = params;
	approval->ctx = ctx;
	list_add(&approvals->open, &approval->node);
	approvals->count++;
	return approval;
}

struct approval *approval_find(const struct approvals *approvals, int64_t key)
{
	struct list *node;

	for (node = approvals->open.next; node != &approvals->open; node = node->next) {
		struct approval *approval = LIST_ENTRY(node, struct approval, node);

		if (approval->key == key)
			return approval;
	}
	return NULL;
}

bool approval_is_waiting(const struct approval *approval)
{
	return approval->state == APPROVAL_PENDING || approval->state == APPROVAL_CLAIMED;
}

size_t approvals_waiting(const struct approvals *approvals)
{
	size_t waiting = 0;
	struct list *node;

	for (node = approvals->open.next; node != &approvals->open; node = node->next)
		waiting += approval_is_waiting(LIST_ENTRY(node, struct approval, node));
	return waiting;
}

static const struct move *move_find(const struct approval *approval, enum approval_event event)
{
	for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
		if (moves[i].has_grant == approval->has_grant && moves[i].from == approval->state &&
		    moves[i].on == event)
			return &moves[i];
	}
	return NULL;
}

int approval_step(struct approval *approval, enum approval_event event,
		  enum approval_outcome outcome, const struct approval_teller *teller,
		  unsigned *out_acts, struct err *err)
{
	const struct move *move = move_find(approval, event);

	if (!move)
		return ERR_SET(err, ERR_STATE, "this question is already decided");
	if (move->word == WORD_GIVEN)
		approval->outcome = outcome;
	else if (move->word == WORD_REJECT)
		approval->outcome = APPROVAL_REJECT_ONCE;
	else if (move->word == WORD_CANCEL)
		approval->outcome = APPROVAL_CANCELLED;
	if (move->teller && teller)
		approval->by = *teller;
	if (event == APPROVAL_ON_DENIED || event == APPROVAL_ON_CANCEL)
		approval->by = (struct approval_teller){ 0 }; /* not the one who had said yes */
	approval->state = move->to;
	*out_acts = move->acts;
	return 0;
}

const char *approval_outcome_name(enum approval_outcome outcome)
{
	return (unsigned)outcome < APPROVAL_OUTCOME_COUNT ? outcome_words[outcome] : NULL;
}

enum approval_outcome approval_outcome_find(const char *name)
{
	for (int i = APPROVAL_OPEN + 1; name && i < APPROVAL_OUTCOME_COUNT; i++) {
		if (str_eq(outcome_words[i], name))
			return (enum approval_outcome)i;
	}
	return APPROVAL_OPEN;
}
