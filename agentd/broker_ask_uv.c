#include <string.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/wire/json.h"

#include "agentd/broker_part_uv.h"

#define STDIO_COUNT 3

static json_t *list_of(const struct wire_strings *strings)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < strings->count; i++) {
		if (json_array_append_new(list, json_string(strings->items[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* {argv, env} in a sealed memfd, for what exceeds a packet. */
static int spec_fd(int *out, const struct wire_strings *argv, const struct wire_strings *env,
		   struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(BROKER_SPEC_MAX);
	json_t *argv_list = list_of(argv);
	json_t *env_list = list_of(env);
	json_auto_t *spec = json_object();

	if (!spec || json_object_set_new(spec, "argv", argv_list) < 0 ||
	    json_object_set_new(spec, "env", env_list) < 0) {
		return ERR_SET(err, ERR_INVALID, "arguments that are not UTF-8, or no memory");
	}
	if (wire_json_dump(&text, spec, err) < 0)
		return ERR_WRAP(err, "arguments and environment");
	return fd_sealed(out, "spec", text.data, text.len, err);
}

/* Taken in any case. */
static int add_fd(struct outgoing *outgoing, int fd, struct err *err)
{
	if (outgoing->fd_count == BROKER_FDS_MAX) {
		fd_close(&fd);
		return ERR_SET(err, ERR_LIMIT, "more than %d descriptors", BROKER_FDS_MAX);
	}
	outgoing->fds[outgoing->fd_count++] = fd;
	return 0;
}

struct request {
	enum asked asked;
	enum broker_method method;
	const void *params;
	struct wire_strings
		*argv; /* members of params that may be too long for a packet, or NULL */
	struct wire_strings *env;
	const int *fds; /* taken */
	size_t fd_count;
	void *ctx;
};

/* Inline, or else the lists in a descriptor. */
static int pack(struct outgoing *outgoing, int64_t id, const struct request *request,
		struct err *err)
{
	struct wire_strings argv;
	struct wire_strings env;
	int fd SCOPED(fd_close) = -1;
	int result = broker_pack(&outgoing->data, id, request->method, request->params, err);

	if (result != ERR_LIMIT || !request->argv || request->argv->count == 0)
		return result;
	argv = *request->argv;
	env = *request->env;
	*request->argv = (struct wire_strings){ 0 };
	*request->env = (struct wire_strings){ 0 };
	*err = (struct err){ 0 };
	buf_clear(&outgoing->data);
	if (spec_fd(&fd, &argv, &env, err) < 0 || add_fd(outgoing, fd_take(&fd), err) < 0)
		return (int)err->code;
	return broker_pack(&outgoing->data, id, request->method, request->params, err);
}

/* The one way out of here. NULL: nothing was sent. */
static struct pending *ask(struct broker_link *link, const struct request *request, struct err *err)
{
	struct outgoing *outgoing SCOPED(broker_outgoing_release) = broker_outgoing_new(err);
	struct pending *pending;

	for (size_t i = 0; i < request->fd_count; i++) {
		int fd = request->fds[i];

		if (outgoing)
			outgoing->fds[outgoing->fd_count++] = fd;
		else
			fd_close(&fd);
	}
	pending = outgoing ? broker_expect(link, request->asked, request->ctx, err) : NULL;
	if (!pending)
		return NULL;
	if (pack(outgoing, pending->id, request, err) < 0 ||
	    broker_queue(link, TAKE(outgoing), err) < 0) {
		broker_pending_free(link, pending);
		return NULL;
	}
	return pending;
}

struct pending *broker_ask(struct broker_link *link, enum asked asked, enum broker_method method,
			   const void *params, void *ctx, struct err *err)
{
	const struct request request = {
		.asked = asked, .method = method, .params = params, .ctx = ctx
	};

	return ask(link, &request, err);
}

/* For requests whose answer changes nothing: a failure means that the thing is gone already. */
void broker_tell(struct broker_link *link, enum broker_method method, const void *params)
{
	struct err err = { 0 };

	if (!broker_ask(link, ASKED_NOTHING, method, params, NULL, &err) && err.code != ERR_GONE)
		log_warn("broker_send", "method=%s why='%s'", broker_methods[method].name,
			 err.text);
}

static struct wire_strings strings_of(const char *const *items, size_t count)
{
	return (struct wire_strings){ .items = count > 0 ? items : NULL, .count = count };
}

int broker_child_start(struct broker_link *link, const struct broker_child_spec *spec,
		       broker_started_fn *started, broker_exited_fn *exited, void *ctx,
		       struct err *err)
{
	struct broker_child_start params = { .ceiling = spec->ceiling,
					     .grant = spec->grant,
					     .argv = strings_of(spec->argv, spec->argc),
					     .cwd = spec->cwd,
					     .env = strings_of(spec->env, spec->envc) };
	const struct request request = { .asked = ASKED_CHILD,
					 .method = BROKER_METHOD_CHILD_START,
					 .params = &params,
					 .argv = &params.argv,
					 .env = &params.env,
					 .fds = spec->stdio,
					 .fd_count = STDIO_COUNT,
					 .ctx = ctx };
	struct pending *pending = ask(link, &request, err);

	if (!pending)
		return (int)err->code;
	pending->started = started;
	pending->exited = exited;
	return 0;
}

void broker_child_forget(struct broker_link *link, void *ctx)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &link->pending) {
		struct pending *pending = LIST_ENTRY(node, struct pending, node);

		if (pending->ctx == ctx && pending->asked == ASKED_CHILD)
			pending->forgotten = true;
	}
	LIST_EACH(node, safe, &link->children) {
		struct named *child = LIST_ENTRY(node, struct named, node);

		if (child->ctx == ctx)
			broker_named_free(child);
	}
}

int broker_child_kill(struct broker_link *link, const char *child, int signal, struct err *err)
{
	const struct broker_child_kill params = { .child = child, .signal = signal };

	return broker_ask(link, ASKED_NOTHING, BROKER_METHOD_CHILD_KILL, &params, NULL, err)
		       ? 0
		       : (int)err->code;
}

int broker_grant_request(struct broker_link *link, const struct broker_grant_spec *spec,
			 broker_grant_fn *fn, void *ctx, struct err *err)
{
	struct broker_grant_request params = { .ceiling = spec->ceiling,
					       .argv = strings_of(spec->argv, spec->argc),
					       .cwd = spec->cwd,
					       .env = strings_of(spec->env, spec->envc),
					       .mode = spec->mode,
					       .has_network = spec->network,
					       .network = spec->network,
					       .has_has_input = spec->input != NULL,
					       .has_input = spec->input != NULL,
					       .reason = spec->reason };
	int input = -1;
	const struct request request = { .asked = ASKED_GRANT,
					 .method = BROKER_METHOD_GRANT_REQUEST,
					 .params = &params,
					 .argv = &params.argv,
					 .env = &params.env,
					 .fds = &input,
					 .fd_count = spec->input ? 1 : 0,
					 .ctx = ctx };
	struct pending *pending;

	if (spec->input && fd_sealed(&input, "input", spec->input, spec->input_len, err) < 0)
		return (int)err->code;
	pending = ask(link, &request, err);
	if (!pending)
		return (int)err->code;
	pending->grant = fn;
	return 0;
}

void broker_cancel_grant(struct broker_link *link, const char *name)
{
	const struct broker_grant_cancel params = { .grant = name };

	broker_tell(link, BROKER_METHOD_GRANT_CANCEL, &params);
}

void broker_grant_cancel(struct broker_link *link, void *ctx)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &link->pending) {
		struct pending *pending = LIST_ENTRY(node, struct pending, node);

		if (pending->ctx == ctx && pending->asked == ASKED_GRANT)
			pending->forgotten = true;
	}
	LIST_EACH(node, safe, &link->grants) {
		struct named *grant = LIST_ENTRY(node, struct named, node);

		if (grant->ctx != ctx)
			continue;
		broker_cancel_grant(link, grant->name);
		broker_named_free(grant);
	}
}

int broker_ceiling_show(struct broker_link *link, const char *ceiling, broker_answer_fn *fn,
			void *ctx, struct err *err)
{
	const struct broker_ceiling_show params = { .ceiling = ceiling };
	struct pending *pending =
		broker_ask(link, ASKED_SHOW, BROKER_METHOD_CEILING_SHOW, &params, ctx, err);

	if (!pending)
		return (int)err->code;
	pending->answer = fn;
	return 0;
}

void broker_ceiling_forget(struct broker_link *link, void *ctx)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &link->pending) {
		struct pending *pending = LIST_ENTRY(node, struct pending, node);

		if (pending->ctx == ctx && pending->asked == ASKED_SHOW)
			pending->forgotten = true;
	}
}

void broker_ceiling_close(struct broker_link *link, const char *ceiling)
{
	const struct broker_ceiling_close params = { .ceiling = ceiling };

	broker_tell(link, BROKER_METHOD_CEILING_CLOSE, &params);
}
