/*
 * session.h - one session: what it is set to, what has been said, who is attached, what it is
 * doing.
 *
 * Holds the parts together and does no I/O but through its transcript. What has to wait for
 * somebody (model, commands, broker) is the driver's, a table of functions that the event loop's
 * side fills in. A session belongs to the struct sessions that made it and lives until
 * session_close().
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"
#include "proto/base/list.h"
#include "proto/wire/agent_gen.h"

#include "agentd/session/approval.h"
#include "agentd/session/driver.h"
#include "agentd/session/fanout.h"
#include "agentd/session/history.h"
#include "agentd/session/record.h"
#include "agentd/session/turn.h"
#include "agentd/session/uuid.h"

struct conf;
struct drive; /* of the driver */
struct err;
struct session;
struct transcript;

#define SESSIONS_MAX 256        /* live at once; one that idles without clients makes room */
#define SESSION_TITLE_MAX 120   /* bytes of a title made from a prompt */
#define SESSION_ALLOWED_MAX 256 /* commands that need not be asked for again */

/* Tokens of the whole session so far, and of the last request. */
struct session_usage {
	struct agent_usage total;
	int64_t last_total; /* how much of the context is in use */
};

/* One client in one session. */
struct attachment {
	struct fanout_client fanout; /* in session->fanout */
	struct list node;            /* of the client's attachments */
	struct session *session;
	void *client; /* the api's */
	int64_t client_id;
	enum agent_role role;
	char name[APPROVAL_NAME_MAX + 1];
	bool record; /* wants _agentd/recorded */
};

/* What the broker says about the session's ceiling. */
struct session_ceiling {
	char id[WIRE_ID_MAX + 1]; /* "" when there is none: nothing can run */
	enum sandbox_mode mode;
	bool network;
	json_t *policy; /* the whole of it, as JSON; its 'roots' are [{path, protected: [...]}] */
};

struct session {
	struct list node; /* of sessions->live */
	struct sessions *sessions;
	char id[UUID_SIZE];
	char *cwd;
	char *title; /* NULL before the first prompt */
	struct conf *conf;
	json_t *environment; /* object: the provider's key variable */
	bool ephemeral;
	struct session_ceiling ceiling;
	struct session_usage usage;

	struct transcript *log; /* NULL before the first prompt */
	struct history history;
	struct fanout fanout;
	struct approvals approvals;
	struct turn turn;
	enum agent_session_state told; /* what clients know */
	json_t *allowed;               /* object: commands that need not be asked for again */
	char *permissions;      /* text that the model was given last; NULL: none, or unknown */
	char *environment_text; /* the same */
	struct drive *drive;
	int64_t used_ms; /* when it last did something */
	bool dirty;      /* clients have something to get */
	bool ending;     /* to be closed as soon as it is idle */
	bool gaps;       /* a call's output could not be written: repair before the next turn */
};

struct sessions {
	struct list live;
	size_t count;
	char *state_dir;
	char *config_dir;
	const struct fanout_sink *sink;
	struct session_driver driver;
	int64_t approval_next;
	bool dirty; /* some session is */
};

int sessions_init(struct sessions *sessions, const char *state_dir, const char *config_dir,
		  const struct fanout_sink *sink, struct err *err) MUST_CHECK;
void sessions_deinit(struct sessions *sessions); /* closes what is live */
void sessions_pump(
	struct sessions *sessions); /* what clients have to get, to those who have room */
struct session *sessions_find(const struct sessions *sessions, const char *id);

/* What a client says about a session. */
struct session_wish {
	const char *cwd;
	const struct agent_session_meta *meta; /* NULL: nothing */
};

int session_new(struct session **out, struct sessions *sessions, const struct session_wish *wish,
		struct err *err) MUST_CHECK;
/* From its transcript, repaired. ERR_NOTFOUND: there is none. */
int session_load(struct session **out, struct sessions *sessions, const char *id,
		 const struct session_wish *wish, struct err *err) MUST_CHECK;
void session_close(struct session *session); /* no client may be attached */
int session_configure(struct session *session, const struct session_wish *wish, struct err *err)
	MUST_CHECK;

enum agent_session_state session_state(const struct session *session);
enum approval_policy session_approval_policy(const struct session *session);

/* A record, in the log before anybody is told of it. The payload is consumed. */
int session_append(struct session *session, enum record_kind kind, int64_t item, json_t *payload,
		   struct err *err) MUST_CHECK;
/* An update for clients, as a record. Consumed. */
int session_update(struct session *session, json_t *update, struct err *err) MUST_CHECK;
/* An item for the model that clients are not shown, in the log and in the history. Consumed. */
int session_item(struct session *session, int64_t item, json_t *payload, struct err *err)
	MUST_CHECK;

/* Clients get what is new when the loop comes round. */
void session_touch(struct session *session);

/* Every call that has no output gets one: 'aborted'. */
int session_repair(struct session *session, struct err *err) MUST_CHECK;

/* The output 'aborted' for a call item, and the news for clients. */
int session_abort_call(struct session *session, const json_t *item, struct err *err) MUST_CHECK;

/* Makes the transcript with its first records, unless there is one. */
int session_begin(struct session *session, const char *title, struct err *err) MUST_CHECK;
