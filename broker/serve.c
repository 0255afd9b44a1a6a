#include "broker/serve.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "proto/wire/json.h"

/* What a packet holds besides the result: the envelope, and an id of at most RPC_ID_MAX bytes. */
#define RESULT_MAX (BROKER_PACKET_MAX - 1024)

void peer_free(struct peer *peer)
{
	fd_close(&peer->fd);
	free(peer);
}

void peer_end(struct peer *peer, const char *why)
{
	if (!peer->dead)
		log_info("peer_gone", "peer=%u why='%s'", peer->number, why);
	peer->dead = true;
}

short peer_events(const struct peer *peer)
{
	if (peer->behind)
		return POLLOUT; /* three quarters of the buffer are free */
	return peer->in_flight < PEER_FLIGHT_MAX ? POLLIN : 0;
}

bool peer_receive(struct peer *peer, short events, struct packet *packet)
{
	struct err err = { 0 };
	int unread = 0;
	int got = PACKET_AGAIN;

	if (peer->dead)
		return false;
	if (!(events & (POLLIN | POLLOUT)))
		peer_end(peer, "closed");
	peer->behind = ioctl(peer->fd, SIOCOUTQ, &unread) == 0 && unread > PEER_UNREAD_MAX;
	if ((events & POLLIN) && !peer->behind)
		got = packet_recv(peer->fd, packet, &err);
	if (got < 0)
		peer_end(peer, err.text);
	return got == PACKET_DONE;
}

int peer_send(struct peer *peer, json_t *message, int fd, struct err *err)
{
	json_auto_t *owned = message;
	int own_fd SCOPED(fd_close) = fd;
	struct buf text SCOPED(buf_deinit) = BUF_INIT(BROKER_PACKET_MAX);
	struct err why = { .text = "does not read what it is sent" };

	if (!owned)
		return ERR_NOMEM_SET(err);
	if (wire_json_dump(&text, owned, err) < 0)
		return err->code;
	if (!peer->dead && packet_send(peer->fd, text.data, text.len, &own_fd, fd >= 0 ? 1 : 0,
				       &why) != PACKET_DONE)
		peer_end(peer, why.text);
	return 0;
}

void peer_notify(struct peer *peer, enum broker_method method, const void *params)
{
	const struct wire_method *row = &broker_methods[method];
	struct err err = { 0 };
	json_t *encoded = peer ? codec_encode(row->params, params, &err) : NULL;

	if (peer &&
	    (!encoded || peer_send(peer, rpc_notification(row->name, encoded), -1, &err) < 0))
		peer_end(peer, err.text);
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
	const struct wire_method *method = ticket->method;
	json_auto_t *encoded = NULL;
	struct err lost = { 0 };
	int fd = -1;
	int rc;

	if (!ticket->id)
		return 0;
	encoded = result ? codec_encode(method->result, result, err) : NULL;
	rc = encoded ? shorten(encoded, large, &fd, err) : (int)err->code;
	if (rc == 0)
		rc = peer_send(ticket->peer, rpc_result(ticket->id, json_incref(encoded)), fd, err);
	/* One that waits for an answer for ever is worse off than one that is ended. */
	if (rc < 0 && peer_send(ticket->peer, rpc_failure(ticket->id, err), -1, &lost) < 0)
		peer_end(ticket->peer, lost.text);
	log_event(rc < 0 ? LOG_WARN : LOG_INFO, "request", "peer=%u method=%s outcome=%s why='%s'",
		  ticket->peer->number, method->name ? method->name : "unknown",
		  rc < 0 ? err_code_name(err->code) : "ok", rc < 0 ? err->text : "");
	ticket_drop(ticket);
	return rc;
}

void ticket_drop(struct ticket *ticket)
{
	if (ticket->id)
		ticket->peer->in_flight--;
	json_decref(ticket->id);
	ticket->id = NULL;
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

static int run(struct call *call, struct err *err)
{
	const struct peer *peer = call->peer;
	const struct wire_method *method = call->ticket.method;
	json_t *params = call->kept.message;
	bool has_input = json_is_true(json_object_get(params, "has_input"));
	size_t inside = method->fds_min + (has_input ? 1 : 0);
	void *decoded;

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
	if (call->fd_count > inside && merge(params, call->fds[inside], err) < 0)
		return ERR_WRAP(err, "sealed spec");
	decoded = arena_alloc(&call->kept.arena, method->params->size, err);
	if (!decoded ||
	    codec_decode(method->params, params, decoded, &call->kept.arena, CODEC_STRICT, err) < 0)
		return err->code;
	call->params = decoded;
	return serve_handlers[method - broker_methods](call, err);
}

void serve_packet(struct broker *broker, struct peer *peer, struct packet *packet)
{
	static const int64_t nothing[32]; /* a result without members */
	struct err err = { 0 };
	json_auto_t *message = wire_json_load(buf_str(&packet->data), packet->data.len, &err);
	struct rpc rpc = { 0 };
	struct call call = {
		.broker = broker, .peer = peer, .fds = packet->fds, .fd_count = packet->fd_count
	};
	size_t row;

	if (!message || rpc_parse(&rpc, message, &err) < 0 || rpc.kind != RPC_REQUEST) {
		log_warn("violation", "peer=%u why='%s'", peer->number,
			 rpc.kind == RPC_NONE ? err.text : "not a request");
		peer_end(peer, "violation of the protocol");
		return;
	}
	row = wire_method_find(broker_methods, BROKER_METHOD_COUNT, rpc.method);
	call.ticket = (struct ticket){ peer, json_incref(rpc.id), &broker_methods[row] };
	call.kept.message = rpc.params ? json_incref(rpc.params) : json_object();
	peer->in_flight++;
	(void)ticket_answer(&call.ticket, run(&call, &err) < 0 ? NULL : nothing, NULL, &err);
	kept_deinit(&call.kept);
}
