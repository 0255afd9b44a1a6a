#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/frame.h"

#include "agentd/api_part.h"
#include "agentd/session/show.h"

/* An update that all must see, and that is not kept. */
static int tell_all(struct session *session, json_t *update, struct err *err)
{
	struct buf line SCOPED(buf_deinit) = BUF_INIT(FRAME_BUF_MAX);
	int result = update ? show_update(&line, session->id, update, err) : ERR_NOMEM_SET(err);

	json_decref(update);
	if (result == 0)
		fanout_after_all(&session->fanout, NULL, line.data, line.len);
	return result;
}

static int tell_mode(struct session *session, struct err *err)
{
	struct api_about about SCOPED(api_about_deinit) = { 0 };
	struct agent_update options = { .session_update = AGENT_UPDATE_KIND_CONFIG_OPTION_UPDATE };

	if (api_about(&about, session, err) < 0)
		return (int)err->code;
	options.config_options = &about.option;
	options.config_options_count = 1;
	if (tell_all(session, codec_encode(&agent_update_type, &options, err), err) < 0)
		return (int)err->code;
	return tell_all(session,
			json_pack("{s:s, s:s}", "sessionUpdate", "current_mode_update",
				  "currentModeId", about.modes.current_mode_id),
			err);
}

static int answer_mode(struct api_waiting *waiting, struct session *session,
		       struct api_client *client, struct err *err)
{
	(void)client;
	if (tell_mode(session, err) < 0)
		return (int)err->code;
	api_answer(waiting, session, json_object(), err);
	return 0;
}

static int answer_option(struct api_waiting *waiting, struct session *session,
			 struct api_client *client, struct err *err)
{
	struct api_about about SCOPED(api_about_deinit) = { 0 };
	struct agent_session_set_config_option_result result = { 0 };
	json_t *encoded;

	(void)client;
	if (tell_mode(session, err) < 0 || api_about(&about, session, err) < 0)
		return (int)err->code;
	result.config_options = &about.option;
	result.config_options_count = 1;
	encoded = codec_encode(&agent_session_set_config_option_result_type, &result, err);
	if (!encoded)
		return (int)err->code;
	api_answer(waiting, session, encoded, NULL);
	return 0;
}

static int
set_mode(struct api_request *request, const char *name, const struct agent_meta_session *meta,
	 int (*then)(struct api_waiting *, struct session *, struct api_client *, struct err *),
	 struct err *err)
{
	struct session *session = request->attachment->session;
	enum sandbox_mode mode = (enum sandbox_mode)names_find(&sandbox_mode_names, name);
	const char *ceiling = meta && meta->agentd ? meta->agentd->ceiling : NULL;
	struct api_waiting *waiting;

	if (mode == SANDBOX_MODE_NONE)
		return ERR_SET(err, ERR_INVALID, "there is no mode '%.64s'", name);
	if (!ceiling && mode != session->ceiling.mode)
		return ERR_SET(err, ERR_DENIED,
			       "the mode '%s' needs a sandbox that only the person's client can "
			       "open at the broker; connect through 'agent acp' or use 'agent'",
			       name);
	waiting = api_wait(request, API_ADOPT, session->id, err);
	if (!waiting)
		return (int)err->code;
	waiting->then = then;
	return api_adopt(waiting, session, ceiling, mode, err);
}

int api_session_set_mode(struct api_request *request, struct err *err)
{
	const struct agent_session_set_mode *params = request->params;

	return set_mode(request, params->mode_id, params->meta, answer_mode, err);
}

int api_session_set_config_option(struct api_request *request, struct err *err)
{
	const struct agent_session_set_config_option *params = request->params;

	if (!str_eq(params->config_id, API_MODE_OPTION))
		return ERR_SET(err, ERR_INVALID, "there is no option '%.64s'", params->config_id);
	if (!json_is_string(params->value))
		return ERR_SET(err, ERR_INVALID, "params.value: the option 'mode' takes a text");
	return set_mode(request, json_string_value(params->value), params->meta, answer_option,
			err);
}
