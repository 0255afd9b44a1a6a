#include "proto/base/err.h"

#include "agentd/api_part.h"

int api_initialize(struct api_request *request, struct err *err)
{
	static const struct agent_capability yes = { 0 };
	static const struct agent_prompt_capabilities prompts = { .has_image = true,
								  .image = true,
								  .has_embedded_context = true,
								  .embedded_context = true };
	static const struct agent_session_capabilities sessions = {
		.list = &yes, .resume = &yes, .close = &yes, .delete = &yes
	};
	static const struct agent_agentd_capabilities ours = { .attach = true,
							       .build = AGENT_VERSION };
	static const struct agent_meta_capabilities meta = { .agentd = &ours };
	static const struct agent_agent_capabilities capabilities = {
		.has_load_session = true,
		.load_session = true,
		.prompt_capabilities = &prompts,
		.session_capabilities = &sessions,
		.meta = &meta,
	};
	static const struct agent_implementation agent = { .name = "agentd",
							   .title = "agentd",
							   .version = AGENT_VERSION };
	static const struct agent_initialize_result result = {
		.protocol_version = AGENT_ACP_VERSION,
		.agent_capabilities = &capabilities,
		.agent_info = &agent,
	};
	const struct agent_initialize *params = request->params;

	const struct agent_implementation *info = params->client_info;

	if (info)
		api_name(request->client->name,
			 info->title && info->title[0] ? info->title : info->name);
	request->client->stage = WIRE_STAGE_GREETED;
	request->result = codec_encode(&agent_initialize_result_type, &result, err);
	return request->result ? 0 : (int)err->code;
}

int api_authenticate(struct api_request *request, struct err *err)
{
	(void)request;
	return ERR_SET(err, ERR_INVALID,
		       "there is nothing to sign in to: the API key comes from the environment "
		       "variable that model_providers.<id>.env_key names (OPENAI_API_KEY for the "
		       "provider 'openai')");
}

int api_daemon_status(struct api_request *request, struct err *err)
{
	const struct api *api = request->api;
	const struct session_driver *driver = &api->sessions.driver;
	struct agent_daemon_status_result result = {
		.build = AGENT_VERSION,
		.pid = api->pid,
		.uptime_ms = driver->now_ms(driver->ctx) - api->started_ms,
		.sessions = (int64_t)api->sessions.count,
		.clients = (int64_t)api->client_count,
	};
	const struct list *node;

	if (result.uptime_ms < 0)
		result.uptime_ms = 0; /* the clock was set back */
	for (node = api->sessions.live.next; node != &api->sessions.live; node = node->next) {
		const struct session *session = LIST_ENTRY((uintptr_t)node, struct session, node);

		result.running += session->turn.state != TURN_IDLE;
	}
	request->result = codec_encode(&agent_daemon_status_result_type, &result, err);
	return request->result ? 0 : (int)err->code;
}
