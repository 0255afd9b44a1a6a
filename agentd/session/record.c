#include "agentd/session/record.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/wire/json.h"

#define MS_PER_SECOND 1000
#define ITEM_DIGITS_MAX 15

static const char time_lead[] = "{\"timestamp\":\"";
static const char type_lead[] = "\",\"type\":\"";
static const char item_lead[] = "\"item\":";
static const char payload_lead[] = "\"payload\":";

/* How a kind is spelled: the line's type, and how its payload begins where several kinds share one.
 */
static const struct spelling {
	enum record_kind kind;
	const char *type;
	const char *payload; /* NULL: any */
} spellings[] = {
	{ RECORD_META, "session_meta", NULL },
	{ RECORD_TURN, "turn_context", NULL },
	{ RECORD_ITEM, "response_item", NULL },
	{ RECORD_UPDATE, "event_msg", "{\"type\":\"update\"" },
	{ RECORD_USAGE, "event_msg", "{\"type\":\"token_count\"" },
	{ RECORD_EVENT, "event_msg", NULL },
};

static const char *type_of(enum record_kind kind)
{
	for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
		if (spellings[i].kind == kind)
			return spellings[i].type;
	}
	return NULL;
}

int record_time(char out[RECORD_TIME_SIZE], int64_t now_ms, struct err *err)
{
	time_t seconds = (time_t)(now_ms / MS_PER_SECOND);
	struct tm parts;
	size_t used;

	if (now_ms < 0 || !gmtime_r(&seconds, &parts))
		return ERR_SET(err, ERR_INVALID, "a time that has no date");
	used = strftime(out, RECORD_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
	if (used == 0)
		return ERR_SET(err, ERR_INVALID, "a time whose date is too long");
	(void)snprintf(out + used, RECORD_TIME_SIZE - used, ".%03dZ",
		       (int)(now_ms % MS_PER_SECOND));
	return 0;
}

int record_format(struct buf *out, enum record_kind kind, int64_t item, const json_t *payload,
		  int64_t now_ms, struct err *err)
{
	size_t before = out->len;
	const char *type = type_of(kind);
	char when[RECORD_TIME_SIZE];

	if (!type)
		return ERR_SET(err, ERR_INVALID, "a record of no kind");
	if (record_time(when, now_ms, err) < 0)
		return (int)err->code;
	if (buf_printf(out, err, "%s%s%s%s\",", time_lead, when, type_lead, type) < 0 ||
	    (item > 0 && buf_printf(out, err, "%s%" PRId64 ",", item_lead, item) < 0) ||
	    buf_puts(out, payload_lead, err) < 0 || wire_json_dump(out, payload, err) < 0 ||
	    buf_puts(out, "}\n", err) < 0) {
		buf_cut(out, before);
		return ERR_WRAP(err, "transcript record");
	}
	return 0;
}

/* Moves on behind `word`, if the text goes on with it. */
static bool skip(const char **at, const char *end, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(end - *at) < len || memcmp(*at, word, len) != 0)
		return false;
	*at += len;
	return true;
}

static bool skip_item(const char **at, const char *end, int64_t *item)
{
	int64_t number = 0;
	int digits = 0;

	if (!skip(at, end, item_lead))
		return true; /* it is optional */
	for (; *at < end && **at >= '0' && **at <= '9' && digits < ITEM_DIGITS_MAX; (*at)++) {
		number = number * 10 + (**at - '0');
		digits++;
	}
	*item = number;
	return digits > 0 && skip(at, end, ",");
}

static enum record_kind kind_of(const char *type, const char *payload, const char *end)
{
	for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
		const char *at = payload;
		const char *word = type;

		if (skip(&word, end, spellings[i].type) && skip(&word, end, "\"") &&
		    (!spellings[i].payload || skip(&at, end, spellings[i].payload)))
			return spellings[i].kind;
	}
	return RECORD_OTHER;
}

void record_recognise(struct record_shape *out, const char *line, size_t len)
{
	const char *at = line;
	const char *end = line + len;
	const char *type = NULL;
	int64_t item = 0;

	*out = (struct record_shape){ .kind = RECORD_OTHER };
	if (len > RECORD_LINE_MAX || !skip(&at, end, time_lead) ||
	    (size_t)(end - at) < RECORD_TIME_SIZE - 1)
		return;
	at += RECORD_TIME_SIZE - 1;
	if (!skip(&at, end, type_lead))
		return;
	type = at;
	while (at < end && *at != '"')
		at++;
	if (!skip(&at, end, "\",") || !skip_item(&at, end, &item) ||
	    !skip(&at, end, payload_lead) || end[-1] != '}' || at >= end - 1)
		return;
	*out = (struct record_shape){ .kind = kind_of(type, at, end - 1),
				      .payload_at = (uint32_t)(at - line),
				      .payload_len = (uint32_t)(end - 1 - at),
				      .item = item };
}
