/*
 * path.h - paths as text, and where one leads. Canonical is what realpath() gives.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "proto/base/attr.h"

struct err;

#define PATH_LINKS_MAX 40 /* symbolic links on one way, as in the kernel */

/* Strictly beneath; or the folder itself. */
bool path_beneath(const char *path, const char *folder);
bool path_within(const char *path, const char *folder);

/* The folder that an absolute path is in; "" for the root folder. */
void path_folder(char folder[PATH_MAX], const char *path);

/* A name too long leaves "", which no file has, and is false. */
bool path_join(char joined[PATH_MAX], const char *folder, const char *name);

/*
 * Where `text` leads, seen from the canonical folder `base`: out is the canonical path, or "" when
 * there is no such file. Each link on the way is told, by its own path; a failure of that is the
 * result.
 */
typedef int path_link_fn(void *context, const char *path, struct err *err);
int path_follow(char out[PATH_MAX], const char *base, const char *text, path_link_fn *told,
		void *context, struct err *err) MUST_CHECK;

/* Whether a search for the name in folders separated by colons (or NULL) meets a file at all: a
 * folder that may not be entered is none. */
bool path_meets(const char *dirs, const char *name);
