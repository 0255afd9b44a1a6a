/*
 * One client or one command does its worst. What it can get is bounded, whoever else is there is
 * served all the while, the broker's own memory stays small, and nothing is left behind.
 *
 * A bystander measures: how long the broker takes to answer is printed, and fails a test only far
 * beyond what it should be (a busy machine is no failure of the broker); bench_overload does the
 * same and is where the numbers are judged.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "tests/support/fixture.h"
#include "tests/support/flood.h"
#include "tests/support/leak.h"

#define P99_MAX_MS 1000.0             /* twenty times what is promised */
#define MEMORY_MAX ((size_t)64 << 20) /* private memory of the broker, whatever happens */
#define ORPHANS "50"

/* Says what the bystander has seen, and judges it. */
static void judge(struct flood_rig *rig, const char *what)
{
	struct bystander_report seen = flood_close(rig);

	print_message("%s: %zu answers, p50 %.2f ms, p99 %.2f ms, worst %.1f ms; %.1f MiB\n", what,
		      seen.answers, seen.p50_ms, seen.p99_ms, seen.worst_ms,
		      (double)seen.memory / (1 << 20));
	if (seen.p99_ms > P99_MAX_MS || seen.memory > MEMORY_MAX)
		fail_msg("%s: the others have noticed", what);
}

static void undergo(enum flood_kind kind)
{
	struct flood_rig rig;

	flood_open(&rig, "workspace-write");
	flood_run(&rig, kind);
	judge(&rig, flood_name(kind));
}

/* ------------------------------------------------------------------ commands */

static void a_fork_bomb_is_one_kill(void **state)
{
	(void)state;
	undergo(FLOOD_FORK);
}

static void a_memory_hog_slows_nobody(void **state)
{
	(void)state;
	undergo(FLOOD_MEMORY);
}

static void a_command_is_the_first_to_go_when_memory_is_short(void **state)
{
	struct flood_rig rig;
	struct broker_command self;
	char score[64] = "";

	(void)state;
	flood_open(&rig, "workspace-write");
	assert_true(broker_command_start(
		&self, &rig.client, rig.ceiling,
		(const char *const[]){ "cat", "/proc/self/oom_score_adj", NULL }));
	assert_int_equal(broker_command_finish(&self, &rig.client, score, sizeof score), 0);
	if (score[0] == '-' || score[0] == '0')
		fail_msg("its score is %s", score);
	judge(&rig, "a quiet command");
}

static void the_private_memory_file_system_is_bounded(void **state)
{
	(void)state;
	undergo(FLOOD_FILL);
}

static void a_gigabyte_of_output_does_not_pass_the_broker(void **state)
{
	(void)state;
	undergo(FLOOD_OUTPUT);
}

static void descriptors_of_a_command_are_bounded(void **state)
{
	(void)state;
	undergo(FLOOD_DESCRIPTORS);
}

/* In both kinds of sandbox, and without one. */
static void daemonised_grandchildren_go_with_their_command(void **state)
{
	static const char *const modes[] = { "read-only", "danger-full-access" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		struct flood_rig rig;
		struct broker_command parent;
		char line[64];

		flood_open(&rig, modes[i]);
		flood_start(&rig, &parent, "orphans", ORPHANS, line);
		/* They hold the other end; and the exit is told when they are gone. */
		assert_int_equal(broker_command_finish(&parent, &rig.client, NULL, 0), 0);
		assert_int_equal(flood_status(&rig, "children"), 0);
		judge(&rig, modes[i]);
	}
}

static void a_command_that_ignores_sigterm_is_killed(void **state)
{
	struct flood_rig rig;
	struct broker_command deaf;
	struct pollfd gone;
	char line[64];

	(void)state;
	flood_open(&rig, "workspace-write");
	assert_true(broker_command_start(&deaf, &rig.client, rig.ceiling,
					 (const char *const[]){ rig.program, "deaf", NULL }));
	broker_command_line(&deaf, line, sizeof line);
	flood_kill(&rig, &deaf, SIGTERM);
	gone = (struct pollfd){ .fd = deaf.out, .events = POLLIN };
	assert_int_equal(poll(&gone, 1, 100), 0);
	flood_end(&rig, &deaf);
	judge(&rig, "deaf to SIGTERM");
}

static void a_thousand_commands_start_as_fast_as_can_be(void **state)
{
	(void)state;
	undergo(FLOOD_STARTS);
}

static void two_hundred_commands_run_at_once(void **state)
{
	(void)state;
	undergo(FLOOD_AT_ONCE);
}

/* ------------------------------------------------------------------ peers */

static void a_nasty_peer_harms_itself_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < flood_nasty_count; i++) {
		struct flood_rig rig;

		flood_open(&rig, "workspace-write");
		flood_nasty(&rig, &flood_nasties[i]);
		judge(&rig, flood_nasties[i].name);
	}
}

static void a_sealed_file_of_countless_values_costs_little(void **state)
{
	(void)state;
	undergo(FLOOD_VALUES);
}

static void stored_environments_are_bounded_in_sum(void **state)
{
	(void)state;
	undergo(FLOOD_ENVIRONMENTS);
}

/* ------------------------------------------------------------------ descriptors */

static int odd_folder(void)
{
	return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int odd_path(void)
{
	return open("/etc/passwd", O_PATH | O_CLOEXEC);
}

static int odd_link(void)
{
	return open("/proc/self/exe", O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

static int odd_socket(void)
{
	return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int odd_network(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int odd_memory(void)
{
	return memfd_create("odd", MFD_CLOEXEC);
}

static int odd_sealable(void)
{
	return memfd_create("odd", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

static int odd_epoll(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

static int odd_process(void)
{
	return (int)syscall(SYS_pidfd_open, getpid(), 0);
}

static int odd_event(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

static int odd_timer(void)
{
	return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
}

static int odd_inotify(void)
{
	return inotify_init1(IN_CLOEXEC);
}

static int odd_namespace(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static int odd_device(void)
{
	return open("/dev/fuse", O_RDWR | O_CLOEXEC);
}

/* Nobody will ever write into it; its reading end is open all the same. */
static int odd_fifo(void)
{
	char path[1024];

	(void)snprintf(path, sizeof path, "%s/fifo", fixture_dir());
	(void)mkfifo(path, 0600);
	return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

/* clang-format off */
static const struct odd {
	const char *name;
	int (*open)(void);
	bool refused; /* as standard input, output and error */
} odds[] = {
	{ "folder",          odd_folder,    true },
	{ "O_PATH",          odd_path,      true },
	{ "O_PATH of a link", odd_link,     true },
	{ "socket",          odd_socket,    false },
	{ "network socket",  odd_network,   false },
	{ "memory file",     odd_memory,    false },
	{ "unsealed file",   odd_sealable,  false },
	{ "epoll",           odd_epoll,     false },
	{ "pidfd",           odd_process,   false },
	{ "eventfd",         odd_event,     false },
	{ "timerfd",         odd_timer,     false },
	{ "inotify",         odd_inotify,   false },
	{ "namespace",       odd_namespace, false },
	{ "/dev/fuse",       odd_device,    false },
	{ "fifo",            odd_fifo,      false },
};
/* clang-format on */

/* As each of the three, and as a sealed file: an answer comes, and what was refused did not run. */
static void an_odd_descriptor_is_passed_on_or_refused(void **state)
{
	struct flood_rig rig;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	flood_open(&rig, "workspace-write");
	for (size_t i = 0; i < ARRAY_LEN(odds); i++) {
		int fd SCOPED(fd_close) = odds[i].open();

		if (fd < 0) {
			print_message("%s: there is none here\n", odds[i].name);
			continue;
		}
		for (size_t place = 0; place < 4; place++) {
			int fds[] = { null, null, null, null };
			json_auto_t *result = NULL;
			json_auto_t *exited = NULL;

			fds[place] = fd;
			result = broker_call(
				&rig.client, "child/start",
				json_pack("{s:s, s:[s]}", "ceiling", rig.ceiling, "argv", "true"),
				fds, place == 3 ? 4 : 3);
			if (place == 3 || odds[i].refused) {
				if (result)
					fail_msg("%s as %zu: was not refused", odds[i].name, place);
				continue;
			}
			if (!result)
				fail_msg("%s as %zu: %s", odds[i].name, place, rig.client.err.text);
			exited = broker_client_wait(&rig.client, "child/exited");
			assert_int_equal(json_integer_value(json_object_get(exited, "code")), 0);
		}
	}
	assert_int_equal(flood_status(&rig, "children"), 0);
	flood_descriptors_are_back(&rig);
	fd_close(&null);
	judge(&rig, "odd descriptors");
}

/* The broker's own connection, and its end, as a command's input: nobody becomes anybody by it. */
static void the_connection_itself_as_input_gives_no_role(void **state)
{
	struct flood_rig rig;
	struct broker_client second;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	json_auto_t *result = NULL;
	json_auto_t *exited = NULL;

	(void)state;
	flood_open(&rig, "workspace-write");
	broker_client_open(&second, &rig.broker);
	result = broker_call(&rig.client, "child/start",
			     json_pack("{s:s, s:[s, s, s]}", "ceiling", rig.ceiling, "argv", "sh",
				       "-c", "echo garbage"),
			     (const int[]){ null, second.sock, null }, 3);
	assert_non_null(result);
	exited = broker_client_wait(&rig.client, "child/exited");
	/* A packet that breaks the rules ends the connection on which it came, whoever wrote it. */
	assert_true(broker_client_ended(&second));
	broker_client_close(&second);
	flood_others(&rig, 1);
	fd_close(&null);
	judge(&rig, "a connection as output");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LEAK_TEST(a_fork_bomb_is_one_kill),
		LEAK_TEST(a_memory_hog_slows_nobody),
		LEAK_TEST(a_command_is_the_first_to_go_when_memory_is_short),
		LEAK_TEST(the_private_memory_file_system_is_bounded),
		LEAK_TEST(a_gigabyte_of_output_does_not_pass_the_broker),
		LEAK_TEST(descriptors_of_a_command_are_bounded),
		LEAK_TEST(daemonised_grandchildren_go_with_their_command),
		LEAK_TEST(a_command_that_ignores_sigterm_is_killed),
		LEAK_TEST(a_thousand_commands_start_as_fast_as_can_be),
		LEAK_TEST(two_hundred_commands_run_at_once),
		LEAK_TEST(a_nasty_peer_harms_itself_alone),
		LEAK_TEST(a_sealed_file_of_countless_values_costs_little),
		LEAK_TEST(stored_environments_are_bounded_in_sum),
		LEAK_TEST(an_odd_descriptor_is_passed_on_or_refused),
		LEAK_TEST(the_connection_itself_as_input_gives_no_role),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
