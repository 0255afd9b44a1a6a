#include "agentd/model/scan.h"

#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#define DIGITS_MAX 18U /* of a whole number that surely fits 64 bits */
#define UNICODE_DIGITS 4U

struct cursor {
	const char *at;
	const char *end;
};

static size_t left(const struct cursor *in)
{
	return (size_t)(in->end - in->at);
}

static void skip_space(struct cursor *in)
{
	while (in->at < in->end &&
	       (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r'))
		in->at++;
}

static bool take(struct cursor *in, char byte)
{
	if (in->at == in->end || *in->at != byte)
		return false;
	in->at++;
	return true;
}

static int hex_digit(char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	if (byte >= 'a' && byte <= 'f')
		return byte - 'a' + 10;
	if (byte >= 'A' && byte <= 'F')
		return byte - 'A' + 10;
	return -1;
}

/* The code unit of four digits; 0 where they are none, where they mean NUL or half of a pair. */
static unsigned unicode_unit(const char *digits, size_t size)
{
	unsigned unit = 0;

	if (size < UNICODE_DIGITS)
		return 0;
	for (size_t i = 0; i < UNICODE_DIGITS; i++) {
		int digit = hex_digit(digits[i]);

		if (digit < 0)
			return 0;
		unit = unit << 4 | (unsigned)digit;
	}
	return unit >= 0xD800 && unit <= 0xDFFF ? 0 : unit;
}

/* What a short escape means; 0 for none. */
static char short_escape(char letter)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";
	const char *found = letter ? strchr(letters, letter) : NULL;

	return found ? meanings[found - letters] : '\0';
}

static bool take_escape(struct cursor *in)
{
	if (left(in) < 2)
		return false;
	if (in->at[1] != 'u') {
		if (!short_escape(in->at[1]))
			return false;
		in->at += 2;
		return true;
	}
	if (!unicode_unit(in->at + 2, left(in) - 2))
		return false;
	in->at += 2 + UNICODE_DIGITS;
	return true;
}

static bool take_string(struct cursor *in, struct scan_text *out)
{
	bool escaped = false;
	const char *start;

	if (!take(in, '"'))
		return false;
	start = in->at;
	while (in->at < in->end && *in->at != '"') {
		unsigned char byte = (unsigned char)*in->at;
		size_t step = 1;

		if (byte == '\\') {
			escaped = true;
			if (!take_escape(in))
				return false;
			continue;
		}
		if (byte >= 0x80)
			step = str_utf8_step(in->at, left(in));
		if (byte < 0x20 || step == 0)
			return false;
		in->at += step;
	}
	*out = (struct scan_text){ start, (size_t)(in->at - start), escaped };
	return take(in, '"');
}

static bool take_integer(struct cursor *in, int64_t *out)
{
	bool negative = take(in, '-');
	const char *start = in->at;
	int64_t value = 0;
	size_t digits;

	while (in->at < in->end && *in->at >= '0' && *in->at <= '9')
		in->at++;
	digits = (size_t)(in->at - start);
	if (digits == 0 || digits > DIGITS_MAX || (digits > 1 && *start == '0'))
		return false;
	for (size_t i = 0; i < digits; i++)
		value = value * 10 + (start[i] - '0');
	*out = negative ? -value : value;
	return true; /* a fraction or exponent is no ',' or '}' and fails there */
}

static bool take_word(struct cursor *in)
{
	static const char *const words[] = { "null", "true", "false", "[]", "{}" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t len = strlen(words[i]);

		if (left(in) >= len && memcmp(in->at, words[i], len) == 0) {
			in->at += len;
			return true;
		}
	}
	return false;
}

static bool name_is(const struct scan_text *name, const char *word)
{
	return name->len == strlen(word) && memcmp(name->at, word, name->len) == 0;
}

static bool take_member(struct cursor *in, struct scan_delta *out)
{
	struct scan_text name = { 0 };
	struct scan_text text = { 0 };
	int64_t number = -1;
	bool known;

	if (!take_string(in, &name) || name.escaped)
		return false;
	skip_space(in);
	if (!take(in, ':'))
		return false;
	skip_space(in);
	if (in->at == in->end)
		return false;
	if (*in->at == '"')
		known = take_string(in, &text);
	else if (*in->at == '-' || (*in->at >= '0' && *in->at <= '9'))
		known = take_integer(in, &number);
	else
		known = take_word(in);
	if (!known)
		return false;
	/* The last of members with one name counts, as for the parser. */
	if (name_is(&name, "delta"))
		out->delta = text;
	else if (name_is(&name, "type"))
		out->type = text;
	else if (name_is(&name, "output_index"))
		out->output_index = number < 0 ? -1 : number;
	return true;
}

bool scan_delta(struct scan_delta *out, const char *data, size_t len)
{
	struct cursor in = { data, data + len };

	*out = (struct scan_delta){ .output_index = -1 };
	skip_space(&in);
	if (!take(&in, '{'))
		return false;
	do {
		skip_space(&in);
		if (!take_member(&in, out))
			return false;
		skip_space(&in);
	} while (take(&in, ','));
	if (!take(&in, '}'))
		return false;
	skip_space(&in);
	return in.at == in.end;
}

static size_t encode(char out[3], unsigned unit)
{
	if (unit < 0x80) {
		out[0] = (char)unit;
		return 1;
	}
	if (unit < 0x800) {
		out[0] = (char)(0xC0 | unit >> 6);
		out[1] = (char)(0x80 | (unit & 0x3F));
		return 2;
	}
	out[0] = (char)(0xE0 | unit >> 12);
	out[1] = (char)(0x80 | (unit >> 6 & 0x3F));
	out[2] = (char)(0x80 | (unit & 0x3F));
	return 3;
}

int scan_unescape(struct buf *out, const struct scan_text *text, struct err *err)
{
	const char *at = text->at;
	const char *end = text->at + text->len;

	while (at < end) {
		const char *slash = memchr(at, '\\', (size_t)(end - at));
		char unit[3] = { 0 };
		size_t size = 1;
		int rc = buf_append(out, at, (size_t)((slash ? slash : end) - at), err);

		if (rc < 0 || !slash)
			return rc;
		if (slash[1] == 'u') {
			size = encode(unit, unicode_unit(slash + 2, UNICODE_DIGITS));
			at = slash + 2 + UNICODE_DIGITS;
		} else {
			unit[0] = short_escape(slash[1]);
			at = slash + 2;
		}
		rc = buf_append(out, unit, size, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}
