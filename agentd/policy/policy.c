#include "agentd/policy/policy.h"

#include "proto/base/attr.h"

/* Columns of the table; a command that asks to leave the sandbox is another column. */
enum column {
	SAFE,
	CONFINED,
	UNKNOWN,
	DANGEROUS,
	SAFE_ESC,
	CONFINED_ESC,
	UNKNOWN_ESC,
	DANGEROUS_ESC,
	PATCH_IN,
	PATCH_OUT,
	COLUMN_COUNT
};

/* One answer. The first is zero and refuses. */
enum cell {
	N, /* no */
	R, /* run inside the ceiling */
	A, /* ask, then run inside the ceiling */
	G  /* ask, then run beyond the ceiling, by a grant */
};

/* clang-format off */
static const unsigned char cells[POLICY_APPROVAL_COUNT][POLICY_SANDBOX_COUNT][COLUMN_COUNT] = {
	/*                                              command        escalated      patch
	 *                                              s  c  u  d     s  c  u  d     in out */
	[POLICY_NEVER][POLICY_READ_ONLY]            = { R, R, R, N,    N, N, N, N,    N, N },
	[POLICY_NEVER][POLICY_WORKSPACE_WRITE]      = { R, R, R, N,    N, N, N, N,    R, N },
	[POLICY_NEVER][POLICY_FULL_ACCESS]          = { R, R, R, N,    N, N, N, N,    R, R },
	[POLICY_UNTRUSTED][POLICY_READ_ONLY]        = { R, R, A, A,    G, G, G, G,    G, G },
	[POLICY_UNTRUSTED][POLICY_WORKSPACE_WRITE]  = { R, R, A, A,    G, G, G, G,    A, G },
	[POLICY_UNTRUSTED][POLICY_FULL_ACCESS]      = { R, A, A, A,    A, A, A, A,    A, A },
	[POLICY_ON_REQUEST][POLICY_READ_ONLY]       = { R, R, R, A,    G, G, G, G,    G, G },
	[POLICY_ON_REQUEST][POLICY_WORKSPACE_WRITE] = { R, R, R, A,    G, G, G, G,    R, G },
	[POLICY_ON_REQUEST][POLICY_FULL_ACCESS]     = { R, R, R, A,    R, R, R, A,    R, R },
	[POLICY_ON_FAILURE][POLICY_READ_ONLY]       = { R, R, R, A,    G, G, G, G,    G, G },
	[POLICY_ON_FAILURE][POLICY_WORKSPACE_WRITE] = { R, R, R, A,    G, G, G, G,    R, G },
	[POLICY_ON_FAILURE][POLICY_FULL_ACCESS]     = { R, R, R, A,    R, R, R, A,    R, R },
	/* a row left out refuses */
};

static const struct {
	bool known;
	unsigned char plain; /* column without and with escalation */
	unsigned char escalated;
} columns[ACTION_KIND_COUNT] = {
	[ACTION_COMMAND_SAFE]      = { true, SAFE, SAFE_ESC },
	[ACTION_COMMAND_CONFINED]  = { true, CONFINED, CONFINED_ESC },
	[ACTION_COMMAND_UNKNOWN]   = { true, UNKNOWN, UNKNOWN_ESC },
	[ACTION_COMMAND_DANGEROUS] = { true, DANGEROUS, DANGEROUS_ESC },
	[ACTION_PATCH_INSIDE]      = { true, PATCH_IN, PATCH_IN },
	[ACTION_PATCH_OUTSIDE]     = { true, PATCH_OUT, PATCH_OUT },
	/* ACTION_NONE and ACTION_PATCH_EMPTY have no column: refused everywhere */
};
/* clang-format on */

static enum refusal refusal_of(const struct policy *policy, const struct action *action)
{
	if (action->kind == ACTION_PATCH_EMPTY)
		return REFUSAL_PATCH_EMPTY;
	if (policy->approval != POLICY_NEVER)
		return REFUSAL_UNKNOWN; /* only "never" has rows that refuse */
	if (action->kind == ACTION_PATCH_INSIDE || action->kind == ACTION_PATCH_OUTSIDE)
		return policy->sandbox == POLICY_READ_ONLY ? REFUSAL_PATCH_READ_ONLY
							   : REFUSAL_PATCH_OUTSIDE;
	if (action->escalated)
		return REFUSAL_ESCALATION;
	return action->kind == ACTION_COMMAND_DANGEROUS ? REFUSAL_DANGEROUS : REFUSAL_UNKNOWN;
}

static enum cell find_cell(const struct policy *policy, const struct action *action)
{
	unsigned approval = policy->approval;
	unsigned sandbox = policy->sandbox;
	unsigned kind = action->kind;

	if (approval >= POLICY_APPROVAL_COUNT || sandbox >= POLICY_SANDBOX_COUNT ||
	    kind >= ACTION_KIND_COUNT || !columns[kind].known)
		return N;
	return (enum cell)cells[approval][sandbox]
			       [action->escalated ? columns[kind].escalated : columns[kind].plain];
}

struct judgement policy_decide(const struct policy *policy, const struct action *action)
{
	switch (find_cell(policy, action)) {
	case R:
		return (struct judgement){ .verdict = VERDICT_RUN };
	case A:
		return (struct judgement){ .verdict = VERDICT_ASK };
	case G:
		return (struct judgement){ .verdict = VERDICT_ASK, .beyond = true };
	case N:
		break;
	}
	return (struct judgement){ .refusal = refusal_of(policy, action) };
}

const char *policy_refusal_text(enum refusal refusal)
{
	static const char *const texts[REFUSAL_COUNT] = {
		[REFUSAL_UNKNOWN] = "not permitted in this session",
		[REFUSAL_ESCALATION] =
			"approval policy is never; reject command - you should not ask for "
			"escalated permissions if the approval policy is never",
		[REFUSAL_DANGEROUS] =
			"`rm -f` style commands are not permitted if the approval policy is "
			"never; use a safer approach",
		[REFUSAL_PATCH_EMPTY] = "patch rejected: empty patch",
		[REFUSAL_PATCH_OUTSIDE] = "patch rejected: writing outside of the project; "
					  "rejected by user approval settings",
		[REFUSAL_PATCH_READ_ONLY] = "patch rejected: writing is blocked by read-only "
					    "sandbox; rejected by user approval settings",
	};

	return (unsigned)refusal < REFUSAL_COUNT ? texts[refusal] : texts[REFUSAL_UNKNOWN];
}
