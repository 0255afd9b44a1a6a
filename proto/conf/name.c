#include "proto/conf/name.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

static bool is_bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

static void skip_blanks(const char **at, const char *end)
{
	while (*at < end && (**at == ' ' || **at == '\t'))
		(*at)++;
}

static int take_quoted(char **out, const char **at, const char *end, struct err *err)
{
	struct buf part SCOPED(buf_deinit) = BUF_INIT(CONF_NAME_MAX);
	char quote = *(*at)++;

	while (*at < end && **at != quote) {
		if (**at == '\\' && quote == '"') {
			(*at)++;
			if (*at == end || (**at != '"' && **at != '\\'))
				return ERR_SET(err, ERR_INVALID,
					       "in a quoted name only \\\" and \\\\ are escapes");
		}
		if (buf_putc(&part, *(*at)++, err) < 0)
			return err->code;
	}
	if (*at == end)
		return ERR_SET(err, ERR_INVALID, "a name has no closing quote");
	(*at)++;
	*out = buf_take(&part);
	return *out ? 0 : ERR_NOMEM_SET(err);
}

static int take_part(char **out, const char **at, const char *end, struct err *err)
{
	const char *start = *at;

	if (start < end && (*start == '"' || *start == '\''))
		return take_quoted(out, at, end, err);
	while (*at < end && is_bare(**at))
		(*at)++;
	if (*at == start && start == end)
		return ERR_SET(err, ERR_INVALID, "a part of the name is missing");
	if (*at == start)
		return ERR_SET(err, ERR_INVALID,
			       "'%c' in a name: such a part needs quotes, as in a.\"b/c\"", *start);
	*out = str_dup_len(start, (size_t)(*at - start));
	return *out ? 0 : ERR_NOMEM_SET(err);
}

static void cut_parts(struct conf_name *name, size_t count)
{
	while (name->count > count)
		str_free(&name->parts[--name->count]);
}

static int take_parts(struct conf_name *name, const char *at, const char *end, struct err *err)
{
	for (;;) {
		skip_blanks(&at, end);
		if (name->count == CONF_DEPTH_MAX)
			return ERR_SET(err, ERR_LIMIT, "a name has more than %d parts",
				       CONF_DEPTH_MAX);
		if (take_part(&name->parts[name->count], &at, end, err) < 0)
			return err->code;
		name->count++;
		skip_blanks(&at, end);
		if (at == end)
			return 0;
		if (*at != '.')
			return ERR_SET(err, ERR_INVALID,
				       "'%c' in a name: such a part needs quotes, as in a.\"b/c\"",
				       *at);
		at++;
	}
}

int conf_name_parse(struct conf_name *name, const char *text, size_t len, struct err *err)
{
	size_t before = name->count;
	struct err why = { 0 };

	if (len > CONF_NAME_MAX)
		return ERR_SET(err, ERR_LIMIT, "a name has more than %d bytes", CONF_NAME_MAX);
	if (take_parts(name, text, text + len, &why) == 0)
		return 0;
	cut_parts(name, before);
	return ERR_SET(err, why.code, "%s", why.text);
}

static bool part_is_bare(const char *part)
{
	const char *p = part;

	while (is_bare(*p))
		p++;
	return p > part && *p == '\0';
}

static int put_part(struct buf *out, const char *part, struct err *err)
{
	if (part_is_bare(part))
		return buf_puts(out, part, err);
	if (buf_putc(out, '"', err) < 0)
		return err->code;
	for (const char *p = part; *p; p++) {
		if ((*p == '"' || *p == '\\') && buf_putc(out, '\\', err) < 0)
			return err->code;
		if (buf_putc(out, *p, err) < 0)
			return err->code;
	}
	return buf_putc(out, '"', err);
}

int conf_name_format(char **out, const struct conf_name *name, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT((size_t)CONF_DEPTH_MAX * 2 * CONF_NAME_MAX);
	struct err why = { 0 };

	for (size_t i = 0; i < name->count; i++) {
		if ((i > 0 && buf_putc(&text, '.', &why) < 0) ||
		    put_part(&text, name->parts[i], &why) < 0)
			return ERR_SET(err, why.code, "%s", why.text);
	}
	*out = buf_take(&text);
	return *out ? 0 : ERR_NOMEM_SET(err);
}

void conf_name_deinit(struct conf_name *name)
{
	cut_parts(name, 0);
}

const char *conf_name_end(const char *text)
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
		} else if (*p == '=') {
			return p;
		}
	}
	return NULL;
}
