/*
 * broker.h - everything the running broker holds, and its loop.
 *
 * One thread owns all of it. A handler never frees a peer or a command, it marks them, so whatever
 * it holds stays valid until the sweep at the end of the round.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"

#include "broker/ceiling.h"
#include "broker/daemon_start.h"
#include "broker/grant.h"

struct err;
struct peer;

/* The product's folders, which no command sees. */
enum broker_folder { BROKER_RUNTIME, BROKER_STATE, BROKER_CONFIG, BROKER_FOLDERS };

struct broker_options {
	const char *folders[BROKER_FOLDERS];
	const char *agentd; /* the program to start */
	bool no_lockdown;   /* handed on to it */
};

struct broker {
	struct broker_options options;
	int listener;
	int signals;
	struct peer *peers[BROKER_PEERS_MAX + 1]; /* clients and agentd */
	size_t peer_count;
	unsigned peer_number; /* of the last one */
	struct child *children[BROKER_CHILDREN_MAX];
	size_t child_count;
	struct ceilings ceilings;
	struct grants grants;
	struct daemon daemon;
	bool stop; /* end after this round */
};

/* Serves until it is told to end; listener and signals are there. Kills every command then. */
int broker_run(struct broker *broker, struct err *err) MUST_CHECK;

/* Takes a checked connection in any case; NULL on failure. */
struct peer *broker_add_peer(struct broker *broker, int sock, enum broker_role role,
			     struct err *err);

/* Milliseconds since some point in the past; also counts while the machine sleeps. */
int64_t broker_now_ms(void);

/* Ends a ceiling's commands and drops its grants and the ceiling itself. */
void broker_close_ceiling(struct broker *broker, struct ceiling *ceiling);
