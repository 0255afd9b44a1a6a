#include "agentd/session/answer.h"

#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/conf.h"

#include "agentd/model/model.h"
#include "agentd/model/prompt.h"
#include "agentd/model/settings.h"
#include "agentd/session/session.h"
#include "agentd/session/show.h"
#include "agentd/session/tell.h"
#include "agentd/session/transcript.h"
#include "agentd/tool/tool.h"

static const char aborted_note[] = "<turn_aborted>\nThe person interrupted the turn. What ran then "
				   "was ended and may have done "
				   "a part of its work.\n</turn_aborted>";

/* The first line of the first text, cut behind a whole character. */
static int title_of(char out[SESSION_TITLE_MAX + 1], const json_t *content, struct err *err)
{
	for (size_t i = 0; i < json_array_size(content); i++) {
		const json_t *part = json_array_get(content, i);
		const char *text = json_string_value(json_object_get(part, "text"));
		size_t len = text ? strcspn(text, "\r\n") : 0;

		if (len == 0)
			continue;
		if (len > SESSION_TITLE_MAX) {
			len = SESSION_TITLE_MAX;
			while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
				len--;
		}
		memcpy(out, text, len);
		out[len] = '\0';
		return 0;
	}
	return str_copy(out, SESSION_TITLE_MAX + 1, "(no text)", err);
}

int answer_begin(struct session *session, const json_t *content, struct err *err)
{
	char title[SESSION_TITLE_MAX + 1];
	bool first = session->title == NULL;

	if (title_of(title, content, err) < 0 || session_begin(session, title, err) < 0)
		return (int)err->code;
	if (first)
		tell_transient(session, json_pack("{s:s, s:s}", "sessionUpdate",
						  "session_info_update", "title", session->title));
	return 0;
}

int answer_open_turn(struct session *session, const struct answer_turn *turn, struct err *err)
{
	const char *sandbox = names_get(&sandbox_mode_names, (int)session->ceiling.mode);

	if (session_append(session, RECORD_EVENT, 0,
			   json_pack("{s:s, s:s}", "type", "task_started", "turn_id", turn->id),
			   err) < 0)
		return (int)err->code;
	return session_append(
		session, RECORD_TURN, 0,
		json_pack("{s:s, s:s, s:s?, s:{s:s}, s:s, s:s?, s:s?}", "turn_id", turn->id, "cwd",
			  session->cwd, "approval_policy",
			  names_get(&approval_policy_names, (int)session_approval_policy(session)),
			  "sandbox_policy", "mode", sandbox ? sandbox : "none", "model",
			  turn->model->model, "effort", turn->model->effort, "summary",
			  turn->model->summary),
		err);
}

int answer_prompt(struct session *session, const struct answer_turn *turn, struct err *err)
{
	json_t *item = json_pack("{s:s, s:s, s:O}", "type", "message", "role", "user", "content",
				 turn->content);

	if (!item)
		return ERR_NOMEM_SET(err);
	if (session_item(session, fanout_item(&session->fanout), item, err) < 0)
		return (int)err->code;
	if (turn->from)
		turn->from->fanout.skip = transcript_count(session->log) - 1;
	return 0;
}

/* One item of a finished answer; calls are collected. */
static int keep_item(struct session *session, json_t *item, json_t *calls, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(RECORD_LINE_MAX);
	bool hidden = conf_bool(session->conf, "hide_agent_reasoning");
	enum show_kind kind;
	int64_t number = 0;

	if (show_item_text(&text, item, &kind, err) < 0)
		return (int)err->code;
	if (text.len > 0 && (kind == SHOW_MESSAGE || (kind == SHOW_THOUGHT && !hidden)))
		number = fanout_live_claim(&session->fanout, kind, text.data, text.len);
	if (tool_call_is(item) && json_array_append(calls, item) < 0)
		return ERR_NOMEM_SET(err);
	return session_item(session, number, json_incref(item), err);
}

static json_t *usage_object(const struct agent_usage *usage)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "input_tokens",
			 (json_int_t)usage->input_tokens, "cached_input_tokens",
			 (json_int_t)usage->cached_input_tokens, "output_tokens",
			 (json_int_t)usage->output_tokens, "reasoning_output_tokens",
			 (json_int_t)usage->reasoning_output_tokens, "total_tokens",
			 (json_int_t)usage->total_tokens);
}

static int64_t window_of(const struct session *session)
{
	int64_t set = conf_int(session->conf, "model_context_window");

	return set > 0 ? set : ANSWER_WINDOW_DEFAULT;
}

static int keep_usage(struct session *session, const struct usage *usage, struct err *err)
{
	struct agent_usage *total = &session->usage.total;
	const struct agent_usage last = {
		.input_tokens = usage->input_tokens,
		.cached_input_tokens = usage->cached_input_tokens,
		.output_tokens = usage->output_tokens,
		.reasoning_output_tokens = usage->reasoning_output_tokens,
		.total_tokens = usage->total_tokens,
	};

	total->input_tokens += last.input_tokens;
	total->cached_input_tokens += last.cached_input_tokens;
	total->output_tokens += last.output_tokens;
	total->reasoning_output_tokens += last.reasoning_output_tokens;
	total->total_tokens += last.total_tokens;
	session->usage.last_total = last.total_tokens;
	return session_append(session, RECORD_USAGE, 0,
			      json_pack("{s:s, s:{s:o, s:o, s:I}}", "type", "token_count", "info",
					"total_token_usage", usage_object(total),
					"last_token_usage", usage_object(&last),
					"model_context_window", (json_int_t)window_of(session)),
			      err);
}

int answer_keep(struct session *session, const json_t *items, const struct usage *usage,
		json_t *calls, struct err *err)
{
	for (size_t i = 0; i < json_array_size(items); i++) {
		if (keep_item(session, json_array_get(items, i), calls, err) < 0)
			return (int)err->code;
	}
	if (json_array_size(calls) > ANSWER_CALLS_MAX)
		return ERR_SET(err, ERR_LIMIT, "more than %d calls in one answer of the model",
			       ANSWER_CALLS_MAX);
	return keep_usage(session, usage, err);
}

/* For readers of the transcript; and for the model, when it was cut short. */
int answer_close_turn(struct session *session, const char *turn_id, const char *failure,
		      struct err *err)
{
	enum turn_outcome outcome = session->turn.outcome;
	json_t *event;

	if (!session->log)
		return 0; /* it failed before anything was said */
	if (outcome == TURN_INTERRUPTED &&
	    session_item(session, 0, prompt_item("user", aborted_note), err) < 0)
		return (int)err->code;
	if (outcome == TURN_COMPLETED)
		event = json_pack("{s:s, s:s}", "type", "task_complete", "turn_id", turn_id);
	else if (outcome == TURN_INTERRUPTED)
		event = json_pack("{s:s, s:s, s:s}", "type", "turn_aborted", "turn_id", turn_id,
				  "reason", "interrupted");
	else
		event = json_pack("{s:s, s:s, s:s}", "type", "error", "turn_id", turn_id, "message",
				  failure);
	return session_append(session, RECORD_EVENT, 0, event, err);
}
