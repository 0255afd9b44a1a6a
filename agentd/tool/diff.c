#include "agentd/tool/diff.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"

struct line {
	const char *text;
	size_t len; /* with the newline, if it has one */
	uint64_t hash;
};

/* One version, and which of its lines the other does not have. */
struct side {
	struct line *lines;
	bool *only;
	size_t count;
};

/* The part of both sides between the equal lines at the beginning and at the end. */
struct middle {
	const struct line *old;
	const struct line *new;
	int old_count;
	int new_count;
	bool *old_only;
	bool *new_only;
};

/* Lines [old_at, old_end) became [new_at, new_end). */
struct change {
	size_t old_at;
	size_t old_end;
	size_t new_at;
	size_t new_end;
};

static void side_deinit(struct side *side)
{
	free(side->lines);
	free(side->only);
}

static uint64_t hash_line(const char *text, size_t len)
{
	uint64_t hash = 14695981039346656037U; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)text[i]) * 1099511628211U;
	return hash;
}

static int side_init(struct side *side, const struct diff_text *whole, struct err *err)
{
	const char *text = whole->text;
	size_t len = whole->len;
	size_t count = 0;
	size_t at = 0;

	for (const char *p = text; (p = memchr(p, '\n', len - (size_t)(p - text))); p++)
		count++;
	count += len > 0 && text[len - 1] != '\n';
	side->lines = calloc(count + 1, sizeof *side->lines);
	side->only = calloc(count + 1, sizeof *side->only);
	if (!side->lines || !side->only)
		return ERR_NOMEM_SET(err);
	while (at < len) {
		const char *stop = memchr(text + at, '\n', len - at);
		size_t size = stop ? (size_t)(stop - (text + at)) + 1 : len - at;

		side->lines[side->count++] = (struct line){ .text = text + at,
							    .len = size,
							    .hash = hash_line(text + at, size) };
		at += size;
	}
	return 0;
}

static bool same(const struct line *a, const struct line *b)
{
	return a->hash == b->hash && a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

/* How far along diagonal k one gets from x by equal lines. */
static int slide(const struct middle *middle, int x, int k)
{
	while (x < middle->old_count && x - k < middle->new_count &&
	       same(&middle->old[x], &middle->new[x - k]))
		x++;
	return x;
}

/* Furthest x on diagonal k of round d, from the row of round d - 1; rows are indexed k + d. */
static int step(const int *previous, int d, int k)
{
	if (d == 0)
		return 0;
	if (k == -d || (k != d && previous[k - 1 + d - 1] < previous[k + 1 + d - 1]))
		return previous[k + 1 + d - 1]; /* a line of the new version */
	return previous[k - 1 + d - 1] + 1;     /* a line of the old version is gone */
}

/* Marks the lines that the script of d edits touches, from its end to its beginning. */
static void mark_script(const struct middle *middle, int *const *rows, int d)
{
	int k = middle->old_count - middle->new_count;

	for (; d > 0; d--) {
		const int *previous = rows[d - 1];
		int x = step(previous, d, k);

		if (k == -d || (k != d && previous[k - 1 + d - 1] < previous[k + 1 + d - 1])) {
			k++;
			middle->new_only[x - k] = true;
		} else {
			middle->old_only[x - 1] = true;
			k--;
		}
	}
}

static void free_rows(int **rows, int count)
{
	for (int i = 0; i < count; i++)
		free(rows[i]);
}

/* Whether a script of at most DIFF_EDITS_MAX edits was found and marked. */
static int find_script(const struct middle *middle, bool *found, struct err *err)
{
	int *rows[DIFF_EDITS_MAX + 1];
	int goal = middle->old_count - middle->new_count;

	for (int d = 0; d <= DIFF_EDITS_MAX; d++) {
		rows[d] = calloc((size_t)d * 2 + 1, sizeof(int));
		if (!rows[d]) {
			free_rows(rows, d);
			return ERR_NOMEM_SET(err);
		}
		for (int k = -d; k <= d; k += 2) {
			int x = step(d > 0 ? rows[d - 1] : NULL, d, k);

			x = slide(middle, x, k);
			rows[d][k + d] = x;
			if (k == goal && x >= middle->old_count) {
				mark_script(middle, rows, d);
				free_rows(rows, d + 1);
				*found = true;
				return 0;
			}
		}
	}
	free_rows(rows, DIFF_EDITS_MAX + 1);
	*found = false;
	return 0;
}

static int mark_sides(struct side *old, struct side *new, struct err *err)
{
	struct middle middle = { 0 };
	size_t least = old->count < new->count ? old->count : new->count;
	size_t head = 0;
	size_t tail = 0;
	bool found = false;

	while (head < least && same(&old->lines[head], &new->lines[head]))
		head++;
	while (tail < least - head &&
	       same(&old->lines[old->count - 1 - tail], &new->lines[new->count - 1 - tail]))
		tail++;
	if (old->count < INT32_MAX / 2 && new->count < INT32_MAX / 2) {
		int rc;

		middle.old = old->lines + head;
		middle.new = new->lines + head;
		middle.old_only = old->only + head;
		middle.new_only = new->only + head;
		middle.old_count = (int)(old->count - head - tail);
		middle.new_count = (int)(new->count - head - tail);
		rc = find_script(&middle, &found, err);
		if (rc < 0)
			return rc;
	}
	if (found)
		return 0;
	memset(old->only + head, true, old->count - head - tail);
	memset(new->only + head, true, new->count - head - tail);
	return 0;
}

/* The next change at or behind *change's end; false when there is none. */
static bool next_change(const struct side *old, const struct side *new, struct change *change)
{
	size_t i = change->old_end;
	size_t j = change->new_end;

	while (i < old->count && j < new->count && !old->only[i] && !new->only[j]) {
		i++;
		j++;
	}
	if (i == old->count && j == new->count)
		return false;
	*change = (struct change){ .old_at = i, .old_end = i, .new_at = j, .new_end = j };
	while (change->old_end < old->count && old->only[change->old_end])
		change->old_end++;
	while (change->new_end < new->count &&new->only[change->new_end])
		change->new_end++;
	return true;
}

static int put_lines(struct buf *out, char mark, const struct side *side, size_t from, size_t to,
		     struct err *err)
{
	int rc = 0;

	for (size_t i = from; rc == 0 && i < to; i++) {
		const struct line *line = &side->lines[i];

		rc = buf_putc(out, mark, err);
		if (rc == 0)
			rc = buf_append(out, line->text, line->len, err);
		if (rc == 0 && line->text[line->len - 1] != '\n')
			rc = buf_puts(out, "\n\\ No newline at end of file\n", err);
	}
	return rc;
}

/* "12,3"; an empty range is named by the line before it. */
static int put_range(struct buf *out, char mark, size_t at, size_t end, struct err *err)
{
	return buf_printf(out, err, "%c%zu,%zu ", mark, end > at ? at + 1 : at, end - at);
}

/* From `first` on: the changes that are so near to each other that their context touches. */
static int put_hunk(struct buf *out, const struct side *old, const struct side *new,
		    const struct change *first, const struct change *last, struct err *err)
{
	size_t lead = first->old_at < DIFF_CONTEXT ? first->old_at : DIFF_CONTEXT;
	size_t trail = old->count - last->old_end < DIFF_CONTEXT ? old->count - last->old_end
								 : DIFF_CONTEXT;
	struct change at = *first;
	size_t from = first->old_at - lead;
	int rc = buf_puts(out, "@@ ", err);

	if (rc == 0)
		rc = put_range(out, '-', from, last->old_end + trail, err);
	if (rc == 0)
		rc = put_range(out, '+', first->new_at - lead, last->new_end + trail, err);
	if (rc == 0)
		rc = buf_puts(out, "@@\n", err);
	for (bool more = true; rc == 0 && more;
	     more = at.old_at <= last->old_at && at.new_at <= last->new_at) {
		rc = put_lines(out, ' ', old, from, at.old_at, err);
		if (rc == 0)
			rc = put_lines(out, '-', old, at.old_at, at.old_end, err);
		if (rc == 0)
			rc = put_lines(out, '+', new, at.new_at, at.new_end, err);
		from = at.old_end;
		if (!next_change(old, new, &at))
			break;
	}
	if (rc == 0)
		rc = put_lines(out, ' ', old, last->old_end, last->old_end + trail, err);
	return rc;
}

/* All hunks, or those up to the first that has no room. */
static int put_hunks(struct buf *out, const struct side *old, const struct side *new, bool *cut,
		     struct err *err)
{
	struct change first = { 0 };
	int rc = 0;

	while (rc == 0 && next_change(old, new, &first)) {
		struct change last = first;
		struct change next = first;
		size_t whole = out->len;

		while (next_change(old, new, &next) &&
		       next.old_at - last.old_end <= 2 * (size_t)DIFF_CONTEXT)
			last = next;
		rc = put_hunk(out, old, new, &first, &last, err);
		if (rc < 0) {
			buf_cut(out, whole);
			*cut = rc == ERR_LIMIT;
			return *cut ? 0 : rc;
		}
		first = last;
	}
	return rc;
}

int diff_unified(struct buf *out, const struct diff_text *before, const struct diff_text *after,
		 bool *cut, struct err *err)
{
	struct side old = { 0 };
	struct side new = { 0 };
	int rc = side_init(&old, before, err);

	*cut = false;
	if (rc == 0)
		rc = side_init(&new, after, err);
	if (rc == 0)
		rc = mark_sides(&old, &new, err);
	if (rc == 0)
		rc = put_hunks(out, &old, &new, cut, err);
	side_deinit(&old);
	side_deinit(&new);
	return rc;
}
