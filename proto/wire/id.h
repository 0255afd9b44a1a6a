/*
 * id.h - names that nobody can guess.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"

struct err;

#define ID_SIZE 33U   /* bytes of 128 random bits in hex with the final NUL */
#define SEAL_SIZE 65U /* bytes of 256 random bits in hex with the final NUL */

/* Fills `out` with size - 1 random hex digits and a NUL; the size is odd. */
int id_draw(char *out, size_t size, struct err *err) MUST_CHECK;

/* Whether the texts are equal, in a time that does not tell where they differ. */
bool id_equal(const char *a, const char *b);
