#include "agentd/session/call_uv.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/log.h"
#include "proto/base/str.h"

#include "agentd/broker_uv.h"
#include "agentd/policy/action.h"
#include "agentd/session/call_show.h"
#include "agentd/session/drive_uv.h"
#include "agentd/session/transcript.h"
#include "agentd/tool/exec_uv.h"
#include "agentd/tool/patch_uv.h"

#define OUTPUT_TEXT_MAX 65536 /* bytes of an output made here */
#define NO_RECORD SIZE_MAX

static const char aborted_text[] = "aborted";
static const char rejected_text[] = "rejected by user";
static const char patch_rejected_text[] = "patch rejected by user";

enum call_act call_take(struct call *call, enum call_event event)
{
	enum call_act act = CALL_ACT_NONE;
	struct err err = { 0 };

	if (call_step(&call->state, event, &act, &err) < 0)
		log_error("call", "why='%s'",
			  err.text); /* a mistake of this program; nothing happens */
	return act;
}

/* First what clients see, then what the model reads: a crash between them leaves a call to be
 * repaired. */
static int write_end(struct call *call, json_t *update, const char *text, size_t len,
		     struct err *err)
{
	struct session *session = call->drive->session;
	json_t *output = NULL;

	if (session_update(session, update, err) < 0 ||
	    tool_output(&output, &call->tool, text, len, err) < 0 ||
	    session_append(session, RECORD_ITEM, 0, output, err) < 0) {
		session->gaps = true;
		return (int)err->code;
	}
	call->output = transcript_count(session->log) - 1;
	return 0;
}

void call_end(struct call *call, json_t *update, const char *text, size_t len)
{
	struct drive *drive = call->drive;
	struct err err = { 0 };
	int result = write_end(call, update, text, len, &err);

	if (call->approval)
		call->approval->ctx = NULL; /* it is decided, and waits to be announced */
	call->approval = NULL;
	if (result < 0)
		drive_fail(drive, &err);
	drive_call_done(drive); /* the call may be gone now */
}

void call_end_without(struct call *call, const char *status, const char *text, size_t len)
{
	call_end(call, call_show_none(&call->tool, status, text, len), text, len);
}

void call_refuse(struct call *call, const char *why)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(OUTPUT_TEXT_MAX);
	struct err err = { 0 };

	if (call_take(call, CALL_ON_REFUSE) == CALL_ACT_NONE)
		return;
	if (call->tool.tool == TOOL_EXEC_COMMAND && exec_rejected_text(&text, why, &err) == 0)
		why = buf_str(&text);
	call_end_without(call, "declined", why, strlen(why));
}

void call_reject(struct call *call)
{
	call_refuse(call,
		    call->tool.tool == TOOL_APPLY_PATCH ? patch_rejected_text : rejected_text);
}

void call_fail(struct call *call, const char *why)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(OUTPUT_TEXT_MAX);
	struct err err = { 0 };

	if (call_take(call, CALL_ON_REFUSE) == CALL_ACT_NONE)
		return;
	if (call->has_command && exec_failed_text(&text, why, &err) == 0)
		why = buf_str(&text);
	call_end_without(call, "failed", why, strlen(why));
}

/* Where it works: a command's folder, the session's, or what the shell would have changed to before
 * a patch. */
static int set_cwd(struct call *call, const char *cwd, struct err *err)
{
	char absolute[ACTION_PATH_MAX];

	if (call->has_command) {
		cwd = call->command.cwd;
	} else if (call->tool.workdir) {
		if (action_path(absolute, cwd, call->tool.workdir, err) < 0)
			return (int)err->code;
		cwd = absolute;
	}
	call->cwd = str_dup(cwd);
	return call->cwd ? 0 : ERR_NOMEM_SET(err);
}

static int decode(struct call *call, struct err *err)
{
	struct drive *drive = call->drive;
	const struct session *session = drive->session;

	if (tool_call_decode(&call->tool, &drive->tools, err) < 0)
		return (int)err->code;
	if (call->tool.tool == TOOL_EXEC_COMMAND) {
		if (exec_command_init(&call->command, &call->tool.exec, session->cwd,
				      drive->host->place.shell, session->id, err) < 0)
			return (int)err->code;
		call->has_command = true;
	}
	return set_cwd(call, session->cwd, err);
}

/* Shown to clients; one that is wrong in itself is shown as well, and ends when it would start. */
static int prepare(struct call *call, struct err *err)
{
	struct session *session = call->drive->session;
	struct err wrong = { 0 };

	if (decode(call, &wrong) < 0) {
		call->wrong = str_dup(wrong.text);
		if (!call->wrong)
			return ERR_NOMEM_SET(err);
	}
	if (str_copy(call->ceiling, sizeof(call->ceiling), session->ceiling.id, err) < 0)
		return (int)err->code;
	if (call->tool.tool == TOOL_UPDATE_PLAN && !call->wrong)
		return 0; /* what is shown is the plan itself */
	return session_update(
		session, call_show_begin(&call->tool, call->cwd ? call->cwd : session->cwd), err);
}

static void free_calls(struct drive *drive)
{
	for (size_t i = 0; i < drive->call_count; i++) {
		struct call *call = &drive->calls[i];

		tool_call_deinit(&call->tool);
		if (call->has_command)
			exec_command_deinit(&call->command);
		free(call->wrong);
		free(call->cwd);
		json_decref(call->item);
	}
	free(drive->calls);
	drive->calls = NULL;
	drive->call_count = 0;
	drive->call_next = 0;
}

int calls_prepare(struct drive *drive, json_t *items, struct err *err)
{
	size_t i;
	json_t *item;

	drive->calls = calloc(json_array_size(items), sizeof(*drive->calls));
	if (!drive->calls)
		return ERR_NOMEM_SET(err);
	json_array_foreach(items, i, item) {
		struct call *call = &drive->calls[i];

		drive->call_count++;
		call->drive = drive;
		call->state = CALL_JUDGING;
		call->output = NO_RECORD;
		call->item = json_incref(item);
		if (tool_call_init(&call->tool, item, err) < 0 || prepare(call, err) < 0) {
			free_calls(drive);
			return (int)err->code;
		}
	}
	return 0;
}

static size_t running(const struct drive *drive)
{
	size_t count = 0;

	for (size_t i = 0; i < drive->call_count; i++)
		count += drive->calls[i].state == CALL_RUNNING ||
			 drive->calls[i].state == CALL_STOPPING;
	return count;
}

/*
 * A call may end at once, which comes back here for the next one; the end of the last one frees
 * them all.
 */
void calls_start(struct drive *drive)
{
	const struct call *calls = drive->calls;

	while (drive->calls && drive->calls == calls && drive->call_next < drive->call_count &&
	       running(drive) < CALLS_AT_ONCE_MAX) {
		struct call *call = &drive->calls[drive->call_next++];

		if (call->state != CALL_JUDGING)
			continue; /* an earlier one has failed the turn, which ended this one */
		if (call->wrong)
			call_fail(call, call->wrong);
		else
			call_judge(call);
	}
}

static void abort_call(struct call *call)
{
	call_end_without(call, "aborted", aborted_text, strlen(aborted_text));
}

static void cancel(struct call *call)
{
	switch (call_take(call, CALL_ON_CANCEL)) {
	case CALL_ACT_WITHDRAW:
		call_withdraw(call);
		abort_call(call);
		break;
	case CALL_ACT_ABORTED:
		abort_call(call);
		break;
	case CALL_ACT_KILL:
		if (!call->exec)
			break; /* an edit that has begun is finished; its result will come */
		exec_cancel(call->exec);
		call->exec = NULL;
		if (call_take(call, CALL_ON_RESULT) != CALL_ACT_NONE)
			abort_call(call);
		break;
	case CALL_ACT_NONE:
	case CALL_ACT_RUN:
	case CALL_ACT_ASK:
	case CALL_ACT_REFUSED:
	case CALL_ACT_DELIVER:
	case CALL_ACT_COUNT:
		break;
	}
}

void calls_cancel(struct drive *drive)
{
	const struct call *calls = drive->calls;

	for (size_t i = 0; drive->calls && drive->calls == calls && i < drive->call_count; i++)
		cancel(&drive->calls[i]);
}

void calls_abandon(struct drive *drive)
{
	for (size_t i = 0; i < drive->call_count; i++) {
		struct call *call = &drive->calls[i];
		struct err err = { 0 };

		if (call->state == CALL_DONE || call_take(call, CALL_ON_TIME) == CALL_ACT_NONE)
			continue;
		if (call->patch)
			patch_cancel(call->patch);
		call->patch = NULL;
		if (write_end(call,
			      call_show_none(&call->tool, "aborted", aborted_text,
					     strlen(aborted_text)),
			      aborted_text, strlen(aborted_text), &err) < 0)
			log_error("transcript", "why='%s'", err.text);
	}
	calls_end(drive);
}

void calls_end(struct drive *drive)
{
	struct session *session = drive->session;

	for (size_t i = 0; i < drive->call_count; i++) {
		struct err err = { 0 };

		/* With a gap the history is read anew from the log before the next turn. */
		if (drive->calls[i].output == NO_RECORD ||
		    history_add(&session->history, drive->calls[i].output, &err) < 0)
			session->gaps = true;
	}
	free_calls(drive);
}

void calls_drop(struct drive *drive)
{
	for (size_t i = 0; i < drive->call_count; i++) {
		struct call *call = &drive->calls[i];

		broker_grant_cancel(drive->host->place.link, call);
		if (call->patch)
			patch_cancel(call->patch);
	}
	free_calls(drive);
}
