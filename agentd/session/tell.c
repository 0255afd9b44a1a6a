#include "agentd/session/tell.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/frame.h"
#include "proto/wire/json.h"
#include "proto/wire/rpc.h"

#include "agentd/session/session.h"

#define KEY_SIZE 24 /* bytes of a question's number as text */

/* The message as a line; consumed. */
static int line_of(struct buf *out, json_t *message, struct err *err)
{
	int result = message ? frame_put(out, message, err) : ERR_NOMEM_SET(err);

	json_decref(message);
	return result;
}

static json_t *notification(enum agent_method method, const void *params, struct err *err)
{
	const struct wire_method *row = &agent_methods[method];
	json_t *encoded = codec_encode(row->params, params, err);

	return encoded ? rpc_notification(row->name, encoded) : NULL;
}

static struct attachment *attachment_of(struct list *node)
{
	return CONTAINER_OF(LIST_ENTRY(node, struct fanout_client, node), struct attachment,
			    fanout);
}

/* Whoever cannot be told something that all must know is better off attaching anew. */
static void lose_all(struct session *session, const struct err *err)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &session->fanout.clients)
		session->fanout.sink->lost(LIST_ENTRY(node, struct fanout_client, node), err);
}

static void say(struct session *session, enum agent_method method, const void *params)
{
	struct buf line SCOPED(buf_deinit) = BUF_INIT(FRAME_BUF_MAX);
	struct err err = { 0 };
	json_t *message = NULL;

	if (list_empty(&session->fanout.clients))
		return;
	message = notification(method, params, &err);
	if (line_of(&line, message, &err) < 0) {
		lose_all(session, &err);
		return;
	}
	fanout_after_all(&session->fanout, NULL, line.data, line.len);
}

void tell_state(struct session *session)
{
	const struct agent_state params = { .session_id = session->id,
					    .state = session_state(session) };

	if (params.state == session->told)
		return;
	session->told = params.state;
	say(session, AGENT_METHOD_STATE, &params);
}

void tell_id(char out[TELL_ID_SIZE], int64_t client_id)
{
	(void)snprintf(out, TELL_ID_SIZE, "c%" PRId64, client_id);
}

void tell_list(struct tell_list *out, const struct session *session)
{
	struct list *node;

	out->count = 0;
	for (node = session->fanout.clients.next;
	     node != &session->fanout.clients && out->count < AGENT_CLIENTS_MAX;
	     node = node->next) {
		const struct attachment *attachment = attachment_of(node);
		char *id = out->ids[out->count];

		tell_id(id, attachment->client_id);
		out->clients[out->count++] = (struct agent_client_info){ .client_id = id,
									 .name = attachment->name,
									 .role = attachment->role };
	}
}

void tell_clients(struct session *session)
{
	struct tell_list list;
	struct agent_clients_changed params = { .session_id = session->id };

	tell_list(&list, session);
	params.clients = list.clients;
	params.clients_count = list.count;
	say(session, AGENT_METHOD_CLIENTS_CHANGED, &params);
}

void tell_notice(struct session *session, enum agent_notice_level level, const char *kind,
		 const char *message)
{
	const struct agent_notice params = {
		.session_id = session->id, .level = level, .kind = kind, .message = message
	};

	say(session, AGENT_METHOD_NOTICE, &params);
}

void tell_turn_completed(struct session *session, enum agent_turn_status status,
			 const char *error_kind, const char *error_message)
{
	const struct agent_turn_error error = { .message = error_message, .kind = error_kind };
	const struct agent_turn_completed params = { .session_id = session->id,
						     .status = status,
						     .usage = &session->usage.total,
						     .error = error_message ? &error : NULL };

	say(session, AGENT_METHOD_TURN_COMPLETED, &params);
}

void tell_one(struct session *session, struct attachment *attachment, json_t *message)
{
	struct buf line SCOPED(buf_deinit) = BUF_INIT(FRAME_BUF_MAX);
	struct err err = { 0 };

	if (line_of(&line, message, &err) < 0 ||
	    fanout_after(&session->fanout, &attachment->fanout, line.data, line.len, &err) < 0)
		session->fanout.sink->lost(&attachment->fanout, &err);
}

void tell_recorded(struct session *session, const char *text)
{
	const struct agent_recorded params = { .session_id = session->id, .line = text };
	struct err err = { 0 };
	json_auto_t *message = notification(AGENT_METHOD_RECORDED, &params, &err);
	struct list *node;
	struct list *safe;

	if (!message) {
		tell_notice(session, AGENT_NOTICE_LEVEL_WARNING, "record", err.text);
		return;
	}
	LIST_EACH(node, safe, &session->fanout.clients) {
		struct attachment *attachment = attachment_of(node);

		if (attachment->record)
			tell_one(session, attachment, json_incref(message));
	}
}

void tell_question_to(struct session *session, struct attachment *attachment,
		      const struct approval *approval)
{
	if (attachment->role != AGENT_ROLE_CONTROLLER || !approval_is_waiting(approval))
		return;
	tell_one(session, attachment,
		 rpc_request(approval->key,
			     agent_methods[AGENT_METHOD_SESSION_REQUEST_PERMISSION].name,
			     json_incref(approval->params)));
}

void tell_question(struct session *session, const struct approval *approval)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &session->fanout.clients)
		tell_question_to(session, attachment_of(node), approval);
}

static enum agent_permission_outcome outcome_of(const struct approval *approval)
{
	return (enum agent_permission_outcome)names_find(&agent_permission_outcome_names,
							 approval_outcome_name(approval->outcome));
}

void tell_resolved(struct session *session, const struct approval *approval)
{
	char key[KEY_SIZE];
	char id[TELL_ID_SIZE];
	const struct agent_client_info by = { .client_id = id,
					      .name = approval->by.name,
					      .role = AGENT_ROLE_CONTROLLER };
	const struct agent_permission_resolved params = {
		.session_id = session->id,
		.request_key = key,
		.tool_call_id = approval->call_id,
		.outcome = outcome_of(approval),
		.by = approval->by.client > 0 ? &by : NULL,
	};

	(void)snprintf(key, sizeof(key), "%" PRId64, approval->key);
	tell_id(id, approval->by.client);
	say(session, AGENT_METHOD_PERMISSION_RESOLVED, &params);
}

void tell_transient(struct session *session, json_t *update)
{
	struct buf line SCOPED(buf_deinit) = BUF_INIT(FRAME_BUF_MAX);
	struct err err = { 0 };

	/* What is not kept may be missed: for want of memory, too. */
	if (update && show_update(&line, session->id, update, &err) == 0)
		fanout_transient(&session->fanout, line.data, line.len);
	json_decref(update);
}
