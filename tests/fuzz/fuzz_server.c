/*
 * Packets to the broker's server, from a client or from agentd, and what becomes of a command in
 * them: lines of the input are packets, the first byte chooses the role. Whatever comes, the
 * answers are JSON, a peer that breaks the rules is ended, and a spec that is accepted can be
 * packed.
 */
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/wire/json.h"
#include "proto/wire/order.h"
#include "proto/wire/server.h"
#include "proto/wire/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct broker_ceiling_open ceiling = { .mode = SANDBOX_MODE_WORKSPACE_WRITE,
						    .cwd = "/" };

static int greet(struct call *call, struct err *err)
{
	(void)err;
	call->peer->greeted = true;
	return 0;
}

static int nothing(struct call *call, struct err *err)
{
	(void)call;
	(void)err;
	return 0;
}

static int pack(const struct broker_grant_record *spec, struct err *err)
{
	struct order order;
	int block = -1;
	int rc = spec_pack(&order, &block, &ceiling.env, spec, err);

	fd_close(&block);
	return rc;
}

static int start(struct call *call, struct err *err)
{
	struct broker_grant_record spec = { 0 };
	enum broker_role role = (enum broker_role)call->peer->role;

	return spec_of_start(&spec, call->params, &ceiling, role, err) < 0 ? (int)err->code
									   : pack(&spec, err);
}

static int request(struct call *call, struct err *err)
{
	struct broker_grant_record spec = { 0 };
	enum broker_role role = (enum broker_role)call->peer->role;

	return spec_of_request(&spec, call->params, role, err) < 0 ? (int)err->code
								   : pack(&spec, err);
}

static void on_answer(const struct ticket *ticket, const struct err *why)
{
	if (!ticket->method || (why && why->text[0] == '\0'))
		abort();
}

static void on_end(const struct peer *peer, const char *why)
{
	if (peer->dead || why[0] == '\0')
		abort();
}

static void read_answers(int fd)
{
	char text[BROKER_PACKET_MAX];
	ssize_t got;

	while ((got = recv(fd, text, sizeof text, MSG_DONTWAIT)) > 0) {
		struct err err = { 0 };
		json_auto_t *answer = wire_json_load(text, (size_t)got, &err);

		if (!json_is_object(answer))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int (*handlers[BROKER_METHOD_COUNT])(struct call * call, struct err * err);
	static const char *const sealed[] = { "argv", "env", NULL };
	static const struct server_table table = { .methods = broker_methods,
						   .method_count = BROKER_METHOD_COUNT,
						   .handlers = handlers,
						   .roles = &broker_role_names,
						   .sealed = sealed,
						   .announcing = "has_input",
						   .on_answer = on_answer,
						   .on_end = on_end };
	struct server server = { .table = &table };
	struct err err = { 0 };
	struct peer *peer;
	int pair[2];

	for (size_t i = 0; i < BROKER_METHOD_COUNT; i++)
		handlers[i] = nothing;
	handlers[BROKER_METHOD_HELLO] = greet;
	handlers[BROKER_METHOD_CHILD_START] = start;
	handlers[BROKER_METHOD_GRANT_REQUEST] = request;
	if (size == 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return 0;
	peer = server_add(&server, pair[1], data[0] & 1 ? BROKER_ROLE_CLIENT : BROKER_ROLE_DAEMON,
			  &err);
	for (const uint8_t *at = data + 1; peer && at < data + size;) {
		const uint8_t *end = memchr(at, '\n', (size_t)(data + size - at));
		size_t len = (size_t)((end ? end : data + size) - at);
		struct pollfd fds[SERVER_PEERS_MAX];
		size_t count;

		if (len > 0 && send(pair[0], at, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		count = server_watch(&server, fds);
		if (poll(fds, count, 0) > 0)
			server_dispatch(&server, fds, count);
		read_answers(pair[0]);
		at += len + 1;
	}
	if (peer && !peer->dead)
		peer_end(peer, "the input has ended");
	while ((peer = server_next_dead(&server)))
		peer_free(peer);
	(void)close(pair[0]);
	return 0;
}
