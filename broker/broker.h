/*
 * broker.h - everything the running broker holds: connections, ceilings, grants, commands, agentd;
 * and its loop.
 *
 * One thread owns all of it. A handler never frees a peer or a command, it marks them, so whatever
 * it holds stays valid until the sweep at the end of the round.
 *
 * A command belongs to the connection that started it and to a ceiling; when either goes its whole
 * process tree is killed. Its exit is reported only when that tree is gone.
 *
 * agentd is started on a client's word, at most one:
 *
 *   OFF -- start --> STARTING -- daemon/ready --> READY -- stop --> STOPPING
 *    ^                  |                           |                  |
 *    |                  `---- its process ends -----+------------------'
 *    |                                              v
 *    `--------- its commands are gone --------- CLEARING
 *
 * Its connection is the socket pair made here, which it finds as descriptor 3. When the connection
 * breaks the process is killed; when the process ends so does everything that it had.
 */
#pragma once

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "broker/grant.h"
#include "broker/sandbox.h"
#include "broker/serve.h"

struct child {
	char id[ID_SIZE];
	enum broker_role role;         /* of who started it */
	struct peer *peer;             /* who started it; NULL when gone */
	const struct ceiling *ceiling; /* NULL when closed */
	struct started started;        /* status_fd -1: no more reports will come */
	struct ticket ticket;          /* until it has executed or failed */
	int wait_status; /* SIGKILL until it is known: without a report it was killed */
	bool executed;
	bool gone; /* nothing of it is left; freed by the sweep */
};

#define DAEMON_FD 3           /* its end of the socket pair */
#define DAEMON_START_MS 30000 /* from the start to daemon/ready; then it is killed */
#define DAEMON_STOP_MS 5000   /* from SIGTERM to SIGKILL */
#define DAEMON_WAITERS_MAX 64 /* requests that wait for its start or its end */

enum daemon_state { DAEMON_OFF, DAEMON_STARTING, DAEMON_READY, DAEMON_STOPPING, DAEMON_CLEARING };

/* Zeroed: off. */
struct daemon {
	enum daemon_state state;
	pid_t pid;                                 /* 0 when there is none */
	struct peer *peer;                         /* its connection, NULL when that is gone */
	struct ticket waiters[DAEMON_WAITERS_MAX]; /* free without an id */
	int64_t deadline_ms;                       /* of STARTING and STOPPING; otherwise 0 */
	int code;                                  /* of CLEARING: how it ended */
	bool was_ready;                            /* clients were told that it runs */
};

struct broker_options {
	const char *folders[BROKER_FOLDERS];
	const char *agentd; /* the program to start */
	bool no_lockdown;   /* handed on to it */
	int idle_ms;        /* with nobody to serve it ends after this time */
};

struct broker {
	struct broker_options options;
	int listener;
	int signals;
	struct peer *peers[BROKER_PEERS_MAX + 1]; /* clients and agentd */
	size_t peer_count;
	unsigned peer_number; /* of the last one */
	struct child children[BROKER_CHILDREN_MAX];
	size_t child_count;
	struct ceilings ceilings;
	struct grants grants;
	struct daemon daemon;
	bool stop; /* end as soon as agentd is off */
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

/* As a shell counts: 128 + the signal. */
int exit_code(int wait_status);

void child_deinit(struct child *child); /* does not kill */

/* Kills the trees that hang on what has gone; any argument may be NULL. */
void reap_kill(struct broker *broker, const struct peer *peer, const struct ceiling *ceiling);

/* The methods of serve_handlers that are about agentd. */
int daemon_start(struct call *call, struct err *err);
int daemon_stop(struct call *call, struct err *err);
int daemon_status(struct call *call, struct err *err);
int daemon_ready(struct call *call, struct err *err);

/* What happened: its process has ended; some peer is gone, perhaps it; time has passed. */
void daemon_ended(struct broker *broker, int wait_status);
void daemon_lost(struct broker *broker, const struct peer *peer);
void daemon_tick(struct broker *broker, int64_t now_ms);

/* Where it runs: ends its commands, signals it, and kills it when it then takes too long. */
void daemon_terminate(struct broker *broker, int signal);
