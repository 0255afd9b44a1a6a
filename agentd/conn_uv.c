#include "agentd/conn_uv.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/list.h"
#include "proto/base/log.h"
#include "proto/base/str.h"
#include "proto/wire/frame.h"
#include "proto/wire/peer.h"

#define SOCKET_UMASK 0177
#define LAST_WRITE_MS 200 /* for what is queued when the daemon ends, per client */
#define ROUNDS_MAX 16     /* refills of one client's queue before the others have their turn */
#define KEPT_MAX 65536    /* bytes of memory that an empty queue keeps */

struct conn_host {
	uv_pipe_t pipe;
	const struct conn_hooks *hooks;
	char *path;
	pid_t ancestor;
	struct list conns;
	size_t count;
	bool closing;
	char chunk[CONN_READ_SIZE]; /* what was just read; there is one thread */
};

struct conn {
	uv_pipe_t pipe; /* pipe.data points back here; on_closed() frees */
	uv_write_t write;
	struct conn_host *host;
	struct list node;
	void *client;  /* of the hooks */
	struct buf in; /* at most one line, and what came with its end */
	struct frame frame;
	struct buf out;    /* collected since the last flush */
	struct buf flying; /* being written */
	bool writing;
	bool reading;
	bool slow; /* owes its client a drained() */
};

static size_t queued(const struct conn *conn)
{
	return conn->out.len + conn->flying.len;
}

bool conn_ready(const struct conn *conn)
{
	return queued(conn) < CONN_OUT_READY && !uv_is_closing((const uv_handle_t *)&conn->pipe);
}

static void host_release(struct conn_host *host)
{
	if (!host->closing || host->count > 0 || host->path)
		return;
	free(host);
}

static void on_closed(uv_handle_t *handle)
{
	struct conn *conn = handle->data;
	struct conn_host *host = conn->host;

	if (conn->client)
		host->hooks->closed(conn->client);
	list_remove(&conn->node);
	host->count--;
	buf_deinit(&conn->in);
	buf_deinit(&conn->out);
	buf_deinit(&conn->flying);
	free(conn);
	host_release(host);
}

void conn_close(struct conn *conn, const char *why)
{
	if (uv_is_closing((uv_handle_t *)&conn->pipe))
		return;
	log_info("client_gone", "why='%s'", why);
	uv_close((uv_handle_t *)&conn->pipe, on_closed);
}

void conn_send(struct conn *conn, const char *line, size_t len)
{
	struct err err = { 0 };

	if (uv_is_closing((uv_handle_t *)&conn->pipe))
		return;
	if (queued(conn) + len > CONN_OUT_MAX)
		conn_close(conn, "it does not read what it is sent");
	else if (buf_append(&conn->out, line, len, &err) < 0)
		conn_close(conn, err.text);
	if (!conn_ready(conn))
		conn->slow = true; /* whoever has more for it will hold back, and must be told */
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *chunk)
{
	struct conn *conn = handle->data;

	(void)suggested;
	*chunk = uv_buf_init(conn->host->chunk, CONN_READ_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *chunk);

/* Reading goes on only while what is answered can leave. */
static void adjust_reading(struct conn *conn)
{
	bool want = conn_ready(conn);
	int result = 0;

	if (uv_is_closing((uv_handle_t *)&conn->pipe) || want == conn->reading)
		return;
	if (want)
		result = uv_read_start((uv_stream_t *)&conn->pipe, on_alloc, on_read);
	else
		(void)uv_read_stop((uv_stream_t *)&conn->pipe); /* cannot fail */
	conn->reading = want;
	if (result < 0)
		conn_close(conn, uv_strerror(result));
}

static void take_lines(struct conn *conn)
{
	enum frame_result result = FRAME_MORE;

	while (!uv_is_closing((uv_handle_t *)&conn->pipe)) {
		result = frame_next(&conn->in, &conn->frame);
		if (result != FRAME_READY)
			break;
		conn->host->hooks->line(conn->client, conn->frame.text, conn->frame.len);
	}
	if (result == FRAME_BAD)
		conn_close(conn, "a line that is too long");
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *chunk)
{
	struct conn *conn = stream->data;
	struct err err = { 0 };

	if (n == 0)
		return;
	if (n < 0 || buf_append(&conn->in, chunk->base, (size_t)n, &err) < 0) {
		conn_close(conn, n < 0 ? uv_strerror((int)n) : err.text);
		return;
	}
	take_lines(conn);
	adjust_reading(conn);
}

/* A burst is over: its memory is given back. */
static void shrink(struct buf *buf)
{
	if (buf->len == 0 && buf->cap > KEPT_MAX)
		buf_deinit(buf);
}

static void on_written(uv_write_t *write, int status)
{
	struct conn *conn = write->data;

	conn->writing = false;
	buf_clear(&conn->flying);
	shrink(&conn->flying);
	if (status < 0)
		conn_close(conn, uv_strerror(status));
}

/* Handed to the loop, which tells when it has left. */
static void write_later(struct conn *conn)
{
	struct buf swap = conn->flying;
	uv_buf_t bytes;
	int result;

	conn->flying = conn->out;
	conn->out = swap;
	bytes = uv_buf_init(conn->flying.data, (unsigned)conn->flying.len);
	result = uv_write(&conn->write, (uv_stream_t *)&conn->pipe, &bytes, 1, on_written);
	conn->writing = result == 0;
	if (result < 0)
		conn_close(conn, uv_strerror(result));
}

/* What the socket takes at once leaves at once. */
static void write_now(struct conn *conn)
{
	uv_buf_t bytes = uv_buf_init(conn->out.data, (unsigned)conn->out.len);
	int wrote = uv_try_write((uv_stream_t *)&conn->pipe, &bytes, 1);

	if (wrote < 0 && wrote != UV_EAGAIN) {
		conn_close(conn, uv_strerror(wrote));
		return;
	}
	if (wrote > 0)
		buf_consume(&conn->out, (size_t)wrote);
	shrink(&conn->out);
	if (conn->out.len > 0)
		write_later(conn);
}

static void settle(struct conn *conn)
{
	if (conn->slow && conn_ready(conn)) {
		conn->slow = false;
		conn->host->hooks->drained(conn->client);
	}
	adjust_reading(conn);
}

/* Whoever was slow is sent more as soon as there is room, and that leaves in the same go as far as
 * it can. */
static void flush(struct conn *conn)
{
	for (int round = 0; conn->out.len > 0 && !conn->writing; round++) {
		if (uv_is_closing((uv_handle_t *)&conn->pipe))
			return;
		if (round < ROUNDS_MAX)
			write_now(conn);
		else
			write_later(conn);
		settle(conn);
	}
	settle(conn);
}

void conn_host_flush(struct conn_host *host)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &host->conns)
		flush(LIST_ENTRY(node, struct conn, node));
}

static int check_peer(struct conn *conn, struct err *err)
{
	uv_os_fd_t fd = -1;
	int result = uv_fileno((uv_handle_t *)&conn->pipe, &fd);

	if (result < 0)
		return ERR_SYS(err, -result, "descriptor of a client");
	return peer_check(fd, geteuid(), conn->host->ancestor, err);
}

static void on_refused(uv_handle_t *handle)
{
	free(handle->data);
}

static struct conn *conn_new(struct conn_host *host)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return NULL;
	if (uv_pipe_init(host->pipe.loop, &conn->pipe, 0) < 0) {
		free(conn);
		return NULL;
	}
	conn->pipe.data = conn;
	conn->write.data = conn;
	conn->host = host;
	buf_init(&conn->in, FRAME_BUF_MAX);
	buf_init(&conn->out, CONN_OUT_MAX);
	buf_init(&conn->flying, CONN_OUT_MAX);
	return conn;
}

static void on_connection(uv_stream_t *server, int status)
{
	struct conn_host *host = server->data;
	struct conn *conn = status < 0 ? NULL : conn_new(host);
	struct err err = { 0 };

	if (!conn) {
		log_error("client_refused", "why='%s'",
			  status < 0 ? uv_strerror(status) : "memory");
		return;
	}
	status = uv_accept(server, (uv_stream_t *)&conn->pipe);
	if (status < 0)
		(void)ERR_SYS(&err, -status, "accept");
	else if (host->count >= CONN_CLIENTS_MAX)
		(void)ERR_SET(&err, ERR_LIMIT, "more than %d clients", CONN_CLIENTS_MAX);
	else if (check_peer(conn, &err) == 0)
		conn->client = host->hooks->opened(host->hooks->ctx, conn);
	if (!conn->client) {
		log_warn("client_refused", "why='%s'", err.text);
		uv_close((uv_handle_t *)&conn->pipe, on_refused);
		return;
	}
	list_add(&host->conns, &conn->node);
	host->count++;
	adjust_reading(conn);
}

static int bind_and_listen(struct conn_host *host, const char *path, struct err *err)
{
	mode_t before;
	int result;

	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return ERR_SET(err, ERR_LIMIT, "socket path '%s' has more than %zu bytes", path,
			       sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
	if (unlink(path) < 0 && errno != ENOENT)
		return ERR_SYS(err, errno, "remove the old socket '%s'", path);
	before = umask(SOCKET_UMASK);
	result = uv_pipe_bind(&host->pipe, path);
	(void)umask(before);
	if (result == 0)
		result = uv_listen((uv_stream_t *)&host->pipe, CONN_BACKLOG, on_connection);
	if (result < 0)
		return ERR_SYS(err, -result, "listen on '%s'", path);
	return 0;
}

static void on_host_closed(uv_handle_t *handle)
{
	struct conn_host *host = handle->data;

	free(host->path);
	host->path = NULL;
	host_release(host);
}

int conn_host_new(struct conn_host **out, struct uv_loop_s *loop, const char *path, pid_t ancestor,
		  const struct conn_hooks *hooks, struct err *err)
{
	struct conn_host *host = calloc(1, sizeof(*host));
	int result;

	if (!host)
		return ERR_NOMEM_SET(err);
	list_init(&host->conns);
	host->hooks = hooks;
	host->ancestor = ancestor;
	host->path = str_dup(path);
	result = host->path ? uv_pipe_init(loop, &host->pipe, 0) : UV_ENOMEM;
	if (result < 0) {
		free(host->path);
		free(host);
		return ERR_SYS(err, -result, "the clients' socket");
	}
	host->pipe.data = host;
	if (bind_and_listen(host, path, err) < 0) {
		host->closing = true;
		uv_close((uv_handle_t *)&host->pipe, on_host_closed);
		return (int)err->code;
	}
	*out = host;
	return 0;
}

/* The loop will not run for long any more: what is queued gets one more chance. */
static void write_last(struct conn *conn)
{
	struct pollfd ready = { .events = POLLOUT };
	uv_buf_t bytes;
	int wrote = 1;

	if (conn->writing || uv_is_closing((uv_handle_t *)&conn->pipe) ||
	    uv_fileno((uv_handle_t *)&conn->pipe, &ready.fd) < 0)
		return;
	while (conn->out.len > 0 && wrote > 0 && poll(&ready, 1, LAST_WRITE_MS) > 0) {
		bytes = uv_buf_init(conn->out.data, (unsigned)conn->out.len);
		wrote = uv_try_write((uv_stream_t *)&conn->pipe, &bytes, 1);
		if (wrote > 0)
			buf_consume(&conn->out, (size_t)wrote);
	}
}

void conn_host_close(struct conn_host *host)
{
	struct list *node;
	struct list *safe;

	if (!host || host->closing)
		return;
	host->closing = true;
	LIST_EACH(node, safe, &host->conns) {
		struct conn *conn = LIST_ENTRY(node, struct conn, node);

		write_last(conn);
		conn_close(conn, "the daemon ends");
	}
	uv_close((uv_handle_t *)&host->pipe, on_host_closed);
}
