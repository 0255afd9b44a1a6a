/*
 * policy.h - may this action run, must the person be asked, or is it refused?
 *
 * Pure: no I/O, no clock, no allocation, no globals. Everything the answer depends on is in the two
 * arguments, so the whole domain can be, and is, enumerated by the tests. This is advice to agentd,
 * not enforcement: the kernel holds the line, set up by the broker.
 *
 * Rules and granular policies come in here later: as further fields of struct action (what a rule
 * said) and further rows; what reads a judgement does not change.
 */
#pragma once

#include <stdbool.h>

/* Values and order of approval_policy and sandbox_mode in proto/schema/common.json; a test holds
 * them together. */
enum policy_approval {
	POLICY_APPROVAL_NONE, /* unset: refuses everything */
	POLICY_NEVER,
	POLICY_UNTRUSTED,
	POLICY_ON_REQUEST,
	POLICY_ON_FAILURE, /* deprecated spelling of on-request */
	POLICY_APPROVAL_COUNT
};

enum policy_sandbox {
	POLICY_SANDBOX_NONE, /* unset: refuses everything */
	POLICY_READ_ONLY,
	POLICY_WORKSPACE_WRITE,
	POLICY_FULL_ACCESS,
	POLICY_SANDBOX_COUNT
};

struct policy {
	enum policy_approval approval;
	enum policy_sandbox sandbox; /* of the session's ceiling */
};

/* What would happen, as far as the answer depends on it. */
enum action_kind {
	ACTION_NONE,             /* refused */
	ACTION_COMMAND_SAFE,     /* a known read, whatever the sandbox */
	ACTION_COMMAND_CONFINED, /* a known read as long as a sandbox confines it: git */
	ACTION_COMMAND_UNKNOWN,
	ACTION_COMMAND_DANGEROUS,
	ACTION_PATCH_EMPTY,
	ACTION_PATCH_INSIDE,  /* every path below a writable root and not protected */
	ACTION_PATCH_OUTSIDE, /* some path is not */
	ACTION_KIND_COUNT
};

struct action {
	enum action_kind kind;
	bool escalated; /* the model asks to leave the sandbox; only for commands */
};

/* Zero is the refusal, so that whatever nobody thought of is refused. Ordered by permissiveness. */
enum verdict { VERDICT_REFUSE, VERDICT_ASK, VERDICT_RUN, VERDICT_COUNT };

/* Why something is refused. */
enum refusal {
	REFUSAL_UNKNOWN, /* a combination without a row */
	REFUSAL_ESCALATION,
	REFUSAL_DANGEROUS,
	REFUSAL_PATCH_EMPTY,
	REFUSAL_PATCH_OUTSIDE,
	REFUSAL_PATCH_READ_ONLY,
	REFUSAL_COUNT
};

struct judgement {
	enum verdict verdict;
	bool beyond; /* runs outside the ceiling: needs a grant of the broker. Only ever with
			VERDICT_ASK */
	enum refusal refusal; /* with VERDICT_REFUSE */
};

struct judgement policy_decide(const struct policy *policy, const struct action *action);

/*
 * The reason as the model reads it. For commands it goes into exec_rejected_text(); for patches it
 * is the whole output ("patch rejected: ...").
 */
const char *policy_refusal_text(enum refusal refusal);
