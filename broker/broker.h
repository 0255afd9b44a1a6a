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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/wire/grant.h"
#include "proto/wire/server.h"

#include "broker/ceiling.h"

struct child {
	char id[ID_SIZE];
	enum broker_role role;         /* of who started it */
	struct peer *peer;             /* who started it; NULL when gone */
	const struct ceiling *ceiling; /* NULL when closed */
	struct started started;        /* status_fd -1: no more reports will come */
	struct ticket ticket;          /* until it has executed or failed */
	int64_t kill_again_ms;         /* of a clock; 0: it was not ended by the broker */
	int wait_status;      /* SIGKILL until it is known: without a report it was killed */
	const char *ended_by; /* NULL: itself, or the signal below */
	int signal;           /* that its connection has sent last */
	struct denied denied;
	bool executed;
	bool gone; /* nothing of it is left; freed by the sweep */
};

#define KILL_GRACE_MS 1000 /* that init has for ending a tree, until it is killed itself */

#define DAEMON_START_MS 30000 /* from the start to daemon/ready; then it is killed */
#define DAEMON_STOP_MS 5000   /* from SIGTERM to SIGKILL */

enum daemon_state { DAEMON_OFF, DAEMON_STARTING, DAEMON_READY, DAEMON_STOPPING, DAEMON_CLEARING };

/* Zeroed: off. */
struct daemon {
	enum daemon_state state;
	pid_t pid;           /* 0 when there is none */
	struct peer *peer;   /* its connection, NULL when that is gone */
	int64_t deadline_ms; /* of STARTING and STOPPING; otherwise 0 */
	int code;            /* of CLEARING: how it ended */
	bool was_ready;      /* clients were told that it runs */
};

struct broker_options {
	const char *folders[BROKER_FOLDERS];
	const char *agentd;       /* the program to start */
	bool no_lockdown;         /* handed on to it */
	int idle_ms;              /* with nobody to serve it ends after this time */
	const char *user;         /* in system mode; NULL: this process's */
	const char *requirements; /* the limits of a test; NULL: the administrator's */
};

struct broker {
	struct broker_options options;
	int listener;
	int signals;
	struct server server; /* of clients and agentd */
	struct child children[BROKER_CHILDREN_MAX];
	size_t child_count;
	struct ceilings ceilings;
	struct grants grants;
	struct daemon daemon;
	struct limits limits;
	struct audit *audit; /* NULL: it could not be opened */
	bool audit_failed;   /* the last record is not there */
	bool stop;           /* end as soon as agentd is off */
};

/* Serves until it is told to end; listener and signals are there. Kills every command then. */
int broker_run(struct broker *broker, struct err *err) MUST_CHECK;

/* What its server serves, and to whom the peer of a call belongs. */
extern const struct server_table serve_table;

static inline struct broker *broker_of(const struct call *call)
{
	return CONTAINER_OF(call->peer->server, struct broker, server);
}

/* Ends a ceiling's commands and drops its grants and the ceiling itself. */
void broker_close_ceiling(struct broker *broker, struct ceiling *ceiling);

void child_deinit(struct child *child); /* does not kill */

/* Opens the audit log as the limits say, and records the start. */
int record_open(struct broker *broker, struct err *err) MUST_CHECK;

/*
 * Records an event with its members (taken) and who wanted it (or NULL). A failure is logged once;
 * it is the caller's only where the limits require the log.
 */
int record(struct broker *broker, const struct peer *peer, const char *event, json_t *members,
	   struct err *err);

/* Kills the trees that hang on what has gone; any argument may be NULL. */
void reap_kill(struct broker *broker, const struct peer *peer, const struct ceiling *ceiling);

/* The methods of serve_table that are about agentd. */
int serve_daemon_start(struct call *call, struct err *err);
int serve_daemon_stop(struct call *call, struct err *err);
int serve_daemon_status(struct call *call, struct err *err);
int serve_daemon_ready(struct call *call, struct err *err);

/* What happened: its process has ended; some peer is gone, perhaps it; time has passed. */
void daemon_ended(struct broker *broker, int wait_status);
void daemon_lost(struct broker *broker, const struct peer *peer);
void daemon_tick(struct broker *broker, int64_t now_ms);

/* Where it runs: ends its commands, signals it, and kills it when it then takes too long. */
void daemon_terminate(struct broker *broker, int signal);
