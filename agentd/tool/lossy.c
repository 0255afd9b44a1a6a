#include "agentd/tool/lossy.h"

#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#define CHARACTER_MAX 4U
#define FIRST_LOW 0xc2U /* what a character of several bytes may begin with */
#define FIRST_HIGH 0xf4U

static const char replacement[] = { '\xef', '\xbf', '\xbd' }; /* U+FFFD */

/* Could these bytes be the start of a longer character? The fillers are second bytes that suit
 * every first one: 0x80, or 0xa0 where low ones are forbidden. */
static bool is_start(const char *bytes, size_t count)
{
	static const char fillers[] = { '\x80', '\xa0' };

	for (size_t i = 0; i < sizeof fillers; i++) {
		char whole[CHARACTER_MAX] = { '\x80', '\x80', '\x80', '\x80' };

		memcpy(whole, bytes, count);
		if (count == 1)
			whole[1] = fillers[i];
		if (str_utf8_step(whole, sizeof whole) > count)
			return true;
	}
	return false;
}

/* Length of the malformed piece that starts here; `open` when more bytes could still complete it.
 */
static size_t bad_length(const char *bytes, size_t left, bool *open)
{
	unsigned char first = (unsigned char)bytes[0];
	size_t length = 0;

	*open = false;
	if (first < FIRST_LOW || first > FIRST_HIGH)
		return 1;
	while (length < left && length + 1 < CHARACTER_MAX && is_start(bytes, length + 1))
		length++;
	*open = length > 0 && length == left;
	return length > 0 ? length : 1;
}

/* One replacement for `step` bytes at *at; a row of NULs, as in binary output, goes at once. */
static int replace(struct buf *out, const char *data, size_t len, size_t *at, size_t step,
		   struct err *err)
{
	size_t count = 1;
	int rc;

	while (data[*at] == '\0' && *at + count < len && data[*at + count] == '\0')
		count++;
	rc = buf_reserve(out, count * sizeof replacement, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < count; i++)
		memcpy(out->data + out->len + i * sizeof replacement, replacement,
		       sizeof replacement);
	buf_grow(out, count * sizeof replacement);
	*at += count * step;
	return 0;
}

/* Bytes used up: all but an incomplete character at the end, which only `end` makes bad. */
static int convert(struct buf *out, const char *data, size_t len, bool end, size_t *out_used,
		   struct err *err)
{
	size_t at = 0;
	size_t good = 0; /* data[good .. at) is text that was not copied yet */
	bool open = false;

	while (at < len) {
		size_t step = str_utf8_step(data + at, len - at);
		int rc;

		if (step > 0) {
			at += step;
			continue;
		}
		step = bad_length(data + at, len - at, &open);
		if (open && !end)
			break;
		rc = buf_append(out, data + good, at - good, err);
		if (rc == 0)
			rc = replace(out, data, len, &at, step, err);
		if (rc < 0)
			return rc;
		good = at;
	}
	*out_used = at;
	return buf_append(out, data + good, at - good, err);
}

/* Finishes the held character with the first bytes of data; *out_used of them are gone then. */
static int convert_held(struct lossy *lossy, struct buf *out, const char *data, size_t len,
			size_t *out_used, struct err *err)
{
	char joint[sizeof lossy->held + 1];
	size_t used = 0;
	size_t taken = 0;
	int rc;

	memcpy(joint, lossy->held, lossy->held_len);
	while (taken < len && lossy->held_len > 0) {
		size_t had = lossy->held_len;

		joint[had] = data[taken++];
		rc = convert(out, joint, had + 1, false, &used, err);
		if (rc < 0)
			return rc;
		if (used == 0) { /* still open */
			lossy->held_len = had + 1;
			continue;
		}
		/* Either all of it is out, or the new byte starts something else and is read again.
		 */
		lossy->held_len = 0;
		if (used <= had)
			taken--;
	}
	memcpy(lossy->held, joint, lossy->held_len);
	*out_used = taken;
	return 0;
}

int lossy_append(struct lossy *lossy, struct buf *out, const char *data, size_t len, bool end,
		 struct err *err)
{
	size_t before = out->len;
	struct lossy fresh = *lossy;
	size_t used = 0;
	size_t more = 0;
	int rc = 0;

	if (fresh.held_len > 0)
		rc = convert_held(&fresh, out, data, len, &used, err);
	if (rc == 0 && fresh.held_len > 0 && end) { /* it has taken all of data, and stays open */
		fresh.held_len = 0;
		rc = buf_append(out, replacement, sizeof replacement, err);
	}
	if (rc == 0 && used < len)
		rc = convert(out, data + used, len - used, end, &more, err);
	if (rc < 0) {
		buf_cut(out, before);
		return rc;
	}
	used += more;
	if (used < len) {
		memcpy(fresh.held, data + used, len - used);
		fresh.held_len = len - used;
	}
	*lossy = fresh;
	return 0;
}
