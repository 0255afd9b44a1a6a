#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/json.h"
#include "proto/wire/packet.h"
#include "proto/wire/rpc.h"

#include "broker/broker.h"
#include "tests/support/fixture.h"

#define CEILING "0123456789abcdef0123456789abcdef"

/* A broker without listener, with one connection of each role; [role] and their other ends. */
struct rig {
	struct broker broker;
	struct peer *peers[BROKER_ROLE_COUNT];
	int far[BROKER_ROLE_COUNT];
};

static void rig_open(struct rig *rig, bool greeted)
{
	struct err err = { 0 };

	memset(&rig->broker, 0, sizeof rig->broker);
	rig->broker.server.table = &serve_table;
	rig->broker.options.agentd = "/nonexistent/agentd";
	for (int role = BROKER_ROLE_CLIENT; role < BROKER_ROLE_COUNT; role++) {
		int ends[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
		rig->far[role] = ends[1];
		rig->peers[role] = server_add(&rig->broker.server, ends[0], role, &err);
		assert_non_null(rig->peers[role]);
		rig->peers[role]->greeted = greeted;
	}
	rig->broker.daemon.peer = rig->peers[BROKER_ROLE_DAEMON];
	rig->broker.daemon.state = DAEMON_READY;
}

static void rig_close(struct rig *rig)
{
	while (rig->broker.ceilings.count > 0)
		broker_close_ceiling(&rig->broker, rig->broker.ceilings.items[0]);
	for (int role = BROKER_ROLE_CLIENT; role < BROKER_ROLE_COUNT; role++) {
		peer_free(rig->peers[role]);
		fd_close(&rig->far[role]);
	}
	assert_int_equal(rig->broker.grants.count, 0); /* they went with their ceilings */
}

/* A ceiling that no sandbox was made for yet. */
static void rig_ceiling(struct rig *rig, bool keep)
{
	struct broker_ceiling_open params = { .mode = SANDBOX_MODE_READ_ONLY,
					      .cwd = "/",
					      .keep = keep };
	struct ceiling *ceiling = NULL;
	struct kept kept = { 0 };
	struct err err = { 0 };

	assert_int_equal(ceilings_add(&rig->broker.ceilings, &params, &kept,
				      rig->peers[BROKER_ROLE_CLIENT], &ceiling, &err),
			 0);
	memcpy(ceiling->id, CEILING, sizeof ceiling->id);
}

/* What came back: ended is true when nothing did and the peer is dead. */
struct outcome {
	bool ended;
	struct err err;
	json_t *message;
	json_t *result;
	int fd;
};

static void outcome_free(struct outcome *outcome)
{
	json_decref(outcome->message);
	fd_close(&outcome->fd);
}

static void receive(int far, struct outcome *out)
{
	struct packet packet SCOPED(packet_deinit) = { 0 };
	struct rpc rpc = { 0 };
	struct err err = { 0 };

	if (packet_recv(far, &packet, &err) != PACKET_DONE)
		fail_msg("no answer: %s", err.text);
	out->message = wire_json_load(packet.data.data, packet.data.len, &err);
	assert_non_null(out->message);
	assert_int_equal(rpc_parse(&rpc, out->message, &err), 0);
	out->result = rpc.result;
	if (rpc.kind == RPC_ERROR)
		(void)rpc_to_err(&rpc, &out->err);
	out->fd = packet_take(&packet, 0);
}

static struct outcome say(struct rig *rig, enum broker_role role, const char *text, const int *fds,
			  size_t fd_count)
{
	struct outcome out = { .fd = -1 };
	struct packet packet SCOPED(packet_deinit) = { 0 };
	struct err err = { 0 };

	assert_int_equal(packet_send(rig->far[role], text, strlen(text), fds, fd_count, &err),
			 PACKET_DONE);
	assert_true(peer_receive(rig->peers[role], POLLIN, &packet));
	peer_serve(rig->peers[role], &packet);
	out.ended = rig->peers[role]->dead;
	if (!out.ended)
		receive(rig->far[role], &out);
	return out;
}

static struct outcome ask(struct rig *rig, enum broker_role role, const char *method,
			  const char *params)
{
	char text[4096];

	(void)snprintf(text, sizeof text,
		       "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":%s}", method,
		       params);
	return say(rig, role, text, NULL, 0);
}

static void a_violation_of_the_envelope_ends_the_peer(void **state)
{
	static const char *const violations[] = {
		"x",
		"[]",
		"{}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\"",
		"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"hello\"}",
		"{\"jsonrpc\":\"2.0\",\"method\":\"daemon/status\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"daemon/status\",\"more\":1}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"daemon/status\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"daemon/status\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"daemon/status\",\"params\":[]}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"daemon/status\"} {}",
		"{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"daemon/status\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(violations); i++) {
		struct rig rig;
		struct outcome out;

		rig_open(&rig, true);
		out = say(&rig, BROKER_ROLE_CLIENT, violations[i], NULL, 0);
		if (!out.ended)
			fail_msg("%s: lives on", violations[i]);
		outcome_free(&out);
		rig_close(&rig);
	}
}

static void hello_comes_first_and_once(void **state)
{
	struct rig rig;
	struct outcome out;

	(void)state;
	rig_open(&rig, false);
	out = ask(&rig, BROKER_ROLE_CLIENT, "daemon/status", "{}");
	assert_int_equal(out.err.code, ERR_STATE);
	outcome_free(&out);
	out = ask(&rig, BROKER_ROLE_CLIENT, "hello", "{\"version\":2,\"name\":\"t\"}");
	assert_int_equal(out.err.code, ERR_INVALID);
	outcome_free(&out);
	out = ask(&rig, BROKER_ROLE_CLIENT, "hello", "{\"version\":1,\"name\":\"t\"}");
	assert_string_equal(json_string_value(json_object_get(out.result, "role")), "client");
	outcome_free(&out);
	out = ask(&rig, BROKER_ROLE_CLIENT, "hello", "{\"version\":1,\"name\":\"t\"}");
	assert_int_equal(out.err.code, ERR_STATE);
	outcome_free(&out);
	out = ask(&rig, BROKER_ROLE_CLIENT, "daemon/status", "{}");
	assert_non_null(out.result);
	outcome_free(&out);
	rig_close(&rig);
}

/* Whatever the table says of a role holds, for each method and each role. */
static void a_method_is_for_its_roles_alone(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, true);
	rig.broker.stop = true; /* so that no agentd is started */
	rig.broker.daemon.state = DAEMON_OFF;
	for (size_t i = 1; i < BROKER_METHOD_COUNT; i++) {
		const struct wire_method *row = &broker_methods[i];

		for (int role = BROKER_ROLE_CLIENT; role < BROKER_ROLE_COUNT; role++) {
			bool may = row->roles & (1U << role);
			struct outcome out = { .fd = -1 };

			if (may && i == BROKER_METHOD_PROBE)
				continue; /* works, slowly */
			out = ask(&rig, (enum broker_role)role, row->name, "{}");
			if (!may && out.err.code != ERR_DENIED)
				fail_msg("%s as role %d: %s", row->name, role, out.err.text);
			if (may && out.err.code == ERR_DENIED)
				fail_msg("%s as role %d: %s", row->name, role, out.err.text);
			outcome_free(&out);
		}
	}
	rig_close(&rig);
}

static void what_is_malformed_is_refused_with_its_place(void **state)
{
	static const struct row {
		const char *method;
		const char *params;
		enum err_code code;
		const char *place;
	} rows[] = {
		{ "no/such", "{}", ERR_NOTFOUND, "method" },
		{ "daemon/status", "{\"more\":1}", ERR_INVALID, "more" },
		{ "daemon/stop", "{\"broker\":1}", ERR_INVALID, "params.broker" },
		{ "ceiling/show", "{}", ERR_INVALID, "ceiling" },
		{ "ceiling/show", "{\"ceiling\":\"../x\"}", ERR_INVALID, "params.ceiling" },
		{ "ceiling/open", "{\"mode\":\"everything\",\"cwd\":\"/\"}", ERR_INVALID,
		  "params.mode" },
		{ "ceiling/open", "{\"mode\":\"read-only\",\"cwd\":\"x\"}", ERR_INVALID,
		  "params.cwd" },
		{ "ceiling/open", "{\"mode\":\"read-only\",\"cwd\":\"/\",\"env\":[\"A\"]}",
		  ERR_INVALID, "env[0]" },
		{ "child/start", "{\"ceiling\":\"" CEILING "\"}", ERR_INVALID, "descriptors" },
		{ "child/kill", "{\"child\":\"x\",\"signal\":0}", ERR_LIMIT, "params.signal" },
		{ "child/kill", "{\"child\":\"x\",\"signal\":65}", ERR_LIMIT, "params.signal" },
		{ "child/kill", "{\"child\":\"x\",\"signal\":9}", ERR_NOTFOUND, "command" },
		{ "grant/answer", "{\"grant\":\"x\",\"seal\":\"y\",\"decision\":\"maybe\"}",
		  ERR_INVALID, "params.decision" },
		{ "grant/answer",
		  "{\"grant\":\"x\",\"seal\":\"y\",\"decision\":\"session\",\"prefix\":0}",
		  ERR_LIMIT, "params.prefix" },
		{ "grant/answer", "{\"grant\":\"x\",\"seal\":\"y\",\"decision\":\"once\"}",
		  ERR_NOTFOUND, "grant" },
		{ "grant/show", "{\"grant\":\"x\"}", ERR_NOTFOUND, "grant" },
	};
	struct rig rig;

	(void)state;
	rig_open(&rig, true);
	rig_ceiling(&rig, false);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct outcome out = ask(&rig, BROKER_ROLE_CLIENT, rows[i].method, rows[i].params);

		if (out.err.code != rows[i].code || !strstr(out.err.text, rows[i].place))
			fail_msg("%s %s: %d %s", rows[i].method, rows[i].params, out.err.code,
				 out.err.text);
		outcome_free(&out);
	}
	rig_close(&rig);
}

/* Descriptors of a method that takes none, too few and too many, and what they must be. */
static void descriptors_are_counted(void **state)
{
	static const struct row {
		const char *method;
		const char *params;
		size_t count;
	} rows[] = {
		{ "daemon/status", "{}", 1 },
		{ "ceiling/open", "{\"mode\":\"read-only\",\"cwd\":\"/\"}", 2 },
		{ "child/start", "{\"ceiling\":\"" CEILING "\",\"argv\":[\"x\"]}", 0 },
		{ "child/start", "{\"ceiling\":\"" CEILING "\",\"argv\":[\"x\"]}", 2 },
	};
	struct rig rig;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fds[] = { null, null, null, null };

	(void)state;
	rig_open(&rig, true);
	rig_ceiling(&rig, false);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[512];
		struct outcome out;

		(void)snprintf(text, sizeof text,
			       "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":%s}",
			       rows[i].method, rows[i].params);
		out = say(&rig, BROKER_ROLE_CLIENT, text, fds, rows[i].count);
		if (out.err.code != ERR_INVALID || !strstr(out.err.text, "descriptors"))
			fail_msg("%s: %s", rows[i].method, out.err.text);
		outcome_free(&out);
	}
	fd_close(&null);
	rig_close(&rig);
}

static int sealed(const char *text)
{
	int fd = -1;
	struct err err = { 0 };

	assert_int_equal(fd_sealed(&fd, "test", text, strlen(text), &err), 0);
	return fd;
}

static struct outcome start_with(struct rig *rig, const char *params, int spec)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fds[] = { null, null, null, spec };
	struct outcome out;
	char text[1024];

	(void)snprintf(text, sizeof text,
		       "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"child/start\",\"params\":%s}",
		       params);
	out = say(rig, BROKER_ROLE_CLIENT, text, fds, 4);
	fd_close(&null);
	return out;
}

static void a_sealed_spec_is_judged_like_the_parameters(void **state)
{
	static const char plain[] = "{\"ceiling\":\"" CEILING "\"}";
	static const struct row {
		const char *params;
		const char *spec;
		const char *place;
	} rows[] = {
		{ plain, "x", "sealed spec" },
		{ plain, "[]", "argv" },
		{ plain, "{\"cwd\":\"/\"}", "sealed spec" },
		{ plain, "{\"argv\":[]}", "argv" },
		{ plain, "{\"argv\":[1]}", "params.argv[0]" },
		{ plain, "{\"argv\":[\"x\"],\"argv\":[\"y\"]}", "sealed spec" },
		{ plain, "{\"argv\":[\"x\"],\"env\":[\"A\"]}", "env[0]" },
		{ "{\"ceiling\":\"" CEILING "\",\"argv\":[\"x\"]}", "{\"argv\":[\"y\"]}", "twice" },
		{ "{\"ceiling\":\"" CEILING "\",\"grant\":\"g\"}", "{\"argv\":[\"y\"]}", "agentd" },
	};
	struct rig rig;

	(void)state;
	rig_open(&rig, true);
	rig_ceiling(&rig, false);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int spec = sealed(rows[i].spec);
		struct outcome out = start_with(&rig, rows[i].params, spec);

		if (out.err.code == ERR_NONE || !strstr(out.err.text, rows[i].place))
			fail_msg("%s: %s", rows[i].spec, out.err.text);
		outcome_free(&out);
		fd_close(&spec);
	}
	rig_close(&rig);
}

static void a_spec_that_can_still_change_is_refused(void **state)
{
	static const unsigned all = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
	static const unsigned missing[] = { all, F_SEAL_WRITE, F_SEAL_GROW, F_SEAL_SHRINK,
					    F_SEAL_SEAL };
	struct rig rig;

	(void)state;
	rig_open(&rig, true);
	rig_ceiling(&rig, false);
	for (size_t i = 0; i < ARRAY_LEN(missing); i++) {
		int spec = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		struct outcome out;

		assert_int_equal(write(spec, "{\"argv\":[\"x\"]}", 14), 14);
		assert_int_equal(fcntl(spec, F_ADD_SEALS, all & ~missing[i]), 0);
		out = start_with(&rig, "{\"ceiling\":\"" CEILING "\"}", spec);
		if (!strstr(out.err.text, "not a sealed file"))
			fail_msg("without seals %x: %s", missing[i], out.err.text);
		outcome_free(&out);
		fd_close(&spec);
	}
	rig_close(&rig);
}

static void a_sealed_spec_is_bounded(void **state)
{
	struct rig rig;
	char *text = malloc(BROKER_SPEC_MAX + 2);

	(void)state;
	assert_non_null(text);
	rig_open(&rig, true);
	rig_ceiling(&rig, false);
	memset(text, ' ', BROKER_SPEC_MAX + 1);
	text[BROKER_SPEC_MAX + 1] = '\0';
	for (size_t over = 0; over < 2; over++) {
		int spec;
		struct outcome out;

		memcpy(text + BROKER_SPEC_MAX - 2, "{}", 2);
		spec = sealed(text + 1 - over);
		out = start_with(&rig, "{\"ceiling\":\"" CEILING "\"}", spec);
		if (!strstr(out.err.text, over ? "more than" : "argv: names no program"))
			fail_msg("over %zu: %s", over, out.err.text);
		outcome_free(&out);
		fd_close(&spec);
	}
	free(text);
	rig_close(&rig);
}

static struct outcome request(struct rig *rig, const char *more, const int *fds, size_t count)
{
	char text[1024];

	(void)snprintf(text, sizeof text,
		       "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"grant/request\",\"params\":{"
		       "\"ceiling\":\"" CEILING
		       "\",\"cwd\":\"/\",\"mode\":\"danger-full-access\"%s}}",
		       more);
	return say(rig, BROKER_ROLE_DAEMON, text, fds, count);
}

static void agentd_asks_for_kept_ceilings_only(void **state)
{
	(void)state;
	for (int keep = 0; keep < 2; keep++) {
		struct rig rig;
		struct outcome out;

		rig_open(&rig, true);
		rig_ceiling(&rig, keep);
		out = request(&rig, ",\"argv\":[\"x\"]", NULL, 0);
		assert_int_equal(out.err.code, keep ? ERR_NONE : ERR_NOTFOUND);
		outcome_free(&out);
		rig_close(&rig);
	}
}

static void a_grant_with_loading_environment_is_refused(void **state)
{
	struct rig rig;
	struct outcome out;

	(void)state;
	rig_open(&rig, true);
	rig_ceiling(&rig, true);
	out = request(&rig, ",\"argv\":[\"x\"],\"env\":[\"LD_PRELOAD=/x\"]", NULL, 0);
	assert_int_equal(out.err.code, ERR_DENIED);
	outcome_free(&out);
	rig_close(&rig);
}

static void the_seal_is_told_to_clients_alone(void **state)
{
	struct rig rig;
	struct outcome out;
	char params[256];
	const char *seal;

	(void)state;
	rig_open(&rig, true);
	rig_ceiling(&rig, true);
	out = request(&rig, ",\"argv\":[\"x\",\"y\"],\"reason\":\"because\"", NULL, 0);
	assert_null(json_object_get(out.result, "seal"));
	(void)snprintf(params, sizeof params, "{\"grant\":\"%s\"}",
		       json_string_value(json_object_get(out.result, "grant")));
	outcome_free(&out);
	out = ask(&rig, BROKER_ROLE_DAEMON, "grant/show", params);
	assert_int_equal(out.err.code, ERR_DENIED);
	outcome_free(&out);
	out = ask(&rig, BROKER_ROLE_CLIENT, "grant/show", params);
	seal = json_string_value(json_object_get(json_object_get(out.result, "record"), "seal"));
	assert_non_null(seal);
	assert_int_equal(strlen(seal), 64);
	outcome_free(&out);
	rig_close(&rig);
}

/* The whole record, however long; what a person sees is what was stored. */
static void a_long_record_comes_in_a_sealed_file(void **state)
{
	struct rig rig;
	struct outcome out;
	struct buf shown SCOPED(buf_deinit) = BUF_INIT(WIRE_JSON_MAX);
	struct err err = { 0 };
	char params[256];
	char *input = malloc(BROKER_PACKET_MAX + 1);
	json_t *record;
	int fd;

	(void)state;
	assert_non_null(input);
	memset(input, 'x', BROKER_PACKET_MAX);
	input[BROKER_PACKET_MAX] = '\0';
	fd = sealed(input);
	rig_open(&rig, true);
	rig_ceiling(&rig, true);
	out = request(&rig, ",\"argv\":[\"x\"],\"has_input\":true", &fd, 1);
	(void)snprintf(params, sizeof params, "{\"grant\":\"%s\"}",
		       json_string_value(json_object_get(out.result, "grant")));
	outcome_free(&out);
	out = ask(&rig, BROKER_ROLE_CLIENT, "grant/show", params);
	assert_null(json_object_get(out.result, "record"));
	assert_true(out.fd >= 0);
	assert_int_equal(buf_read_fd(&shown, out.fd, &err), 0);
	record = wire_json_load(shown.data, shown.len, &err);
	assert_string_equal(json_string_value(json_object_get(record, "input")), input);
	json_decref(record);
	outcome_free(&out);
	rig_close(&rig);
	fd_close(&fd);
	free(input);
}

static void stored_input_is_sealed_text_of_bounded_length(void **state)
{
	struct rig rig;
	struct outcome out;
	char *text = malloc(BROKER_INPUT_MAX + 2);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fd = sealed("\xff");

	(void)state;
	assert_non_null(text);
	rig_open(&rig, true);
	rig_ceiling(&rig, true);
	out = request(&rig, ",\"argv\":[\"x\"],\"has_input\":true", NULL, 0);
	assert_int_equal(out.err.code, ERR_INVALID);
	outcome_free(&out);
	out = request(&rig, ",\"argv\":[\"x\"],\"has_input\":true", &null, 1);
	assert_int_equal(out.err.code, ERR_INVALID);
	outcome_free(&out);
	out = request(&rig, ",\"argv\":[\"x\"],\"has_input\":true", &fd, 1);
	assert_int_equal(out.err.code, ERR_INVALID);
	outcome_free(&out);
	fd_close(&fd);
	for (size_t over = 0; over < 2; over++) {
		memset(text, 'x', BROKER_INPUT_MAX + over);
		text[BROKER_INPUT_MAX + over] = '\0';
		fd = sealed(text);
		out = request(&rig, ",\"argv\":[\"x\"],\"has_input\":true", &fd, 1);
		assert_int_equal(out.err.code, over ? ERR_LIMIT : ERR_NONE);
		outcome_free(&out);
		fd_close(&fd);
	}
	fd_close(&null);
	free(text);
	rig_close(&rig);
}

static void an_answer_reaches_agentd(void **state)
{
	struct rig rig;
	struct outcome out;
	char params[512];
	char grant[64];
	json_t *record;
	struct packet packet SCOPED(packet_deinit) = { 0 };
	struct err err = { 0 };

	(void)state;
	rig_open(&rig, true);
	rig_ceiling(&rig, true);
	out = request(&rig, ",\"argv\":[\"x\"]", NULL, 0);
	(void)snprintf(grant, sizeof grant, "%s",
		       json_string_value(json_object_get(out.result, "grant")));
	outcome_free(&out);
	(void)snprintf(params, sizeof params, "{\"grant\":\"%s\"}", grant);
	out = ask(&rig, BROKER_ROLE_CLIENT, "grant/show", params);
	record = json_object_get(out.result, "record");
	(void)snprintf(params, sizeof params,
		       "{\"grant\":\"%s\",\"seal\":\"%s\",\"decision\":\"once\"}", grant,
		       json_string_value(json_object_get(record, "seal")));
	outcome_free(&out);
	out = ask(&rig, BROKER_ROLE_CLIENT, "grant/answer", params);
	assert_string_equal(json_string_value(json_object_get(out.result, "state")), "granted");
	outcome_free(&out);
	assert_int_equal(packet_recv(rig.far[BROKER_ROLE_DAEMON], &packet, &err), PACKET_DONE);
	assert_non_null(strstr(packet.data.data, "grant/answered"));
	assert_non_null(strstr(packet.data.data, "\"granted\""));
	assert_non_null(strstr(packet.data.data, "\"once\""));
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_violation_of_the_envelope_ends_the_peer),
		FIXTURE_TEST(hello_comes_first_and_once),
		FIXTURE_TEST(a_method_is_for_its_roles_alone),
		FIXTURE_TEST(what_is_malformed_is_refused_with_its_place),
		FIXTURE_TEST(descriptors_are_counted),
		FIXTURE_TEST(a_sealed_spec_is_judged_like_the_parameters),
		FIXTURE_TEST(a_spec_that_can_still_change_is_refused),
		FIXTURE_TEST(a_sealed_spec_is_bounded),
		FIXTURE_TEST(agentd_asks_for_kept_ceilings_only),
		FIXTURE_TEST(a_grant_with_loading_environment_is_refused),
		FIXTURE_TEST(the_seal_is_told_to_clients_alone),
		FIXTURE_TEST(a_long_record_comes_in_a_sealed_file),
		FIXTURE_TEST(stored_input_is_sealed_text_of_bounded_length),
		FIXTURE_TEST(an_answer_reaches_agentd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
