/*
 * The real broker at its limits: what is malformed, too much or too large, and who else may listen.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/fd.h"
#include "proto/wire/broker_gen.h"
#include "proto/wire/packet.h"

#include "tests/support/broker_rig.h"
#include "tests/support/fixture.h"
#include "tests/support/leak.h"

/* Whatever one peer does wrong ends that peer, and the broker serves the others. */
static void a_violation_ends_the_peer_and_nobody_else(void **state)
{
	static const char *const garbage[] = {
		"",
		"x",
		"\xff\xfe",
		"[]",
		"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\"}]",
		"{\"jsonrpc\":\"2.0\",\"method\":\"hello\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\",\"x\":1}",
	};
	struct broker_rig rig;

	(void)state;
	broker_rig_open(&rig, "read-only");
	for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
		struct broker_client bad;

		broker_client_connect(&bad, rig.broker.runtime, "broker.sock");
		assert_int_equal(send(bad.sock, garbage[i], strlen(garbage[i]), 0),
				 strlen(garbage[i]));
		if (!broker_client_ended(&bad))
			fail_msg("'%s': lives on", garbage[i]);
		broker_client_close(&bad);
	}
	assert_int_equal(broker_rig_run(&rig, SH("exit 4"), NULL, 0), 4);
	broker_rig_close(&rig);
}

static void too_large_a_packet_ends_the_peer(void **state)
{
	struct broker_rig rig;
	struct broker_client bad;
	static char large[BROKER_PACKET_MAX + 1];

	(void)state;
	broker_rig_open(&rig, "read-only");
	memset(large, ' ', sizeof large);
	large[0] = '{';
	large[1] = '}';
	broker_client_connect(&bad, rig.broker.runtime, "broker.sock");
	assert_int_equal(send(bad.sock, large, sizeof large, 0), sizeof large);
	assert_true(broker_client_ended(&bad));
	broker_client_close(&bad);
	broker_rig_close(&rig);
}

static void so_many_connections_are_served_at_once(void **state)
{
	struct broker_rig rig;
	struct broker_client clients[BROKER_PEERS_MAX];

	(void)state;
	broker_rig_open(&rig, "read-only");
	for (size_t i = 1; i < BROKER_PEERS_MAX; i++)
		broker_client_open(&clients[i], &rig.broker);
	broker_client_connect(&clients[0], rig.broker.runtime, "broker.sock");
	{
		struct packet packet SCOPED(packet_deinit) = { 0 };
		struct err err = { 0 };

		assert_int_equal(packet_recv(clients[0].sock, &packet, &err), PACKET_DONE);
		assert_non_null(strstr(packet.data.data, "more than 64 connections"));
	}
	assert_true(broker_client_ended(&clients[0]));
	broker_client_close(&clients[0]);
	broker_client_close(&clients[1]);
	/* The broker sees the end before the newcomer: both are on its list when it polls. */
	json_decref(broker_must(&rig.client, "daemon/status", NULL));
	broker_client_open(&clients[0], &rig.broker);
	broker_client_close(&clients[0]);
	for (size_t i = 2; i < BROKER_PEERS_MAX; i++)
		broker_client_close(&clients[i]);
	broker_rig_close(&rig);
}

static void so_many_commands_run_at_once(void **state)
{
	struct broker_rig rig;
	struct broker_command commands[BROKER_CHILDREN_MAX];
	struct broker_command more;
	size_t i;

	(void)state;
	broker_rig_open(&rig, "danger-full-access");
	for (i = 0; i < BROKER_CHILDREN_MAX; i++) {
		if (!broker_command_start(&commands[i], &rig.client, rig.ceiling,
					  (const char *const[]){ "sleep", "1000", NULL }))
			fail_msg("command %zu: %s", i, rig.client.err.text);
	}
	assert_false(broker_command_start(&more, &rig.client, rig.ceiling, SH("exit 0")));
	assert_int_equal(rig.client.err.code, ERR_LIMIT);
	broker_rig_kill(&rig, &commands[0], SIGKILL);
	assert_int_equal(broker_command_finish(&commands[0], &rig.client, NULL, 0), 128 + SIGKILL);
	assert_true(broker_command_start(&more, &rig.client, rig.ceiling, SH("exit 6")));
	assert_int_equal(broker_command_finish(&more, &rig.client, NULL, 0), 6);
	for (i = 1; i < BROKER_CHILDREN_MAX; i++)
		fd_close(&commands[i].out);
	broker_rig_close(&rig);
}

/* Its answers stay in the broker, and nobody waits for it. */
static void a_peer_that_never_reads_slows_nobody(void **state)
{
	struct broker_rig rig;
	struct broker_client deaf;

	(void)state;
	broker_rig_open(&rig, "read-only");
	broker_client_open(&deaf, &rig.broker);
	assert_int_equal(fd_set_nonblock(deaf.sock, &deaf.err), 0);
	for (;;) { /* until the broker reads it no more */
		static const char text[] =
			"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"daemon/status\"}";

		if (send(deaf.sock, text, sizeof text - 1, MSG_NOSIGNAL) < 0) {
			assert_int_equal(errno, EAGAIN);
			break;
		}
	}
	for (int i = 0; i < 20; i++)
		assert_int_equal(broker_rig_run(&rig, SH("exit 4"), NULL, 0), 4);
	broker_client_close(&deaf);
	broker_rig_close(&rig);
}

static void many_starts_in_flight_are_all_answered(void **state)
{
	struct broker_rig rig;
	struct err err = { 0 };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int ends[2];
	char rest[16];
	int64_t last = 0;

	(void)state;
	broker_rig_open(&rig, "read-only");
	assert_int_equal(fd_pipe(ends, &err), 0);
	for (int i = 0; i < 100; i++)
		last = broker_client_ask(
			&rig.client, "child/start",
			json_pack("{s:s, s:[s]}", "ceiling", rig.ceiling, "argv", "true"),
			(const int[]){ null, ends[1], ends[1] }, 3);
	fd_close(&ends[1]);
	json_decref(broker_client_answer(&rig.client, last));
	for (int i = 0; i < 100; i++) {
		json_auto_t *exited = broker_client_wait(&rig.client, "child/exited");

		assert_int_equal(json_integer_value(json_object_get(exited, "code")), 0);
	}
	assert_int_equal(read(ends[0], rest, sizeof rest), 0);
	fd_close(&ends[0]);
	fd_close(&null);
	broker_rig_close(&rig);
}

static void a_second_broker_of_the_same_folder_is_refused(void **state)
{
	struct broker_rig rig;
	struct test_broker second;
	char why[4096];

	(void)state;
	broker_rig_open(&rig, "read-only");
	second = rig.broker;
	assert_false(test_broker_start_with(&second, NULL, NULL, why));
	assert_non_null(strstr(why, "another process serves"));
	assert_int_equal(broker_rig_run(&rig, SH("exit 4"), NULL, 0), 4);
	broker_rig_close(&rig);
}

/* While there is a connection it serves, however long nothing is said; then its time begins. */
static void a_broker_that_serves_nobody_ends(void **state)
{
	struct broker_rig rig;
	int status = -1;

	(void)state;
	test_broker_start_idle(&rig.broker, NULL, "1000");
	broker_client_open(&rig.client, &rig.broker);
	broker_client_ceiling(&rig.client, &rig.broker, "read-only", false, rig.ceiling);
	assert_int_equal(broker_rig_run(&rig, SH("sleep 1.5; exit 4"), NULL, 0), 4);
	assert_false(test_broker_logged(&rig.broker, "broker_idle"));
	broker_client_close(&rig.client);
	assert_int_equal(waitpid(rig.broker.pid, &status, 0), rig.broker.pid);
	assert_int_equal(status, 0);
	assert_true(test_broker_logged(&rig.broker, "broker_idle ms=1000"));
}

static void an_unsafe_folder_is_refused_with_the_mend(void **state)
{
	struct test_broker broker;
	char why[4096];

	(void)state;
	test_broker_start(&broker, NULL);
	assert_int_equal(test_broker_stop(&broker), 0);
	assert_int_equal(chmod(broker.state, 0770), 0);
	assert_false(test_broker_start_with(&broker, NULL, NULL, why));
	assert_non_null(strstr(why, "chmod go-w"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LEAK_TEST(a_violation_ends_the_peer_and_nobody_else),
		LEAK_TEST(too_large_a_packet_ends_the_peer),
		LEAK_TEST(so_many_connections_are_served_at_once),
		LEAK_TEST(so_many_commands_run_at_once),
		LEAK_TEST(a_peer_that_never_reads_slows_nobody),
		LEAK_TEST(many_starts_in_flight_are_all_answered),
		LEAK_TEST(a_second_broker_of_the_same_folder_is_refused),
		LEAK_TEST(a_broker_that_serves_nobody_ends),
		LEAK_TEST(an_unsafe_folder_is_refused_with_the_mend),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
