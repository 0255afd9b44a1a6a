/*
 * flood.h - a real broker, a client that floods it, and a bystander that measures.
 *
 * What is done is the same for the tests, which judge what becomes of it, and for bench_overload,
 * which judges how long the bystander waits.
 */
#pragma once

#include <stdint.h>

#include "tests/support/broker_client.h"
#include "tests/support/bystander.h"

struct flood_rig {
	struct test_broker broker;
	struct broker_client client;
	struct bystander bystander;
	char ceiling[33];
	char program[1024]; /* tests/fake/flood */
	int descriptors;    /* of the broker when all was quiet; -1: it cannot be told */
};

void flood_open(struct flood_rig *rig, const char *mode);
struct bystander_report flood_close(struct flood_rig *rig);

/* What a flood does; fails the test when something is not as it must be. */
enum flood_kind {
	FLOOD_FORK,         /* processes that never sleep */
	FLOOD_MEMORY,       /* a command with much memory */
	FLOOD_FILL,         /* a full /dev/shm */
	FLOOD_OUTPUT,       /* a gigabyte */
	FLOOD_DESCRIPTORS,  /* a command with as many as it gets */
	FLOOD_STARTS,       /* 1,000 commands, one after the other, as fast as can be */
	FLOOD_AT_ONCE,      /* 200 commands at the same time */
	FLOOD_VALUES,       /* sealed files of countless JSON values */
	FLOOD_ENVIRONMENTS, /* ceilings with the longest environments, as many as there can be */
	FLOOD_COUNT
};

const char *flood_name(enum flood_kind kind);
void flood_run(struct flood_rig *rig, enum flood_kind kind);

/* Peers, each a process, that connect anew whenever they are thrown out, for FLOOD_NASTY_MS. */
#define FLOOD_NASTY_MS 1500

struct nasty {
	const char *name;
	const char *packet; /* that is sent all the time */
	int peers;
	bool greets;
	bool cut;   /* the packet, each time at another place */
	bool reads; /* the answers */
};

extern const struct nasty flood_nasties[];
extern const size_t flood_nasty_count;

void flood_nasty(struct flood_rig *rig, const struct nasty *nasty);

/* Parts of the above. */
void flood_start(struct flood_rig *rig, struct broker_command *command, const char *kind,
		 const char *much, char line[64]); /* returns when it has said how far it came */
void flood_kill(struct flood_rig *rig, const struct broker_command *command, int signal);
void flood_end(struct flood_rig *rig, struct broker_command *command); /* with its whole tree */
int64_t flood_status(struct flood_rig *rig, const char *member);
void flood_others(struct flood_rig *rig, int times);    /* other commands run as if nothing was */
void flood_descriptors_are_back(struct flood_rig *rig); /* of the broker: no more than before */
