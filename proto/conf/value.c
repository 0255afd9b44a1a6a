#include "proto/conf/value.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/name.h"

/* The place of reading: [at, end). Every function moves `at` behind what it has read. */
struct scan {
	const char *at;
	const char *end;
	unsigned depth;
};

static json_t *parse_any(struct scan *scan, struct err *err);

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_comment(struct scan *scan)
{
	while (scan->at < scan->end && *scan->at != '\n')
		scan->at++;
}

static void skip_space(struct scan *scan)
{
	while (scan->at < scan->end && (is_blank(*scan->at) || *scan->at == '#')) {
		if (*scan->at == '#')
			skip_comment(scan);
		else
			scan->at++;
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int put_code_point(struct buf *out, unsigned long code, struct err *err)
{
	char text[4];
	size_t len = 0;

	if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return ERR_SET(err, ERR_INVALID, "\\u%04lx is not a character", code);
	if (code < 0x80) {
		text[len++] = (char)code;
	} else if (code < 0x800) {
		text[len++] = (char)(0xc0 | (code >> 6));
		text[len++] = (char)(0x80 | (code & 0x3f));
	} else if (code < 0x10000) {
		text[len++] = (char)(0xe0 | (code >> 12));
		text[len++] = (char)(0x80 | ((code >> 6) & 0x3f));
		text[len++] = (char)(0x80 | (code & 0x3f));
	} else {
		text[len++] = (char)(0xf0 | (code >> 18));
		text[len++] = (char)(0x80 | ((code >> 12) & 0x3f));
		text[len++] = (char)(0x80 | ((code >> 6) & 0x3f));
		text[len++] = (char)(0x80 | (code & 0x3f));
	}
	return buf_append(out, text, len, err);
}

static int take_hex(struct scan *scan, size_t digits, unsigned long *out, struct err *err)
{
	unsigned long value = 0;

	for (size_t i = 0; i < digits; i++) {
		int digit = scan->at < scan->end ? hex_digit(*scan->at) : -1;

		if (digit < 0)
			return ERR_SET(err, ERR_INVALID,
				       "an escape in a string lacks hexadecimal digits");
		value = value * 16 + (unsigned long)digit;
		scan->at++;
	}
	*out = value;
	return 0;
}

/* Behind \u or \U; JSON writes characters beyond the first 65,536 as two \u. */
static int take_unicode(struct scan *scan, size_t digits, struct buf *out, struct err *err)
{
	unsigned long code = 0;
	unsigned long low = 0;

	if (take_hex(scan, digits, &code, err) < 0)
		return err->code;
	if (code >= 0xd800 && code <= 0xdbff && scan->end - scan->at >= 6 && scan->at[0] == '\\' &&
	    scan->at[1] == 'u') {
		scan->at += 2;
		if (take_hex(scan, 4, &low, err) < 0)
			return err->code;
		if (low >= 0xdc00 && low <= 0xdfff)
			code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	}
	return put_code_point(out, code, err);
}

static int take_escape(struct scan *scan, struct buf *out, struct err *err)
{
	static const char from[] = "btnfr\"\\/";
	static const char to[] = "\b\t\n\f\r\"\\/";
	const char *found;
	char c;

	if (scan->at == scan->end)
		return ERR_SET(err, ERR_INVALID, "a string has no closing quote");
	c = *scan->at++;
	if (c == 'u' || c == 'U')
		return take_unicode(scan, c == 'u' ? 4 : 8, out, err);
	found = c ? strchr(from, c) : NULL;
	if (!found)
		return ERR_SET(err, ERR_INVALID, "unknown escape '\\%c' in a string", c);
	return buf_putc(out, to[found - from], err);
}

/* At the opening quote. */
static int take_quoted(struct scan *scan, struct buf *out, struct err *err)
{
	char quote = *scan->at++;

	if (scan->end - scan->at >= 2 && scan->at[0] == quote && scan->at[1] == quote)
		return ERR_SET(err, ERR_INVALID,
			       "a string is written on one line, with \\n inside");
	while (scan->at < scan->end && *scan->at != quote) {
		char c = *scan->at++;

		if (c == '\n')
			return ERR_SET(err, ERR_INVALID, "a string has no closing quote");
		if (c == '\\' && quote == '"') {
			if (take_escape(scan, out, err) < 0)
				return err->code;
		} else if (buf_putc(out, c, err) < 0) {
			return err->code;
		}
	}
	if (scan->at == scan->end)
		return ERR_SET(err, ERR_INVALID, "a string has no closing quote");
	scan->at++;
	return 0;
}

static json_t *new_string(const struct buf *text, struct err *err)
{
	json_t *json = json_stringn(buf_str(text), text->len);

	if (!json)
		ERR_SET(err, ERR_INVALID, "a string is not well-formed UTF-8");
	return json;
}

static json_t *parse_string(struct scan *scan, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(CONF_VALUE_MAX);

	return take_quoted(scan, &text, err) < 0 ? NULL : new_string(&text, err);
}

/* Between brackets, a comma or the closing one; *done tells which. */
static int take_separator(struct scan *scan, char close, bool *done, struct err *err)
{
	skip_space(scan);
	if (scan->at < scan->end && *scan->at == ',') {
		scan->at++;
		skip_space(scan);
	} else if (scan->at == scan->end || *scan->at != close) {
		return ERR_SET(err, ERR_INVALID, "',' or '%c' is missing", close);
	}
	*done = scan->at < scan->end && *scan->at == close;
	if (*done)
		scan->at++;
	return 0;
}

static int open_nested(struct scan *scan, char close, bool *done, struct err *err)
{
	if (++scan->depth > CONF_NEST_MAX)
		return ERR_SET(err, ERR_LIMIT, "more than %d lists and tables inside each other",
			       CONF_NEST_MAX);
	scan->at++;
	skip_space(scan);
	*done = scan->at < scan->end && *scan->at == close;
	if (*done)
		scan->at++;
	return 0;
}

static json_t *parse_list(struct scan *scan, struct err *err)
{
	json_auto_t *list = json_array();
	bool done = false;

	if (!list) {
		ERR_NOMEM_SET(err);
		return NULL;
	}
	if (open_nested(scan, ']', &done, err) < 0)
		return NULL;
	while (!done) {
		json_t *item = parse_any(scan, err);

		if (!item)
			return NULL;
		if (json_array_append_new(list, item) < 0) {
			ERR_NOMEM_SET(err);
			return NULL;
		}
		if (take_separator(scan, ']', &done, err) < 0)
			return NULL;
	}
	scan->depth--;
	return TAKE(list);
}

/* Stores value (stolen) below the parts of a name, making the tables between. */
static int put_named(json_t *table, const struct conf_name *name, json_t *value, struct err *err)
{
	json_auto_t *owned = value;

	for (size_t i = 0; i + 1 < name->count; i++) {
		json_t *inner = json_object_get(table, name->parts[i]);

		if (!inner && json_object_set_new(table, name->parts[i], json_object()) == 0)
			inner = json_object_get(table, name->parts[i]);
		if (!json_is_object(inner))
			return ERR_SET(err, ERR_INVALID, "'%s' has a value already",
				       name->parts[i]);
		table = inner;
	}
	if (json_object_get(table, name->parts[name->count - 1]))
		return ERR_SET(err, ERR_INVALID, "'%s' is set twice", name->parts[name->count - 1]);
	if (json_object_set(table, name->parts[name->count - 1], owned) < 0)
		return ERR_NOMEM_SET(err);
	return 0;
}

static const char *member_end(const struct scan *scan)
{
	char quote = 0;

	for (const char *p = scan->at; p < scan->end; p++) {
		if (quote) {
			if (*p == '\\' && quote == '"' && p + 1 < scan->end)
				p++;
			else if (*p == quote)
				quote = 0;
		} else if (*p == '"' || *p == '\'') {
			quote = *p;
		} else if (*p == '=' || *p == ':') {
			return p;
		}
	}
	return NULL;
}

static int parse_member(struct scan *scan, json_t *table, struct err *err)
{
	struct conf_name name SCOPED(conf_name_deinit) = { 0 };
	const char *end = member_end(scan);
	json_t *value;

	if (!end)
		return ERR_SET(err, ERR_INVALID, "a table needs name = value");
	if (conf_name_parse(&name, scan->at, (size_t)(end - scan->at), err) < 0)
		return err->code;
	scan->at = end + 1;
	skip_space(scan);
	value = parse_any(scan, err);
	return value ? put_named(table, &name, value, err) : err->code;
}

static json_t *parse_table(struct scan *scan, struct err *err)
{
	json_auto_t *table = json_object();
	bool done = false;

	if (!table) {
		ERR_NOMEM_SET(err);
		return NULL;
	}
	if (open_nested(scan, '}', &done, err) < 0)
		return NULL;
	while (!done) {
		if (parse_member(scan, table, err) < 0 || take_separator(scan, '}', &done, err) < 0)
			return NULL;
	}
	scan->depth--;
	return TAKE(table);
}

static bool ends_word(char c)
{
	return is_blank(c) || c == ',' || c == ']' || c == '}';
}

static size_t word_length(const struct scan *scan)
{
	const char *p = scan->at;

	while (p < scan->end && !ends_word(*p))
		p++;
	return (size_t)(p - scan->at);
}

/* The digits of an integer in `base`, '_' between two of them skipped. */
static bool read_digits(const char *text, size_t len, int base, bool negative, json_int_t *out)
{
	json_int_t value = 0;

	for (size_t i = 0; i < len; i++) {
		int digit = hex_digit(text[i]);

		if (text[i] == '_' && i > 0 && i + 1 < len && text[i - 1] != '_')
			continue;
		if (digit < 0 || digit >= base || __builtin_mul_overflow(value, base, &value) ||
		    __builtin_sub_overflow(value, digit, &value))
			return false;
	}
	/* Counted downwards, since the smallest number has no positive twin. */
	if (!negative && __builtin_sub_overflow(0, value, &value))
		return false;
	*out = value;
	return len > 0;
}

static bool read_integer(const char *text, size_t len, json_int_t *out)
{
	bool negative = len > 0 && text[0] == '-';
	size_t skip = len > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
	int base = 10;

	text += skip;
	len -= skip;
	if (skip == 0 && len > 2 && text[0] == '0')
		base = text[1] == 'x' ? 16 : text[1] == 'o' ? 8 : text[1] == 'b' ? 2 : 10;
	if (base != 10) {
		text += 2;
		len -= 2;
	} else if (len > 1 && text[0] == '0') {
		return false; /* 010 is a word: nobody agrees on what number it would be */
	}
	return read_digits(text, len, base, negative, out);
}

static bool read_decimal(const char *text, size_t len, double *out)
{
	char copy[64];
	char *end = NULL;
	size_t sign = len > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;

	if (len > sign + 1 && text[sign] == '0' && text[sign + 1] >= '0' && text[sign + 1] <= '9')
		return false;
	if (len == 0 || len >= sizeof copy || strspn(text, "+-.0123456789eE") < len)
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (strspn(text, "+-0123456789") >= len)
		return false; /* an integer that is too large stays text: nothing is rounded */
	*out = strtod(copy, &end);
	return *end == '\0' && copy[len - 1] != '.';
}

/* A number or a boolean; NULL, without an error, when the word is neither. */
static json_t *literal_word(const char *text, size_t len)
{
	json_int_t integer = 0;
	double decimal = 0;

	if (len == 4 && memcmp(text, "true", 4) == 0)
		return json_true();
	if (len == 5 && memcmp(text, "false", 5) == 0)
		return json_false();
	if (read_integer(text, len, &integer))
		return json_integer(integer);
	if (read_decimal(text, len, &decimal))
		return json_real(decimal); /* NULL for an infinity, which is then a word */
	return NULL;
}

/* Inside lists and tables, where a bare word would be a mistake. */
static json_t *parse_any(struct scan *scan, struct err *err)
{
	size_t len;
	json_t *json;

	if (scan->at == scan->end) {
		ERR_SET(err, ERR_INVALID, "the value ends too early");
		return NULL;
	}
	if (*scan->at == '"' || *scan->at == '\'')
		return parse_string(scan, err);
	if (*scan->at == '[')
		return parse_list(scan, err);
	if (*scan->at == '{')
		return parse_table(scan, err);
	len = word_length(scan);
	json = literal_word(scan->at, len);
	if (!json)
		ERR_SET(err, ERR_INVALID, "'%.*s' in a list or table needs quotes", (int)len,
			scan->at);
	scan->at += len;
	return json;
}

/* From the first byte to before a trailing comment or blanks. */
static size_t trimmed_length(const struct scan *scan)
{
	const char *stop = scan->at;

	while (stop < scan->end && !(*stop == '#' && stop > scan->at && is_blank(stop[-1])))
		stop++;
	while (stop > scan->at && is_blank(stop[-1]))
		stop--;
	return (size_t)(stop - scan->at);
}

static int parse_word(struct conf_value *out, struct scan *scan, bool loose, struct err *err)
{
	size_t len = loose ? (size_t)(scan->end - scan->at) : trimmed_length(scan);
	json_t *json = literal_word(scan->at, len);

	for (size_t i = 0; !loose && i < len; i++) {
		if (is_blank(scan->at[i]))
			return ERR_SET(err, ERR_INVALID, "a value with blanks in it needs quotes");
	}
	out->word = json_stringn(scan->at, len);
	out->json = json ? json : json_incref(out->word);
	if (!out->word || !out->json)
		return ERR_SET(err, ERR_INVALID, "the value is not well-formed UTF-8");
	return 0;
}

static int parse_literal(struct conf_value *out, struct scan *scan, struct err *err)
{
	json_auto_t *json = NULL;

	json = parse_any(scan, err);
	if (!json)
		return err->code;
	skip_space(scan);
	if (scan->at < scan->end)
		return ERR_SET(err, ERR_INVALID, "text behind the value: '%.40s'", scan->at);
	out->json = TAKE(json);
	return 0;
}

int conf_value_parse(struct conf_value *out, const char *text, bool loose, struct err *err)
{
	struct scan scan = { .at = text, .end = text + strlen(text), .depth = 0 };
	struct conf_value value SCOPED(conf_value_deinit) = { 0 };
	struct err why = { 0 };
	int rc;

	if (scan.end - scan.at > CONF_VALUE_MAX)
		return ERR_SET(err, ERR_LIMIT, "a value has more than %d bytes", CONF_VALUE_MAX);
	while (scan.at < scan.end && is_blank(*scan.at))
		scan.at++;
	if (scan.at == scan.end || (!loose && *scan.at == '#'))
		return ERR_SET(err, ERR_INVALID, "the value is missing; \"\" is the empty text");
	rc = strchr("\"'[{", *scan.at) ? parse_literal(&value, &scan, &why)
				       : parse_word(&value, &scan, loose, &why);
	if (rc < 0)
		return ERR_SET(err, why.code, "%s", why.text);
	*out = value;
	value = (struct conf_value){ 0 };
	return 0;
}

void conf_value_deinit(struct conf_value *value)
{
	json_decref(value->json);
	json_decref(value->word);
	*value = (struct conf_value){ 0 };
}

size_t conf_value_open(const char *text)
{
	size_t open = 0;
	char quote = 0;

	for (const char *p = text; *p; p++) {
		if (quote) {
			if (*p == '\\' && quote == '"' && p[1])
				p++;
			else if (*p == quote || *p == '\n')
				quote = 0;
		} else if (*p == '"' || *p == '\'') {
			quote = *p;
		} else if (*p == '#' && (p == text || is_blank(p[-1]))) {
			while (p[1] && p[1] != '\n')
				p++;
		} else if (*p == '[' || *p == '{') {
			open++;
		} else if ((*p == ']' || *p == '}') && open > 0) {
			open--;
		}
	}
	return open;
}
