/*
 * bench.h - what the parts of the sandbox bench share: who is measured, how, and how it is printed.
 *
 * Every number is the median of rounds that were made in turn with all others, so that a change of
 * the machine's speed hits all alike. Nothing here judges.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "tests/support/broker_client.h"

#define BENCH_ROUNDS_MAX 2000
#define BENCH_PATH 1024

/* Somebody who runs a command. Zero where it is not installed or does not work here. */
struct rival {
	const char *name;
	/* Runs the words to their end in the work folder; false when that failed. */
	bool (*run)(const char *const *argv);
	/* The same, `count` of them, eight at a time. NULL: not measured. */
	bool (*crowd)(const char *const *argv, size_t count);
	/* Starts them and leaves them running: the process to look at with its descendants, or 0.
	 */
	pid_t (*hold)(const char *const *argv);
	void (*release)(void); /* ends what hold() has started */
};

struct bench {
	size_t rounds;
	const char *peers; /* folder with node_modules, or NULL */
	char top[512];
	char work[600];
	struct test_broker broker;
	struct broker_client client;
	char ceiling[33];
};

extern struct bench bench;

extern const struct rival rival_bare;   /* posix_spawn, no sandbox */
extern const struct rival rival_limit;  /* namespaces, mounts, a filter and exec, and no more */
extern const struct rival rival_ours;   /* the running broker, over its socket */
extern const struct rival rival_client; /* agent sandbox, as a command */
extern const struct rival rival_bwrap;
extern const struct rival rival_srt;
extern const struct rival rival_peer;     /* its server, command/exec */
extern const struct rival rival_peer_cli; /* its command */

bool rival_works(const struct rival *rival);
void rivals_end(void); /* servers and brokers that were started on the way */

double bench_now_us(void);
double bench_median(double *values, size_t count);

/* Starts a program with an environment of a few names, output nowhere; its pid. */
pid_t bench_spawn(const char *const *argv);
bool bench_wait(pid_t pid); /* true: it ended with 0 */

void bench_starts(void); /* P1, P2, P3 */
void bench_work(void);   /* P15 */
void bench_memory(void); /* P17 */
void bench_steps(void);  /* where the time of a start goes */
