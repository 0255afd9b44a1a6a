/*
 * name.h - the name of a setting, a.b."c.d", as its parts.
 *
 * Pure. Bare parts are letters, digits, _ and -; any other is written in quotes.
 */
#pragma once

#include <stddef.h>

#include "proto/base/attr.h"
#include "proto/conf/conf.h"

#define CONF_NAME_MAX 4096 /* bytes of one name */

struct conf_name {
	char *parts[CONF_DEPTH_MAX]; /* owned */
	size_t count;
};

/* Appends the parts of `text` (len bytes), blanks around each skipped; the name is unchanged on
 * failure. */
int conf_name_parse(struct conf_name *name, const char *text, size_t len, struct err *err)
	MUST_CHECK;
/* The name as it would be written; *out is the caller's to free. */
int conf_name_format(char **out, const struct conf_name *name, struct err *err) MUST_CHECK;
void conf_name_deinit(struct conf_name *name);

/* Where name and value part: the first '=' outside quotes, or NULL. */
const char *conf_name_end(const char *text);
