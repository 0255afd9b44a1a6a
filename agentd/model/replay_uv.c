#include "agentd/model/replay_uv.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "proto/base/err.h"
#include "proto/base/list.h"
#include "proto/base/str.h"

#include "agentd/model/cassette.h"
#include "agentd/model/demo.h"
#include "agentd/model/stream.h"

#define PIECE_MAX 173U /* bytes that come at once; prime, so that events are torn everywhere */

/* A loaded cassette, kept by the sessions and calls that play it. */
struct tape {
	struct cassette *cassette;
	size_t users;
};

struct session {
	struct list node; /* the last used one is the last */
	struct tape *tape;
	char *id;
	char *file; /* or NULL */
	size_t next;
};

struct replay {
	uv_loop_t *loop;
	struct list sessions;
	size_t count;
};

struct replay_call {
	uv_idle_t idle; /* idle.data points back here; on_closed() frees */
	struct tape *tape;
	const struct cassette_answer *answer; /* the tape's */
	const struct stream_sink *sink;
	void *ctx;
	size_t at;
	uint32_t chance;
	bool begun;
};

static void tape_release(struct tape *tape)
{
	if (!tape || --tape->users > 0)
		return;
	cassette_free(tape->cassette);
	free(tape);
}

static void session_free(struct session *session)
{
	if (!session)
		return;
	tape_release(session->tape);
	free(session->id);
	free(session->file);
	free(session);
}

static struct tape *tape_load(const char *file, struct err *err)
{
	struct tape *tape = calloc(1, sizeof *tape);
	int rc;

	if (!tape) {
		(void)ERR_NOMEM_SET(err);
		return NULL;
	}
	rc = file ? cassette_load(&tape->cassette, file, err)
		  : cassette_parse(&tape->cassette, demo_cassette, demo_cassette_size, err);
	if (rc < 0) {
		free(tape);
		return NULL;
	}
	tape->users = 1;
	return tape;
}

/* With another cassette it is another session. */
static struct session *session_find(struct replay *replay, const struct replay_request *request)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &replay->sessions) {
		struct session *session = LIST_ENTRY(node, struct session, node);

		if (str_eq(session->id, request->session_id) &&
		    str_eq(session->file, request->file))
			return session;
	}
	return NULL;
}

static void session_forget(struct replay *replay, struct session *session)
{
	list_remove(&session->node);
	replay->count--;
	session_free(session);
}

static struct session *session_new(struct replay *replay, const struct replay_request *request,
				   struct err *err)
{
	struct session *session = calloc(1, sizeof *session);

	if (session) {
		session->id = str_dup(request->session_id);
		session->file = request->file ? str_dup(request->file) : NULL;
	}
	if (!session || !session->id || (request->file && !session->file))
		(void)ERR_NOMEM_SET(err);
	else
		session->tape = tape_load(request->file, err);
	if (!session || !session->tape) {
		session_free(session);
		return NULL;
	}
	session->next = cassette_seek(session->tape->cassette, request->model_items);
	if (replay->count == REPLAY_SESSIONS_MAX)
		session_forget(replay, LIST_ENTRY(replay->sessions.next, struct session, node));
	list_add(&replay->sessions, &session->node);
	replay->count++;
	return session;
}

/* The session of the request, with the cassette that it asks for now. */
static struct session *session_get(struct replay *replay, const struct replay_request *request,
				   struct err *err)
{
	struct session *session = session_find(replay, request);

	if (!session)
		return session_new(replay, request, err);
	list_remove(&session->node);
	list_add(&replay->sessions, &session->node);
	return session;
}

int replay_new(struct replay **out, struct uv_loop_s *loop, struct err *err)
{
	struct replay *replay = calloc(1, sizeof *replay);

	if (!replay)
		return ERR_NOMEM_SET(err);
	replay->loop = loop;
	list_init(&replay->sessions);
	*out = replay;
	return 0;
}

void replay_free(struct replay *replay)
{
	struct list *node;
	struct list *safe;

	if (!replay)
		return;
	LIST_EACH(node, safe, &replay->sessions)
		session_free(LIST_ENTRY(node, struct session, node));
	free(replay);
}

static void on_closed(uv_handle_t *handle)
{
	struct replay_call *call = handle->data;

	tape_release(call->tape);
	free(call);
}

void replay_abort(struct replay_call *call)
{
	if (!uv_is_closing((uv_handle_t *)&call->idle))
		uv_close((uv_handle_t *)&call->idle, on_closed);
}

/* One piece per turn of the loop, so that other work goes on between. */
static void on_turn(uv_idle_t *idle)
{
	struct replay_call *call = idle->data;
	const struct cassette_answer *answer = call->answer;
	size_t size = answer->body_len - call->at;

	if (!call->begun) {
		call->begun = true;
		call->sink->head(call->ctx, answer->status, answer->retry_after);
		return;
	}
	if (size == 0) {
		replay_abort(call);
		call->sink->end(call->ctx, NULL);
		return;
	}
	call->chance = call->chance * 1664525U + 1013904223U;
	if (size > 1 + (call->chance >> 16) % PIECE_MAX)
		size = 1 + (call->chance >> 16) % PIECE_MAX;
	call->at += size;
	call->sink->data(call->ctx, answer->body + call->at - size, size);
}

struct replay_call *replay_send(struct replay *replay, const struct replay_request *request,
				const struct stream_sink *sink, void *ctx, struct err *err)
{
	struct session *session = session_get(replay, request, err);
	struct replay_call *call;
	size_t index;

	if (!session)
		return NULL;
	index = cassette_next(session->tape->cassette, session->next, request->last_text);
	if (index == cassette_count(session->tape->cassette)) {
		(void)ERR_SET(err, ERR_NOTFOUND,
			      "the recorded conversation ends here: %zu answers were played; "
			      "a new session plays it from the start",
			      session->next);
		return NULL;
	}
	call = calloc(1, sizeof *call);
	if (!call) {
		(void)ERR_NOMEM_SET(err);
		return NULL;
	}
	session->next = index + 1;
	call->tape = session->tape;
	call->tape->users++;
	call->answer = cassette_at(call->tape->cassette, index);
	call->sink = sink;
	call->ctx = ctx;
	(void)uv_idle_init(replay->loop, &call->idle); /* these two cannot fail */
	(void)uv_idle_start(&call->idle, on_turn);
	call->idle.data = call;
	return call;
}
