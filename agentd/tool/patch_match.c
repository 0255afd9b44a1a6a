#include "agentd/tool/patch_match.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/tool/patch_parse.h"

#define NOWHERE SIZE_MAX
#define FIRST_LINES 256U

/* A line of the file: text, and behind it 0 to 2 bytes of line end before `next`. */
struct line {
	uint32_t start;
	uint32_t len;
};

_Static_assert(PATCH_FILE_MAX < UINT32_MAX, "offsets of lines are 32 bits");

/* What a chunk does: in the file, `old` lines from `at` on. */
struct edit {
	size_t at;
	size_t old;
	size_t chunk; /* index in the patch; also orders edits at one place */
	bool cut;     /* the chunk's last old line, an empty one, was not in the file */
};

struct match {
	const struct patch *patch;
	const char *content;
	size_t len;
	struct line *lines;
	size_t count;
	struct edit *edits;
	size_t edit_count;
	const struct patch_line **pattern; /* old lines of the chunk at hand */
	struct patch_line context;         /* the line behind @@ as a pattern */
	uint64_t work;                     /* bytes compared so far */
	bool crlf;
};

/* How strictly lines are compared; tried in this order over the whole range. */
enum strictness { EXACT, IGNORE_END, IGNORE_ENDS, IGNORE_TYPOGRAPHY, STRICTNESS_COUNT };

static void match_deinit(struct match *match)
{
	free(match->lines);
	free(match->edits);
	free(match->pattern);
}

static int split_lines(struct match *match, struct err *err)
{
	size_t cap = 0;
	size_t at = 0;

	while (at < match->len) {
		const char *start = match->content + at;
		const char *stop = memchr(start, '\n', match->len - at);
		size_t whole = stop ? (size_t)(stop - start) + 1 : match->len - at;
		size_t len = stop ? whole - 1 : whole;

		if (stop && len > 0 && start[len - 1] == '\r')
			len--;
		if (match->count == cap) {
			struct line *more;

			cap = cap > 0 ? cap * 2 : FIRST_LINES;
			more = realloc(match->lines, cap * sizeof *more);
			if (!more)
				return ERR_NOMEM_SET(err);
			match->lines = more;
		}
		match->lines[match->count++] =
			(struct line){ .start = (uint32_t)at, .len = (uint32_t)len };
		at += whole;
	}
	match->crlf = match->count > 0 && match->lines[0].len + 2 <= match->len &&
		      match->content[match->lines[0].len] == '\r' &&
		      match->content[match->lines[0].len + 1] == '\n';
	return 0;
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next character as ASCII where it is a typographic twin of one; bytes otherwise. */
static char plain_char(const char **at, const char *end)
{
	/* clang-format off */
	static const struct {
		const char *first; /* UTF-8, three bytes; only the last one differs in a range */
		unsigned char last;
		char plain;
	} twins[] = {
		{ "\xe2\x80\x90", 0x95, '-' },  /* hyphens and dashes U+2010..2015 */
		{ "\xe2\x88\x92", 0x92, '-' },  /* minus sign U+2212 */
		{ "\xe2\x80\x98", 0x9b, '\'' }, /* single quotes U+2018..201B */
		{ "\xe2\x80\x9c", 0x9f, '"' },  /* double quotes U+201C..201F */
		{ "\xe2\x80\x82", 0x8a, ' ' },  /* spaces U+2002..200A */
		{ "\xe2\x80\xaf", 0xaf, ' ' },  /* narrow no-break space U+202F */
		{ "\xe2\x81\x9f", 0x9f, ' ' },  /* mathematical space U+205F */
		{ "\xe3\x80\x80", 0x80, ' ' },  /* ideographic space U+3000 */
	};
	/* clang-format on */
	const unsigned char *p = (const unsigned char *)*at;
	size_t left = (size_t)(end - *at);

	if (left >= 2 && p[0] == 0xc2 && p[1] == 0xa0) { /* no-break space U+00A0 */
		*at += 2;
		return ' ';
	}
	for (size_t i = 0; left >= 3 && i < ARRAY_LEN(twins); i++) {
		const unsigned char *first = (const unsigned char *)twins[i].first;

		if (p[0] == first[0] && p[1] == first[1] && p[2] >= first[2] &&
		    p[2] <= twins[i].last) {
			*at += 3;
			return twins[i].plain;
		}
	}
	*at += 1;
	return (char)p[0];
}

/* Skips plain white space; at the end of the text nothing is left. */
static void skip_space(const char **at, const char *end)
{
	while (*at < end) {
		const char *next = *at;

		if (!is_space(plain_char(&next, end)))
			return;
		*at = next;
	}
}

static bool same_plain(const char *a, size_t a_len, const char *b, size_t b_len)
{
	const char *a_end = a + a_len;
	const char *b_end = b + b_len;

	skip_space(&a, a_end);
	skip_space(&b, b_end);
	while (a < a_end && b < b_end) {
		const char *a_rest = a;
		const char *b_rest = b;

		if (plain_char(&a, a_end) == plain_char(&b, b_end))
			continue;
		a = a_rest; /* they differ: fine only if white space is all that is left */
		b = b_rest;
		break;
	}
	skip_space(&a, a_end);
	skip_space(&b, b_end);
	return a == a_end && b == b_end;
}

static bool same_line(const char *a, size_t a_len, const char *b, size_t b_len,
		      enum strictness strictness)
{
	if (strictness == IGNORE_TYPOGRAPHY)
		return same_plain(a, a_len, b, b_len);
	if (strictness >= IGNORE_END) {
		while (a_len > 0 && is_space(a[a_len - 1]))
			a_len--;
		while (b_len > 0 && is_space(b[b_len - 1]))
			b_len--;
	}
	if (strictness >= IGNORE_ENDS) {
		for (; a_len > 0 && is_space(*a); a_len--)
			a++;
		for (; b_len > 0 && is_space(*b); b_len--)
			b++;
	}
	return a_len == b_len && memcmp(a, b, a_len) == 0;
}

static bool matches_at(struct match *match, size_t at, size_t count, enum strictness strictness)
{
	for (size_t i = 0; i < count; i++) {
		const struct line *line = &match->lines[at + i];
		const struct patch_line *want = match->pattern[i];

		match->work += 1 + (want->len < line->len ? want->len : line->len);
		if (!same_line(match->content + line->start, line->len, want->text, want->len,
			       strictness))
			return false;
	}
	return true;
}

/* The first place at or behind `from`, and with `only_end` no other than the end of the file. */
static size_t seek(struct match *match, size_t count, size_t from, bool only_end)
{
	size_t last;

	if (count > match->count || from > match->count - count)
		return NOWHERE;
	last = match->count - count;
	if (only_end)
		from = last;
	for (int strictness = EXACT; strictness < STRICTNESS_COUNT; strictness++) {
		for (size_t at = from; at <= last; at++) {
			if (match->work > PATCH_MATCH_WORK_MAX)
				return NOWHERE;
			if (matches_at(match, at, count, (enum strictness)strictness))
				return at;
		}
	}
	return NOWHERE;
}

static size_t seek_old(struct match *match, size_t count, size_t from, bool at_end)
{
	size_t at = at_end ? seek(match, count, from, true) : NOWHERE;

	return at == NOWHERE ? seek(match, count, from, false) : at;
}

/* The chunk's old lines, context and removed ones, as the pattern. */
static size_t set_pattern(struct match *match, const struct patch_chunk *chunk)
{
	size_t count = 0;

	for (size_t i = 0; i < chunk->count; i++) {
		const struct patch_line *line = &match->patch->lines[chunk->first + i];

		if (line->mark != PATCH_ADDED)
			match->pattern[count++] = line;
	}
	return count;
}

static size_t seek_context(struct match *match, const struct patch_chunk *chunk, size_t from)
{
	match->context = (struct patch_line){ .mark = PATCH_CONTEXT,
					      .text = chunk->context,
					      .len = strlen(chunk->context) };
	match->pattern[0] = &match->context;
	return seek(match, 1, from, false);
}

/* Finds the place of one chunk; *from is where the next one may begin. */
static int place_chunk(struct match *match, const struct patch_chunk *chunk, size_t *from,
		       struct patch_miss *miss, struct err *err)
{
	struct edit *edit = &match->edits[match->edit_count];
	size_t old;

	*edit = (struct edit){ .chunk = (size_t)(chunk - match->patch->chunks) };
	if (chunk->context) {
		edit->at = seek_context(match, chunk, *from);
		if (edit->at == NOWHERE) {
			*miss = (struct patch_miss){ .chunk = chunk, .is_context = 1 };
			return ERR_SET(err, ERR_NOTFOUND, "context not found");
		}
		*from = edit->at + 1;
	}
	old = set_pattern(match, chunk);
	if (old == 0) {
		edit->at = chunk->context ? *from : match->count;
		match->edit_count++;
		return 0;
	}
	edit->at = seek_old(match, old, *from, chunk->at_end);
	if (edit->at == NOWHERE && match->pattern[old - 1]->len == 0) {
		edit->cut = true; /* an empty last line is often only the patch's own */
		old--;
		edit->at = seek_old(match, old, *from, chunk->at_end);
	}
	if (edit->at == NOWHERE) {
		*miss = (struct patch_miss){ .chunk = chunk };
		return ERR_SET(err, ERR_NOTFOUND, "expected lines not found");
	}
	edit->old = old;
	*from = edit->at + old;
	match->edit_count++;
	return 0;
}

static int compare_edits(const void *a, const void *b)
{
	const struct edit *left = a;
	const struct edit *right = b;

	if (left->at != right->at)
		return left->at < right->at ? -1 : 1;
	return left->chunk < right->chunk ? -1 : 1;
}

static int put_line(struct buf *out, const struct match *match, const char *text, size_t len,
		    struct err *err)
{
	int rc = buf_append(out, text, len, err);

	return rc < 0 ? rc : buf_puts(out, match->crlf ? "\r\n" : "\n", err);
}

/* Lines [from, to) as they are; only a missing end of line is added. */
static int copy_lines(struct buf *out, const struct match *match, size_t from, size_t to,
		      struct err *err)
{
	size_t start;
	size_t stop;
	int rc;

	if (from >= to || !match->lines)
		return 0;
	start = match->lines[from].start;
	stop = to < match->count ? match->lines[to].start : match->len;
	rc = buf_append(out, match->content + start, stop - start, err);
	if (rc == 0 && match->content[stop - 1] != '\n')
		rc = buf_puts(out, match->crlf ? "\r\n" : "\n", err);
	return rc;
}

/* Index of the chunk's last old line, and whether no added line follows it. */
static size_t last_old(const struct match *match, const struct patch_chunk *chunk, bool *is_last)
{
	size_t i = chunk->count;

	*is_last = true;
	while (i > 0 && match->patch->lines[chunk->first + i - 1].mark == PATCH_ADDED) {
		*is_last = false;
		i--;
	}
	return i - 1;
}

static int put_edit(struct buf *out, const struct match *match, const struct edit *edit,
		    struct err *err)
{
	const struct patch_chunk *chunk = &match->patch->chunks[edit->chunk];
	bool is_last = false;
	size_t cut = edit->cut ? last_old(match, chunk, &is_last) : NOWHERE;
	size_t at = edit->at;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < chunk->count; i++) {
		const struct patch_line *line = &match->patch->lines[chunk->first + i];

		if (i == cut) { /* not in the file; with lines behind it, it is wanted there */
			if (line->mark == PATCH_CONTEXT && !is_last)
				rc = put_line(out, match, line->text, line->len, err);
			continue;
		}
		if (line->mark == PATCH_ADDED) {
			rc = put_line(out, match, line->text, line->len, err);
			continue;
		}
		if (line->mark == PATCH_CONTEXT)
			rc = copy_lines(out, match, at, at + 1, err);
		at++;
	}
	return rc;
}

static int put_all(struct buf *out, struct match *match, struct err *err)
{
	size_t before = out->len;
	size_t at = 0;
	int rc = 0;

	qsort(match->edits, match->edit_count, sizeof *match->edits, compare_edits);
	for (size_t i = 0; rc == 0 && i < match->edit_count; i++) {
		const struct edit *edit = &match->edits[i];

		rc = copy_lines(out, match, at, edit->at, err);
		if (rc == 0)
			rc = put_edit(out, match, edit, err);
		at = edit->at + edit->old;
	}
	if (rc == 0)
		rc = copy_lines(out, match, at, match->count, err);
	if (rc < 0)
		return rc;
	if (match->len > 0 && match->content[match->len - 1] != '\n' && out->len > before) {
		buf_cut(out, out->len - 1);
		if (out->len > before && out->data[out->len - 1] == '\r')
			buf_cut(out, out->len - 1);
	}
	return 0;
}

static int match_init(struct match *match, const struct patch_op *op, struct err *err)
{
	size_t longest = 1; /* a context line is a pattern too */

	for (size_t i = 0; i < op->chunk_count; i++) {
		size_t count = match->patch->chunks[op->first_chunk + i].count;

		longest = count > longest ? count : longest;
	}
	match->pattern = calloc(longest, sizeof(struct patch_line *));
	match->edits = calloc(op->chunk_count + 1, sizeof *match->edits);
	if (!match->pattern || !match->edits) {
		(void)ERR_NOMEM_SET(err);
		return ERR_NOMEM;
	}
	return split_lines(match, err);
}

static int place_chunks(struct match *match, const struct patch_op *op, struct patch_miss *miss,
			struct err *err)
{
	size_t from = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < op->chunk_count; i++) {
		const struct patch_chunk *chunk = &match->patch->chunks[op->first_chunk + i];

		rc = place_chunk(match, chunk, &from, miss, err);
		if (rc < 0 && match->work > PATCH_MATCH_WORK_MAX)
			rc = ERR_SET(err, ERR_LIMIT, "the search takes too long");
	}
	return rc;
}

int patch_match(struct buf *out, const struct patch *patch, const struct patch_op *op,
		const struct patch_file *file, struct patch_miss *miss, struct err *err)
{
	struct match match = { .patch = patch, .content = file->text, .len = file->len };
	size_t before = out->len;
	int rc;

	if (file->len > PATCH_FILE_MAX)
		return ERR_SET(err, ERR_LIMIT, "the file is longer than %u bytes", PATCH_FILE_MAX);
	rc = match_init(&match, op, err);
	if (rc == 0)
		rc = place_chunks(&match, op, miss, err);
	if (rc == 0)
		rc = put_all(out, &match, err);
	if (rc < 0)
		buf_cut(out, before);
	match_deinit(&match);
	return rc;
}
