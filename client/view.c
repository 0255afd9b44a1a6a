#include "client/view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/broker_gen.h"

#include "client/denial.h"
#include "client/diff.h"
#include "client/paint.h"
#include "client/term.h"

#define TITLE_CUT "..."

static void tool_clear(struct view_tool *tool)
{
	free(tool->id);
	free(tool->title);
	*tool = (struct view_tool){ 0 };
}

void view_deinit(struct view *view)
{
	for (size_t i = 0; i < VIEW_TOOLS_MAX; i++)
		tool_clear(&view->tools[i]);
	str_free(&view->current);
}

int view_flush(struct view *view, struct buf *out, struct err *err)
{
	if (view->mid_line && buf_putc(out, '\n', err) < 0)
		return (int)err->code;
	view->mid_line = false;
	return 0;
}

/* A new block begins, with an empty line before it, unless this is the one that is open. */
static int open_block(struct view *view, enum view_block block, const char *id, struct buf *out,
		      struct err *err)
{
	char *copy;

	if (view->block == block && id && str_eq(view->current, id))
		return 0;
	if (view_flush(view, out, err) < 0)
		return (int)err->code;
	if (view->block != VIEW_NOTHING && buf_putc(out, '\n', err) < 0)
		return (int)err->code;
	copy = id ? str_dup(id) : NULL;
	if (id && !copy)
		return ERR_NOMEM_SET(err);
	str_free(&view->current);
	view->current = copy;
	view->block = block;
	return 0;
}

/* How lines look. */
struct style {
	enum paint paint;
	const char *lead; /* before each */
};

static const struct style plain = { PAINT_PLAIN, "  " }; /* output of commands */

/* Text of an open block: each line behind `lead`, in one colour; the last one stays open. */
static int put_text(struct view *view, const struct style *style, const char *text, size_t len,
		    struct buf *out, struct err *err)
{
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t part = end ? (size_t)(end - text) : len;

		if ((!view->mid_line && buf_puts(out, style->lead, err) < 0) ||
		    paint_text(out, paint_if(view->color, style->paint), text, part, TERM_TEXT,
			       err) < 0)
			return (int)err->code;
		view->mid_line = !end;
		if (end && buf_putc(out, '\n', err) < 0)
			return (int)err->code;
		part += end ? 1 : 0;
		text += part;
		len -= part;
	}
	return 0;
}

static int put_line(struct view *view, enum paint paint, const char *lead, const char *text,
		    struct buf *out, struct err *err)
{
	if (view_flush(view, out, err) < 0 ||
	    put_text(view, &(struct style){ paint, lead }, text, strlen(text), out, err) < 0)
		return (int)err->code;
	return view_flush(view, out, err);
}

static int show_chunk(struct view *view, const struct agent_update *update, struct buf *out,
		      struct err *err)
{
	const char *text = update->content ? update->content->text : NULL;
	const char *id = update->message_id ? update->message_id : "";
	enum view_block block = VIEW_MESSAGE;
	struct style style = { PAINT_PLAIN, "" };

	if (!text || (update->session_update == AGENT_UPDATE_KIND_AGENT_THOUGHT_CHUNK &&
		      view->hide_thoughts))
		return 0;
	if (update->session_update == AGENT_UPDATE_KIND_AGENT_THOUGHT_CHUNK) {
		block = VIEW_THOUGHT;
		style.paint = PAINT_DIM;
	} else if (update->session_update == AGENT_UPDATE_KIND_USER_MESSAGE_CHUNK) {
		block = VIEW_USER;
		style = (struct style){ PAINT_BOLD, "> " };
	}
	if (open_block(view, block, id, out, err) < 0)
		return (int)err->code;
	return put_text(view, &style, text, strlen(text), out, err);
}

static struct view_tool *find_tool(struct view *view, const char *id)
{
	for (size_t i = 0; i < VIEW_TOOLS_MAX; i++) {
		if (view->tools[i].id && str_eq(view->tools[i].id, id))
			return &view->tools[i];
	}
	return NULL;
}

static char *short_title(const char *title)
{
	size_t len = strcspn(title, "\n");
	struct buf text SCOPED(buf_deinit) = BUF_INIT(VIEW_TITLE_MAX + sizeof TITLE_CUT);

	if (len > VIEW_TITLE_MAX) {
		len = VIEW_TITLE_MAX;
		while (len > 0 && ((unsigned char)title[len] & 0xc0) == 0x80)
			len--;
	}
	if (buf_append(&text, title, len, NULL) < 0 ||
	    (title[len] && buf_puts(&text, TITLE_CUT, NULL) < 0))
		return NULL;
	return buf_take(&text);
}

static struct view_tool *know_tool(struct view *view, const struct agent_update *update,
				   struct err *err)
{
	struct view_tool *tool = find_tool(view, update->tool_call_id);

	if (!tool) {
		tool = &view->tools[view->tool_next++ % VIEW_TOOLS_MAX];
		tool_clear(tool);
		tool->id = str_dup(update->tool_call_id);
	}
	if (update->title) {
		free(tool->title);
		tool->title = short_title(update->title);
	}
	if (update->kind != AGENT_TOOL_KIND_NONE)
		tool->kind = update->kind;
	if (!tool->id || (update->title && !tool->title)) {
		ERR_NOMEM_SET(err);
		return NULL;
	}
	return tool;
}

/* The title as a block's head: whole the first time, in one line when it is repeated. */
static int show_title(struct view *view, struct view_tool *tool, const char *title, struct buf *out,
		      struct err *err)
{
	const char *lead = tool->kind == AGENT_TOOL_KIND_EXECUTE ? "$ " : "* ";
	bool open = view->block == VIEW_TOOL && str_eq(view->current, tool->id);

	if (open && tool->shown)
		return 0;
	if (open_block(view, VIEW_TOOL, tool->id, out, err) < 0)
		return (int)err->code;
	if (tool->shown)
		title = tool->title;
	tool->shown = true;
	return put_line(view, PAINT_COMMAND, lead, title ? title : "(a tool)", out, err);
}

/* Not more lines than a person wants of what is past. */
static int show_past_output(struct view *view, const char *text, struct buf *out, struct err *err)
{
	size_t lines = 0;
	size_t shown = 0;
	char more[64];

	while (text[shown] && lines < VIEW_REPLAY_LINES_MAX) {
		shown += strcspn(text + shown, "\n");
		shown += text[shown] ? 1 : 0;
		lines++;
	}
	if (put_text(view, &plain, text, shown, out, err) < 0 || view_flush(view, out, err) < 0)
		return (int)err->code;
	lines = 0;
	for (const char *p = text + shown; *p; p++)
		lines += *p == '\n' || p[1] == '\0' ? 1 : 0;
	if (lines == 0)
		return 0;
	(void)snprintf(more, sizeof more, "(%zu more lines)", lines);
	return put_line(view, PAINT_DIM, "  ", more, out, err);
}

struct diff_view {
	struct view *view;
	struct buf *out;
	size_t lines;
};

/* diff_line_fn */
static int put_diff_line(void *ctx, char sign, const char *text, size_t len, struct err *err)
{
	struct diff_view *diff = ctx;
	struct view *view = diff->view;
	enum paint paint = sign == '+'   ? PAINT_ADDED
			   : sign == '-' ? PAINT_REMOVED
			   : sign == '@' ? PAINT_DIM
					 : PAINT_PLAIN;
	const char lead[] = { ' ', ' ', sign, ' ', '\0' };

	if (++diff->lines > VIEW_DIFF_LINES_MAX)
		return 0;
	if (paint_text(diff->out, paint_if(view->color, paint), lead, 4, TERM_TEXT, err) < 0 ||
	    paint_text(diff->out, paint_if(view->color, paint), text, len, TERM_TEXT, err) < 0)
		return (int)err->code;
	return buf_putc(diff->out, '\n', err);
}

static int show_diff(struct view *view, const struct agent_tool_content *content, struct buf *out,
		     struct err *err)
{
	struct diff_view diff = { .view = view, .out = out };
	char more[64];

	if (put_line(view, PAINT_BOLD, "  ", content->path ? content->path : "(a file)", out, err) <
		    0 ||
	    diff_lines(content->old_text ? content->old_text : "",
		       content->new_text ? content->new_text : "", put_diff_line, &diff, err) < 0)
		return (int)err->code;
	if (diff.lines <= VIEW_DIFF_LINES_MAX)
		return 0;
	(void)snprintf(more, sizeof more, "(%zu more lines)", diff.lines - VIEW_DIFF_LINES_MAX);
	return put_line(view, PAINT_DIM, "  ", more, out, err);
}

static int show_contents(struct view *view, const struct agent_update *update, bool texts,
			 struct buf *out, struct err *err)
{
	for (size_t i = 0; i < update->tool_content_count; i++) {
		const struct agent_tool_content *content = &update->tool_content[i];
		int rc = 0;

		if (content->type == AGENT_TOOL_CONTENT_TYPE_DIFF)
			rc = show_diff(view, content, out, err);
		else if (texts && content->content && content->content->text)
			rc = show_past_output(view, content->content->text, out, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int show_outcome(struct view *view, const struct agent_update *update, struct buf *out,
			struct err *err)
{
	json_t *exit_code = json_object_get(update->raw_output, "exit_code");
	json_t *duration = json_object_get(update->raw_output, "duration_ms");
	const char *status = json_string_value(json_object_get(update->raw_output, "status"));
	bool failed = update->status == AGENT_TOOL_STATUS_FAILED;
	char text[96];

	if (str_eq(status, "declined"))
		(void)snprintf(text, sizeof text, "not run: refused");
	else if (json_is_integer(exit_code) && json_is_integer(duration))
		(void)snprintf(text, sizeof text, "exit %lld, %lld ms",
			       (long long)json_integer_value(exit_code),
			       (long long)json_integer_value(duration));
	else if (json_is_integer(exit_code))
		(void)snprintf(text, sizeof text, "exit %lld",
			       (long long)json_integer_value(exit_code));
	else if (failed)
		(void)snprintf(text, sizeof text, "failed");
	else
		return view_flush(view, out, err);
	return put_line(view, failed ? PAINT_ERROR : PAINT_DIM, "  ", text, out, err);
}

static int show_denial(struct view *view, const struct agent_denial *told, struct buf *out,
		       struct err *err)
{
	struct buf line SCOPED(buf_deinit) = BUF_INIT(16384);
	struct denial denial = { .rule = told->rule,
				 .operation = told->operation,
				 .target = told->target,
				 .error = told->error,
				 .count = told->count };
	bool ended = told->rule == DENIAL_RULE_CHANGED;
	int rc = ended ? denial_end(&line, &denial, err) : denial_line(&line, &denial, false, err);

	return rc < 0 ? rc
		      : put_line(view, ended ? PAINT_ERROR : PAINT_WARNING, "  ", buf_str(&line),
				 out, err);
}

/* What the sandbox refused to a call that failed. */
static int show_denials(struct view *view, const struct agent_tool_meta *meta, struct buf *out,
			struct err *err)
{
	int64_t more = meta ? meta->denials_lost : 0;
	char text[96];

	for (size_t i = 0; meta && i < meta->denials_count; i++) {
		if (i >= VIEW_DENIALS_MAX && meta->denials[i].rule != DENIAL_RULE_CHANGED)
			more++;
		else if (show_denial(view, &meta->denials[i], out, err) < 0)
			return (int)err->code;
	}
	if (more == 0)
		return 0;
	(void)snprintf(text, sizeof text, "denied: %" PRId64 " more", more);
	return put_line(view, PAINT_DIM, "  ", text, out, err);
}

static int show_end(struct view *view, struct view_tool *tool, const struct agent_update *update,
		    struct buf *out, struct err *err)
{
	const char *output =
		json_string_value(json_object_get(update->raw_output, "aggregated_output"));

	/* Who came late, or read too slowly, has not seen all of it. */
	bool missed = output && strlen(output) > tool->live;

	if (tool->ended)
		return 0;
	tool->ended = true;
	if (show_title(view, tool, tool->title, out, err) < 0 ||
	    show_contents(view, update, tool->live == 0 && !output, out, err) < 0)
		return (int)err->code;
	if (missed && tool->live > 0 &&
	    (view_flush(view, out, err) < 0 ||
	     put_line(view, PAINT_DIM, "  ", "(from the beginning)", out, err) < 0))
		return (int)err->code;
	if (missed && show_past_output(view, output, out, err) < 0)
		return (int)err->code;
	if (show_outcome(view, update, out, err) < 0)
		return (int)err->code;
	return show_denials(view, update->meta ? update->meta->agentd : NULL, out, err);
}

static int show_tool(struct view *view, const struct agent_update *update, struct buf *out,
		     struct err *err)
{
	struct view_tool *tool = update->tool_call_id ? know_tool(view, update, err) : NULL;
	const char *output =
		update->meta && update->meta->agentd ? update->meta->agentd->output : NULL;
	bool ended = update->status == AGENT_TOOL_STATUS_COMPLETED ||
		     update->status == AGENT_TOOL_STATUS_FAILED;

	if (!tool)
		return update->tool_call_id ? (int)err->code : 0;
	/* An edit has nothing to show before it has happened. */
	if (!tool->shown && update->title && tool->kind != AGENT_TOOL_KIND_EDIT &&
	    show_title(view, tool, update->title, out, err) < 0)
		return (int)err->code;
	if (output && *output) {
		if (show_title(view, tool, tool->title, out, err) < 0 ||
		    put_text(view, &plain, output, strlen(output), out, err) < 0)
			return (int)err->code;
		tool->live += strlen(output);
	}
	return ended ? show_end(view, tool, update, out, err) : 0;
}

static int show_plan(struct view *view, const struct agent_update *update, struct buf *out,
		     struct err *err)
{
	static const char *const marks[AGENT_PLAN_STATUS_COUNT] = {
		[AGENT_PLAN_STATUS_NONE] = "  [ ] ",
		[AGENT_PLAN_STATUS_PENDING] = "  [ ] ",
		[AGENT_PLAN_STATUS_IN_PROGRESS] = "  [>] ",
		[AGENT_PLAN_STATUS_COMPLETED] = "  [x] ",
	};

	if (open_block(view, VIEW_LINE, NULL, out, err) < 0 ||
	    put_line(view, PAINT_BOLD, "", "Plan", out, err) < 0)
		return (int)err->code;
	for (size_t i = 0; i < update->entries_count; i++) {
		if (put_line(view, PAINT_PLAIN, marks[update->entries[i].status],
			     update->entries[i].content, out, err) < 0)
			return (int)err->code;
	}
	return 0;
}

int view_say(struct view *view, enum agent_notice_level level, const char *sentence,
	     struct buf *out, struct err *err)
{
	enum paint paint = level == AGENT_NOTICE_LEVEL_ERROR     ? PAINT_ERROR
			   : level == AGENT_NOTICE_LEVEL_WARNING ? PAINT_WARNING
								 : PAINT_DIM;

	if (open_block(view, VIEW_LINE, "say", out, err) < 0)
		return (int)err->code;
	return put_line(view, paint, "-- ", sentence, out, err);
}

int view_update(struct view *view, const struct agent_update *update, struct buf *out,
		struct err *err)
{
	switch (update->session_update) {
	case AGENT_UPDATE_KIND_USER_MESSAGE_CHUNK:
	case AGENT_UPDATE_KIND_AGENT_MESSAGE_CHUNK:
	case AGENT_UPDATE_KIND_AGENT_THOUGHT_CHUNK:
		return show_chunk(view, update, out, err);
	case AGENT_UPDATE_KIND_TOOL_CALL:
	case AGENT_UPDATE_KIND_TOOL_CALL_UPDATE:
		return show_tool(view, update, out, err);
	case AGENT_UPDATE_KIND_PLAN:
		return show_plan(view, update, out, err);
	case AGENT_UPDATE_KIND_NOTICE:
		return view_say(view, update->severity, update->title ? update->title : "", out,
				err);
	case AGENT_UPDATE_KIND_NONE:
	case AGENT_UPDATE_KIND_AVAILABLE_COMMANDS_UPDATE:
	case AGENT_UPDATE_KIND_CURRENT_MODE_UPDATE:
	case AGENT_UPDATE_KIND_CONFIG_OPTION_UPDATE:
	case AGENT_UPDATE_KIND_SESSION_INFO_UPDATE:
	case AGENT_UPDATE_KIND_USAGE_UPDATE:
	case AGENT_UPDATE_KIND_COMPACTION_UPDATE:
	case AGENT_UPDATE_KIND_COMPACTION_SUMMARY_CHUNK:
	case AGENT_UPDATE_KIND_COUNT:
		break;
	}
	return 0;
}

int view_notice(struct view *view, const struct agent_notice *notice, struct buf *out,
		struct err *err)
{
	return view_say(view, notice->level, notice->message, out, err);
}

int view_resolved(struct view *view, const struct agent_permission_resolved *resolved,
		  struct buf *out, struct err *err)
{
	static const char *const outcomes[AGENT_PERMISSION_OUTCOME_COUNT] = {
		[AGENT_PERMISSION_OUTCOME_NONE] = "in an unknown way",
		[AGENT_PERMISSION_OUTCOME_ALLOW_ONCE] = "allowed once",
		[AGENT_PERMISSION_OUTCOME_ALLOW_ALWAYS] = "allowed for this session",
		[AGENT_PERMISSION_OUTCOME_REJECT_ONCE] = "refused",
		[AGENT_PERMISSION_OUTCOME_CANCELLED] = "withdrawn",
	};
	struct buf text SCOPED(buf_deinit) = BUF_INIT(4096);

	if (buf_printf(&text, err, "answered%s%.200s: %s", resolved->by ? " by " : "",
		       resolved->by ? resolved->by->name : "", outcomes[resolved->outcome]) < 0)
		return (int)err->code;
	return view_say(view, AGENT_NOTICE_LEVEL_INFO, buf_str(&text), out, err);
}

int view_turn(struct view *view, const struct agent_turn_completed *turn, struct buf *out,
	      struct err *err)
{
	if (turn->status == AGENT_TURN_STATUS_INTERRUPTED)
		return view_say(view, AGENT_NOTICE_LEVEL_WARNING, "interrupted", out, err);
	if (turn->status == AGENT_TURN_STATUS_FAILED)
		return view_say(view, AGENT_NOTICE_LEVEL_ERROR,
				turn->error ? turn->error->message : "the turn failed", out, err);
	return view_flush(view, out, err);
}

/* lead one, two, three; nothing for an empty list. */
static int put_list(struct buf *text, const char *lead, const struct wire_strings *list,
		    struct err *err)
{
	for (size_t i = 0; i < list->count; i++) {
		if (buf_printf(text, err, "%s%s", i ? ", " : lead, list->items[i]) < 0)
			return (int)err->code;
	}
	return 0;
}

/* Names below the root by themselves, other places whole. */
static int put_root(struct buf *text, const struct broker_root *root, struct err *err)
{
	size_t length = strlen(root->path);
	const struct wire_strings *guarded = &root->protected;

	if (buf_puts(text, root->path, err) < 0)
		return (int)err->code;
	for (size_t i = 0; i < guarded->count; i++) {
		const char *path = guarded->items[i];
		bool below = str_starts(path, root->path) && path[length] == '/';

		if (buf_printf(text, err, "%s%s", i ? ", " : " (but not ",
			       below ? path + length + 1 : path) < 0)
			return (int)err->code;
	}
	return guarded->count > 0 ? buf_putc(text, ')', err) : 0;
}

static int put_roots(struct buf *text, const struct broker_policy *policy, struct err *err)
{
	for (size_t i = 0; i < policy->roots_count; i++) {
		if (buf_puts(text, i ? ", " : "; writable: ", err) < 0 ||
		    put_root(text, &policy->roots[i], err) < 0)
			return (int)err->code;
	}
	return 0;
}

/* By what it holds, as the broker reports it. */
static int put_means(struct buf *text, const struct broker_policy *policy, struct err *err)
{
	if (put_list(text, "held by ", &policy->layers, err) < 0 ||
	    put_list(text, policy->layers.count ? "; limits: " : "limits: ", &policy->limits, err) <
		    0)
		return (int)err->code;
	return policy->layers.count || policy->limits.count ? buf_putc(text, '\n', err) : 0;
}

static int show_missing(struct view *view, const struct broker_policy *policy, struct buf *out,
			struct err *err)
{
	for (size_t i = 0; i < policy->missing.count; i++) {
		if (put_line(view, PAINT_WARNING, "not enforced here: ", policy->missing.items[i],
			     out, err) < 0)
			return (int)err->code;
	}
	return 0;
}

int view_header(struct view *view, const char *session_id, const struct agent_session_info *info,
		const struct broker_policy *policy, struct buf *out, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(262144);

	if (open_block(view, VIEW_LINE, "header", out, err) < 0 ||
	    buf_printf(&text, err, "session %s\nmodel %s (%s)\nfolder %s\nsandbox %s", session_id,
		       info->model, info->provider, info->cwd,
		       names_get(&sandbox_mode_names, (int)info->sandbox_mode)) < 0 ||
	    (policy && put_roots(&text, policy, err) < 0) ||
	    buf_printf(&text, err, "; network %s; asks: %s\n", info->network ? "on" : "off",
		       names_get(&approval_policy_names, (int)info->approval_policy)) < 0 ||
	    (policy && put_means(&text, policy, err) < 0))
		return (int)err->code;
	if (put_text(view, &(struct style){ PAINT_DIM, "" }, buf_str(&text), text.len, out, err) <
	    0)
		return (int)err->code;
	if (policy && show_missing(view, policy, out, err) < 0)
		return (int)err->code;
	return view_flush(view, out, err);
}
