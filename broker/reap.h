/*
 * reap.h - running commands: who is told of their end, and when they are ended.
 *
 * A command belongs to the connection that started it and to a ceiling; when either goes its whole
 * process tree is killed. Its exit is reported only when that tree is gone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "broker/id.h"
#include "broker/sandbox.h"
#include "broker/serve.h"

struct broker;
struct ceiling;
struct err;
struct peer;

struct child {
	char id[ID_SIZE];
	enum broker_role role;         /* of who started it */
	struct peer *peer;             /* who started it; NULL when gone */
	const struct ceiling *ceiling; /* NULL when closed */
	struct started started;
	struct ticket ticket; /* until it has executed or failed */
	bool executed;
	bool exited; /* wait_status is known */
	bool silent; /* no more reports will come */
	bool gone;   /* nothing of it is left; freed by the sweep */
	int wait_status;
};

struct child *child_new(struct err *err);
void child_free(struct child **child); /* for SCOPED; does not kill */

/* Takes over a command that has been started, with the ticket of its start. */
void reap_adopt(struct broker *broker, struct peer *peer, struct child *child);

/* Something is to be read from its status; its tree is gone. */
void reap_report(struct child *child);
void reap_gone(struct child *child);

/* A command that this connection started and that still runs; NULL when there is none. */
struct child *reap_find(const struct broker *broker, const struct peer *peer, const char *id);

/* Kills the trees that hang on what has gone; the other argument is NULL. */
void reap_kill(struct broker *broker, const struct peer *peer, const struct ceiling *ceiling);

/* Whether agentd has commands left. */
bool reap_has_daemons(const struct broker *broker);

/* Collects every process that has ended; frees what is gone. */
void reap_zombies(struct broker *broker);
void reap_sweep(struct broker *broker);
