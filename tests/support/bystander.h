/*
 * bystander.h - what a second client of a broker notices while the first one does its worst: how
 * long `daemon/status` takes to be answered, and how much memory the broker has.
 *
 * The bystander is a process of its own, so that it measures while the test is busy.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct test_broker;

#define BYSTANDER_ANSWERS_MAX 65536U /* that are remembered; the first ones */
#define BYSTANDER_PAUSE_US 500       /* from an answer to the next question */

struct bystander {
	pid_t pid;
	int stop; /* closed to end it */
	struct bystander_result *shared;
};

struct bystander_report {
	size_t answers;
	double p50_ms;
	double p99_ms;
	double worst_ms;
	size_t memory; /* bytes: most private memory that the broker had */
};

/* Returns when the first question has been answered. */
void bystander_start(struct bystander *bystander, const struct test_broker *broker);

/* Fails the test when the bystander was not answered for BYSTANDER_WAIT_MS, or was thrown out. */
struct bystander_report bystander_stop(struct bystander *bystander);
