#include "agentd/session/session.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/conf.h"
#include "proto/conf/paths.h"
#include "proto/wire/names.h"

#include "agentd/session/session_part.h"
#include "agentd/session/transcript.h"

int sessions_init(struct sessions *sessions, const char *state_dir, const char *config_dir,
		  const struct fanout_sink *sink, struct err *err)
{
	*sessions = (struct sessions){ .sink = sink, .approval_next = 1 };
	list_init(&sessions->live);
	sessions->state_dir = str_dup(state_dir);
	sessions->config_dir = str_dup(config_dir);
	if (sessions->state_dir && sessions->config_dir)
		return 0;
	sessions_deinit(sessions);
	return ERR_NOMEM_SET(err);
}

void sessions_deinit(struct sessions *sessions)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &sessions->live)
		session_close(LIST_ENTRY(node, struct session, node));
	str_free(&sessions->state_dir);
	str_free(&sessions->config_dir);
}

struct session *sessions_find(const struct sessions *sessions, const char *id)
{
	struct list *node;

	for (node = sessions->live.next; node != &sessions->live; node = node->next) {
		struct session *session = LIST_ENTRY(node, struct session, node);

		if (str_eq(session->id, id))
			return session;
	}
	return NULL;
}

static void session_free(struct session *session)
{
	if (!session)
		return;
	fanout_deinit(&session->fanout);
	approvals_deinit(&session->approvals);
	history_deinit(&session->history);
	transcript_free(session->log);
	conf_free(session->conf);
	json_decref(session->environment);
	json_decref(session->allowed);
	json_decref(session->ceiling.policy);
	free(session->cwd);
	free(session->title);
	free(session->permissions);
	free(session->environment_text);
	free(session);
}

void session_release(struct session **session)
{
	session_free(*session);
	*session = NULL;
}

void session_close(struct session *session)
{
	struct sessions *sessions = session->sessions;

	sessions->driver.close(sessions->driver.ctx, session);
	list_remove(&session->node);
	sessions->count--;
	session_free(session);
}

static int64_t now_ms(const struct session *session)
{
	const struct session_driver *driver = &session->sessions->driver;

	return driver->now_ms(driver->ctx);
}

/* The session that has idled longest without clients; NULL when none does. */
static struct session *idlest(const struct sessions *sessions)
{
	struct session *found = NULL;
	struct list *node;

	for (node = sessions->live.next; node != &sessions->live; node = node->next) {
		struct session *session = LIST_ENTRY(node, struct session, node);

		if (session->turn.state == TURN_IDLE && list_empty(&session->fanout.clients) &&
		    (!found || session->used_ms < found->used_ms))
			found = session;
	}
	return found;
}

int session_make_room(struct sessions *sessions, struct err *err)
{
	struct session *oldest;

	if (sessions->count < SESSIONS_MAX)
		return 0;
	oldest = idlest(sessions);
	if (!oldest)
		return ERR_SET(err, ERR_LIMIT,
			       "%d sessions are at work or watched; close one of them",
			       SESSIONS_MAX);
	session_close(oldest); /* its transcript stays, so it can be resumed */
	return 0;
}

static int load_settings(struct session *session, const struct wire_strings *overrides,
			 bool without_own, struct err *err)
{
	const struct conf_input input = { .system_dir = PATHS_SYSTEM,
					  .config_dir = without_own ? NULL
								    : session->sessions->config_dir,
					  .base = session->cwd,
					  .overrides = overrides->items,
					  .override_count = overrides->count };
	struct conf *fresh = NULL;

	if (conf_load(&fresh, &input, err) < 0)
		return ERR_WRAP(err, "settings");
	conf_free(session->conf);
	session->conf = fresh;
	return 0;
}

static int take_environment(struct session *session, const struct wire_strings *entries,
			    struct err *err)
{
	for (size_t i = 0; i < entries->count; i++) {
		const char *equals = strchr(entries->items[i], '=');
		char *name SCOPED(str_free) = NULL;

		if (!equals || equals == entries->items[i])
			return ERR_SET(err, ERR_INVALID, "environment[%zu] is not NAME=value", i);
		name = str_dup_len(entries->items[i], (size_t)(equals - entries->items[i]));
		if (!name ||
		    json_object_set_new(session->environment, name, json_string(equals + 1)) < 0)
			return ERR_NOMEM_SET(err);
	}
	return 0;
}

int session_configure(struct session *session, const struct session_wish *wish, struct err *err)
{
	const struct wire_strings none = { 0 };
	const struct agent_session_meta *meta = wish->meta;

	if (meta && take_environment(session, &meta->environment, err) < 0)
		return (int)err->code;
	if (!session->conf || (meta && meta->config.count > 0))
		return load_settings(session, meta ? &meta->config : &none,
				     meta && meta->ignore_user_config, err);
	return 0;
}

/* Everything but the place among the live ones and the driver's part. */
struct session *session_allocate(struct sessions *sessions, const char *id, const char *cwd,
				 struct err *err)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session) {
		(void)ERR_NOMEM_SET(err);
		return NULL;
	}
	list_init(&session->node);
	session->sessions = sessions;
	approvals_init(&session->approvals);
	turn_init(&session->turn);
	fanout_init(&session->fanout, session->id, sessions->sink);
	session->told = AGENT_SESSION_STATE_IDLE;
	session->cwd = str_dup(cwd);
	session->environment = json_object();
	session->allowed = json_object();
	if (!session->cwd || !session->environment || !session->allowed) {
		session_free(session);
		(void)ERR_NOMEM_SET(err);
		return NULL;
	}
	if (str_copy(session->id, sizeof(session->id), id, err) < 0) {
		session_free(session);
		return NULL;
	}
	return session;
}

/* Consumes the session on failure. */
int session_enlist(struct session **out, struct session *session, struct err *err)
{
	struct sessions *sessions = session->sessions;

	if (sessions->driver.open(sessions->driver.ctx, session, err) < 0) {
		session_free(session);
		return (int)err->code;
	}
	session->used_ms = now_ms(session);
	list_add(&sessions->live, &session->node);
	sessions->count++;
	*out = session;
	return 0;
}

int session_new(struct session **out, struct sessions *sessions, const struct session_wish *wish,
		struct err *err)
{
	struct session *session SCOPED(session_release) = NULL;
	char id[UUID_SIZE];

	if (session_make_room(sessions, err) < 0 ||
	    uuid_v7(id, sessions->driver.now_ms(sessions->driver.ctx), err) < 0)
		return (int)err->code;
	session = session_allocate(sessions, id, wish->cwd, err);
	if (!session || session_configure(session, wish, err) < 0)
		return (int)err->code;
	session->ephemeral = wish->meta && wish->meta->ephemeral;
	return session_enlist(out, TAKE(session), err);
}

void session_touch(struct session *session)
{
	session->dirty = true;
	session->sessions->dirty = true;
}

void sessions_pump(struct sessions *sessions)
{
	struct list *node;
	struct list *safe;

	if (!sessions->dirty)
		return;
	sessions->dirty = false;
	LIST_EACH(node, safe, &sessions->live) {
		struct session *session = LIST_ENTRY(node, struct session, node);

		if (session->dirty) {
			session->dirty = false;
			fanout_pump(&session->fanout);
		}
	}
}

enum agent_session_state session_state(const struct session *session)
{
	if (session->turn.state == TURN_IDLE)
		return AGENT_SESSION_STATE_IDLE;
	return approvals_waiting(&session->approvals) > 0 ? AGENT_SESSION_STATE_REQUIRES_ACTION
							  : AGENT_SESSION_STATE_RUNNING;
}

enum approval_policy session_approval_policy(const struct session *session)
{
	return (enum approval_policy)names_find(&approval_policy_names,
						conf_str(session->conf, "approval_policy"));
}

int session_append(struct session *session, enum record_kind kind, int64_t item, json_t *payload,
		   struct err *err)
{
	int result;

	if (!payload)
		return ERR_NOMEM_SET(err);
	if (!session->log) {
		json_decref(payload);
		return ERR_SET(err, ERR_STATE, "the session has no transcript yet");
	}
	result = transcript_append(session->log, kind, item, payload, now_ms(session), err);
	json_decref(payload);
	session_touch(session);
	return result;
}

int session_update(struct session *session, json_t *update, struct err *err)
{
	json_t *payload =
		update ? json_pack("{s:s, s:o}", "type", "update", "update", update) : NULL;

	return session_append(session, RECORD_UPDATE, 0, payload, err);
}

int session_item(struct session *session, int64_t item, json_t *payload, struct err *err)
{
	if (session_append(session, RECORD_ITEM, item, payload, err) < 0)
		return (int)err->code;
	return history_add(&session->history, transcript_count(session->log) - 1, err);
}

static int append_header(struct session *session, struct err *err)
{
	char when[RECORD_TIME_SIZE];
	const char *provider = conf_str(session->conf, "model_provider");

	if (record_time(when, now_ms(session), err) < 0)
		return (int)err->code;
	return session_append(session, RECORD_META, 0,
			      json_pack("{s:s, s:s, s:s, s:s, s:s?, s:s, s:s, s:s, s:s?}", "id",
					session->id, "session_id", session->id, "timestamp", when,
					"cwd", session->cwd, "title", session->title, "originator",
					"agentd", "cli_version", AGENT_VERSION, "source", "cli",
					"model_provider", provider),
			      err);
}

int session_begin(struct session *session, const char *title, struct err *err)
{
	int result;

	if (session->log)
		return 0;
	if (!session->title) {
		session->title = str_dup(title);
		if (!session->title)
			return ERR_NOMEM_SET(err);
	}
	if (session->ephemeral)
		result = transcript_new_ephemeral(&session->log, err);
	else
		result = transcript_new(&session->log, session->sessions->state_dir, session->id,
					now_ms(session), err);
	if (result < 0)
		return result;
	fanout_set_log(&session->fanout, session->log);
	return append_header(session, err);
}
