#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/list.h"
#include "proto/base/log.h"
#include "proto/base/str.h"

#include "agentd/model/cassette.h"
#include "agentd/model/cause.h"
#include "agentd/model/delta.h"
#include "agentd/model/http_uv.h"
#include "agentd/model/model.h"
#include "agentd/model/outgoing.h"
#include "agentd/model/replay_uv.h"
#include "agentd/model/retry.h"
#include "agentd/model/settings.h"
#include "agentd/model/sse.h"
#include "agentd/model/stream.h"

#define ERROR_BODY_MAX 65536U /* bytes of an error's body that are read */
#define STATUS_OK_LOW 200
#define STATUS_OK_HIGH 299

struct model {
	uv_loop_t *loop;
	struct http *http;
	struct replay *replay;
	struct list calls;
	size_t open; /* calls whose timer has not closed yet */
	bool closing;
};

struct model_call {
	uv_timer_t timer; /* silence, or the wait before a retry; on_closed() frees the call */
	struct list node;
	struct model *model;
	model_event_fn *fn;
	void *ctx;
	model_record_fn *record;
	void *record_ctx;
	struct outgoing out;
	struct retry retry;
	int64_t idle_ms;
	uint64_t active_at; /* when bytes came last */
	/* of the answer being read */
	struct http_call *http; /* at most one of the two */
	struct replay_call *replay;
	int status; /* 0: no answer yet */
	char retry_after[HTTP_HEADER_KEPT];
	bool has_retry_after;
	struct sse sse;
	struct delta delta;
	struct buf error_body;
	struct buf recorded;
	size_t items_done; /* of the whole call */
	bool over;         /* the last event was sent, or nobody wants one */
};

static int call_send(struct model_call *call, struct err *err) MUST_CHECK;

/* --- the end of things ------------------------------------------------------------------------ */

static void model_release(struct model *model)
{
	if (!model->closing || model->open > 0)
		return;
	replay_free(model->replay);
	free(model);
}

static void on_closed(uv_handle_t *handle)
{
	struct model_call *call = handle->data;
	struct model *model = call->model;

	outgoing_deinit(&call->out);
	sse_deinit(&call->sse);
	delta_deinit(&call->delta);
	buf_deinit(&call->error_body);
	buf_deinit(&call->recorded);
	free(call);
	model->open--;
	model_release(model);
}

static void stream_abort(struct model_call *call)
{
	if (call->http)
		http_abort(call->http);
	if (call->replay)
		replay_abort(call->replay);
	call->http = NULL;
	call->replay = NULL;
}

static void call_close(struct model_call *call)
{
	call->over = true;
	stream_abort(call);
	list_remove(&call->node);
	if (!uv_is_closing((uv_handle_t *)&call->timer))
		uv_close((uv_handle_t *)&call->timer, on_closed);
}

/* --- recording -------------------------------------------------------------------------------- */

static void record_bytes(struct model_call *call, const char *bytes, size_t size)
{
	struct err err = { 0 };

	if (!call->record || buf_append(&call->recorded, bytes, size, &err) == 0)
		return;
	call->record = NULL; /* half an answer is none */
	log_warn("model_answer_not_recorded", "why='%s'", err.text);
}

/* Hands the finished exchange over as a line. */
static void record_answer(struct model_call *call)
{
	const struct cassette_answer answer = {
		.status = call->status,
		.body = buf_str(&call->recorded),
		.body_len = call->recorded.len,
		.retry_after = call->has_retry_after ? call->retry_after : NULL,
	};
	struct buf line SCOPED(buf_deinit) = BUF_INIT(CASSETTE_MAX);
	struct err err = { 0 };

	if (!call->record || call->status == 0)
		return;
	if (cassette_line(&line, &answer, &err) == 0)
		call->record(call->record_ctx, buf_str(&line));
	else
		log_warn("model_answer_not_recorded", "why='%s'", err.text);
	buf_clear(&call->recorded);
}

/* --- decisions become acts -------------------------------------------------------------------- */

static uint32_t chance(void)
{
	uint32_t value = 0;

	(void)uv_random(NULL, NULL, &value, sizeof value, 0, NULL); /* without it: no jitter */
	return value;
}

static void on_timer(uv_timer_t *timer);

static void arm(struct model_call *call, int64_t ms)
{
	(void)uv_timer_start(&call->timer, on_timer, (uint64_t)ms, 0);
}

static void fail(struct model_call *call, enum model_error error, const char *message)
{
	const struct model_event event = {
		.kind = MODEL_FAILED,
		.error = error,
		.message = message,
		.output_index = -1,
	};

	call_close(call);
	call->fn(call->ctx, &event); /* the memory outlives this turn of the loop */
}

static void wait_for_retry(struct model_call *call, const struct retry_step *step)
{
	const struct model_event event = {
		.kind = MODEL_RETRYING,
		.attempt = step->attempt,
		.attempts = step->attempts,
		.items_done = call->items_done,
		.message = step->text,
		.output_index = -1,
	};

	log_info("model_retry", "attempt=%d of=%d wait_ms=%lld why='%s'", step->attempt,
		 step->attempts, (long long)step->wait_ms, step->text);
	arm(call, step->wait_ms);
	call->items_done = 0;
	call->fn(call->ctx, &event);
}

/* The answer is broken: what now? */
static void broke(struct model_call *call, const struct cause *cause)
{
	struct retry_step step = { 0 };
	struct err err = { 0 };

	record_answer(call);
	stream_abort(call);
	(void)uv_timer_stop(&call->timer);
	if (retry_on(&call->retry, RETRY_ON_FAILURE, cause, chance(), &step, &err) < 0)
		fail(call, MODEL_ERROR_INTERNAL, err.text);
	else if (step.act == RETRY_ACT_WAIT)
		wait_for_retry(call, &step);
	else
		fail(call, step.error, step.text);
}

static void broke_by_err(struct model_call *call, const struct err *err)
{
	struct cause cause = { 0 };

	cause_from_err(&cause, err);
	broke(call, &cause);
}

static void complete(struct model_call *call, const struct usage *usage)
{
	const struct model_event event = {
		.kind = MODEL_COMPLETED,
		.usage = *usage,
		.output_index = -1,
	};
	struct retry_step step = { 0 };
	struct err err = { 0 };

	if (retry_on(&call->retry, RETRY_ON_COMPLETED, NULL, 0, &step, &err) < 0) {
		fail(call, MODEL_ERROR_INTERNAL, err.text);
		return;
	}
	record_answer(call);
	(void)uv_timer_stop(&call->timer);
	call->over = true;
	if (call->http)
		http_drain(call->http); /* keeps the connection; its end closes the call */
	else
		call_close(call);
	call->fn(call->ctx, &event);
}

static void on_timer(uv_timer_t *timer)
{
	struct model_call *call = timer->data;
	struct retry_step step = { 0 };
	struct cause cause = { 0 };
	struct err err = { 0 };
	int64_t silent = (int64_t)(uv_now(timer->loop) - call->active_at);

	if (call->retry.state == RETRY_TRYING) {
		if (silent < call->idle_ms) {
			arm(call, call->idle_ms - silent);
			return;
		}
		cause_from_idle(&cause, call->idle_ms);
		broke(call, &cause);
		return;
	}
	if (retry_on(&call->retry, RETRY_ON_TIMER, NULL, 0, &step, &err) < 0 ||
	    call_send(call, &err) < 0)
		broke_by_err(call, &err);
}

/* --- the answer arrives ----------------------------------------------------------------------- */

static void on_head(void *ctx, int status, const char *retry_after)
{
	struct model_call *call = ctx;

	call->active_at = uv_now(call->model->loop);
	call->status = status;
	call->has_retry_after = retry_after && str_copy(call->retry_after, sizeof call->retry_after,
							retry_after, NULL) == 0;
}

static void on_delta(struct model_call *call, const struct delta_event *said)
{
	struct model_event event = { .output_index = said->output_index };
	struct cause cause = { 0 };

	switch (said->kind) {
	case DELTA_TEXT:
	case DELTA_REASONING:
		event.kind = said->kind == DELTA_TEXT ? MODEL_TEXT_DELTA : MODEL_REASONING_DELTA;
		event.text = said->text;
		event.text_len = said->text_len;
		call->fn(call->ctx, &event);
		break;
	case DELTA_ITEM:
		event.kind = MODEL_ITEM_DONE;
		event.item = said->item;
		call->items_done++;
		call->fn(call->ctx, &event);
		break;
	case DELTA_COMPLETED:
		complete(call, &said->usage);
		break;
	case DELTA_FAILED:
		cause_from_failed(&cause, said->code, said->message);
		broke(call, &cause);
		break;
	case DELTA_INCOMPLETE:
		cause_from_incomplete(&cause, said->code);
		broke(call, &cause);
		break;
	case DELTA_NOTHING:
	case DELTA_KIND_COUNT:
		break;
	}
}

/* Whether the answer is still being read after an event. */
static bool is_reading(const struct model_call *call)
{
	return !call->over && call->retry.state == RETRY_TRYING;
}

static void read_stream(struct model_call *call, const char *bytes, size_t size)
{
	struct sse_event event = { 0 };
	struct delta_event said = { 0 };
	enum sse_result result = SSE_MORE;
	struct err err = { 0 };

	sse_feed(&call->sse, bytes, size);
	while (is_reading(call) && (result = sse_next(&call->sse, &event, &err)) == SSE_EVENT) {
		if (delta_read(&call->delta, &event, &said, &err) < 0) {
			broke_by_err(call, &err);
			return;
		}
		on_delta(call, &said);
	}
	if (result == SSE_BAD)
		broke_by_err(call, &err);
}

/* An answer that is no stream: an error, with a body. */
static void answer_failed(struct model_call *call)
{
	const struct cause_answer answer = {
		.status = call->status,
		.body = buf_str(&call->error_body),
		.body_len = call->error_body.len,
		.retry_after = call->has_retry_after ? call->retry_after : NULL,
		.now_s = (int64_t)time(NULL),
		.env_key = call->out.env_key,
		.provider = call->out.provider,
	};
	struct cause cause = { 0 };

	cause_from_answer(&cause, &answer);
	broke(call, &cause);
}

static bool is_stream(const struct model_call *call)
{
	return call->status >= STATUS_OK_LOW && call->status <= STATUS_OK_HIGH;
}

/* Enough of the body to say why. */
static void read_error(struct model_call *call, const char *bytes, size_t size)
{
	size_t room = ERROR_BODY_MAX - call->error_body.len;
	struct err err = { 0 };

	if (buf_append(&call->error_body, bytes, size < room ? size : room, &err) < 0)
		broke_by_err(call, &err);
	else if (size >= room)
		answer_failed(call);
}

static void on_data(void *ctx, const char *bytes, size_t size)
{
	struct model_call *call = ctx;

	call->active_at = uv_now(call->model->loop);
	record_bytes(call, bytes, size);
	if (is_stream(call))
		read_stream(call, bytes, size);
	else
		read_error(call, bytes, size);
}

static void on_end(void *ctx, const char *why)
{
	struct model_call *call = ctx;
	struct cause cause = { 0 };

	call->http = NULL;
	call->replay = NULL;
	if (call->over) {
		call_close(call); /* the connection is free; the answer was complete before */
		return;
	}
	if (call->status != 0 && !is_stream(call)) {
		answer_failed(call);
		return;
	}
	if (is_stream(call))
		cause_from_cut(&cause, why);
	else
		cause_from_transport(&cause, why ? why : "connection closed without an answer");
	broke(call, &cause);
}

static const struct stream_sink sink = { on_head, on_data, on_end };

/* --- sending ---------------------------------------------------------------------------------- */

static void reset_answer(struct model_call *call)
{
	sse_deinit(&call->sse);
	sse_init(&call->sse, SSE_EVENT_MAX);
	buf_clear(&call->error_body);
	buf_clear(&call->recorded);
	call->status = 0;
	call->has_retry_after = false;
}

static int call_send(struct model_call *call, struct err *err)
{
	const struct outgoing *out = &call->out;
	const struct http_request request = {
		.url = buf_str(&out->url),
		.headers = out->headers.lines,
		.header_count = out->headers.count,
		.body = buf_str(&out->body),
		.body_size = out->body.len,
		.ca_file = out->ca_file,
	};
	const struct replay_request played = {
		.session_id = out->session_id,
		.file = out->cassette,
		.model_items = out->model_items,
		.last_text = out->last_text,
	};

	reset_answer(call);
	call->active_at = uv_now(call->model->loop);
	if (out->replay)
		call->replay = replay_send(call->model->replay, &played, &sink, call, err);
	else
		call->http = http_send(call->model->http, &request, &sink, call, err);
	if (!call->http && !call->replay)
		return (int)err->code;
	arm(call, call->idle_ms);
	return 0;
}

static int call_fill(struct model_call *call, const struct model_request *request, struct err *err)
{
	const struct model_settings *settings = request->settings;
	int rc = outgoing_init(&call->out, request, err);

	delta_init(&call->delta);
	buf_init(&call->error_body, ERROR_BODY_MAX);
	buf_init(&call->recorded, CASSETTE_BODY_MAX);
	retry_init(&call->retry, settings->request_max_retries, settings->stream_max_retries);
	call->idle_ms = settings->stream_idle_ms;
	call->record = request->record;
	call->record_ctx = request->record_ctx;
	return rc;
}

struct model_call *model_start(struct model *model, const struct model_request *request,
			       model_event_fn *fn, void *ctx, struct err *err)
{
	struct model_call *call;

	if (model->closing) {
		(void)ERR_SET(err, ERR_STATE, "the daemon is ending");
		return NULL;
	}
	call = calloc(1, sizeof *call);
	if (!call) {
		(void)ERR_NOMEM_SET(err);
		return NULL;
	}
	call->model = model;
	call->fn = fn;
	call->ctx = ctx;
	(void)uv_timer_init(model->loop, &call->timer); /* cannot fail */
	call->timer.data = call;
	list_add(&model->calls, &call->node);
	model->open++;
	if (call_fill(call, request, err) < 0 || call_send(call, err) < 0) {
		call_close(call);
		return NULL;
	}
	return call;
}

void model_cancel(struct model_call *call)
{
	struct retry_step step = { 0 };

	(void)retry_on(&call->retry, RETRY_ON_CANCEL, NULL, 0, &step,
		       NULL); /* taken in every state */
	call_close(call);
}

/* --- the whole -------------------------------------------------------------------------------- */

int model_new(struct model **out, struct uv_loop_s *loop, struct err *err)
{
	struct model *model = calloc(1, sizeof *model);
	int rc;

	if (!model)
		return ERR_NOMEM_SET(err);
	model->loop = loop;
	list_init(&model->calls);
	rc = http_new(&model->http, loop, err);
	if (rc == 0)
		rc = replay_new(&model->replay, loop, err);
	if (rc < 0) {
		model_close(model);
		return rc;
	}
	*out = model;
	return 0;
}

void model_close(struct model *model)
{
	struct list *node;
	struct list *safe;

	if (!model || model->closing)
		return;
	model->closing = true;
	LIST_EACH(node, safe, &model->calls)
		call_close(LIST_ENTRY(node, struct model_call, node));
	http_close(model->http);
	model_release(model);
}

const char *model_error_name(enum model_error error)
{
	static const char *const names[MODEL_ERROR_COUNT] = {
		[MODEL_ERROR_NONE] = "none",
		[MODEL_ERROR_CONTEXT] = "context",
		[MODEL_ERROR_QUOTA] = "quota",
		[MODEL_ERROR_AUTH] = "auth",
		[MODEL_ERROR_REQUEST] = "request",
		[MODEL_ERROR_OVERLOADED] = "overloaded",
		[MODEL_ERROR_INCOMPLETE] = "incomplete",
		[MODEL_ERROR_NETWORK] = "network",
		[MODEL_ERROR_SERVER] = "server",
		[MODEL_ERROR_INTERNAL] = "internal",
	};

	return error < MODEL_ERROR_COUNT ? names[error] : names[MODEL_ERROR_NONE];
}
