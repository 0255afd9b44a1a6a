/*
 * trusted.h - files that nobody but root can have written, or put in the place where they are.
 */
#pragma once

#include <stdbool.h>

#include "proto/base/attr.h"

struct err;

/*
 * Opens a regular file for reading, from the root folder down and through no symbolic link: every
 * folder on the way and the file itself belong to root and are writable by nobody else. With `own`
 * the caller's user is as good as root, and a folder with the sticky bit (/tmp) may be everybody's.
 * ERR_NOTFOUND: it is not there. Otherwise the sentence names the component, with the mend.
 */
int trusted_open(int *out, const char *path, bool own, struct err *err) MUST_CHECK;
