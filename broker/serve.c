#include "broker/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/base/str.h"
#include "proto/wire/json.h"
#include "proto/wire/packet.h"
#include "proto/wire/rpc.h"

#include "broker/broker.h"
#include "broker/peer.h"
#include "broker/probe.h"

/* What a packet holds besides the result: the envelope, and an id of at most RPC_ID_MAX bytes. */
#define RESULT_MAX (BROKER_PACKET_MAX - 1024)

static int serve_hello(struct call *call, struct err *err)
{
	const struct broker_hello *params = call->params;
	struct broker_hello_result result = { .version = BROKER_VERSION,
					      .role = call->peer->role,
					      .build = AGENT_VERSION,
					      .pid = getpid() };

	if (params->version != BROKER_VERSION)
		return ERR_SET(err, ERR_INVALID, "the broker speaks version %d: stop it first",
			       BROKER_VERSION);
	log_info("hello", "peer=%u name='%s'", call->peer->number, params->name);
	call->peer->greeted = true;
	return ticket_answer(&call->ticket, &result, NULL, err);
}

static int serve_probe(struct call *call, struct err *err)
{
	struct probe probes[PROBES_MAX] = { 0 };
	struct broker_feature rows[PROBES_MAX] = { 0 };
	struct broker_probe_result result = { .probes = rows, .probes_count = probe_all(probes) };

	for (size_t i = 0; i < result.probes_count; i++)
		rows[i] = (struct broker_feature){ .name = probes[i].name,
						   .ok = probes[i].ok,
						   .needed = probes[i].needed,
						   .detail = probes[i].detail };
	return ticket_answer(&call->ticket, &result, NULL, err);
}

static void finish(struct ticket *ticket, const struct err *why)
{
	const char *name = ticket->method->name ? ticket->method->name : "unknown";

	log_event(why->code ? LOG_WARN : LOG_INFO, "request",
		  "peer=%u method=%s outcome=%s why='%s'", ticket->peer->number, name,
		  why->code ? err_code_name(why->code) : "ok", why->text);
	ticket_drop(ticket);
}

void ticket_fail(struct ticket *ticket, const struct err *why)
{
	struct err err = { 0 };

	if (!ticket->id)
		return;
	/* One that waits for an answer for ever is worse off than one that is ended. */
	if (peer_send(ticket->peer, rpc_failure(ticket->id, why), -1, &err) < 0)
		peer_end(ticket->peer, err.text);
	finish(ticket, why);
}

/* Takes the member out of a result that is longer than a packet. */
static int shorten(json_t *result, const char *large, int *fd, struct err *err)
{
	struct buf whole SCOPED(buf_deinit) = BUF_INIT(RESULT_MAX);
	struct buf text SCOPED(buf_deinit) = BUF_INIT(WIRE_JSON_MAX);
	int rc = wire_json_dump(&whole, result, err);

	if (rc != ERR_LIMIT || !large)
		return rc;
	if (wire_json_dump(&text, json_object_get(result, large), err) < 0 ||
	    fd_sealed(fd, large, text.data, text.len, err) < 0)
		return err->code;
	(void)json_object_del(result, large);
	return 0;
}

int ticket_answer(struct ticket *ticket, const void *result, const char *large, struct err *err)
{
	json_t *encoded;
	int fd = -1;
	int rc;

	if (!ticket->id)
		return 0;
	encoded = codec_encode(ticket->method->result, result, err);
	rc = encoded ? shorten(encoded, large, &fd, err) : err->code;
	if (rc == 0)
		rc = peer_send(ticket->peer, rpc_result(ticket->id, json_incref(encoded)), fd, err);
	json_decref(encoded);
	if (rc < 0)
		ticket_fail(ticket, err);
	else
		finish(ticket, &(struct err){ 0 });
	return rc;
}

struct ticket ticket_take(struct call *call)
{
	struct ticket ticket = call->ticket;

	call->ticket.id = NULL;
	return ticket;
}

void ticket_drop(struct ticket *ticket)
{
	if (ticket->id)
		ticket->peer->in_flight--;
	json_decref(ticket->id);
	ticket->id = NULL;
}

void serve_notify(struct peer *peer, enum broker_method method, const void *params)
{
	const struct wire_method *row = &broker_methods[method];
	struct err err = { 0 };
	json_t *encoded = codec_encode(row->params, params, &err);

	if (!encoded || peer_send(peer, rpc_notification(row->name, encoded), -1, &err) < 0)
		peer_end(peer, err.text);
}

int serve_sealed(struct buf *out, int fd, struct err *err)
{
	const int all = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat info = { 0 };
	ssize_t got;

	if (seals < 0 || (seals & all) != all || fstat(fd, &info) < 0)
		return ERR_SET(err, ERR_INVALID, "not a sealed file in memory");
	if (buf_reserve(out, (size_t)info.st_size, err) < 0)
		return err->code;
	/* By position: the offset is shared with whoever else holds the file. */
	got = pread(fd, out->data + out->len, (size_t)info.st_size, 0);
	if (got != info.st_size)
		return ERR_SYS(err, errno, "read a sealed file");
	buf_grow(out, (size_t)got);
	return 0;
}

/*
 * What is too long for a packet comes in a sealed file behind the other descriptors: an object with
 * argv and env, or the list env alone. It is put among the parameters, where the codec judges it.
 */
static int merge(json_t *params, int fd, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(BROKER_SPEC_MAX);
	json_auto_t *value = serve_sealed(&text, fd, err) < 0
				     ? NULL
				     : wire_json_load(buf_str(&text), text.len, err);
	json_auto_t *object =
		json_is_array(value) ? json_pack("{s:O}", "env", value) : json_incref(value);
	const char *name;
	json_t *member;

	if (!value)
		return err->code;
	json_object_foreach(object, name, member) {
		if ((!str_eq(name, "argv") && !str_eq(name, "env")) ||
		    json_object_get(params, name))
			return ERR_SET(err, ERR_INVALID, "neither argv nor env, or there twice");
		if (json_object_set(params, name, member) < 0)
			return ERR_NOMEM_SET(err);
	}
	return 0;
}

static int check(const struct wire_method *method, const struct call *call, size_t inside,
		 struct err *err)
{
	const struct peer *peer = call->peer;

	if (!method->name)
		return ERR_SET(err, ERR_NOTFOUND, "there is no method of this name");
	if (!(method->roles & (1U << peer->role)))
		return ERR_SET(err, ERR_DENIED, "not for the role '%s'",
			       names_get(&broker_role_names, (int)peer->role));
	if (method->stage != (peer->greeted ? WIRE_STAGE_GREETED : WIRE_STAGE_ANY))
		return ERR_SET(err, ERR_STATE, "hello comes first, and once");
	if (call->fd_count < inside || call->fd_count > inside + 1 ||
	    call->fd_count > method->fds_max)
		return ERR_SET(err, ERR_INVALID, "%zu descriptors instead of %zu", call->fd_count,
			       inside);
	return 0;
}

static int (*const handlers[BROKER_METHOD_COUNT])(struct call *call, struct err *err) = {
	[BROKER_METHOD_HELLO] = serve_hello,
	[BROKER_METHOD_PROBE] = serve_probe,
	[BROKER_METHOD_DAEMON_START] = daemon_start,
	[BROKER_METHOD_DAEMON_STOP] = daemon_stop,
	[BROKER_METHOD_DAEMON_STATUS] = daemon_status,
	[BROKER_METHOD_DAEMON_READY] = daemon_ready,
	[BROKER_METHOD_CEILING_OPEN] = serve_ceiling_open,
	[BROKER_METHOD_CEILING_SHOW] = serve_ceiling_show,
	[BROKER_METHOD_CEILING_CLOSE] = serve_ceiling_close,
	[BROKER_METHOD_CHILD_START] = serve_child_start,
	[BROKER_METHOD_CHILD_KILL] = serve_child_kill,
	[BROKER_METHOD_GRANT_REQUEST] = serve_grant_request,
	[BROKER_METHOD_GRANT_SHOW] = serve_grant_show,
	[BROKER_METHOD_GRANT_LIST] = serve_grant_list,
	[BROKER_METHOD_GRANT_ANSWER] = serve_grant_answer,
	[BROKER_METHOD_GRANT_CANCEL] = serve_grant_cancel,
};

static int run(struct call *call, json_t *params, struct err *err)
{
	const struct wire_method *method = call->ticket.method;
	bool has_input = json_is_true(json_object_get(params, "has_input"));
	size_t inside = method->fds_min + (has_input ? 1 : 0);
	void *decoded;

	if (check(method, call, inside, err) < 0)
		return err->code;
	if (call->fd_count > inside && merge(params, call->fds[inside], err) < 0)
		return ERR_WRAP(err, "sealed spec");
	decoded = arena_alloc(&call->kept.arena, method->params->size, err);
	if (!decoded ||
	    codec_decode(method->params, params, decoded, &call->kept.arena, CODEC_STRICT, err) < 0)
		return err->code;
	call->params = decoded;
	return handlers[method - broker_methods](call, err);
}

static void serve_request(struct call *call, const struct rpc *rpc)
{
	static const int64_t nothing[32]; /* a result without members */
	json_t *params = rpc->params ? json_incref(rpc->params) : json_object();
	struct err err = { 0 };

	call->ticket.method =
		&broker_methods[wire_method_find(broker_methods, BROKER_METHOD_COUNT, rpc->method)];
	call->peer->in_flight++;
	call->kept.message = params;
	if (run(call, params, &err) < 0)
		ticket_fail(&call->ticket, &err);
	else
		(void)ticket_answer(&call->ticket, nothing, NULL, &err);
	kept_deinit(&call->kept);
}

void serve_packet(struct broker *broker, struct peer *peer, struct packet *packet)
{
	struct err err = { 0 };
	json_auto_t *message = wire_json_load(buf_str(&packet->data), packet->data.len, &err);
	struct rpc rpc = { 0 };
	struct call call = {
		.broker = broker, .peer = peer, .fds = packet->fds, .fd_count = packet->fd_count
	};

	if (message && rpc_parse(&rpc, message, &err) == 0 && rpc.kind == RPC_REQUEST) {
		call.ticket = (struct ticket){ .peer = peer, .id = json_incref(rpc.id) };
		serve_request(&call, &rpc);
		return;
	}
	log_warn("violation", "peer=%u why='%s'", peer->number,
		 rpc.kind == RPC_NONE ? err.text : "not a request");
	peer_end(peer, "violation of the protocol");
}
