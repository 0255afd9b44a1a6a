/*
 * words.h - the words of a command line that are no options.
 */
#pragma once

#include <stddef.h>

#include "proto/base/attr.h"

struct err;
struct options;

#define WORDS_MAX 1000000 /* bytes of a prompt */

/* All words from `first` on, a blank between two; NULL when there are none. The caller's to free.
 */
int words_join(char **out, const struct options *options, size_t first, struct err *err) MUST_CHECK;

/* Everything that standard input holds. The caller's to free. */
int words_read(char **out, struct err *err) MUST_CHECK;
