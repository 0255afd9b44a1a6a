#include <string.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
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

static int add_fd(struct outgoing *outgoing, int fd, struct err *err)
{
	if (outgoing->fd_count == BROKER_FDS_MAX) {
		fd_close(&fd);
		return ERR_SET(err, ERR_LIMIT, "more than %d descriptors", BROKER_FDS_MAX);
	}
	outgoing->fds[outgoing->fd_count++] = fd;
	return 0;
}

/* A request whose lists may be too long for a packet; argv and env are members of params. */
struct lists {
	enum broker_method method;
	const void *params;
	struct wire_strings *argv;
	struct wire_strings *env;
};

/* Inline, or else the lists in a descriptor. */
static int pack_lists(struct outgoing *outgoing, int64_t id, const struct lists *lists,
		      struct err *err)
{
	const struct wire_strings argv = *lists->argv;
	const struct wire_strings env = *lists->env;
	int fd SCOPED(fd_close) = -1;
	int result = broker_pack(&outgoing->data, id, lists->method, lists->params, err);

	if (result != ERR_LIMIT || argv.count == 0)
		return result;
	*lists->argv = (struct wire_strings){ 0 };
	*lists->env = (struct wire_strings){ 0 };
	*err = (struct err){ 0 };
	buf_clear(&outgoing->data);
	if (spec_fd(&fd, &argv, &env, err) < 0 || add_fd(outgoing, fd_take(&fd), err) < 0)
		return (int)err->code;
	return broker_pack(&outgoing->data, id, lists->method, lists->params, err);
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
	const struct lists lists = { BROKER_METHOD_CHILD_START, &params, &params.argv,
				     &params.env };
	struct outgoing *outgoing SCOPED(broker_outgoing_release) = broker_outgoing_new(err);
	struct pending *pending = NULL;
	int result = outgoing ? 0 : (int)ERR_NOMEM;

	for (size_t i = 0; i < STDIO_COUNT; i++) {
		int fd = spec->stdio[i];

		if (outgoing)
			outgoing->fds[outgoing->fd_count++] = fd;
		else
			fd_close(&fd);
	}
	if (result == 0)
		pending = broker_expect(link, ASKED_CHILD, ctx, err);
	if (!pending)
		return (int)err->code;
	pending->started = started;
	pending->exited = exited;
	result = pack_lists(outgoing, pending->id, &lists, err);
	if (result == 0)
		result = broker_queue(link, TAKE(outgoing), err);
	if (result < 0)
		broker_pending_free(link, pending);
	return result;
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
	const struct lists lists = { BROKER_METHOD_GRANT_REQUEST, &params, &params.argv,
				     &params.env };
	struct outgoing *outgoing SCOPED(broker_outgoing_release) = broker_outgoing_new(err);
	struct pending *pending = NULL;
	int input SCOPED(fd_close) = -1;
	int result;

	if (!outgoing ||
	    (spec->input && fd_sealed(&input, "input", spec->input, spec->input_len, err) < 0))
		return (int)err->code;
	if (spec->input && add_fd(outgoing, fd_take(&input), err) < 0)
		return (int)err->code;
	pending = broker_expect(link, ASKED_GRANT, ctx, err);
	if (!pending)
		return (int)err->code;
	pending->grant = fn;
	result = pack_lists(outgoing, pending->id, &lists, err);
	if (result == 0)
		result = broker_queue(link, TAKE(outgoing), err);
	if (result < 0)
		broker_pending_free(link, pending);
	return result;
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
