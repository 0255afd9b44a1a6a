/*
 * id.h - names that nobody can guess, and what is compared with them.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "proto/base/err.h"

#define ID_SIZE 33U   /* bytes of 128 random bits in hex with the final NUL */
#define SEAL_SIZE 65U /* bytes of 256 random bits in hex with the final NUL */

/* Fills `out` with size - 1 random hex digits and a NUL. */
static inline int id_draw(char *out, size_t size, struct err *err)
{
	unsigned char byte;

	for (size_t i = 0; i + 2 < size; i += 2) {
		if (getrandom(&byte, 1, 0) != 1)
			return ERR_SYS(err, errno, "getrandom");
		(void)snprintf(out + i, 3, "%02x", byte);
	}
	return 0;
}

/* Whether the texts are equal, in a time that does not tell where they differ. */
static inline bool id_equal(const char *a, const char *b)
{
	size_t length = strlen(a);
	int differ = 0;

	for (size_t i = 0; i < length && strlen(b) == length; i++)
		differ |= a[i] ^ b[i];
	return strlen(b) == length && differ == 0;
}
