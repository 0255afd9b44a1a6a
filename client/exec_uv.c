#include "client/exec_uv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "client/command.h"
#include "client/json.h"
#include "client/text.h"
#include "client/view.h"

#define OUTPUT_MAX 67108864 /* bytes made of one event */
#define RECONNECTING "reconnecting"

struct exec {
	struct exec_input input;
	struct talk *talk;
	struct json_stream stream; /* also collects the final answer when nothing else is JSON */
	struct view view;
	struct text err_text;
	uv_signal_t signals[3];
	uv_timer_t patience; /* for a cancelled turn; doubles as the way out of an event */
	size_t signal_count;
	size_t clients;
	int record_fd;
	int exit_code;
	bool joined;
	bool ended; /* the turn */
	bool cancelled;
	bool over;
};

static void on_over(uv_timer_t *timer)
{
	struct exec *exec = timer->data;
	struct err err = { 0 };

	/* Nobody else looks on: the transcript is what stays. */
	if (exec->joined && exec->clients <= 1 && talk_end(exec->talk, &err) < 0)
		exec->joined = false; /* it is gone anyhow */
	talk_close(exec->talk);
	exec->talk = NULL;
	for (size_t i = 0; i < exec->signal_count; i++)
		uv_close((uv_handle_t *)&exec->signals[i], NULL);
	uv_close((uv_handle_t *)&exec->patience, NULL);
}

/* From the loop, so that no event finds its talk closed under it. */
static void finish(struct exec *exec, int exit_code)
{
	if (exec->over)
		return;
	exec->over = true;
	exec->exit_code = exit_code;
	(void)uv_timer_start(&exec->patience, on_over, 0, 0); /* fails for closed handles only */
}

/* A reader that has gone away ends the run: nobody wants the rest. */
static void write_events(struct exec *exec, const struct buf *out)
{
	struct err err = { 0 };

	if (exec->input.json && out->len > 0 &&
	    fd_write_all(STDOUT_FILENO, out->data, out->len, &err) < 0)
		finish(exec, EXIT_FAILED);
}

static void write_text(struct exec *exec, const struct buf *out)
{
	struct err err = { 0 };

	if (!exec->input.json && out->len > 0 &&
	    text_write(&exec->err_text, out->data, out->len, &err) < 0)
		finish(exec, EXIT_FAILED);
}

static void give_up(struct exec *exec, const struct err *err)
{
	(void)fprintf(stderr, "agent exec: %s\n", err->text);
	finish(exec, EXIT_FAILED);
}

/* The turn will never be ended by agentd: say so in its place. */
static void fail(struct exec *exec, const char *why)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(OUTPUT_MAX);
	struct agent_turn_error error = { .message = why, .kind = "internal" };
	struct agent_turn_completed turn = { .status = AGENT_TURN_STATUS_FAILED, .error = &error };
	struct err err = { 0 };

	if (exec->over || exec->ended)
		return;
	exec->ended = true;
	if (json_turn_ended(&exec->stream, &turn, &out, &err) == 0)
		write_events(exec, &out);
	(void)fprintf(stderr, "agent exec: %s\n", why);
	if (exec->joined)
		(void)fprintf(stderr, "agent exec: return to this session with: agent attach %s\n",
			      talk_session(exec->talk));
	finish(exec, EXIT_FAILED);
}

static void on_joined(void *ctx, const struct talk_joined *joined)
{
	struct exec *exec = ctx;
	struct buf events SCOPED(buf_deinit) = BUF_INIT(OUTPUT_MAX);
	struct buf text SCOPED(buf_deinit) = BUF_INIT(OUTPUT_MAX);
	struct talk_prompt prompt = { .text = exec->input.prompt,
				      .images = exec->input.images,
				      .schema = exec->input.schema };
	struct err err = { 0 };

	exec->joined = true;
	if (json_thread_started(&events, joined->session_id, &err) < 0 ||
	    json_turn_started(&events, &err) < 0 ||
	    (joined->info && view_header(&exec->view, joined->session_id, joined->info,
					 joined->policy, &text, &err) < 0) ||
	    talk_prompt(exec->talk, &prompt, &err) < 0) {
		fail(exec, err.text);
		return;
	}
	write_events(exec, &events);
	write_text(exec, &text);
}

static void on_update(void *ctx, const struct agent_update *update)
{
	struct exec *exec = ctx;
	struct buf events SCOPED(buf_deinit) = BUF_INIT(OUTPUT_MAX);
	struct buf text SCOPED(buf_deinit) = BUF_INIT(OUTPUT_MAX);
	struct err err = { 0 };

	if (json_update(&exec->stream, update, &events, &err) < 0 ||
	    (!exec->input.json && view_update(&exec->view, update, &text, &err) < 0)) {
		give_up(exec, &err);
		return;
	}
	write_events(exec, &events);
	write_text(exec, &text);
}

static void on_notice(void *ctx, const struct agent_notice *notice)
{
	struct exec *exec = ctx;
	struct buf events SCOPED(buf_deinit) = BUF_INIT(OUTPUT_MAX);
	struct buf text SCOPED(buf_deinit) = BUF_INIT(OUTPUT_MAX);
	struct err err = { 0 };
	bool plain =
		str_eq(notice->kind, RECONNECTING) || notice->level == AGENT_NOTICE_LEVEL_ERROR;
	int rc = 0;

	if (plain)
		rc = json_error(&events, notice->message, &err);
	else if (notice->level == AGENT_NOTICE_LEVEL_WARNING)
		rc = json_warning(&exec->stream, notice->message, &events, &err);
	if (rc < 0 || view_notice(&exec->view, notice, &text, &err) < 0) {
		give_up(exec, &err);
		return;
	}
	write_events(exec, &events);
	write_text(exec, &text);
}

static void on_asked(void *ctx, struct talk_question *question)
{
	struct exec *exec = ctx;
	struct broker_grant_record record = { 0 };
	struct err err = { 0 };

	/* The seal is needed even for a no. */
	if ((question->grant && talk_record(exec->talk, question, &record, &err) < 0) ||
	    talk_answer(exec->talk, question, APPROVAL_REJECT, &err) < 0)
		(void)fprintf(stderr, "agent exec: %s\n", err.text);
}

static void on_resolved(void *ctx, const struct agent_permission_resolved *resolved,
			const struct talk_question *question)
{
	(void)ctx;
	(void)resolved;
	(void)question;
}

static void on_clients(void *ctx, const struct agent_clients_changed *changed)
{
	struct exec *exec = ctx;

	exec->clients = changed->clients_count;
}

static void on_state(void *ctx, enum agent_session_state state)
{
	(void)ctx;
	(void)state;
}

static void on_recorded(void *ctx, const char *line)
{
	struct exec *exec = ctx;
	struct err err = { 0 };

	if (exec->record_fd >= 0 && (fd_write_all(exec->record_fd, line, strlen(line), &err) < 0 ||
				     fd_write_all(exec->record_fd, "\n", 1, &err) < 0))
		give_up(exec, &err);
}

/* The last message, where it was asked for: a file, and standard output unless it was seen already.
 */
static int write_answer(struct exec *exec, struct err *err)
{
	const char *answer = exec->stream.final_message ? exec->stream.final_message : "";
	bool seen = isatty(STDOUT_FILENO) && isatty(STDERR_FILENO);

	if (exec->input.answer_file) {
		int fd SCOPED(fd_close) = open(exec->input.answer_file,
					       O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

		if (fd < 0)
			return ERR_SYS(err, errno, "--output-last-message '%s'",
				       exec->input.answer_file);
		if (fd_write_all(fd, answer, strlen(answer), err) < 0)
			return ERR_WRAP(err, "--output-last-message '%s'", exec->input.answer_file);
	}
	if (exec->input.json || seen || !*answer)
		return 0;
	if (fd_write_all(STDOUT_FILENO, answer, strlen(answer), err) < 0 ||
	    fd_write_all(STDOUT_FILENO, "\n", str_ends(answer, "\n") ? 0 : 1, err) < 0)
		return ERR_WRAP(err, "standard output");
	return 0;
}

static void on_turn_ended(void *ctx, const struct agent_turn_completed *turn)
{
	struct exec *exec = ctx;
	struct buf events SCOPED(buf_deinit) = BUF_INIT(OUTPUT_MAX);
	struct buf text SCOPED(buf_deinit) = BUF_INIT(OUTPUT_MAX);
	struct err err = { 0 };

	if (exec->ended)
		return;
	exec->ended = true;
	if (json_turn_ended(&exec->stream, turn, &events, &err) < 0 ||
	    view_turn(&exec->view, turn, &text, &err) < 0) {
		give_up(exec, &err);
		return;
	}
	write_text(exec, &text);
	if (write_answer(exec, &err) < 0)
		give_up(exec, &err);
	write_events(exec, &events);
	finish(exec, turn->status == AGENT_TURN_STATUS_COMPLETED && !exec->cancelled ? EXIT_DONE
										     : EXIT_FAILED);
}

static void on_answered(void *ctx, const struct err *failure)
{
	/* Without a failure the end of the turn has been told before. */
	fail(ctx, failure ? failure->text : "agentd ended the turn without saying how");
}

static void on_failed(void *ctx, const struct err *failure)
{
	struct exec *exec = ctx;

	if (exec->joined)
		fail(exec, failure->text);
	else if (!exec->over)
		give_up(exec, failure);
}

static const struct talk_events talk_events = {
	.joined = on_joined,
	.update = on_update,
	.notice = on_notice,
	.asked = on_asked,
	.resolved = on_resolved,
	.clients = on_clients,
	.state = on_state,
	.recorded = on_recorded,
	.turn_ended = on_turn_ended,
	.answered = on_answered,
	.failed = on_failed,
};

static void on_patience(uv_timer_t *timer)
{
	finish(timer->data, EXIT_FAILED);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct exec *exec = handle->data;
	struct err err = { 0 };

	(void)number;
	if (!exec->joined || exec->cancelled || exec->ended || talk_cancel(exec->talk, &err) < 0) {
		finish(exec, EXIT_FAILED);
		return;
	}
	exec->cancelled = true;
	(void)uv_timer_start(&exec->patience, on_patience, EXEC_CANCEL_MS, 0);
}

static int watch(struct exec *exec, uv_loop_t *loop, struct err *err)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		int rc = uv_signal_init(loop, &exec->signals[i]);

		if (rc == 0) {
			exec->signal_count++;
			exec->signals[i].data = exec;
			rc = uv_signal_start(&exec->signals[i], on_signal, numbers[i]);
		}
		if (rc < 0)
			return ERR_SET(err, ERR_SYSTEM, "signals: %s", uv_strerror(rc));
	}
	return 0;
}

static int open_record(struct exec *exec, struct err *err)
{
	const char *file = exec->input.record_file;

	exec->record_fd = -1;
	if (!file)
		return 0;
	exec->record_fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return exec->record_fd < 0 ? ERR_SYS(err, errno, "--record '%s'", file) : 0;
}

static void run(struct exec *exec, uv_loop_t *loop)
{
	struct err err = { 0 };

	(void)uv_timer_init(loop, &exec->patience); /* cannot fail */
	exec->patience.data = exec;
	exec->input.talk.loop = loop;
	if (open_record(exec, &err) < 0 || watch(exec, loop, &err) < 0 ||
	    talk_open(&exec->talk, &exec->input.talk, &talk_events, exec, &err) < 0)
		give_up(exec, &err);
	(void)uv_run(loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(loop);
}

int exec_run(const struct exec_input *input)
{
	struct exec *exec = calloc(1, sizeof *exec);
	uv_loop_t *loop = uv_default_loop();
	int exit_code = EXIT_FAILED;

	if (!exec || !loop) {
		(void)fprintf(stderr, "agent exec: out of memory\n");
	} else {
		exec->input = *input;
		exec->exit_code = EXIT_FAILED;
		exec->view.color = input->color;
		json_stream_init(&exec->stream);
		text_init(&exec->err_text, STDERR_FILENO, NULL, false);
		run(exec, loop);
		exit_code = exec->exit_code;
		json_stream_deinit(&exec->stream);
		view_deinit(&exec->view);
		text_deinit(&exec->err_text);
		fd_close(&exec->record_fd);
	}
	free(exec);
	return exit_code;
}
