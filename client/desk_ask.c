#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "proto/base/err.h"

#include "client/command.h"
#include "client/desk_part.h"

static void ask_next(struct desk *desk);

void desk_ask(struct desk *desk)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(DESK_OUTPUT_MAX);
	struct err err = { 0 };

	if (approval_ask(&out, &desk->shown->request, &err) < 0)
		desk_say(desk, AGENT_NOTICE_LEVEL_ERROR, err.text);
	else
		desk_show_open(desk, &out);
}

void desk_answer(struct desk *desk, enum approval_answer answer)
{
	struct talk_question *question = desk->shown;
	struct err err = { 0 };

	desk->shown = NULL;
	if (talk_answer(desk->talk, question, answer, &err) < 0)
		desk_say(desk, AGENT_NOTICE_LEVEL_WARNING, err.text);
	ask_next(desk);
}

static void answer_for_nobody(struct desk *desk)
{
	bool yes = desk->input.stand_in == APPROVAL_ONCE;

	desk_say(desk, AGENT_NOTICE_LEVEL_WARNING,
		 yes ? "There is no terminal to ask on. For the demonstration the answer is: yes, "
		       "this "
		       "once."
		     : "There is no terminal to ask on, so the answer is no.");
	desk_answer(desk, yes ? APPROVAL_ONCE : APPROVAL_REJECT);
}

static int show_question(struct desk *desk, struct talk_question *question, struct err *err)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(SIZE_MAX / 4);
	struct broker_grant_record record = { 0 };

	desk_leave_mark(desk);
	if (question->grant && talk_record(desk->talk, question, &record, err) < 0)
		return (int)err->code;
	if (view_flush(&desk->view, &out, err) < 0 || buf_putc(&out, '\n', err) < 0 ||
	    approval_show(&out, desk->input.color, question->grant ? &record : NULL,
			  &question->request, err) < 0)
		return (int)err->code;
	desk_show(desk, &out);
	return 0;
}

/* What was typed before a question appeared was not meant for it. */
static void discard_typed(struct desk *desk)
{
	buf_clear(&desk->line);
	if (desk->input.terminal)
		(void)tcflush(STDIN_FILENO, TCIFLUSH);
}

static void ask_next(struct desk *desk)
{
	while (!desk->over && !desk->shown && !list_empty(&desk->questions)) {
		struct waiting *waiting = LIST_ENTRY(desk->questions.next, struct waiting, node);
		struct talk_question *question = waiting->question;
		struct err err = { 0 };

		list_remove(&waiting->node);
		free(waiting);
		if (show_question(desk, question, &err) < 0) {
			desk_say(desk, AGENT_NOTICE_LEVEL_WARNING, err.text);
			continue; /* it stays open for others, and is told when they answer */
		}
		desk->shown = question;
		discard_typed(desk);
		if (desk->input.terminal)
			desk_ask(desk);
		else
			answer_for_nobody(desk);
	}
}

void desk_asked(void *ctx, struct talk_question *question)
{
	struct desk *desk = ctx;
	struct waiting *waiting = calloc(1, sizeof *waiting);

	if (!waiting) {
		desk_say(desk, AGENT_NOTICE_LEVEL_ERROR,
			 "out of memory: a question cannot be shown");
		return;
	}
	waiting->question = question;
	list_add(&desk->questions, &waiting->node);
	ask_next(desk);
}

void desk_forget(struct desk *desk, const struct talk_question *question)
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

void desk_resolved(void *ctx, const struct agent_permission_resolved *resolved,
		   const struct talk_question *question)
{
	struct desk *desk = ctx;
	struct buf out SCOPED(buf_deinit) = BUF_INIT(DESK_OUTPUT_MAX);
	struct err err = { 0 };

	if (question && desk->shown == question)
		desk_show(desk, &(struct buf){ .data = (char[]){ "\n" }, .len = 1 });
	if (question)
		desk_forget(desk, question);
	desk_leave_mark(desk);
	if (view_resolved(&desk->view, resolved, &out, &err) < 0)
		desk_end(desk, EXIT_FAILED);
	else
		desk_show(desk, &out);
	ask_next(desk);
}
