#include "proto/wire/id.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "proto/base/err.h"

#define ID_BYTES_MAX 64 /* at once; the kernel gives up to 256 uninterrupted */

int id_draw(char *out, size_t size, struct err *err)
{
	unsigned char bytes[ID_BYTES_MAX];
	size_t count = (size - 1) / 2;

	if (count > sizeof bytes || getrandom(bytes, count, 0) != (ssize_t)count)
		return ERR_SYS(err, errno, "getrandom");
	for (size_t i = 0; i < count; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

bool id_equal(const char *a, const char *b)
{
	size_t length = strlen(a);
	int differ = strlen(b) != length;

	for (size_t i = 0; i < length && strlen(b) == length; i++)
		differ |= a[i] ^ b[i];
	return differ == 0;
}
