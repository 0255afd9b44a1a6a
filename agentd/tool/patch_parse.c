#include "agentd/tool/patch_parse.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#define BEGIN_MARK "*** Begin Patch"
#define END_MARK "*** End Patch"
#define ADD_MARK "*** Add File: "
#define DELETE_MARK "*** Delete File: "
#define UPDATE_MARK "*** Update File: "
#define MOVE_MARK "*** Move to: "
#define EOF_MARK "*** End of File"
#define REMOTE_MARK "*** Environment ID: "

#define FIRST_ENTRIES 16U
#define QUOTED_MAX 120 /* characters of a wrong line that a message repeats */

/* The lines between the two outer marks. */
struct parser {
	struct patch patch;
	size_t caps[3]; /* of ops, chunks, lines */
	char *at;
	char *end;
	size_t number; /* of the line at `at`; the first mark is line 1 */
};

enum { CAP_OPS, CAP_CHUNKS, CAP_LINES };

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Both ends; the end is made by a NUL, so the text must be the patch's own. */
static char *trim(char *text, size_t len)
{
	while (len > 0 && is_space(text[len - 1]))
		len--;
	text[len] = '\0';
	while (is_space(*text))
		text++;
	return text;
}

/* Length of the line at `at` without its end; CR before LF belongs to the end. */
static size_t line_length(const char *at, const char *end)
{
	const char *stop = memchr(at, '\n', (size_t)(end - at));
	size_t len = (size_t)((stop ? stop : end) - at);

	while (len > 0 && at[len - 1] == '\r')
		len--;
	return len;
}

static bool at_end(const struct parser *parser)
{
	return parser->at >= parser->end;
}

static size_t peek(const struct parser *parser, const char **out)
{
	*out = parser->at;
	return line_length(parser->at, parser->end);
}

/* Takes the line, NUL-terminated. */
static char *take(struct parser *parser, size_t *out_len)
{
	char *line = parser->at;
	char *stop = memchr(line, '\n', (size_t)(parser->end - line));

	*out_len = line_length(line, parser->end);
	line[*out_len] = '\0'; /* at the very end this is the NUL behind the text */
	parser->at = stop ? stop + 1 : parser->end;
	parser->number++;
	return line;
}

static bool starts(const char *line, size_t len, const char *mark)
{
	size_t size = strlen(mark);

	return len >= size && memcmp(line, mark, size) == 0;
}

static bool is_blank(const char *line, size_t len)
{
	while (len > 0 && is_space(line[len - 1]))
		len--;
	return len == 0;
}

static bool is_marker(const char *line, size_t len, const char *mark)
{
	while (len > 0 && is_space(*line)) {
		line++;
		len--;
	}
	while (len > 0 && is_space(line[len - 1]))
		len--;
	return len == strlen(mark) && memcmp(line, mark, len) == 0;
}

/* Room for one more entry of `size` bytes. */
static void *grown(void *entries, size_t count, size_t *cap, size_t size, struct err *err)
{
	size_t more = *cap > 0 ? *cap * 2 : FIRST_ENTRIES;
	void *moved;

	if (count < *cap)
		return entries;
	moved = realloc(entries, more * size);
	if (!moved) {
		(void)ERR_NOMEM_SET(err);
		return NULL;
	}
	*cap = more;
	return moved;
}

static int add_line(struct parser *parser, enum patch_mark mark, const char *text, size_t len,
		    struct err *err)
{
	struct patch *patch = &parser->patch;
	struct patch_line *lines = grown(patch->lines, patch->line_count, &parser->caps[CAP_LINES],
					 sizeof *lines, err);

	if (!lines)
		return ERR_NOMEM;
	patch->lines = lines;
	lines[patch->line_count++] = (struct patch_line){ .mark = mark, .text = text, .len = len };
	return 0;
}

static struct patch_chunk *add_chunk(struct parser *parser, struct err *err)
{
	struct patch *patch = &parser->patch;
	struct patch_chunk *chunks = grown(patch->chunks, patch->chunk_count,
					   &parser->caps[CAP_CHUNKS], sizeof *chunks, err);

	if (!chunks)
		return NULL;
	patch->chunks = chunks;
	chunks[patch->chunk_count] = (struct patch_chunk){ .first = patch->line_count };
	return &chunks[patch->chunk_count++];
}

static int hunk_error(const struct parser *parser, struct err *err, const char *format, ...)
	PRINTF_LIKE(3, 4);

static int hunk_error(const struct parser *parser, struct err *err, const char *format, ...)
{
	struct err what = { 0 };
	va_list args;

	va_start(args, format);
	(void)err_set_va(&what, ERR_INVALID, format, args);
	va_end(args);
	return ERR_SET(err, ERR_INVALID, "invalid hunk at line %zu, %s", parser->number, what.text);
}

static int quoted(size_t len)
{
	return (int)(len < QUOTED_MAX ? len : QUOTED_MAX);
}

/* A path behind its mark. "dir/" names a file "dir"; white space around it was never meant. */
static int take_path(struct parser *parser, const char **out, size_t mark, struct err *err)
{
	size_t number = parser->number;
	size_t len = 0;
	char *line = take(parser, &len);
	char *path = trim(line, len);
	size_t size = strlen(path);

	path += size < mark ? size : mark;
	path = trim(path, strlen(path));
	size = strlen(path);
	while (size > 1 && (path[size - 1] == '/' || is_space(path[size - 1])))
		path[--size] = '\0';
	parser->number = number; /* for the message */
	if (size == 0 || str_eq(path, "/"))
		return hunk_error(parser, err, "the path is missing");
	if (size > PATCH_PATH_MAX)
		return hunk_error(parser, err, "the path is longer than %u bytes", PATCH_PATH_MAX);
	parser->number = number + 1;
	*out = path;
	return 0;
}

static int parse_add(struct parser *parser, struct patch_op *op, struct err *err)
{
	op->first_line = parser->patch.line_count;
	while (!at_end(parser) && *parser->at == '+') {
		size_t len = 0;
		char *line = take(parser, &len);
		int rc = add_line(parser, PATCH_ADDED, line + 1, len - 1, err);

		if (rc < 0)
			return rc;
	}
	op->line_count = parser->patch.line_count - op->first_line;
	return 0;
}

/* The @@ line, which the first chunk of a file may lack. */
static int parse_context(struct parser *parser, struct patch_chunk *chunk, bool first,
			 struct err *err)
{
	const char *line = NULL;
	size_t len = peek(parser, &line);

	if (starts(line, len, "@@") && (len == 2 || line[2] == ' ')) {
		char *text = take(parser, &len);

		if (len > 3 && !is_blank(text + 3, len - 3))
			chunk->context = text + 3;
		return 0;
	}
	if (first)
		return 0;
	return hunk_error(parser, err,
			  "Expected update hunk to start with a @@ context marker, got: '%.*s'",
			  quoted(len), line);
}

/* One line of a chunk; sets *done where the chunk ends without taking the line. */
static int parse_chunk_line(struct parser *parser, bool empty, bool *done, struct err *err)
{
	const char *line = NULL;
	size_t len = peek(parser, &line);
	enum patch_mark mark = PATCH_CONTEXT;

	if (len > 0 && *line != ' ' && *line != '+' && *line != '-') {
		*done = true;
		if (!empty)
			return 0;
		return hunk_error(parser, err,
				  "Unexpected line found in update hunk: '%.*s'. Every line should "
				  "start with ' ' (context line), '+' (added line), or '-' "
				  "(removed line)",
				  quoted(len), line);
	}
	line = take(parser, &len);
	if (len == 0) /* models drop the space of an empty context line */
		return add_line(parser, PATCH_CONTEXT, line, 0, err);
	if (*line == '+')
		mark = PATCH_ADDED;
	else if (*line == '-')
		mark = PATCH_REMOVED;
	return add_line(parser, mark, line + 1, len - 1, err);
}

static int parse_chunk(struct parser *parser, bool first, struct err *err)
{
	struct patch_chunk *chunk = add_chunk(parser, err);
	bool done = false;
	int rc;

	if (!chunk)
		return ERR_NOMEM;
	rc = parse_context(parser, chunk, first, err);
	while (rc == 0 && !done && !at_end(parser)) {
		const char *line = NULL;
		size_t len = peek(parser, &line);

		chunk->count = parser->patch.line_count - chunk->first;
		if (is_marker(line, len, EOF_MARK) && chunk->count > 0) {
			(void)take(parser, &len);
			chunk->at_end = true;
			return 0;
		}
		if (starts(line, len, "***"))
			break;
		rc = parse_chunk_line(parser, chunk->count == 0, &done, err);
	}
	if (rc < 0)
		return rc;
	chunk->count = parser->patch.line_count - chunk->first;
	if (chunk->count == 0)
		return hunk_error(parser, err, "Update hunk does not contain any lines");
	return 0;
}

static int parse_update(struct parser *parser, struct patch_op *op, size_t number, struct err *err)
{
	const char *line = NULL;
	size_t len = at_end(parser) ? 0 : peek(parser, &line);
	int rc;

	if (len > 0 && starts(line, len, MOVE_MARK)) {
		rc = take_path(parser, &op->move_to, strlen(MOVE_MARK), err);
		if (rc < 0)
			return rc;
	}
	op->first_chunk = parser->patch.chunk_count;
	while (!at_end(parser)) {
		len = peek(parser, &line);
		if (is_blank(line, len)) {
			(void)take(parser, &len);
			continue;
		}
		if (starts(line, len, "***") && !is_marker(line, len, EOF_MARK))
			break;
		rc = parse_chunk(parser, parser->patch.chunk_count == op->first_chunk, err);
		if (rc < 0)
			return rc;
	}
	op->chunk_count = parser->patch.chunk_count - op->first_chunk;
	if (op->chunk_count > 0)
		return 0;
	parser->number = number;
	return hunk_error(parser, err, "Update file hunk for path '%.*s' is empty",
			  quoted(strlen(op->path)), op->path);
}

/* Which operation a header line announces, and how long its mark is. */
static enum patch_kind header_kind(const char *line, size_t len, size_t *mark)
{
	static const struct {
		const char *mark;
		enum patch_kind kind;
	} headers[] = {
		{ ADD_MARK, PATCH_ADD },
		{ DELETE_MARK, PATCH_DELETE },
		{ UPDATE_MARK, PATCH_UPDATE },
	};

	while (len > 0 && is_space(*line)) {
		line++;
		len--;
	}
	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		*mark = strlen(headers[i].mark);
		/* The space behind the colon is gone when the path is missing too. */
		if (starts(line, len, headers[i].mark) ||
		    (len == *mark - 1 && memcmp(line, headers[i].mark, len) == 0))
			return headers[i].kind;
	}
	return PATCH_NONE;
}

static int bad_header(const struct parser *parser, const char *line, size_t len, struct err *err)
{
	if (parser->patch.op_count == 0 && starts(line, len, REMOTE_MARK))
		return hunk_error(parser, err,
				  "'%.*s' names a remote environment, and there is none",
				  quoted(len), line);
	return hunk_error(parser, err,
			  "'%.*s' is not a valid hunk header. Valid hunk headers: '*** Add File: "
			  "{path}', '*** Delete File: {path}', '*** Update File: {path}'",
			  quoted(len), line);
}

static int parse_op(struct parser *parser, struct err *err)
{
	struct patch *patch = &parser->patch;
	size_t number = parser->number;
	const char *line = NULL;
	size_t len = peek(parser, &line);
	size_t mark = 0;
	struct patch_op op = { .kind = header_kind(line, len, &mark) };
	struct patch_op *ops;
	int rc;

	if (op.kind == PATCH_NONE)
		return bad_header(parser, line, len, err);
	if (patch->op_count == PATCH_OPS_MAX)
		return hunk_error(parser, err, "more than %u files in one patch", PATCH_OPS_MAX);
	rc = take_path(parser, &op.path, mark, err);
	if (rc == 0 && op.kind == PATCH_ADD)
		rc = parse_add(parser, &op, err);
	if (rc == 0 && op.kind == PATCH_UPDATE)
		rc = parse_update(parser, &op, number, err);
	if (rc < 0)
		return rc;
	ops = grown(patch->ops, patch->op_count, &parser->caps[CAP_OPS], sizeof *ops, err);
	if (!ops)
		return ERR_NOMEM;
	patch->ops = ops;
	ops[patch->op_count++] = op;
	return 0;
}

static bool is_here_doc(const char *first, size_t first_len, const char *last, size_t last_len)
{
	return (is_marker(first, first_len, "<<EOF") || is_marker(first, first_len, "<<'EOF'") ||
		is_marker(first, first_len, "<<\"EOF\"")) &&
	       last_len >= 3 && memcmp(last + last_len - 3, "EOF", 3) == 0;
}

/* Narrows at..end to the lines between the outer marks. */
static int strip_marks(struct parser *parser, bool inside_here_doc, struct err *err)
{
	char *text = trim(parser->at, (size_t)(parser->end - parser->at));
	char *end = text + strlen(text);
	char *last = memrchr(text, '\n', (size_t)(end - text));
	char *second = memchr(text, '\n', (size_t)(end - text));
	size_t first_len = line_length(text, end);

	last = last ? last + 1 : text;
	parser->at = second ? second + 1 : end;
	parser->end = second ? last : end;
	if (!inside_here_doc && second && is_here_doc(text, first_len, last, (size_t)(end - last)))
		return strip_marks(parser, true, err);
	if (!is_marker(text, first_len, BEGIN_MARK))
		return ERR_SET(err, ERR_INVALID,
			       "invalid patch: The first line of the patch must be '" BEGIN_MARK
			       "'");
	if (!second || !is_marker(last, (size_t)(end - last), END_MARK))
		return ERR_SET(err, ERR_INVALID,
			       "invalid patch: The last line of the patch must be '" END_MARK "'");
	parser->number = 2;
	return 0;
}

static int parse_all(struct parser *parser, struct err *err)
{
	int rc = strip_marks(parser, false, err);

	while (rc == 0 && !at_end(parser)) {
		const char *line = NULL;
		size_t len = peek(parser, &line);

		if (is_blank(line, len))
			(void)take(parser, &len);
		else
			rc = parse_op(parser, err);
	}
	return rc;
}

int patch_parse(struct patch *out, const char *text, size_t len, struct err *err)
{
	struct parser parser = { 0 };
	int rc;

	if (len > PATCH_TEXT_MAX)
		return ERR_SET(err, ERR_LIMIT, "invalid patch: longer than %u bytes",
			       PATCH_TEXT_MAX);
	if (memchr(text, '\0', len))
		return ERR_SET(err, ERR_INVALID, "invalid patch: contains a NUL byte");
	parser.patch.text = str_dup_len(text, len);
	if (!parser.patch.text)
		return ERR_NOMEM_SET(err);
	parser.at = parser.patch.text;
	parser.end = parser.at + len;
	rc = parse_all(&parser, err);
	if (rc < 0) {
		patch_deinit(&parser.patch);
		return rc;
	}
	*out = parser.patch;
	return 0;
}

void patch_deinit(struct patch *patch)
{
	free(patch->text);
	free(patch->ops);
	free(patch->chunks);
	free(patch->lines);
	*patch = (struct patch){ 0 };
}

int patch_paths(const struct patch *patch, const char ***out, size_t *out_count, struct err *err)
{
	const char **paths = calloc(patch->op_count * 2 + 1, sizeof *paths);
	size_t count = 0;

	if (!paths)
		return ERR_NOMEM_SET(err);
	for (size_t i = 0; i < patch->op_count; i++) {
		paths[count++] = patch->ops[i].path;
		if (patch->ops[i].move_to)
			paths[count++] = patch->ops[i].move_to;
	}
	*out = paths;
	*out_count = count;
	return 0;
}

static int print_lines(struct buf *out, const struct patch_line *lines, size_t count,
		       struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < count; i++) {
		rc = buf_putc(out, (char)lines[i].mark, err);
		if (rc == 0)
			rc = buf_append(out, lines[i].text, lines[i].len, err);
		if (rc == 0)
			rc = buf_putc(out, '\n', err);
	}
	return rc;
}

static int print_op(struct buf *out, const struct patch *patch, const struct patch_op *op,
		    struct err *err)
{
	static const char *const marks[] = { [PATCH_NONE] = "",
					     [PATCH_ADD] = ADD_MARK,
					     [PATCH_DELETE] = DELETE_MARK,
					     [PATCH_UPDATE] = UPDATE_MARK };
	int rc = buf_printf(out, err, "%s%s\n", marks[op->kind], op->path);

	if (rc == 0 && op->move_to)
		rc = buf_printf(out, err, MOVE_MARK "%s\n", op->move_to);
	if (rc == 0 && op->line_count > 0)
		rc = print_lines(out, patch->lines + op->first_line, op->line_count, err);
	for (size_t i = 0; rc == 0 && i < op->chunk_count; i++) {
		const struct patch_chunk *chunk = &patch->chunks[op->first_chunk + i];

		rc = chunk->context ? buf_printf(out, err, "@@ %s\n", chunk->context)
				    : buf_puts(out, "@@\n", err);
		if (rc == 0)
			rc = print_lines(out, patch->lines + chunk->first, chunk->count, err);
		if (rc == 0 && chunk->at_end)
			rc = buf_puts(out, EOF_MARK "\n", err);
	}
	return rc;
}

int patch_print(struct buf *out, const struct patch *patch, struct err *err)
{
	size_t before = out->len;
	int rc = buf_puts(out, BEGIN_MARK "\n", err);

	for (size_t i = 0; rc == 0 && i < patch->op_count; i++)
		rc = print_op(out, patch, &patch->ops[i], err);
	if (rc == 0)
		rc = buf_puts(out, END_MARK "\n", err);
	if (rc < 0)
		buf_cut(out, before);
	return rc;
}
