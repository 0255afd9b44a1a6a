/*
 * json.h - JSON text in and out, with the bounds that foreign text needs.
 *
 * Loading refuses what two parsers could read differently: an object with the same member twice,
 * text behind the value, NUL characters, malformed UTF-8. The error never repeats the text itself,
 * which may be somebody's prompt.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "proto/base/attr.h"

struct buf;
struct err;

#define WIRE_JSON_MAX 33554432 /* bytes of one text */
#define WIRE_JSON_DEPTH_MAX 64 /* objects and arrays inside one another */

#define WIRE_VALUE_BYTES 128 /* of memory that one value takes, roughly, besides its text */

/* So many values there are at most in a text; counted before anything is allocated for it. */
size_t wire_json_values(const char *text, size_t len);

/* So many bytes of memory a value takes, roughly. */
size_t wire_json_bytes(const json_t *value);

/* An object or array, the caller's reference; NULL with ERR_INVALID, ERR_LIMIT or ERR_NOMEM. */
json_t *wire_json_load(const char *text, size_t len, struct err *err) MUST_CHECK;

/* Appends the value, compact and on one line. The buffer's ceiling holds; on failure nothing is
 * appended. */
int wire_json_dump(struct buf *out, const json_t *value, struct err *err) MUST_CHECK;
