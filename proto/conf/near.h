/*
 * near.h - which word was meant? For those who talk to people.
 */
#pragma once

#include <stddef.h>

/* The word of the list (count entries) nearest to text by edit distance; NULL when none is near. */
const char *near_word(const char *text, const char *const *words, size_t count);
