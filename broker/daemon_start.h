/*
 * daemon_start.h - agentd, as the broker sees it: started on a client's word, at most one.
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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/serve.h"

struct broker;
struct err;
struct peer;

#define DAEMON_FD 3           /* its end of the socket pair */
#define DAEMON_START_MS 30000 /* from the start to daemon/ready; then it is killed */
#define DAEMON_STOP_MS 5000   /* from SIGTERM to SIGKILL */
#define DAEMON_WAITERS_MAX 64 /* requests that wait for its start or its end */

enum daemon_state { DAEMON_OFF, DAEMON_STARTING, DAEMON_READY, DAEMON_STOPPING, DAEMON_CLEARING };

/* Zeroed: off. */
struct daemon {
	enum daemon_state state;
	pid_t pid;         /* 0 when there is none */
	struct peer *peer; /* its connection, NULL when that is gone */
	struct ticket waiters[DAEMON_WAITERS_MAX];
	size_t waiter_count;
	int64_t deadline_ms; /* of STARTING and STOPPING */
	int code;            /* of CLEARING: how it ended */
	bool was_ready;      /* clients were told that it runs */
	bool end_broker;     /* once it is gone */
};

/* The methods. */
int daemon_start(struct call *call, struct err *err);
int daemon_stop(struct call *call, struct err *err);
int daemon_status(struct call *call, struct err *err);
int daemon_ready(struct call *call, struct err *err);

/* What happened: its process has ended; some peer is gone, perhaps it; time has passed. */
void daemon_ended(struct broker *broker, int wait_status);
void daemon_lost(struct broker *broker, const struct peer *peer);
void daemon_tick(struct broker *broker, int64_t now_ms);
int64_t daemon_next_ms(const struct daemon *daemon); /* when time matters; INT64_MAX for never */

/* Asks it to end; then the broker ends. */
void daemon_shut(struct broker *broker);
