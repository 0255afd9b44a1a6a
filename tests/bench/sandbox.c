/*
 * sandbox.c - what a sandboxed command costs, beside whatever else this machine has, in one run:
 * its start (P1, P2, P3), its work (P15), its memory (P17), and the steps of a start.
 *
 *   sandbox [ROUNDS] [PEERS] [starts|work|memory|steps]...
 *
 * PEERS is a folder with node_modules that has @openai/codex and @anthropic-ai/sandbox-runtime; not
 * below /tmp, where the first of them does not work. AGENT_TEST_BIN and AGENT_TEST_LIBEXEC name the
 * built programs: of a release build, or the numbers mean little.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/str.h"

#include "tests/bench/sandbox/bench.h"
#include "tests/support/fixture.h"

#define ROUNDS 200

struct bench bench = { .rounds = ROUNDS };

static const struct part {
	const char *name;
	void (*run)(void);
} parts[] = {
	{ "starts", bench_starts },
	{ "work", bench_work },
	{ "memory", bench_memory },
	{ "steps", bench_steps },
};

double bench_now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int by_size(const void *left, const void *right)
{
	const double *a = left;
	const double *b = right;

	return (*a > *b) - (*a < *b);
}

double bench_median(double *values, size_t count)
{
	qsort(values, count, sizeof *values, by_size);
	return values[count / 2];
}

static const struct part *find_part(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (str_eq(parts[i].name, name))
			return &parts[i];
	}
	return NULL;
}

static bool read_words(int argc, char **argv, bool *chosen)
{
	struct err err = { 0 };
	int64_t rounds;

	for (int i = 1; i < argc; i++) {
		const struct part *part = find_part(argv[i]);

		if (part)
			chosen[part - parts] = true;
		else if (argv[i][0] == '/')
			bench.peers = argv[i];
		else if (str_to_int(&rounds, argv[i], 1, BENCH_ROUNDS_MAX, &err) == 0)
			bench.rounds = (size_t)rounds;
		else
			return false;
	}
	return true;
}

static void open_bench(void)
{
	(void)snprintf(bench.top, sizeof bench.top, "%s", fixture_dir());
	(void)snprintf(bench.work, sizeof bench.work, "%s/work", bench.top);
	if (mkdir(bench.work, 0755) < 0 || chdir(bench.work) < 0) {
		(void)fprintf(stderr, "%s: %s\n", bench.work, strerror(errno));
		exit(1);
	}
	test_broker_start(&bench.broker, NULL);
	broker_client_open(&bench.client, &bench.broker);
	broker_must_text(&bench.client, "ceiling/open",
			 json_pack("{s:s, s:s, s:[s]}", "mode", "workspace-write", "cwd",
				   bench.work, "env", "PATH=/usr/local/bin:/usr/bin:/bin"),
			 "ceiling", bench.ceiling, sizeof bench.ceiling);
}

int main(int argc, char **argv)
{
	bool chosen[ARRAY_LEN(parts)] = { false };
	bool any = false;

	if (!read_words(argc, argv, chosen)) {
		(void)fprintf(stderr,
			      "usage: sandbox [ROUNDS] [/PEERS] [starts|work|memory|steps]...\n");
		return 2;
	}
#ifndef NDEBUG
	printf("This is no release build: the numbers mean little.\n\n");
#endif
	(void)fixture_setup(NULL);
	open_bench();
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		any = any || chosen[i];
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (chosen[i] || !any)
			parts[i].run();
		(void)fflush(stdout);
	}
	rivals_end();
	broker_client_close(&bench.client);
	(void)test_broker_stop(&bench.broker);
	return chdir("/") == 0 && fixture_teardown(NULL) == 0 ? 0 : 1;
}
