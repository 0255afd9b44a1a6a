/*
 * codec.h - between JSON and the structs generated from proto/schema, in both directions.
 *
 * The generated code is data only: a struct type is a table of fields with offsets and bounds, and
 * this is its one interpreter. Every bound holds in both directions, so what one side cannot read
 * the other cannot write. An error names the place: "params.argv[3]: more than 131071 bytes".
 *
 * A decoded struct borrows its text from the JSON value and its arrays from the arena; it is valid
 * as long as both live. Strings are well-formed UTF-8 without NUL characters.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"
#include "proto/wire/arena.h"
#include "proto/wire/names.h"

struct err;

#define WIRE_PATH_MAX 4095   /* bytes of one path: the kernel's PATH_MAX less the NUL */
#define WIRE_ID_MAX 64       /* bytes of one id */
#define WIRE_STRUCT_DEPTH 16 /* structs inside one another */

enum wire_kind {
	WIRE_NONE,
	WIRE_STRING, /* const char *; min..max bytes */
	WIRE_PATH,   /* const char *; a string that starts with a slash */
	WIRE_ID,     /* const char *; letters, digits, '-' and '_' */
	WIRE_INT,    /* int64_t; min..max */
	WIRE_BOOL,   /* bool */
	WIRE_ENUM,   /* an enum; in C an int that is 0 when absent */
	WIRE_STRUCT, /* const struct *; in lists the structs themselves */
	WIRE_JSON,   /* json_t *; anything, even null */
	WIRE_KIND_COUNT
};

/* What a field of a struct may be besides its kind. */
#define WIRE_OPTIONAL 1U /* may be absent: NULL, 0, or has_x false */
#define WIRE_LIST 2U     /* of strings, paths, ids or structs; at most max_count */
#define WIRE_SHARED 4U   /* another field has this name on the wire: one is a list, one is not */

struct type;

struct field {
	const char *name; /* on the wire */
	enum wire_kind kind;
	unsigned flags;
	size_t offset;    /* of the member; in a list of structs of the pointer */
	size_t mark;      /* of has_x (optional int and bool) or x_count (list of structs) */
	int64_t min;      /* of each value */
	int64_t max;      /* of each value */
	size_t max_count; /* entries of a list */
	const struct names *names; /* of an enum */
	const struct type *type;   /* of a struct */
};

struct type {
	const char *name; /* of the C struct, "broker_child_start" */
	const char
		*root; /* what error places start with: "params", "result" or the struct's name */
	size_t size;
	const struct field *fields;
	size_t field_count;
};

/* A list of strings, NULL when absent. A decoded one ends in a further NULL, so it does as an argv.
 */
struct wire_strings {
	const char *const *items;
	size_t count;
};

size_t wire_strings_bytes(const struct wire_strings *list); /* of its texts with their NULs */

/* Whether the first `count` texts are the same; with 0 all of them, and no more. */
bool wire_strings_same(const struct wire_strings *a, const struct wire_strings *b, size_t count);

/* A decoded message that outlives its call: what a struct borrows from. Zeroed: none. */
struct kept {
	json_t *message;
	struct arena arena;
};

void kept_deinit(struct kept *kept);
size_t kept_bytes(const struct kept *kept); /* of memory, roughly */

enum codec_mode {
	CODEC_STRICT, /* unknown members and null are refused */
	CODEC_LENIENT /* unknown members are ignored, and null is as good as absent */
};

/* A value of NULL is an empty object. On failure *out is untouched: ERR_INVALID, ERR_LIMIT or
 * ERR_NOMEM. */
int codec_decode(const struct type *type, const json_t *value, void *out, struct arena *arena,
		 enum codec_mode mode, struct err *err) MUST_CHECK;

/* A new reference; NULL on failure. JSON members are shared, not copied. */
json_t *codec_encode(const struct type *type, const void *in, struct err *err) MUST_CHECK;
