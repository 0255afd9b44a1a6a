#include <string.h>

#include "proto/base/buf.h"

#include "agentd/session/call_show.h"
#include "agentd/session/call_uv.h"
#include "agentd/session/drive_uv.h"
#include "agentd/session/tell.h"
#include "agentd/tool/exec_uv.h"
#include "agentd/tool/patch_uv.h"

#define LIVE_LINE_MAX 262144 /* bytes of one message with live output */

static void on_output(void *ctx, const char *text, size_t len)
{
	const struct call *call = ctx;
	struct session *session = call->drive->session;
	struct buf line SCOPED(buf_deinit) = BUF_INIT(LIVE_LINE_MAX);
	struct err ignored; /* live output may be missed; the whole comes at the end */

	if (fanout_wants_transient(&session->fanout) &&
	    show_output(&line, session->id, call->tool.id, text, len, &ignored) == 0)
		fanout_transient(&session->fanout, line.data, line.len);
}

static void on_exec_done(void *ctx, const struct exec_outcome *outcome)
{
	struct call *call = ctx;
	const struct call_show_exec shown = { .output = outcome->output,
					      .output_len = outcome->output_len,
					      .running = outcome->running,
					      .session_id = outcome->session_id,
					      .exit_code = outcome->exit_code,
					      .duration_ms = (int64_t)outcome->duration_ms,
					      .denied = outcome->denied };

	call->exec = NULL;
	if (call_take(call, CALL_ON_RESULT) == CALL_ACT_NONE)
		return;
	if (outcome->started)
		call_end(call, call_show_exec(&call->tool, &shown), outcome->text,
			 outcome->text_len);
	else
		call_end_without(call, "failed", outcome->text, outcome->text_len);
}

static void on_patch_done(void *ctx, const struct patch_outcome *outcome)
{
	struct call *call = ctx;
	const struct call_show_patch shown = { .applied = outcome->applied,
					       .changes = outcome->changes,
					       .text = outcome->text,
					       .text_len = outcome->text_len,
					       .denied = outcome->denied };

	call->patch = NULL;
	if (call_take(call, CALL_ON_RESULT) == CALL_ACT_NONE)
		return;
	call_end(call, call_show_patch(&call->tool, call->cwd, &shown), outcome->text,
		 outcome->text_len);
}

static int run_exec(struct call *call, struct err *err)
{
	const struct exec_watch watch = { .output = on_output, .done = on_exec_done, .ctx = call };
	const struct exec_request request = { .ceiling = call->ceiling,
					      .grant = call->grant[0] ? call->grant : NULL,
					      .command = &call->command,
					      .args = &call->tool.exec };
	struct exec_host *host = drive_exec(call->drive, err);

	if (!host)
		return (int)err->code;
	call->exec = exec_start(host, &request, &watch, err);
	return call->exec ? 0 : (int)err->code;
}

static int run_stdin(struct call *call, struct err *err)
{
	const struct exec_watch watch = { .output = on_output, .done = on_exec_done, .ctx = call };
	struct exec_host *host = drive_exec(call->drive, err);

	if (!host)
		return (int)err->code;
	call->exec = exec_write(host, &call->tool.input, &watch, err);
	return call->exec ? 0 : (int)err->code;
}

static int run_patch(struct call *call, struct err *err)
{
	const struct turn_place *place = &call->drive->host->place;
	const struct patch_request request = { .ceiling = call->ceiling,
					       .grant = call->grant[0] ? call->grant : NULL,
					       .applet = place->applet,
					       .cwd = call->cwd,
					       .patch = call->tool.patch_text,
					       .patch_len = call->tool.patch_text_len };

	call->patch = patch_start(place->loop, place->link, &request, on_patch_done, call, err);
	return call->patch ? 0 : (int)err->code;
}

static void run_plan(struct call *call)
{
	if (call_take(call, CALL_ON_RESULT) != CALL_ACT_NONE)
		call_end(call, call_show_plan(&call->tool), PLAN_OUTPUT, strlen(PLAN_OUTPUT));
}

void call_run(struct call *call)
{
	struct err err = { 0 };
	int result = 0;

	if (call_take(call, CALL_ON_RUN) == CALL_ACT_NONE)
		return;
	if (call->tool.tool == TOOL_UPDATE_PLAN) {
		run_plan(call);
		return;
	}
	tell_transient(call->drive->session, call_show_running(&call->tool));
	if (call->tool.tool == TOOL_EXEC_COMMAND)
		result = run_exec(call, &err);
	else if (call->tool.tool == TOOL_WRITE_STDIN)
		result = run_stdin(call, &err);
	else
		result = run_patch(call, &err);
	if (result < 0)
		call_fail(call, err.text);
}
