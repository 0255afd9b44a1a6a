#include "agentd/session/uuid.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

#include "proto/base/err.h"

#define UUID_BYTES 16
#define TIME_BYTES 6

static bool is_dash_place(size_t place)
{
	return place == 8 || place == 13 || place == 18 || place == 23;
}

int uuid_v7(char out[UUID_SIZE], int64_t now_ms, struct err *err)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char bytes[UUID_BYTES];
	ssize_t got = getrandom(bytes, sizeof(bytes), 0);
	size_t place = 0;

	if (got != (ssize_t)sizeof(bytes))
		return ERR_SYS(err, got < 0 ? errno : EIO, "random bytes for an identifier");
	for (size_t i = 0; i < TIME_BYTES; i++)
		bytes[i] = (unsigned char)((uint64_t)now_ms >> (8 * (TIME_BYTES - 1 - i)));
	bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x70); /* version 7 */
	bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80); /* variant of RFC 9562 */
	for (size_t i = 0; i < UUID_BYTES; i++) {
		if (is_dash_place(place))
			out[place++] = '-';
		out[place++] = digits[bytes[i] >> 4];
		out[place++] = digits[bytes[i] & 0x0f];
	}
	out[place] = '\0';
	return 0;
}

bool uuid_is_valid(const char *text)
{
	if (!text || strlen(text) != UUID_SIZE - 1)
		return false;
	for (size_t i = 0; i < UUID_SIZE - 1; i++) {
		bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');

		if (is_dash_place(i) ? text[i] != '-' : !hex)
			return false;
	}
	return true;
}
