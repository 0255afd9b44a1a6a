#include "agentd/model/outgoing.h"

#include <jansson.h>
#include <stdlib.h>

#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/model/cassette.h"
#include "agentd/model/model.h"
#include "agentd/model/settings.h"

static int copy(char **out, const char *text, struct err *err)
{
	*out = text ? str_dup(text) : NULL;
	return text && !*out ? ERR_NOMEM_SET(err) : 0;
}

/* A cassette wants to know how far the conversation is. */
static int look_at_input(struct outgoing *out, const struct model_request *request, struct err *err)
{
	struct cassette_request seen = { 0 };
	json_t *last = NULL;
	int rc;

	for (size_t i = 0; i < request->item_count; i++) {
		json_t *item = json_loads(request->items[i], 0, NULL);
		const char *before = seen.last_text;

		if (!item) {
			json_decref(last);
			return ERR_SET(err, ERR_INVALID, "item %zu of the input cannot be read", i);
		}
		cassette_look(&seen, item);
		if (seen.last_text != before) {
			json_decref(last);
			last = json_incref(item); /* the text is part of it */
		}
		json_decref(item);
	}
	for (size_t i = 0; i < json_array_size(request->input); i++)
		cassette_look(&seen, json_array_get(request->input, i));
	out->model_items = seen.model_items;
	rc = copy(&out->last_text, seen.last_text, err);
	json_decref(last);
	return rc;
}

static int fill_server(struct outgoing *out, const struct model_request *request, struct err *err)
{
	const struct model_settings *settings = request->settings;
	int rc = copy(&out->ca_file, settings->ca_file, err);

	if (rc == 0)
		rc = copy(&out->env_key, settings->env_key, err);
	if (rc == 0)
		rc = request_url(&out->url, settings, err);
	if (rc == 0)
		rc = request_headers(&out->headers, settings, request->session_id, err);
	return rc < 0 ? rc : request_body(&out->body, request, err);
}

static int fill_replay(struct outgoing *out, const struct model_request *request, struct err *err)
{
	int rc = copy(&out->session_id, request->session_id, err);

	if (rc == 0)
		rc = copy(&out->cassette, request->settings->cassette, err);
	return rc < 0 ? rc : look_at_input(out, request, err);
}

int outgoing_init(struct outgoing *out, const struct model_request *request, struct err *err)
{
	int rc;

	buf_init(&out->url, REQUEST_URL_MAX);
	buf_init(&out->body, MODEL_REQUEST_MAX);
	out->replay = request->settings->replay;
	rc = copy(&out->provider, request->settings->provider, err);
	if (rc < 0)
		return rc;
	return out->replay ? fill_replay(out, request, err) : fill_server(out, request, err);
}

void outgoing_deinit(struct outgoing *out)
{
	buf_deinit(&out->url);
	buf_deinit(&out->body);
	request_headers_deinit(&out->headers);
	free(out->provider);
	free(out->ca_file);
	free(out->env_key);
	free(out->session_id);
	free(out->cassette);
	free(out->last_text);
	*out = (struct outgoing){ 0 };
}
