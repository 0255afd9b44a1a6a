/*
 * cassette.h - a recorded conversation: the answers of a server, one JSON object per line.
 *
 *	{"status": 200, "headers": {"content-type": "text/event-stream"}, "body": "event: ..."}
 *
 * `body` is the stream as it came. With "match" the answer is given only to a request whose last
 * user text holds that string; otherwise the line is passed over. Empty lines and lines that start
 * with '#' are comments.
 *
 * Pure, but for cassette_load(), which reads one file. Immutable once made.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"

struct err;
struct cassette;

#define CASSETTE_MAX 67108864U      /* bytes of one cassette */
#define CASSETTE_BODY_MAX 16777216U /* bytes of one recorded body */
#define CASSETTE_LINES_MAX 10000U   /* answers of one cassette */

struct cassette_answer {
	int status;
	const char *body;
	size_t body_len;
	const char *retry_after; /* that header, or NULL */
	const char *match;       /* or NULL */
	size_t items;            /* finished items in it, when its stream completes; else 0 */
};

/* Errors name the line. */
int cassette_parse(struct cassette **out, const char *text, size_t len, struct err *err) MUST_CHECK;
int cassette_load(struct cassette **out, const char *path, struct err *err) MUST_CHECK;
void cassette_free(struct cassette *cassette);

size_t cassette_count(const struct cassette *cassette);
const struct cassette_answer *cassette_at(const struct cassette *cassette, size_t index);

/*
 * The first answer from `from` on that this request gets; cassette_count() when there is none left.
 * last_text: of the user, or NULL.
 */
size_t cassette_next(const struct cassette *cassette, size_t from, const char *last_text);

/*
 * Where a conversation stands that already holds so many items of a model, when nobody remembers:
 * behind the first answers that yield as many.
 */
size_t cassette_seek(const struct cassette *cassette, size_t items);

/* One line, without its newline, for an exchange. Fails for a body that is too large or no UTF-8.
 */
int cassette_line(struct buf *out, const struct cassette_answer *answer, struct err *err)
	MUST_CHECK;

/* What a request says: the model's items in it, and the last text of the user (borrowed). */
struct cassette_request {
	size_t model_items;
	const char *last_text; /* or NULL */
};
void cassette_look(struct cassette_request *out, const json_t *item);
