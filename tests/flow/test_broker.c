/*
 * The real broker, spoken to over its socket: what clients may start, see and end.
 */
#include <fcntl.h>
#include <pty.h>
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

#include "tests/support/broker_rig.h"
#include "tests/support/fixture.h"
#include "tests/support/leak.h"

static const char *const modes[] = { "read-only", "workspace-write", "danger-full-access" };

static void a_command_writes_to_the_callers_pipe_and_its_exit_is_reported(void **state)
{
	static const struct row {
		const char *script;
		const char *output;
		int code;
	} rows[] = {
		{ "echo hello", "hello\n", 0 },
		{ "exit 7", "", 7 },
		{ "echo error >&2; exit 1", "error\n", 1 },
		{ "exit 255", "", 255 },
		{ "kill -TERM $$", "", 128 + SIGTERM },
		{ "kill -KILL $$", "", 128 + SIGKILL },
		{ "cat", "", 0 },
	};

	(void)state;
	for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
		struct broker_rig rig;

		broker_rig_open(&rig, modes[m]);
		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			char text[256];
			int code = broker_rig_run(&rig, SH(rows[i].script), text, sizeof text);

			if (code != rows[i].code || strcmp(text, rows[i].output) != 0)
				fail_msg("%s, %s: %d '%s'", modes[m], rows[i].script, code, text);
		}
		broker_rig_close(&rig);
	}
}

static void what_cannot_be_executed_is_told_apart_from_what_is_not_there(void **state)
{
	static const struct row {
		const char *program;
		enum err_code code;
	} rows[] = {
		{ "no-such-program", ERR_NOTFOUND },
		{ "/no/such/program", ERR_NOTFOUND },
		{ "/etc/passwd", ERR_DENIED },
		{ "/", ERR_DENIED },
	};

	(void)state;
	for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
		struct broker_rig rig;

		broker_rig_open(&rig, modes[m]);
		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			const char *const argv[] = { rows[i].program, NULL };
			struct broker_command command;

			if (broker_command_start(&command, &rig.client, rig.ceiling, argv))
				fail_msg("%s, %s: ran", modes[m], rows[i].program);
			if (rig.client.err.code != rows[i].code)
				fail_msg("%s, %s: %s", modes[m], rows[i].program,
					 rig.client.err.text);
		}
		broker_rig_close(&rig);
	}
}

static void a_command_gets_the_ceilings_environment_and_its_changes(void **state)
{
	struct broker_rig rig;
	char text[1024];
	const char *const env[] = { "env", NULL };

	(void)state;
	broker_rig_open(&rig, "read-only");
	assert_int_equal(broker_rig_run(&rig, env, text, sizeof text), 0);
	assert_non_null(strstr(text, "PATH=/usr/local/bin:/usr/bin:/bin\n"));
	assert_non_null(strstr(text, "AGENTD_SANDBOX_NETWORK_DISABLED=1\n"));
	assert_non_null(strstr(text, "CODEX_SANDBOX_NETWORK_DISABLED=1\n"));
	assert_null(strstr(text, "AGENT_TEST_LIBEXEC")); /* the broker's own */
	broker_rig_close(&rig);
}

/* The whole spec in a sealed file, as large as the schema allows it. */
static void a_large_argv_travels_in_a_sealed_file(void **state)
{
	struct broker_rig rig;
	struct err err = { 0 };
	json_t *argv = json_array();
	json_auto_t *spec = NULL;
	json_auto_t *result = NULL;
	struct buf text SCOPED(buf_deinit) = BUF_INIT(BROKER_SPEC_MAX);
	struct broker_command command;
	char *word = malloc(BROKER_STRING_MAX + 1);
	char output[64];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int ends[2];
	int sealed = -1;

	(void)state;
	assert_non_null(word);
	memset(word, 'x', BROKER_STRING_MAX);
	word[BROKER_STRING_MAX] = '\0';
	(void)json_array_append_new(argv, json_string("sh"));
	(void)json_array_append_new(argv, json_string("-c"));
	(void)json_array_append_new(argv, json_string("echo $# ${#1} ${#8}"));
	(void)json_array_append_new(argv, json_string("sh"));
	for (size_t i = 0; i < 8; i++)
		(void)json_array_append_new(argv, json_string(word));
	spec = json_pack("{s:o, s:[s]}", "argv", argv, "env", "A=1");
	{
		char *dumped = json_dumps(spec, JSON_COMPACT);

		assert_int_equal(buf_puts(&text, dumped, &err), 0);
		free(dumped);
	}
	assert_int_equal(fd_sealed(&sealed, "spec", text.data, text.len, &err), 0);
	broker_rig_open(&rig, "read-only");
	assert_int_equal(fd_pipe(ends, &err), 0);
	result = broker_call(&rig.client, "child/start", json_pack("{s:s}", "ceiling", rig.ceiling),
			     (const int[]){ null, ends[1], ends[1], sealed }, 4);
	if (!result)
		fail_msg("%s", rig.client.err.text);
	fd_close(&ends[1]);
	command.out = ends[0];
	(void)snprintf(command.child, sizeof command.child, "%s",
		       json_string_value(json_object_get(result, "child")));
	assert_int_equal(broker_command_finish(&command, &rig.client, output, sizeof output), 0);
	assert_string_equal(output, "8 131071 131071\n");
	fd_close(&sealed);
	fd_close(&null);
	free(word);
	broker_rig_close(&rig);
}

/* The caller may send either end: one that is locked down cannot open the other. */
static void open_terminal(struct broker_rig *rig, bool by_master)
{
	static const char script[] = "echo through >/dev/tty && test -t 0 -a -t 1 -a -t 2";
	json_auto_t *result = NULL;
	json_auto_t *exited = NULL;
	char text[256] = "";
	size_t used = 0;
	ssize_t got;
	int master = -1;
	int slave = -1;
	int end;

	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	end = by_master ? master : slave;
	result = broker_call(
		&rig->client, "child/start",
		json_pack("{s:s, s:[s,s,s]}", "ceiling", rig->ceiling, "argv", "sh", "-c", script),
		(const int[]){ end, end, end }, 3);
	if (!result)
		fail_msg("%s", rig->client.err.text);
	fd_close(&slave);
	while ((got = read(master, text + used, sizeof text - 1 - used)) > 0)
		used += (size_t)got;
	exited = broker_client_wait(&rig->client, "child/exited");
	assert_int_equal(json_integer_value(json_object_get(exited, "code")), 0);
	assert_string_equal(text, "through\r\n");
	fd_close(&master);
}

static void a_terminal_becomes_the_controlling_one(void **state)
{
	(void)state;
	for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
		struct broker_rig rig;

		broker_rig_open(&rig, modes[m]);
		open_terminal(&rig, false);
		open_terminal(&rig, true);
		broker_rig_close(&rig);
	}
}

static void a_signal_is_the_commands_and_kill_is_the_trees(void **state)
{
	(void)state;
	for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
		struct broker_rig rig;
		struct broker_command command;
		char line[64];

		broker_rig_open(&rig, modes[m]);
		assert_true(broker_command_start(&command, &rig.client, rig.ceiling,
						 SH("trap 'echo trapped; exit 3' TERM; echo ready; "
						    "while :; do sleep 1; done")));
		broker_command_line(&command, line, sizeof line);
		assert_string_equal(line, "ready");
		broker_rig_kill(&rig, &command, SIGTERM);
		broker_command_line(&command, line, sizeof line);
		assert_string_equal(line, "trapped");
		assert_int_equal(broker_command_finish(&command, &rig.client, NULL, 0), 3);

		/* Grandchildren in sessions of their own hold the pipe: it ends when they have. */
		assert_true(broker_command_start(
			&command, &rig.client, rig.ceiling,
			SH("setsid sh -c 'trap \"\" TERM HUP; echo ready; sleep 1000' & wait")));
		broker_command_line(&command, line, sizeof line);
		broker_rig_kill(&rig, &command, SIGKILL);
		assert_int_equal(broker_command_finish(&command, &rig.client, NULL, 0),
				 128 + SIGKILL);
		broker_refused(&rig.client, "child/kill",
			       json_pack("{s:s, s:i}", "child", command.child, "signal", SIGTERM),
			       ERR_NOTFOUND);
		broker_rig_close(&rig);
	}
}

/* What a command leaves behind is gone before its exit is reported. */
static void an_exit_is_reported_when_the_whole_tree_is_gone(void **state)
{
	(void)state;
	for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
		struct broker_rig rig;
		struct broker_command command;
		char line[64];
		int64_t pid = 0;
		struct err err = { 0 };

		broker_rig_open(&rig, modes[m]);
		/* What is left holds stderr, and so the pipe, until it has gone. */
		assert_true(broker_command_start(&command, &rig.client, rig.ceiling,
						 SH("p=$(setsid sh -c 'trap \"\" TERM HUP; echo "
						    "$$; exec sleep 1000 >/dev/null' &);"
						    "echo $p; exit 5")));
		broker_command_line(&command, line, sizeof line);
		assert_int_equal(str_to_int(&pid, line, 1, INT32_MAX, &err), 0);
		assert_int_equal(broker_command_finish(&command, &rig.client, NULL, 0), 5);
		if (m == ARRAY_LEN(modes) - 1) /* its number is ours only without a namespace */
			assert_int_equal(kill((pid_t)pid, 0), -1);
		broker_rig_close(&rig);
	}
}

static void hanging_up_ends_the_tree(void **state)
{
	(void)state;
	for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
		struct broker_rig rig;
		struct broker_client other;
		struct broker_command command;
		char line[64];
		char rest[64];

		broker_rig_open(&rig, modes[m]);
		broker_client_open(&other, &rig.broker);
		assert_true(broker_command_start(&command, &rig.client, rig.ceiling,
						 SH("(setsid sh -c 'trap \"\" TERM HUP; echo "
						    "ready; sleep 1000' &); sleep 1000")));
		broker_command_line(&command, line, sizeof line);
		broker_client_close(&rig.client);
		assert_int_equal(read(command.out, rest, sizeof rest),
				 0); /* nobody holds the pipe */
		fd_close(&command.out);
		rig.client = other;
		broker_rig_close(&rig);
	}
}

static void a_killed_broker_leaves_nothing_behind(void **state)
{
	(void)state;
	for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
		struct broker_rig rig;
		struct broker_command command;
		char line[64];
		char rest[64];

		broker_rig_open(&rig, modes[m]);
		assert_true(broker_command_start(&command, &rig.client, rig.ceiling,
						 SH("(setsid sh -c 'trap \"\" TERM HUP; echo "
						    "ready; sleep 1000' &); sleep 1000")));
		broker_command_line(&command, line, sizeof line);
		assert_int_equal(kill(rig.broker.pid, SIGKILL), 0);
		assert_int_equal(waitpid(rig.broker.pid, NULL, 0), rig.broker.pid);
		assert_int_equal(read(command.out, rest, sizeof rest), 0);
		fd_close(&command.out);
		broker_client_close(&rig.client);
	}
}

static void closing_a_ceiling_ends_its_commands_alone(void **state)
{
	struct broker_rig rig;
	struct broker_command in;
	struct broker_command out;
	char other[33];
	char line[64];

	(void)state;
	broker_rig_open(&rig, "read-only");
	broker_client_ceiling(&rig.client, &rig.broker, "workspace-write", false, other);
	assert_true(
		broker_command_start(&in, &rig.client, rig.ceiling, SH("echo ready; sleep 1000")));
	assert_true(broker_command_start(&out, &rig.client, other, SH("echo ready; sleep 1000")));
	broker_command_line(&in, line, sizeof line);
	broker_command_line(&out, line, sizeof line);
	json_decref(broker_must(&rig.client, "ceiling/close",
				json_pack("{s:s}", "ceiling", rig.ceiling)));
	assert_int_equal(broker_command_finish(&in, &rig.client, NULL, 0), 128 + SIGKILL);
	broker_refused(&rig.client, "ceiling/show", json_pack("{s:s}", "ceiling", rig.ceiling),
		       ERR_NOTFOUND);
	broker_rig_kill(&rig, &out, SIGTERM);
	assert_int_equal(broker_command_finish(&out, &rig.client, NULL, 0), 128 + SIGTERM);
	broker_rig_close(&rig);
}

static void a_ceiling_is_not_shared_between_connections(void **state)
{
	struct broker_rig rig;
	struct broker_client other;
	struct broker_command command;
	char kept[33];
	char line[64];

	(void)state;
	broker_rig_open(&rig, "read-only");
	broker_client_ceiling(&rig.client, &rig.broker, "read-only", true, kept);
	broker_client_open(&other, &rig.broker);
	assert_false(broker_command_start(&command, &other, rig.ceiling, SH("exit 0")));
	assert_int_equal(other.err.code, ERR_NOTFOUND);
	assert_false(broker_command_start(&command, &other, kept, SH("exit 0")));
	assert_int_equal(other.err.code, ERR_NOTFOUND);
	broker_refused(&other, "ceiling/show", json_pack("{s:s}", "ceiling", rig.ceiling),
		       ERR_NOTFOUND);
	broker_refused(&other, "ceiling/close", json_pack("{s:s}", "ceiling", rig.ceiling),
		       ERR_NOTFOUND);
	broker_refused(&other, "ceiling/close", json_pack("{s:s}", "ceiling", kept), ERR_NOTFOUND);
	json_decref(broker_must(&other, "ceiling/show", json_pack("{s:s}", "ceiling", kept)));

	assert_true(broker_command_start(&command, &rig.client, rig.ceiling,
					 SH("echo ready; sleep 1000")));
	broker_command_line(&command, line, sizeof line);
	broker_refused(&other, "child/kill",
		       json_pack("{s:s, s:i}", "child", command.child, "signal", SIGKILL),
		       ERR_NOTFOUND);
	broker_rig_kill(&rig, &command, SIGKILL);
	assert_int_equal(broker_command_finish(&command, &rig.client, NULL, 0), 128 + SIGKILL);
	broker_client_close(&other);
	broker_rig_close(&rig);
}

static void a_ceiling_that_is_not_kept_ends_with_its_connection(void **state)
{
	struct broker_rig rig;
	char kept[33];
	json_auto_t *status = NULL;

	(void)state;
	broker_rig_open(&rig, "read-only");
	broker_client_ceiling(&rig.client, &rig.broker, "read-only", true, kept);
	broker_client_close(&rig.client);
	broker_client_open(&rig.client, &rig.broker);
	broker_refused(&rig.client, "ceiling/show", json_pack("{s:s}", "ceiling", rig.ceiling),
		       ERR_NOTFOUND);
	json_decref(broker_must(&rig.client, "ceiling/show", json_pack("{s:s}", "ceiling", kept)));
	status = broker_must(&rig.client, "daemon/status", NULL);
	assert_int_equal(json_integer_value(json_object_get(status, "ceilings")), 1);
	assert_int_equal(json_integer_value(json_object_get(status, "children")), 0);
	broker_rig_close(&rig);
}

static void the_policy_that_is_shown_is_the_one_in_force(void **state)
{
	struct broker_rig rig;
	json_auto_t *shown = NULL;
	json_t *policy;
	json_t *root;
	char git[700];

	(void)state;
	test_broker_start(&rig.broker, NULL);
	(void)snprintf(git, sizeof git, "%s/.git", rig.broker.work);
	assert_int_equal(mkdir(git, 0700), 0);
	broker_client_open(&rig.client, &rig.broker);
	broker_client_ceiling(&rig.client, &rig.broker, "workspace-write", false, rig.ceiling);
	shown = broker_must(&rig.client, "ceiling/show",
			    json_pack("{s:s}", "ceiling", rig.ceiling));
	assert_string_equal(json_string_value(json_object_get(shown, "cwd")), rig.broker.work);
	policy = json_object_get(shown, "policy");
	assert_string_equal(json_string_value(json_object_get(policy, "mode")), "workspace-write");
	assert_true(json_is_false(json_object_get(policy, "network")));
	assert_true(json_array_size(json_object_get(policy, "layers")) > 0);
	root = json_array_get(json_object_get(policy, "roots"), 0);
	assert_string_equal(json_string_value(json_object_get(root, "path")), rig.broker.work);
	/* The names that are not there cannot be made; the list is sorted. */
	assert_int_equal(json_array_size(json_object_get(root, "protected")), 4);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(root, "protected"), 3)), git);
	broker_rig_close(&rig);
}

static void the_sandbox_holds_its_mode(void **state)
{
	static const struct row {
		const char *mode;
		const char *script;
		bool works;
	} rows[] = {
		{ "read-only", "echo x >x", false },
		{ "workspace-write", "echo x >x", true },
		{ "workspace-write", "echo x >.git/x", false },
		{ "workspace-write", "echo x >../x", false },
		{ "danger-full-access", "echo x >../x", true },
		{ "danger-full-access", "echo x >.git/x", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct broker_rig rig;
		char git[700];
		char text[512];
		int code;

		test_broker_start(&rig.broker, NULL);
		(void)snprintf(git, sizeof git, "%s/.git", rig.broker.work);
		assert_int_equal(mkdir(git, 0700), 0);
		broker_client_open(&rig.client, &rig.broker);
		broker_client_ceiling(&rig.client, &rig.broker, rows[i].mode, false, rig.ceiling);
		code = broker_rig_run(&rig, SH(rows[i].script), text, sizeof text);
		if ((code == 0) != rows[i].works)
			fail_msg("%s, %s: %d %s", rows[i].mode, rows[i].script, code, text);
		broker_rig_close(&rig);
	}
}

static void what_the_kernel_can_do_is_probed(void **state)
{
	struct broker_rig rig;
	json_auto_t *result = NULL;

	(void)state;
	broker_rig_open(&rig, "read-only");
	result = broker_must(&rig.client, "probe", NULL);
	assert_true(json_array_size(json_object_get(result, "probes")) > 3);
	broker_rig_close(&rig);
}

static void a_daemon_that_cannot_start_is_explained(void **state)
{
	struct test_broker broker;
	struct broker_client client;
	json_auto_t *status = NULL;

	(void)state;
	test_broker_start(&broker, "/bin/false");
	broker_client_open(&client, &broker);
	for (int i = 0; i < 2; i++) {
		broker_refused(&client, "daemon/start", NULL, ERR_SYSTEM);
		assert_non_null(strstr(client.err.text, "status 1"));
	}
	status = broker_must(&client, "daemon/stop", NULL);
	assert_true(json_is_false(json_object_get(status, "stopped")));
	broker_client_close(&client);
	assert_int_equal(test_broker_stop(&broker), 0);
}

static void the_broker_ends_when_a_client_asks_for_it(void **state)
{
	struct test_broker broker;
	struct broker_client client;
	int status = 0;
	char sock[700];

	(void)state;
	test_broker_start(&broker, NULL);
	broker_client_open(&client, &broker);
	json_decref(broker_must(&client, "daemon/stop", json_pack("{s:b}", "broker", true)));
	assert_true(broker_client_ended(&client));
	assert_int_equal(waitpid(broker.pid, &status, 0), broker.pid);
	assert_int_equal(status, 0);
	(void)snprintf(sock, sizeof sock, "%s/broker.sock", broker.runtime);
	assert_int_equal(access(sock, F_OK), -1);
	broker_client_close(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LEAK_TEST(a_command_writes_to_the_callers_pipe_and_its_exit_is_reported),
		LEAK_TEST(what_cannot_be_executed_is_told_apart_from_what_is_not_there),
		LEAK_TEST(a_command_gets_the_ceilings_environment_and_its_changes),
		LEAK_TEST(a_large_argv_travels_in_a_sealed_file),
		LEAK_TEST(a_terminal_becomes_the_controlling_one),
		LEAK_TEST(a_signal_is_the_commands_and_kill_is_the_trees),
		LEAK_TEST(an_exit_is_reported_when_the_whole_tree_is_gone),
		LEAK_TEST(hanging_up_ends_the_tree),
		LEAK_TEST(a_killed_broker_leaves_nothing_behind),
		LEAK_TEST(closing_a_ceiling_ends_its_commands_alone),
		LEAK_TEST(a_ceiling_is_not_shared_between_connections),
		LEAK_TEST(a_ceiling_that_is_not_kept_ends_with_its_connection),
		LEAK_TEST(the_policy_that_is_shown_is_the_one_in_force),
		LEAK_TEST(the_sandbox_holds_its_mode),
		LEAK_TEST(what_the_kernel_can_do_is_probed),
		LEAK_TEST(a_daemon_that_cannot_start_is_explained),
		LEAK_TEST(the_broker_ends_when_a_client_asks_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
