/*
 * broker_client.h - a real agent-broker for one test, and raw clients of its socket.
 *
 * Nothing here sleeps: what is waited for is a packet, the end of a pipe or the end of a process,
 * each for at most BROKER_CLIENT_WAIT_MS, and then the test fails.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/base/err.h"

#define BROKER_CLIENT_WAIT_MS 30000

/* One broker with folders of its own below fixture_dir(). */
struct test_broker {
	pid_t pid;
	char home[512];    /* of all the rest */
	char work[600];    /* an empty workspace */
	char runtime[600]; /* sockets */
	char state[600];
	char config[600];
	char log[640];    /* what it and agentd have logged */
	const char *user; /* in system mode; otherwise NULL */
};

/*
 * Root goes on as this user, with all that it starts; NULL: as root again, which its saved uid
 * allows. A broker of system mode does so when it is started: AGENT_TEST_SYSTEM of the environment
 * names its user.
 */
void test_act_as(const char *user);

/* agentd: the program that daemon/start starts, or NULL. Returns when the broker is ready. */
void test_broker_start(struct test_broker *broker, const char *agentd);
void test_broker_start_idle(struct test_broker *broker, const char *agentd, const char *idle_ms);

/* With further options (ended by NULL). Its folders are made unless broker->home is set; returns
 * whether it is ready, and otherwise, in `why` (4096 bytes), what it said instead. */
bool test_broker_start_with(struct test_broker *broker, const char *agentd,
			    const char *const *options, char *why);
void test_broker_folders(struct test_broker *broker);

/* SIGTERM; returns its exit status. Prints the log when that is not 0. */
int test_broker_stop(struct test_broker *broker);

bool test_broker_logged(const struct test_broker *broker, const char *text);

/* One connection. Answers and notifications that nobody waits for yet are kept in order. */
struct broker_client {
	int sock;
	int64_t last_id;
	json_t *notifications; /* array of messages */
	int fd;                /* that came with the last answer, or -1 */
	struct err err;        /* of the last answer, when that was an error */
};

void broker_client_open(struct broker_client *client, const struct test_broker *broker);
void broker_client_connect(struct broker_client *client, const char *runtime,
			   const char *name); /* of the socket; says no hello */
void broker_client_attach(struct broker_client *client, int sock); /* an open socket */
void broker_client_close(struct broker_client *client);

/* Sends the bytes as one packet. */
void broker_client_send(struct broker_client *client, const char *text, const int *fds,
			size_t fd_count);

/* Sends a request without waiting; returns its id. params is taken. */
int64_t broker_client_ask(struct broker_client *client, const char *method, json_t *params,
			  const int *fds, size_t fd_count);

/* The answer to the newest request: result (a new reference), or NULL and client->err is set. */
json_t *broker_client_answer(struct broker_client *client, int64_t id);

/* Both of the above. */
json_t *broker_call(struct broker_client *client, const char *method, json_t *params,
		    const int *fds, size_t fd_count);

/* A call that must succeed; its result, or the named text member of it. */
json_t *broker_must(struct broker_client *client, const char *method, json_t *params);
void broker_must_text(struct broker_client *client, const char *method, json_t *params,
		      const char *member, char *out, size_t size);

/* A call that must fail so. */
void broker_refused(struct broker_client *client, const char *method, json_t *params,
		    enum err_code code);

/* The next notification of this method: its params, a new reference. */
json_t *broker_client_wait(struct broker_client *client, const char *method);

/* Waits until the broker has closed the connection; false when a packet comes instead. */
bool broker_client_ended(struct broker_client *client);

/*
 * Opens a ceiling in broker->work with PATH alone as environment and no root but that: the test's
 * own folder lies in /tmp. out: 33 bytes.
 */
void broker_client_ceiling(struct broker_client *client, const struct test_broker *broker,
			   const char *mode, bool keep, char *out);

/* A command that was started: the read end of its stdout and stderr, and its id. */
struct broker_command {
	int out;
	char child[64];
};

/* Starts argv (ended by NULL) with empty input; false when it could not, and client->err is set. */
bool broker_command_start(struct broker_command *command, struct broker_client *client,
			  const char *ceiling, const char *const *argv);

/* Reads all it writes, waits for child/exited; returns its code. */
int broker_command_finish(struct broker_command *command, struct broker_client *client, char *text,
			  size_t size);

/* Reads one line of its output, without the newline. */
void broker_command_line(struct broker_command *command, char *text, size_t size);

/* Waits until the process has ended (also one that is no child of the test). */
void wait_for_end(pid_t pid);
