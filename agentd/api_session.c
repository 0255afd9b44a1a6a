#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/conf.h"

#include "agentd/api_part.h"
#include "agentd/model/settings.h"
#include "agentd/session/tell.h"
#include "agentd/session/transcript.h"

static const struct agent_mode mode_rows[API_MODES] = {
	{ "read-only", "Read only", "Reads everything, writes nothing, no network" },
	{ "workspace-write", "Auto",
	  "Writes below the workspace; asks before it leaves the sandbox" },
	{ "danger-full-access", "Full access", "No sandbox" },
};

static const char *model_of(const struct session *session)
{
	const char *model = conf_str(session->conf, "model");

	if (model && model[0])
		return model;
	return str_eq(conf_str(session->conf, "model_provider"), "replay") ? "replay"
									   : MODEL_DEFAULT;
}

static void fill_info(struct agent_session_info *out, const struct session *session)
{
	const char *provider = conf_str(session->conf, "model_provider");

	*out = (struct agent_session_info){
		.model = model_of(session),
		.provider = provider && provider[0] ? provider : "openai",
		.approval_policy = session_approval_policy(session),
		.sandbox_mode = session->ceiling.mode,
		.cwd = session->cwd,
		.has_network = true,
		.network = session->ceiling.network,
		.has_ceiling = true,
		.ceiling = session->ceiling.id[0] != '\0',
		.policy = session->ceiling.policy,
		.reasoning_effort = conf_str(session->conf, "model_reasoning_effort"),
		.title = session->title,
		.transcript = session->log ? transcript_path(session->log) : NULL,
	};
	if (out->sandbox_mode == SANDBOX_MODE_NONE)
		out->sandbox_mode =
			SANDBOX_MODE_READ_ONLY; /* nothing can run, which is stricter still */
}

int api_about(struct api_about *out, const struct session *session, struct err *err)
{
	*out = (struct api_about){ 0 };
	fill_info(&out->info, session);
	out->meta.agentd = &out->info;
	for (size_t i = 0; i < API_MODES; i++)
		out->values[i] = (struct agent_config_value){ mode_rows[i].id, mode_rows[i].name,
							      mode_rows[i].description };
	out->modes = (struct agent_modes){
		.current_mode_id = names_get(&sandbox_mode_names, (int)out->info.sandbox_mode),
		.available_modes = mode_rows,
		.available_modes_count = API_MODES,
	};
	out->current = json_string(out->modes.current_mode_id);
	if (!out->current)
		return ERR_NOMEM_SET(err);
	out->option = (struct agent_config_option){
		.id = API_MODE_OPTION,
		.name = "Mode",
		.description = "What commands may touch",
		.category = "mode",
		.type = AGENT_CONFIG_TYPE_SELECT,
		.current_value = out->current,
		.options = out->values,
		.options_count = API_MODES,
	};
	return 0;
}

void api_about_deinit(struct api_about *about)
{
	json_decref(about->current);
}

/* The way of a request ends: with its answer, and for a session that was made for it, with that. */
static void give_up(struct api_waiting *waiting, struct session *session, const struct err *err)
{
	bool fresh = waiting->fresh;

	api_answer(waiting, NULL, NULL, err);
	if (fresh)
		session_close(session);
}

static void go_on(struct api_waiting *waiting, struct session *session, const struct err *failure)
{
	struct api_client *client = api_client_find(waiting->api, waiting->client);
	struct err err = { 0 };

	if (!client)
		(void)ERR_SET(&err, ERR_GONE, "the client has gone");
	else if (failure)
		err = *failure;
	else if (waiting->then(waiting, session, client, &err) == 0)
		return;
	give_up(waiting, session, &err);
}

static void on_adopted(void *ctx, struct session *session, const struct err *failure)
{
	go_on(ctx, session, failure);
}

int api_adopt(struct api_waiting *waiting, struct session *session, const char *ceiling,
	      enum sandbox_mode mode, struct err *err)
{
	const struct session_driver *driver = &waiting->api->sessions.driver;
	const struct session_adopt adopt = { .session = session,
					     .ceiling = ceiling,
					     .mode = mode,
					     .done = on_adopted,
					     .ctx = waiting };

	if (!ceiling) {
		go_on(waiting, session, NULL);
		return 0;
	}
	if (driver->adopt(driver->ctx, &adopt, err) == 0)
		return 0;
	give_up(waiting, session, err);
	return 0; /* it is answered, with the failure */
}

static int answer_new(struct api_waiting *waiting, struct session *session,
		      struct api_client *client, struct err *err)
{
	struct api_about about SCOPED(api_about_deinit) = { 0 };
	struct agent_session_new_result result = { .session_id = session->id };
	json_t *encoded;

	if (api_about(&about, session, err) < 0)
		return (int)err->code;
	result.modes = &about.modes;
	result.config_options = &about.option;
	result.config_options_count = 1;
	result.meta = &about.meta;
	encoded = codec_encode(&agent_session_new_result_type, &result, err);
	if (!encoded)
		return (int)err->code;
	if (!api_attach(client, session, waiting, err)) {
		json_decref(encoded);
		return (int)err->code;
	}
	api_answer(waiting, session, encoded, NULL);
	tell_clients(session);
	return 0;
}

/* Of load and resume, whose results are alike. */
static int answer_load(struct api_waiting *waiting, struct session *session,
		       struct api_client *client, struct err *err)
{
	struct api_about about SCOPED(api_about_deinit) = { 0 };
	struct agent_session_load_result result = { 0 };
	struct attachment *attachment;
	json_t *encoded;

	if (api_about(&about, session, err) < 0)
		return (int)err->code;
	result.modes = &about.modes;
	result.config_options = &about.option;
	result.config_options_count = 1;
	result.meta = &about.meta;
	encoded = codec_encode(&agent_session_load_result_type, &result, err);
	if (!encoded)
		return (int)err->code;
	attachment = api_attach(client, session, waiting, err);
	if (!attachment) {
		json_decref(encoded);
		return (int)err->code;
	}
	api_answer(waiting, session, encoded, NULL);
	tell_clients(session);
	api_questions(attachment);
	return 0;
}

static const struct agent_session_meta *meta_of(const struct agent_meta_session *meta)
{
	return meta ? meta->agentd : NULL;
}

int api_join(struct api_request *request, struct session *session, const struct api_joining *how,
	     struct err *err)
{
	struct api_waiting *waiting = api_wait(request, API_ADOPT, session->id, err);
	const struct agent_session_meta *meta = how->meta;
	const char *name = how->name;

	if (!name)
		name = meta && meta->name ? meta->name : request->client->name;
	if (!waiting) {
		if (how->fresh)
			session_close(session);
		return (int)err->code;
	}
	waiting->then = how->then;
	waiting->fresh = how->fresh;
	waiting->role = how->role;
	waiting->replay = how->replay;
	waiting->pending = how->pending;
	waiting->record = meta && meta->record;
	api_name(waiting->name, name);
	return api_adopt(waiting, session, meta ? meta->ceiling : NULL, SANDBOX_MODE_NONE, err);
}

int api_session_new(struct api_request *request, struct err *err)
{
	const struct agent_session_new *params = request->params;
	const struct session_wish wish = { .cwd = params->cwd, .meta = meta_of(params->meta) };
	const struct api_joining how = {
		.meta = wish.meta, .then = answer_new, .fresh = true, .role = AGENT_ROLE_CONTROLLER
	};
	struct session *session = NULL;

	if (session_new(&session, &request->api->sessions, &wish, err) < 0)
		return (int)err->code;
	return api_join(request, session, &how, err);
}

int api_open(struct session **out, struct api *api, const char *id, const struct session_wish *wish,
	     struct err *err)
{
	*out = sessions_find(&api->sessions, id);
	if (*out)
		return session_configure(*out, wish, err);
	return session_load(out, &api->sessions, id, wish, err);
}

static int take_up(struct api_request *request, const char *id, const struct session_wish *wish,
		   bool replay, struct err *err)
{
	const struct api_joining how = { .meta = wish->meta,
					 .then = answer_load,
					 .role = AGENT_ROLE_CONTROLLER,
					 .replay = replay };
	struct session *session = NULL;

	if (api_open(&session, request->api, id, wish, err) < 0)
		return (int)err->code;
	return api_join(request, session, &how, err);
}

int api_session_load(struct api_request *request, struct err *err)
{
	const struct agent_session_load *params = request->params;
	const struct session_wish wish = { .cwd = params->cwd, .meta = meta_of(params->meta) };

	return take_up(request, params->session_id, &wish, true, err);
}

int api_session_resume(struct api_request *request, struct err *err)
{
	const struct agent_session_resume *params = request->params;
	const struct session_wish wish = { .cwd = params->cwd, .meta = meta_of(params->meta) };

	return take_up(request, params->session_id, &wish, false, err);
}
