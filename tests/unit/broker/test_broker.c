/*
 * What the loop makes of a command's reports. The command is played: the test writes what its init
 * would report, also what no honest one would.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/audit.h"
#include "proto/wire/json.h"
#include "proto/wire/packet.h"

#include "broker/broker.h"
#include "tests/support/fixture.h"

static struct broker broker;

struct play {
	int far;     /* the client's end of its connection */
	int status;  /* init's end */
	int signals; /* where the broker hears of SIGTERM */
	int tree;    /* closed: nothing is left of the tree */
};

static void play_open(struct play *play)
{
	struct child *child = &broker.children[0];
	struct err err = { 0 };
	int ends[2];

	memset(&broker, 0, sizeof broker);
	broker.server.table = &serve_table;
	broker.listener = -1;
	assert_int_equal(audit_open(&broker.audit, AUDIT_LOG_FILE, fixture_dir(), &err), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	play->far = ends[1];
	*child = (struct child){ .id = "c0", .started = STARTED_NONE, .wait_status = SIGKILL };
	child->peer = server_add(&broker.server, ends[0], BROKER_ROLE_CLIENT, &err);
	assert_non_null(child->peer);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	child->started.status_fd = ends[0];
	play->status = ends[1];
	assert_int_equal(fd_pipe(ends, &err), 0);
	child->started.pidfd = ends[0];
	play->tree = ends[1];
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	broker.signals = ends[0];
	play->signals = ends[1];
	broker.child_count = 1;
}

static void report(const struct play *play, const struct child_report *said)
{
	struct err err = { 0 };

	if (packet_send(play->status, said, sizeof *said, NULL, 0, &err) != PACKET_DONE)
		fail_msg("report: %s", err.text);
}

static void deny(const struct play *play, enum denial_rule rule, int sys, const char *operation,
		 const char *target)
{
	struct child_report said = { .event = CHILD_DENIED };

	said.denial.rule = (uint32_t)rule;
	said.denial.sys = sys;
	said.denial.count = 1;
	(void)snprintf(said.denial.operation, sizeof said.denial.operation, "%s", operation);
	(void)snprintf(said.denial.target, sizeof said.denial.target, "%s", target);
	report(play, &said);
}

/* Ends the tree and the broker; what the client was told, and what was recorded. */
static json_t *play_end(struct play *play, const struct child_report *exited, char *recorded,
			size_t size)
{
	struct signalfd_siginfo term = { .ssi_signo = SIGTERM };
	struct packet packet SCOPED(packet_deinit) = { 0 };
	struct buf log SCOPED(buf_deinit) = BUF_INIT(AUDIT_LINE_MAX);
	struct err err = { 0 };
	char path[600];
	json_t *message;

	report(play, exited);
	fd_close(&play->tree);
	assert_int_equal(write(play->signals, &term, sizeof term), sizeof term);
	assert_int_equal(broker_run(&broker, &err), 0);
	fd_close(&broker.signals);
	fd_close(&play->signals);
	fd_close(&play->status);
	assert_int_equal(packet_recv(play->far, &packet, &err), PACKET_DONE);
	fd_close(&play->far);
	message = wire_json_load(packet.data.data, packet.data.len, &err);
	if (!message)
		fail_msg("%s", err.text);
	(void)snprintf(path, sizeof path, "%s/" AUDIT_FILE, fixture_dir());
	assert_int_equal(buf_read_file(&log, path, &err), 0);
	if (recorded)
		(void)snprintf(recorded, size, "%s", buf_str(&log));
	assert_int_equal(unlink(path), 0);
	return message;
}

static const struct child_report executed = { .event = CHILD_EXECUTED };
static const struct child_report exited_7 = { .event = CHILD_EXITED, .wait_status = 7 << 8 };

static json_t *denial_at(json_t *message, size_t i, const char *name)
{
	const json_t *list = json_object_get(json_object_get(message, "params"), "denials");

	return json_object_get(json_array_get(list, i), name);
}

static size_t denial_count(json_t *message)
{
	return json_array_size(json_object_get(json_object_get(message, "params"), "denials"));
}

static void is_text(json_t *message, size_t i, const char *name, const char *text)
{
	if (!str_eq(json_string_value(denial_at(message, i, name)), text))
		fail_msg("%zu: %s is '%s'", i, name,
			 json_string_value(denial_at(message, i, name)));
}

static void denials_are_told_with_the_exit(void **state)
{
	struct play play;
	json_auto_t *message = NULL;
	char recorded[8192];

	(void)state;
	play_open(&play);
	report(&play, &executed);
	deny(&play, DENIAL_RULE_OUTSIDE, EROFS, "openat", "/etc/passwd");
	deny(&play, DENIAL_RULE_NETWORK, ENETUNREACH, "connect", "192.0.2.1:80");
	message = play_end(&play, &exited_7, recorded, sizeof recorded);
	assert_int_equal(denial_count(message), 2);
	is_text(message, 0, "rule", "outside");
	is_text(message, 0, "operation", "openat");
	is_text(message, 0, "target", "/etc/passwd");
	is_text(message, 0, "error", "EROFS");
	is_text(message, 1, "rule", "network");
	is_text(message, 1, "error", "ENETUNREACH");
	assert_null(json_object_get(json_object_get(message, "params"), "denials_lost"));
	assert_non_null(strstr(recorded, "\"event\":\"child_exited\""));
	assert_non_null(strstr(recorded, "\"code\":7,\"signal\":0,\"denials\":2,"
					 "\"denials_lost\":0,\"ended_by\":\"itself\""));
}

static void without_denials_the_exit_is_as_it_was(void **state)
{
	struct play play;
	json_auto_t *message = NULL;
	json_t *params;

	(void)state;
	play_open(&play);
	report(&play, &executed);
	message = play_end(&play, &exited_7, NULL, 0);
	params = json_object_get(message, "params");
	assert_int_equal(json_object_size(params), 3); /* child, code, signal */
	assert_int_equal(json_integer_value(json_object_get(params, "code")), 7);
}

static void a_command_that_could_not_be_held_was_ended_for_it(void **state)
{
	struct play play;
	json_auto_t *message = NULL;
	char recorded[8192];
	struct child_report killed = { .event = CHILD_EXITED, .wait_status = SIGKILL };

	(void)state;
	play_open(&play);
	report(&play, &executed);
	deny(&play, DENIAL_RULE_CHANGED, 0, "", "/w/.git");
	message = play_end(&play, &killed, recorded, sizeof recorded);
	is_text(message, 0, "rule", "changed");
	is_text(message, 0, "error", "");
	assert_non_null(strstr(recorded, "\"signal\":9,\"denials\":1,\"denials_lost\":0,"
					 "\"ended_by\":\"changed\""));
}

static void hostile_text_is_made_text(void **state)
{
	static const struct {
		const char *target;
		const char *shown;
	} rows[] = {
		{ "/plain", "/plain" },
		{ "/\xc3\xa9", "/\xc3\xa9" },
		{ "/\xff\xfe", "/??" },
		{ "/a\nb\x1b[31m", "/a?b?[31m" },
		{ "/\xc3", "/?" },
		{ "/\x7f\t", "/??" },
		{ "", "" },
	};
	struct play play;
	json_auto_t *message = NULL;

	(void)state;
	play_open(&play);
	report(&play, &executed);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		deny(&play, DENIAL_RULE_OUTSIDE, EROFS, rows[i].target, rows[i].target);
	message = play_end(&play, &exited_7, NULL, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		is_text(message, i, "target", rows[i].shown);
		is_text(message, i, "operation", rows[i].shown);
	}
}

static void text_without_an_end_is_ended(void **state)
{
	struct play play;
	json_auto_t *message = NULL;
	struct child_report said = { .event = CHILD_DENIED };

	(void)state;
	play_open(&play);
	report(&play, &executed);
	said.denial.rule = DENIAL_RULE_HIDDEN;
	memset(said.denial.operation, 'o', sizeof said.denial.operation);
	memset(said.denial.target, '"', sizeof said.denial.target);
	/* The longest that there can be: it must fit into a packet, or nobody hears of the exit. */
	for (int i = 0; i < BROKER_DENIALS_MAX; i++)
		report(&play, &said);
	message = play_end(&play, &exited_7, NULL, 0);
	assert_int_equal(denial_count(message), BROKER_DENIALS_MAX);
	assert_int_equal(json_string_length(denial_at(message, 0, "target")),
			 DENIAL_TARGET_MAX - 1);
	assert_int_equal(json_string_length(denial_at(message, 0, "operation")), 31);
}

static void more_than_there_is_room_for_are_counted(void **state)
{
	static const struct {
		int reported;
		uint32_t lost; /* by init */
		int kept;
		int told; /* as lost */
	} rows[] = {
		{ BROKER_DENIALS_MAX, 0, BROKER_DENIALS_MAX, 0 },
		{ BROKER_DENIALS_MAX, 9, BROKER_DENIALS_MAX, 9 },
		{ BROKER_DENIALS_MAX + 1, 0, BROKER_DENIALS_MAX, 1 },
		{ BROKER_DENIALS_MAX + 8, 2, BROKER_DENIALS_MAX, 10 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct play play;
		json_auto_t *message = NULL;
		struct child_report exited = exited_7;
		json_t *lost;

		play_open(&play);
		report(&play, &executed);
		for (int k = 0; k < rows[i].reported; k++)
			deny(&play, DENIAL_RULE_OUTSIDE, EROFS, "openat", "/x");
		exited.lost = rows[i].lost;
		message = play_end(&play, &exited, NULL, 0);
		assert_int_equal(denial_count(message), rows[i].kept);
		lost = json_object_get(json_object_get(message, "params"), "denials_lost");
		assert_int_equal(json_integer_value(lost), rows[i].told);
		assert_int_equal(!lost, rows[i].told == 0);
	}
}

/* Otherwise the message could not be made, and nobody would hear of the exit. */
static void a_rule_that_does_not_exist_is_lost(void **state)
{
	static const int rules[] = { DENIAL_RULE_NONE, DENIAL_RULE_COUNT, 1000, -1 };
	struct play play;
	json_auto_t *message = NULL;

	(void)state;
	play_open(&play);
	report(&play, &executed);
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		deny(&play, (enum denial_rule)rules[i], 0, "x", "x");
	deny(&play, DENIAL_RULE_HIDDEN, 123456, "x", "x"); /* an error that has no name */
	message = play_end(&play, &exited_7, NULL, 0);
	assert_int_equal(denial_count(message), 1);
	is_text(message, 0, "error", "?");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(message, "params"),
							    "denials_lost")),
			 ARRAY_LEN(rules));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(denials_are_told_with_the_exit),
		FIXTURE_TEST(without_denials_the_exit_is_as_it_was),
		FIXTURE_TEST(a_command_that_could_not_be_held_was_ended_for_it),
		FIXTURE_TEST(hostile_text_is_made_text),
		FIXTURE_TEST(text_without_an_end_is_ended),
		FIXTURE_TEST(more_than_there_is_room_for_are_counted),
		FIXTURE_TEST(a_rule_that_does_not_exist_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
