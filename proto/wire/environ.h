/*
 * environ.h - environments as lists of NAME=value: are they well formed, may a stranger set them,
 * what do several of them make together?
 *
 * Pure: no I/O, no globals; the environment of the process itself is not looked at. Texts are
 * borrowed throughout.
 */
#pragma once

#include "proto/wire/codec.h"

/* Each entry is NAME=value; ERR_INVALID names the one that is not. */
int environ_check(const struct wire_strings *env, struct err *err) MUST_CHECK;

/*
 * Each entry is a plain name that makes no program load code which its command line does not show,
 * such as LD_PRELOAD, PATH or GIT_SSH_COMMAND; ERR_DENIED names the one that may.
 */
int environ_check_harmless(const struct wire_strings *env, struct err *err) MUST_CHECK;

/* Among the entries of one name the last one of the last part holds. */
struct environ_part {
	struct wire_strings entries; /* well formed */
	bool removes;                /* an empty value takes the name away */
};

/* Sorted by name. The list ends in NULL and lies in the arena; its texts are those of the parts. */
int environ_merge(struct wire_strings *out, const struct environ_part *parts, size_t count,
		  struct arena *arena, struct err *err) MUST_CHECK;

/* The value of a name; NULL when it is not there. */
const char *environ_value(const struct wire_strings *env, const char *name);
