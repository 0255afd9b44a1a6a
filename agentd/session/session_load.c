#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/session/session.h"
#include "agentd/session/session_part.h"
#include "agentd/session/store.h"
#include "agentd/session/transcript.h"
#include "agentd/tool/tool.h"

static int64_t number(const json_t *object, const char *name)
{
	return (int64_t)json_integer_value(json_object_get(object, name));
}

/* Tokens as the last turn has left them. */
static int take_usage(struct session *session, struct err *err)
{
	json_auto_t *payload = NULL;
	const json_t *info;
	const json_t *total;
	size_t i = transcript_count(session->log);

	while (i > 0 && transcript_kind(session->log, i - 1) != RECORD_USAGE)
		i--;
	if (i == 0)
		return 0;
	payload = transcript_payload(session->log, i - 1, err);
	if (!payload)
		return (int)err->code;
	info = json_object_get(payload, "info");
	total = json_object_get(info, "total_token_usage");
	session->usage.total = (struct agent_usage){
		.input_tokens = number(total, "input_tokens"),
		.cached_input_tokens = number(total, "cached_input_tokens"),
		.output_tokens = number(total, "output_tokens"),
		.reasoning_output_tokens = number(total, "reasoning_output_tokens"),
		.total_tokens = number(total, "total_tokens"),
	};
	session->usage.last_total =
		number(json_object_get(info, "last_token_usage"), "total_tokens");
	return 0;
}

int session_abort_call(struct session *session, const json_t *item, struct err *err)
{
	const char *id = json_string_value(json_object_get(item, "call_id"));
	json_t *output = NULL;

	if (tool_output_aborted(&output, item, err) < 0)
		return (int)err->code;
	if (session_update(session,
			   json_pack("{s:s, s:s, s:s, s:{s:s}}", "sessionUpdate",
				     "tool_call_update", "toolCallId", id ? id : "", "status",
				     "failed", "rawOutput", "status", "aborted"),
			   err) < 0) {
		json_decref(output);
		return (int)err->code;
	}
	return session_item(session, 0, output, err);
}

int session_repair(struct session *session, struct err *err)
{
	json_auto_t *open = NULL;
	size_t i;
	json_t *item;

	if (history_rebuild(&session->history, session->log, &open, err) < 0)
		return (int)err->code;
	json_array_foreach(open, i, item) {
		if (session_abort_call(session, item, err) < 0)
			return ERR_WRAP(err, "repair the session");
	}
	session->gaps = false;
	return 0;
}

static int take_header(struct session *session, const struct store_header *header, struct err *err)
{
	if (header->title) {
		session->title = str_dup(header->title);
		if (!session->title)
			return ERR_NOMEM_SET(err);
	}
	return 0;
}

int session_load(struct session **out, struct sessions *sessions, const char *id,
		 const struct session_wish *wish, struct err *err)
{
	struct session *session SCOPED(session_release) = NULL;
	struct store_header header SCOPED(store_header_deinit) = { 0 };
	char *path SCOPED(str_free) = NULL;

	if (store_find(&path, sessions->state_dir, id, err) < 0 ||
	    session_make_room(sessions, err) < 0 || store_read_header(&header, path, err) < 0)
		return (int)err->code;
	session = session_allocate(sessions, id, wish->cwd ? wish->cwd : header.cwd, err);
	if (!session || session_configure(session, wish, err) < 0 ||
	    take_header(session, &header, err) < 0 || transcript_open(&session->log, path, err) < 0)
		return (int)err->code;
	fanout_set_log(&session->fanout, session->log);
	if (session_repair(session, err) < 0 || take_usage(session, err) < 0)
		return (int)err->code;
	return session_enlist(out, TAKE(session), err);
}
