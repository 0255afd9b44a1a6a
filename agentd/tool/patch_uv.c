#include "agentd/tool/patch_uv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"

#include "agentd/broker_uv.h"
#include "agentd/tool/denied.h"
#include "agentd/tool/ends.h"
#include "agentd/tool/lossy.h"
#include "agentd/tool/patch_apply.h"
#include "agentd/tool/patch_report.h"
#include "agentd/tool/reply.h"

#define STREAMS 2 /* standard output and standard error */
#define READ_CHUNK 16384U
#define DRAIN_READS 256 /* of one stream after the end; a pipe holds less */
#define OUTCOME_MAX ((PATCH_OUTPUT_MAX + PATCH_REPORT_MAX) * LOSSY_GROWTH + DENIED_TEXT_MAX + 256U)

struct stream {
	uv_poll_t poll; /* data points to the run */
	int fd;
	struct buf text; /* what lies beyond its ceiling is dropped */
	bool ended;
};

struct patch_run {
	struct broker_link *link;
	struct stream streams[STREAMS];
	int handles;
	patch_done_fn *done;
	void *ctx;
	uint64_t began_ns;
	bool closing;
};

static void on_closed(uv_handle_t *handle)
{
	struct patch_run *run = handle->data;

	if (--run->handles > 0)
		return;
	for (int i = 0; i < STREAMS; i++)
		buf_deinit(&run->streams[i].text);
	free(run);
}

static void run_close(struct patch_run *run)
{
	if (run->closing)
		return;
	run->closing = true;
	broker_child_forget(run->link, run);
	for (int i = 0; i < run->handles; i++)
		uv_close((uv_handle_t *)&run->streams[i].poll, on_closed);
	for (int i = 0; i < STREAMS; i++)
		fd_close(&run->streams[i].fd);
}

/* A run that never ran, perhaps without handles. */
static void run_abandon(struct patch_run *run)
{
	bool bare = run->handles == 0;

	run_close(run);
	if (bare)
		free(run);
}

/* False when the stream has nothing now, or has ended. */
static bool read_once(struct stream *stream)
{
	char chunk[READ_CHUNK];
	struct err err = { 0 };
	ssize_t got = read(stream->fd, chunk, sizeof chunk);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (got <= 0) {
		(void)uv_poll_stop(&stream->poll);
		stream->ended = true;
		return false;
	}
	if (buf_append(&stream->text, chunk, (size_t)got, &err) < 0)
		log_warn("patch_output", "why='%s' lost=%zd", err.text, got);
	return true;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct stream *stream = CONTAINER_OF(poll, struct stream, poll);

	(void)events;
	if (status < 0) {
		log_warn("patch_poll", "why='%s'", uv_strerror(status));
		(void)uv_poll_stop(poll);
		return;
	}
	(void)read_once(stream);
}

/* The last thing that happens to a run: it is gone when its owner hears of it. */
static void finish(struct patch_run *run, struct patch_outcome *outcome)
{
	patch_done_fn *done = run->done;
	void *ctx = run->ctx;

	outcome->duration_ms = (uv_hrtime() - run->began_ns) / 1000000;
	run_close(run);
	done(ctx, outcome);
}

static void finish_failed(struct patch_run *run, const struct err *why)
{
	struct err text = *why;
	struct patch_outcome outcome = { 0 };

	(void)ERR_WRAP(&text, "apply_patch failed");
	outcome.text = text.text;
	outcome.text_len = strlen(text.text);
	finish(run, &outcome);
}

static void on_started(void *ctx, const char *child, const struct err *err)
{
	if (!child)
		finish_failed(ctx, err);
}

/* What the model and clients get; *outcome owns its JSON. */
static int make_outcome(struct patch_outcome *outcome, struct buf *text, const struct reply *reply,
			const struct broker_child_exited *exited, struct err *err)
{
	if (reply_text(text, &outcome->applied, &outcome->changes, reply, err) < 0 ||
	    (!outcome->applied && denied_take(&outcome->denied, exited, err) < 0) ||
	    denied_text(text, outcome->denied, err) < 0)
		return (int)err->code;
	outcome->text = buf_str(text);
	outcome->text_len = text->len;
	return 0;
}

static void on_exited(void *ctx, const struct broker_child_exited *exited)
{
	struct patch_run *run = ctx;
	struct buf text SCOPED(buf_deinit) = BUF_INIT(OUTCOME_MAX);
	struct patch_outcome outcome = { 0 };
	struct reply reply = { .exit_code = (int)exited->code }; /* a signal is in it */
	struct err err = { 0 };

	for (int i = 0; i < STREAMS; i++) {
		for (int n = 0; n < DRAIN_READS && !run->streams[i].ended; n++) {
			if (!read_once(&run->streams[i]))
				break;
		}
	}
	reply.text = buf_str(&run->streams[0].text);
	reply.text_len = run->streams[0].text.len;
	reply.report = buf_str(&run->streams[1].text);
	reply.report_len = run->streams[1].text.len;
	reply.wall_ms = (uv_hrtime() - run->began_ns) / 1000000;
	if (make_outcome(&outcome, &text, &reply, exited, &err) < 0)
		finish_failed(run, &err);
	else
		finish(run, &outcome);
	json_decref(outcome.changes);
	json_decref(outcome.denied);
}

/* Takes the ends' reading sides over. On failure the run is still the caller's to close. */
static int watch_streams(struct patch_run *run, struct uv_loop_s *loop, struct ends *ends,
			 struct err *err)
{
	static const size_t limits[STREAMS] = { PATCH_OUTPUT_MAX, PATCH_REPORT_MAX };

	run->streams[0].fd = fd_take(&ends->ours);
	run->streams[1].fd = fd_take(&ends->errors);
	for (int i = 0; i < STREAMS; i++) {
		struct stream *stream = &run->streams[i];
		int rc = uv_poll_init(loop, &stream->poll, stream->fd);

		if (rc == 0) {
			run->handles++;
			stream->poll.data = run;
			buf_init(&stream->text, limits[i]);
			rc = uv_poll_start(&stream->poll, UV_READABLE, on_poll);
		}
		if (rc < 0)
			return ERR_SET(err, ERR_SYSTEM, "watch the applet: %s", uv_strerror(rc));
	}
	return 0;
}

static int ask_broker(struct patch_run *run, const struct patch_request *request, struct ends *ends,
		      struct err *err)
{
	const char *argv[] = { request->applet, PATCH_APPLET_ARG };
	struct broker_child_spec spec = { .ceiling = request->ceiling, .grant = request->grant };

	if (!request->grant) {
		spec.argv = argv;
		spec.argc = ARRAY_LEN(argv);
		spec.cwd = request->cwd;
	}
	for (int i = 0; i < 3; i++)
		spec.stdio[i] = fd_take(&ends->child[i]); /* closed by the link */
	return broker_child_start(run->link, &spec, on_started, on_exited, run, err);
}

static int make_ends(struct ends *ends, const struct patch_request *request, struct err *err)
{
	int input = -1;
	int rc = 0;

	if (!request->grant) {
		rc = fd_sealed(&input, "patch", request->patch, request->patch_len, err);
	} else { /* the broker has stored the input with the grant */
		input = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (input < 0)
			rc = ERR_SYS(err, errno, "open '/dev/null'");
	}
	return rc < 0 ? rc : ends_split(ends, input, err);
}

struct patch_run *patch_start(struct uv_loop_s *loop, struct broker_link *link,
			      const struct patch_request *request, patch_done_fn *done, void *ctx,
			      struct err *err)
{
	struct ends ends SCOPED(ends_close) = ENDS_INIT;
	struct patch_run *run;

	if (make_ends(&ends, request, err) < 0)
		return NULL;
	run = calloc(1, sizeof *run);
	if (!run) {
		(void)ERR_NOMEM_SET(err);
		return NULL;
	}
	run->link = link;
	run->done = done;
	run->ctx = ctx;
	run->began_ns = uv_hrtime();
	for (int i = 0; i < STREAMS; i++)
		run->streams[i].fd = -1;
	if (watch_streams(run, loop, &ends, err) < 0 || ask_broker(run, request, &ends, err) < 0) {
		run_abandon(run);
		return NULL;
	}
	return run;
}

void patch_cancel(struct patch_run *run)
{
	run_close(run);
}
