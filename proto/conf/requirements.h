/*
 * requirements.h - the administrator's limits, requirements.ini: read, checked, and turned into the
 * JSON of struct requirements in proto/schema/common.json.
 *
 * Pure. Unlike a user's settings nothing is forgiven: an unknown key, a key given twice, a word
 * that is none, or a rule that would allow something is a failure, with the line. What the file
 * does not name is not limited. The keys, and what each may be, are the table in requirements.c.
 */
#pragma once

#include <jansson.h>

#include "proto/base/attr.h"

struct err;

#define REQUIREMENTS_FILE_MAX 262144 /* bytes */

/*
 * `text` is the content, `path` the file's name for sentences, `home` what "~/" stands for (NULL:
 * there is none, and no entry may begin so). *out is a new reference.
 */
int requirements_parse(json_t **out, const char *text, const char *path, const char *home,
		       struct err *err) MUST_CHECK;
