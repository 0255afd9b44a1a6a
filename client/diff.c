#include "client/diff.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"

struct line {
	const char *text;
	size_t len;
};

struct lines {
	struct line *items;
	size_t count;
};

/* One line of the result. */
struct edit {
	char sign;
	const struct line *line;
};

struct edits {
	struct edit *items;
	size_t count;
};

static int split(struct lines *out, const char *text, struct err *err)
{
	size_t count = 1;

	for (const char *p = text; *p; p++)
		count += *p == '\n' ? 1 : 0;
	out->items = calloc(count, sizeof *out->items);
	if (!out->items)
		return ERR_NOMEM_SET(err);
	while (*text) {
		size_t len = strcspn(text, "\n");

		out->items[out->count++] = (struct line){ .text = text, .len = len };
		text += len + (text[len] ? 1 : 0);
	}
	return 0;
}

static bool same(const struct line *a, const struct line *b)
{
	return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

static void put(struct edits *edits, char sign, const struct line *line)
{
	edits->items[edits->count++] = (struct edit){ .sign = sign, .line = line };
}

/* table[i][j]: length of the longest common part of a[i..] and b[j..]. */
static void walk(struct edits *edits, const struct lines *a, const struct lines *b,
		 const uint32_t *table)
{
	size_t width = b->count + 1;
	size_t i = 0;
	size_t j = 0;

	while (i < a->count && j < b->count) {
		if (same(&a->items[i], &b->items[j])) {
			put(edits, ' ', &a->items[i++]);
			j++;
		} else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) {
			put(edits, '-', &a->items[i++]);
		} else {
			put(edits, '+', &b->items[j++]);
		}
	}
	while (i < a->count)
		put(edits, '-', &a->items[i++]);
	while (j < b->count)
		put(edits, '+', &b->items[j++]);
}

static int compare(struct edits *edits, const struct lines *a, const struct lines *b,
		   struct err *err)
{
	size_t width = b->count + 1;
	uint32_t *table = NULL;

	if (a->count > 0 && b->count > DIFF_CELLS_MAX / a->count) {
		for (size_t i = 0; i < a->count; i++)
			put(edits, '-', &a->items[i]);
		for (size_t j = 0; j < b->count; j++)
			put(edits, '+', &b->items[j]);
		return 0;
	}
	table = calloc((a->count + 1) * width, sizeof *table);
	if (!table)
		return ERR_NOMEM_SET(err);
	for (size_t i = a->count; i-- > 0;) {
		for (size_t j = b->count; j-- > 0;) {
			uint32_t below = table[(i + 1) * width + j];
			uint32_t right = table[i * width + j + 1];

			if (same(&a->items[i], &b->items[j]))
				table[i * width + j] = table[(i + 1) * width + j + 1] + 1;
			else
				table[i * width + j] = below > right ? below : right;
		}
	}
	walk(edits, a, b, table);
	free(table);
	return 0;
}

/* Equal lines at both ends need no table. */
static int collect(struct edits *edits, const struct lines *a, const struct lines *b,
		   struct err *err)
{
	size_t head = 0;
	size_t tail = 0;
	struct lines middle_a;
	struct lines middle_b;

	while (head < a->count && head < b->count && same(&a->items[head], &b->items[head]))
		head++;
	while (tail < a->count - head && tail < b->count - head &&
	       same(&a->items[a->count - 1 - tail], &b->items[b->count - 1 - tail]))
		tail++;
	edits->items = calloc(a->count + b->count + 1, sizeof *edits->items);
	if (!edits->items)
		return ERR_NOMEM_SET(err);
	for (size_t i = 0; i < head; i++)
		put(edits, ' ', &a->items[i]);
	middle_a = (struct lines){ .items = a->items + head, .count = a->count - head - tail };
	middle_b = (struct lines){ .items = b->items + head, .count = b->count - head - tail };
	if (compare(edits, &middle_a, &middle_b, err) < 0)
		return err->code;
	for (size_t i = a->count - tail; i < a->count; i++)
		put(edits, ' ', &a->items[i]);
	return 0;
}

static bool near_change(const struct edits *edits, size_t at)
{
	size_t from = at > DIFF_AROUND ? at - DIFF_AROUND : 0;

	for (size_t i = from; i <= at + DIFF_AROUND && i < edits->count; i++) {
		if (edits->items[i].sign != ' ')
			return true;
	}
	return false;
}

static int show(const struct edits *edits, diff_line_fn *fn, void *ctx, struct err *err)
{
	bool skipped = false;
	bool shown = false;

	for (size_t i = 0; i < edits->count; i++) {
		const struct edit *edit = &edits->items[i];

		if (!near_change(edits, i)) {
			skipped = true;
			continue;
		}
		if (skipped && shown && fn(ctx, '@', "", 0, err) < 0)
			return err->code;
		if (fn(ctx, edit->sign, edit->line->text, edit->line->len, err) < 0)
			return err->code;
		skipped = false;
		shown = true;
	}
	return 0;
}

int diff_lines(const char *old_text, const char *new_text, diff_line_fn *fn, void *ctx,
	       struct err *err)
{
	struct lines a = { 0 };
	struct lines b = { 0 };
	struct edits edits = { 0 };
	int rc = split(&a, old_text, err);

	if (rc == 0)
		rc = split(&b, new_text, err);
	if (rc == 0)
		rc = collect(&edits, &a, &b, err);
	if (rc == 0)
		rc = show(&edits, fn, ctx, err);
	free(a.items);
	free(b.items);
	free(edits.items);
	return rc;
}
