#include "tests/support/bystander.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "tests/support/broker_client.h"
#include "tests/support/fixture.h"

#define BYSTANDER_WAIT_MS 20000 /* without an answer */
#define MEMORY_EVERY 64U        /* answers from one look at the memory to the next */

static const char question[] =
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"daemon/status\",\"params\":{}}";

struct bystander_result {
	uint32_t us[BYSTANDER_ANSWERS_MAX];
	size_t answers;
	size_t memory;
	char why[128]; /* it ended before it was told to; "" otherwise */
};

static double now_us(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Private memory; what it shares with other programs is not its to bound. */
static size_t memory_of(pid_t pid)
{
	char path[64];
	char text[4096] = "";
	const char *line;
	size_t kib = 0;
	int fd SCOPED(fd_close) = -1;

	(void)snprintf(path, sizeof path, "/proc/%d/status", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
		return 0;
	line = strstr(text, "RssAnon:");
	if (line && sscanf(line, "RssAnon: %zu kB", &kib) != 1)
		kib = 0;
	return kib * 1024;
}

/* Asks once; whether there was an answer. */
static bool ask(struct bystander_result *result, int sock)
{
	struct pollfd answer = { .fd = sock, .events = POLLIN };
	char text[4096];
	double before = now_us();

	if (send(sock, question, sizeof question - 1, MSG_NOSIGNAL) < 0 ||
	    poll(&answer, 1, BYSTANDER_WAIT_MS) <= 0 || recv(sock, text, sizeof text, 0) <= 0) {
		(void)snprintf(result->why, sizeof result->why, "no answer: %s",
			       strerrorname_np(errno));
		return false;
	}
	if (result->answers < BYSTANDER_ANSWERS_MAX)
		result->us[result->answers++] = (uint32_t)(now_us() - before);
	return true;
}

static void run(struct bystander_result *result, int sock, int stop, pid_t broker)
{
	const struct timespec pause = { .tv_nsec = BYSTANDER_PAUSE_US * 1000L };
	struct pollfd told = { .fd = stop, .events = POLLIN };

	for (size_t i = 0; ppoll(&told, 1, &pause, NULL) == 0; i++) {
		size_t memory = i % MEMORY_EVERY == 0 ? memory_of(broker) : 0;

		result->memory = memory > result->memory ? memory : result->memory;
		if (!ask(result, sock))
			return;
	}
}

void bystander_start(struct bystander *bystander, const struct test_broker *broker)
{
	struct broker_client client;
	struct err err = { 0 };
	int ends[2];

	bystander->shared = mmap(NULL, sizeof *bystander->shared, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(bystander->shared != MAP_FAILED);
	broker_client_open(&client, broker);
	assert_true(ask(bystander->shared, client.sock));
	assert_int_equal(fd_pipe(ends, &err), 0);
	bystander->pid = fork();
	assert_true(bystander->pid >= 0);
	if (bystander->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* with the test */
		fd_close(&ends[1]);
		run(bystander->shared, client.sock, ends[0], broker->pid);
		_exit(0);
	}
	fd_close(&ends[0]);
	bystander->stop = ends[1];
	broker_client_close(&client);
}

static int by_size(const void *a, const void *b)
{
	const uint32_t *x = a;
	const uint32_t *y = b;

	return (*x > *y) - (*x < *y);
}

struct bystander_report bystander_stop(struct bystander *bystander)
{
	struct bystander_result *result = bystander->shared;
	struct bystander_report report = { 0 };
	char why[sizeof result->why];

	fd_close(&bystander->stop);
	assert_int_equal(waitpid(bystander->pid, NULL, 0), bystander->pid);
	qsort(result->us, result->answers, sizeof result->us[0], by_size);
	report.answers = result->answers;
	report.p50_ms = result->us[result->answers / 2] / 1e3;
	report.p99_ms = result->us[result->answers * 99 / 100] / 1e3;
	report.worst_ms = result->us[result->answers - 1] / 1e3;
	report.memory = result->memory;
	memcpy(why, result->why, sizeof why);
	assert_int_equal(munmap(bystander->shared, sizeof *bystander->shared), 0);
	if (why[0])
		fail_msg("the second client: %s", why);
	return report;
}
