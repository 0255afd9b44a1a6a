#include "agentd/tool/patch_report.h"

#include <stdbool.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/tool/diff.h"
#include "agentd/tool/lossy.h"
#include "agentd/tool/patch_parse.h"
#include "agentd/tool/patch_tree.h"

#define CUT_NOTE "... the rest of this diff is left out ...\n"

/*
 * The JSON is written by hand: the applet starts for every edit, and these few lines cost less than
 * a library.
 */
static int put_byte(struct buf *out, unsigned char byte, struct err *err)
{
	if (byte == '\n')
		return buf_puts(out, "\\n", err);
	if (byte < 0x20 || byte == 0x7f)
		return buf_printf(out, err, "\\u%04x", byte);
	if (byte == '"' || byte == '\\')
		return buf_printf(out, err, "\\%c", byte);
	return buf_putc(out, (char)byte, err);
}

/* ,"key":"text" - texts of files are any bytes, JSON is UTF-8. */
static int put(struct buf *out, const char *key, const struct diff_text *text, struct err *err)
{
	struct buf clean SCOPED(buf_deinit) = BUF_INIT(text->len * LOSSY_GROWTH);
	struct lossy lossy = { 0 };
	bool first = out->data[out->len - 1] == '{';
	int rc = lossy_append(&lossy, &clean, text->text, text->len, true, err);

	if (rc == 0)
		rc = buf_printf(out, err, "%s\"%s\":\"", first ? "" : ",", key);
	for (size_t i = 0; rc == 0 && i < clean.len; i++)
		rc = put_byte(out, (unsigned char)clean.data[i], err);
	return rc == 0 ? buf_putc(out, '"', err) : rc;
}

static int put_word(struct buf *out, const char *key, const char *word, struct err *err)
{
	return put(out, key, &(struct diff_text){ .text = word, .len = strlen(word) }, err);
}

/* Leaves a text out when it is too long alone or together with those before it. */
static int put_text(struct buf *out, const char *key, const struct diff_text *text, size_t *room,
		    struct err *err)
{
	if (text->len > PATCH_REPORT_TEXT_MAX || text->len > *room)
		return 0;
	*room -= text->len;
	return put(out, key, text, err);
}

static int put_diff(struct buf *out, const struct diff_text *old, const struct diff_text *now,
		    size_t *room, struct err *err)
{
	size_t max = *room < PATCH_REPORT_TEXT_MAX ? *room : PATCH_REPORT_TEXT_MAX;
	struct buf diff SCOPED(buf_deinit) = BUF_INIT(max);
	bool cut = false;
	int rc = diff_unified(&diff, old, now, &cut, err);

	*room -= diff.len;
	diff.max = max + sizeof CUT_NOTE;
	if (rc == 0 && cut)
		rc = buf_puts(&diff, CUT_NOTE, err);
	return rc < 0 ? rc
		      : put(out, "diff",
			    &(struct diff_text){ .text = buf_str(&diff), .len = diff.len }, err);
}

static const char *kind_of(const struct patch_effect *effect)
{
	const struct patch_name *end = effect->moved_to ? effect->moved_to : effect->name;

	if (!end->present)
		return "delete";
	return effect->name->was == PATCH_NAME_ABSENT ? "add" : "update";
}

static int put_change(struct buf *out, const struct patch_op *op, const struct patch_effect *effect,
		      size_t *room, struct err *err)
{
	const struct patch_name *end = effect->moved_to ? effect->moved_to : effect->name;
	const struct patch_node *before = effect->name->node;
	struct diff_text old = { .text = "" };
	struct diff_text now = { .text = "" };
	int rc = buf_putc(out, '{', err);

	if (before->existed)
		old = (struct diff_text){ .text = before->old, .len = before->old_len };
	if (end->present)
		now.text = patch_node_text(end->node, &now.len);
	if (rc == 0)
		rc = put_word(out, "path", op->path, err);
	if (rc == 0)
		rc = put_word(out, "kind", kind_of(effect), err);
	if (rc == 0 && op->move_to && effect->moved_to)
		rc = put_word(out, "move_path", op->move_to, err);
	if (rc == 0)
		rc = put_diff(out, &old, &now, room, err);
	if (rc == 0 && before->existed)
		rc = put_text(out, "old_text", &old, room, err);
	if (rc == 0 && end->present)
		rc = put_text(out, "new_text", &now, room, err);
	return rc == 0 ? buf_putc(out, '}', err) : rc;
}

/* A file that several operations touch is told of once, as it ends. */
static bool told_before(const struct patch_tree *tree, size_t index)
{
	for (size_t i = 0; i < index; i++) {
		if (tree->effects[i].name == tree->effects[index].name)
			return true;
	}
	return false;
}

static int put_changes(struct buf *out, const struct patch *patch, const struct patch_tree *tree,
		       struct err *err)
{
	size_t room = PATCH_REPORT_TEXTS_MAX;
	size_t told = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < patch->op_count && told < PATCH_REPORT_CHANGES_MAX; i++) {
		if (told_before(tree, i))
			continue;
		if (told++ > 0)
			rc = buf_putc(out, ',', err);
		if (rc == 0)
			rc = put_change(out, &patch->ops[i], &tree->effects[i], &room, err);
	}
	return rc;
}

int patch_report(struct buf *out, enum patch_state state, const struct patch *patch,
		 const struct patch_tree *tree, struct err *err)
{
	static const char *const states[] = { [PATCH_UNVERIFIED] = "unverified",
					      [PATCH_FAILED] = "failed",
					      [PATCH_APPLIED] = "applied" };
	static const char end[] = "]}\n";
	size_t before = out->len;
	size_t begin;
	int rc = buf_printf(out, err, "{\"state\":\"%s\",\"changes\":[", states[state]);

	begin = out->len;
	out->max -= strlen(end); /* which must always fit */
	if (rc == 0 && state == PATCH_APPLIED)
		rc = put_changes(out, patch, tree, err);
	out->max += strlen(end);
	if (rc == ERR_LIMIT && begin > before) { /* all the escapes: then without the changes */
		buf_cut(out, begin);
		rc = 0;
	}
	if (rc == 0)
		rc = buf_puts(out, end, err);
	if (rc < 0)
		buf_cut(out, before);
	return rc;
}
