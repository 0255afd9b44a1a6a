/*
 * What can a command do to become a client? tests/fake/hostile_child.c connects to both sockets, in
 * every mode, as itself and as a daemonised grandchild: the sockets are hidden from it, or it is
 * refused for what it descends from.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "tests/support/broker_client.h"
#include "tests/support/fixture.h"
#include "tests/support/leak.h"

#define TEXT_MAX 8192
#define PATH_SIZE 700

static const char *const modes[] = { "read-only", "workspace-write", "danger-full-access" };
static const char *const ways[] = { "direct", "orphan" };

/* The broker with the real agentd, a client, and the paths that a command is told to try. */
struct rig {
	struct test_broker broker;
	struct broker_client client;
	char program[1024];
	char broker_sock[PATH_SIZE];
	char agent_sock[PATH_SIZE];
	char linked[PATH_SIZE];   /* hard link to the broker's socket, in the workspace */
	char pointing[PATH_SIZE]; /* symbolic link to it */
};

static void rig_open(struct rig *rig)
{
	char agentd[1024];

	(void)snprintf(agentd, sizeof agentd, "%s/agentd", getenv("AGENT_TEST_BIN"));
	(void)snprintf(rig->program, sizeof rig->program, "%s/hostile_child",
		       getenv("AGENT_TEST_FAKE"));
	test_broker_start(&rig->broker, agentd);
	broker_client_open(&rig->client, &rig->broker);
	json_decref(broker_must(&rig->client, "daemon/start", NULL));
	(void)snprintf(rig->broker_sock, PATH_SIZE, "%s/broker.sock", rig->broker.runtime);
	(void)snprintf(rig->agent_sock, PATH_SIZE, "%s/agent.sock", rig->broker.runtime);
	(void)snprintf(rig->linked, PATH_SIZE, "%s/linked.sock", rig->broker.work);
	(void)snprintf(rig->pointing, PATH_SIZE, "%s/pointing.sock", rig->broker.work);
	assert_int_equal(link(rig->broker_sock, rig->linked), 0);
	assert_int_equal(symlink(rig->agent_sock, rig->pointing), 0);
}

static void rig_close(struct rig *rig)
{
	broker_client_close(&rig->client);
	assert_int_equal(test_broker_stop(&rig->broker), 0);
}

/* An orphan writes on after its parents have ended, until the tree is killed: so the first must
 * wait. */
static void attack(struct rig *rig, const char *mode, const char *way, char *text)
{
	struct broker_command command;
	char ceiling[33];
	char script[4 * PATH_SIZE + 1200];

	(void)snprintf(script, sizeof script, "out=$(%s %s %s %s %s %s); echo \"$out\"",
		       rig->program, way, rig->broker_sock, rig->agent_sock, rig->linked,
		       rig->pointing);
	broker_client_ceiling(&rig->client, &rig->broker, mode, false, ceiling);
	if (!broker_command_start(&command, &rig->client, ceiling,
				  (const char *const[]){ "sh", "-c", script, NULL }))
		fail_msg("%s: %s", mode, rig->client.err.text);
	(void)broker_command_finish(&command, &rig->client, text, TEXT_MAX);
}

static bool line_starts(const char *text, const char *name, const char *with)
{
	char start[128];

	(void)snprintf(start, sizeof start, "%s: %s", name, with);
	return strstr(text, start) != NULL;
}

static void expect_hidden(struct rig *rig, const char *mode, const char *way)
{
	static const char *const hidden[] = { "broker.sock", "agent.sock", "pointing.sock" };
	char text[TEXT_MAX];

	attack(rig, mode, way, text);
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
		if (!line_starts(text, hidden[i], "cannot ENOENT") &&
		    !line_starts(text, hidden[i], "cannot EACCES"))
			fail_msg("%s, %s, %s: %s", mode, way, hidden[i], text);
	}
}

static void a_sandboxed_command_sees_no_socket_of_ours(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig);
	for (size_t m = 0; m < 2; m++) {
		for (size_t w = 0; w < ARRAY_LEN(ways); w++)
			expect_hidden(&rig, modes[m], ways[w]);
	}
	rig_close(&rig);
}

/* A hard link in the workspace, or no sandbox at all: whoever the broker has started is no client.
 */
static void a_command_that_reaches_a_socket_is_refused(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig);
	for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
		for (size_t w = 0; w < ARRAY_LEN(ways); w++) {
			char text[TEXT_MAX];

			attack(&rig, modes[m], ways[w], text);
			if (strstr(text, "SERVED") || !strstr(text, "linked.sock: "))
				fail_msg("%s, %s: %s", modes[m], ways[w], text);
			if (m < 2)
				continue;
			if (!line_starts(text, "broker.sock", "refused {") ||
			    !line_starts(text, "linked.sock", "refused {") ||
			    !line_starts(text, "agent.sock", "refused") ||
			    !line_starts(text, "pointing.sock", "refused"))
				fail_msg("%s, %s: %s", modes[m], ways[w], text);
		}
	}
	assert_true(test_broker_logged(&rig.broker, "peer_refused"));
	rig_close(&rig);
}

static void a_command_inherits_three_descriptors(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig);
	for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
		struct broker_command command;
		char ceiling[33];
		char text[TEXT_MAX];

		broker_client_ceiling(&rig.client, &rig.broker, modes[m], false, ceiling);
		assert_true(
			broker_command_start(&command, &rig.client, ceiling,
					     (const char *const[]){ rig.program, "direct", NULL }));
		assert_int_equal(broker_command_finish(&command, &rig.client, text, sizeof text),
				 0);
		if (!line_starts(text, "descriptors", "0\n"))
			fail_msg("%s: %s", modes[m], text);
	}
	rig_close(&rig);
}

/* To whoever reads the fifo next; waits for that reader. */
static void say_go(const char *fifo)
{
	int go SCOPED(fd_close) = open(fifo, O_WRONLY | O_CLOEXEC);

	assert_int_equal(write(go, "\n", 1), 1);
}

/*
 * Without a sandbox it has the person's rights, and can kill what supervises it. That is reported
 * as its end; what it leaves behind is the broker's by adoption, and still no client. It waits for
 * its go with an end, so that it does not outlive a test that is killed.
 */
static void killing_the_supervisor_makes_no_client(void **state)
{
	struct rig rig;
	struct broker_command command;
	char ceiling[33];
	char script[3 * PATH_SIZE];
	char fifo[PATH_SIZE];
	char line[TEXT_MAX];
	json_auto_t *exited = NULL;

	(void)state;
	rig_open(&rig);
	(void)snprintf(fifo, sizeof fifo, "%s/fifo", rig.broker.work);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	(void)snprintf(script, sizeof script,
		       "read go <fifo;"
		       "(setsid sh -c 'trap \"\" TERM HUP;"
		       " timeout -s KILL 30 head -n 1 fifo >/dev/null && exec %s direct %s' &);"
		       "kill -9 $PPID; exit 0",
		       rig.program, rig.broker_sock);
	broker_client_ceiling(&rig.client, &rig.broker, "danger-full-access", false, ceiling);
	assert_true(broker_command_start(&command, &rig.client, ceiling,
					 (const char *const[]){ "sh", "-c", script, NULL }));
	say_go(fifo); /* only now: killed earlier, it would not have been started at all */
	exited = broker_client_wait(&rig.client, "child/exited");
	assert_int_equal(json_integer_value(json_object_get(exited, "code")), 128 + SIGKILL);
	say_go(fifo);
	broker_command_line(&command, line, sizeof line);
	assert_true(line_starts(line, "broker.sock", "refused {"));
	fd_close(&command.out);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LEAK_TEST(a_sandboxed_command_sees_no_socket_of_ours),
		LEAK_TEST(a_command_that_reaches_a_socket_is_refused),
		LEAK_TEST(a_command_inherits_three_descriptors),
		LEAK_TEST(killing_the_supervisor_makes_no_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
