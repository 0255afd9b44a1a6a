#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/wire/packet.h"

#include "broker/broker.h"
#include "tests/support/fixture.h"

/* A peer, and the other end of its connection. */
struct pair {
	struct broker broker;
	struct peer *peer;
	int far;
};

static void pair_open(struct pair *pair)
{
	int ends[2];
	struct err err = { 0 };

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	pair->far = ends[1];
	pair->broker = (struct broker){ 0 };
	pair->peer = broker_add_peer(&pair->broker, ends[0], BROKER_ROLE_CLIENT, &err);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
