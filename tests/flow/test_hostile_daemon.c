/*
 * What can a program in agentd's place do? tests/fake/hostile_daemon.c is started by the real
 * broker, locked as agentd locks itself, and tries. Each attempt fails, and the rows say how.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/broker_gen.h"

#include "tests/support/broker_client.h"
#include "tests/support/fixture.h"
#include "tests/support/leak.h"

#define NOBODY "00000000000000000000000000000000"
#define TEXT_MAX 4096

/* Broker, hostile daemon, a client, and the connection over which the daemon is told what to do. */
struct rig {
	struct test_broker broker;
	struct broker_client client;
	struct broker_client hand;
	char kept[33]; /* workspace-write */
	char own[33];  /* of the client's connection alone */
	pid_t daemon;
};

static void rig_open(struct rig *rig)
{
	json_auto_t *started = NULL;
	char program[1024];

	(void)snprintf(program, sizeof program, "%s/hostile_daemon", getenv("AGENT_TEST_FAKE"));
	test_broker_start(&rig->broker, program);
	broker_client_open(&rig->client, &rig->broker);
	started = broker_must(&rig->client, "daemon/start", NULL);
	assert_true(json_is_true(json_object_get(started, "started")));
	rig->daemon = (pid_t)json_integer_value(json_object_get(started, "pid"));
	broker_client_connect(&rig->hand, rig->broker.runtime, "agent.sock");
	broker_client_ceiling(&rig->client, &rig->broker, "workspace-write", true, rig->kept);
	broker_client_ceiling(&rig->client, &rig->broker, "workspace-write", false, rig->own);
}

static void rig_close(struct rig *rig)
{
	broker_client_close(&rig->hand);
	broker_client_close(&rig->client);
	assert_int_equal(test_broker_stop(&rig->broker), 0);
}

/* Has the daemon say it; the answer must be this error. */
static void say_refused(struct rig *rig, const char *method, json_t *params, size_t fds,
			const char *code)
{
	json_auto_t *answer = broker_must(
		&rig->hand, "say",
		json_pack("{s:s, s:o, s:i}", "method", method, "params", params, "fds", (int)fds));
	const char *error = json_string_value(json_object_get(answer, "error"));

	if (!str_eq(error, code))
		fail_msg("%s: %s: %s", method, error ? error : "done",
			 json_string_value(json_object_get(answer, "message")));
}

/* Has the daemon run it; with a code the answer must be this error, otherwise the output is copied.
 */
static void run_as(struct rig *rig, json_t *params, const char *spec, const char *code,
		   char *output)
{
	json_auto_t *answer = broker_must(&rig->hand, "run",
					  json_pack("{s:o, s:s*}", "params", params, "spec", spec));
	const char *error = json_string_value(json_object_get(answer, "error"));
	const json_t *result = json_object_get(answer, "result");

	if (!str_eq(error, code))
		fail_msg("run: %s: %s", error ? error : "done",
			 json_string_value(json_object_get(answer, "message")));
	if (output)
		(void)snprintf(output, TEXT_MAX, "%s",
			       json_string_value(json_object_get(result, "output")));
}

/* A grant for `sh -c script` with full access; out: 33 bytes. Returns its state. */
static char *ask(struct rig *rig, const char *script, const char *input, char *out, char *state)
{
	json_t *params =
		json_pack("{s:s, s:[s,s,s], s:s, s:s}", "ceiling", rig->kept, "argv", "sh", "-c",
			  script, "cwd", rig->broker.work, "mode", "danger-full-access");
	json_auto_t *answer = NULL;
	const json_t *result;

	if (input)
		(void)json_object_set_new(params, "has_input", json_true());
	answer = broker_must(
		&rig->hand, "ask",
		json_pack("{s:o, s:s*, s:i}", "params", params, "input", input, "seals", -1));
	result = json_object_get(answer, "result");
	if (!result)
		fail_msg("ask: %s", json_string_value(json_object_get(answer, "message")));
	(void)snprintf(out, 33, "%s", json_string_value(json_object_get(result, "grant")));
	(void)snprintf(state, 16, "%s", json_string_value(json_object_get(result, "state")));
	return out;
}

/* As the person's client does: looks at the record and answers it. */
static void decide(struct rig *rig, const char *grant, const char *decision)
{
	json_auto_t *shown =
		broker_must(&rig->client, "grant/show", json_pack("{s:s}", "grant", grant));
	const char *seal =
		json_string_value(json_object_get(json_object_get(shown, "record"), "seal"));
	json_auto_t *told = NULL;

	json_decref(broker_must(
		&rig->client, "grant/answer",
		json_pack("{s:s, s:s, s:s}", "grant", grant, "seal", seal, "decision", decision)));
	told = broker_must(&rig->hand, "wait", json_pack("{s:s}", "method", "grant/answered"));
	assert_string_equal(json_string_value(json_object_get(told, "grant")), grant);
}

static json_t *granted(const struct rig *rig, const char *grant)
{
	return json_pack("{s:s, s:s}", "ceiling", rig->kept, "grant", grant);
}

static bool exists(const struct rig *rig, const char *name)
{
	char path[700];

	(void)snprintf(path, sizeof path, "%s/%s", rig->broker.home, name);
	return access(path, F_OK) == 0;
}

static void it_cannot_do_what_clients_do(void **state)
{
	struct rig rig;
	char grant[33];
	char stands[16];

	(void)state;
	rig_open(&rig);
	(void)ask(&rig, "exit 0", NULL, grant, stands);
	say_refused(&rig, "ceiling/open",
		    json_pack("{s:s, s:s, s:b}", "mode", "danger-full-access", "cwd", "/", "keep",
			      true),
		    0, "denied");
	say_refused(&rig, "grant/answer",
		    json_pack("{s:s, s:s, s:s}", "grant", grant, "seal", NOBODY NOBODY, "decision",
			      "once"),
		    0, "denied");
	say_refused(&rig, "grant/show", json_pack("{s:s}", "grant", grant), 0, "denied");
	say_refused(&rig, "grant/list", json_object(), 0, "denied");
	say_refused(&rig, "daemon/start", json_object(), 0, "denied");
	say_refused(&rig, "daemon/stop", json_pack("{s:b}", "broker", true), 0, "denied");
	say_refused(&rig, "daemon/status", json_object(), 0, "denied");
	say_refused(&rig, "probe", json_object(), 0, "denied");
	say_refused(&rig, "hello", json_pack("{s:i, s:s}", "version", 1, "name", "client"), 0,
		    "state");
	say_refused(&rig, "daemon/ready", json_object(), 0, "state");
	say_refused(&rig, "grant/answered",
		    json_pack("{s:s, s:s}", "grant", grant, "state", "granted"), 0, "denied");
	run_as(&rig, granted(&rig, grant), NULL, "state", NULL);
	rig_close(&rig);
}

static void it_cannot_use_a_ceiling_that_is_not_its_own(void **state)
{
	static const char *const methods[] = { "ceiling/show", "ceiling/close" };
	struct rig rig;

	(void)state;
	rig_open(&rig);
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		say_refused(&rig, methods[i], json_pack("{s:s}", "ceiling", rig.own), 0,
			    "notfound");
		say_refused(&rig, methods[i], json_pack("{s:s}", "ceiling", NOBODY), 0, "notfound");
	}
	run_as(&rig, json_pack("{s:s, s:[s]}", "ceiling", rig.own, "argv", "true"), NULL,
	       "notfound", NULL);
	run_as(&rig, json_pack("{s:s, s:[s]}", "ceiling", NOBODY, "argv", "true"), NULL, "notfound",
	       NULL);
	say_refused(&rig, "grant/request",
		    json_pack("{s:s, s:[s], s:s, s:s}", "ceiling", rig.own, "argv", "true", "cwd",
			      "/", "mode", "danger-full-access"),
		    0, "notfound");
	rig_close(&rig);
}

static void it_cannot_end_a_clients_command(void **state)
{
	struct rig rig;
	struct broker_command command;
	char line[16];

	(void)state;
	rig_open(&rig);
	assert_true(broker_command_start(
		&command, &rig.client, rig.own,
		(const char *const[]){ "sh", "-c", "echo on; read x </dev/zero", NULL }));
	broker_command_line(&command, line, sizeof line);
	say_refused(&rig, "child/kill",
		    json_pack("{s:s, s:i}", "child", command.child, "signal", SIGKILL), 0,
		    "notfound");
	json_decref(
		broker_must(&rig.client, "child/kill",
			    json_pack("{s:s, s:i}", "child", command.child, "signal", SIGKILL)));
	assert_int_equal(broker_command_finish(&command, &rig.client, NULL, 0), 128 + SIGKILL);
	rig_close(&rig);
}

static void its_commands_stay_inside_the_ceiling(void **state)
{
	struct rig rig;
	char output[TEXT_MAX];

	(void)state;
	rig_open(&rig);
	run_as(&rig,
	       json_pack("{s:s, s:[s,s,s]}", "ceiling", rig.kept, "argv", "sh", "-c",
			 "echo in >in; echo out >../out; echo done"),
	       NULL, NULL, output);
	assert_non_null(strstr(output, "done\n"));
	assert_true(exists(&rig, "work/in"));
	assert_false(exists(&rig, "out"));
	rig_close(&rig);
}

static void it_cannot_set_what_makes_programs_load_code(void **state)
{
	static const char *const entries[] = { "LD_PRELOAD=/w/x.so",
					       "BASH_ENV=/w/x",
					       "PATH=/w",
					       "GIT_SSH_COMMAND=/w/x",
					       "NODE_OPTIONS=--require=/w/x",
					       "PERL5OPT=-Mx",
					       "PYTHONSTARTUP=/w/x",
					       "IFS=x" };
	struct rig rig;

	(void)state;
	rig_open(&rig);
	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		char spec[256];

		run_as(&rig,
		       json_pack("{s:s, s:[s], s:[s]}", "ceiling", rig.kept, "argv", "true", "env",
				 entries[i]),
		       NULL, "denied", NULL);
		(void)snprintf(spec, sizeof spec, "{\"argv\":[\"true\"],\"env\":[\"%s\"]}",
			       entries[i]);
		run_as(&rig, json_pack("{s:s}", "ceiling", rig.kept), spec, "denied", NULL);
		say_refused(&rig, "grant/request",
			    json_pack("{s:s, s:[s], s:s, s:s, s:[s]}", "ceiling", rig.kept, "argv",
				      "true", "cwd", "/", "mode", "danger-full-access", "env",
				      entries[i]),
			    0, "denied");
	}
	rig_close(&rig);
}

static void what_was_shown_is_what_runs_once(void **state)
{
	struct rig rig;
	char grant[33];
	char stands[16];
	char output[TEXT_MAX];

	(void)state;
	rig_open(&rig);
	(void)ask(&rig, "echo shown >../shown; echo ran", NULL, grant, stands);
	assert_string_equal(stands, "pending");
	run_as(&rig, granted(&rig, grant), NULL, "state", NULL);
	decide(&rig, grant, "once");

	/* Altered: with other arguments, folder, environment, as spec, or for another ceiling. */
	run_as(&rig,
	       json_pack("{s:s, s:s, s:[s,s]}", "ceiling", rig.kept, "grant", grant, "argv",
			 "touch", "evil"),
	       NULL, "invalid", NULL);
	run_as(&rig, json_pack("{s:s, s:s, s:s}", "ceiling", rig.kept, "grant", grant, "cwd", "/"),
	       NULL, "invalid", NULL);
	run_as(&rig,
	       json_pack("{s:s, s:s, s:[s]}", "ceiling", rig.kept, "grant", grant, "env", "A=1"),
	       NULL, "invalid", NULL);
	run_as(&rig, granted(&rig, grant), "{\"argv\":[\"touch\",\"evil\"]}", "invalid", NULL);
	run_as(&rig, json_pack("{s:s, s:s}", "ceiling", rig.own, "grant", grant), NULL, "notfound",
	       NULL);

	run_as(&rig, granted(&rig, grant), NULL, NULL, output);
	assert_string_equal(output, "ran\n");
	assert_true(exists(&rig, "shown"));
	run_as(&rig, granted(&rig, grant), NULL, "notfound", NULL);
	assert_false(exists(&rig, "work/evil"));
	rig_close(&rig);
}

static void denied_and_withdrawn_do_not_run(void **state)
{
	struct rig rig;
	char grant[33];
	char stands[16];
	json_auto_t *answer = NULL;

	(void)state;
	rig_open(&rig);
	(void)ask(&rig, "echo x >../evil", NULL, grant, stands);
	decide(&rig, grant, "deny");
	run_as(&rig, granted(&rig, grant), NULL, "notfound", NULL);
	(void)ask(&rig, "echo x >../evil", NULL, grant, stands);
	assert_string_equal(stands, "pending");
	decide(&rig, grant, "once");
	answer = broker_must(&rig.hand, "say",
			     json_pack("{s:s, s:{s:s}, s:i}", "method", "grant/cancel", "params",
				       "grant", grant, "fds", 0));
	assert_non_null(json_object_get(answer, "result"));
	run_as(&rig, granted(&rig, grant), NULL, "notfound", NULL);
	broker_refused(&rig.client, "grant/show", json_pack("{s:s}", "grant", grant), ERR_NOTFOUND);
	assert_false(exists(&rig, "evil"));
	rig_close(&rig);
}

static void a_session_decision_covers_the_same_command_alone(void **state)
{
	struct rig rig;
	char grant[33];
	char stands[16];
	char output[TEXT_MAX];

	(void)state;
	rig_open(&rig);
	(void)ask(&rig, "echo again", NULL, grant, stands);
	decide(&rig, grant, "session");
	run_as(&rig, granted(&rig, grant), NULL, NULL, output);
	(void)ask(&rig, "echo again", NULL, grant, stands);
	assert_string_equal(stands, "granted");
	run_as(&rig, granted(&rig, grant), NULL, NULL, output);
	assert_string_equal(output, "again\n");
	run_as(&rig, granted(&rig, grant), NULL, "notfound", NULL);
	(void)ask(&rig, "echo again; touch evil", NULL, grant, stands);
	assert_string_equal(stands, "pending");
	(void)ask(&rig, "echo again", "input", grant, stands);
	assert_string_equal(stands, "pending");
	rig_close(&rig);
}

static void stored_input_cannot_be_changed_behind_the_persons_back(void **state)
{
	struct rig rig;
	char grant[33];
	char stands[16];
	char output[TEXT_MAX];
	json_auto_t *spoiled = NULL;
	json_auto_t *unsealed = NULL;

	(void)state;
	rig_open(&rig);
	(void)ask(&rig, "cat", "what was shown", grant, stands);
	decide(&rig, grant, "once");
	spoiled = broker_must(&rig.hand, "spoil", NULL);
	assert_true(json_is_false(json_object_get(spoiled, "wrote")));
	assert_true(json_is_false(json_object_get(spoiled, "cut")));
	assert_true(json_is_true(json_object_get(spoiled, "moved"))); /* and it does not matter */
	run_as(&rig, granted(&rig, grant), NULL, NULL, output);
	assert_string_equal(output, "what was shown");

	for (int missing = 0; missing < 4; missing++) {
		unsealed = broker_must(
			&rig.hand, "ask",
			json_pack("{s:{s:s, s:[s], s:s, s:s, s:b}, s:s, s:i}", "params", "ceiling",
				  rig.kept, "argv", "cat", "cwd", "/", "mode", "danger-full-access",
				  "has_input", true, "input", "x", "seals", 15 & ~(1 << missing)));
		assert_string_equal(json_string_value(json_object_get(unsealed, "error")),
				    "invalid");
		json_decref(unsealed);
		unsealed = NULL;
	}
	rig_close(&rig);
}

static void a_closed_ceiling_takes_its_grants_along(void **state)
{
	struct rig rig;
	char grant[33];
	char stands[16];

	(void)state;
	rig_open(&rig);
	(void)ask(&rig, "echo x >../evil", NULL, grant, stands);
	decide(&rig, grant, "session");
	json_decref(
		broker_must(&rig.client, "ceiling/close", json_pack("{s:s}", "ceiling", rig.kept)));
	run_as(&rig, granted(&rig, grant), NULL, "notfound", NULL);
	broker_refused(&rig.client, "grant/show", json_pack("{s:s}", "grant", grant), ERR_NOTFOUND);
	broker_client_ceiling(&rig.client, &rig.broker, "workspace-write", true, rig.kept);
	(void)ask(&rig, "echo x >../evil", NULL, grant, stands);
	assert_string_equal(stands, "pending");
	rig_close(&rig);
}

static int try_it(struct rig *rig, const char *what, const char *path, pid_t pid, char *said)
{
	json_auto_t *answer = broker_must(
		&rig->hand, "try",
		json_pack("{s:s, s:s, s:i}", "what", what, "path", path, "pid", (int)pid));

	if (said)
		(void)snprintf(said, TEXT_MAX, "%s",
			       json_string_value(json_object_get(answer, "said")));
	return (int)json_integer_value(json_object_get(answer, "errno"));
}

/* The lock: no program, no process, no new Unix socket, no tracing, no namespaces. */
static void its_lock_holds(void **state)
{
	/* ENOSYS: the call is not on the lock's list; EPERM: it is named there as forbidden. */
	/* clang-format off */
	static const struct row {
		const char *what;
		int number;
	} rows[] = {
		{ "execve",            EPERM },
		{ "execveat",          EPERM },
		{ "fork",              ENOSYS },
		{ "vfork",             ENOSYS },
		{ "clone",             ENOSYS },
		{ "clone3",            ENOSYS },
		{ "unix socket",       ENOSYS },
		{ "unix packets",      ENOSYS },
		{ "connect",           ENOSYS },
		{ "ptrace",            EPERM },
		{ "read memory",       EPERM },
		{ "take a descriptor", EPERM },
		{ "open memory",       EACCES },
		{ "kill",              EPERM },
		{ "unshare",           EPERM },
		{ "mount",             EPERM },
		{ "io_uring",          EPERM },
	};
	/* clang-format on */
	struct rig rig;
	char sock[700];

	(void)state;
	rig_open(&rig);
	(void)snprintf(sock, sizeof sock, "%s/broker.sock", rig.broker.runtime);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int number = try_it(&rig, rows[i].what, sock, getpid(), NULL);

		if (number != rows[i].number)
			fail_msg("%s: %s", rows[i].what, number ? strerrorname_np(number) : "done");
	}
	rig_close(&rig);
}

static void it_cannot_write_the_workspace_or_the_settings(void **state)
{
	static const char *const attempts[] = { "write", "truncate", "chmod", "link" };
	struct rig rig;
	char paths[3][700];
	int fd;

	(void)state;
	rig_open(&rig);
	(void)snprintf(paths[0], sizeof paths[0], "%s/file", rig.broker.work);
	(void)snprintf(paths[1], sizeof paths[1], "%s/config.ini", rig.broker.config);
	(void)snprintf(paths[2], sizeof paths[2], "%s/new", rig.broker.config);
	for (size_t i = 0; i < 2; i++) {
		fd = open(paths[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		assert_int_equal(write(fd, "kept", 4), 4);
		fd_close(&fd);
	}
	for (size_t p = 0; p < ARRAY_LEN(paths); p++) {
		for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
			if (try_it(&rig, attempts[i], paths[p], 0, NULL) == 0)
				fail_msg("%s %s: done", attempts[i], paths[p]);
		}
	}
	for (size_t i = 0; i < 2; i++) {
		struct stat info = { 0 };

		assert_int_equal(stat(paths[i], &info), 0);
		assert_int_equal(info.st_size, 4);
		assert_int_equal(info.st_mode & 0777, 0600);
	}
	assert_int_equal(access(paths[2], F_OK), -1);
	rig_close(&rig);
}

/* Even without its lock it is what the broker has started, and no client. */
static void without_its_lock_it_is_still_no_client(void **state)
{
	static const char *const attempts[] = { "connect", "connect by an orphan" };
	struct rig rig;
	char sock[700];
	char said[TEXT_MAX];

	(void)state;
	assert_int_equal(setenv("HOSTILE_UNLOCKED", "1", 1), 0);
	rig_open(&rig);
	assert_int_equal(unsetenv("HOSTILE_UNLOCKED"), 0);
	(void)snprintf(sock, sizeof sock, "%s/broker.sock", rig.broker.runtime);
	for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
		assert_int_equal(try_it(&rig, attempts[i], sock, 0, said), 0);
		if (!strstr(said, "denied"))
			fail_msg("%s: '%s'", attempts[i], said);
	}
	rig_close(&rig);
}

static void a_violation_ends_it_with_all_it_had(void **state)
{
	struct rig rig;
	struct broker_client other;
	json_auto_t *gone = NULL;
	json_auto_t *status = NULL;

	(void)state;
	rig_open(&rig);
	broker_client_open(&other, &rig.broker);
	json_decref(broker_must(&rig.hand, "send", json_pack("{s:s}", "text", "garbage")));
	gone = broker_client_wait(&other, "daemon/gone");
	assert_int_equal(json_integer_value(json_object_get(gone, "code")), 128 + SIGKILL);
	broker_refused(&rig.client, "ceiling/show", json_pack("{s:s}", "ceiling", rig.kept),
		       ERR_NOTFOUND);
	json_decref(
		broker_must(&rig.client, "ceiling/show", json_pack("{s:s}", "ceiling", rig.own)));
	status = broker_must(&rig.client, "daemon/status", NULL);
	assert_int_equal(json_integer_value(json_object_get(status, "pid")), 0);
	broker_client_close(&other);
	rig_close(&rig);
}

static void when_it_is_killed_its_commands_go_and_it_can_be_started_again(void **state)
{
	struct rig rig;
	json_auto_t *gone = NULL;
	json_auto_t *again = NULL;
	char fifo[700];
	char rest[16];
	int fd;
	json_auto_t *answer = NULL;

	(void)state;
	rig_open(&rig);
	(void)snprintf(fifo, sizeof fifo, "%s/fifo", rig.broker.work);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	answer = broker_must(&rig.hand, "say",
			     json_pack("{s:s, s:{s:s, s:[s,s,s]}, s:i}", "method", "child/start",
				       "params", "ceiling", rig.kept, "argv", "sh", "-c",
				       "exec 9>fifo; (setsid sleep 1000 &); sleep 1000", "fds", 3));
	assert_non_null(json_object_get(answer, "result"));
	fd = open(fifo, O_RDONLY | O_CLOEXEC); /* waits until the command has it */
	assert_int_equal(kill(rig.daemon, SIGKILL), 0);
	gone = broker_client_wait(&rig.client, "daemon/gone");
	assert_int_equal(json_integer_value(json_object_get(gone, "code")), 128 + SIGKILL);
	assert_int_equal(read(fd, rest, sizeof rest), 0); /* nobody of the tree is left */
	fd_close(&fd);
	again = broker_must(&rig.client, "daemon/start", NULL);
	assert_true(json_is_true(json_object_get(again, "started")));
	rig_close(&rig);
}

static void a_stop_ends_it_and_says_so(void **state)
{
	struct rig rig;
	json_auto_t *again = NULL;
	json_auto_t *stopped = NULL;

	(void)state;
	rig_open(&rig);
	again = broker_must(&rig.client, "daemon/start", NULL);
	assert_true(json_is_false(json_object_get(again, "started")));
	stopped = broker_must(&rig.client, "daemon/stop", NULL);
	assert_true(json_is_true(json_object_get(stopped, "stopped")));
	wait_for_end(rig.daemon);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LEAK_TEST(it_cannot_do_what_clients_do),
		LEAK_TEST(it_cannot_use_a_ceiling_that_is_not_its_own),
		LEAK_TEST(it_cannot_end_a_clients_command),
		LEAK_TEST(its_commands_stay_inside_the_ceiling),
		LEAK_TEST(it_cannot_set_what_makes_programs_load_code),
		LEAK_TEST(what_was_shown_is_what_runs_once),
		LEAK_TEST(denied_and_withdrawn_do_not_run),
		LEAK_TEST(a_session_decision_covers_the_same_command_alone),
		LEAK_TEST(stored_input_cannot_be_changed_behind_the_persons_back),
		LEAK_TEST(a_closed_ceiling_takes_its_grants_along),
		LEAK_TEST(its_lock_holds),
		LEAK_TEST(it_cannot_write_the_workspace_or_the_settings),
		LEAK_TEST(without_its_lock_it_is_still_no_client),
		LEAK_TEST(a_violation_ends_it_with_all_it_had),
		LEAK_TEST(when_it_is_killed_its_commands_go_and_it_can_be_started_again),
		LEAK_TEST(a_stop_ends_it_and_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
