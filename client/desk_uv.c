#include "client/desk_uv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "client/command.h"
#include "client/desk_part.h"

static void on_ending(uv_timer_t *timer)
{
	struct desk *desk = timer->data;

	desk->ended(desk->ctx, desk, desk->exit_code);
}

void desk_end(struct desk *desk, int exit_code)
{
	if (desk->over)
		return;
	desk->over = true;
	desk->exit_code = exit_code;
	(void)uv_timer_start(&desk->ending, on_ending, 0, 0); /* fails for closed handles only */
}

void desk_interrupt(struct desk *desk)
{
	struct err err = { 0 };

	if (desk->over)
		return;
	if (!desk->joined) {
		desk_end(desk, EXIT_FAILED);
	} else if (desk_at_rest(desk)) {
		desk->mark = false;
		desk_say(desk, AGENT_NOTICE_LEVEL_INFO,
			 "Nothing runs. Ctrl-D leaves; the session goes on.");
		desk_ready(desk);
	} else if (talk_cancel(desk->talk, &err) < 0) {
		desk_say(desk, AGENT_NOTICE_LEVEL_ERROR, err.text);
	}
}

void desk_leave(struct desk *desk)
{
	char hint[256];

	if (desk->over)
		return;
	if (desk->joined) {
		(void)snprintf(hint, sizeof hint,
			       "Left. The session goes on; return with: agent attach %s",
			       talk_session(desk->talk));
		desk_say(desk, AGENT_NOTICE_LEVEL_INFO, hint);
	}
	desk_end(desk, EXIT_DONE);
}

static void queue_prompt(struct desk *desk, const char *line)
{
	char *copy;

	if (desk->queue_count == DESK_QUEUE_MAX) {
		desk_say(desk, AGENT_NOTICE_LEVEL_WARNING,
			 "not sent: too many prompts wait already");
		return;
	}
	copy = str_dup(line);
	if (!copy) {
		desk_end(desk, EXIT_FAILED);
		return;
	}
	desk->queue[desk->queue_count++] = copy;
	if (!desk_at_rest(desk))
		desk_say(desk, AGENT_NOTICE_LEVEL_INFO, "queued for after this turn");
	desk_ready(desk);
}

static void take_line(struct desk *desk, const char *line)
{
	enum approval_answer answer;

	if (!desk->shown) {
		if (line[strspn(line, " \t\r")])
			queue_prompt(desk, line);
		else
			desk_ready(desk);
		return;
	}
	answer = approval_read(line);
	if (answer == APPROVAL_NO_ANSWER || !approval_option(&desk->shown->request, answer))
		desk_ask(desk);
	else
		desk_answer(desk, answer);
}

static void take_lines(struct desk *desk)
{
	char *newline;

	while (!desk->over && desk->line.len > 0 &&
	       (newline = memchr(desk->line.data, '\n', desk->line.len)) != NULL) {
		size_t len = (size_t)(newline - desk->line.data);
		char *line SCOPED(str_free) = str_dup_len(desk->line.data, len);

		buf_consume(&desk->line, len + 1);
		desk->mark = false;
		if (line)
			take_line(desk, line);
		else
			desk_end(desk, EXIT_FAILED);
	}
}

static void on_typed(uv_poll_t *poll, int status, int events)
{
	struct desk *desk = poll->data;
	char chunk[4096];
	struct err err = { 0 };
	ssize_t n;

	(void)events;
	if (status < 0) {
		desk_leave(desk);
		return;
	}
	n = read(STDIN_FILENO, chunk, sizeof chunk);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		desk_leave_mark(desk);
		desk_leave(desk);
	} else if (buf_append(&desk->line, chunk, (size_t)n, &err) < 0) {
		buf_clear(&desk->line);
		desk_say(desk, AGENT_NOTICE_LEVEL_WARNING,
			 "that line was too long; it was not sent");
	} else {
		take_lines(desk);
	}
}

static void desk_free(struct desk *desk)
{
	struct err err = { 0 };

	(void)(text_end(&desk->text, &err) < 0); /* nobody is left to be told */
	text_deinit(&desk->text);
	view_deinit(&desk->view);
	buf_deinit(&desk->line);
	while (desk->queue_count > 0)
		free(desk->queue[--desk->queue_count]);
	fd_close(&desk->record_fd);
	free(desk);
}

static void on_closed(uv_handle_t *handle)
{
	struct desk *desk = handle->data;

	if (--desk->handles == 0)
		desk_free(desk);
}

void desk_close(struct desk *desk)
{
	if (!desk || desk->closed)
		return;
	desk->closed = true;
	desk->over = true;
	desk_forget(desk, NULL);
	talk_close(desk->talk);
	if (desk->handles > 1)
		uv_close((uv_handle_t *)&desk->stdin_poll, on_closed);
	uv_close((uv_handle_t *)&desk->ending, on_closed);
}

const char *desk_session(const struct desk *desk)
{
	return talk_session(desk->talk);
}

static int watch_terminal(struct desk *desk, struct err *err)
{
	int rc;

	if (!desk->input.terminal)
		return 0;
	rc = uv_poll_init(desk->input.talk.loop, &desk->stdin_poll, STDIN_FILENO);
	if (rc == 0) {
		desk->handles++;
		desk->stdin_poll.data = desk;
		rc = uv_poll_start(&desk->stdin_poll, UV_READABLE, on_typed);
	}
	return rc < 0 ? ERR_SET(err, ERR_SYSTEM, "standard input: %s", uv_strerror(rc)) : 0;
}

static int open_record(struct desk *desk, struct err *err)
{
	const char *file = desk->input.record_file;

	if (!file)
		return 0;
	desk->record_fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return desk->record_fd < 0 ? ERR_SYS(err, errno, "--record '%s'", file) : 0;
}

int desk_open(struct desk **out, const struct desk_input *input, desk_ended_fn *ended, void *ctx,
	      struct err *err)
{
	struct desk *desk = calloc(1, sizeof *desk);

	if (!desk)
		return ERR_NOMEM_SET(err);
	(void)uv_timer_init(input->talk.loop, &desk->ending); /* cannot fail */
	desk->ending.data = desk;
	desk->handles = 1;
	desk->input = *input;
	desk->ended = ended;
	desk->ctx = ctx;
	desk->record_fd = -1;
	desk->view.color = input->color;
	desk->state = AGENT_SESSION_STATE_IDLE;
	list_init(&desk->questions);
	buf_init(&desk->line, DESK_LINE_MAX);
	text_init(&desk->text, STDOUT_FILENO, input->prefix, input->whole_lines);
	if (open_record(desk, err) < 0 || watch_terminal(desk, err) < 0 ||
	    talk_open(&desk->talk, &input->talk, &desk_events, desk, err) < 0) {
		desk_close(desk);
		return (int)err->code;
	}
	*out = desk;
	return 0;
}
