/*
 * rig.h - the real broker and the real daemon with a scripted model, and clients of the daemon's
 * socket.
 *
 * Nothing here sleeps: what is waited for is a message, for at most RIG_WAIT_MS, and then the test
 * fails. The end of a rig checks that no process of it is left.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/base/buf.h"
#include "proto/wire/frame.h"

#include "tests/support/broker_client.h"
#include "tests/support/fake_model.h"

#define RIG_WAIT_MS 30000
#define RIG_ID_SIZE 65 /* bytes of an id, the final NUL included */

struct rig {
	struct test_broker broker;
	struct fake_model model;
	struct broker_client hands; /* the person's own connection to the broker */
	pid_t daemon;
};

/* script: for tests/fake/model; settings: further lines at the top of config.ini, or "". Starts all
 * three. */
void rig_start(struct rig *rig, const char *script, const char *settings);
void rig_start_daemon(struct rig *rig); /* again, after it has ended */
void rig_stop(struct rig *rig);

/* Instead of rig_stop(), after the broker was killed: whatever it had started must end by itself.
 */
void rig_lost(struct rig *rig);

/* The size that files of the daemon may have from now on: what a full disk looks like. UINT64_MAX:
 * any. */
void rig_limit_files(const struct rig *rig, uint64_t bytes);

/* Kills agentd and returns when the broker has noticed. */
void rig_kill_daemon(struct rig *rig);

/* A kept ceiling over the workspace. */
void rig_ceiling(struct rig *rig, const char *mode, char out[RIG_ID_SIZE]);

/* The person's answer at the broker, to the record that is shown there: "once", "session" or
 * "deny". */
void rig_decide(struct rig *rig, const char *grant, const char *decision);

/* One client of the daemon, greeted. Messages that nobody waits for yet are kept in order. */
struct rig_agent {
	int sock;
	struct buf in;
	struct frame frame;
	json_t *kept; /* array */
	int64_t last_id;
	bool ended;
};

void rig_agent_open(struct rig_agent *agent, const struct rig *rig, const char *name);
void rig_agent_close(struct rig_agent *agent);

void rig_send(struct rig_agent *agent, const char *line); /* with its newline, or part of one */
int64_t rig_ask(struct rig_agent *agent, const char *method, json_t *params);
void rig_notify(struct rig_agent *agent, const char *method, json_t *params);
void rig_answer(struct rig_agent *agent, const json_t *request, const char *option);

/* The next message that fits, taken out of what is kept or waited for; the caller's reference. */
json_t *rig_next(struct rig_agent *agent);               /* whatever comes */
json_t *rig_reply(struct rig_agent *agent, int64_t id);  /* the whole answer */
json_t *rig_result(struct rig_agent *agent, int64_t id); /* its result; it must be one */
json_t *rig_wait(struct rig_agent *agent,
		 const char *method); /* params of a notification or request */
json_t *rig_wait_request(struct rig_agent *agent, const char *method); /* the whole message */
json_t *rig_wait_update(struct rig_agent *agent, const char *kind);    /* the update itself */
bool rig_ended(struct rig_agent *agent); /* waits until the daemon has closed the connection */

json_t *rig_call(struct rig_agent *agent, const char *method, json_t *params); /* must succeed */
void rig_refused(struct rig_agent *agent, const char *method, json_t *params, int64_t code,
		 const char *part); /* must fail, with this in its sentence */

/* A session in the workspace. mode: of its ceiling, or NULL for none. config: "key=value", or NULL.
 */
void rig_session(struct rig *rig, struct rig_agent *agent, const char *mode, const char *config,
		 char out[RIG_ID_SIZE]);
json_t *rig_attach_params(const char *session, const char *role, const char *history);
int64_t rig_prompt(struct rig_agent *agent, const char *session, const char *text);

/* Waits for the answer of a prompt and gives its stop reason, or the message of its error. */
void rig_stop_reason(struct rig_agent *agent, int64_t id, char *out, size_t size);

/* The text that a list of kept updates of a kind adds up to, in the order that they came. Takes
 * them. */
void rig_text(struct rig_agent *agent, const char *kind, struct buf *out);

/* The path of the session's transcript. */
void rig_transcript(const struct rig *rig, const char *session, char *out, size_t size);

/* The same, checked at once: the end of a prompt, and all text of a kind that has come. */
void rig_expect_stop(struct rig_agent *agent, int64_t prompt, const char *reason);
void rig_expect_text(struct rig_agent *agent, const char *kind, const char *text);

/* The output of a call in the n-th request to the model, from 0, holds this. */
void rig_expect_output(const struct rig *rig, size_t request, const char *call, const char *part);

bool rig_exists(const struct rig *rig, const char *name); /* in the workspace */
