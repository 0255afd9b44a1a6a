/*
 * sandbox.c - what the start of a sandboxed /bin/true costs, beside a bare spawn, bare namespaces
 * and bubblewrap. Rounds are interleaved, so that all of them see the same machine.
 *
 *   bench sandbox [ROUNDS]
 */
#include "broker/sandbox.h"

#include <errno.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "broker/order.h"

#define ROUNDS 300
#define ROUNDS_MAX 100000
#define PROGRAM "/bin/true"

static struct sandbox *sandbox;

static double now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int wait_for(pid_t pid)
{
	int status = 1;

	while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
		;
	return status;
}

static int spawn(char *const *argv)
{
	pid_t pid;

	return posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) == 0 ? wait_for(pid) : 1;
}

static int run_bare(void)
{
	char name[] = PROGRAM;
	char *argv[] = { name, NULL };

	return spawn(argv);
}

/* A new set of all namespaces for each command, and nothing else. */
static int run_namespaces(void)
{
	struct clone_args args = { .flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID |
					    CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET,
				   .exit_signal = SIGCHLD };
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);

	if (pid == 0) {
		(void)execl(PROGRAM, PROGRAM, (char *)NULL);
		_exit(127);
	}
	return pid > 0 ? wait_for(pid) : 1;
}

static int run_bwrap(void)
{
	static const char *const words[] = { "/usr/bin/bwrap",
					     "--new-session",
					     "--die-with-parent",
					     "--ro-bind",
					     "/",
					     "/",
					     "--dev",
					     "/dev",
					     "--bind",
					     "/tmp",
					     "/tmp",
					     "--unshare-user",
					     "--unshare-pid",
					     "--unshare-net",
					     "--proc",
					     "/proc",
					     "--",
					     PROGRAM,
					     NULL };

	return spawn((char *const *)(uintptr_t)words);
}

static int wait_gone(struct started *started)
{
	struct pollfd gone = { .fd = started->pidfd, .events = POLLIN };
	struct pollfd news = { .fd = started->status_fd, .events = POLLIN };
	struct child_report report = { .event = CHILD_NOTHING };
	struct err err = { 0 };
	int status = 1;

	while (report.event != CHILD_GONE) {
		(void)poll(&news, 1, -1);
		if (sandbox_report(started, &report, &err) < 0)
			return 1;
		if (report.event == CHILD_EXITED)
			status = report.wait_status;
	}
	(void)poll(&gone, 1, -1);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return status;
}

static int run_ours(void)
{
	const char *argv[] = { PROGRAM };
	struct command command = { .argv = argv, .argc = 1, .cwd = "/" };
	struct started started SCOPED(started_deinit) = STARTED_NONE;
	int block SCOPED(fd_close) = -1;
	struct order order;
	struct err err = { 0 };

	if (order_pack(&order, &block, &command, &err) < 0 ||
	    sandbox_start(sandbox, &order, (int[]){ 0, 1, 2, block }, &started, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	return wait_gone(&started);
}

static struct subject {
	const char *name;
	int (*run)(void);
	double *times;
} subjects[] = {
	{ "posix_spawn, no sandbox", run_bare, NULL },
	{ "bare namespaces per command", run_namespaces, NULL },
	{ "our sandbox, start to tree gone", run_ours, NULL },
	{ "bwrap, same view", run_bwrap, NULL },
};

static int by_value(const void *left, const void *right)
{
	const double *a = left;
	const double *b = right;

	return (*a > *b) - (*a < *b);
}

static int measure(size_t rounds)
{
	for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
		subjects[i].times = calloc(rounds, sizeof(double));
		if (!subjects[i].times)
			return 1;
	}
	for (size_t round = 0; round < rounds; round++) {
		for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
			double start = now_us();

			subjects[i].times[round] = subjects[i].run() == 0 ? now_us() - start : 0;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
		double *times = subjects[i].times;

		qsort(times, rounds, sizeof times[0], by_value);
		if (times[rounds / 2] > 0)
			printf("%-34s p50 %7.0f us   p95 %7.0f us\n", subjects[i].name,
			       times[rounds / 2], times[rounds * 95 / 100]);
		else
			printf("%-34s does not work here\n", subjects[i].name);
		free(times);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sandbox_config config = { .mode = SANDBOX_MODE_WORKSPACE_WRITE, .cwd = "/tmp" };
	struct err err = { 0 };
	int64_t rounds = ROUNDS;
	double start;
	int rc;

	if (argc > 1 && str_to_int(&rounds, argv[1], 1, ROUNDS_MAX, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	start = now_us();
	if (sandbox_open(&sandbox, &config, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	printf("%-34s     %7.0f us\n", "a session's first sandbox", now_us() - start);
	rc = measure((size_t)rounds);
	sandbox_close(sandbox);
	return rc;
}
