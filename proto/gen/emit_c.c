#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/str.h"
#include "proto/gen/emit.h"
#include "proto/gen/out.h"
#include "proto/gen/schema.h"

/* Called for each struct of a schema, those of methods included, in the order of the file. */
struct visit {
	struct out *out;
	const struct schema *schema;
	void (*run)(const struct visit *visit, const char *name, const char *root, json_t *fields,
		    const char *doc);
};

static const char *const sections[] = { "methods", "calls", "notifications" };

static void each_struct(const struct visit *visit)
{
	const char *name;
	json_t *entry;
	size_t row;

	json_object_foreach(json_object_get(visit->schema->root, "structs"), name, entry) {
		char lower[SCHEMA_NAME_MAX];

		name_full(lower, visit->schema, name);
		visit->run(visit, lower, name, json_object_get(entry, "fields"),
			   json_text(entry, "doc"));
	}
	for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
		json_array_foreach(json_object_get(visit->schema->root, sections[i]), row, entry) {
			char lower[SCHEMA_NAME_MAX];
			char result[SCHEMA_NAME_MAX + 8];
			json_t *answer = json_object_get(entry, "result");

			name_full(lower, visit->schema, json_text(entry, "method"));
			(void)snprintf(result, sizeof result, "%s_result", lower);
			visit->run(visit, lower, "params", json_object_get(entry, "params"),
				   json_text(entry, "doc"));
			if (answer)
				visit->run(visit, result, "result", answer, "");
		}
	}
}

/* Header. */

static void emit_limits(struct out *out, const struct schema *schema)
{
	const char *name;
	json_t *entry;

	json_object_foreach(json_object_get(schema->root, "limits"), name, entry) {
		char text[512];

		(void)snprintf(text, sizeof text, "%s: %s", json_text(entry, "unit"),
			       json_text(entry, "doc"));
		out_comment(out, 0, text);
		out_printf(out, "#define %s %" PRId64 "\n", name,
			   (int64_t)json_integer_value(json_object_get(entry, "value")));
	}
	out_printf(out, "\n");
}

static void emit_enum(struct out *out, const struct schema *schema, const char *name, json_t *entry)
{
	char lower[SCHEMA_NAME_MAX];
	char upper[SCHEMA_NAME_MAX];
	const char *word;
	json_t *doc;

	name_full(lower, schema, name);
	name_upper(upper, lower);
	out_comment(out, 0, json_text(entry, "doc"));
	out_printf(out, "enum %s {\n\t%s_NONE, /* absent */\n", lower, upper);
	json_object_foreach(json_object_get(entry, "values"), word, doc) {
		char constant[SCHEMA_NAME_MAX];

		name_upper(constant, word);
		out_comment(out, 1, json_string_value(doc));
		out_printf(out, "\t%s_%s,\n", upper, constant);
	}
	out_printf(out, "\t%s_COUNT\n};\nextern const struct names %s_names;\n\n", upper, lower);
}

static void emit_method_enum(struct out *out, const struct schema *schema)
{
	char prefix[SCHEMA_NAME_MAX];
	char upper[SCHEMA_NAME_MAX];
	json_t *entry;
	size_t row;

	(void)name_prefix(schema, prefix);
	name_upper(upper, prefix);
	out_printf(out, "/* The rows of %smethods. */\nenum %smethod {\n\t%sMETHOD_NONE,\n", prefix,
		   prefix, upper);
	for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
		json_array_foreach(json_object_get(schema->root, sections[i]), row, entry) {
			char name[SCHEMA_NAME_MAX];

			name_upper(name, json_text(entry, "method"));
			out_printf(out, "\t%sMETHOD_%s, /* %s */\n", upper, name,
				   json_text(entry, "method"));
		}
	}
	out_printf(out, "\t%sMETHOD_COUNT\n};\n", upper);
	out_printf(out, "extern const struct wire_method %smethods[%sMETHOD_COUNT];\n\n", prefix,
		   upper);
}

/* A server's table of handlers is made with it, so that none can be forgotten. */
static void emit_method_list(struct out *out, const struct schema *schema)
{
	char prefix[SCHEMA_NAME_MAX];
	char upper[SCHEMA_NAME_MAX];
	json_t *entry;
	size_t row;

	name_upper(upper, name_prefix(schema, prefix));
	out_printf(out, "/* X(NAME, name) for each method to the server. */\n#define %sMETHODS(X)",
		   upper);
	json_array_foreach(json_object_get(schema->root, "methods"), row, entry) {
		char lower[SCHEMA_NAME_MAX];
		char name[SCHEMA_NAME_MAX];

		name_full(lower, schema, json_text(entry, "method"));
		name_upper(name, json_text(entry, "method"));
		out_printf(out, " \\\n\tX(%s, %s)", name, lower + strlen(prefix));
	}
	out_printf(out, "\n\n");
}

static void emit_forward(const struct visit *visit, const char *name, const char *root,
			 json_t *fields, const char *doc)
{
	(void)root;
	(void)fields;
	(void)doc;
	out_printf(visit->out, "struct %s;\n", name);
}

static void emit_member(struct out *out, const char *member, const struct ref *ref, bool optional)
{
	char target[SCHEMA_NAME_MAX];
	const char *kinds[REF_KIND_COUNT] = {
		[REF_STRING] = "const char *", [REF_PATH] = "const char *",
		[REF_ID] = "const char *",     [REF_INT] = "int64_t ",
		[REF_BOOL] = "bool ",          [REF_JSON] = "json_t *",
	};

	if (ref->home)
		name_full(target, ref->home, ref->word);
	if (ref->kind == REF_STRUCT)
		out_printf(out, "\tconst struct %s *%s;\n", target, member);
	if (ref->kind == REF_STRUCT && ref->list)
		out_printf(out, "\tsize_t %s_count;\n", member);
	if (ref->kind == REF_ENUM)
		out_printf(out, "\tenum %s %s;\n", target, member);
	if (ref->home)
		return;
	if (ref->list) {
		out_printf(out, "\tstruct wire_strings %s;\n", member);
		return;
	}
	if (optional && (ref->kind == REF_INT || ref->kind == REF_BOOL))
		out_printf(out, "\tbool has_%s;\n", member);
	out_printf(out, "\t%s%s;\n", kinds[ref->kind], member);
}

static void emit_struct(const struct visit *visit, const char *name, const char *root,
			json_t *fields, const char *doc)
{
	const char *wire;
	json_t *field;

	(void)root;
	if (doc[0])
		out_comment(visit->out, 0, doc);
	out_printf(visit->out, "struct %s {\n", name);
	if (json_object_size(fields) == 0)
		out_printf(visit->out, "\tchar nothing; /* no members on the wire */\n");
	json_object_foreach(fields, wire, field) {
		char member[SCHEMA_NAME_MAX];
		char text[4096];
		struct ref ref;

		name_lower(member, wire);
		schema_resolve(&ref, visit->schema, json_text(field, "type"));
		(void)snprintf(text, sizeof text, "%s%s",
			       json_flag(field, "optional") ? "Optional. " : "",
			       json_text(field, "doc"));
		out_comment(visit->out, 1, text);
		emit_member(visit->out, member, &ref, json_flag(field, "optional"));
	}
	out_printf(visit->out, "};\nextern const struct type %s_type;\n\n", name);
}

void emit_header(struct out *out, const struct schema *schema)
{
	struct visit visit = { .out = out, .schema = schema, .run = emit_forward };
	const char *name;
	json_t *entry;

	out_printf(
		out,
		"/*\n * %s_gen.h - made by protogen from proto/schema/%s.json; change that.\n */\n",
		schema->protocol, schema->protocol);
	out_printf(out,
		   "#pragma once\n\n#include <jansson.h>\n#include <stdbool.h>\n"
		   "#include <stddef.h>\n#include <stdint.h>\n\n#include \"proto/wire/codec.h\"\n");
	if (schema->common)
		out_printf(out, "#include \"proto/wire/common_gen.h\"\n");
	out_printf(out, "#include \"proto/wire/method.h\"\n#include \"proto/wire/names.h\"\n\n");
	emit_limits(out, schema);
	json_object_foreach(json_object_get(schema->root, "enums"), name, entry)
		emit_enum(out, schema, name, entry);
	if (schema->common) {
		emit_method_enum(out, schema);
		emit_method_list(out, schema);
	}
	each_struct(&visit);
	out_printf(out, "\n");
	visit.run = emit_struct;
	each_struct(&visit);
	out_printf(out, "/* Every type of this protocol. */\n");
	out_printf(out, "extern const struct type *const %s_types[];\n", schema->protocol);
	out_printf(out, "extern const size_t %s_type_count;\n", schema->protocol);
}

/* Source. */

static void emit_names(struct out *out, const struct schema *schema, const char *name,
		       json_t *entry)
{
	char lower[SCHEMA_NAME_MAX];
	char upper[SCHEMA_NAME_MAX];
	const char *word;
	json_t *doc;

	name_full(lower, schema, name);
	name_upper(upper, lower);
	out_printf(out, "static const char *const %s_words[] = {\n\tNULL,\n", lower);
	json_object_foreach(json_object_get(entry, "values"), word, doc)
		out_printf(out, "\t\"%s\",\n", word);
	out_printf(out, "};\nconst struct names %s_names = { %s_words, %s_COUNT };\n\n", lower,
		   lower, upper);
}

static int64_t bound(const struct schema *schema, json_t *field, const char *name, int64_t other)
{
	int64_t value = other;

	(void)schema_bound(schema, json_object_get(field, name), &value);
	return value;
}

/* The bounds of each value, and the entries of a list. */
static void emit_bounds(struct out *out, const struct schema *schema, json_t *field,
			const struct ref *ref)
{
	const char *min = ref->list ? "min_each" : "min";
	const char *max = ref->list ? "max_each" : "max";

	if (ref->kind == REF_PATH)
		out_printf(out, ", .min = 1, .max = WIRE_PATH_MAX");
	if (ref->kind == REF_ID)
		out_printf(out, ", .min = 1, .max = WIRE_ID_MAX");
	if (ref->kind == REF_STRING)
		out_printf(out, ", .min = %" PRId64 ", .max = %" PRId64,
			   bound(schema, field, min, 0), bound(schema, field, max, 0));
	if (ref->kind == REF_INT && json_object_get(field, min))
		out_printf(out, ", .min = %" PRId64, bound(schema, field, min, 0));
	else if (ref->kind == REF_INT)
		out_printf(out, ", .min = INT64_MIN");
	if (ref->kind == REF_INT && json_object_get(field, max))
		out_printf(out, ", .max = %" PRId64, bound(schema, field, max, 0));
	else if (ref->kind == REF_INT)
		out_printf(out, ", .max = INT64_MAX");
	if (ref->list)
		out_printf(out, ", .max_count = %" PRId64, bound(schema, field, "max", 0));
}

static void emit_offsets(struct out *out, const char *name, const char *member,
			 const struct ref *ref, bool optional)
{
	bool scalars = ref->list && ref->kind != REF_STRUCT;

	out_printf(out, ", .offset = offsetof(struct %s, %s%s)", name, member,
		   scalars ? ".items" : "");
	if (ref->list)
		out_printf(out, ", .mark = offsetof(struct %s, %s%s)", name, member,
			   scalars ? ".count" : "_count");
	else if (optional && (ref->kind == REF_INT || ref->kind == REF_BOOL))
		out_printf(out, ", .mark = offsetof(struct %s, has_%s)", name, member);
}

static void emit_flags(struct out *out, json_t *fields, const char *name, const struct ref *ref)
{
	out_printf(out, ", .flags = 0U");
	if (json_flag(json_object_get(fields, name), "optional"))
		out_printf(out, " | WIRE_OPTIONAL");
	if (ref->list)
		out_printf(out, " | WIRE_LIST");
	if (field_shared(fields, name))
		out_printf(out, " | WIRE_SHARED");
}

static void emit_field(const struct visit *visit, const char *name, json_t *fields,
		       const char *wire)
{
	static const char *const kinds[REF_KIND_COUNT] = {
		"WIRE_NONE", "WIRE_STRING", "WIRE_PATH", "WIRE_ID",     "WIRE_INT",
		"WIRE_BOOL", "WIRE_JSON",   "WIRE_ENUM", "WIRE_STRUCT",
	};
	json_t *field = json_object_get(fields, wire);
	char member[SCHEMA_NAME_MAX];
	char target[SCHEMA_NAME_MAX];
	struct ref ref;

	name_lower(member, wire);
	schema_resolve(&ref, visit->schema, json_text(field, "type"));
	out_printf(visit->out, "\t{ .name = \"%s\", .kind = %s", field_wire(wire, field),
		   kinds[ref.kind]);
	emit_flags(visit->out, fields, wire, &ref);
	emit_offsets(visit->out, name, member, &ref, json_flag(field, "optional"));
	emit_bounds(visit->out, visit->schema, field, &ref);
	if (ref.home) {
		name_full(target, ref.home, ref.word);
		out_printf(visit->out,
			   ref.kind == REF_ENUM ? ", .names = &%s_names" : ", .type = &%s_type",
			   target);
	}
	out_printf(visit->out, " },\n");
}

static void emit_type(const struct visit *visit, const char *name, const char *root, json_t *fields,
		      const char *doc)
{
	const char *wire;
	json_t *field;
	size_t count = json_object_size(fields);

	(void)doc;
	if (count > 0) {
		out_printf(visit->out, "static const struct field %s_fields[] = {\n", name);
		json_object_foreach(fields, wire, field)
			emit_field(visit, name, fields, wire);
		out_printf(visit->out, "};\n");
	}
	out_printf(visit->out,
		   "const struct type %s_type = {\n\t.name = \"%s\",\n\t.root = \"%s\",\n", name,
		   name, root);
	out_printf(visit->out, "\t.size = sizeof(struct %s),\n", name);
	if (count > 0)
		out_printf(visit->out, "\t.fields = %s_fields,\n\t.field_count = %zu,\n", name,
			   count);
	out_printf(visit->out, "};\n\n");
}

static void emit_type_row(const struct visit *visit, const char *name, const char *root,
			  json_t *fields, const char *doc)
{
	(void)root;
	(void)fields;
	(void)doc;
	out_printf(visit->out, "\t&%s_type,\n", name);
}

static void emit_roles(struct out *out, const struct schema *schema, const char *member,
		       json_t *roles)
{
	char prefix[SCHEMA_NAME_MAX];
	char upper[SCHEMA_NAME_MAX];
	size_t i;
	json_t *role;

	if (json_array_size(roles) == 0)
		return;
	name_upper(upper, name_prefix(schema, prefix));
	out_printf(out, ", .%s = ", member);
	json_array_foreach(roles, i, role) {
		char word[SCHEMA_NAME_MAX];

		name_upper(word, json_string_value(role));
		out_printf(out, "%s1U << %sROLE_%s", i ? " | " : "", upper, word);
	}
}

static void emit_method(struct out *out, const struct schema *schema, const char *section,
			json_t *entry)
{
	const char *stage = schema_stage(json_text(entry, "stage"));
	json_t *fds = json_object_get(entry, "fds");
	char lower[SCHEMA_NAME_MAX];
	char prefix[SCHEMA_NAME_MAX];
	char upper[SCHEMA_NAME_MAX];
	char name[SCHEMA_NAME_MAX];
	size_t needed = 0;
	size_t i;
	json_t *fd;

	name_full(lower, schema, json_text(entry, "method"));
	name_upper(upper, name_prefix(schema, prefix));
	name_upper(name, json_text(entry, "method"));
	json_array_foreach(fds, i, fd)
		needed += str_ends(json_string_value(fd), "?") ? 0 : 1;
	out_printf(out, "\t[%sMETHOD_%s] = { .name = \"%s\"", upper, name,
		   json_text(entry, "method"));
	if (stage)
		out_printf(out, ", .stage = %s", stage);
	emit_roles(out, schema, "roles", json_object_get(entry, "roles"));
	emit_roles(out, schema, "to", json_object_get(entry, "to"));
	if (str_eq(section, "notifications") || json_flag(entry, "notification"))
		out_printf(out, ", .notification = true");
	if (json_array_size(fds) > 0)
		out_printf(out, ", .fds_min = %zu, .fds_max = %zu", needed, json_array_size(fds));
	out_printf(out, ", .params = &%s_type", lower);
	if (json_object_get(entry, "result"))
		out_printf(out, ", .result = &%s_result_type", lower);
	out_printf(out, " },\n");
}

void emit_source(struct out *out, const struct schema *schema)
{
	struct visit visit = { .out = out, .schema = schema, .run = emit_type };
	char prefix[SCHEMA_NAME_MAX];
	const char *name;
	json_t *entry;
	size_t row;

	out_printf(out, "/* Made by protogen from proto/schema/%s.json; change that. */\n",
		   schema->protocol);
	out_printf(out, "#include \"proto/base/attr.h\"\n#include \"proto/wire/%s_gen.h\"\n\n",
		   schema->protocol);
	json_object_foreach(json_object_get(schema->root, "enums"), name, entry)
		emit_names(out, schema, name, entry);
	each_struct(&visit);
	out_printf(out, "const struct type *const %s_types[] = {\n", schema->protocol);
	visit.run = emit_type_row;
	each_struct(&visit);
	out_printf(out, "};\nconst size_t %s_type_count = ARRAY_LEN(%s_types);\n\n",
		   schema->protocol, schema->protocol);
	if (!schema->common)
		return;
	out_printf(out, "const struct wire_method %smethods[] = {\n", name_prefix(schema, prefix));
	for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
		json_array_foreach(json_object_get(schema->root, sections[i]), row, entry)
			emit_method(out, schema, sections[i], entry);
	}
	out_printf(out, "};\n");
}

/* Settings. */

static const char *config_type(const char *type)
{
	static const struct {
		const char *word;
		const char *constant;
	} types[] = {
		{ "string", "CONF_STRING" },   { "path", "CONF_PATH" },
		{ "bool", "CONF_BOOL" },       { "int", "CONF_INT" },
		{ "strings", "CONF_STRINGS" }, { "paths", "CONF_PATHS" },
		{ "map", "CONF_MAP" },
	};

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (str_eq(types[i].word, type))
			return types[i].constant;
	}
	return "CONF_ENUM"; /* with its own words or those of an enum of the common schema */
}

static void emit_words(struct out *out, const struct schema *schema, size_t row, json_t *entry)
{
	struct ref ref;
	const char *word;
	json_t *item;
	size_t i;

	schema_resolve(&ref, schema, json_text(entry, "type"));
	if (ref.kind != REF_ENUM && !json_object_get(entry, "words"))
		return;
	out_printf(out, "static const char *const words_%zu[] = {", row);
	json_array_foreach(json_object_get(entry, "words"), i, item)
		out_printf(out, " \"%s\",", json_string_value(item));
	if (ref.kind == REF_ENUM) {
		json_t *values = json_object_get(
			json_object_get(json_object_get(ref.home->root, "enums"), ref.word),
			"values");

		json_object_foreach(values, word, item)
			out_printf(out, " \"%s\",", word);
	}
	out_printf(out, " };\n");
}

static void emit_key(struct out *out, size_t row, json_t *entry)
{
	const char *type = config_type(json_text(entry, "type"));
	json_t *other = json_object_get(entry, "default");

	out_printf(out, "\t{ .name = \"%s\", .type = %s", json_text(entry, "name"), type);
	if (json_flag(entry, "inert"))
		out_printf(out, ", .inert = true");
	if (str_eq(type, "CONF_ENUM"))
		out_printf(out, ", .words = words_%zu, .word_count = ARRAY_LEN(words_%zu)", row,
			   row);
	out_printf(out, ", .min = %" PRId64 ", .max = %" PRId64 ",\n\t  ",
		   (int64_t)json_integer_value(json_object_get(entry, "min")),
		   (int64_t)json_integer_value(json_object_get(entry, "max")));
	if (json_is_boolean(other) || json_is_integer(other)) {
		out_printf(out, ".fallback_number = %" PRId64 ",\n\t  ",
			   json_is_boolean(other) ? (int64_t)json_is_true(other)
						  : (int64_t)json_integer_value(other));
	} else if (other) {
		char *text SCOPED(str_free) = json_is_string(other)
						      ? str_dup(json_string_value(other))
						      : json_dumps(other, JSON_COMPACT);

		out_printf(out, ".fallback = ");
		out_literal(out, text ? text : "");
		out_printf(out, ",\n\t  ");
	}
	out_printf(out, ".doc = ");
	out_literal(out, json_text(entry, "doc"));
	out_printf(out, " },\n");
}

void emit_config(struct out *out, const struct schema *schema)
{
	json_t *keys = json_object_get(schema->root, "keys");
	json_t *entry;
	size_t row;

	out_printf(out, "/* Made by protogen from proto/schema/%s.json; change that. */\n",
		   schema->protocol);
	out_printf(out, "#include \"proto/base/attr.h\"\n#include \"proto/conf/key.h\"\n\n");
	json_array_foreach(keys, row, entry)
		emit_words(out, schema, row, entry);
	out_printf(out, "\nconst struct conf_key conf_keys[] = {\n");
	json_array_foreach(keys, row, entry)
		emit_key(out, row, entry);
	out_printf(out, "};\nconst size_t conf_key_count = ARRAY_LEN(conf_keys);\n");
}
