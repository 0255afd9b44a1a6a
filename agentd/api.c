#include "agentd/api.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/log.h"
#include "proto/base/str.h"
#include "proto/wire/frame.h"
#include "proto/wire/json.h"
#include "proto/wire/rpc.h"

#include "agentd/api_part.h"
#include "agentd/session/tell.h"

/* Which handler a method has; when and for whom it exists says the generated table. */
#define HANDLER(NAME, name) [AGENT_METHOD_##NAME] = api_##name,
static api_handler *const handlers[AGENT_METHOD_COUNT] = { AGENT_METHODS(HANDLER) };

static struct api_client *client_of(const struct fanout_client *fanout)
{
	return CONTAINER_OF((uintptr_t)fanout, struct attachment, fanout)->client;
}

static bool sink_ready(const struct fanout_client *fanout)
{
	const struct api_client *client = client_of(fanout);

	return client->api->transport->ready(client->conn);
}

static void sink_send(struct fanout_client *fanout, const char *line, size_t len)
{
	struct api_client *client = client_of(fanout);

	client->api->transport->send(client->conn, line, len);
}

static void sink_lost(struct fanout_client *fanout, const struct err *why)
{
	struct api_client *client = client_of(fanout);

	client->api->transport->close(client->conn, why->text);
}

static const struct fanout_sink sink = { .ready = sink_ready,
					 .send = sink_send,
					 .lost = sink_lost };

int api_init(struct api *api, const char *state_dir, const char *config_dir,
	     const struct api_transport *transport, struct err *err)
{
	*api = (struct api){ .transport = transport, .client_next = 1, .pid = getpid() };
	list_init(&api->clients);
	list_init(&api->waiting);
	if (sessions_init(&api->sessions, state_dir, config_dir, &sink, err) < 0)
		return (int)err->code;
	api->sessions.driver.finished = api_finished;
	api->sessions.driver.finished_ctx = api;
	return 0;
}

void api_stop(struct api *api)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &api->sessions.live) {
		struct session *session = LIST_ENTRY(node, struct session, node);

		api_detach_all(session);
		session_close(session);
	}
}

void api_deinit(struct api *api)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &api->waiting)
		api_waiting_free(LIST_ENTRY(node, struct api_waiting, node));
	sessions_deinit(&api->sessions);
}

struct api_client *api_client_opened(struct api *api, void *conn)
{
	struct api_client *client = calloc(1, sizeof(*client));
	struct err err = { 0 };

	if (!client)
		return NULL;
	client->api = api;
	client->conn = conn;
	client->id = api->client_next++;
	client->stage = WIRE_STAGE_ANY;
	list_init(&client->attachments);
	if (str_copy(client->name, sizeof(client->name), "client", &err) < 0) {
		free(client);
		return NULL;
	}
	list_add(&api->clients, &client->node);
	api->client_count++;
	return client;
}

void api_client_closed(struct api_client *client)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &client->attachments)
		api_detach(LIST_ENTRY(node, struct attachment, node));
	list_remove(&client->node);
	client->api->client_count--;
	free(client);
}

void api_client_drained(struct api_client *client)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &client->attachments) {
		struct attachment *attachment = LIST_ENTRY(node, struct attachment, node);

		fanout_pump_client(&attachment->session->fanout, &attachment->fanout);
	}
}

struct api_client *api_client_find(const struct api *api, int64_t id)
{
	struct list *node;

	for (node = api->clients.next; node != &api->clients; node = node->next) {
		struct api_client *client = LIST_ENTRY(node, struct api_client, node);

		if (client->id == id)
			return client;
	}
	return NULL;
}

void api_send(struct api_client *client, json_t *message)
{
	struct buf line SCOPED(buf_deinit) = BUF_INIT(FRAME_BUF_MAX);
	struct err err = { 0 };
	int result = message ? frame_put(&line, message, &err) : ERR_NOMEM_SET(&err);

	json_decref(message);
	if (result < 0)
		client->api->transport->close(client->conn, err.text);
	else
		client->api->transport->send(client->conn, line.data, line.len);
}

struct api_waiting *api_wait(struct api_request *request, enum api_why why, const char *session_id,
			     struct err *err)
{
	struct api_waiting *waiting;

	if (request->client->waiting >= API_WAITING_MAX) {
		(void)ERR_SET(err, ERR_LIMIT, "more than %d requests of this client wait",
			      API_WAITING_MAX);
		return NULL;
	}
	waiting = calloc(1, sizeof(*waiting));
	if (!waiting) {
		(void)ERR_NOMEM_SET(err);
		return NULL;
	}
	if (str_copy(waiting->session, sizeof(waiting->session), session_id, err) < 0) {
		free(waiting);
		return NULL;
	}
	waiting->api = request->api;
	waiting->why = why;
	waiting->client = request->client->id;
	waiting->id = json_incref(request->id);
	request->client->waiting++;
	request->later = true;
	list_add(&request->api->waiting, &waiting->node);
	return waiting;
}

void api_waiting_free(struct api_waiting *waiting)
{
	struct api_client *client = api_client_find(waiting->api, waiting->client);

	if (client)
		client->waiting--;
	list_remove(&waiting->node);
	json_decref(waiting->id);
	free(waiting);
}

void api_answer(struct api_waiting *waiting, struct session *session, json_t *result,
		const struct err *err)
{
	struct api_client *client = api_client_find(waiting->api, waiting->client);
	struct attachment *attachment =
		client && session ? api_attachment(client, session->id) : NULL;
	json_t *message = NULL;

	if (client)
		message = result ? rpc_result(waiting->id, json_incref(result))
				 : rpc_failure(waiting->id, err);
	json_decref(result);
	api_waiting_free(waiting);
	if (attachment)
		tell_one(session, attachment, message);
	else if (client)
		api_send(client, message);
}

/* An answer to a question of ours. Whatever is no clear yes is a no. */
static void take_answer(struct api_client *client, const struct rpc *rpc)
{
	struct arena arena SCOPED(arena_deinit) = { 0 };
	struct agent_session_request_permission_result answer = { 0 };
	struct approval_teller teller = { .client = client->id };
	enum approval_outcome outcome = APPROVAL_REJECT_ONCE;
	struct list *node;
	struct list *safe;
	struct err err = { 0 };

	if (rpc->kind == RPC_RESULT &&
	    codec_decode(&agent_session_request_permission_result_type, rpc->result, &answer,
			 &arena, CODEC_LENIENT, &err) == 0 &&
	    answer.outcome->outcome == AGENT_REQUEST_OUTCOME_SELECTED)
		outcome = approval_outcome_find(answer.outcome->option_id);
	LIST_EACH(node, safe, &client->attachments) {
		struct attachment *attachment = LIST_ENTRY(node, struct attachment, node);
		const struct session_driver *driver = &client->api->sessions.driver;
		struct approval *approval =
			approval_find(&attachment->session->approvals, json_integer_value(rpc->id));
		bool yes = outcome == APPROVAL_ALLOW_ONCE || outcome == APPROVAL_ALLOW_ALWAYS;

		if (!approval || attachment->role != AGENT_ROLE_CONTROLLER)
			continue;
		memcpy(teller.name, attachment->name, sizeof(teller.name));
		driver->answer(driver->ctx, approval, yes ? APPROVAL_ON_ALLOW : APPROVAL_ON_REJECT,
			       outcome, &teller);
		return;
	}
}

/* Is it time, and may this client? */
static int admit(struct api_request *request, const struct wire_method *method,
		 const json_t *params, struct err *err)
{
	const struct api_client *client = request->client;
	const char *session;

	if (method->stage == WIRE_STAGE_ANY)
		return 0;
	if (client->stage < WIRE_STAGE_GREETED)
		return ERR_SET(err, ERR_STATE, "'%s' comes after 'initialize'", method->name);
	if (method->stage < WIRE_STAGE_ATTACHED)
		return 0;
	session = json_string_value(json_object_get(params, "sessionId"));
	request->attachment = session ? api_attachment(client, session) : NULL;
	if (!request->attachment)
		return ERR_SET(err, ERR_NOTFOUND, "this client is not attached to session '%.64s'",
			       session ? session : "");
	if (!(method->roles & (1U << request->attachment->role)))
		return ERR_SET(err, ERR_DENIED, "'%s' is not for an observer", method->name);
	return 0;
}

static int dispatch(struct api_request *request, const struct rpc *rpc, struct err *err)
{
	struct arena arena SCOPED(arena_deinit) = { 0 };
	size_t number = wire_method_find(agent_methods, AGENT_METHOD_COUNT, rpc->method);
	const struct wire_method *method = &agent_methods[number];
	void *params;

	if (!handlers[number] || method->notification != (rpc->kind == RPC_NOTIFICATION))
		return ERR_SET(err, ERR_NOTFOUND, "no such method: '%s'", rpc->method);
	params = arena_alloc(&arena, method->params->size, err);
	if (!params || admit(request, method, rpc->params, err) < 0 ||
	    codec_decode(method->params, rpc->params, params, &arena, CODEC_LENIENT, err) < 0)
		return (int)err->code;
	request->params = params;
	return handlers[number](request, err);
}

static bool is_unknown(const struct rpc *rpc)
{
	return !handlers[wire_method_find(agent_methods, AGENT_METHOD_COUNT, rpc->method)];
}

static void take_call(struct api_client *client, const struct rpc *rpc)
{
	struct api_request request = { .api = client->api,
				       .client = client,
				       .id = rpc->kind == RPC_REQUEST ? rpc->id : NULL };
	struct err err = { 0 };
	int result = dispatch(&request, rpc, &err);

	if (rpc->kind == RPC_NOTIFICATION || (result == 0 && request.later)) {
		json_decref(request.result);
		return; /* unknown and wrong notifications are ignored, as ACP wants it */
	}
	if (result == 0)
		api_send(client,
			 rpc_result(rpc->id, request.result ? request.result : json_object()));
	else if (is_unknown(rpc))
		api_send(client, rpc_error(rpc->id, RPC_METHOD_NOT_FOUND, err.text, NULL));
	else
		api_send(client, rpc_failure(rpc->id, &err));
}

void api_client_line(struct api_client *client, const char *line, size_t len)
{
	struct err err = { 0 };
	json_auto_t *message = wire_json_load(line, len, &err);
	struct rpc rpc = { 0 };

	if (!message) {
		api_send(client, rpc_error(NULL, RPC_PARSE_ERROR, err.text, NULL));
		return;
	}
	if (rpc_parse(&rpc, message, &err) < 0) {
		json_t *id = json_object_get(message, "id");
		bool usable = json_is_string(id) || json_is_integer(id);

		api_send(client,
			 rpc_error(usable ? id : NULL, RPC_INVALID_REQUEST, err.text, NULL));
		return;
	}
	if (rpc.kind == RPC_RESULT || rpc.kind == RPC_ERROR)
		take_answer(client, &rpc);
	else
		take_call(client, &rpc);
}

void api_notice(struct api *api, enum agent_notice_level level, const char *kind,
		const char *message)
{
	const struct agent_notice params = { .level = level, .kind = kind, .message = message };
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &api->clients) {
		struct api_client *client = LIST_ENTRY(node, struct api_client, node);
		struct err err = { 0 };
		json_t *encoded = codec_encode(&agent_notice_type, &params, &err);

		api_send(client, encoded ? rpc_notification(agent_methods[AGENT_METHOD_NOTICE].name,
							    encoded)
					 : NULL);
	}
}
