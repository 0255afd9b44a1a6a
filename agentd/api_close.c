#include <errno.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/log.h"
#include "proto/base/str.h"

#include "agentd/api_part.h"
#include "agentd/session/store.h"

static int remove_transcript(const struct api *api, const char *id, struct err *err)
{
	char *path SCOPED(str_free) = NULL;

	if (store_find(&path, api->sessions.state_dir, id, err) < 0)
		return (int)err->code;
	if (unlink(path) < 0)
		return ERR_SYS(err, errno, "remove transcript '%s'", path);
	return 0;
}

/* Everything that waits for this session is answered: it is closed, or says why not. */
static void answer_all(struct api *api, const char *id)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &api->waiting) {
		struct api_waiting *waiting = LIST_ENTRY(node, struct api_waiting, node);
		struct err err = { 0 };

		if (!str_eq(waiting->session, id))
			continue;
		if (waiting->why == API_CLOSE ||
		    (waiting->why == API_DELETE && remove_transcript(api, id, &err) == 0)) {
			json_t *done = json_object();

			(void)ERR_NOMEM_SET(&err);
			api_answer(waiting, NULL, done, &err);
			continue;
		}
		if (waiting->why != API_DELETE)
			(void)ERR_SET(&err, ERR_GONE, "the session was closed");
		api_answer(waiting, NULL, NULL, &err);
	}
}

static void end_session(struct api *api, struct session *session)
{
	char id[UUID_SIZE];
	struct err err = { 0 };

	if (str_copy(id, sizeof(id), session->id, &err) < 0)
		return; /* the sizes are the same */
	api_detach_all(session);
	session_close(session);
	log_info("session_closed", "session=%s", id);
	answer_all(api, id);
}

void api_settle(struct api *api)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &api->sessions.live) {
		struct session *session = LIST_ENTRY(node, struct session, node);

		if (session->ending && session->turn.state == TURN_IDLE)
			end_session(api, session);
	}
	sessions_pump(&api->sessions);
}

/* Cancels what runs; the end comes from api_settle(). */
static void begin_end(struct api *api, struct session *session)
{
	const struct session_driver *driver = &api->sessions.driver;

	session->ending = true;
	driver->cancel(driver->ctx, session);
}

int api_session_close(struct api_request *request, struct err *err)
{
	struct session *session = request->attachment->session;

	if (!api_wait(request, API_CLOSE, session->id, err))
		return (int)err->code;
	begin_end(request->api, session);
	return 0;
}

int api_session_delete(struct api_request *request, struct err *err)
{
	const struct agent_session_delete *params = request->params;
	struct session *session = sessions_find(&request->api->sessions, params->session_id);
	const struct attachment *attachment = api_attachment(request->client, params->session_id);

	if (!session)
		return remove_transcript(request->api, params->session_id, err);
	if (attachment && attachment->role != AGENT_ROLE_CONTROLLER)
		return ERR_SET(err, ERR_DENIED, "an observer cannot delete the session");
	if (!api_wait(request, API_DELETE, session->id, err))
		return (int)err->code;
	begin_end(request->api, session);
	return 0;
}
