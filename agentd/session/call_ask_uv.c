#include "proto/base/log.h"
#include "proto/base/str.h"

#include "agentd/broker_uv.h"
#include "agentd/session/call_show.h"
#include "agentd/session/call_uv.h"
#include "agentd/session/drive_uv.h"
#include "agentd/session/judge.h"
#include "agentd/session/tell.h"
#include "agentd/tool/patch_uv.h"

/* What "do not ask again" remembers of a command inside the ceiling; NULL: nothing can be
 * remembered. */
static json_t *allowed_key(const struct call *call)
{
	if (call->tool.tool != TOOL_EXEC_COMMAND)
		return NULL;
	return json_sprintf("%s\n%s", call->cwd, call->tool.exec.cmd);
}

static bool is_allowed(const struct call *call)
{
	json_auto_t *key = allowed_key(call);

	return key && json_object_get(call->drive->session->allowed, json_string_value(key));
}

static void remember_allowed(const struct call *call)
{
	json_t *allowed = call->drive->session->allowed;
	json_auto_t *key = allowed_key(call);

	if (!key || json_object_size(allowed) >= SESSION_ALLOWED_MAX ||
	    json_object_set_new(allowed, json_string_value(key), json_true()) < 0)
		log_info("approval", "what='cannot be remembered, so it will be asked for again'");
}

static int open_question(struct call *call, const char *grant, struct err *err)
{
	struct session *session = call->drive->session;
	int64_t key = session->sessions->approval_next++;
	json_t *params = call_show_question(&call->tool, session->id, call->cwd, key, grant, err);

	if (!params)
		return (int)err->code;
	call->approval = approval_new(&session->approvals, key, grant != NULL, params, call, err);
	if (!call->approval)
		return (int)err->code;
	call->approval->session = session;
	tell_question(session, call->approval);
	tell_state(session);
	return 0;
}

static void resolve(struct approval *approval)
{
	struct session *session = approval->session;
	struct call *call = approval->ctx;

	if (call)
		call->approval = NULL;
	tell_resolved(session, approval);
	approval_free(&session->approvals, approval);
	tell_state(session);
}

void calls_teller_time(struct drive *drive)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &drive->session->approvals.open) {
		struct approval *approval = LIST_ENTRY(node, struct approval, node);

		if (approval->state == APPROVAL_DECIDED)
			calls_answer(approval, APPROVAL_ON_TIME, APPROVAL_OPEN, NULL);
	}
}

void calls_answer(struct approval *approval, enum approval_event event,
		  enum approval_outcome outcome, const struct approval_teller *teller)
{
	struct drive *drive = approval->session->drive;
	struct call *call = approval->ctx;
	bool remember = !approval->has_grant && outcome == APPROVAL_ALLOW_ALWAYS;
	unsigned acts = 0;
	struct err late;

	if (approval_step(approval, event, outcome, teller, &acts, &late) < 0)
		return; /* late: its sender has been told who was first */
	if ((acts & APPROVAL_ACT_WITHDRAW) && call)
		broker_grant_cancel(drive->host->place.link, call);
	if (acts & APPROVAL_ACT_WAIT)
		drive_wait_teller(drive);
	if (acts & APPROVAL_ACT_ANNOUNCE)
		resolve(approval);
	if (call && (acts & APPROVAL_ACT_RUN)) {
		if (remember)
			remember_allowed(call);
		call_run(call);
	} else if (call && (acts & APPROVAL_ACT_REFUSE)) {
		call_reject(call);
	}
	if (drive->session)
		tell_state(drive->session);
}

void call_withdraw(struct call *call)
{
	if (call->approval)
		calls_answer(call->approval, APPROVAL_ON_CANCEL, APPROVAL_OPEN, NULL);
	else
		broker_grant_cancel(call->drive->host->place.link, call);
}

static enum approval_outcome outcome_of(enum decision decision)
{
	return decision == DECISION_SESSION ? APPROVAL_ALLOW_ALWAYS : APPROVAL_ALLOW_ONCE;
}

static void stored(struct call *call, const char *grant)
{
	struct err err = { 0 };

	if (open_question(call, grant, &err) == 0)
		return;
	broker_grant_cancel(call->drive->host->place.link, call);
	call_fail(call, err.text);
}

static void on_grant(void *ctx, const char *grant, enum broker_grant_state state,
		     enum decision decision, const struct err *failure)
{
	struct call *call = ctx;
	struct err err = { 0 };

	if (failure || str_copy(call->grant, sizeof(call->grant), grant, &err) < 0) {
		call_fail(call, failure ? failure->text : err.text);
		return;
	}
	switch (state) {
	case BROKER_GRANT_STATE_PENDING:
		stored(call, grant);
		break;
	case BROKER_GRANT_STATE_GRANTED:
		if (call->approval)
			calls_answer(call->approval, APPROVAL_ON_GRANTED, outcome_of(decision),
				     NULL);
		else
			call_run(call); /* an earlier answer for the session covers it */
		break;
	case BROKER_GRANT_STATE_DENIED:
	case BROKER_GRANT_STATE_EXPIRED:
	case BROKER_GRANT_STATE_NONE:
	case BROKER_GRANT_STATE_COUNT:
		if (call->approval)
			calls_answer(call->approval, APPROVAL_ON_DENIED, APPROVAL_OPEN, NULL);
		else
			call_reject(call);
		break;
	}
}

/* Stores at the broker exactly what would run, without the sandbox. */
static int request_grant(struct call *call, struct err *err)
{
	const char *const applet[] = { call->drive->host->place.applet, PATCH_APPLET_ARG,
				       PATCH_APPLET_GRANTED };
	struct broker_grant_spec spec = { .ceiling = call->ceiling,
					  .cwd = call->cwd,
					  .mode = SANDBOX_MODE_DANGER_FULL_ACCESS,
					  .network = true };

	if (call->tool.tool == TOOL_APPLY_PATCH) {
		spec.argv = applet;
		spec.argc = ARRAY_LEN(applet);
		spec.input = call->tool.patch_text;
		spec.input_len = call->tool.patch_text_len;
	} else {
		spec.argv = call->command.argv;
		spec.argc = call->command.argc;
		spec.env = call->command.env;
		spec.envc = call->command.envc;
		spec.reason = call->tool.exec.justification;
	}
	return broker_grant_request(call->drive->host->place.link, &spec, on_grant, call, err);
}

static void ask(struct call *call, bool beyond)
{
	struct err err = { 0 };

	if (!beyond && is_allowed(call)) {
		call_run(call);
		return;
	}
	if (call_take(call, CALL_ON_ASK) == CALL_ACT_NONE)
		return;
	if ((beyond ? request_grant(call, &err) : open_question(call, NULL, &err)) < 0)
		call_fail(call, err.text);
}

void call_judge(struct call *call)
{
	struct judgement judgement = { 0 };
	struct err err = { 0 };

	if (judge_call(&judgement, call->drive->session, &call->tool, call->cwd, &err) < 0)
		call_fail(call, err.text);
	else if (judgement.verdict == VERDICT_RUN)
		call_run(call);
	else if (judgement.verdict == VERDICT_ASK)
		ask(call, judgement.beyond);
	else
		call_refuse(call, policy_refusal_text(judgement.refusal));
}
