#include "proto/base/str.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"

bool str_eq(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	return strcmp(a, b) == 0;
}

bool str_starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *text, const char *suffix)
{
	size_t length = strlen(text);
	size_t tail = strlen(suffix);

	return length >= tail && memcmp(text + length - tail, suffix, tail) == 0;
}

int str_copy(char *out, size_t size, const char *text, struct err *err)
{
	size_t length = strlen(text);

	if (length >= size)
		return ERR_SET(err, ERR_LIMIT, "text of %zu bytes for %zu with the final NUL",
			       length, size);
	memcpy(out, text, length + 1);
	return 0;
}

char *str_dup(const char *text)
{
	return str_dup_len(text, strlen(text));
}

char *str_dup_len(const char *text, size_t len)
{
	char *copy = malloc(len + 1);

	if (!copy)
		return NULL;
	if (len > 0)
		memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

void str_free(char **text)
{
	free(*text);
	*text = NULL;
}

int str_to_int(int64_t *out, const char *text, int64_t low, int64_t high, struct err *err)
{
	const char *digits = text[0] == '-' ? text + 1 : text;
	long long value;

	/* Checked first: strtoll() would take leading space, a plus sign and trailing text. */
	if (digits[0] == '\0' || digits[strspn(digits, "0123456789")] != '\0')
		return ERR_SET(err, ERR_INVALID, "'%.40s' is not a whole number", text);
	errno = 0;
	value = strtoll(text, NULL, 10);
	if (errno != 0 || value < low || value > high)
		return ERR_SET(err, ERR_LIMIT, "%.40s is not between %" PRId64 " and %" PRId64,
			       text, low, high);
	*out = value;
	return 0;
}

size_t str_utf8_step(const char *text, size_t left)
{
	/* clang-format off */
	static const struct {
		unsigned char low; /* first byte: from, to */
		unsigned char high;
		unsigned char second_low; /* the byte behind it: from, to; all later ones are 80..bf */
		unsigned char second_high;
		size_t length;
	} forms[] = {
		{ 0x01, 0x7f, 0x00, 0x00, 1 },
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	/* clang-format on */
	const unsigned char *p = (const unsigned char *)text;

	if (left == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		if (p[0] < forms[i].low || p[0] > forms[i].high)
			continue;
		if (forms[i].length > left)
			return 0;
		if (forms[i].length > 1 &&
		    (p[1] < forms[i].second_low || p[1] > forms[i].second_high))
			return 0;
		for (size_t k = 2; k < forms[i].length; k++) {
			if (p[k] < 0x80 || p[k] > 0xbf)
				return 0;
		}
		return forms[i].length;
	}
	return 0;
}

bool str_is_utf8(const char *text, size_t len)
{
	size_t at = 0;

	while (at < len) {
		bool plain = (unsigned char)(text[at] - 1) <
			     0x7f; /* most are, and megabytes of them may come */
		size_t step = plain ? 1 : str_utf8_step(text + at, len - at);

		if (step == 0)
			return false;
		at += step;
	}
	return true;
}

void str_clean(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (char *p = text; *p;) {
		size_t step = str_utf8_step(p, strlen(p));

		if (step == 0 || (unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
		p += step ? step : 1;
	}
}

int str_quote(struct buf *out, const char *text, size_t len, struct err *err)
{
	size_t before = out->len;
	int rc = buf_putc(out, '\'', err);

	for (size_t i = 0; rc == 0 && i < len; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte == '\n')
			rc = buf_puts(out, "\\n", err);
		else if (byte == '\t')
			rc = buf_puts(out, "\\t", err);
		else if (byte < 0x20 || byte == 0x7f)
			rc = buf_printf(out, err, "\\x%02x", byte);
		else
			rc = buf_printf(out, err, byte == '\'' || byte == '\\' ? "\\%c" : "%c",
					byte);
	}
	if (rc == 0)
		rc = buf_putc(out, '\'', err);
	if (rc < 0)
		buf_cut(out, before);
	return rc;
}
