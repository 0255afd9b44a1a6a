/*
 * api_part.h - what api.c and the handlers in api_*.c share.
 *
 * A handler answers at once by setting `result`, or later: then it takes the request into a struct
 * api_waiting. Whatever an answer has to come behind (replayed history, the updates of a turn) is
 * seen to by tell_one().
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/attr.h"
#include "proto/base/list.h"

#include "agentd/api.h"

struct err;

struct api_request {
	struct api *api;
	struct api_client *client;
	json_t *id;         /* NULL for a notification */
	const void *params; /* decoded, of the method's type */
	struct attachment
		*attachment; /* of the session that the parameters name, where that is asked for */
	json_t *result;      /* the answer, stolen */
	bool later;          /* somebody else answers */
};

typedef int api_handler(struct api_request *request, struct err *err);

api_handler api_initialize;
api_handler api_authenticate;
api_handler api_session_new;
api_handler api_session_load;
api_handler api_session_resume;
api_handler api_session_list;
api_handler api_session_close;
api_handler api_session_delete;
api_handler api_session_prompt;
api_handler api_session_set_mode;
api_handler api_session_set_config_option;
api_handler api_session_cancel;
api_handler api_cancel_request;
api_handler api_session_attach;
api_handler api_session_detach;
api_handler api_daemon_status;

/* Why a request waits. */
enum api_why { API_PROMPT, API_CLOSE, API_DELETE, API_ADOPT };

struct api_waiting {
	struct list node; /* of api->waiting */
	struct api *api;
	enum api_why why;
	int64_t client;
	json_t *id;
	char session[UUID_SIZE];
	/* of API_ADOPT: what to do when the ceiling is there */
	int (*then)(struct api_waiting *waiting, struct session *session, struct api_client *client,
		    struct err *err);
	bool fresh; /* the session was made for this request and goes with it */
	enum agent_role role;
	bool replay;  /* everything from the beginning */
	bool pending; /* what waits for an answer */
	bool record;
	char name[APPROVAL_NAME_MAX + 1];
};

/* Takes the request over; freed by api_answer() or api_waiting_free(). */
struct api_waiting *api_wait(struct api_request *request, enum api_why why, const char *session_id,
			     struct err *err) MUST_CHECK;
void api_waiting_free(struct api_waiting *waiting);

/* The answer, in its place behind the updates; nothing when the client has gone. result is stolen;
 * NULL: err. */
void api_answer(struct api_waiting *waiting, struct session *session, json_t *result,
		const struct err *err);

struct api_client *api_client_find(const struct api *api, int64_t id);
void api_send(struct api_client *client, json_t *message); /* consumed */

#define API_MODES 3            /* modes of a session */
#define API_MODE_OPTION "mode" /* the configuration option that is the same as the mode */

/* How a client comes into a session. */
struct api_joining {
	const struct agent_session_meta *meta; /* or NULL */
	int (*then)(struct api_waiting *waiting, struct session *session, struct api_client *client,
		    struct err *err);
	bool fresh; /* the session was made for this */
	enum agent_role role;
	bool replay;
	bool pending;
	const char *name; /* or NULL */
};
int api_join(struct api_request *request, struct session *session, const struct api_joining *how,
	     struct err *err) MUST_CHECK;

/* A session that lives, or is loaded. */
int api_open(struct session **out, struct api *api, const char *id, const struct session_wish *wish,
	     struct err *err) MUST_CHECK;

/* api_attach.c */
void api_name(char out[APPROVAL_NAME_MAX + 1], const char *name); /* cut, if need be */
void api_questions(struct attachment *attachment); /* what waits for an answer, to this client */
struct attachment *api_attachment(const struct api_client *client, const char *session_id);
struct attachment *api_attach(struct api_client *client, struct session *session,
			      const struct api_waiting *how, struct err *err) MUST_CHECK;
void api_detach(struct attachment *attachment);
void api_detach_all(struct session *session);

/* api_session.c: what holds for a session, as the answers say it; everything borrows from the
 * session. */
struct api_about {
	struct agent_session_info info;
	struct agent_meta_info meta;
	struct agent_modes modes;
	struct agent_config_option option;
	struct agent_config_value values[API_MODES];
	json_t *current;
};
int api_about(struct api_about *out, const struct session *session, struct err *err) MUST_CHECK;
void api_about_deinit(struct api_about *about);

/* The session lives, or is loaded; then its ceiling is taken over, if there is a new one, and
 * `then` is called. */
int api_adopt(struct api_waiting *waiting, struct session *session, const char *ceiling,
	      enum sandbox_mode mode, struct err *err) MUST_CHECK;

/* A turn is over: prompts are answered, sessions that were to be closed are. */
void api_finished(void *ctx, struct session *session, const struct err *failure);
