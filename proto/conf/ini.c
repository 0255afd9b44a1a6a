#include "proto/conf/ini.h"

#include <ini.h>
#include <stdbool.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/conf.h"
#include "proto/conf/name.h"
#include "proto/conf/value.h"

/* What inih is told in place of a line; far below its limits. */
#define STAND_IN_BLANK ""
#define STAND_IN_SECTION "[s]"
#define STAND_IN_SETTING "k=v"
#define STAND_IN_MORE " v"
#define STAND_IN_WRONG "k"

struct feed {
	const char *at;   /* next line */
	const char *path; /* for sentences */
	size_t line;      /* of `here` */
	struct buf here;  /* the line that inih is at */
	struct conf_name section;
	struct conf_name name; /* of the setting whose value is being collected */
	struct buf value;
	size_t name_line; /* 0 when no value is open */
	conf_ini_fn *fn;
	void *ctx;
	struct err err; /* the first failure; nothing is read after it */
};

static bool failed(const struct feed *feed)
{
	return feed->err.code != ERR_NONE;
}

static void fail_at(struct feed *feed, size_t line)
{
	ERR_WRAP(&feed->err, "%s:%zu", feed->path, line);
}

/* The next line goes to `here`. */
static int take_line(struct feed *feed)
{
	const char *end = strchr(feed->at, '\n');
	size_t len = end ? (size_t)(end - feed->at) : strlen(feed->at);
	const char *line = feed->at;

	feed->at += end ? len + 1 : len;
	buf_clear(&feed->here);
	if (++feed->line > CONF_LINES_MAX)
		return ERR_SET(&feed->err, ERR_LIMIT, "more than %d lines", CONF_LINES_MAX);
	if (len > 0 && line[len - 1] == '\r')
		len--;
	return buf_append(&feed->here, line, len, &feed->err);
}

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " \t");
}

/* The ']' that ends a section's name, quotes respected. */
static const char *section_end(const char *text)
{
	char quote = 0;

	for (const char *p = text; *p; p++) {
		if (quote) {
			if (*p == '\\' && quote == '"' && p[1])
				p++;
			else if (*p == quote)
				quote = 0;
		} else if (*p == '"' || *p == '\'') {
			quote = *p;
		} else if (*p == ']') {
			return p;
		}
	}
	return NULL;
}

static int enter_section(struct feed *feed, const char *text)
{
	const char *end = section_end(text + 1);
	const char *rest = end ? skip_blanks(end + 1) : "";

	conf_name_deinit(&feed->section);
	if (text[1] == '[')
		return ERR_SET(&feed->err, ERR_INVALID, "[[...]]: there are no lists of sections");
	if (!end)
		return ERR_SET(&feed->err, ERR_INVALID, "a section has no closing ']'");
	if (*rest && *rest != '#' && *rest != ';')
		return ERR_SET(&feed->err, ERR_INVALID, "text behind a section: '%.40s'", rest);
	return conf_name_parse(&feed->section, text + 1, (size_t)(end - text - 1), &feed->err);
}

/* NULL after a failure. */
static const char *stand_in(struct feed *feed)
{
	const char *text = skip_blanks(buf_str(&feed->here));

	if (feed->name_line > 0)
		return *text ? STAND_IN_MORE : STAND_IN_BLANK;
	if (*text == '\0' || *text == '#' || *text == ';')
		return STAND_IN_BLANK;
	if (*text == '[')
		return enter_section(feed, text) < 0 ? NULL : STAND_IN_SECTION;
	return conf_name_end(text) ? STAND_IN_SETTING : STAND_IN_WRONG;
}

/* ini_reader */
static char *on_read(char *out, int size, void *stream)
{
	struct feed *feed = stream;
	const char *line;

	if (failed(feed) || *feed->at == '\0')
		return NULL;
	line = take_line(feed) < 0 ? NULL : stand_in(feed);
	if (line && str_copy(out, (size_t)size, line, &feed->err) == 0)
		return out;
	fail_at(feed, feed->line);
	return NULL;
}

static int begin_setting(struct feed *feed)
{
	const char *text = skip_blanks(buf_str(&feed->here));
	const char *end = conf_name_end(text);

	conf_name_deinit(&feed->name);
	buf_clear(&feed->value);
	feed->name_line = feed->line;
	for (size_t i = 0; i < feed->section.count; i++) {
		feed->name.parts[i] = str_dup(feed->section.parts[i]);
		if (!feed->name.parts[i])
			return ERR_NOMEM_SET(&feed->err);
		feed->name.count++;
	}
	if (conf_name_parse(&feed->name, text, (size_t)(end - text), &feed->err) < 0)
		return feed->err.code;
	return buf_puts(&feed->value, skip_blanks(end + 1), &feed->err);
}

static bool value_is_open(const struct feed *feed)
{
	const char *text = buf_str(&feed->value);

	return (*text == '[' || *text == '{') && conf_value_open(text) > 0;
}

/* ini_handler: collects the value, and hands it on once it is whole. */
static int on_setting(void *user, const char *section, const char *name, const char *value)
{
	struct feed *feed = user;
	int rc;

	(void)section;
	(void)name;
	(void)value;
	if (failed(feed))
		return 0;
	if (feed->name_line == 0)
		rc = begin_setting(feed);
	else
		rc = buf_printf(&feed->value, &feed->err, "\n%s", buf_str(&feed->here));
	if (rc < 0) {
		fail_at(feed, feed->line);
		return 0;
	}
	if (value_is_open(feed))
		return 1;
	rc = feed->fn(feed->ctx, &feed->name, buf_str(&feed->value), feed->name_line, &feed->err);
	feed->name_line = 0;
	return rc == 0;
}

static void read_all(struct feed *feed)
{
	int line = ini_parse_stream(on_read, feed, on_setting, feed);

	if (failed(feed))
		return;
	if (line > 0) {
		ERR_SET(&feed->err, ERR_INVALID, "neither [section] nor key = value");
		fail_at(feed, (size_t)line);
	} else if (line < 0) {
		ERR_NOMEM_SET(&feed->err);
	} else if (feed->name_line > 0) {
		ERR_SET(&feed->err, ERR_INVALID, "a bracket that is opened here is never closed");
		fail_at(feed, feed->name_line);
	}
}

int conf_ini_read(const char *text, const char *path, conf_ini_fn *fn, void *ctx, struct err *err)
{
	struct feed feed = { .at = text, .path = path, .fn = fn, .ctx = ctx };

	if (str_starts(text, "\xef\xbb\xbf"))
		feed.at += 3;
	buf_init(&feed.here, CONF_VALUE_MAX);
	buf_init(&feed.value, CONF_VALUE_MAX);
	read_all(&feed);
	buf_deinit(&feed.here);
	buf_deinit(&feed.value);
	conf_name_deinit(&feed.section);
	conf_name_deinit(&feed.name);
	return failed(&feed) ? ERR_SET(err, feed.err.code, "%s", feed.err.text) : 0;
}
