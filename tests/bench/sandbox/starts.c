/*
 * starts.c - P1, P2 and P3: how long a sandboxed /bin/true takes, alone and eight at once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"

#include "tests/bench/sandbox/bench.h"

#define RIVALS_MAX 8
#define CROWD 64 /* commands of one round */
#define CROWD_ROUNDS 7

static const char *const true_argv[] = { "/bin/true", NULL };

struct lane {
	const struct rival *rival;
	bool works;
	double median;
	double times[BENCH_ROUNDS_MAX];
};

static struct lane lanes[RIVALS_MAX];

static size_t open_lanes(const struct rival *const *rivals)
{
	size_t count = 0;

	for (; rivals[count]; count++) {
		lanes[count].rival = rivals[count];
		lanes[count].works = rival_works(rivals[count]) && rival_works(rivals[count]);
	}
	return count;
}

static void print_times(size_t count, size_t rounds, const struct rival *ours)
{
	double mine = 0;

	for (size_t i = 0; i < count; i++) {
		lanes[i].median = lanes[i].works ? bench_median(lanes[i].times, rounds) : 0;
		if (lanes[i].rival == ours)
			mine = lanes[i].median;
	}
	for (size_t i = 0; i < count; i++) {
		if (!lanes[i].works)
			printf("  %-28s not here\n", lanes[i].rival->name);
		else
			printf("  %-28s p50 %9.3f ms   p95 %9.3f ms   ours is %5.2f of it\n",
			       lanes[i].rival->name, lanes[i].median / 1e3,
			       lanes[i].times[rounds * 95 / 100] / 1e3, mine / lanes[i].median);
	}
}

static void measure(const char *title, const struct rival *const *rivals, const struct rival *ours,
		    size_t rounds)
{
	size_t count = open_lanes(rivals);

	printf("%s\n", title);
	for (size_t round = 0; round < rounds; round++) {
		for (size_t i = 0; i < count; i++) {
			double began = bench_now_us();

			if (!lanes[i].works)
				continue;
			(void)lanes[i].rival->run(true_argv);
			lanes[i].times[round] = bench_now_us() - began;
		}
	}
	print_times(count, rounds, ours);
	printf("\n");
}

static void measure_crowd(const char *title, const struct rival *const *rivals)
{
	size_t count = open_lanes(rivals);
	double mine = 0;

	printf("%s\n", title);
	for (size_t round = 0; round < CROWD_ROUNDS; round++) {
		for (size_t i = 0; i < count; i++) {
			double began = bench_now_us();

			if (!lanes[i].works)
				continue;
			lanes[i].works = lanes[i].rival->crowd(true_argv, CROWD);
			lanes[i].times[round] = CROWD * 1e6 / (bench_now_us() - began);
		}
	}
	for (size_t i = 0; i < count; i++) {
		lanes[i].median = lanes[i].works ? bench_median(lanes[i].times, CROWD_ROUNDS) : 0;
		if (lanes[i].rival == &rival_ours)
			mine = lanes[i].median;
	}
	for (size_t i = 0; i < count; i++) {
		if (!lanes[i].works)
			printf("  %-28s not here\n", lanes[i].rival->name);
		else
			printf("  %-28s %9.0f a second   ours is %5.2f x\n", lanes[i].rival->name,
			       lanes[i].median, mine / lanes[i].median);
	}
	printf("\n");
}

void bench_starts(void)
{
	static const struct rival *const system[] = { &rival_bare,  &rival_limit, &rival_ours,
						      &rival_bwrap, &rival_peer,  NULL };
	static const struct rival *const crowd[] = { &rival_limit, &rival_ours, &rival_bwrap,
						     &rival_peer, NULL };
	static const struct rival *const commands[] = { &rival_client, &rival_bwrap, &rival_srt,
							&rival_peer_cli, NULL };

	measure("P1: /bin/true through the running system", system, &rival_ours, bench.rounds);
	measure_crowd("P2: /bin/true, eight at once", crowd);
	measure("P3: /bin/true by a command", commands, &rival_client,
		bench.rounds / 4 > 0 ? bench.rounds / 4 : 1);
}
