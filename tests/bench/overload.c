/*
 * overload.c - how long a client waits for the broker while somebody else does their worst.
 *
 *	overload [ROUNDS]
 *
 * For each flood of tests/support/flood.h, ROUNDS times: the answers to a bystander's questions, in
 * milliseconds, and the most private memory that the broker had. Says which of them are beyond what
 * is promised. AGENT_TEST_LIBEXEC and AGENT_TEST_FAKE name folders of the built programs.
 */
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/attr.h"
#include "proto/base/str.h"

#include "tests/support/fixture.h"
#include "tests/support/flood.h"

#define ROUNDS_DEFAULT 3
#define PROMISED_MS 50.0

static int64_t rounds = ROUNDS_DEFAULT;

static void show(const char *name, const struct bystander_report *seen)
{
	(void)printf("%-32s %8zu %8.2f %8.2f %8.1f %8.1f%s\n", name, seen->answers, seen->p50_ms,
		     seen->p99_ms, seen->worst_ms, (double)seen->memory / (1 << 20),
		     seen->p99_ms > PROMISED_MS ? "  TOO LONG" : "");
	(void)fflush(stdout);
}

/* The round with the longest p99. */
static void worst_of(struct bystander_report *worst, struct flood_rig *rig)
{
	struct bystander_report seen = flood_close(rig);

	if (worst->answers == 0 || seen.p99_ms > worst->p99_ms)
		*worst = seen;
}

static void measure(void **state)
{
	(void)state;
	(void)printf("%-32s %8s %8s %8s %8s %8s\n", "flood", "answers", "p50 ms", "p99 ms",
		     "worst ms", "MiB");
	for (enum flood_kind kind = 0; kind < FLOOD_COUNT; kind++) {
		struct bystander_report worst = { 0 };

		for (int64_t i = 0; i < rounds; i++) {
			struct flood_rig rig;

			flood_open(&rig, "workspace-write");
			flood_run(&rig, kind);
			worst_of(&worst, &rig);
		}
		show(flood_name(kind), &worst);
	}
	for (size_t k = 0; k < flood_nasty_count; k++) {
		struct bystander_report worst = { 0 };

		for (int64_t i = 0; i < rounds; i++) {
			struct flood_rig rig;

			flood_open(&rig, "workspace-write");
			flood_nasty(&rig, &flood_nasties[k]);
			worst_of(&worst, &rig);
		}
		show(flood_nasties[k].name, &worst);
	}
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = { FIXTURE_TEST(measure) };

	if (argc > 2 || (argc == 2 && str_to_int(&rounds, argv[1], 1, 1000, NULL) < 0)) {
		(void)fprintf(stderr, "usage: overload [ROUNDS]\n");
		return 2;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
