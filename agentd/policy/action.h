/*
 * action.h - what a call would do, in the words that policy.h decides on.
 *
 * Pure, and lexical: paths are compared as text after "." and ".." are resolved; a symbolic link in
 * the workspace is the kernel's business when the action runs. Give canonical folders (as the
 * broker returns them).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"

#include "agentd/policy/policy.h"

struct err;

#define ACTION_PATH_MAX 4096 /* bytes of one normalised path with its NUL */

/* One writable root; all borrowed, absolute and canonical. */
struct action_root {
	const char *path;
	const char *const *guarded; /* read-only folders and files below it (or anywhere) */
	size_t guarded_count;
};

struct action_place {
	const char *cwd;                 /* relative paths of a patch start here */
	const struct action_root *roots; /* none in read-only */
	size_t root_count;
};

/* script: what the shell would run. Whoever asks for `escalated` gets it into the action. */
struct action action_of_script(const char *script, bool escalated);

/* paths: every path that a patch writes, deletes or moves to, as spelled in it. */
struct action action_of_patch(const struct action_place *place, const char *const *paths,
			      size_t count);

/* out: absolute, without "." and "..", repeated or trailing slashes; ERR_LIMIT when too long. */
int action_path(char out[static ACTION_PATH_MAX], const char *cwd, const char *path,
		struct err *err) MUST_CHECK;

/* Writable by the rules of the roots: below one, and not protected there. */
bool action_path_inside(const struct action_place *place, const char *absolute);
