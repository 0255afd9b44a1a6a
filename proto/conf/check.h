/*
 * check.h - is this a setting that exists, and is its value of the right kind?
 *
 * Pure; the table in key.h is the whole of its knowledge.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "proto/base/attr.h"

struct conf_key;
struct conf_name;
struct conf_value;
struct err;

#define CONF_ITEM_MAX 4096 /* bytes of one entry of a list or map */

/* The row of a name; ERR_NOTFOUND names what is unknown and the nearest that is known. */
int conf_check_name(const struct conf_key **out, const struct conf_name *name, struct err *err)
	MUST_CHECK;

/*
 * The value as the row wants it, a new reference. Relative paths are joined to `base` (an absolute
 * folder). The sentence says what would be right; the caller names the place.
 */
int conf_check_value(json_t **out, const struct conf_key *key, const struct conf_value *value,
		     const char *base, struct err *err) MUST_CHECK;

/* The row with exactly this name, or the one that stands for table.<any>.key; NULL when there is
 * none. */
const struct conf_key *conf_key_find(const char *name);
const struct conf_key *conf_key_find_of(const char *table, const char *key);
