#include "client/pump_uv.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
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

#include "client/bridge.h"
#include "client/command.h"

#define PUMP_OUT_MAX 16777216 /* bytes that agentd did not take yet */

/* One direction's reader. */
struct inlet {
	struct buf in;
	struct frame frame;
};

struct pump {
	struct bridge *bridge;
	uv_stream_t *editor; /* standard input: one of the two below */
	uv_pipe_t editor_pipe;
	uv_tty_t editor_tty;
	uv_pipe_t agentd;
	uv_signal_t term;
	struct inlet from_editor;
	struct inlet from_agentd;
	char chunk[FRAME_CHUNK_MAX];
	size_t out_bytes;
	struct err *err;
	int exit_code;
	bool over;
};

struct write {
	uv_write_t req;
	struct pump *pump;
	struct buf text;
};

static void stop(struct pump *pump, const struct err *why)
{
	if (pump->over)
		return;
	pump->over = true;
	pump->exit_code = why ? EXIT_FAILED : EXIT_DONE;
	if (why)
		*pump->err = *why;
	uv_close((uv_handle_t *)pump->editor, NULL);
	uv_close((uv_handle_t *)&pump->agentd, NULL);
	uv_close((uv_handle_t *)&pump->term, NULL);
}

static void on_written(uv_write_t *req, int status)
{
	struct write *write = req->data;

	(void)status; /* a broken socket shows at the reader too */
	write->pump->out_bytes -= write->text.len;
	buf_deinit(&write->text);
	free(write);
}

/* Takes the text over. */
static int send_agentd(struct pump *pump, struct buf *text, struct err *err)
{
	struct write *write = calloc(1, sizeof *write);
	uv_buf_t chunk;
	int rc;

	if (!write)
		return ERR_NOMEM_SET(err);
	if (pump->out_bytes > PUMP_OUT_MAX) {
		free(write);
		return ERR_SET(err, ERR_LIMIT, "agentd does not read what it is sent");
	}
	write->pump = pump;
	write->req.data = write;
	write->text = *text;
	*text = (struct buf)BUF_INIT(0);
	chunk = uv_buf_init(write->text.data, (unsigned)write->text.len);
	pump->out_bytes += write->text.len;
	rc = uv_write(&write->req, (uv_stream_t *)&pump->agentd, &chunk, 1, on_written);
	if (rc == 0)
		return 0;
	on_written(&write->req, rc);
	return ERR_SET(err, ERR_GONE, "connection to agentd: %s", uv_strerror(rc));
}

static int to_agentd(struct pump *pump, const json_t *message, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(FRAME_BUF_MAX);

	if (frame_put(&text, message, err) < 0)
		return (int)err->code;
	return send_agentd(pump, &text, err);
}

static int to_editor(const json_t *message, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(FRAME_BUF_MAX);

	if (frame_put(&text, message, err) < 0)
		return (int)err->code;
	return fd_write_all(STDOUT_FILENO, text.data, text.len, err);
}

/* An answer in the place of the other side's. */
static json_t *failure_answer(json_t *message, const struct err *why)
{
	return rpc_failure(json_object_get(message, "id"), why);
}

/* What is no JSON passes as it is: agentd says so better. */
static int pass_raw(struct pump *pump, const struct frame *frame, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(FRAME_BUF_MAX);

	if (buf_append(&text, frame->text, frame->len, err) < 0 || buf_putc(&text, '\n', err) < 0)
		return (int)err->code;
	return send_agentd(pump, &text, err);
}

static int editor_line(struct pump *pump, const struct frame *frame, struct err *err)
{
	struct err why = { 0 };
	json_auto_t *message = wire_json_load(frame->text, frame->len, &why);
	json_auto_t *answer = NULL;

	if (!message || !json_is_object(message))
		return pass_raw(pump, frame, err);
	if (bridge_from_editor(pump->bridge, message, &why) == 0)
		return to_agentd(pump, message, err);
	answer = failure_answer(message, &why);
	return answer ? to_editor(answer, err) : ERR_NOMEM_SET(err);
}

/* A question that cannot be shown as the broker has it is not shown at all: the answer is no. */
static int agentd_line(struct pump *pump, const struct frame *frame, struct err *err)
{
	json_auto_t *message = wire_json_load(frame->text, frame->len, err);
	json_auto_t *answer = NULL;
	struct err why = { 0 };

	if (!message)
		return ERR_WRAP(err, "agentd");
	if (bridge_from_agentd(pump->bridge, message, &why) == 0)
		return to_editor(message, err);
	answer = failure_answer(message, &why);
	return answer ? to_agentd(pump, answer, err) : ERR_NOMEM_SET(err);
}

static int take_lines(struct pump *pump, struct inlet *inlet, struct err *err)
{
	for (;;) {
		enum frame_result got = frame_next(&inlet->in, &inlet->frame);
		int rc;

		if (got == FRAME_MORE)
			return 0;
		if (got == FRAME_BAD)
			return ERR_SET(err, ERR_LIMIT, "a line of more than %d bytes", FRAME_MAX);
		rc = inlet == &pump->from_editor ? editor_line(pump, &inlet->frame, err)
						 : agentd_line(pump, &inlet->frame, err);
		if (rc < 0)
			return rc;
	}
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	struct pump *pump = handle->data;

	(void)suggested;
	*out = uv_buf_init(pump->chunk, sizeof pump->chunk);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *chunk)
{
	struct pump *pump = stream->data;
	bool editor = stream == pump->editor;
	struct inlet *inlet = editor ? &pump->from_editor : &pump->from_agentd;
	struct err err = { 0 };

	if (n < 0 && editor) {
		stop(pump, NULL); /* it has left; the sessions go on */
		return;
	}
	if (n < 0)
		ERR_SET(&err, ERR_GONE,
			"agentd has closed the connection; "
			"'agent sessions' lists what can be taken up again");
	else if (buf_append(&inlet->in, chunk->base, (size_t)n, &err) == 0)
		(void)(take_lines(pump, inlet, &err) < 0); /* err says it */
	if (err.code != ERR_NONE)
		stop(pump, &err);
}

static void on_signal(uv_signal_t *handle, int number)
{
	(void)number;
	stop(handle->data, NULL);
}

static int connect_agentd(int *out, const char *path, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd SCOPED(fd_close) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return ERR_SYS(err, errno, "socket");
	if (str_copy(address.sun_path, sizeof address.sun_path, path, err) < 0)
		return (int)err->code;
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
		return ERR_SYS(err, errno, "cannot connect to agentd at '%s'", path);
	*out = fd_take(&fd);
	return 0;
}

static int open_editor(struct pump *pump, uv_loop_t *loop)
{
	int rc;

	if (uv_guess_handle(STDIN_FILENO) == UV_TTY) {
		pump->editor = (uv_stream_t *)&pump->editor_tty;
		return uv_tty_init(loop, &pump->editor_tty, STDIN_FILENO, 1);
	}
	pump->editor = (uv_stream_t *)&pump->editor_pipe;
	rc = uv_pipe_init(loop, &pump->editor_pipe, 0);
	return rc < 0 ? rc : uv_pipe_open(&pump->editor_pipe, STDIN_FILENO);
}

static int open_handles(struct pump *pump, uv_loop_t *loop, int *fd)
{
	int rc = uv_pipe_init(loop, &pump->agentd, 0);

	if (rc == 0)
		rc = uv_pipe_open(&pump->agentd, *fd);
	if (rc == 0)
		(void)fd_take(fd); /* the handle's from here on */
	if (rc == 0)
		rc = open_editor(pump, loop);
	if (rc == 0)
		rc = uv_signal_init(loop, &pump->term);
	if (rc < 0)
		return rc;
	pump->agentd.data = pump;
	pump->editor->data = pump;
	pump->term.data = pump;
	rc = uv_signal_start(&pump->term, on_signal, SIGTERM);
	if (rc == 0)
		rc = uv_read_start((uv_stream_t *)&pump->agentd, on_room, on_read);
	if (rc == 0)
		rc = uv_read_start(pump->editor, on_room, on_read);
	return rc;
}

static int run(struct pump *pump, const char *socket_path, struct err *err)
{
	uv_loop_t *loop = uv_default_loop();
	int fd SCOPED(fd_close) = -1;
	int rc;

	if (!loop)
		return ERR_SET(err, ERR_SYSTEM, "no event loop");
	if (connect_agentd(&fd, socket_path, err) < 0)
		return (int)err->code;
	rc = open_handles(pump, loop, &fd);
	if (rc < 0) /* the process ends: the loop need not be taken apart */
		return ERR_SET(err, ERR_SYSTEM,
			       "standard input must be a pipe, a socket or a terminal: %s",
			       uv_strerror(rc));
	(void)uv_run(loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(loop);
	return 0;
}

int pump_run(struct bridge *bridge, const char *socket_path, struct err *err)
{
	struct pump *pump = calloc(1, sizeof *pump);
	int exit_code;

	if (!pump) {
		ERR_NOMEM_SET(err);
		return EXIT_FAILED;
	}
	pump->bridge = bridge;
	pump->err = err;
	pump->exit_code = EXIT_FAILED;
	buf_init(&pump->from_editor.in, FRAME_BUF_MAX);
	buf_init(&pump->from_agentd.in, FRAME_BUF_MAX);
	exit_code = run(pump, socket_path, err) < 0 ? EXIT_FAILED : pump->exit_code;
	buf_deinit(&pump->from_editor.in);
	buf_deinit(&pump->from_agentd.in);
	free(pump);
	return exit_code;
}
