#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/wire/packet.h"

#include "tests/support/fixture.h"

static void make_pair(int pair[2])
{
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
}

static bool same_file(int a, int b)
{
	struct stat one = { 0 };
	struct stat two = { 0 };

	return fstat(a, &one) == 0 && fstat(b, &two) == 0 && one.st_ino == two.st_ino &&
	       one.st_dev == two.st_dev;
}

static void a_packet_arrives_with_its_descriptors(void **state)
{
	struct packet packet SCOPED(packet_deinit) = { 0 };
	int pair[2];
	int ends[2];
	int taken;

	(void)state;
	make_pair(pair);
	assert_int_equal(fd_pipe(ends, NULL), 0);
	for (size_t count = 0; count <= 2; count++) {
		assert_int_equal(packet_send(pair[0], "hello", 5, ends, count, NULL), PACKET_DONE);
		assert_int_equal(packet_recv(pair[1], &packet, NULL), PACKET_DONE);
		assert_string_equal(packet.data.data, "hello");
		assert_int_equal(packet.fd_count, count);
		for (size_t i = 0; i < count; i++) {
			assert_true(same_file(packet.fds[i], ends[i]));
			assert_true(fcntl(packet.fds[i], F_GETFD) & FD_CLOEXEC);
		}
	}
	taken = packet_take(&packet, 1);
	assert_true(same_file(taken, ends[1]));
	assert_int_equal(packet_take(&packet, 1), -1);
	assert_int_equal(packet_take(&packet, 2), -1);
	packet_deinit(&packet);
	packet_deinit(&packet);
	assert_true(same_file(taken, ends[1]));
	fd_close(&taken);
	fd_close(&ends[0]);
	fd_close(&ends[1]);
	fd_close(&pair[0]);
	fd_close(&pair[1]);
}

static void nothing_to_read_and_no_room_to_write_are_no_failures(void **state)
{
	struct packet packet SCOPED(packet_deinit) = { 0 };
	char *large = calloc(1, BROKER_PACKET_MAX);
	struct err err = { 0 };
	int pair[2];
	int rc = PACKET_DONE;

	(void)state;
	make_pair(pair);
	assert_int_equal(packet_recv(pair[1], &packet, &err), PACKET_AGAIN);
	for (int i = 0; rc == PACKET_DONE && i < 1000; i++)
		rc = packet_send(pair[0], large, BROKER_PACKET_MAX, NULL, 0, &err);
	assert_int_equal(rc, PACKET_AGAIN);
	assert_int_equal(err.code, ERR_NONE);
	assert_int_equal(packet_recv(pair[1], &packet, &err), PACKET_DONE);
	assert_int_equal(packet.data.len, BROKER_PACKET_MAX);
	fd_close(&pair[0]);
	fd_close(&pair[1]);
	free(large);
}

static void the_limits_hold_for_who_sends(void **state)
{
	static const struct {
		size_t len;
		size_t fds;
		int rc;
	} rows[] = {
		{ 1, 0, PACKET_DONE },
		{ BROKER_PACKET_MAX, BROKER_FDS_MAX, PACKET_DONE },
		{ 0, 0, ERR_LIMIT },
		{ BROKER_PACKET_MAX + 1, 0, ERR_LIMIT },
		{ 1, BROKER_FDS_MAX + 1, ERR_LIMIT },
	};
	char *data = calloc(1, BROKER_PACKET_MAX + 1);
	int pair[2];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int fds[BROKER_FDS_MAX + 1] = { 0, 0, 0, 0, 0 };

		make_pair(pair);
		assert_int_equal(packet_send(pair[0], data, rows[i].len, fds, rows[i].fds, NULL),
				 rows[i].rc);
		fd_close(&pair[0]);
		fd_close(&pair[1]);
	}
	free(data);
}

/* Sends what packet_send() would refuse to. */
static void send_raw(int sock, size_t len, size_t fd_count)
{
	char control[CMSG_SPACE(sizeof(int) * 16)] __attribute__((aligned(8))) = { 0 };
	char *data = calloc(1, len + 1);
	struct iovec piece = { .iov_base = data, .iov_len = len };
	struct msghdr header = { .msg_iov = &piece, .msg_iovlen = 1 };
	int fds[16] = { 0 };

	if (fd_count > 0) {
		struct cmsghdr *part = (struct cmsghdr *)(void *)control;

		header.msg_control = control;
		header.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		part->cmsg_level = SOL_SOCKET;
		part->cmsg_type = SCM_RIGHTS;
		part->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(part), fds, sizeof(int) * fd_count);
	}
	assert_int_equal(sendmsg(sock, &header, MSG_NOSIGNAL), (ssize_t)len);
	free(data);
}

/* The fixture of every test counts descriptors, so one that a refusal forgot is found. */
static void what_the_kernel_cuts_is_refused_whole(void **state)
{
	static const struct {
		size_t len;
		size_t fds;
		int rc;
	} rows[] = {
		{ BROKER_PACKET_MAX, BROKER_FDS_MAX, PACKET_DONE },
		{ BROKER_PACKET_MAX + 1, 0, ERR_INVALID },
		{ BROKER_PACKET_MAX + 1, BROKER_FDS_MAX, ERR_INVALID },
		{ 1, BROKER_FDS_MAX + 1, ERR_INVALID },
		{ 1, 16, ERR_INVALID },
		{ 0, 0, ERR_GONE },
		{ 0, 2, ERR_GONE },
	};
	int pair[2];

	(void)state;
	make_pair(pair);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct packet packet SCOPED(packet_deinit) = { 0 };
		struct err err = { 0 };

		send_raw(pair[0], rows[i].len, rows[i].fds);
		assert_int_equal(packet_recv(pair[1], &packet, &err), rows[i].rc);
		assert_int_equal(packet.data.len, rows[i].rc < 0 ? 0 : rows[i].len);
	}
	fd_close(&pair[0]);
	fd_close(&pair[1]);
}

static void the_end_of_the_other_side_is_gone(void **state)
{
	struct packet packet SCOPED(packet_deinit) = { 0 };
	struct err err = { 0 };
	int pair[2];

	(void)state;
	make_pair(pair);
	fd_close(&pair[0]);
	assert_int_equal(packet_recv(pair[1], &packet, &err), ERR_GONE);
	assert_int_equal(packet_send(pair[1], "x", 1, NULL, 0, &err), ERR_GONE);
	fd_close(&pair[1]);
	assert_int_equal(packet_recv(pair[1], &packet, &err), ERR_SYSTEM);
	assert_int_equal(err.sys, EBADF);
	assert_int_equal(packet_send(pair[1], "x", 1, NULL, 0, &err), ERR_SYSTEM);
}

static void a_packet_is_replaced_by_the_next_one(void **state)
{
	struct packet packet SCOPED(packet_deinit) = { 0 };
	int pair[2];

	(void)state;
	make_pair(pair);
	assert_int_equal(packet_send(pair[0], "first", 5, pair, 2, NULL), PACKET_DONE);
	assert_int_equal(packet_send(pair[0], "2", 1, NULL, 0, NULL), PACKET_DONE);
	assert_int_equal(packet_recv(pair[1], &packet, NULL), PACKET_DONE);
	assert_int_equal(packet.fd_count, 2);
	assert_int_equal(packet_recv(pair[1], &packet, NULL), PACKET_DONE);
	assert_int_equal(packet.fd_count, 0);
	assert_string_equal(packet.data.data, "2");
	fd_close(&pair[0]);
	fd_close(&pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_packet_arrives_with_its_descriptors),
		FIXTURE_TEST(nothing_to_read_and_no_room_to_write_are_no_failures),
		FIXTURE_TEST(the_limits_hold_for_who_sends),
		FIXTURE_TEST(what_the_kernel_cuts_is_refused_whole),
		FIXTURE_TEST(the_end_of_the_other_side_is_gone),
		FIXTURE_TEST(a_packet_is_replaced_by_the_next_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
