#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/api_part.h"
#include "agentd/session/tell.h"

void api_name(char out[APPROVAL_NAME_MAX + 1], const char *name)
{
	size_t len = strlen(name);

	if (len > APPROVAL_NAME_MAX) {
		len = APPROVAL_NAME_MAX;
		while (len > 0 && ((unsigned char)name[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(out, name, len);
	out[len] = '\0';
}

struct attachment *api_attachment(const struct api_client *client, const char *session_id)
{
	struct list *node;

	for (node = client->attachments.next; node != &client->attachments; node = node->next) {
		struct attachment *attachment = LIST_ENTRY(node, struct attachment, node);

		if (str_eq(attachment->session->id, session_id))
			return attachment;
	}
	return NULL;
}

static size_t count_clients(const struct session *session)
{
	const struct list *node;
	size_t count = 0;

	for (node = session->fanout.clients.next; node != &session->fanout.clients;
	     node = node->next)
		count++;
	return count;
}

static void leave(struct attachment *attachment)
{
	fanout_leave(&attachment->fanout);
	list_remove(&attachment->node);
	free(attachment);
}

/* Attaching again is a change of role, from the beginning. */
struct attachment *api_attach(struct api_client *client, struct session *session,
			      const struct api_waiting *how, struct err *err)
{
	struct attachment *before = api_attachment(client, session->id);
	struct attachment *attachment = NULL;

	if (!before && count_clients(session) >= AGENT_CLIENTS_MAX)
		(void)ERR_SET(err, ERR_LIMIT, "more than %d clients in one session",
			      AGENT_CLIENTS_MAX);
	else if (!(attachment = calloc(1, sizeof(*attachment))))
		(void)ERR_NOMEM_SET(err);
	if (!attachment)
		return NULL;
	if (before)
		leave(before);
	attachment->session = session;
	attachment->client = client;
	attachment->client_id = client->id;
	attachment->role = how->role;
	attachment->record = how->record;
	memcpy(attachment->name, how->name, sizeof(attachment->name));
	fanout_join(&session->fanout, &attachment->fanout, how->replay);
	list_add(&client->attachments, &attachment->node);
	session_touch(session);
	return attachment;
}

void api_detach(struct attachment *attachment)
{
	struct session *session = attachment->session;

	leave(attachment);
	tell_clients(session);
}

void api_detach_all(struct session *session)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &session->fanout.clients)
		leave(CONTAINER_OF(LIST_ENTRY(node, struct fanout_client, node), struct attachment,
				   fanout));
}

void api_questions(struct attachment *attachment)
{
	struct session *session = attachment->session;
	struct list *node;

	for (node = session->approvals.open.next; node != &session->approvals.open;
	     node = node->next)
		tell_question_to(session, attachment, LIST_ENTRY(node, struct approval, node));
}

static json_t *attach_result(const struct session *session, const struct attachment *attachment,
			     struct err *err)
{
	struct api_about about SCOPED(api_about_deinit) = { 0 };
	struct tell_list clients;
	char id[TELL_ID_SIZE];
	struct agent_session_attach_result result = {
		.client_id = id,
		.state = session_state(session),
		.cwd = session->cwd,
		.title = session->title,
		.pending_permissions = (int64_t)approvals_waiting(&session->approvals),
	};

	if (api_about(&about, session, err) < 0)
		return NULL;
	tell_id(id, attachment->client_id);
	tell_list(&clients, session);
	result.clients = clients.clients;
	result.clients_count = clients.count;
	result.modes = &about.modes;
	result.config_options = &about.option;
	result.config_options_count = 1;
	result.meta = &about.meta;
	return codec_encode(&agent_session_attach_result_type, &result, err);
}

static int answer_attach(struct api_waiting *waiting, struct session *session,
			 struct api_client *client, struct err *err)
{
	bool pending = waiting->pending;
	struct attachment *attachment = api_attach(client, session, waiting, err);
	json_t *encoded = attachment ? attach_result(session, attachment, err) : NULL;

	if (!encoded) {
		if (attachment)
			leave(attachment);
		return (int)err->code;
	}
	api_answer(waiting, session, encoded, NULL);
	tell_clients(session);
	if (pending)
		api_questions(attachment);
	return 0;
}

int api_session_attach(struct api_request *request, struct err *err)
{
	const struct agent_session_attach *params = request->params;
	const struct agent_session_meta *meta = params->meta ? params->meta->agentd : NULL;
	const struct session_wish wish = {
		.meta = params->role == AGENT_ROLE_CONTROLLER ? meta : NULL /* it only looks on */
	};
	const struct api_joining how = {
		.meta = wish.meta,
		.then = answer_attach,
		.role = params->role,
		.replay = params->history_policy == AGENT_HISTORY_POLICY_FULL,
		.pending = params->history_policy != AGENT_HISTORY_POLICY_NOTHING,
		.name = params->name ? params->name
			: meta       ? meta->name
				     : NULL,
	};
	struct session *session = NULL;

	if (how.role == AGENT_ROLE_OBSERVER && meta && meta->ceiling)
		return ERR_SET(err, ERR_DENIED, "an observer cannot change the sandbox");
	if (api_open(&session, request->api, params->session_id, &wish, err) < 0)
		return (int)err->code;
	return api_join(request, session, &how, err);
}

int api_session_detach(struct api_request *request, struct err *err)
{
	(void)err;
	api_detach(request->attachment);
	return 0;
}
