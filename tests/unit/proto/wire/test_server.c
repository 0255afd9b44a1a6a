#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/wire/json.h"
#include "proto/wire/server.h"

#include "tests/support/fixture.h"

static size_t ended;

static void on_end(const struct peer *peer, const char *why)
{
	assert_false(peer->dead);
	assert_true(strlen(why) > 0);
	ended++;
}

static struct ticket later;
static size_t answered;
static enum err_code outcome;

static void on_answer(const struct ticket *ticket, const struct err *why)
{
	assert_non_null(ticket->method);
	outcome = why ? why->code : ERR_NONE;
	answered++;
}

static int greet(struct call *call, struct err *err)
{
	struct broker_hello_result result = { .version = 1,
					      .role = BROKER_ROLE_CLIENT,
					      .build = "b" };

	call->peer->greeted = true;
	return ticket_answer(&call->ticket, &result, NULL, err);
}

static int postpone(struct call *call, struct err *err)
{
	(void)err;
	later = call->ticket;
	call->ticket.id = NULL;
	return 0;
}

/* Says how it was called, as an error. */
static int show_words(struct call *call, struct err *err)
{
	const struct broker_child_start *params = call->params;

	return ERR_SET(err, ERR_STATE, "argv %zu, env %zu, descriptors %zu", params->argv.count,
		       params->env.count, call->fd_count);
}

#define COSTLY_US 2000

static unsigned order[64]; /* the numbers of the peers in the order in which they were served */
static size_t served;

static void wait_until(int64_t us)
{
	struct timespec now = { 0 };

	while ((int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 < us)
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
}

static int serve_cheap(struct call *call, struct err *err)
{
	(void)err;
	order[served++] = call->peer->number;
	return 0;
}

static int serve_costly(struct call *call, struct err *err)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	wait_until((int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 + COSTLY_US);
	return serve_cheap(call, err);
}

static int accept_empty(struct call *call, struct err *err)
{
	(void)err;
	return call->fd_count == 0 ? 0 : ERR_STATE;
}

static int (*const handlers[BROKER_METHOD_COUNT])(struct call *call, struct err *err) = {
	[BROKER_METHOD_HELLO] = greet,
	[BROKER_METHOD_DAEMON_STATUS] = postpone,
	[BROKER_METHOD_CHILD_START] = show_words,
	[BROKER_METHOD_CEILING_CLOSE] = accept_empty,
	[BROKER_METHOD_CEILING_SHOW] = serve_costly,
	[BROKER_METHOD_GRANT_LIST] = serve_cheap,
};
static const char *const sealed_members[] = { "argv", "env", NULL };
static const struct server_table table = {
	.methods = broker_methods,
	.method_count = BROKER_METHOD_COUNT,
	.handlers = handlers,
	.roles = &broker_role_names,
	.sealed = sealed_members,
	.announcing = "has_input",
	.on_answer = on_answer,
	.on_end = on_end,
};

/* A peer, and the other end of its connection. */
struct pair {
	struct server server;
	struct peer *peer;
	int far;
};

static void pair_open(struct pair *pair)
{
	int ends[2];
	struct err err = { 0 };

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	pair->far = ends[1];
	pair->server = (struct server){ .table = &table };
	pair->peer = server_add(&pair->server, ends[0], BROKER_ROLE_CLIENT, &err);
	assert_non_null(pair->peer);
}

static void pair_close(struct pair *pair)
{
	peer_free(pair->peer);
	fd_close(&pair->far);
}

static int send_text(struct peer *peer, size_t bytes, int fd)
{
	char *text = malloc(bytes + 1);
	struct err err = { 0 };
	int rc;

	assert_non_null(text);
	memset(text, 'x', bytes);
	text[bytes] = '\0';
	rc = peer_send(peer, json_pack("{s:s}", "a", text), fd, &err);
	free(text);
	return rc;
}

static void a_packet_comes_out_as_it_was_sent(void **state)
{
	struct pair pair;
	struct packet packet SCOPED(packet_deinit) = { 0 };
	struct err err = { 0 };

	(void)state;
	pair_open(&pair);
	assert_false(peer_receive(pair.peer, POLLIN, &packet));
	assert_int_equal(packet_send(pair.far, "{}", 2, NULL, 0, &err), PACKET_DONE);
	assert_true(peer_receive(pair.peer, POLLIN, &packet));
	assert_string_equal(packet.data.data, "{}");
	assert_int_equal(send_text(pair.peer, 3, dup(pair.far)), 0);
	assert_int_equal(packet_recv(pair.far, &packet, &err), PACKET_DONE);
	assert_string_equal(packet.data.data, "{\"a\":\"xxx\"}");
	assert_int_equal(packet.fd_count, 1);
	pair_close(&pair);
}

static void a_peer_that_closes_is_dead(void **state)
{
	static const short events[] = { POLLIN, POLLIN | POLLHUP, POLLHUP, POLLERR };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		struct pair pair;
		struct packet packet SCOPED(packet_deinit) = { 0 };

		pair_open(&pair);
		fd_close(&pair.far);
		assert_false(peer_receive(pair.peer, events[i], &packet));
		assert_true(pair.peer->dead);
		assert_int_equal(send_text(pair.peer, 3, -1), 0); /* to nobody */
		pair_close(&pair);
	}
}

static void too_long_a_packet_ends_the_peer(void **state)
{
	static char text[BROKER_PACKET_MAX + 1];

	(void)state;
	for (size_t over = 0; over < 2; over++) {
		struct pair pair;
		struct packet packet SCOPED(packet_deinit) = { 0 };

		pair_open(&pair);
		assert_int_equal(send(pair.far, text, BROKER_PACKET_MAX + over, 0),
				 BROKER_PACKET_MAX + over);
		assert_int_equal(peer_receive(pair.peer, POLLIN, &packet), over ? 0 : 1);
		assert_int_equal(pair.peer->dead, over ? 1 : 0);
		pair_close(&pair);
	}
}

static void too_many_descriptors_end_the_peer(void **state)
{
	(void)state;
	for (size_t over = 0; over < 2; over++) {
		size_t count = BROKER_FDS_MAX + over;
		struct pair pair;
		struct packet packet SCOPED(packet_deinit) = { 0 };
		union {
			struct cmsghdr align;
			char bytes[CMSG_SPACE(sizeof(int) * (BROKER_FDS_MAX + 1))];
		} control = { 0 };
		char text[] = "{}";
		struct iovec piece = { .iov_base = text, .iov_len = 2 };
		struct msghdr header = { .msg_iov = &piece,
					 .msg_iovlen = 1,
					 .msg_control = control.bytes,
					 .msg_controllen = CMSG_SPACE(sizeof(int) * count) };

		pair_open(&pair);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int) * count);
		for (size_t i = 0; i < count; i++)
			memcpy(CMSG_DATA(&control.align) + i * sizeof(int), &pair.far, sizeof(int));
		assert_int_equal(sendmsg(pair.far, &header, 0), 2);
		assert_int_equal(peer_receive(pair.peer, POLLIN, &packet), over ? 0 : 1);
		assert_int_equal(pair.peer->dead, over ? 1 : 0);
		pair_close(&pair);
	}
}

static void too_long_a_message_is_the_senders_failure(void **state)
{
	struct pair pair;
	size_t frame = strlen("{\"a\":\"\"}");

	(void)state;
	pair_open(&pair);
	assert_int_equal(send_text(pair.peer, BROKER_PACKET_MAX - frame, -1), 0);
	assert_int_equal(send_text(pair.peer, BROKER_PACKET_MAX - frame + 1, -1), ERR_LIMIT);
	assert_false(pair.peer->dead);
	pair_close(&pair);
}

/* It has sent a request, and is sent answers that it does not read. */
static void a_peer_that_is_behind_is_not_read_until_it_has_caught_up(void **state)
{
	struct pair pair;
	struct packet packet SCOPED(packet_deinit) = { 0 };
	struct err err = { 0 };
	size_t sent = 0;

	(void)state;
	pair_open(&pair);
	assert_int_equal(packet_send(pair.far, "{}", 2, NULL, 0, &err), PACKET_DONE);
	for (; !pair.peer->behind; sent++) {
		assert_int_equal(peer_events(pair.peer), POLLIN);
		assert_int_equal(send_text(pair.peer, 1000, -1), 0);
		assert_int_equal(packet_send(pair.far, "{}", 2, NULL, 0, &err), PACKET_DONE);
		(void)peer_receive(pair.peer, POLLIN, &packet);
	}
	assert_false(pair.peer->dead);
	assert_int_equal(peer_events(pair.peer), POLLOUT);
	assert_false(peer_receive(pair.peer, POLLIN | POLLOUT, &packet));
	for (; sent > 0; sent--)
		assert_int_equal(packet_recv(pair.far, &packet, &err), PACKET_DONE);
	assert_true(peer_receive(pair.peer, POLLIN | POLLOUT, &packet));
	assert_int_equal(peer_events(pair.peer), POLLIN);
	pair_close(&pair);
}

static void a_peer_that_never_reads_is_ended(void **state)
{
	struct pair pair;
	size_t sent = 0;

	(void)state;
	pair_open(&pair);
	for (; !pair.peer->dead; sent++)
		assert_int_equal(send_text(pair.peer, 1000, dup(pair.far)), 0);
	assert_true(sent > PEER_FLIGHT_MAX);
	assert_true(sent < 1000); /* the kernel's bound, whatever it is set to */
	pair_close(&pair);
}

static void a_peer_with_too_many_open_requests_is_not_read(void **state)
{
	struct pair pair;

	(void)state;
	pair_open(&pair);
	pair.peer->in_flight = PEER_FLIGHT_MAX - 1;
	assert_int_equal(peer_events(pair.peer), POLLIN);
	pair.peer->in_flight = PEER_FLIGHT_MAX;
	assert_int_equal(peer_events(pair.peer), 0);
	pair_close(&pair);
}

/* Sends, has one round go by, and says what came back, or NULL. */
static json_t *round_trip(struct pair *pair, const char *text, const int *fds, size_t fd_count)
{
	struct pollfd rows[SERVER_PEERS_MAX];
	struct packet packet SCOPED(packet_deinit) = { 0 };
	struct err err = { 0 };
	size_t count;

	assert_int_equal(packet_send(pair->far, text, strlen(text), fds, fd_count, &err),
			 PACKET_DONE);
	count = server_watch(&pair->server, rows);
	assert_true(poll(rows, (nfds_t)count, 0) > 0);
	server_dispatch(&pair->server, rows, count);
	assert_int_equal(fd_set_nonblock(pair->far, &err), 0);
	if (packet_recv(pair->far, &packet, &err) != PACKET_DONE)
		return NULL;
	return wire_json_load(packet.data.data, packet.data.len, &err);
}

#define CALL(method, params)                                                                       \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"" method "\",\"params\":" params "}"
#define HELLO CALL("hello", "{\"version\":1,\"name\":\"t\"}")

static const char *sentence(const json_t *answer)
{
	return json_string_value(json_object_get(json_object_get(answer, "error"), "message"));
}

static void a_packet_goes_to_the_handler_of_its_row(void **state)
{
	struct pair pair;
	json_t *answer;

	(void)state;
	pair_open(&pair);
	answered = 0;
	answer = round_trip(&pair, CALL("daemon/status", "{}"), NULL, 0);
	assert_non_null(strstr(sentence(answer), "hello comes first"));
	assert_int_equal(outcome, ERR_STATE);
	json_decref(answer);
	answer = round_trip(&pair, HELLO, NULL, 0);
	assert_int_equal(outcome, ERR_NONE);
	assert_non_null(json_object_get(json_object_get(answer, "result"), "version"));
	json_decref(answer);
	answer = round_trip(&pair, CALL("no/such", "{}"), NULL, 0);
	assert_int_equal(outcome, ERR_NOTFOUND);
	json_decref(answer);
	answer = round_trip(&pair, CALL("daemon/ready", "{}"), NULL, 0);
	assert_int_equal(outcome, ERR_DENIED);
	assert_non_null(strstr(sentence(answer), "client"));
	json_decref(answer);
	answer = round_trip(&pair, CALL("ceiling/close", "{\"ceiling\":\"x\"}"), NULL, 0);
	assert_int_equal(json_object_size(json_object_get(answer, "result")), 0);
	assert_int_equal(outcome, ERR_NONE);
	json_decref(answer);
	assert_int_equal(answered, 5);
	assert_int_equal(pair.peer->in_flight, 0);
	pair_close(&pair);
}

static void an_answer_may_come_later(void **state)
{
	struct broker_daemon_status_result result = { .pid = 7 };
	struct pair pair;
	struct packet packet SCOPED(packet_deinit) = { 0 };
	struct err err = { 0 };

	(void)state;
	pair_open(&pair);
	json_decref(round_trip(&pair, HELLO, NULL, 0));
	assert_null(round_trip(&pair, CALL("daemon/status", "{}"), NULL, 0));
	assert_int_equal(pair.peer->in_flight, 1);
	answered = 0;
	assert_int_equal(ticket_answer(&later, &result, NULL, &err), 0);
	assert_int_equal(ticket_answer(&later, &result, NULL, &err), 0); /* it is empty */
	assert_int_equal(answered, 1);
	assert_int_equal(pair.peer->in_flight, 0);
	assert_int_equal(packet_recv(pair.far, &packet, &err), PACKET_DONE);
	assert_non_null(strstr(packet.data.data, "7"));
	assert_null(round_trip(&pair, CALL("daemon/status", "{}"), NULL, 0));
	ticket_drop(&later);
	assert_int_equal(answered, 1);
	assert_int_equal(pair.peer->in_flight, 0);
	pair_close(&pair);
}

/* clang-format off */
static const struct merged {
	const char *params;
	const char *spec;
	const char *answer;
} merged[] = {
	{ "{\"ceiling\":\"c\"}", "{\"argv\":[\"a\",\"b\"],\"env\":[\"A=1\"]}", "argv 2, env 1, descriptors 4" },
	{ "{\"ceiling\":\"c\",\"argv\":[\"a\"]}", "[\"A=1\",\"B=2\"]", "argv 1, env 2, descriptors 4" },
	{ "{\"ceiling\":\"c\",\"argv\":[\"a\"]}", "{}", "argv 1, env 0, descriptors 4" },
	{ "{\"ceiling\":\"c\",\"env\":[]}", "[]", "'env' is there twice" },
	{ "{\"ceiling\":\"c\",\"argv\":[]}", "{\"argv\":[\"a\"]}", "'argv' is there twice" },
	{ "{\"ceiling\":\"c\"}", "{\"argv\":[],\"cwd\":\"/\"}", "no place" },
	{ "{\"ceiling\":\"c\"}", "{\"argv\":[1]}", "params.argv[0]" },
};
/* clang-format on */

static void a_sealed_file_is_judged_with_the_parameters(void **state)
{
	struct pair pair;

	(void)state;
	pair_open(&pair);
	json_decref(round_trip(&pair, HELLO, NULL, 0));
	for (size_t i = 0; i < ARRAY_LEN(merged); i++) {
		struct err err = { 0 };
		char text[512];
		json_t *answer;
		int fds[] = { pair.far, pair.far, pair.far, -1 };

		(void)snprintf(text, sizeof text, CALL("child/start", "%s"), merged[i].params);
		assert_int_equal(
			fd_sealed(&fds[3], "spec", merged[i].spec, strlen(merged[i].spec), &err),
			0);
		answer = round_trip(&pair, text, fds, 4);
		if (!strstr(sentence(answer), merged[i].answer))
			fail_msg("%s: %s", merged[i].spec, sentence(answer));
		json_decref(answer);
		fd_close(&fds[3]);
	}
	pair_close(&pair);
}

/* As many of one method, from one peer. */
static int wait_for(struct pair *pair, enum broker_method method, size_t count)
{
	struct err err = { 0 };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < count; i++) {
		struct ticket ticket = { pair->peer, json_integer(1), &broker_methods[method] };

		pair->peer->in_flight++;
		rc = ticket_wait(&ticket, &err);
		assert_true((rc == 0) == !ticket.id); /* taken, or left to the caller */
		ticket_drop(&ticket);
	}
	return rc;
}

static void all_who_wait_are_answered_alike(void **state)
{
	const struct broker_daemon_stop_result result = { .stopped = true };
	struct pair pair;
	struct err err = { 0 };

	(void)state;
	pair_open(&pair);
	answered = 0;
	assert_int_equal(wait_for(&pair, BROKER_METHOD_DAEMON_STOP, SERVER_WAITING_MAX), 0);
	assert_int_equal(wait_for(&pair, BROKER_METHOD_DAEMON_START, 1), ERR_LIMIT);
	server_wake(&pair.server, BROKER_METHOD_DAEMON_START, NULL, &err);
	assert_int_equal(answered, 0); /* nobody waits for that */
	server_wake(&pair.server, BROKER_METHOD_DAEMON_STOP, &result, &err);
	assert_int_equal(answered, SERVER_WAITING_MAX);
	assert_int_equal(outcome, ERR_NONE);
	assert_int_equal(pair.peer->in_flight, 0);
	assert_int_equal(wait_for(&pair, BROKER_METHOD_DAEMON_START, 1), 0);
	peer_end(pair.peer, "test");
	assert_ptr_equal(server_next_dead(&pair.server), pair.peer); /* and nobody waits any more */
	assert_int_equal(pair.peer->in_flight, 0);
	pair_close(&pair);
}

static void a_record_says_who_it_was(void **state)
{
	struct pair pair;
	json_auto_t *record = NULL;
	json_auto_t *unchanged = NULL;

	(void)state;
	pair_open(&pair);
	record = peer_describe(pair.peer, json_pack("{s:s}", "what", "it"));
	assert_string_equal(json_string_value(json_object_get(record, "what")), "it");
	assert_string_equal(json_string_value(json_object_get(record, "role")), "client");
	assert_int_equal(json_integer_value(json_object_get(record, "pid")), getpid());
	assert_int_equal(json_integer_value(json_object_get(record, "uid")), getuid());
	json_decref(record);
	pair.peer->pid = 1; /* of a socket pair it is the maker's */
	record = peer_describe(pair.peer, json_object());
	assert_int_equal(json_integer_value(json_object_get(record, "pid")), 1);
	unchanged = peer_describe(NULL, json_object());
	assert_int_equal(json_object_size(unchanged), 0);
	assert_null(peer_describe(pair.peer, NULL));
	pair_close(&pair);
}

static void dead_peers_are_handed_over_one_by_one(void **state)
{
	struct server server = { .table = &table };
	struct peer *peers[3];
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
		peers[i] = server_add(&server, dup(STDERR_FILENO), BROKER_ROLE_CLIENT, &err);
		assert_non_null(peers[i]);
		assert_int_equal(peers[i]->number, i + 1);
	}
	assert_null(server_next_dead(&server));
	ended = 0;
	peer_end(peers[0], "one");
	peer_end(peers[0], "and the same");
	assert_int_equal(ended, 1);
	assert_ptr_equal(server_next_dead(&server), peers[0]);
	assert_null(server_next_dead(&server));
	peer_end(peers[1], "another"); /* by the farewells of the first */
	assert_ptr_equal(server_next_dead(&server), peers[1]);
	assert_int_equal(server.peer_count, 1);
	assert_ptr_equal(server.peers[0], peers[2]);
	for (size_t i = 0; i < ARRAY_LEN(peers); i++)
		peer_free(peers[i]);
}

static void connections_are_bounded(void **state)
{
	struct server server = { .table = &table };
	struct err err = { 0 };
	struct peer *peer;

	(void)state;
	for (size_t i = 0; i < SERVER_PEERS_MAX; i++)
		assert_non_null(server_add(&server, dup(STDERR_FILENO), BROKER_ROLE_CLIENT, &err));
	assert_null(server_add(&server, dup(STDERR_FILENO), BROKER_ROLE_CLIENT, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	for (size_t i = 0; i < SERVER_PEERS_MAX; i++)
		peer_end(server.peers[i], "test");
	while ((peer = server_next_dead(&server)))
		peer_free(peer);
	assert_int_equal(server.peer_count, 0);
}

/* Also one that has sent something, and one that has gone. */
static void whoever_is_refused_is_told_why(void **state)
{
	struct err why = { .code = ERR_DENIED, .text = "because" };

	(void)state;
	for (int gone = 0; gone < 2; gone++) {
		struct packet packet SCOPED(packet_deinit) = { 0 };
		struct err err = { 0 };
		int ends[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
		assert_int_equal(packet_send(ends[1], "{}", 2, NULL, 0, &err), PACKET_DONE);
		if (gone)
			fd_close(&ends[1]);
		assert_int_equal(server_refuse(ends[0], &why), !gone);
		fd_close(&ends[0]);
		if (!gone) {
			assert_int_equal(packet_recv(ends[1], &packet, &err), PACKET_DONE);
			assert_non_null(strstr(packet.data.data, "because"));
		}
		fd_close(&ends[1]);
	}
}

/* [0,0,...]: the bracket, the first zero, and one for each comma. */
static void write_zeros(char *text, size_t values)
{
	memset(text, '0', 2 * values);
	for (size_t i = 0; i < values - 1; i++)
		text[2 * i] = i == 0 ? '[' : ',';
	memcpy(text + 2 * (values - 1), "]", 2);
}

static void values_of_a_packet_and_of_a_sealed_file_are_bounded(void **state)
{
	char *text = malloc(2 * SERVER_VALUES_MAX + 4);

	(void)state;
	assert_non_null(text);
	for (size_t over = 0; over < 2; over++) {
		struct pair pair;
		struct err err = { 0 };
		json_t *answer;
		int fds[4];

		pair_open(&pair);
		for (size_t i = 0; i < ARRAY_LEN(fds); i++)
			fds[i] = pair.far;
		json_decref(round_trip(&pair, HELLO, NULL, 0));
		write_zeros(text, SERVER_VALUES_MAX + over);
		assert_int_equal(wire_json_values(text, strlen(text)), SERVER_VALUES_MAX + over);
		assert_int_equal(fd_sealed(&fds[3], "spec", text, strlen(text), &err), 0);
		answer = round_trip(&pair, CALL("child/start", "{\"ceiling\":\"c\"}"), fds, 4);
		if (!strstr(sentence(answer), over ? "more than 16384 values" : "params.env"))
			fail_msg("over %zu: %s", over, sentence(answer));
		json_decref(answer);
		fd_close(&fds[3]);
		assert_null(round_trip(&pair, text, NULL, 0));
		assert_true(pair.peer->dead);
		pair_close(&pair);
	}
	free(text);
}

/* Peers, the last of which asks for what costs nothing. */
static void whoever_asks_for_little_does_not_wait_for_those_who_ask_for_much(void **state)
{
	enum { PEERS = 12, ROUNDS = 20 };
	static const char much[] = CALL("ceiling/show", "{\"ceiling\":\"c\"}");
	static const char little[] = CALL("grant/list", "{}");
	struct server server = { .table = &table };
	int far[PEERS];
	struct err err = { 0 };
	struct peer *peer;

	(void)state;
	for (size_t i = 0; i < PEERS; i++) {
		int ends[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
		far[i] = ends[1];
		peer = server_add(&server, ends[0], BROKER_ROLE_CLIENT, &err);
		assert_non_null(peer);
		peer->greeted = true;
	}
	for (size_t round = 0; round < ROUNDS; round++) {
		struct pollfd rows[SERVER_PEERS_MAX];
		size_t count;

		for (size_t i = 0; i < PEERS; i++) {
			const char *text = i == PEERS - 1 ? little : much;

			assert_int_equal(packet_send(far[i], text, strlen(text), NULL, 0, &err),
					 PACKET_DONE);
		}
		served = 0;
		count = server_watch(&server, rows);
		assert_true(poll(rows, (nfds_t)count, 0) > 0);
		server_dispatch(&server, rows, count);
		assert_true(served >= 1);
		assert_true(served < PEERS); /* the others have their turn in the next rounds */
		if (round > PEERS)
			assert_int_equal(order[0], PEERS);
	}
	peer = server_add(&server, dup(STDERR_FILENO), BROKER_ROLE_CLIENT, &err);
	assert_non_null(peer);
	for (size_t i = 0; i < PEERS; i++)
		assert_true(server.peers[i]->spent_us <= peer->spent_us); /* no place is gained */
	for (size_t i = 0; i < server.peer_count; i++)
		peer_end(server.peers[i], "test");
	while ((peer = server_next_dead(&server)))
		peer_free(peer);
	for (size_t i = 0; i < PEERS; i++)
		fd_close(&far[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_packet_comes_out_as_it_was_sent),
		FIXTURE_TEST(a_peer_that_closes_is_dead),
		FIXTURE_TEST(too_long_a_packet_ends_the_peer),
		FIXTURE_TEST(too_many_descriptors_end_the_peer),
		FIXTURE_TEST(too_long_a_message_is_the_senders_failure),
		FIXTURE_TEST(a_peer_that_is_behind_is_not_read_until_it_has_caught_up),
		FIXTURE_TEST(a_peer_that_never_reads_is_ended),
		FIXTURE_TEST(a_peer_with_too_many_open_requests_is_not_read),
		FIXTURE_TEST(a_packet_goes_to_the_handler_of_its_row),
		FIXTURE_TEST(an_answer_may_come_later),
		FIXTURE_TEST(a_sealed_file_is_judged_with_the_parameters),
		FIXTURE_TEST(all_who_wait_are_answered_alike),
		FIXTURE_TEST(a_record_says_who_it_was),
		FIXTURE_TEST(dead_peers_are_handed_over_one_by_one),
		FIXTURE_TEST(connections_are_bounded),
		FIXTURE_TEST(whoever_is_refused_is_told_why),
		FIXTURE_TEST(values_of_a_packet_and_of_a_sealed_file_are_bounded),
		FIXTURE_TEST(whoever_asks_for_little_does_not_wait_for_those_who_ask_for_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
