/*
 * schema.h - one file of proto/schema, checked, and the names that its entries get in C.
 *
 * Checking comes first and is complete, so whoever walks a checked schema relies on the shape that
 * proto/README.md describes. A struct schema owns its JSON; everything else borrows from it.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"

struct err;

#define SCHEMA_FILE_MAX 1048576 /* bytes */
#define SCHEMA_NAME_MAX 128     /* bytes of a name in C with the NUL */

struct schema {
	json_t *root;
	const char *protocol;        /* "broker"; NULL when there is no such file */
	const struct schema *common; /* NULL for the common one itself */
};

enum ref_kind {
	REF_NONE,
	REF_STRING,
	REF_PATH,
	REF_ID,
	REF_INT,
	REF_BOOL,
	REF_JSON,
	REF_ENUM,
	REF_STRUCT,
	REF_KIND_COUNT
};

/* What a type like "list<root>" means. */
struct ref {
	enum ref_kind kind;
	bool list;
	char word[SCHEMA_NAME_MAX]; /* without list<> */
	const struct schema *home;  /* which schema defines the enum or struct */
};

/* Loads dir/name.json. A missing file leaves *out zeroed when `needed` is false. */
int schema_load(struct schema *out, const char *dir, const char *name, bool needed, struct err *err)
	MUST_CHECK;
void schema_deinit(struct schema *schema);

/* One sentence with the place on failure. */
int schema_check(const struct schema *schema, struct err *err) MUST_CHECK;

/* kind is REF_NONE when there is no such type. */
void schema_resolve(struct ref *out, const struct schema *schema, const char *type);

/* A bound: a number, or the name of a limit. False when it is neither. */
bool schema_bound(const struct schema *schema, json_t *value, int64_t *out);

/* The constant of enum wire_stage; NULL when there is no such stage. */
const char *schema_stage(const char *word);

const char *json_text(json_t *object, const char *name); /* "" when absent */
bool json_flag(json_t *object, const char *name);

/* Names in C: childStart, child/start, _agentd/child/start -> child_start; CHILD_START. */
void name_lower(char out[SCHEMA_NAME_MAX], const char *text);
void name_upper(char out[SCHEMA_NAME_MAX], const char *text);
/* "broker_" or, for the common schema, "". */
const char *name_prefix(const struct schema *schema, char out[SCHEMA_NAME_MAX]);
/* Prefix and name in lower case. */
void name_full(char out[SCHEMA_NAME_MAX], const struct schema *schema, const char *text);
/* What a field is called on the wire: its "wire" member, else its own name. */
const char *field_wire(const char *name, json_t *field);
/* Whether another field of the struct has the same name on the wire. */
bool field_shared(json_t *fields, const char *name);
