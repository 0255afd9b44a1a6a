/*
 * names.h - the words of an enumeration and their numbers.
 *
 * Number 0 is never a word: it stands for "absent" and for whatever nobody thought of.
 */
#pragma once

struct names {
	const char *const *words; /* words[0] is NULL */
	int count;                /* with number 0 */
};

/* The word of a number; NULL for 0 and for numbers that do not exist. */
const char *names_get(const struct names *names, int number);

/* The number of a word; 0 when it is unknown or NULL. */
int names_find(const struct names *names, const char *text);
