#include "agentd/broker_uv.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/list.h"
#include "proto/base/log.h"
#include "proto/base/str.h"
#include "proto/wire/codec.h"
#include "proto/wire/json.h"
#include "proto/wire/packet.h"
#include "proto/wire/rpc.h"

#include "agentd/broker_part_uv.h"

#define BROKER_VERSION 1
#define GREET_MS 10000 /* for the broker's answers before the loop runs */

/* The link with its handle; freed when that has closed. */
struct watched {
	struct broker_link link;
	uv_poll_t poll; /* poll.data points to the link */
};

static void on_ready(uv_poll_t *poll, int status, int events);

static uv_poll_t *poll_of(struct broker_link *link)
{
	return &CONTAINER_OF(link, struct watched, link)->poll;
}

static bool is_closing(struct broker_link *link)
{
	return uv_is_closing((uv_handle_t *)poll_of(link));
}

static void outgoing_free(struct outgoing *outgoing)
{
	for (size_t i = 0; i < outgoing->fd_count; i++)
		fd_close(&outgoing->fds[i]);
	buf_deinit(&outgoing->data);
	free(outgoing);
}

void broker_outgoing_release(struct outgoing **outgoing)
{
	if (*outgoing)
		outgoing_free(*outgoing);
}

struct outgoing *broker_outgoing_new(struct err *err)
{
	struct outgoing *outgoing = calloc(1, sizeof(*outgoing));

	if (!outgoing) {
		(void)ERR_NOMEM_SET(err);
		return NULL;
	}
	buf_init(&outgoing->data, BROKER_PACKET_MAX);
	return outgoing;
}

void broker_pending_free(struct broker_link *link, struct pending *pending)
{
	list_remove(&pending->node);
	link->pending_count--;
	free(pending);
}

void broker_named_free(struct named *named)
{
	list_remove(&named->node);
	free(named);
}

static void watch(struct broker_link *link)
{
	int events = UV_READABLE | (list_empty(&link->out) ? 0 : UV_WRITABLE);

	if (!is_closing(link))
		(void)uv_poll_start(poll_of(link), events,
				    on_ready); /* fails for closed ones only */
}

/* Sends what the socket takes. */
static int drain(struct broker_link *link, struct err *err)
{
	while (!list_empty(&link->out)) {
		struct outgoing *first = LIST_ENTRY(link->out.next, struct outgoing, node);
		int result = packet_send(link->fd, first->data.data, first->data.len, first->fds,
					 first->fd_count, err);

		if (result < 0)
			return result;
		if (result == PACKET_AGAIN)
			return 0;
		list_remove(&first->node);
		link->out_count--;
		outgoing_free(first);
	}
	return 0;
}

/* Takes the packet over in any case. A link that has just broken says so from the loop. */
int broker_queue(struct broker_link *link, struct outgoing *outgoing, struct err *err)
{
	struct err broken = { 0 };

	if (link->fd < 0 || is_closing(link)) {
		outgoing_free(outgoing);
		return ERR_SET(err, ERR_GONE, "the broker has closed the connection");
	}
	if (link->out_count >= BROKER_LINK_OUT_MAX) {
		outgoing_free(outgoing);
		return ERR_SET(err, ERR_LIMIT, "more than %d messages wait for the broker",
			       BROKER_LINK_OUT_MAX);
	}
	list_add(&link->out, &outgoing->node);
	link->out_count++;
	if (drain(link, &broken) < 0) {
		log_error("broker_send", "why='%s'", broken.text);
		(void)shutdown(link->fd,
			       SHUT_RDWR); /* so that the loop finds the end, and nobody before */
	}
	watch(link);
	return 0;
}

int broker_pack(struct buf *out, int64_t id, enum broker_method method, const void *params,
		struct err *err)
{
	const struct wire_method *row = &broker_methods[method];
	json_t *encoded = codec_encode(row->params, params, err);
	json_auto_t *message = encoded ? rpc_request(id, row->name, encoded) : NULL;

	if (!encoded)
		return (int)err->code;
	if (!message)
		return ERR_NOMEM_SET(err);
	return wire_json_dump(out, message, err);
}

struct pending *broker_expect(struct broker_link *link, enum asked asked, void *ctx,
			      struct err *err)
{
	struct pending *pending = NULL;

	if (link->pending_count >= BROKER_LINK_PENDING_MAX)
		(void)ERR_SET(err, ERR_LIMIT, "more than %d requests wait for the broker",
			      BROKER_LINK_PENDING_MAX);
	else if (!(pending = calloc(1, sizeof(*pending))))
		(void)ERR_NOMEM_SET(err);
	if (!pending)
		return NULL;
	pending->id = link->next_id++;
	pending->asked = asked;
	pending->ctx = ctx;
	list_add(&link->pending, &pending->node);
	link->pending_count++;
	return pending;
}

static struct named *named_new(struct list *list, const char *name, void *ctx, struct err *err)
{
	struct named *named = calloc(1, sizeof(*named));

	if (!named) {
		(void)ERR_NOMEM_SET(err);
		return NULL;
	}
	if (str_copy(named->name, sizeof(named->name), name, err) < 0) {
		free(named);
		return NULL;
	}
	named->ctx = ctx;
	list_add(list, &named->node);
	return named;
}

static struct named *named_find(const struct list *list, const char *name)
{
	struct list *node;

	for (node = list->next; node != list; node = node->next) {
		struct named *named = LIST_ENTRY(node, struct named, node);

		if (str_eq(named->name, name))
			return named;
	}
	return NULL;
}

static void kill_child(struct broker_link *link, const char *name)
{
	const struct broker_child_kill params = { .child = name, .signal = SIGKILL };

	broker_tell(link, BROKER_METHOD_CHILD_KILL, &params);
}

static int child_answered(struct broker_link *link, const struct pending *asked,
			  const struct broker_child_start_result *result, const struct err *failure,
			  struct err *err)
{
	struct named *child;

	if (asked->forgotten) {
		if (!failure)
			kill_child(link, result->child);
		return 0;
	}
	if (failure) {
		asked->started(asked->ctx, NULL, failure);
		return 0;
	}
	child = named_new(&link->children, result->child, asked->ctx, err);
	if (!child)
		return (int)err->code;
	child->exited = asked->exited;
	asked->started(asked->ctx, child->name, NULL);
	return 0;
}

static int grant_answered(struct broker_link *link, const struct pending *asked,
			  const struct broker_grant_request_result *result,
			  const struct err *failure, struct err *err)
{
	struct named *grant;

	if (asked->forgotten) {
		if (!failure)
			broker_cancel_grant(link, result->grant);
		return 0;
	}
	if (failure) {
		asked->grant(asked->ctx, NULL, BROKER_GRANT_STATE_DENIED, DECISION_NONE, failure);
		return 0;
	}
	if (result->state != BROKER_GRANT_STATE_PENDING) {
		asked->grant(asked->ctx, result->grant, result->state, DECISION_SESSION, NULL);
		return 0;
	}
	grant = named_new(&link->grants, result->grant, asked->ctx, err);
	if (!grant)
		return (int)err->code;
	grant->grant = asked->grant;
	asked->grant(asked->ctx, grant->name, BROKER_GRANT_STATE_PENDING, DECISION_NONE, NULL);
	return 0;
}

/* Decodes a result (failure NULL) and hands it to whoever asked. */
static int deliver(struct broker_link *link, const struct pending *asked, const json_t *result,
		   const struct err *failure, struct err *err)
{
	struct arena arena SCOPED(arena_deinit) = { 0 };
	struct broker_child_start_result child = { 0 };
	struct broker_grant_request_result grant = { 0 };
	struct broker_ceiling_show_result show = { 0 };

	switch (asked->asked) {
	case ASKED_NOTHING:
		return 0;
	case ASKED_BLOCKING:
		link->blocking_done = true;
		if (failure)
			link->blocking_err = *failure;
		return 0;
	case ASKED_CHILD:
		if (!failure && codec_decode(&broker_child_start_result_type, result, &child,
					     &arena, CODEC_STRICT, err) < 0)
			return (int)err->code;
		return child_answered(link, asked, &child, failure, err);
	case ASKED_GRANT:
		if (!failure && codec_decode(&broker_grant_request_result_type, result, &grant,
					     &arena, CODEC_STRICT, err) < 0)
			return (int)err->code;
		return grant_answered(link, asked, &grant, failure, err);
	case ASKED_SHOW:
		if (!failure && codec_decode(&broker_ceiling_show_result_type, result, &show,
					     &arena, CODEC_STRICT, err) < 0)
			return (int)err->code;
		if (!asked->forgotten)
			asked->answer(asked->ctx, failure ? NULL : &show, failure);
		return 0;
	}
	return 0;
}

static int take_answer(struct broker_link *link, const struct rpc *rpc, struct err *err)
{
	int64_t id = json_is_integer(rpc->id) ? json_integer_value(rpc->id) : -1;
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &link->pending) {
		struct pending *pending = LIST_ENTRY(node, struct pending, node);
		struct pending asked = *pending;
		struct err failure = { 0 };

		if (pending->id != id)
			continue;
		broker_pending_free(link,
				    pending); /* first: the callback may ask again, or close */
		if (rpc->kind == RPC_RESULT)
			return deliver(link, &asked, rpc->result, NULL, err);
		(void)rpc_to_err(rpc, &failure);
		return deliver(link, &asked, NULL, &failure, err);
	}
	return ERR_SET(err, ERR_INVALID, "an answer to no request");
}

static int take_exit(struct broker_link *link, const json_t *params, struct err *err)
{
	struct arena arena SCOPED(arena_deinit) = { 0 };
	struct broker_child_exited exited = { 0 };
	struct named *child;

	if (codec_decode(&broker_child_exited_type, params, &exited, &arena, CODEC_STRICT, err) < 0)
		return (int)err->code;
	child = named_find(&link->children, exited.child);
	if (child) { /* otherwise its asker has forgotten it */
		struct named told = *child;

		broker_named_free(child);
		told.exited(told.ctx, &exited);
	}
	return 0;
}

static int take_grant(struct broker_link *link, const json_t *params, struct err *err)
{
	struct arena arena SCOPED(arena_deinit) = { 0 };
	struct broker_grant_answered answered = { 0 };
	struct named *grant;

	if (codec_decode(&broker_grant_answered_type, params, &answered, &arena, CODEC_STRICT,
			 err) < 0)
		return (int)err->code;
	grant = named_find(&link->grants, answered.grant);
	if (grant) { /* otherwise it was withdrawn meanwhile */
		struct named told = *grant;

		broker_named_free(grant);
		told.grant(told.ctx, told.name, answered.state, answered.decision, NULL);
	}
	return 0;
}

static int take_message(struct broker_link *link, const struct packet *packet, struct err *err)
{
	json_auto_t *message = wire_json_load(packet->data.data, packet->data.len, err);
	struct rpc rpc = { 0 };

	if (!message || rpc_parse(&rpc, message, err) < 0)
		return (int)err->code;
	if (rpc.kind == RPC_RESULT || rpc.kind == RPC_ERROR)
		return take_answer(link, &rpc, err);
	switch (wire_method_find(broker_methods, BROKER_METHOD_COUNT, rpc.method)) {
	case BROKER_METHOD_CHILD_EXITED:
		return take_exit(link, rpc.params, err);
	case BROKER_METHOD_GRANT_ANSWERED:
		return take_grant(link, rpc.params, err);
	default:
		return ERR_SET(err, ERR_INVALID, "'%s' is nothing that the broker says",
			       rpc.method);
	}
}

/* Everything that has arrived; the number of messages, 0 for none. */
static int receive(struct broker_link *link, struct err *err)
{
	struct packet packet SCOPED(packet_deinit) = { 0 };
	int taken = 0;

	while (link->fd >= 0 && !is_closing(link)) {
		int result = packet_recv(link->fd, &packet, err);

		if (result < 0)
			return result;
		if (result == PACKET_AGAIN)
			break;
		if (take_message(link, &packet, err) < 0)
			return ERR_WRAP(err, "message of the broker");
		taken++;
	}
	return taken;
}

static void fail(struct broker_link *link, const struct err *err)
{
	broker_gone_fn *gone = link->gone;

	link->gone = NULL;
	(void)uv_poll_stop(poll_of(link)); /* the end of file would be reported for ever */
	fd_close(&link->fd);
	if (gone)
		gone(link->gone_ctx, err);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct broker_link *link = poll->data;
	struct err err = { 0 };
	int result = 0;

	if (status < 0)
		result = ERR_SYS(&err, -status, "link to the broker");
	if (result == 0 && (events & UV_WRITABLE))
		result = drain(link, &err);
	if (result == 0)
		result = receive(link, &err);
	if (is_closing(link) || link->fd < 0)
		return;
	if (result < 0)
		fail(link, &err);
	else
		watch(link);
}

/* One request and its answer before the loop runs. */
static int ask_blocking(struct broker_link *link, enum broker_method method, const void *params,
			struct err *err)
{
	link->blocking_done = false;
	link->blocking_err = (struct err){ 0 };
	if (!broker_ask(link, ASKED_BLOCKING, method, params, NULL, err))
		return (int)err->code;
	while (!link->blocking_done) {
		struct pollfd ready = { .fd = link->fd, .events = POLLIN };
		int count = poll(&ready, 1, GREET_MS);

		if (count < 0 && errno != EINTR)
			return ERR_SYS(err, errno, "wait for the broker");
		if (count == 0)
			return ERR_SET(err, ERR_GONE, "the broker does not answer '%s'",
				       broker_methods[method].name);
		if (receive(link, err) < 0)
			return (int)err->code;
	}
	if (link->blocking_err.code != ERR_NONE) {
		*err = link->blocking_err;
		return ERR_WRAP(err, "%s", broker_methods[method].name);
	}
	return 0;
}

int broker_link_greet(struct broker_link *link, struct err *err)
{
	const struct broker_hello params = { .version = BROKER_VERSION, .name = "agentd" };

	return ask_blocking(link, BROKER_METHOD_HELLO, &params, err);
}

int broker_link_ready(struct broker_link *link, struct err *err)
{
	const struct broker_daemon_ready params = { 0 };

	return ask_blocking(link, BROKER_METHOD_DAEMON_READY, &params, err);
}

static void on_closed(uv_handle_t *handle)
{
	struct broker_link *link = handle->data;
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &link->pending)
		broker_pending_free(link, LIST_ENTRY(node, struct pending, node));
	LIST_EACH(node, safe, &link->children)
		broker_named_free(LIST_ENTRY(node, struct named, node));
	LIST_EACH(node, safe, &link->grants)
		broker_named_free(LIST_ENTRY(node, struct named, node));
	LIST_EACH(node, safe, &link->out) {
		list_remove(node);
		outgoing_free(LIST_ENTRY(node, struct outgoing, node));
	}
	fd_close(&link->fd);
	free(CONTAINER_OF(link, struct watched, link));
}

void broker_link_close(struct broker_link *link)
{
	if (!link || is_closing(link))
		return;
	link->gone = NULL;
	uv_close((uv_handle_t *)poll_of(link), on_closed);
}

int broker_link_new(struct broker_link **out, struct uv_loop_s *loop, int fd, broker_gone_fn *gone,
		    void *gone_ctx, struct err *err)
{
	int owned SCOPED(fd_close) = fd;
	struct watched *watched = NULL;
	struct broker_link *link;
	int result;

	if (fd_set_nonblock(fd, err) < 0)
		return (int)err->code;
	watched = calloc(1, sizeof(*watched));
	if (!watched)
		return ERR_NOMEM_SET(err);
	result = uv_poll_init(loop, &watched->poll, fd);
	if (result < 0) {
		free(watched);
		return ERR_SYS(err, -result, "watch the link to the broker");
	}
	link = &watched->link;
	watched->poll.data = link;
	link->fd = fd_take(&owned);
	link->next_id = 1;
	link->gone = gone;
	link->gone_ctx = gone_ctx;
	list_init(&link->pending);
	list_init(&link->children);
	list_init(&link->grants);
	list_init(&link->out);
	watch(link);
	*out = link;
	return 0;
}
