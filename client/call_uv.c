#include "client/call_uv.h"

#include <uv.h>

#include "proto/base/err.h"
#include "proto/conf/paths.h"
#include "proto/wire/codec.h"
#include "proto/wire/method.h"

#include "client/broker_link.h"
#include "client/link_uv.h"
#include "client/start.h"

struct call {
	struct link *link;
	enum agent_method method;
	const void *params;
	json_t *result;
	struct err err;
};

static void finish(struct call *call, const struct err *err)
{
	if (err && call->err.code == ERR_NONE)
		call->err = *err;
	link_close(call->link);
	call->link = NULL;
}

static int ask(struct call *call, enum agent_method method, const void *params, link_answer_fn *fn,
	       struct err *err)
{
	json_t *encoded = codec_encode(agent_methods[method].params, params, err);

	if (!encoded)
		return (int)err->code;
	return link_request(call->link, agent_methods[method].name, encoded, fn, call, err);
}

static void on_result(void *ctx, json_t *result, const struct err *failure)
{
	struct call *call = ctx;

	call->result = json_incref(result);
	finish(call, failure);
}

static void on_greeted(void *ctx, json_t *result, const struct err *failure)
{
	struct call *call = ctx;
	struct err err = { 0 };

	(void)result;
	if (failure)
		finish(call, failure);
	else if (ask(call, call->method, call->params, on_result, &err) < 0)
		finish(call, &err);
}

static void on_request(void *ctx, const struct rpc *rpc)
{
	(void)ctx;
	(void)rpc; /* nobody is attached to anything here */
}

static void on_notification(void *ctx, const struct rpc *rpc)
{
	(void)ctx;
	(void)rpc;
}

static void on_gone(void *ctx, const struct err *err)
{
	struct call *call = ctx;

	call->link = NULL; /* it frees itself */
	if (call->err.code == ERR_NONE)
		call->err = *err;
}

static const struct link_events events = { .request = on_request,
					   .notification = on_notification,
					   .gone = on_gone };

static int greet(struct call *call, struct err *err)
{
	struct agent_implementation self = { .name = "agent", .version = AGENT_VERSION };
	struct agent_initialize params = { .protocol_version = AGENT_ACP_VERSION,
					   .client_info = &self };

	return ask(call, AGENT_METHOD_INITIALIZE, &params, on_greeted, err);
}

static int call_once(json_t **result, const struct call_to *to, enum agent_method method,
		     const void *params, struct err *err)
{
	struct call call = { .method = method, .params = params };
	uv_loop_t *loop = uv_default_loop();

	if (!loop)
		return ERR_SET(err, ERR_SYSTEM, "no event loop");
	if (link_open(&call.link, loop, to->paths->agent_socket, &events, &call, err) < 0)
		return ERR_SET(err, ERR_GONE, "%s", err->text);
	if (greet(&call, &call.err) < 0)
		finish(&call, NULL);
	(void)uv_run(loop, UV_RUN_DEFAULT);
	if (call.err.code != ERR_NONE) {
		json_decref(call.result);
		return ERR_SET(err, call.err.code, "%s", call.err.text);
	}
	*result = call.result;
	return 0;
}

int call_agentd(json_t **result, const struct call_to *to, enum agent_method method,
		const void *params, struct err *err)
{
	struct broker_daemon_start_result started = { 0 };
	struct err first = { 0 };

	if (call_once(result, to, method, params, &first) == 0)
		return 0;
	if (first.code != ERR_GONE)
		return ERR_SET(err, first.code, "%s", first.text);
	/* It was just ending: the next one is asked, once. */
	if (broker_wait_gone(to->broker, CALL_GONE_MS, err) < 0 ||
	    start_agentd(to->broker, &started, err) < 0)
		return (int)err->code;
	return call_once(result, to, method, params, err);
}
