#include "agentd/model/sse.h"

#include <string.h>

#include "proto/base/err.h"

#define BOM "\xEF\xBB\xBF"
#define BOM_BYTES 3U

struct text {
	const char *at;
	size_t len;
};

void sse_init(struct sse *sse, size_t event_max)
{
	*sse = (struct sse){ 0 };
	buf_init(&sse->line, event_max);
	buf_init(&sse->data, event_max);
}

void sse_deinit(struct sse *sse)
{
	buf_deinit(&sse->line);
	buf_deinit(&sse->data);
}

void sse_feed(struct sse *sse, const char *bytes, size_t size)
{
	sse->next = bytes;
	sse->end = bytes + size;
}

/* Where the line that starts at `next` ends; NULL when the bytes at hand do not hold its end. */
static const char *line_end(const struct sse *sse)
{
	size_t left = (size_t)(sse->end - sse->next);
	const char *feed = memchr(sse->next, '\n', left);
	const char *turn = memchr(sse->next, '\r', feed ? (size_t)(feed - sse->next) : left);

	return turn ? turn : feed;
}

static int too_long(const struct sse *sse, struct err *err)
{
	return ERR_SET(err, ERR_LIMIT, "the server sent an event of more than %zu bytes",
		       sse->line.max);
}

static bool field_is(struct text line, const char *name, size_t len)
{
	return line.len >= len && memcmp(line.at, name, len) == 0 &&
	       (line.len == len || line.at[len] == ':');
}

/* What follows "field:", without the one space that may stand there. */
static struct text field_value(struct text line, size_t name_len)
{
	struct text value = { line.at + line.len, 0 };

	if (line.len > name_len) {
		value.at = line.at + name_len + 1;
		value.len = line.len - name_len - 1;
	}
	if (value.len > 0 && value.at[0] == ' ') {
		value.at++;
		value.len--;
	}
	return value;
}

static int add_data(struct sse *sse, struct text value, struct err *err)
{
	if (sse->has_data && buf_putc(&sse->data, '\n', err) < 0)
		return err->code == ERR_LIMIT ? too_long(sse, err) : err->code;
	if (buf_append(&sse->data, value.at, value.len, err) < 0)
		return err->code == ERR_LIMIT ? too_long(sse, err) : err->code;
	sse->has_data = true;
	return 0;
}

static void set_name(struct sse *sse, struct text value)
{
	size_t len = value.len <= SSE_NAME_MAX ? value.len : 0;

	memcpy(sse->name, value.at, len);
	sse->name[len] = '\0';
}

static int take_field(struct sse *sse, struct text line, struct err *err)
{
	if (field_is(line, "data", 4))
		return add_data(sse, field_value(line, 4), err);
	if (field_is(line, "event", 5))
		set_name(sse, field_value(line, 5));
	return 0;
}

static void start_event(struct sse *sse)
{
	buf_clear(&sse->data);
	sse->name[0] = '\0';
	sse->has_data = false;
	sse->handed = false;
}

/* The next whole line; it lies in the bytes at hand or, when it was torn, in sse->line. */
static enum sse_result next_line(struct sse *sse, struct text *out, struct err *err)
{
	const char *end;
	size_t len;

	if (sse->after_cr && sse->next < sse->end) {
		sse->next += *sse->next == '\n';
		sse->after_cr = false;
	}
	if (sse->next == sse->end)
		return SSE_MORE;
	end = line_end(sse);
	len = (size_t)((end ? end : sse->end) - sse->next);
	if (len > sse->line.max - sse->line.len) {
		(void)too_long(sse, err);
		return SSE_BAD;
	}
	*out = (struct text){ sse->next, len };
	if ((!end || sse->line.len > 0) && buf_append(&sse->line, sse->next, len, err) < 0)
		return SSE_BAD;
	if (sse->line.len > 0)
		*out = (struct text){ sse->line.data, sse->line.len };
	sse->next += len;
	if (!end)
		return SSE_MORE;
	sse->after_cr = *end == '\r';
	sse->next++;
	return SSE_EVENT;
}

/* The first line may carry a byte order mark. */
static void skip_bom(struct sse *sse, struct text *line)
{
	if (!sse->begun && line->len >= BOM_BYTES && memcmp(line->at, BOM, BOM_BYTES) == 0) {
		line->at += BOM_BYTES;
		line->len -= BOM_BYTES;
	}
	sse->begun = true;
}

enum sse_result sse_next(struct sse *sse, struct sse_event *out, struct err *err)
{
	struct text line = { 0 };
	enum sse_result result;

	if (sse->handed)
		start_event(sse);
	while ((result = next_line(sse, &line, err)) == SSE_EVENT) {
		skip_bom(sse, &line);
		if (line.len > 0 && take_field(sse, line, err) < 0)
			return SSE_BAD;
		buf_clear(&sse->line);
		if (line.len > 0)
			continue;
		if (sse->has_data) {
			*out = (struct sse_event){ sse->name, buf_str(&sse->data), sse->data.len };
			sse->handed = true;
			return SSE_EVENT;
		}
		start_event(sse);
	}
	return result;
}
