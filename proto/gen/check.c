/*
 * check.c - is a schema file what proto/README.md says? One sentence with the place if not.
 */
#include <stdio.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/gen/schema.h"

#define WORDS_MAX 12      /* members that an object of a schema may have */
#define NAME_BYTES_MAX 60 /* of a name in a schema, so that every name in C fits */

/* While one schema is checked. */
struct check {
	const struct schema *schema;
	json_t *names; /* what is taken in C: name -> place */
	struct err *err;
};

static int bad(const struct check *check, const char *place, const char *what, const char *word)
{
	return ERR_SET(check->err, ERR_INVALID, "%s.json: %s: %s '%s'", check->schema->protocol,
		       place, what, word);
}

/* Only these members, and prose where there is `doc` among them. */
static int check_members(const struct check *check, const char *place, json_t *object,
			 const char *const words[WORDS_MAX])
{
	const char *name;
	json_t *value;

	if (!json_is_object(object))
		return bad(check, place, "must be an object, not", "something else");
	json_object_foreach(object, name, value) {
		bool known = false;

		for (size_t i = 0; i < WORDS_MAX && words[i]; i++)
			known = known || str_eq(words[i], name);
		if (!known)
			return bad(check, place, "unknown member", name);
	}
	return 0;
}

static int check_doc(const struct check *check, const char *place, const char *doc)
{
	size_t length = strlen(doc);

	if (length < 2 || strchr("!.?", doc[length - 1]) == NULL)
		return bad(check, place, "needs prose that ends in a full stop, not", doc);
	if (strstr(doc, "*/") || strchr(doc, '\n'))
		return bad(check, place, "the prose must be one line without '*/':", doc);
	return 0;
}

/* The name is free in C and short enough. */
static int take_name(const struct check *check, const char *place, const char *what,
		     const char *taken)
{
	char key[2 * SCHEMA_NAME_MAX];
	const char *other;

	if (taken[0] == '\0' || strlen(taken) > NAME_BYTES_MAX)
		return bad(check, place, "empty or too long is the name", taken);
	(void)snprintf(key, sizeof key, "%s %s", what, taken);
	other = json_string_value(json_object_get(check->names, key));
	if (other)
		return ERR_SET(check->err, ERR_INVALID, "%s.json: %s and %s are both '%s' in C",
			       check->schema->protocol, other, place, key);
	if (json_object_set_new(check->names, key, json_string(place)) < 0)
		return ERR_NOMEM_SET(check->err);
	return 0;
}

static int check_word(const struct check *check, const char *place, const char *word)
{
	static const char *const keywords[] = {
		"auto",     "bool",    "break",  "case",     "char",   "const",    "continue",
		"default",  "do",      "double", "else",     "enum",   "extern",   "float",
		"for",      "goto",    "if",     "inline",   "int",    "long",     "register",
		"restrict", "return",  "short",  "signed",   "sizeof", "static",   "struct",
		"switch",   "typedef", "union",  "unsigned", "void",   "volatile", "while"
	};
	char name[SCHEMA_NAME_MAX];

	name_lower(name, word);
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
		if (str_eq(keywords[i], name))
			return bad(check, place, "a keyword of C is no name:", word);
	}
	return name[0] ? 0 : bad(check, place, "this is no name:", word);
}

/* Which bounds a type must have and may have. */
struct bounds {
	bool max;      /* must have max */
	bool max_each; /* must have max_each */
	bool min;      /* may have min (and max) */
	bool min_each; /* may have min_each (and max_each) */
};

static struct bounds bounds_of(const struct ref *ref)
{
	struct bounds bounds = { 0 };

	bounds.max = ref->list || ref->kind == REF_STRING;
	bounds.max_each = ref->list && ref->kind == REF_STRING;
	bounds.min = !ref->list && (ref->kind == REF_STRING || ref->kind == REF_INT);
	bounds.min_each = ref->list && ref->kind == REF_STRING;
	return bounds;
}

static int check_bound(const struct check *check, const char *place, json_t *field,
		       const char *name, bool may)
{
	json_t *value = json_object_get(field, name);
	int64_t number;

	if (!value)
		return 0;
	if (!may)
		return bad(check, place, "a type that takes no", name);
	if (!schema_bound(check->schema, value, &number))
		return bad(check, place, "neither a number nor the name of a limit is", name);
	return 0;
}

static int check_bounds(const struct check *check, const char *place, json_t *field,
			const struct ref *ref)
{
	struct bounds bounds = bounds_of(ref);

	if (bounds.max && !json_object_get(field, "max"))
		return bad(check, place, "a string or list without", "max");
	if (bounds.max_each && !json_object_get(field, "max_each"))
		return bad(check, place, "a list of strings without", "max_each");
	if (check_bound(check, place, field, "max", bounds.max || bounds.min) < 0 ||
	    check_bound(check, place, field, "min", bounds.min) < 0 ||
	    check_bound(check, place, field, "max_each", bounds.min_each) < 0 ||
	    check_bound(check, place, field, "min_each", bounds.min_each) < 0)
		return check->err->code;
	return 0;
}

static int check_field(const struct check *check, const char *place, json_t *fields,
		       const char *name)
{
	static const char *const words[WORDS_MAX] = { "type", "doc",      "optional", "min",
						      "max",  "min_each", "max_each", "wire" };
	json_t *field = json_object_get(fields, name);
	struct ref ref;

	if (check_members(check, place, field, words) < 0 ||
	    check_doc(check, place, json_text(field, "doc")) < 0 ||
	    check_word(check, place, name) < 0)
		return check->err->code;
	schema_resolve(&ref, check->schema, json_text(field, "type"));
	if (ref.kind == REF_NONE)
		return bad(check, place, "unknown type", json_text(field, "type"));
	if (ref.list && ref.kind != REF_STRING && ref.kind != REF_PATH && ref.kind != REF_ID &&
	    ref.kind != REF_STRUCT)
		return bad(check, place, "there are no lists of", ref.word);
	if (field_shared(fields, name) && !json_flag(field, "optional"))
		return bad(check, place, "must be optional, for it shares the name",
			   field_wire(name, field));
	return check_bounds(check, place, field, &ref);
}

static int check_fields(const struct check *check, const char *up, json_t *fields)
{
	struct check inner = *check;
	json_auto_t *names = json_object();
	const char *name;
	json_t *field;

	if (!names)
		return ERR_NOMEM_SET(check->err);
	if (!json_is_object(fields))
		return bad(check, up, "needs an object of", "fields");
	inner.names = names; /* members of a struct have a name space of their own */
	json_object_foreach(fields, name, field) {
		char lower[SCHEMA_NAME_MAX];
		char place[2 * SCHEMA_NAME_MAX];

		(void)snprintf(place, sizeof place, "%s.%s", up, name);
		name_lower(lower, name);
		if (check_field(&inner, place, fields, name) < 0 ||
		    take_name(&inner, place, "member", lower) < 0)
			return check->err->code;
	}
	return 0;
}

static int check_enum(const struct check *check, const char *name, json_t *entry)
{
	static const char *const words[WORDS_MAX] = { "doc", "values" };
	json_t *values = json_object_get(entry, "values");
	struct check inner = *check;
	json_auto_t *names = json_object();
	const char *word;
	json_t *doc;

	if (!names)
		return ERR_NOMEM_SET(check->err);
	inner.names = names;
	if (check_members(check, name, entry, words) < 0 ||
	    check_doc(check, name, json_text(entry, "doc")) < 0)
		return check->err->code;
	if (json_object_size(values) == 0)
		return bad(check, name, "an enum needs", "values");
	json_object_foreach(values, word, doc) {
		char upper[SCHEMA_NAME_MAX];

		name_upper(upper, word);
		if (str_eq(upper, "NONE") || str_eq(upper, "COUNT"))
			return bad(check, name, "taken by every enum is the word", word);
		if (take_name(&inner, name, "constant", upper) < 0 ||
		    check_doc(check, word, json_is_string(doc) ? json_string_value(doc) : "") < 0)
			return ERR_WRAP(check->err, "enum '%s'", name);
	}
	return 0;
}

static int check_limit(const struct check *check, const char *name, json_t *entry)
{
	static const char *const words[WORDS_MAX] = { "value", "unit", "doc" };

	if (check_members(check, name, entry, words) < 0 ||
	    check_doc(check, name, json_text(entry, "doc")) < 0)
		return check->err->code;
	if (!json_is_integer(json_object_get(entry, "value")))
		return bad(check, name, "a limit needs a whole number as", "value");
	if (json_text(entry, "unit")[0] == '\0')
		return bad(check, name, "a limit needs a", "unit");
	return 0;
}

static int check_struct(const struct check *check, const char *name, json_t *entry)
{
	static const char *const words[WORDS_MAX] = { "doc", "fields" };

	if (check_members(check, name, entry, words) < 0 ||
	    check_doc(check, name, json_text(entry, "doc")) < 0)
		return check->err->code;
	return check_fields(check, name, json_object_get(entry, "fields"));
}

static int check_roles(const struct check *check, const char *place, json_t *roles)
{
	json_t *known = json_object_get(
		json_object_get(json_object_get(check->schema->root, "enums"), "role"), "values");
	size_t i;
	json_t *role;

	if (json_array_size(roles) == 0)
		return bad(check, place, "needs a list of", "roles");
	json_array_foreach(roles, i, role) {
		const char *word = json_is_string(role) ? json_string_value(role) : "";

		if (!json_object_get(known, word))
			return bad(check, place, "no word of the enum 'role' is", word);
	}
	return 0;
}

static int check_texts(const struct check *check, const char *place, json_t *texts)
{
	size_t i;
	json_t *text;

	if (texts && !json_is_array(texts))
		return bad(check, place, "must be lists:", "fds and errors");
	json_array_foreach(texts, i, text) {
		if (!json_is_string(text))
			return bad(check, place, "must hold strings:", "fds and errors");
	}
	return 0;
}

/* The words of err_code_name(): what a caller can act on. */
static int check_errors(const struct check *check, const char *place, json_t *errors)
{
	size_t i;
	json_t *word;

	if (check_texts(check, place, errors) < 0)
		return check->err->code;
	json_array_foreach(errors, i, word) {
		enum err_code code = ERR_NOMEM;

		while (code >= ERR_GONE && !str_eq(err_code_name(code), json_string_value(word)))
			code--;
		if (code < ERR_GONE)
			return bad(check, place, "no error is called", json_string_value(word));
	}
	return 0;
}

/* Optional descriptors come last, so that a count says which are there. */
static int check_fds(const struct check *check, const char *place, json_t *fds)
{
	bool optional = false;
	size_t i;
	json_t *fd;

	if (check_texts(check, place, fds) < 0)
		return check->err->code;
	json_array_foreach(fds, i, fd) {
		const char *name = json_string_value(fd);

		if (optional && !str_ends(name, "?"))
			return bad(check, place, "a descriptor behind an optional one:", name);
		optional = str_ends(name, "?");
	}
	return 0;
}

/* One row of "methods", "calls" or "notifications". */
static int check_method(const struct check *check, const char *section, json_t *entry)
{
	static const char *const words[WORDS_MAX] = { "method", "notification", "roles", "to",
						      "stage",  "fds",          "doc",   "params",
						      "result", "errors" };
	const char *name = json_text(entry, "method");
	bool incoming = str_eq(section, "methods");
	bool answered = !str_eq(section, "notifications") && !json_flag(entry, "notification");
	char lower[SCHEMA_NAME_MAX];
	char result[SCHEMA_NAME_MAX + 8];

	name_lower(lower, name);
	(void)snprintf(result, sizeof result, "%s_result", lower);
	if (check_members(check, name, entry, words) < 0 ||
	    check_doc(check, name, json_text(entry, "doc")) < 0 ||
	    check_roles(check, name, json_object_get(entry, incoming ? "roles" : "to")) < 0 ||
	    check_fds(check, name, json_object_get(entry, "fds")) < 0 ||
	    check_errors(check, name, json_object_get(entry, "errors")) < 0 ||
	    take_name(check, name, "struct", lower) < 0 ||
	    check_fields(check, name, json_object_get(entry, "params")) < 0)
		return check->err->code;
	if (incoming && !schema_stage(json_text(entry, "stage")))
		return bad(check, name, "unknown stage", json_text(entry, "stage"));
	if (!answered)
		return json_object_get(entry, "result")
			       ? bad(check, name, "a notification has no", "result")
			       : 0;
	if (take_name(check, name, "struct", result) < 0)
		return check->err->code;
	return check_fields(check, name, json_object_get(entry, "result"));
}

static int check_key(const struct check *check, json_t *entry)
{
	static const char *const words[WORDS_MAX] = { "name", "type", "words", "default",
						      "doc",  "min",  "max",   "inert" };
	static const char *const types[] = { "string", "path",  "bool",    "int",
					     "enum",   "paths", "strings", "map" };
	const char *name = json_text(entry, "name");
	const char *type = json_text(entry, "type");
	struct ref ref;
	bool known = false;

	if (check_members(check, name, entry, words) < 0 ||
	    check_doc(check, name, json_text(entry, "doc")) < 0 ||
	    take_name(check, name, "key", name) < 0 ||
	    check_texts(check, name, json_object_get(entry, "words")) < 0)
		return check->err->code;
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		known = known || str_eq(types[i], type);
	schema_resolve(&ref, check->schema, type);
	if (!known && ref.kind != REF_ENUM)
		return bad(check, name, "unknown type", type);
	if (str_eq(type, "enum") != (json_array_size(json_object_get(entry, "words")) > 0))
		return bad(check, name, "an enum, and nothing else, has", "words");
	if (known && !str_eq(type, "bool") && !str_eq(type, "enum") &&
	    !json_is_integer(json_object_get(entry, "max")))
		return bad(check, name, "needs a number as", "max");
	return 0;
}

static int check_section(const struct check *check, const char *section, const char *what,
			 int (*entry_check)(const struct check *, const char *, json_t *))
{
	json_t *entries = json_object_get(check->schema->root, section);
	const char *name;
	json_t *entry;

	json_object_foreach(entries, name, entry) {
		char lower[SCHEMA_NAME_MAX];

		name_lower(lower, name);
		if (take_name(check, name, what, lower) < 0 || entry_check(check, name, entry) < 0)
			return check->err->code;
	}
	return 0;
}

static int check_rows(const struct check *check, const char *section)
{
	json_t *rows = json_object_get(check->schema->root, section);
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row) {
		int rc = str_eq(section, "keys") ? check_key(check, row)
						 : check_method(check, section, row);

		if (rc < 0)
			return rc;
	}
	return 0;
}

int schema_check(const struct schema *schema, struct err *err)
{
	static const char *const words[WORDS_MAX] = { "protocol", "version", "doc",
						      "limits",   "enums",   "structs",
						      "methods",  "calls",   "notifications",
						      "keys" };
	json_auto_t *names = json_object();
	struct check check = { .schema = schema, .names = names, .err = err };

	if (!names)
		return ERR_NOMEM_SET(err);
	if (check_members(&check, "top level", schema->root, words) < 0 ||
	    check_doc(&check, "top level", json_text(schema->root, "doc")) < 0 ||
	    check_section(&check, "limits", "limit", check_limit) < 0 ||
	    check_section(&check, "enums", "enum", check_enum) < 0 ||
	    check_section(&check, "structs", "struct", check_struct) < 0 ||
	    check_rows(&check, "methods") < 0 || check_rows(&check, "calls") < 0 ||
	    check_rows(&check, "notifications") < 0 || check_rows(&check, "keys") < 0)
		return err->code;
	return 0;
}
