#include "agentd/model/cassette.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/model/delta.h"
#include "agentd/model/sse.h"

#define STATUS_MIN 200
#define STATUS_MAX 599
#define FIRST_ROOM 16U

struct entry {
	json_t *line; /* owns what the answer points to */
	struct cassette_answer answer;
};

struct cassette {
	struct entry *entries;
	size_t count;
	size_t room;
};

void cassette_free(struct cassette *cassette)
{
	if (!cassette)
		return;
	for (size_t i = 0; i < cassette->count; i++)
		json_decref(cassette->entries[i].line);
	free(cassette->entries);
	free(cassette);
}

static void drop_json(json_t **value)
{
	json_decref(*value);
}

size_t cassette_count(const struct cassette *cassette)
{
	return cassette->count;
}

const struct cassette_answer *cassette_at(const struct cassette *cassette, size_t index)
{
	return &cassette->entries[index].answer;
}

/* Counts the finished items of a stream; 0 when it does not complete. */
static int count_items(struct cassette_answer *answer, struct sse *sse, struct delta *delta,
		       struct err *err)
{
	struct sse_event event = { 0 };
	struct delta_event said = { 0 };
	size_t items = 0;
	int rc;

	sse_feed(sse, answer->body, answer->body_len);
	while (sse_next(sse, &event, err) == SSE_EVENT) {
		rc = delta_read(delta, &event, &said, err);
		if (rc < 0)
			return rc;
		items += said.kind == DELTA_ITEM;
		if (said.kind == DELTA_COMPLETED)
			answer->items = items;
	}
	return 0; /* SSE_BAD: a stream that fails is a recording too */
}

static int read_items(struct cassette_answer *answer, struct err *err)
{
	struct sse sse SCOPED(sse_deinit) = { 0 };
	struct delta delta SCOPED(delta_deinit) = { 0 };

	if (answer->status != STATUS_MIN)
		return 0;
	sse_init(&sse, SSE_EVENT_MAX);
	delta_init(&delta);
	return count_items(answer, &sse, &delta, err);
}

static int check_members(const json_t *line, struct err *err)
{
	static const char *const known[] = { "status", "headers", "body", "match" };
	const json_t *headers = json_object_get(line, "headers");
	const json_t *match = json_object_get(line, "match");
	size_t found = 0;

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		found += json_object_get(line, known[i]) != NULL;
	if (found != json_object_size(line))
		return ERR_SET(err, ERR_INVALID,
			       "members other than status, headers, body and match");
	if (headers && !json_is_object(headers))
		return ERR_SET(err, ERR_INVALID, "headers is no object");
	if (match && !json_is_string(match))
		return ERR_SET(err, ERR_INVALID, "match is no string");
	return 0;
}

static int read_answer(struct cassette_answer *out, const json_t *line, struct err *err)
{
	const json_t *status = json_object_get(line, "status");
	const json_t *body = json_object_get(line, "body");
	const json_t *headers = json_object_get(line, "headers");
	int rc = check_members(line, err);

	if (rc < 0)
		return rc;
	if (status && (!json_is_integer(status) || json_integer_value(status) < STATUS_MIN ||
		       json_integer_value(status) > STATUS_MAX))
		return ERR_SET(err, ERR_INVALID, "status is no number from %d to %d", STATUS_MIN,
			       STATUS_MAX);
	if (!json_is_string(body))
		return ERR_SET(err, ERR_INVALID, "there is no string body");
	if (json_string_length(body) > CASSETTE_BODY_MAX)
		return ERR_SET(err, ERR_LIMIT, "body of more than %u bytes", CASSETTE_BODY_MAX);
	*out = (struct cassette_answer){
		.status = status ? (int)json_integer_value(status) : STATUS_MIN,
		.body = json_string_value(body),
		.body_len = json_string_length(body),
		.retry_after = json_string_value(json_object_get(headers, "retry-after")),
		.match = json_string_value(json_object_get(line, "match")),
	};
	return read_items(out, err);
}

static int make_room(struct cassette *cassette, struct err *err)
{
	size_t room = cassette->room ? cassette->room * 2 : FIRST_ROOM;
	struct entry *entries;

	if (cassette->count < cassette->room)
		return 0;
	if (cassette->count == CASSETTE_LINES_MAX) {
		(void)ERR_SET(err, ERR_LIMIT, "more than %u answers", CASSETTE_LINES_MAX);
		return ERR_LIMIT;
	}
	if (room > CASSETTE_LINES_MAX)
		room = CASSETTE_LINES_MAX;
	entries = realloc(cassette->entries, room * sizeof *entries);
	if (!entries) {
		(void)ERR_NOMEM_SET(err);
		return ERR_NOMEM;
	}
	cassette->entries = entries;
	cassette->room = room;
	return 0;
}

static int add_line(struct cassette *cassette, const char *text, size_t len, struct err *err)
{
	json_error_t where = { 0 };
	json_t *line SCOPED(drop_json) = NULL;
	struct cassette_answer answer = { 0 };
	int rc = make_room(cassette, err);

	if (rc < 0)
		return rc;
	line = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
	if (!line && where.text[0] == '\0') /* nothing wrong with the text */
		return ERR_NOMEM_SET(err);
	if (!line)
		return ERR_SET(err, ERR_INVALID, "not JSON: %s at column %d", where.text,
			       where.column);
	if (!json_is_object(line))
		return ERR_SET(err, ERR_INVALID, "not an object");
	rc = read_answer(&answer, line, err);
	if (rc < 0)
		return rc;
	cassette->entries[cassette->count++] = (struct entry){ TAKE(line), answer };
	return 0;
}

/* Holds nothing but space, or is a comment. */
static bool is_idle_line(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
			return text[i] == '#';
	}
	return true;
}

static int add_lines(struct cassette *cassette, const char *text, size_t len, struct err *err)
{
	const char *end = text + len;

	if (len > CASSETTE_MAX)
		return ERR_SET(err, ERR_LIMIT, "cassette of more than %u bytes", CASSETTE_MAX);
	for (size_t number = 1; text < end; number++) {
		const char *feed = memchr(text, '\n', (size_t)(end - text));
		size_t size = (size_t)((feed ? feed : end) - text);

		if (!is_idle_line(text, size) && add_line(cassette, text, size, err) < 0)
			return ERR_WRAP(err, "cassette, line %zu", number);
		text += size + (feed ? 1 : 0);
	}
	if (cassette->count == 0)
		return ERR_SET(err, ERR_INVALID, "cassette without an answer");
	return 0;
}

int cassette_parse(struct cassette **out, const char *text, size_t len, struct err *err)
{
	struct cassette *cassette = calloc(1, sizeof *cassette);
	int rc;

	if (!cassette)
		return ERR_NOMEM_SET(err);
	rc = add_lines(cassette, text, len, err);
	if (rc < 0) {
		cassette_free(cassette);
		return rc;
	}
	*out = cassette;
	return 0;
}

int cassette_load(struct cassette **out, const char *path, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(CASSETTE_MAX);

	if (buf_read_file(&text, path, err) < 0 ||
	    cassette_parse(out, buf_str(&text), text.len, err) < 0)
		return ERR_WRAP(err, "'%s'", path);
	return 0;
}

size_t cassette_next(const struct cassette *cassette, size_t from, const char *last_text)
{
	for (size_t i = from; i < cassette->count; i++) {
		const char *match = cassette->entries[i].answer.match;

		if (!match || (last_text && strstr(last_text, match)))
			return i;
	}
	return cassette->count;
}

size_t cassette_seek(const struct cassette *cassette, size_t items)
{
	size_t sum = 0;
	size_t at = 0;

	while (at < cassette->count && sum < items)
		sum += cassette->entries[at++].answer.items;
	return at;
}

int cassette_line(struct buf *out, const struct cassette_answer *answer, struct err *err)
{
	json_t *line SCOPED(drop_json) = NULL;
	char *text SCOPED(str_free) = NULL;

	if (answer->body_len > CASSETTE_BODY_MAX)
		return ERR_SET(err, ERR_LIMIT, "answer of more than %u bytes", CASSETTE_BODY_MAX);
	line = json_pack(
		"{s:i, s:{s:s, s:s*}, s:s%}", "status", answer->status, "headers", "content-type",
		answer->status == STATUS_MIN ? "text/event-stream" : "application/json",
		"retry-after", answer->retry_after, "body", answer->body, answer->body_len);
	if (!line)
		return ERR_SET(err, ERR_INVALID, "answer that is not valid UTF-8");
	text = json_dumps(line, JSON_COMPACT);
	if (!text)
		return ERR_NOMEM_SET(err);
	return buf_puts(out, text, err);
}

/* The text of a message: its last part that has one. */
static const char *message_text(const json_t *item)
{
	const json_t *content = json_object_get(item, "content");
	const char *text = json_string_value(content);

	for (size_t i = 0; i < json_array_size(content); i++) {
		const char *part =
			json_string_value(json_object_get(json_array_get(content, i), "text"));

		if (part)
			text = part;
	}
	return text;
}

void cassette_look(struct cassette_request *out, const json_t *item)
{
	static const char *const made[] = { "reasoning", "function_call", "custom_tool_call",
					    "local_shell_call", "web_search_call" };
	const char *type = json_string_value(json_object_get(item, "type"));
	const char *role = json_string_value(json_object_get(item, "role"));

	for (size_t i = 0; i < ARRAY_LEN(made); i++)
		out->model_items += str_eq(type, made[i]);
	if (str_eq(role, "assistant"))
		out->model_items++;
	if (str_eq(role, "user") && message_text(item))
		out->last_text = message_text(item);
}
