#include "tests/support/flood.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/fd.h"
#include "proto/wire/broker_gen.h"

#include "tests/support/fixture.h"

#define FORKS "400" /* never so many that the machine suffers */
#define MEMORY_MIB "256"
#define OUTPUT_MIB 1024
#define DESCRIPTORS "10000"
#define STARTS 1000
#define STARTS_AT_ONCE 200
#define BATCH 20       /* requests that the client sends before it reads */
#define ROUNDS_MAX 100 /* of the broker's loop until it has noticed */
#define COUNTLESS 20   /* files of countless values */
#define ENTRIES 16     /* of the longest environment */

/* Only root may look. */
static int descriptors_of(pid_t pid)
{
	char path[64];
	struct stat info = { 0 };

	(void)snprintf(path, sizeof path, "/proc/%d/fd", pid);
	return stat(path, &info) == 0 && access(path, R_OK) == 0 && geteuid() == 0
		       ? (int)info.st_size
		       : -1;
}

void flood_open(struct flood_rig *rig, const char *mode)
{
	*rig = (struct flood_rig){ .descriptors = -1 };
	test_broker_start(&rig->broker, NULL);
	broker_client_open(&rig->client, &rig->broker);
	broker_client_ceiling(&rig->client, &rig->broker, mode, false, rig->ceiling);
	(void)snprintf(rig->program, sizeof rig->program, "%s/flood", getenv("AGENT_TEST_FAKE"));
	bystander_start(&rig->bystander, &rig->broker);
	rig->descriptors = descriptors_of(rig->broker.pid);
}

struct bystander_report flood_close(struct flood_rig *rig)
{
	struct bystander_report seen = bystander_stop(&rig->bystander);

	broker_client_close(&rig->client);
	assert_int_equal(test_broker_stop(&rig->broker), 0);
	return seen;
}

void flood_start(struct flood_rig *rig, struct broker_command *command, const char *kind,
		 const char *much, char line[64])
{
	if (!broker_command_start(command, &rig->client, rig->ceiling,
				  (const char *const[]){ rig->program, kind, much, NULL }))
		fail_msg("flood %s: %s", kind, rig->client.err.text);
	broker_command_line(command, line, 64);
}

void flood_kill(struct flood_rig *rig, const struct broker_command *command, int signal)
{
	json_decref(
		broker_must(&rig->client, "child/kill",
			    json_pack("{s:s, s:i}", "child", command->child, "signal", signal)));
}

void flood_end(struct flood_rig *rig, struct broker_command *command)
{
	flood_kill(rig, command, SIGKILL);
	assert_int_equal(broker_command_finish(command, &rig->client, NULL, 0), 128 + SIGKILL);
}

int64_t flood_status(struct flood_rig *rig, const char *member)
{
	json_auto_t *result = broker_must(&rig->client, "daemon/status", NULL);

	return json_integer_value(json_object_get(result, member));
}

/* What has just ended is noticed in one of the next rounds. */
void flood_descriptors_are_back(struct flood_rig *rig)
{
	int now = descriptors_of(rig->broker.pid);

	for (int rounds = 0; rounds < ROUNDS_MAX && now > rig->descriptors; rounds++) {
		(void)flood_status(rig, "children");
		now = descriptors_of(rig->broker.pid);
	}
	if (now > rig->descriptors)
		fail_msg("the broker has %d descriptors instead of %d", now, rig->descriptors);
}

void flood_others(struct flood_rig *rig, int times)
{
	for (int i = 0; i < times; i++) {
		struct broker_command plain;

		if (!broker_command_start(&plain, &rig->client, rig->ceiling,
					  (const char *const[]){ "sh", "-c", "exit 4", NULL }))
			fail_msg("another command: %s", rig->client.err.text);
		assert_int_equal(broker_command_finish(&plain, &rig->client, NULL, 0), 4);
	}
}

/* ------------------------------------------------------------------ commands */

/* One that takes all it gets; `limit` is the error that ends its greed. */
static void greedy(struct flood_rig *rig, const char *kind, const char *much, const char *limit)
{
	struct broker_command command;
	char line[64];

	flood_start(rig, &command, kind, much, line);
	if (!strstr(line, limit))
		fail_msg("%s", line);
	flood_others(rig, 5);
	flood_end(rig, &command);
	assert_int_equal(flood_status(rig, "children"), 0);
}

static void run_fork(struct flood_rig *rig)
{
	greedy(rig, "fork", FORKS, "");
}

static void run_memory(struct flood_rig *rig)
{
	greedy(rig, "memory", MEMORY_MIB, "all");
}

static void run_fill(struct flood_rig *rig)
{
	greedy(rig, "fill", "/dev/shm/full", "ENOSPC");
}

static void run_descriptors(struct flood_rig *rig)
{
	greedy(rig, "descriptors", DESCRIPTORS, "EMFILE");
}

static void run_output(struct flood_rig *rig)
{
	static char block[1 << 20];
	struct broker_command talker;
	char much[16];
	size_t got = 0;
	ssize_t piece;

	(void)snprintf(much, sizeof much, "%d", OUTPUT_MIB);
	assert_true(
		broker_command_start(&talker, &rig->client, rig->ceiling,
				     (const char *const[]){ rig->program, "output", much, NULL }));
	while ((piece = read(talker.out, block, sizeof block)) > 0)
		got += (size_t)piece;
	assert_int_equal(got, (size_t)OUTPUT_MIB << 20);
	assert_int_equal(broker_command_finish(&talker, &rig->client, NULL, 0), 0);
}

/* Asks for a start without waiting for the answer; its id. */
static int64_t ask_start(struct flood_rig *rig, int null, int out, const char *program)
{
	return broker_client_ask(
		&rig->client, "child/start",
		json_pack("{s:s, s:[s, s]}", "ceiling", rig->ceiling, "argv", program, "deaf"),
		(const int[]){ null, out, out }, 3);
}

static void run_starts(struct flood_rig *rig)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int asked = 0;

	for (int ended = 0; ended < STARTS; ended++) {
		json_auto_t *exited = NULL;

		for (; asked < STARTS && asked - ended < BATCH; asked++)
			(void)ask_start(rig, null, null, "true");
		exited = broker_client_wait(&rig->client, "child/exited");
		assert_int_equal(json_integer_value(json_object_get(exited, "code")), 0);
	}
	assert_int_equal(flood_status(rig, "children"), 0);
	fd_close(&null);
}

static void run_at_once(struct flood_rig *rig)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct err err = { 0 };
	int ends[2];
	char byte;

	assert_int_equal(fd_pipe(ends, &err), 0);
	for (int i = 0; i < STARTS_AT_ONCE / BATCH; i++) {
		int64_t last = 0;

		for (int k = 0; k < BATCH; k++)
			last = ask_start(rig, null, ends[1], rig->program);
		json_decref(broker_client_answer(&rig->client, last));
	}
	fd_close(&ends[1]);
	for (int lines = 0; lines < STARTS_AT_ONCE;) { /* each says that it is there */
		assert_int_equal(read(ends[0], &byte, 1), 1);
		lines += byte == '\n';
	}
	assert_int_equal(flood_status(rig, "children"), STARTS_AT_ONCE);
	json_decref(broker_must(&rig->client, "ceiling/close",
				json_pack("{s:s}", "ceiling", rig->ceiling)));
	assert_int_equal(read(ends[0], &byte, 1), 0); /* nobody is left who could write */
	for (int i = 0; i < STARTS_AT_ONCE; i++)
		json_decref(broker_client_wait(&rig->client, "child/exited"));
	assert_int_equal(flood_status(rig, "children"), 0);
	fd_close(&ends[0]);
	fd_close(&null);
}

/* ------------------------------------------------------------------ what is long */

static void run_values(struct flood_rig *rig)
{
	char *text = malloc(BROKER_SPEC_MAX);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_non_null(text);
	memcpy(text, "{\"argv\":[", 9);
	for (size_t i = 9; i < BROKER_SPEC_MAX - 5; i += 3)
		memcpy(text + i, "[],", 3);
	memcpy(text + BROKER_SPEC_MAX - 4, "0]}", 4);
	for (int i = 0; i < COUNTLESS; i++) {
		struct err err = { 0 };
		int fds[] = { null, null, null, -1 };
		json_auto_t *result = NULL;

		assert_int_equal(fd_sealed(&fds[3], "spec", text, BROKER_SPEC_MAX - 1, &err), 0);
		result = broker_call(&rig->client, "child/start",
				     json_pack("{s:s}", "ceiling", rig->ceiling), fds, 4);
		assert_null(result);
		assert_int_equal(rig->client.err.code, ERR_LIMIT);
		fd_close(&fds[3]);
	}
	flood_others(rig, 1);
	fd_close(&null);
	free(text);
}

static void run_environments(struct flood_rig *rig)
{
	struct err err = { 0 };
	size_t each = BROKER_SPEC_MAX / ENTRIES - 16;
	struct buf text SCOPED(buf_deinit) = BUF_INIT(BROKER_SPEC_MAX);
	char *value = malloc(each + 1);
	int fd = -1;
	size_t opened = 0;

	assert_non_null(value);
	memset(value, 'x', each);
	value[each] = '\0';
	for (size_t i = 0; i < ENTRIES; i++)
		assert_int_equal(
			buf_printf(&text, &err, "%c\"V%zu=%s\"", i == 0 ? '[' : ',', i, value), 0);
	assert_int_equal(buf_putc(&text, ']', &err), 0);
	assert_int_equal(fd_sealed(&fd, "env", text.data, text.len, &err), 0);
	for (; opened < BROKER_CEILINGS_MAX; opened++) {
		json_auto_t *result = broker_call(
			&rig->client, "ceiling/open",
			json_pack("{s:s, s:s}", "mode", "read-only", "cwd", "/usr"), &fd, 1);

		if (!result)
			break;
	}
	assert_int_equal(rig->client.err.code, ERR_LIMIT);
	assert_in_range(opened, 1, BROKER_CEILINGS_MAX / 2); /* it is the sum that is bounded */
	flood_others(rig, 1);
	fd_close(&fd);
	free(value);
}

static const struct {
	const char *name;
	void (*run)(struct flood_rig *rig);
} kinds[FLOOD_COUNT] = {
	[FLOOD_FORK] = { "processes that never sleep", run_fork },
	[FLOOD_MEMORY] = { "a command with much memory", run_memory },
	[FLOOD_FILL] = { "a full /dev/shm", run_fill },
	[FLOOD_OUTPUT] = { "a gigabyte of output", run_output },
	[FLOOD_DESCRIPTORS] = { "a command with many descriptors", run_descriptors },
	[FLOOD_STARTS] = { "1,000 starts", run_starts },
	[FLOOD_AT_ONCE] = { "200 commands at once", run_at_once },
	[FLOOD_VALUES] = { "countless values", run_values },
	[FLOOD_ENVIRONMENTS] = { "the longest environments", run_environments },
};

const char *flood_name(enum flood_kind kind)
{
	return kinds[kind].name;
}

void flood_run(struct flood_rig *rig, enum flood_kind kind)
{
	kinds[kind].run(rig);
}

/* ------------------------------------------------------------------ peers */

static int64_t now_ms(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#define HELLO                                                                                      \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\",\"params\":"                           \
	"{\"version\":1,\"name\":\"nasty\"}}"
#define CALL(method, params)                                                                       \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"" method "\",\"params\":" params "}"
#define STATUS CALL("daemon/status", "{}")
#define OPEN CALL("ceiling/open", "{\"mode\":\"workspace-write\",\"cwd\":\"/usr\"}")
#define START CALL("child/start", "{\"ceiling\":\"x\",\"argv\":[\"x\"]}")

/* clang-format off */
const struct nasty flood_nasties[] = {
	/*                                                   peers greets cut    reads */
	{ "noise",             "\x01\xff\xfe{[\"",             2,  false, false, true },
	{ "half packets",      STATUS,                        2,  true,  true,  true },
	{ "no such method",    CALL("no/such", "{\"a\":[1]}"), 2,  true,  false, true },
	{ "never reads",       STATUS,                        2,  true,  false, false },
	{ "never greets",      STATUS,                        2,  false, false, true },
	{ "no such ceiling",   START,                         2,  true,  false, true },
	{ "probes",            CALL("probe", "{}"),           2,  true,  false, true },
	{ "opens and leaves",  OPEN,                          2,  true,  false, true },
	{ "40 open and leave", OPEN,                          40, true,  false, true },
};
/* clang-format on */
const size_t flood_nasty_count = ARRAY_LEN(flood_nasties);

/* One connection for as long as the broker keeps it, but no longer than there is time. */
static void pester(const struct nasty *nasty, int sock, size_t round, int64_t until_ms)
{
	size_t length = strlen(nasty->packet);
	static char answer[BROKER_PACKET_MAX];

	if (nasty->greets)
		(void)send(sock, HELLO, sizeof HELLO - 1, MSG_NOSIGNAL);
	while (now_ms() < until_ms) {
		struct pollfd entry = { .fd = sock, .events = POLLOUT };

		if (nasty->cut)
			length = 1 + round++ % strlen(nasty->packet);
		if (poll(&entry, 1, 10) > 0 &&
		    send(sock, nasty->packet, length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
		    errno != EAGAIN)
			return;
		while (nasty->reads && recv(sock, answer, sizeof answer, MSG_DONTWAIT) > 0)
			;
		if (entry.revents & POLLHUP)
			return;
	}
}

/* In a process of its own. */
static pid_t nasty_start(const struct nasty *nasty, const struct test_broker *broker)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		int64_t until_ms = now_ms() + FLOOD_NASTY_MS;

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (size_t round = 0; now_ms() < until_ms; round++) {
			struct broker_client client;

			broker_client_connect(&client, broker->runtime, "broker.sock");
			pester(nasty, client.sock, round, until_ms);
			broker_client_close(&client);
		}
		_exit(0);
	}
	return pid;
}

void flood_nasty(struct flood_rig *rig, const struct nasty *nasty)
{
	pid_t pids[BROKER_PEERS_MAX];

	assert_in_range(nasty->peers, 1, BROKER_PEERS_MAX - 2);
	for (int i = 0; i < nasty->peers; i++)
		pids[i] = nasty_start(nasty, &rig->broker);
	flood_others(rig, 5);
	for (int i = 0; i < nasty->peers; i++) {
		int how = -1;

		assert_int_equal(waitpid(pids[i], &how, 0), pids[i]);
		assert_int_equal(how, 0);
	}
	flood_others(rig, 1);
	flood_descriptors_are_back(rig);
}
