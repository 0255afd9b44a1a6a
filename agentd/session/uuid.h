/*
 * uuid.h - version 7 identifiers: they begin with the time and sort by it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/attr.h"

struct err;

#define UUID_SIZE 37 /* bytes of the text, the final NUL included */

/* now_ms: milliseconds since 1970. */
int uuid_v7(char out[UUID_SIZE], int64_t now_ms, struct err *err) MUST_CHECK;

/* The form alone: 8-4-4-4-12 lower-case hexadecimal digits. */
bool uuid_is_valid(const char *text);
