#include <inttypes.h>
#include <stdlib.h>

#include "proto/base/str.h"
#include "proto/gen/emit.h"
#include "proto/gen/out.h"
#include "proto/gen/schema.h"

/* "a, b" from ["a", "b"]; `none` when there is nothing. */
static void emit_joined(struct out *out, json_t *texts, const char *none)
{
	size_t i;
	json_t *text;

	if (json_array_size(texts) == 0)
		out_printf(out, "%s", none);
	json_array_foreach(texts, i, text)
		out_printf(out, "%s%s", i ? ", " : "", json_string_value(text));
}

static void emit_bound(struct out *out, const struct schema *schema, json_t *field,
		       const char *member, const char *label)
{
	int64_t value = 0;

	if (schema_bound(schema, json_object_get(field, member), &value))
		out_printf(out, " %s %" PRId64 ".", label, value);
}

/* What bounds mean depends on what is bounded. */
static void emit_field_bounds(struct out *out, const struct schema *schema, json_t *field)
{
	struct ref ref;
	bool text;

	schema_resolve(&ref, schema, json_text(field, "type"));
	text = ref.kind == REF_STRING;
	if (ref.list) {
		emit_bound(out, schema, field, "max", "Entries at most");
		emit_bound(out, schema, field, "min_each",
			   text ? "Bytes each at least" : "Each at least");
		emit_bound(out, schema, field, "max_each",
			   text ? "Bytes each at most" : "Each at most");
		return;
	}
	emit_bound(out, schema, field, "min", text ? "Bytes at least" : "At least");
	emit_bound(out, schema, field, "max", text ? "Bytes at most" : "At most");
}

static void emit_table(struct out *out, const struct schema *schema, json_t *fields)
{
	const char *name;
	json_t *field;

	out_printf(out, "| member | type | meaning |\n|---|---|---|\n");
	json_object_foreach(fields, name, field) {
		out_printf(out, "| `%s`%s | `%s` | %s", field_wire(name, field),
			   json_flag(field, "optional") ? "?" : "", json_text(field, "type"),
			   json_text(field, "doc"));
		emit_field_bounds(out, schema, field);
		out_printf(out, " |\n");
	}
	out_printf(out, "\n");
}

static void emit_method(struct out *out, const struct schema *schema, json_t *entry)
{
	json_t *params = json_object_get(entry, "params");
	json_t *result = json_object_get(entry, "result");
	bool incoming = json_object_get(entry, "roles") != NULL;

	out_printf(out, "### `%s`\n\n%s\n\n%s ", json_text(entry, "method"),
		   json_text(entry, "doc"), incoming ? "From:" : "To:");
	emit_joined(out, json_object_get(entry, incoming ? "roles" : "to"), "nobody");
	if (incoming)
		out_printf(out, ". Stage: %s", json_text(entry, "stage"));
	out_printf(out, ". Descriptors: ");
	emit_joined(out, json_object_get(entry, "fds"), "none");
	if (result) {
		out_printf(out, ". Errors: ");
		emit_joined(out, json_object_get(entry, "errors"), "none of its own");
	}
	out_printf(out, ".\n\n");
	if (json_object_size(params) > 0) {
		out_printf(out, "Parameters:\n\n");
		emit_table(out, schema, params);
	}
	if (json_object_size(result) > 0) {
		out_printf(out, "Result:\n\n");
		emit_table(out, schema, result);
	}
}

static void emit_methods(struct out *out, const struct schema *schema, const char *section,
			 const char *title)
{
	json_t *rows = json_object_get(schema->root, section);
	size_t i;
	json_t *row;

	if (json_array_size(rows) == 0)
		return;
	out_printf(out, "## %s\n\n", title);
	json_array_foreach(rows, i, row)
		emit_method(out, schema, row);
}

static void emit_enums(struct out *out, const struct schema *schema)
{
	const char *name;
	const char *word;
	json_t *entry;
	json_t *doc;

	json_object_foreach(json_object_get(schema->root, "enums"), name, entry) {
		out_printf(out, "### `%s`\n\n%s\n\n| word | meaning |\n|---|---|\n", name,
			   json_text(entry, "doc"));
		json_object_foreach(json_object_get(entry, "values"), word, doc)
			out_printf(out, "| `%s` | %s |\n", word, json_string_value(doc));
		out_printf(out, "\n");
	}
}

static void emit_limits(struct out *out, const struct schema *schema)
{
	json_t *limits = json_object_get(schema->root, "limits");
	const char *name;
	json_t *entry;

	if (json_object_size(limits) == 0)
		return;
	out_printf(out, "## Limits\n\n| name | value | unit | meaning |\n|---|---|---|---|\n");
	json_object_foreach(limits, name, entry)
		out_printf(out, "| `%s` | %" PRId64 " | %s | %s |\n", name,
			   (int64_t)json_integer_value(json_object_get(entry, "value")),
			   json_text(entry, "unit"), json_text(entry, "doc"));
	out_printf(out, "\n");
}

static void emit_head(struct out *out, const struct schema *schema)
{
	out_printf(out, "<!-- Made by protogen from proto/schema/%s.json; change that. -->\n",
		   schema->protocol);
	out_printf(out, "# %s\n\n%s\n\n", schema->protocol, json_text(schema->root, "doc"));
}

void emit_page(struct out *out, const struct schema *schema)
{
	const char *name;
	json_t *entry;

	emit_head(out, schema);
	out_printf(out, "A question mark behind a member means that it may be absent. Types: "
			"`string`, `path` "
			"(absolute), `id` (letters, digits, `-` and `_`), `int`, `bool`, `json` "
			"(anything), "
			"`list<...>`, and the words and structs below.\n\n");
	emit_limits(out, schema);
	emit_methods(out, schema, "methods", "Methods");
	emit_methods(out, schema, "calls", "Calls of the server");
	emit_methods(out, schema, "notifications", "Notifications of the server");
	out_printf(out, "## Structs\n\n");
	json_object_foreach(json_object_get(schema->root, "structs"), name, entry) {
		out_printf(out, "### `%s`\n\n%s\n\n", name, json_text(entry, "doc"));
		emit_table(out, schema, json_object_get(entry, "fields"));
	}
	out_printf(out, "## Words\n\n");
	emit_enums(out, schema->common);
	emit_enums(out, schema);
	buf_cut(&out->text, out->text.len ? out->text.len - 1 : 0); /* one newline ends the page */
}

static void emit_key_type(struct out *out, const struct schema *schema, json_t *entry)
{
	const char *type = json_text(entry, "type");
	json_t *words = json_object_get(entry, "words");
	const char *word;
	json_t *item;
	struct ref ref;
	size_t i;

	schema_resolve(&ref, schema, type);
	if (ref.kind == REF_ENUM) {
		json_t *values = json_object_get(
			json_object_get(json_object_get(ref.home->root, "enums"), ref.word),
			"values");

		json_object_foreach(values, word, item)
			out_printf(out, "`%s` ", word);
		return;
	}
	json_array_foreach(words, i, item)
		out_printf(out, "`%s` ", json_string_value(item));
	if (!words)
		out_printf(out, "%s ", type);
}

void emit_config_page(struct out *out, const struct schema *schema)
{
	json_t *entry;
	size_t i;

	emit_head(out, schema);
	out_printf(out, "| key | type | default | meaning |\n|---|---|---|---|\n");
	json_array_foreach(json_object_get(schema->root, "keys"), i, entry) {
		json_t *other = json_object_get(entry, "default");
		char *text SCOPED(str_free) =
			other ? json_dumps(other, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

		out_printf(out, "| `%s` | ", json_text(entry, "name"));
		emit_key_type(out, schema, entry);
		out_printf(out, "| ");
		if (text)
			out_printf(out, "`%s` ", text);
		out_printf(out, "| %s%s |\n", json_flag(entry, "inert") ? "No effect. " : "",
			   json_text(entry, "doc"));
	}
}

/* JSON Schema. Builders give a new reference or NULL, which json_object_set_new() then refuses. */

static void put(struct out *out, json_t *object, const char *name, json_t *value)
{
	if (json_object_set_new(object, name, value) < 0)
		out->rc = ERR_NOMEM_SET(&out->err);
}

static json_t *schema_ref(const struct ref *ref)
{
	return json_sprintf("#/$defs/%s", ref->word);
}

static void put_bound(struct out *out, const struct schema *schema, json_t *object,
		      const char *name, json_t *value)
{
	int64_t number;

	if (schema_bound(schema, value, &number))
		put(out, object, name, json_integer(number));
}

static json_t *schema_value(struct out *out, const struct schema *schema, json_t *field,
			    const struct ref *ref)
{
	static const char *const types[REF_KIND_COUNT] = {
		[REF_STRING] = "string", [REF_PATH] = "string",  [REF_ID] = "string",
		[REF_INT] = "integer",   [REF_BOOL] = "boolean",
	};
	json_t *object = json_object();
	json_t *min = json_object_get(field, ref->list ? "min_each" : "min");
	json_t *max = json_object_get(field, ref->list ? "max_each" : "max");

	if (ref->home)
		put(out, object, "$ref", schema_ref(ref));
	if (types[ref->kind])
		put(out, object, "type", json_string(types[ref->kind]));
	if (ref->kind == REF_PATH)
		put(out, object, "pattern", json_string("^/"));
	if (ref->kind == REF_ID)
		put(out, object, "pattern", json_string("^[A-Za-z0-9_-]+$"));
	put_bound(out, schema, object, ref->kind == REF_INT ? "minimum" : "minLength", min);
	put_bound(out, schema, object, ref->kind == REF_INT ? "maximum" : "maxLength", max);
	return object;
}

static json_t *schema_field(struct out *out, const struct schema *schema, json_t *field)
{
	json_t *object;
	json_t *items;
	struct ref ref;

	schema_resolve(&ref, schema, json_text(field, "type"));
	items = schema_value(out, schema, field, &ref);
	object = items;
	if (ref.list) {
		object = json_object();
		put(out, object, "type", json_string("array"));
		put(out, object, "items", items);
		put_bound(out, schema, object, "maxItems", json_object_get(field, "max"));
	}
	put(out, object, "description", json_string(json_text(field, "doc")));
	return object;
}

/* The two meanings of a shared name become alternatives. */
static void put_property(struct out *out, json_t *properties, const char *wire, json_t *value)
{
	json_t *other = json_object_get(properties, wire);

	if (other)
		value = json_pack("{s:[O,o]}", "anyOf", other, value);
	put(out, properties, wire, value);
}

static json_t *schema_struct(struct out *out, const struct schema *schema, json_t *fields,
			     const char *doc)
{
	json_t *object = json_object();
	json_t *properties = json_object();
	json_t *required = json_array();
	const char *name;
	json_t *field;

	put(out, object, "type", json_string("object"));
	put(out, object, "description", json_string(doc));
	json_object_foreach(fields, name, field) {
		const char *wire = field_wire(name, field);

		put_property(out, properties, wire, schema_field(out, schema, field));
		if (!json_flag(field, "optional") &&
		    json_array_append_new(required, json_string(wire)) < 0)
			out->rc = ERR_NOMEM_SET(&out->err);
	}
	put(out, object, "properties", properties);
	put(out, object, "required", required);
	/* The agent's socket ignores what it does not know, the broker's refuses it. */
	put(out, object, "additionalProperties", json_boolean(str_eq(schema->protocol, "agent")));
	return object;
}

static void put_enums(struct out *out, json_t *defs, const struct schema *schema)
{
	const char *name;
	const char *word;
	json_t *entry;
	json_t *doc;

	json_object_foreach(json_object_get(schema->root, "enums"), name, entry) {
		json_t *words = json_array();

		json_object_foreach(json_object_get(entry, "values"), word, doc) {
			if (json_array_append_new(words, json_string(word)) < 0)
				out->rc = ERR_NOMEM_SET(&out->err);
		}
		put(out, defs, name,
		    json_pack("{s:s, s:o}", "description", json_text(entry, "doc"), "enum", words));
	}
}

static void put_methods(struct out *out, json_t *defs, const struct schema *schema)
{
	static const char *const sections[] = { "methods", "calls", "notifications" };
	json_t *row;
	size_t at;

	for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
		json_array_foreach(json_object_get(schema->root, sections[i]), at, row) {
			struct buf name SCOPED(buf_deinit) = BUF_INIT(SCHEMA_NAME_MAX + 16);
			json_t *result = json_object_get(row, "result");

			put(out, defs, json_text(row, "method"),
			    schema_struct(out, schema, json_object_get(row, "params"),
					  json_text(row, "doc")));
			if (!result)
				continue;
			if (buf_printf(&name, &out->err, "%s result", json_text(row, "method")) < 0)
				out->rc = out->err.code;
			else
				put(out, defs, name.data,
				    schema_struct(out, schema, result, "The answer."));
		}
	}
}

void emit_json_schema(struct out *out, const struct schema *schema)
{
	json_auto_t *root = json_object();
	json_t *defs = json_object();
	const char *name;
	json_t *entry;
	char *text SCOPED(str_free) = NULL;

	put(out, root, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
	put(out, root, "$comment",
	    json_sprintf("Made by protogen from proto/schema/%s.json; change that.",
			 schema->protocol));
	put(out, root, "description", json_string(json_text(schema->root, "doc")));
	put_enums(out, defs, schema->common);
	put_enums(out, defs, schema);
	json_object_foreach(json_object_get(schema->root, "structs"), name, entry)
		put(out, defs, name,
		    schema_struct(out, schema, json_object_get(entry, "fields"),
				  json_text(entry, "doc")));
	put_methods(out, defs, schema);
	put(out, root, "$defs", defs);
	text = json_dumps(root, JSON_INDENT(1));
	if (text)
		out_printf(out, "%s\n", text);
	else
		out->rc = ERR_NOMEM_SET(&out->err);
}
