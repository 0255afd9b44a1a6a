#include "client/approval.h"

#include <string.h>
#include <strings.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "client/paint.h"
#include "client/term.h"

#define SHOWN_MAX 67108864 /* bytes of a quoted word, of which one byte may become ten */

/* What each mode means to somebody who decides now. */
static const char *const mode_words[SANDBOX_MODE_COUNT] = {
	[SANDBOX_MODE_NONE] = "unknown",
	[SANDBOX_MODE_READ_ONLY] = "read-only: it may read everything and write nothing",
	[SANDBOX_MODE_WORKSPACE_WRITE] = "workspace-write: it may write in the workspace only",
	[SANDBOX_MODE_DANGER_FULL_ACCESS] = "NONE: it may do whatever you may do",
};

static int put_label(struct buf *out, bool color, const char *label, struct err *err)
{
	if (buf_puts(out, "  ", err) < 0 ||
	    paint_text(out, paint_if(color, PAINT_DIM), label, strlen(label), TERM_LINE, err) < 0)
		return (int)err->code;
	return buf_printf(out, err, "%*s", (int)(10 - strlen(label)), "");
}

static int put_field(struct buf *out, bool color, const char *label, const char *value,
		     struct err *err)
{
	if (put_label(out, color, label, err) < 0 ||
	    term_clean(out, value, strlen(value), TERM_LINE, err) < 0)
		return (int)err->code;
	return buf_putc(out, '\n', err);
}

/* Many lines, each behind a mark, so that where they end is plain to see. */
static int put_quoted_lines(struct buf *out, const char *text, struct err *err)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		if (buf_puts(out, "    | ", err) < 0 ||
		    term_clean(out, text, len, TERM_LINE, err) < 0 || buf_putc(out, '\n', err) < 0)
			return (int)err->code;
		text += len + (text[len] ? 1 : 0);
	}
	return 0;
}

static int put_command(struct buf *out, bool color, const struct wire_strings *argv,
		       struct err *err)
{
	struct buf words SCOPED(buf_deinit) = BUF_INIT(SHOWN_MAX);

	for (size_t i = 0; i < argv->count; i++) {
		if ((i > 0 && buf_putc(&words, ' ', err) < 0) ||
		    term_quote(&words, argv->items[i], strlen(argv->items[i]), err) < 0)
			return (int)err->code;
	}
	if (put_label(out, color, "command", err) < 0 ||
	    paint_text(out, paint_if(color, PAINT_COMMAND), buf_str(&words), words.len, TERM_LINE,
		       err) < 0 ||
	    buf_putc(out, '\n', err) < 0)
		return (int)err->code;
	for (size_t i = 0; i < argv->count; i++) {
		if (!strchr(argv->items[i], '\n'))
			continue;
		if (buf_printf(out, err, "    word %zu, line by line:\n", i + 1) < 0 ||
		    put_quoted_lines(out, argv->items[i], err) < 0)
			return (int)err->code;
	}
	return 0;
}

static int put_env(struct buf *out, bool color, const struct wire_strings *env, struct err *err)
{
	if (env->count > 0 && put_label(out, color, "variables", err) < 0)
		return (int)err->code;
	for (size_t i = 0; i < env->count; i++) {
		const char *item = env->items[i];
		const char *equals = strchr(item, '=');
		bool removed = equals && equals[1] == '\0';
		size_t len = removed ? (size_t)(equals - item) : strlen(item);

		if (buf_puts(out, i ? ", " : "", err) < 0 || term_quote(out, item, len, err) < 0 ||
		    buf_puts(out, removed ? " removed" : "", err) < 0)
			return (int)err->code;
	}
	return env->count > 0 ? buf_putc(out, '\n', err) : 0;
}

static int put_input(struct buf *out, bool color, const char *input, struct err *err)
{
	if (put_label(out, color, "input", err) < 0 ||
	    buf_printf(out, err, "%zu bytes on its standard input:\n", strlen(input)) < 0)
		return (int)err->code;
	return put_quoted_lines(out, input, err);
}

static int put_model_words(struct buf *out, bool color, const char *reason, struct err *err)
{
	static const char title[] = "The model says (its words, not checked):";

	if (buf_puts(out, "\n  ", err) < 0 ||
	    paint_text(out, paint_if(color, PAINT_WARNING), title, strlen(title), TERM_LINE, err) <
		    0 ||
	    buf_putc(out, '\n', err) < 0)
		return (int)err->code;
	return put_quoted_lines(out, reason, err);
}

static int put_title(struct buf *out, bool color, const char *title, struct err *err)
{
	if (paint_text(out, paint_if(color, PAINT_BOLD), title, strlen(title), TERM_LINE, err) < 0)
		return (int)err->code;
	return buf_puts(out, "\n\n", err);
}

static int show_record(struct buf *out, bool color, const struct broker_grant_record *record,
		       struct err *err)
{
	if (put_title(out, color,
		      "The agent asks to run this with more than the sandbox allows:", err) < 0 ||
	    put_command(out, color, &record->argv, err) < 0 ||
	    put_field(out, color, "folder", record->cwd, err) < 0 ||
	    put_env(out, color, &record->env, err) < 0 ||
	    put_field(out, color, "sandbox", mode_words[record->mode], err) < 0 ||
	    put_field(out, color, "network",
		      record->network || record->mode == SANDBOX_MODE_DANGER_FULL_ACCESS ? "ON"
											 : "off",
		      err) < 0)
		return (int)err->code;
	if (record->input && put_input(out, color, record->input, err) < 0)
		return (int)err->code;
	return record->reason ? put_model_words(out, color, record->reason, err) : 0;
}

/* Without a record the sandbox holds whatever is answered, and agentd's word has to do. */
static int show_request(struct buf *out, bool color,
			const struct agent_session_request_permission *request, struct err *err)
{
	const struct agent_tool_call *call = request->tool_call;
	const char *cwd = json_string_value(json_object_get(call->raw_input, "cwd"));
	const char *title = call->title ? call->title : "(a tool call without a title)";

	if (put_title(out, color, "The agent asks to run this inside the sandbox:", err) < 0 ||
	    put_quoted_lines(out, title, err) < 0)
		return (int)err->code;
	return cwd ? put_field(out, color, "folder", cwd, err) : 0;
}

int approval_show(struct buf *out, bool color, const struct broker_grant_record *record,
		  const struct agent_session_request_permission *request, struct err *err)
{
	int rc = record ? show_record(out, color, record, err)
			: show_request(out, color, request, err);

	return rc < 0 ? rc : buf_putc(out, '\n', err);
}

int approval_ask(struct buf *out, const struct agent_session_request_permission *request,
		 struct err *err)
{
	bool always = approval_option(request, APPROVAL_ALWAYS) != NULL;

	return buf_printf(out, err, "  y  yes, this once\n%s  n  no\nAllow? [y%s/n] ",
			  always ? "  a  yes, and again for exactly this command in this session\n"
				 : "",
			  always ? "/a" : "");
}

enum approval_answer approval_read(const char *line)
{
	static const struct {
		const char *word;
		enum approval_answer answer;
	} words[] = {
		{ "y", APPROVAL_ONCE },        { "yes", APPROVAL_ONCE }, { "a", APPROVAL_ALWAYS },
		{ "always", APPROVAL_ALWAYS }, { "n", APPROVAL_REJECT }, { "no", APPROVAL_REJECT },
	};
	size_t blanks = strspn(line, " \t");
	size_t len = strcspn(line + blanks, " \t\r\n");

	if (line[blanks + len + strspn(line + blanks + len, " \t\r\n")])
		return APPROVAL_NO_ANSWER; /* more than one word was hardly meant for this question
					    */
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strlen(words[i].word) == len &&
		    strncasecmp(words[i].word, line + blanks, len) == 0)
			return words[i].answer;
	}
	return APPROVAL_NO_ANSWER;
}

static enum approval_answer answer_of(enum agent_option_kind kind)
{
	switch (kind) {
	case AGENT_OPTION_KIND_ALLOW_ONCE:
		return APPROVAL_ONCE;
	case AGENT_OPTION_KIND_ALLOW_ALWAYS:
		return APPROVAL_ALWAYS;
	case AGENT_OPTION_KIND_NONE:
	case AGENT_OPTION_KIND_REJECT_ONCE:
	case AGENT_OPTION_KIND_REJECT_ALWAYS:
	case AGENT_OPTION_KIND_COUNT:
		break;
	}
	return APPROVAL_REJECT;
}

const char *approval_option(const struct agent_session_request_permission *request,
			    enum approval_answer answer)
{
	for (size_t i = 0; i < request->options_count; i++) {
		if (answer_of(request->options[i].kind) == answer)
			return request->options[i].option_id;
	}
	return NULL;
}

enum approval_answer approval_meaning(const struct agent_session_request_permission *request,
				      const char *option_id)
{
	for (size_t i = 0; i < request->options_count; i++) {
		if (str_eq(request->options[i].option_id, option_id))
			return answer_of(request->options[i].kind);
	}
	return APPROVAL_REJECT;
}

enum decision approval_decision(enum approval_answer answer)
{
	switch (answer) {
	case APPROVAL_ONCE:
		return DECISION_ONCE;
	case APPROVAL_ALWAYS:
		return DECISION_SESSION;
	case APPROVAL_NO_ANSWER:
	case APPROVAL_REJECT:
		break;
	}
	return DECISION_DENY;
}
