#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "client/command.h"
#include "client/desk_part.h"

#define PROMPT_MARK "> "

void desk_show(struct desk *desk, const struct buf *out)
{
	struct err err = { 0 };

	if (out->len > 0 && text_write(&desk->text, out->data, out->len, &err) < 0)
		desk_end(desk, EXIT_FAILED);
}

void desk_show_open(struct desk *desk, const struct buf *out)
{
	struct err err = { 0 };

	desk_show(desk, out);
	if (!desk->over && text_flush(&desk->text, &err) < 0)
		desk_end(desk, EXIT_FAILED);
}

void desk_leave_mark(struct desk *desk)
{
	struct err err = { 0 };

	if (desk->mark && text_write(&desk->text, "\n", 1, &err) < 0)
		desk_end(desk, EXIT_FAILED);
	desk->mark = false;
}

void desk_say(struct desk *desk, enum agent_notice_level level, const char *sentence)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(DESK_OUTPUT_MAX);
	struct err err = { 0 };

	desk_leave_mark(desk);
	if (view_say(&desk->view, level, sentence, &out, &err) < 0)
		desk_end(desk, EXIT_FAILED);
	else
		desk_show(desk, &out);
}

bool desk_at_rest(const struct desk *desk)
{
	return desk->joined && !desk->prompting && !desk->shown &&
	       desk->state == AGENT_SESSION_STATE_IDLE;
}

void desk_send_prompt(struct desk *desk, const char *text, const struct images *images)
{
	struct talk_prompt prompt = { .text = text, .images = images };
	struct err err = { 0 };

	desk->turn_shown = false;
	if (talk_prompt(desk->talk, &prompt, &err) < 0)
		desk_say(desk, AGENT_NOTICE_LEVEL_ERROR, err.text);
	else
		desk->prompting = true;
}

void desk_ready(struct desk *desk)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(64);
	struct err err = { 0 };

	if (desk->over || desk->mark || !desk_at_rest(desk))
		return;
	if (desk->queue_count > 0) {
		char *text SCOPED(str_free) = desk->queue[0];

		memmove(&desk->queue[0], &desk->queue[1],
			--desk->queue_count * sizeof desk->queue[0]);
		desk_send_prompt(desk, text, NULL);
		return;
	}
	if (!desk->input.terminal || desk->input.until_idle)
		return;
	if (view_flush(&desk->view, &out, &err) < 0 || buf_puts(&out, "\n" PROMPT_MARK, &err) < 0) {
		desk_end(desk, EXIT_FAILED);
		return;
	}
	desk_show_open(desk, &out);
	desk->mark = true;
}

static void on_joined(void *ctx, const struct talk_joined *joined)
{
	struct desk *desk = ctx;
	struct buf out SCOPED(buf_deinit) = BUF_INIT(DESK_OUTPUT_MAX);
	struct err err = { 0 };

	desk->joined = true;
	desk->state = joined->state;
	if (joined->info && view_header(&desk->view, joined->session_id, joined->info,
					joined->policy, &out, &err) < 0) {
		desk_end(desk, EXIT_FAILED);
		return;
	}
	desk_show(desk, &out);
	if (desk->input.terminal)
		desk_say(desk, AGENT_NOTICE_LEVEL_INFO,
			 "Ctrl-C interrupts a turn. Ctrl-D leaves; the session goes on.");
	if (desk->input.joined)
		desk->input.joined(desk->ctx, joined->session_id);
	if (desk->input.prompt)
		desk_send_prompt(desk, desk->input.prompt, desk->input.images);
	desk_ready(desk);
}

static void on_update(void *ctx, const struct agent_update *update)
{
	struct desk *desk = ctx;
	struct buf out SCOPED(buf_deinit) = BUF_INIT(DESK_OUTPUT_MAX);
	struct err err = { 0 };

	if (view_update(&desk->view, update, &out, &err) < 0) {
		desk_say(desk, AGENT_NOTICE_LEVEL_ERROR, err.text);
		return;
	}
	if (out.len > 0)
		desk_leave_mark(desk);
	desk_show(desk, &out);
}

static void on_notice(void *ctx, const struct agent_notice *notice)
{
	desk_say(ctx, notice->level, notice->message);
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
	char text[DESK_NAME_MAX + 64];

	(void)snprintf(text, sizeof text, "%.*s %s", DESK_NAME_MAX, name, what);
	desk_say(desk, AGENT_NOTICE_LEVEL_INFO, text);
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
		(void)snprintf(fresh[count].name, sizeof fresh[count].name, "%.*s", DESK_NAME_MAX,
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
	desk_ready(desk);
}

static void on_state(void *ctx, enum agent_session_state state)
{
	struct desk *desk = ctx;

	desk->state = state;
	desk_ready(desk);
}

static void on_recorded(void *ctx, const char *line)
{
	struct desk *desk = ctx;
	struct err err = { 0 };

	if (desk->record_fd >= 0 && (fd_write_all(desk->record_fd, line, strlen(line), &err) < 0 ||
				     fd_write_all(desk->record_fd, "\n", 1, &err) < 0)) {
		fd_close(&desk->record_fd);
		desk_say(desk, AGENT_NOTICE_LEVEL_ERROR, err.text);
	}
}

static void on_turn_ended(void *ctx, const struct agent_turn_completed *turn)
{
	struct desk *desk = ctx;
	struct buf out SCOPED(buf_deinit) = BUF_INIT(DESK_OUTPUT_MAX);
	struct err err = { 0 };

	desk->turn_shown = true;
	if (turn->status != AGENT_TURN_STATUS_COMPLETED)
		desk_leave_mark(desk);
	if (view_turn(&desk->view, turn, &out, &err) < 0)
		desk_end(desk, EXIT_FAILED);
	else
		desk_show(desk, &out);
	if (desk->input.until_idle && !desk->prompting)
		desk_end(desk, EXIT_DONE);
}

static void on_answered(void *ctx, const struct err *failure)
{
	struct desk *desk = ctx;

	desk->prompting = false;
	if (failure && failure->code == ERR_GONE)
		return; /* on_failed() says it */
	if (failure && !desk->turn_shown)
		desk_say(desk, AGENT_NOTICE_LEVEL_ERROR, failure->text);
	if (desk->input.until_idle)
		desk_end(desk, failure ? EXIT_FAILED : EXIT_DONE);
	desk_ready(desk);
}

static void on_failed(void *ctx, const struct err *failure)
{
	struct desk *desk = ctx;
	char hint[256];

	if (desk->over)
		return;
	desk_say(desk, AGENT_NOTICE_LEVEL_ERROR, failure->text);
	if (desk->joined) {
		(void)snprintf(hint, sizeof hint, "Continue this session with: agent attach %s",
			       talk_session(desk->talk));
		desk_say(desk, AGENT_NOTICE_LEVEL_INFO, hint);
	}
	desk_end(desk, EXIT_FAILED);
}

const struct talk_events desk_events = {
	.joined = on_joined,
	.update = on_update,
	.notice = on_notice,
	.asked = desk_asked,
	.resolved = desk_resolved,
	.clients = on_clients,
	.state = on_state,
	.recorded = on_recorded,
	.turn_ended = on_turn_ended,
	.answered = on_answered,
	.failed = on_failed,
};
