#include "client/link_uv.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/frame.h"
#include "proto/wire/json.h"
#include "proto/wire/rpc.h"

struct pending {
	int64_t id; /* 0: free place */
	link_answer_fn *fn;
	void *ctx;
};

struct link {
	uv_pipe_t pipe; /* pipe.data points back here; on_closed() frees */
	const struct link_events *events;
	void *ctx;
	struct buf in;
	struct frame frame;
	char chunk[FRAME_CHUNK_MAX];
	size_t out_bytes; /* in writes under way */
	int64_t last_id;
	struct pending pending[LINK_PENDING_MAX];
};

struct write {
	uv_write_t req;
	struct link *link;
	struct buf text;
};

static bool closing(const struct link *link)
{
	return uv_is_closing((const uv_handle_t *)&link->pipe);
}

static void on_closed(uv_handle_t *handle)
{
	struct link *link = handle->data;

	buf_deinit(&link->in);
	free(link);
}

void link_close(struct link *link)
{
	if (link && !closing(link))
		uv_close((uv_handle_t *)&link->pipe, on_closed);
}

/* Ends the link and tells everybody who waits, then the owner. */
static void fail(struct link *link, const struct err *why)
{
	if (closing(link))
		return;
	link_close(link);
	for (size_t i = 0; i < LINK_PENDING_MAX; i++) {
		struct pending pending = link->pending[i];

		link->pending[i].id = 0;
		if (pending.id)
			pending.fn(pending.ctx, NULL, why);
	}
	link->events->gone(link->ctx, why);
}

static void take_answer(struct link *link, const struct rpc *rpc)
{
	int64_t id = json_integer_value(rpc->id);

	for (size_t i = 0; i < LINK_PENDING_MAX; i++) {
		struct pending pending = link->pending[i];
		struct err why = { 0 };

		if (id == 0 || pending.id != id)
			continue;
		link->pending[i].id = 0;
		if (rpc->kind == RPC_ERROR)
			(void)rpc_to_err(rpc, &why);
		pending.fn(pending.ctx, rpc->result, rpc->kind == RPC_ERROR ? &why : NULL);
		return;
	}
}

static int take_line(struct link *link, struct err *err)
{
	json_auto_t *message = wire_json_load(link->frame.text, link->frame.len, err);
	struct rpc rpc = { 0 };

	if (!message || rpc_parse(&rpc, message, err) < 0)
		return ERR_WRAP(err, "agentd");
	if (rpc.kind == RPC_REQUEST)
		link->events->request(link->ctx, &rpc);
	else if (rpc.kind == RPC_NOTIFICATION)
		link->events->notification(link->ctx, &rpc);
	else
		take_answer(link, &rpc);
	return 0;
}

static void take_lines(struct link *link)
{
	struct err err = { 0 };

	while (!closing(link)) {
		enum frame_result got = frame_next(&link->in, &link->frame);

		if (got == FRAME_MORE)
			return;
		if (got == FRAME_BAD)
			ERR_SET(&err, ERR_LIMIT, "agentd sends a line of more than %d bytes",
				FRAME_MAX);
		else if (take_line(link, &err) == 0)
			continue;
		fail(link, &err);
		return;
	}
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	struct link *link = handle->data;

	(void)suggested;
	*out = uv_buf_init(link->chunk, sizeof link->chunk);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *chunk)
{
	struct link *link = stream->data;
	struct err err = { 0 };

	if (n == UV_EOF)
		ERR_SET(&err, ERR_GONE, "agentd has closed the connection");
	else if (n < 0)
		ERR_SET(&err, ERR_GONE, "connection to agentd: %s", uv_strerror((int)n));
	else if (buf_append(&link->in, chunk->base, (size_t)n, &err) == 0)
		take_lines(link);
	if (err.code != ERR_NONE)
		fail(link, &err);
}

static int connect_socket(int *out, const char *path, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd SCOPED(fd_close) = -1;

	if (str_copy(address.sun_path, sizeof address.sun_path, path, err) < 0)
		return err->code;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ERR_SYS(err, errno, "socket");
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
		return ERR_SYS(err, errno, "cannot connect to agentd at '%s'", path);
	*out = fd_take(&fd);
	return 0;
}

int link_open(struct link **out, struct uv_loop_s *loop, const char *socket_path,
	      const struct link_events *events, void *ctx, struct err *err)
{
	struct link *link;
	int fd SCOPED(fd_close) = -1;
	int rc;

	if (connect_socket(&fd, socket_path, err) < 0)
		return err->code;
	link = calloc(1, sizeof *link);
	if (!link)
		return ERR_NOMEM_SET(err);
	link->events = events;
	link->ctx = ctx;
	buf_init(&link->in, FRAME_BUF_MAX);
	rc = uv_pipe_init(loop, &link->pipe, 0);
	if (rc < 0) {
		free(link);
		return ERR_SET(err, ERR_SYSTEM, "pipe: %s", uv_strerror(rc));
	}
	link->pipe.data = link;
	rc = uv_pipe_open(&link->pipe, fd);
	if (rc == 0)
		(void)fd_take(&fd); /* the handle's from here on */
	if (rc == 0)
		rc = uv_read_start((uv_stream_t *)&link->pipe, on_room, on_read);
	if (rc < 0) {
		link_close(link);
		return ERR_SET(err, ERR_SYSTEM, "connection to agentd: %s", uv_strerror(rc));
	}
	*out = link;
	return 0;
}

static void on_written(uv_write_t *req, int status)
{
	struct write *write = req->data;

	(void)status; /* a broken socket shows at the reader too */
	write->link->out_bytes -= write->text.len;
	buf_deinit(&write->text);
	free(write);
}

int link_send(struct link *link, const json_t *message, struct err *err)
{
	struct write *write;
	uv_buf_t chunk;
	int rc;

	if (closing(link))
		return ERR_SET(err, ERR_GONE, "the connection to agentd is closed");
	write = calloc(1, sizeof *write);
	if (!write)
		return ERR_NOMEM_SET(err);
	buf_init(&write->text, LINK_OUT_MAX - link->out_bytes);
	if (frame_put(&write->text, message, err) < 0) {
		buf_deinit(&write->text);
		free(write);
		return ERR_WRAP(err, "message to agentd");
	}
	write->link = link;
	write->req.data = write;
	chunk = uv_buf_init(write->text.data, (unsigned)write->text.len);
	rc = uv_write(&write->req, (uv_stream_t *)&link->pipe, &chunk, 1, on_written);
	if (rc < 0) {
		buf_deinit(&write->text);
		free(write);
		return ERR_SET(err, ERR_GONE, "connection to agentd: %s", uv_strerror(rc));
	}
	link->out_bytes += write->text.len;
	return 0;
}

/* Consumes the message, NULL meaning out of memory. */
static int send_new(struct link *link, json_t *message, struct err *err)
{
	json_auto_t *owned = message;

	return owned ? link_send(link, owned, err) : ERR_NOMEM_SET(err);
}

int link_request(struct link *link, const char *method, json_t *params, link_answer_fn *fn,
		 void *ctx, struct err *err)
{
	struct pending *place = NULL;

	for (size_t i = 0; i < LINK_PENDING_MAX && !place; i++) {
		if (link->pending[i].id == 0)
			place = &link->pending[i];
	}
	if (!place) {
		json_decref(params);
		return ERR_SET(err, ERR_LIMIT, "more than %d requests at once", LINK_PENDING_MAX);
	}
	if (send_new(link, rpc_request(link->last_id + 1, method, params), err) < 0)
		return err->code;
	*place = (struct pending){ .id = ++link->last_id, .fn = fn, .ctx = ctx };
	return 0;
}

int link_notify(struct link *link, const char *method, json_t *params, struct err *err)
{
	return send_new(link, rpc_notification(method, params), err);
}

int link_answer(struct link *link, json_t *id, json_t *result, struct err *err)
{
	return send_new(link, rpc_result(id, result), err);
}

int link_refuse(struct link *link, json_t *id, const struct err *why, struct err *err)
{
	return send_new(link, rpc_failure(id, why), err);
}
