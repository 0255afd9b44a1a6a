#include "proto/gen/schema.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

int schema_load(struct schema *out, const char *dir, const char *name, bool needed, struct err *err)
{
	struct buf path SCOPED(buf_deinit) = BUF_INIT(FILENAME_MAX);
	struct buf text SCOPED(buf_deinit) = BUF_INIT(SCHEMA_FILE_MAX);
	json_error_t error = { 0 };

	*out = (struct schema){ 0 };
	if (buf_printf(&path, err, "%s/%s.json", dir, name) < 0)
		return err->code;
	if (!needed && access(path.data, F_OK) < 0)
		return 0;
	if (buf_read_file(&text, path.data, err) < 0)
		return err->code;
	out->root = json_loadb(buf_str(&text), text.len, JSON_REJECT_DUPLICATES, &error);
	if (!out->root)
		return ERR_SET(err, ERR_INVALID, "%s:%d:%d: %s", path.data, error.line,
			       error.column, error.text);
	out->protocol = json_text(out->root, "protocol");
	if (!str_eq(out->protocol, name))
		return ERR_SET(err, ERR_INVALID, "%s: 'protocol' is '%s' and not '%s'", path.data,
			       out->protocol, name);
	return 0;
}

void schema_deinit(struct schema *schema)
{
	json_decref(schema->root);
	*schema = (struct schema){ 0 };
}

const char *json_text(json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

bool json_flag(json_t *object, const char *name)
{
	return json_is_true(json_object_get(object, name));
}

static bool find_named(struct ref *out, const struct schema *schema)
{
	for (; schema; schema = schema->common) {
		out->home = schema;
		if (json_object_get(json_object_get(schema->root, "enums"), out->word)) {
			out->kind = REF_ENUM;
			return true;
		}
		if (json_object_get(json_object_get(schema->root, "structs"), out->word)) {
			out->kind = REF_STRUCT;
			return true;
		}
	}
	out->home = NULL;
	return false;
}

void schema_resolve(struct ref *out, const struct schema *schema, const char *type)
{
	static const char *const scalars[REF_KIND_COUNT] = {
		[REF_STRING] = "string", [REF_PATH] = "path", [REF_ID] = "id",
		[REF_INT] = "int",       [REF_BOOL] = "bool", [REF_JSON] = "json",
	};
	size_t length = strlen(type);

	*out = (struct ref){ 0 };
	out->list = str_starts(type, "list<") && str_ends(type, ">");
	if (out->list) {
		type += strlen("list<");
		length -= strlen("list<>");
	}
	if (length >= sizeof out->word)
		return;
	memcpy(out->word, type, length);
	for (int i = 1; i < REF_KIND_COUNT; i++) {
		if (str_eq(scalars[i], out->word))
			out->kind = (enum ref_kind)i;
	}
	if (out->kind == REF_NONE)
		(void)find_named(out, schema);
}

bool schema_bound(const struct schema *schema, json_t *value, int64_t *out)
{
	const char *name = json_string_value(value);

	for (; name && schema; schema = schema->common) {
		json_t *limit = json_object_get(json_object_get(schema->root, "limits"), name);

		if (limit)
			return schema_bound(NULL, json_object_get(limit, "value"), out);
	}
	if (!json_is_integer(value))
		return false;
	*out = json_integer_value(value);
	return true;
}

const char *schema_stage(const char *word)
{
	static const struct {
		const char *word;
		const char *constant;
	} stages[] = {
		{ "any", "WIRE_STAGE_ANY" },
		{ "greeted", "WIRE_STAGE_GREETED" },
		{ "attached", "WIRE_STAGE_ATTACHED" },
	};

	for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
		if (str_eq(stages[i].word, word))
			return stages[i].constant;
	}
	return NULL;
}

/* What is not part of a name in C: "_agentd/", "$/", the underscore of "_meta". */
static const char *skip_prefix(const char *text)
{
	if (str_starts(text, "_agentd/"))
		text += strlen("_agentd/");
	while (*text && !isalnum((unsigned char)*text))
		text++;
	return text;
}

/* Upper or lower case with underscores; a capital inside a word starts a new one. */
static void name_make(char out[SCHEMA_NAME_MAX], const char *text, int (*letter)(int))
{
	size_t used = 0;
	bool low = false;

	for (text = skip_prefix(text); *text && used + 2 < SCHEMA_NAME_MAX; text++) {
		unsigned char byte = (unsigned char)*text;

		if (low && isupper(byte))
			out[used++] = '_';
		low = islower(byte);
		out[used++] = isalnum(byte) ? (char)letter(byte) : '_';
	}
	out[used] = '\0';
}

void name_lower(char out[SCHEMA_NAME_MAX], const char *text)
{
	name_make(out, text, tolower);
}

void name_upper(char out[SCHEMA_NAME_MAX], const char *text)
{
	/* Constant 0 of every enum is called NONE. */
	name_make(out, str_eq(text, "none") ? "nothing" : text, toupper);
}

const char *name_prefix(const struct schema *schema, char out[SCHEMA_NAME_MAX])
{
	out[0] = '\0';
	if (schema->common)
		(void)snprintf(out, SCHEMA_NAME_MAX, "%s_", schema->protocol);
	return out;
}

void name_full(char out[SCHEMA_NAME_MAX], const struct schema *schema, const char *text)
{
	char prefix[SCHEMA_NAME_MAX];
	char name[SCHEMA_NAME_MAX];

	name_lower(name, text);
	/* The checks refuse names that do not fit; "%.60s" lets the compiler see that these do. */
	(void)snprintf(out, SCHEMA_NAME_MAX, "%.60s%.60s", name_prefix(schema, prefix), name);
}

const char *field_wire(const char *name, json_t *field)
{
	const char *wire = json_string_value(json_object_get(field, "wire"));

	return wire ? wire : name;
}

bool field_shared(json_t *fields, const char *name)
{
	const char *wire = field_wire(name, json_object_get(fields, name));

	const char *other;
	json_t *field;

	json_object_foreach(fields, other, field) {
		if (!str_eq(other, name) && str_eq(field_wire(other, field), wire))
			return true;
	}
	return false;
}
