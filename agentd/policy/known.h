/*
 * known.h - commands whose effect is known from their words alone.
 *
 * Pure. Knows words, not files: a name without a slash is what the PATH of the person makes of it,
 * and an absolute name counts only in the system's folders, so that ./cat planted in a workspace is
 * not cat.
 */
#pragma once

#include <stddef.h>

/* Ordered by what it takes away: the worst part of a script decides. */
enum known {
	KNOWN_SAFE,     /* reads, whatever its arguments say */
	KNOWN_CONFINED, /* reads, but may start what the repository's configuration names: git */
	KNOWN_NOTHING,
	KNOWN_DANGEROUS, /* destroys without asking */
	KNOWN_COUNT
};

/* One command's words. */
enum known known_argv(const char *const *argv, size_t argc);

/* What a shell would be told to run. Safe only when it is plain (split.h) and all of it is safe;
 * dangerous when any literal command anywhere in it is. */
enum known known_script(const char *script);
