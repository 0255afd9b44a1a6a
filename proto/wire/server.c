#include "proto/wire/server.h"

#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "proto/base/clock.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/json.h"

/* Of a member, so that there is room for the rest: envelope, other members, an id of RPC_ID_MAX. */
#define RESULT_MAX (BROKER_PACKET_MAX - 16384)

struct peer *server_add(struct server *server, int sock, int role, struct err *err)
{
	int fd SCOPED(fd_close) = sock;
	struct peer *peer;

	if (server->peer_count >= SERVER_PEERS_MAX) {
		(void)ERR_SET(err, ERR_LIMIT, "more than %u connections", SERVER_PEERS_MAX);
		return NULL;
	}
	if (fd_set_nonblock(fd, err) < 0)
		return NULL;
	peer = malloc(sizeof *peer);
	if (!peer) {
		(void)ERR_NOMEM_SET(err);
		return NULL;
	}
	*peer = (struct peer){ server, ++server->peer_number, fd_take(&fd), .role = role };
	/* As if it had cost as much as the dearest: to connect anew gains nobody a place. */
	for (size_t i = 0; i < server->peer_count; i++) {
		if (server->peers[i]->spent_us > peer->spent_us)
			peer->spent_us = server->peers[i]->spent_us;
	}
	server->peers[server->peer_count++] = peer;
	return peer;
}

size_t server_watch(const struct server *server, struct pollfd *fds)
{
	for (size_t i = 0; i < server->peer_count; i++)
		fds[i] = (struct pollfd){ .fd = server->peers[i]->fd,
					  .events = peer_events(server->peers[i]) };
	return server->peer_count;
}

/* What lies back counts less and less. */
static void forget(struct server *server, int64_t second)
{
	int64_t passed = second - server->second;

	for (size_t i = 0; passed > 0 && i < server->peer_count; i++)
		server->peers[i]->spent_us >>= passed < 32 ? passed : 32;
	server->second = second;
}

static void serve_one(struct peer *peer, short events)
{
	struct packet packet SCOPED(packet_deinit) = { 0 };

	if (peer_receive(peer, events, &packet))
		peer_serve(peer, &packet);
}

void server_dispatch(struct server *server, const struct pollfd *fds, size_t count)
{
	bool served[SERVER_PEERS_MAX] = { false };
	int64_t start_us = clock_us();
	int64_t at_us = start_us;

	forget(server, start_us / 1000000);
	while (at_us - start_us < SERVER_ROUND_US) {
		size_t next = count;
		int64_t before_us = at_us;

		for (size_t i = 0; i < count; i++) {
			if (fds[i].revents && !served[i] &&
			    (next == count ||
			     server->peers[i]->spent_us < server->peers[next]->spent_us))
				next = i;
		}
		if (next == count)
			return;
		served[next] = true;
		serve_one(server->peers[next], fds[next].revents);
		at_us = clock_us();
		server->peers[next]->spent_us += at_us - before_us;
	}
}

struct peer *server_next_dead(struct server *server)
{
	struct peer *peer = NULL;

	for (size_t i = server->peer_count; !peer && i-- > 0;) {
		if (server->peers[i]->dead) {
			peer = server->peers[i];
			server->peers[i] = server->peers[--server->peer_count];
		}
	}
	for (size_t i = 0; peer && i < SERVER_WAITING_MAX; i++) {
		if (server->waiting[i].peer == peer)
			ticket_drop(&server->waiting[i]);
	}
	return peer;
}

void peer_free(struct peer *peer)
{
	fd_close(&peer->fd);
	free(peer);
}

void peer_end(struct peer *peer, const char *why)
{
	if (!peer->dead)
		peer->server->table->on_end(peer, why);
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

/*
 * What it has sent is thrown away and nothing more let in: closing with something unread would
 * reset the connection, and the sentence would be lost.
 */
bool server_refuse(int sock, const struct err *why)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(BROKER_PACKET_MAX);
	json_auto_t *message = rpc_failure(NULL, why);
	struct err err = { 0 };
	char byte;

	(void)shutdown(sock, SHUT_RD);
	while (recv(sock, &byte, 1, MSG_DONTWAIT) > 0)
		;
	return fd_set_nonblock(sock, &err) == 0 && message &&
	       wire_json_dump(&text, message, &err) == 0 &&
	       packet_send(sock, text.data, text.len, NULL, 0, &err) == PACKET_DONE;
}

void peer_notify(struct peer *peer, size_t method, const void *params)
{
	const struct wire_method *row = peer ? &peer->server->table->methods[method] : NULL;
	struct err err = { 0 };
	json_t *encoded = peer ? codec_encode(row->params, params, &err) : NULL;

	if (peer &&
	    (!encoded || peer_send(peer, rpc_notification(row->name, encoded), -1, &err) < 0))
		peer_end(peer, err.text);
}

void server_notify(struct server *server, size_t method, const void *params)
{
	for (size_t i = 0; i < server->peer_count; i++) {
		if (server->peers[i]->greeted)
			peer_notify(server->peers[i], method, params);
	}
}

json_t *peer_describe(const struct peer *peer, json_t *members)
{
	struct ucred id = { 0 };
	socklen_t size = sizeof id;
	json_t *who = NULL;
	int rc = 0;

	if (!peer || !members)
		return members;
	if (getsockopt(peer->fd, SOL_SOCKET, SO_PEERCRED, &id, &size) == 0)
		who = json_pack("{s:i, s:s*, s:i, s:i}", "peer", (int)peer->number, "role",
				peer->server ? names_get(peer->server->table->roles, peer->role)
					     : NULL,
				"uid", (int)id.uid, "pid", (int)(peer->pid ? peer->pid : id.pid));
	rc = json_object_update_new(members, who);
	if (rc < 0)
		json_decref(members);
	return rc < 0 ? NULL : members;
}

/* Takes a member that is longer than a packet out of the result; it is dumped once, being long. */
static int shorten(json_t *result, const char *large, int *fd, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(WIRE_JSON_MAX);
	const json_t *member = json_object_get(result, large);

	if (!member)
		return 0;
	if (wire_json_dump(&text, member, err) < 0)
		return err->code;
	if (text.len <= RESULT_MAX)
		return 0;
	if (fd_sealed(fd, large, text.data, text.len, err) < 0)
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
	ticket->peer->server->table->on_answer(ticket, rc < 0 ? err : NULL);
	ticket_drop(ticket);
	return rc;
}

void ticket_drop(struct ticket *ticket)
{
	if (ticket->id)
		ticket->peer->in_flight--;
	json_decref(ticket->id);
	*ticket = (struct ticket){ 0 };
}

int ticket_wait(struct ticket *ticket, struct err *err)
{
	struct ticket *waiting = ticket->peer->server->waiting;

	for (size_t i = 0; i < SERVER_WAITING_MAX; i++) {
		if (!waiting[i].id) {
			waiting[i] = MOVE(*ticket);
			return 0;
		}
	}
	return ERR_SET(err, ERR_LIMIT, "more than %d requests wait", SERVER_WAITING_MAX);
}

void server_wake(struct server *server, size_t method, const void *result, struct err *err)
{
	for (size_t i = 0; i < SERVER_WAITING_MAX; i++) {
		if (server->waiting[i].method == &server->table->methods[method])
			(void)ticket_answer(&server->waiting[i], result, NULL, err);
	}
}

/* Neither memory nor time is spent on a text that no method can mean. */
static json_t *load(const struct buf *text, struct err *err)
{
	if (wire_json_values(buf_str(text), text->len) <= SERVER_VALUES_MAX)
		return wire_json_load(buf_str(text), text->len, err);
	(void)ERR_SET(err, ERR_LIMIT, "more than %u values", SERVER_VALUES_MAX);
	return NULL;
}

/* Puts what came in a sealed file among the parameters, where the codec judges it. */
static int merge(json_t *params, const char *const *names, int fd, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(BROKER_SPEC_MAX);
	json_auto_t *value = buf_read_sealed(&text, fd, err) < 0 ? NULL : load(&text, err);
	size_t used = 0;
	size_t given = json_is_array(value) ? 1 : json_object_size(value);

	if (!value)
		return err->code;
	for (; *names; names++) {
		bool alone = json_is_array(value) && !names[1];
		json_t *member = alone ? value : json_object_get(value, *names);

		if (member && json_object_get(params, *names))
			return ERR_SET(err, ERR_INVALID, "'%s' is there twice", *names);
		if (member && json_object_set(params, *names, member) < 0)
			return ERR_NOMEM_SET(err);
		used += member ? 1 : 0;
	}
	return used == given ? 0 : ERR_SET(err, ERR_INVALID, "a member that has no place there");
}

static int run(struct call *call, struct err *err)
{
	const struct peer *peer = call->peer;
	const struct server_table *table = peer->server->table;
	const struct wire_method *method = call->ticket.method;
	json_t *params = call->kept.message;
	bool announced = json_is_true(json_object_get(params, table->announcing));
	size_t inside = method->fds_min + (announced ? 1 : 0);
	void *decoded;

	if (!method->name)
		return ERR_SET(err, ERR_NOTFOUND, "there is no method of this name");
	if (!(method->roles & (1U << peer->role)))
		return ERR_SET(err, ERR_DENIED, "not for the role '%s'",
			       names_get(table->roles, peer->role));
	if (method->stage != (peer->greeted ? WIRE_STAGE_GREETED : WIRE_STAGE_ANY))
		return ERR_SET(err, ERR_STATE, "hello comes first, and once");
	if (call->fd_count < inside || call->fd_count > inside + 1 ||
	    call->fd_count > method->fds_max)
		return ERR_SET(err, ERR_INVALID, "%zu descriptors instead of %zu", call->fd_count,
			       inside);
	if (call->fd_count > inside && merge(params, table->sealed, call->fds[inside], err) < 0)
		return ERR_WRAP(err, "sealed spec");
	decoded = arena_alloc(&call->kept.arena, method->params->size, err);
	if (!decoded ||
	    codec_decode(method->params, params, decoded, &call->kept.arena, CODEC_STRICT, err) < 0)
		return err->code;
	call->params = decoded;
	return table->handlers[method - table->methods](call, err);
}

void peer_serve(struct peer *peer, struct packet *packet)
{
	static const int64_t nothing[32]; /* a result without members */
	const struct server_table *table = peer->server->table;
	struct err err = { 0 };
	json_auto_t *message = load(&packet->data, &err);
	struct rpc rpc = { 0 };
	struct call call = { .peer = peer, .fds = packet->fds, .fd_count = packet->fd_count };
	size_t row;

	if (!message || rpc_parse(&rpc, message, &err) < 0 || rpc.kind != RPC_REQUEST) {
		if (rpc.kind != RPC_NONE)
			(void)ERR_SET(&err, ERR_INVALID, "not a request");
		(void)ERR_WRAP(&err, "violation of the protocol");
		peer_end(peer, err.text);
		return;
	}
	row = wire_method_find(table->methods, table->method_count, rpc.method);
	call.ticket = (struct ticket){ peer, json_incref(rpc.id), &table->methods[row] };
	call.kept.message = rpc.params ? json_incref(rpc.params) : json_object();
	peer->in_flight++;
	(void)ticket_answer(&call.ticket, run(&call, &err) < 0 ? NULL : nothing, NULL, &err);
	kept_deinit(&call.kept);
}
