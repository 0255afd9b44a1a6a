#include "agentd/tool/exec_uv.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <uv.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/list.h"
#include "proto/base/log.h"
#include "proto/base/str.h"

#include "agentd/broker_uv.h"
#include "agentd/tool/capture.h"
#include "agentd/tool/denied.h"
#include "agentd/tool/ends.h"
#include "agentd/tool/exec.h"
#include "agentd/tool/lossy.h"

#define FIRST_SESSION_ID 1000
#define READ_CHUNK 65536U  /* bytes of one read */
#define READS_AT_ONCE 16   /* then the loop gets its turn again */
#define DRAIN_MAX 2097152U /* bytes read after the end; a pipe or terminal holds less */
#define INPUT_MAX 262144U  /* bytes waiting for a terminal that does not read */
#define TEXT_MAX (CAPTURE_TEXT_MAX + DENIED_TEXT_MAX + 4096U)
#define DELTA_MAX ((EXEC_DELTA_BYTES + (size_t)3) * LOSSY_GROWTH) /* with a held character */
#define CHUNK_ID_BYTES 3
#define CONTROL_C "\x03"

struct exec_host {
	struct uv_loop_s *loop;
	struct broker_link *link;
	exec_notice_fn *notice;
	void *ctx;
	struct list commands;
	size_t count;
	int64_t next_id;
	uint64_t uses; /* counts up: who was used last */
	bool closing;
	char chunk[READ_CHUNK]; /* one read at a time */
	struct buf delta;       /* one delta at a time */
};

/* One process, from the request to start it until nobody can ask for it any more. */
struct command {
	struct list node;
	struct exec_host *host;
	struct exec_call *call; /* who waits for it, or NULL */
	uv_poll_t poll;         /* on fd; data points back here */
	uv_timer_t timer;       /* the call's yield time; data points back here */
	int handles;            /* open ones of the two */
	int fd;
	struct capture capture; /* since the last answer */
	struct lossy live;      /* of the deltas */
	struct buf input;       /* not yet taken by the terminal */
	char *child;            /* the broker's name, once it runs */
	int64_t id;             /* session number */
	uint64_t used;
	bool numbered; /* the model knows the number */
	bool tty;
	bool doomed; /* killed, or to be killed as soon as it has a name; no session any more */
	bool eof;    /* fd has nothing more; it stays open until the poll handle is closed */
	bool exited;
	bool closing;
	int exit_code;
	json_t *denied; /* of one that failed; NULL: nothing */
};

struct exec_call {
	struct command *command;
	struct exec_watch watch;
	uint64_t began_ns;
	int64_t tokens_max;
	size_t deltas;
	bool owner; /* started the command */
};

/* ---- ends */

static void free_host(struct exec_host *host)
{
	if (!host->closing || host->count > 0)
		return;
	buf_deinit(&host->delta);
	free(host);
}

static void on_closed(uv_handle_t *handle)
{
	struct command *command = handle->data;
	struct exec_host *host = command->host;

	if (--command->handles > 0)
		return;
	capture_deinit(&command->capture);
	buf_deinit(&command->input);
	free(command->child);
	json_decref(command->denied);
	free(command);
	host->count--;
	free_host(host);
}

/* The command is over for us; its memory goes once the loop has let go of it. */
static void command_close(struct command *command)
{
	if (command->closing)
		return;
	command->closing = true;
	list_remove(&command->node);
	broker_child_forget(command->host->link, command);
	free(command->call);
	command->call = NULL;
	uv_close((uv_handle_t *)&command->poll, on_closed);
	uv_close((uv_handle_t *)&command->timer, on_closed);
	fd_close(&command->fd);
}

static void command_signal(struct command *command, int signal)
{
	struct err err = { 0 };

	if (command->child && !command->exited &&
	    broker_child_kill(command->host->link, command->child, signal, &err) < 0)
		log_warn("exec_kill", "why='%s'", err.text);
}

/* No longer a session; goes away when the broker says that it has ended. */
static void command_doom(struct command *command)
{
	command->doomed = true;
	if (command->exited)
		command_close(command);
	else
		command_signal(command, SIGKILL);
}

/* ---- answers */

static void make_chunk_id(char out[static CHUNK_ID_BYTES * 2 + 1])
{
	unsigned char bytes[CHUNK_ID_BYTES] = { 0 };

	if (getrandom(bytes, sizeof bytes, 0) < 0)
		memset(bytes, 0, sizeof bytes); /* a label, nothing depends on it */
	for (size_t i = 0; i < sizeof bytes; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* Takes the call from the command, which may `end` with it, and tells the call's owner last: he may
 * close everything. */
static void answer(struct command *command, const struct exec_outcome *outcome, bool end)
{
	struct exec_call *call = TAKE(command->call);
	struct exec_watch watch = call->watch;

	(void)uv_timer_stop(&command->timer);
	free(call);
	if (end)
		command_doom(command);
	watch.done(watch.ctx, outcome);
}

static uint64_t elapsed_us(const struct exec_call *call)
{
	return (uv_hrtime() - call->began_ns) / 1000;
}

/* The call fails, and the command with it. */
static void answer_failed(struct command *command, const struct err *why, bool started)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);
	struct exec_outcome outcome = { .text = why->text, .output = "", .started = started };
	struct err err = { 0 };

	if (exec_failed_text(&text, why->text, &err) == 0)
		outcome.text = buf_str(&text);
	outcome.text_len = strlen(outcome.text);
	outcome.exit_code = command->exit_code;
	outcome.duration_ms = elapsed_us(command->call) / 1000;
	answer(command, &outcome, true);
}

static int make_texts(struct command *command, struct exec_result *result, struct buf *kept,
		      struct buf *text, struct buf *output, struct err *err)
{
	int rc = capture_text(&command->capture, kept, err);

	if (rc < 0)
		return rc;
	result->output = buf_str(kept);
	result->output_len = kept->len;
	result->total_bytes = kept->len + capture_omitted(&command->capture);
	result->total_lines = command->capture.lines;
	rc = exec_result_text(text, result, command->call->tokens_max, err);
	if (rc == 0)
		rc = denied_text(text, command->denied, err);
	return rc < 0 ? rc : exec_output_text(output, result, EXEC_TOKENS_MAX, err);
}

/* The model is about to learn the command's number: are there too many of them? */
static void tell_crowd(struct command *command)
{
	struct exec_host *host = command->host;
	size_t open = 0;
	struct list *node;
	struct list *safe;
	char text[160];

	if (command->numbered)
		return;
	command->numbered = true;
	LIST_EACH(node, safe, &host->commands)
		open += LIST_ENTRY(node, struct command, node)->numbered;
	if (open < EXEC_SESSIONS_WARN || !host->notice)
		return;
	(void)snprintf(text, sizeof text,
		       "%zu command sessions are open; at %d the one unused for longest is killed. "
		       "Reuse sessions, or end them.",
		       open, EXEC_SESSIONS_MAX);
	host->notice(host->ctx, text);
}

/* What the command printed since the last answer goes to the call, which ends. */
static void answer_output(struct command *command)
{
	char chunk_id[CHUNK_ID_BYTES * 2 + 1] = "";
	struct buf kept SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);
	struct buf text SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);
	struct buf output SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);
	struct exec_result result = { .chunk_id = chunk_id,
				      .wall_us = elapsed_us(command->call),
				      .running = !command->exited,
				      .session_id = command->id,
				      .exit_code = command->exit_code };
	struct exec_outcome outcome = { .started = true,
					.running = !command->exited,
					.session_id = command->id,
					.exit_code = command->exit_code,
					.duration_ms = result.wall_us / 1000,
					.denied = command->denied };
	struct err err = { 0 };

	make_chunk_id(chunk_id);
	if (make_texts(command, &result, &kept, &text, &output, &err) < 0) {
		answer_failed(command, &err, true);
		return;
	}
	capture_clear(&command->capture);
	outcome.text = buf_str(&text);
	outcome.text_len = text.len;
	outcome.output = buf_str(&output);
	outcome.output_len = output.len;
	if (!command->exited)
		tell_crowd(command);
	answer(command, &outcome, command->exited);
}

/* ---- output */

/* Deltas of at most EXEC_DELTA_BYTES, until the call has had its share. */
static void send_deltas(struct command *command, const char *data, size_t len)
{
	struct exec_call *call = command->call;
	struct buf *text = &command->host->delta;

	while (len > 0 && call && call == command->call && call->watch.output &&
	       call->deltas < EXEC_DELTAS_MAX) {
		size_t piece = len < EXEC_DELTA_BYTES ? len : EXEC_DELTA_BYTES;
		struct err err = { 0 };

		buf_clear(text);
		if (lossy_append(&command->live, text, data, piece, false, &err) < 0) {
			log_warn("exec_delta", "why='%s' lost=%zu", err.text, piece);
			return; /* the answer will have it */
		}
		data += piece;
		len -= piece;
		if (text->len == 0)
			continue;
		call->deltas++;
		call->watch.output(call->watch.ctx, text->data, text->len);
	}
}

/* False when there is nothing more to read now, or ever (then the command reads no more). */
static bool read_once(struct command *command, size_t *out_len)
{
	struct exec_host *host = command->host;
	struct err err = { 0 };
	ssize_t got = read(command->fd, host->chunk, sizeof host->chunk);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (got <= 0) { /* the end; a terminal whose other end is closed says EIO */
		(void)uv_poll_stop(&command->poll);
		command->eof = true;
		return false;
	}
	*out_len += (size_t)got;
	if (capture_add(&command->capture, host->chunk, (size_t)got, &err) < 0) {
		log_warn("exec_capture", "why='%s'", err.text);
		if (command->call)
			answer_failed(command, &err, true);
		else
			command_doom(command);
		return false;
	}
	send_deltas(command, host->chunk, (size_t)got);
	return !command->closing;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch_fd(struct command *command)
{
	int events = UV_READABLE | (command->input.len > 0 ? UV_WRITABLE : 0);
	int rc = command->eof ? 0 : uv_poll_start(&command->poll, events, on_poll);

	if (rc < 0) {
		log_warn("exec_poll", "why='%s'", uv_strerror(rc));
		command_signal(command, SIGKILL);
	}
}

/* As much as the terminal takes; the rest when it is ready again. */
static void send_input(struct command *command)
{
	while (command->input.len > 0) {
		ssize_t put = write(command->fd, command->input.data, command->input.len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && errno != EAGAIN) /* nobody reads; its end will be told */
			buf_clear(&command->input);
		if (put <= 0)
			break;
		buf_consume(&command->input, (size_t)put);
	}
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct command *command = poll->data;
	size_t len = 0;

	if (status < 0) {
		log_warn("exec_poll", "why='%s'", uv_strerror(status));
		(void)uv_poll_stop(poll);
		command->eof = true;
		return;
	}
	if (events & UV_WRITABLE) {
		send_input(command);
		watch_fd(command);
	}
	for (int i = 0; i < READS_AT_ONCE && (events & UV_READABLE); i++) {
		if (!read_once(command, &len))
			return;
	}
}

/* ---- what the broker says */

static void on_started(void *ctx, const char *child, const struct err *err)
{
	struct command *command = ctx;
	struct err why = { 0 };

	if (child)
		command->child = str_dup(child);
	if (command->child) {
		if (command->doomed)
			command_signal(command, SIGKILL);
		return;
	}
	/* Without a name it could never be killed, so lack of memory ends it like a refusal. */
	command->exited = true;
	if (!child)
		why = *err;
	else
		(void)ERR_NOMEM_SET(&why);
	if (command->call)
		answer_failed(command, &why, false);
	else
		command_close(command);
}

static void on_exited(void *ctx, const struct broker_child_exited *exited)
{
	struct command *command = ctx;
	struct err err = { 0 };
	size_t len = 0;

	/* Everything that it wrote is in the pipe by now, whoever else still holds the other end.
	 */
	while (!command->eof && !command->doomed && len < DRAIN_MAX && read_once(command, &len)) {
	}
	if (command->closing)
		return;
	command->exited = true;
	command->exit_code = (int)exited->code; /* a signal is in it, as a shell says it */
	command->eof = true;
	if (exited->code != 0 && denied_take(&command->denied, exited, &err) < 0)
		log_warn("exec_denied", "why='%s'", err.text);
	(void)uv_poll_stop(&command->poll);
	if (command->call)
		answer_output(command);
	else if (command->doomed)
		command_close(command);
}

static void on_yield(uv_timer_t *timer)
{
	struct command *command = timer->data;

	if (command->call)
		answer_output(command);
}

/* ---- sessions */

int exec_host_new(struct exec_host **out, struct uv_loop_s *loop, struct broker_link *link,
		  exec_notice_fn *notice, void *ctx, struct err *err)
{
	struct exec_host *host = calloc(1, sizeof *host);

	if (!host)
		return ERR_NOMEM_SET(err);
	host->loop = loop;
	host->link = link;
	host->notice = notice;
	host->ctx = ctx;
	host->next_id = FIRST_SESSION_ID;
	list_init(&host->commands);
	buf_init(&host->delta, DELTA_MAX);
	*out = host;
	return 0;
}

void exec_host_close(struct exec_host *host)
{
	if (!host || host->closing)
		return;
	host->closing = true;
	while (!list_empty(&host->commands)) {
		struct command *command = LIST_ENTRY(host->commands.next, struct command, node);

		command_signal(command, SIGKILL);
		command_close(command);
	}
	free_host(host);
}

void exec_host_stop(struct exec_host *host)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &host->commands) {
		struct command *command = LIST_ENTRY(node, struct command, node);

		if (!command->call)
			command_doom(command);
	}
}

static bool is_session(const struct command *command)
{
	return !command->doomed && !command->closing;
}

size_t exec_host_count(const struct exec_host *host)
{
	size_t count = 0;

	for (struct list *node = host->commands.next; node != &host->commands; node = node->next)
		count += is_session(LIST_ENTRY(node, struct command, node));
	return count;
}

/* Ended ones go first, then the one that was left alone for longest. */
static bool is_staler(const struct command *a, const struct command *b)
{
	if (a->exited != b->exited)
		return a->exited;
	return a->used < b->used;
}

static int make_room(struct exec_host *host, struct err *err)
{
	struct command *stalest = NULL;
	struct list *node;
	struct list *safe;

	if (exec_host_count(host) < EXEC_SESSIONS_MAX)
		return 0;
	LIST_EACH(node, safe, &host->commands) {
		struct command *command = LIST_ENTRY(node, struct command, node);

		if (is_session(command) && !command->call &&
		    (!stalest || is_staler(command, stalest)))
			stalest = command;
	}
	if (!stalest)
		return ERR_SET(err, ERR_LIMIT, "%d commands are running already",
			       EXEC_SESSIONS_MAX);
	command_doom(stalest);
	return 0;
}

static struct command *find_session(struct exec_host *host, int64_t id)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &host->commands) {
		struct command *command = LIST_ENTRY(node, struct command, node);

		if (is_session(command) && command->numbered && command->id == id)
			return command;
	}
	return NULL;
}

/* Takes ends->ours over. */
static struct command *command_new(struct exec_host *host, struct ends *ends, bool tty,
				   struct err *err)
{
	struct command *command = calloc(1, sizeof *command);
	int rc;

	if (!command) {
		(void)ERR_NOMEM_SET(err);
		return NULL;
	}
	rc = uv_poll_init(host->loop, &command->poll, ends->ours);
	if (rc < 0) {
		(void)ERR_SET(err, ERR_SYSTEM, "watch a command: %s", uv_strerror(rc));
		free(command);
		return NULL;
	}
	(void)uv_timer_init(host->loop, &command->timer);
	command->poll.data = command;
	command->timer.data = command;
	command->handles = 2;
	command->host = host;
	command->fd = fd_take(&ends->ours);
	command->tty = tty;
	command->id = host->next_id++;
	capture_init(&command->capture);
	buf_init(&command->input, INPUT_MAX);
	list_add(&host->commands, &command->node);
	host->count++;
	return command;
}

/* The command's new call; answered after wait_ms at the latest. */
static struct exec_call *call_new(struct command *command, const struct exec_watch *watch,
				  int64_t wait_ms, int64_t tokens_max, struct err *err)
{
	struct exec_call *call = calloc(1, sizeof *call);

	if (!call) {
		(void)ERR_NOMEM_SET(err);
		return NULL;
	}
	call->command = command;
	call->watch = *watch;
	call->began_ns = uv_hrtime();
	call->tokens_max = tokens_max;
	command->call = call;
	command->used = ++command->host->uses;
	uv_update_time(command->host->loop);
	(void)uv_timer_start(&command->timer, on_yield, (uint64_t)wait_ms, 0);
	return call;
}

static int ask_broker(struct command *command, const struct exec_request *request,
		      struct ends *ends, struct err *err)
{
	const struct exec_command *what = request->command;
	struct broker_child_spec spec = { .ceiling = request->ceiling, .grant = request->grant };

	if (!request->grant) {
		spec.argv = what->argv;
		spec.argc = what->argc;
		spec.cwd = what->cwd;
		spec.env = what->env;
		spec.envc = what->envc;
	}
	for (int i = 0; i < 3; i++)
		spec.stdio[i] = fd_take(&ends->child[i]); /* closed by the link */
	return broker_child_start(command->host->link, &spec, on_started, on_exited, command, err);
}

struct exec_call *exec_start(struct exec_host *host, const struct exec_request *request,
			     const struct exec_watch *watch, struct err *err)
{
	const struct exec_args *args = request->args;
	struct ends ends SCOPED(ends_close) = ENDS_INIT;
	struct command *fresh;
	struct exec_call *call;

	if (make_room(host, err) < 0)
		return NULL;
	if ((args->tty ? ends_terminal(&ends, err) : ends_pipe(&ends, err)) < 0)
		return NULL;
	fresh = command_new(host, &ends, args->tty, err);
	if (!fresh)
		return NULL;
	call = call_new(fresh, watch, args->yield_ms, args->tokens_max, err);
	if (!call || ask_broker(fresh, request, &ends, err) < 0) {
		command_close(fresh);
		return NULL;
	}
	call->owner = true;
	watch_fd(fresh);
	return call;
}

/* What write_stdin may send to the command. Control-C reaches one without a terminal as a signal.
 */
static int take_chars(struct command *command, const struct stdin_args *args, struct err *err)
{
	if (args->chars_len == 0 || command->exited)
		return 0;
	if (command->tty) {
		if (buf_append(&command->input, args->chars, args->chars_len, err) < 0)
			return ERR_WRAP(err, "the terminal does not read");
		send_input(command);
		watch_fd(command);
		return 0;
	}
	if (args->chars_len != strlen(CONTROL_C) || args->chars[0] != CONTROL_C[0])
		return ERR_SET(err, ERR_STATE,
			       "stdin is closed for this session; rerun exec_command with tty=true "
			       "to keep stdin open");
	command_signal(command, SIGTERM);
	return 0;
}

struct exec_call *exec_write(struct exec_host *host, const struct stdin_args *args,
			     const struct exec_watch *watch, struct err *err)
{
	struct command *command = find_session(host, args->session_id);
	struct exec_call *call = NULL;

	if (!command) {
		(void)ERR_SET(err, ERR_NOTFOUND, "write_stdin failed: Unknown process id %lld",
			      (long long)args->session_id);
		return NULL;
	}
	if (command->call)
		(void)ERR_SET(err, ERR_STATE, "another call waits for session %lld",
			      (long long)args->session_id);
	else if (take_chars(command, args, err) == 0)
		call = call_new(command, watch, command->exited ? 0 : args->yield_ms,
				args->tokens_max, err);
	if (!call)
		(void)ERR_WRAP(err, "write_stdin failed");
	return call;
}

void exec_cancel(struct exec_call *call)
{
	struct command *command = call->command;
	bool owner = call->owner;

	command->call = NULL;
	(void)uv_timer_stop(&command->timer);
	free(call);
	if (owner)
		command_doom(command);
}
