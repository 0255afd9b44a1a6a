/*
 * ini.h - a settings file as a sequence of (line, name, value text).
 *
 * inih reads the lines. The reader that feeds it hands over short stand-ins, because inih cuts
 * section names at 50 bytes and lines at 200 without a word, and takes ';' inside a quoted string
 * for a comment.
 */
#pragma once

#include <stddef.h>

#include "proto/base/attr.h"

struct conf_name;
struct err;

#define CONF_LINES_MAX 20000 /* lines of one file */

/* Called once per setting, in the order of the file; a negative result ends the reading. */
typedef int conf_ini_fn(void *ctx, const struct conf_name *name, const char *value, size_t line,
			struct err *err);

/*
 * Reads `text` (the content of the file named `path`). Errors of the form carry "path:line: ";
 * those of the callback are passed on as they are.
 */
int conf_ini_read(const char *text, const char *path, conf_ini_fn *fn, void *ctx, struct err *err)
	MUST_CHECK;
