#include "client/term.h"

#include <stdint.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

/* Characters that hide text, or change the order in which it is read. */
static const struct {
	uint32_t first;
	uint32_t last;
} hidden[] = {
	{ 0x0080, 0x009f },   /* C1 controls */
	{ 0x00ad, 0x00ad },   /* soft hyphen */
	{ 0x061c, 0x061c },   /* Arabic letter mark */
	{ 0x115f, 0x1160 },   /* Hangul fillers */
	{ 0x180e, 0x180e },   /* Mongolian vowel separator */
	{ 0x200b, 0x200f },   /* zero width, directional marks */
	{ 0x2028, 0x202e },   /* separators, embeddings, overrides */
	{ 0x2060, 0x206f },   /* invisible operators, isolates */
	{ 0x3164, 0x3164 },   /* Hangul filler */
	{ 0xfeff, 0xfeff },   /* byte order mark */
	{ 0xfff9, 0xfffb },   /* annotation marks */
	{ 0xe0000, 0xe0fff }, /* tags */
};

static uint32_t code_point(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;

	switch (len) {
	case 2:
		return (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3fU);
	case 3:
		return (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 |
		       (p[2] & 0x3fU);
	case 4:
		return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 |
		       (uint32_t)(p[2] & 0x3f) << 6 | (p[3] & 0x3fU);
	default:
		return p[0];
	}
}

static bool is_hidden(uint32_t code)
{
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
		if (code >= hidden[i].first && code <= hidden[i].last)
			return true;
	}
	return false;
}

static int put_escaped(struct buf *out, uint32_t code, struct err *err)
{
	if (code == '\n')
		return buf_puts(out, "\\n", err);
	if (code == '\t')
		return buf_puts(out, "\\t", err);
	if (code == '\r')
		return buf_puts(out, "\\r", err);
	if (code < 0x80)
		return buf_printf(out, err, "\\x%02x", (unsigned)code);
	return buf_printf(out, err, code > 0xffff ? "\\U%08x" : "\\u%04x", (unsigned)code);
}

static bool is_kept(uint32_t code, enum term_shape shape)
{
	if (code == '\n' || code == '\t')
		return shape == TERM_TEXT;
	return code >= 0x20 && code != 0x7f && !is_hidden(code);
}

int term_clean(struct buf *out, const char *text, size_t len, enum term_shape shape,
	       struct err *err)
{
	size_t at = 0;

	while (at < len) {
		size_t step = str_utf8_step(text + at, len - at);
		uint32_t code = step ? code_point(text + at, step) : 0;
		int rc;

		if (step == 0)
			rc = buf_printf(out, err, "\\x%02x", (unsigned char)text[at]);
		else if (shape == TERM_TEXT && code == '\r' && at + 1 < len && text[at + 1] == '\n')
			rc = 0; /* the end of a line in the other fashion */
		else if (is_kept(code, shape))
			rc = buf_append(out, text + at, step, err);
		else
			rc = put_escaped(out, code, err);
		if (rc < 0)
			return rc;
		at += step ? step : 1;
	}
	return 0;
}

static bool is_plain(const char *word, size_t len)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "_-./:=@%+,";

	for (size_t i = 0; i < len; i++) {
		if (!word[i] || !strchr(safe, word[i]))
			return false;
	}
	return len > 0;
}

/* Whether it can stand between single quotes as it is. */
static bool is_visible(const char *word, size_t len)
{
	for (size_t at = 0; at < len;) {
		size_t step = str_utf8_step(word + at, len - at);

		if (step == 0 || word[at] == '\'' ||
		    !is_kept(code_point(word + at, step), TERM_LINE))
			return false;
		at += step;
	}
	return true;
}

/* Within $'...', whose escapes are those of term_clean(), with \' and \\ for the two that end or
 * begin one. */
static int put_dollar_quoted(struct buf *out, const char *word, size_t len, struct err *err)
{
	if (buf_puts(out, "$'", err) < 0)
		return err ? (int)err->code : -1;
	for (size_t at = 0; at < len;) {
		size_t step = str_utf8_step(word + at, len - at);
		int rc;

		if (step == 1 && (word[at] == '\'' || word[at] == '\\'))
			rc = buf_printf(out, err, "\\%c", word[at]);
		else
			rc = term_clean(out, word + at, step ? step : 1, TERM_LINE, err);
		if (rc < 0)
			return rc;
		at += step ? step : 1;
	}
	return buf_putc(out, '\'', err);
}

int term_quote(struct buf *out, const char *word, size_t len, struct err *err)
{
	if (is_plain(word, len))
		return buf_append(out, word, len, err);
	if (!is_visible(word, len))
		return put_dollar_quoted(out, word, len, err);
	if (buf_putc(out, '\'', err) < 0 || buf_append(out, word, len, err) < 0)
		return err ? (int)err->code : -1;
	return buf_putc(out, '\'', err);
}
