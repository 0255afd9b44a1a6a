/*
 * view.h - from what happens in a session to lines for a terminal.
 *
 * Pure: events in, text out; no I/O. Whatever was said by a model, a tool or a file passes
 * term_clean() here. Text of a message is shown as it comes; pieces of several commands that run at
 * once are kept apart by their titles.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"
#include "proto/wire/agent_gen.h"

struct buf;
struct err;
struct broker_policy;

#define VIEW_TOOLS_MAX 64        /* tool calls remembered at once, the oldest is forgotten */
#define VIEW_TITLE_MAX 160       /* bytes of a title where it is repeated */
#define VIEW_REPLAY_LINES_MAX 20 /* lines of output shown of a command that was not watched */
#define VIEW_DIFF_LINES_MAX 400  /* lines of one file's change */
#define VIEW_DENIALS_MAX 8       /* lines about what the sandbox refused to one command */

enum view_block {
	VIEW_NOTHING,
	VIEW_MESSAGE,
	VIEW_THOUGHT,
	VIEW_USER,
	VIEW_TOOL,
	VIEW_LINE, /* something of one piece */
	VIEW_BLOCK_COUNT
};

struct view_tool {
	char *id;
	char *title;
	enum agent_tool_kind kind;
	bool shown;  /* its title has been printed */
	size_t live; /* bytes of its output that came live, and have been printed */
	bool ended;
};

struct view {
	bool color;
	bool hide_thoughts;
	enum view_block block;
	char *current; /* message or tool call of the open block */
	bool mid_line;
	struct view_tool tools[VIEW_TOOLS_MAX];
	size_t tool_next;
};

void view_deinit(struct view *view);

/* Each appends text, perhaps none. */
int view_update(struct view *view, const struct agent_update *update, struct buf *out,
		struct err *err) MUST_CHECK;
int view_notice(struct view *view, const struct agent_notice *notice, struct buf *out,
		struct err *err) MUST_CHECK;
int view_resolved(struct view *view, const struct agent_permission_resolved *resolved,
		  struct buf *out, struct err *err) MUST_CHECK;
int view_turn(struct view *view, const struct agent_turn_completed *turn, struct buf *out,
	      struct err *err) MUST_CHECK;

/* What holds for a session, when it begins. policy may be NULL. */
int view_header(struct view *view, const char *session_id, const struct agent_session_info *info,
		const struct broker_policy *policy, struct buf *out, struct err *err) MUST_CHECK;

/* A line of our own. level decides the colour. */
int view_say(struct view *view, enum agent_notice_level level, const char *sentence,
	     struct buf *out, struct err *err) MUST_CHECK;
/* Ends an open line, before something else writes. */
int view_flush(struct view *view, struct buf *out, struct err *err) MUST_CHECK;
