#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/rpc.h"

#include "agentd/api_part.h"
#include "agentd/session/tell.h"

static json_t *text_part(const char *text)
{
	return json_pack("{s:s, s:s}", "type", "input_text", "text", text);
}

static json_t *resource_part(const struct agent_resource *resource)
{
	json_t *text;
	json_t *part = NULL;

	if (!resource || !resource->text)
		return NULL;
	text = json_sprintf("<resource uri=\"%s\">\n%s\n</resource>", resource->uri,
			    resource->text);
	if (text)
		part = text_part(json_string_value(text));
	json_decref(text);
	return part;
}

static json_t *image_part(const struct agent_content_block *block)
{
	json_t *url;

	if (!block->data || !block->mime_type)
		return NULL;
	url = json_sprintf("data:%s;base64,%s", block->mime_type, block->data);
	return url ? json_pack("{s:s, s:o}", "type", "input_image", "image_url", url) : NULL;
}

static json_t *link_part(const struct agent_content_block *block)
{
	json_t *text;
	json_t *part = NULL;

	if (!block->uri)
		return NULL;
	text = json_sprintf("[%s](%s)", block->name ? block->name : block->uri, block->uri);
	if (text)
		part = text_part(json_string_value(text));
	json_decref(text);
	return part;
}

/* What the model gets for one block; NULL: it lacks what its type needs. */
static json_t *part_of(const struct agent_content_block *block)
{
	switch (block->type) {
	case AGENT_CONTENT_TYPE_TEXT:
		return block->text ? text_part(block->text) : NULL;
	case AGENT_CONTENT_TYPE_IMAGE:
		return image_part(block);
	case AGENT_CONTENT_TYPE_RESOURCE_LINK:
		return link_part(block);
	case AGENT_CONTENT_TYPE_RESOURCE:
		return resource_part(block->resource);
	case AGENT_CONTENT_TYPE_AUDIO:
	case AGENT_CONTENT_TYPE_NONE:
	case AGENT_CONTENT_TYPE_COUNT:
		return NULL;
	}
	return NULL;
}

static json_t *content_of(const struct agent_session_prompt *params, struct err *err)
{
	json_auto_t *content = json_array();

	if (params->prompt_count == 0) {
		(void)ERR_SET(err, ERR_INVALID, "params.prompt: nothing is said");
		return NULL;
	}
	for (size_t i = 0; i < params->prompt_count; i++) {
		json_t *part = part_of(&params->prompt[i]);

		if (!part) {
			(void)ERR_SET(err, ERR_INVALID,
				      "params.prompt[%zu]: content of this kind, or without what "
				      "belongs to it, cannot be given to the model",
				      i);
			return NULL;
		}
		if (json_array_append_new(content, part) < 0) {
			(void)ERR_NOMEM_SET(err);
			return NULL;
		}
	}
	return json_incref(content);
}

int api_session_prompt(struct api_request *request, struct err *err)
{
	const struct agent_session_prompt *params = request->params;
	const struct session_driver *driver = &request->api->sessions.driver;
	struct session *session = request->attachment->session;
	json_t *schema =
		params->meta && params->meta->agentd ? params->meta->agentd->output_schema : NULL;
	json_auto_t *content = content_of(params, err);
	struct api_waiting *waiting;

	if (!content)
		return (int)err->code;
	if (session->turn.state != TURN_IDLE)
		return ERR_SET(err, ERR_STATE, "the session is at work; wait, or cancel first");
	/* The turn may end inside the call, so whoever waits for that is noted first. */
	waiting = api_wait(request, API_PROMPT, session->id, err);
	if (!waiting)
		return (int)err->code;
	if (driver->prompt(driver->ctx, session, request->attachment, content, schema, err) == 0)
		return 0;
	api_waiting_free(waiting);
	return (int)err->code;
}

int api_session_cancel(struct api_request *request, struct err *err)
{
	const struct session_driver *driver = &request->api->sessions.driver;

	(void)err;
	driver->cancel(driver->ctx, request->attachment->session);
	return 0;
}

/* Only a prompt takes long enough to be cancelled, and that is its turn's cancelling. */
int api_cancel_request(struct api_request *request, struct err *err)
{
	const struct agent_cancel_request *params = request->params;
	const struct session_driver *driver = &request->api->sessions.driver;
	struct list *node;

	(void)err;
	for (node = request->api->waiting.next; node != &request->api->waiting; node = node->next) {
		struct api_waiting *waiting = LIST_ENTRY(node, struct api_waiting, node);
		struct session *session = sessions_find(&request->api->sessions, waiting->session);

		if (waiting->why != API_PROMPT || waiting->client != request->client->id ||
		    !json_equal(waiting->id, params->request_id) || !session)
			continue;
		driver->cancel(driver->ctx, session); /* may answer, which frees the node */
		return 0;
	}
	return 0;
}

static json_t *stop_result(const struct session *session, struct err *err)
{
	const struct agent_session_prompt_result result = {
		.stop_reason = session->turn.outcome == TURN_INTERRUPTED
				       ? AGENT_STOP_REASON_CANCELLED
				       : AGENT_STOP_REASON_END_TURN
	};

	return codec_encode(&agent_session_prompt_result_type, &result, err);
}

static void answer_prompt(struct api_waiting *waiting, struct session *session,
			  const struct err *failure)
{
	struct err err = { 0 };
	json_t *result = NULL;

	if (failure) {
		/* Whatever its reason: the turn has failed, and the sentence says why. */
		(void)ERR_SET(&err, ERR_SYSTEM, "%s", failure->text);
		api_answer(waiting, session, NULL, &err);
		return;
	}
	result = stop_result(session, &err);
	api_answer(waiting, session, result, &err);
}

/* The first request of this kind that waits for the session. */
static struct api_waiting *waits_for(const struct api *api, const struct session *session,
				     enum api_why why)
{
	struct list *node;

	for (node = api->waiting.next; node != &api->waiting; node = node->next) {
		struct api_waiting *waiting = LIST_ENTRY(node, struct api_waiting, node);

		if (waiting->why == why && str_eq(waiting->session, session->id))
			return waiting;
	}
	return NULL;
}

void api_finished(void *ctx, struct session *session, const struct err *failure)
{
	struct api *api = ctx;
	struct api_waiting *waiting = waits_for(api, session, API_PROMPT);

	if (waiting)
		answer_prompt(waiting, session, failure);
}
