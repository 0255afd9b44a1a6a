#include "client/desk_uv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <uv.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/codec.h"

#include "client/command.h"
#include "client/text.h"
#include "client/view.h"

#define OUTPUT_MAX 8388608 /* bytes shown for one event */
#define PROMPT_MARK "> "
#define CLIENT_NAME_MAX 100 /* bytes of a client's name that are shown */

/* A client that was there when the list last changed. */
struct seen {
	char id[WIRE_ID_MAX + 1];
	char name[CLIENT_NAME_MAX + 1];
};

struct desk {
	struct desk_input input;
	struct talk *talk;
	struct view view;
	struct text text;
	desk_ended_fn *ended;
	void *ctx;
	uv_poll_t stdin_poll; /* these two point back here; the last one closed frees */
	uv_timer_t ending;    /* tells the owner from the loop, not from inside an event */
	unsigned handles;     /* open ones */
	int exit_code;
	struct buf line;
	struct list questions; /* of struct waiting, in the order in which they came */
	struct talk_question *shown;
	char *queue[DESK_QUEUE_MAX];
	size_t queue_count;
	enum agent_session_state state;
	struct seen seen[AGENT_CLIENTS_MAX];
	size_t seen_count;
	bool clients_known;
	bool joined;
	bool prompting;  /* an own prompt is under way */
	bool turn_shown; /* how that turn ended has been said */
	bool mark;       /* the prompt mark stands at the beginning of the line */
	bool over;
	bool closed;
	int record_fd;
};

/* A question that waits behind the one that is shown. */
struct waiting {
	struct list node;
	struct talk_question *question;
};

static void on_ending(uv_timer_t *timer)
{
	struct desk *desk = timer->data;

	desk->ended(desk->ctx, desk, desk->exit_code);
}

/* Nothing more is shown or read from here on. */
static void end(struct desk *desk, int exit_code)
{
	if (desk->over)
		return;
	desk->over = true;
	desk->exit_code = exit_code;
	(void)uv_timer_start(&desk->ending, on_ending, 0, 0); /* fails for closed handles only */
}

/* Shows, and ends the desk when that fails: a terminal that is gone reads nothing. */
static void show(struct desk *desk, const struct buf *out)
{
	struct err err = { 0 };

	if (out->len > 0 && text_write(&desk->text, out->data, out->len, &err) < 0)
		end(desk, EXIT_FAILED);
}

/* Something else than the prompt is about to be written. */
static void leave_mark(struct desk *desk)
{
	struct err err = { 0 };

	if (desk->mark && text_write(&desk->text, "\n", 1, &err) < 0)
		end(desk, EXIT_FAILED);
	desk->mark = false;
}

static void say(struct desk *desk, enum agent_notice_level level, const char *sentence)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(OUTPUT_MAX);
	struct err err = { 0 };

	leave_mark(desk);
	if (view_say(&desk->view, level, sentence, &out, &err) < 0)
		end(desk, EXIT_FAILED);
	else
		show(desk, &out);
}

static bool at_rest(const struct desk *desk)
{
	return desk->joined && !desk->prompting && !desk->shown &&
	       desk->state == AGENT_SESSION_STATE_IDLE;
}

static void send_prompt(struct desk *desk, const char *text, const struct images *images)
{
	struct talk_prompt prompt = { .text = text, .images = images };
	struct err err = { 0 };

	desk->turn_shown = false;
	if (talk_prompt(desk->talk, &prompt, &err) < 0)
		say(desk, AGENT_NOTICE_LEVEL_ERROR, err.text);
	else
		desk->prompting = true;
}

/* The next queued prompt, or the mark that asks for one. */
static void ready(struct desk *desk)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(64);
	struct err err = { 0 };

	if (desk->over || desk->mark || !at_rest(desk))
		return;
	if (desk->queue_count > 0) {
		char *text SCOPED(str_free) = desk->queue[0];

		memmove(&desk->queue[0], &desk->queue[1],
			--desk->queue_count * sizeof desk->queue[0]);
		send_prompt(desk, text, NULL);
		return;
	}
	if (!desk->input.terminal || desk->input.until_idle)
		return;
	if (view_flush(&desk->view, &out, &err) < 0 || buf_puts(&out, "\n" PROMPT_MARK, &err) < 0) {
		end(desk, EXIT_FAILED);
		return;
	}
	show(desk, &out);
	desk->mark = true;
}

/* Questions. */

static void ask_question(struct desk *desk)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(OUTPUT_MAX);
	struct err err = { 0 };

	if (approval_ask(&out, &desk->shown->request, &err) < 0)
		say(desk, AGENT_NOTICE_LEVEL_ERROR, err.text);
	else
		show(desk, &out);
}

static void show_next_question(struct desk *desk);

static void answer_shown(struct desk *desk, enum approval_answer answer)
{
	struct talk_question *question = desk->shown;
	struct err err = { 0 };

	desk->shown = NULL;
	if (talk_answer(desk->talk, question, answer, &err) < 0)
		say(desk, AGENT_NOTICE_LEVEL_WARNING, err.text);
	show_next_question(desk);
}

static void answer_for_nobody(struct desk *desk)
{
	bool yes = desk->input.stand_in == APPROVAL_ONCE;

	say(desk, AGENT_NOTICE_LEVEL_WARNING,
	    yes ? "There is no terminal to ask on. For the demonstration the answer is: yes, this "
		  "once."
		: "There is no terminal to ask on, so the answer is no.");
	answer_shown(desk, yes ? APPROVAL_ONCE : APPROVAL_REJECT);
}

static int show_question(struct desk *desk, struct talk_question *question, struct err *err)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(SIZE_MAX / 4);
	struct broker_grant_record record = { 0 };

	leave_mark(desk);
	if (question->grant && talk_record(desk->talk, question, &record, err) < 0)
		return (int)err->code;
	if (view_flush(&desk->view, &out, err) < 0 || buf_putc(&out, '\n', err) < 0 ||
	    approval_show(&out, desk->input.color, question->grant ? &record : NULL,
			  &question->request, err) < 0)
		return (int)err->code;
	show(desk, &out);
	return 0;
}

/* What was typed before a question appeared was not meant for it. */
static void discard_typed(struct desk *desk)
{
	buf_clear(&desk->line);
	if (desk->input.terminal)
		(void)tcflush(STDIN_FILENO, TCIFLUSH);
}

static void show_next_question(struct desk *desk)
{
	while (!desk->over && !desk->shown && !list_empty(&desk->questions)) {
		struct waiting *waiting = LIST_ENTRY(desk->questions.next, struct waiting, node);
		struct talk_question *question = waiting->question;
		struct err err = { 0 };

		list_remove(&waiting->node);
		free(waiting);
		if (show_question(desk, question, &err) < 0) {
			say(desk, AGENT_NOTICE_LEVEL_WARNING, err.text);
			continue; /* it stays open for others, and is told when they answer */
		}
		desk->shown = question;
		discard_typed(desk);
		if (desk->input.terminal)
			ask_question(desk);
		else
			answer_for_nobody(desk);
	}
}

static void on_asked(void *ctx, struct talk_question *question)
{
	struct desk *desk = ctx;
	struct waiting *waiting = calloc(1, sizeof *waiting);

	if (!waiting) {
		say(desk, AGENT_NOTICE_LEVEL_ERROR, "out of memory: a question cannot be shown");
		return;
	}
	waiting->question = question;
	list_add(&desk->questions, &waiting->node);
	show_next_question(desk);
}

static void forget_question(struct desk *desk, const struct talk_question *question)
{
	struct list *node;
	struct list *safe;

	if (desk->shown == question)
		desk->shown = NULL;
	LIST_EACH(node, safe, &desk->questions) {
		struct waiting *waiting = LIST_ENTRY(node, struct waiting, node);

		if (!question || waiting->question == question) {
			list_remove(node);
			free(waiting);
		}
	}
}

static void on_resolved(void *ctx, const struct agent_permission_resolved *resolved,
			const struct talk_question *question)
{
	struct desk *desk = ctx;
	struct buf out SCOPED(buf_deinit) = BUF_INIT(OUTPUT_MAX);
	struct err err = { 0 };

	if (question && desk->shown == question)
		show(desk, &(struct buf){ .data = (char[]){ "\n" }, .len = 1 });
	if (question)
		forget_question(desk, question);
	leave_mark(desk);
	if (view_resolved(&desk->view, resolved, &out, &err) < 0)
		end(desk, EXIT_FAILED);
	else
		show(desk, &out);
	show_next_question(desk);
}

/* What happens. */

static void on_joined(void *ctx, const struct talk_joined *joined)
{
	struct desk *desk = ctx;
	struct buf out SCOPED(buf_deinit) = BUF_INIT(OUTPUT_MAX);
	struct err err = { 0 };

	desk->joined = true;
	desk->state = joined->state;
	if (joined->info && view_header(&desk->view, joined->session_id, joined->info,
					joined->policy, &out, &err) < 0) {
		end(desk, EXIT_FAILED);
		return;
	}
	show(desk, &out);
	if (desk->input.terminal)
		say(desk, AGENT_NOTICE_LEVEL_INFO,
		    "Ctrl-C interrupts a turn. Ctrl-D leaves; the session goes on.");
	if (desk->input.joined)
		desk->input.joined(desk->ctx, joined->session_id);
	if (desk->input.prompt)
		send_prompt(desk, desk->input.prompt, desk->input.images);
	ready(desk);
}

static void on_update(void *ctx, const struct agent_update *update)
{
	struct desk *desk = ctx;
	struct buf out SCOPED(buf_deinit) = BUF_INIT(OUTPUT_MAX);
	struct err err = { 0 };

	if (view_update(&desk->view, update, &out, &err) < 0) {
		say(desk, AGENT_NOTICE_LEVEL_ERROR, err.text);
		return;
	}
	if (out.len > 0)
		leave_mark(desk);
	show(desk, &out);
}

static void on_notice(void *ctx, const struct agent_notice *notice)
{
	say(ctx, notice->level, notice->message);
}

static const struct seen *find_seen(const struct desk *desk, const char *id)
{
	for (size_t i = 0; i < desk->seen_count; i++) {
		if (str_eq(desk->seen[i].id, id))
			return &desk->seen[i];
	}
	return NULL;
}

static void say_client(struct desk *desk, const char *name, const char *what)
{
	char text[CLIENT_NAME_MAX + 64];

	(void)snprintf(text, sizeof text, "%.*s %s", CLIENT_NAME_MAX, name, what);
	say(desk, AGENT_NOTICE_LEVEL_INFO, text);
}

/* Who came and who left; nothing about those who were there before. */
static void on_clients(void *ctx, const struct agent_clients_changed *changed)
{
	struct desk *desk = ctx;
	struct seen fresh[AGENT_CLIENTS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < changed->clients_count && count < AGENT_CLIENTS_MAX; i++) {
		const struct agent_client_info *client = &changed->clients[i];

		if (desk->clients_known && !find_seen(desk, client->client_id))
			say_client(desk, client->name,
				   client->role == AGENT_ROLE_OBSERVER ? "has come to look"
								       : "has joined");
		(void)snprintf(fresh[count].id, sizeof fresh[count].id, "%s", client->client_id);
		(void)snprintf(fresh[count].name, sizeof fresh[count].name, "%.*s", CLIENT_NAME_MAX,
			       client->name);
		count++;
	}
	for (size_t i = 0; i < desk->seen_count; i++) {
		bool here = false;

		for (size_t j = 0; j < count; j++)
			here = here || str_eq(fresh[j].id, desk->seen[i].id);
		if (!here)
			say_client(desk, desk->seen[i].name, "has left");
	}
	memcpy(desk->seen, fresh, count * sizeof fresh[0]);
	desk->seen_count = count;
	desk->clients_known = true;
	ready(desk);
}

static void on_state(void *ctx, enum agent_session_state state)
{
	struct desk *desk = ctx;

	desk->state = state;
	ready(desk);
}

static void on_recorded(void *ctx, const char *line)
{
	struct desk *desk = ctx;
	struct err err = { 0 };

	if (desk->record_fd >= 0 && (fd_write_all(desk->record_fd, line, strlen(line), &err) < 0 ||
				     fd_write_all(desk->record_fd, "\n", 1, &err) < 0)) {
		fd_close(&desk->record_fd);
		say(desk, AGENT_NOTICE_LEVEL_ERROR, err.text);
	}
}

static void on_turn_ended(void *ctx, const struct agent_turn_completed *turn)
{
	struct desk *desk = ctx;
	struct buf out SCOPED(buf_deinit) = BUF_INIT(OUTPUT_MAX);
	struct err err = { 0 };

	desk->turn_shown = true;
	if (turn->status != AGENT_TURN_STATUS_COMPLETED)
		leave_mark(desk);
	if (view_turn(&desk->view, turn, &out, &err) < 0)
		end(desk, EXIT_FAILED);
	else
		show(desk, &out);
	if (desk->input.until_idle && !desk->prompting)
		end(desk, EXIT_DONE);
}

static void on_answered(void *ctx, const struct err *failure)
{
	struct desk *desk = ctx;

	desk->prompting = false;
	if (failure && failure->code == ERR_GONE)
		return; /* on_failed() says it */
	if (failure && !desk->turn_shown)
		say(desk, AGENT_NOTICE_LEVEL_ERROR, failure->text);
	if (desk->input.until_idle)
		end(desk, failure ? EXIT_FAILED : EXIT_DONE);
	ready(desk);
}

static void on_failed(void *ctx, const struct err *failure)
{
	struct desk *desk = ctx;
	char hint[256];

	if (desk->over)
		return;
	say(desk, AGENT_NOTICE_LEVEL_ERROR, failure->text);
	if (desk->joined) {
		(void)snprintf(hint, sizeof hint, "Continue this session with: agent attach %s",
			       talk_session(desk->talk));
		say(desk, AGENT_NOTICE_LEVEL_INFO, hint);
	}
	end(desk, EXIT_FAILED);
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

/* What is typed. */

void desk_interrupt(struct desk *desk)
{
	struct err err = { 0 };

	if (desk->over)
		return;
	if (!desk->joined) {
		end(desk, EXIT_FAILED);
	} else if (at_rest(desk)) {
		desk->mark = false;
		say(desk, AGENT_NOTICE_LEVEL_INFO,
		    "Nothing runs. Ctrl-D leaves; the session goes on.");
		ready(desk);
	} else if (talk_cancel(desk->talk, &err) < 0) {
		say(desk, AGENT_NOTICE_LEVEL_ERROR, err.text);
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
		say(desk, AGENT_NOTICE_LEVEL_INFO, hint);
	}
	end(desk, EXIT_DONE);
}

static void queue_prompt(struct desk *desk, const char *line)
{
	char *copy;

	if (desk->queue_count == DESK_QUEUE_MAX) {
		say(desk, AGENT_NOTICE_LEVEL_WARNING, "not sent: too many prompts wait already");
		return;
	}
	copy = str_dup(line);
	if (!copy) {
		end(desk, EXIT_FAILED);
		return;
	}
	desk->queue[desk->queue_count++] = copy;
	if (!at_rest(desk))
		say(desk, AGENT_NOTICE_LEVEL_INFO, "queued for after this turn");
	ready(desk);
}

static void take_line(struct desk *desk, const char *line)
{
	enum approval_answer answer;

	if (!desk->shown) {
		if (line[strspn(line, " \t\r")])
			queue_prompt(desk, line);
		else
			ready(desk);
		return;
	}
	answer = approval_read(line);
	if (answer == APPROVAL_NO_ANSWER || !approval_option(&desk->shown->request, answer))
		ask_question(desk);
	else
		answer_shown(desk, answer);
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
			end(desk, EXIT_FAILED);
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
		leave_mark(desk);
		desk_leave(desk);
	} else if (buf_append(&desk->line, chunk, (size_t)n, &err) < 0) {
		buf_clear(&desk->line);
		say(desk, AGENT_NOTICE_LEVEL_WARNING, "that line was too long; it was not sent");
	} else {
		take_lines(desk);
	}
}

/* Beginning and end. */

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
	forget_question(desk, NULL);
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
	    talk_open(&desk->talk, &input->talk, &talk_events, desk, err) < 0) {
		desk_close(desk);
		return (int)err->code;
	}
	*out = desk;
	return 0;
}
