#include "proto/wire/codec.h"

#include <inttypes.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/json.h"

#define ID_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

/* One call of the interpreter. */
struct walk {
	struct arena *arena;
	struct err err;
	enum codec_mode mode;
	int depth; /* structs around the value at hand */
};

/* A value as it lies in a struct; which member counts follows from the kind. */
union slot {
	int64_t number;
	bool on;
	int word;
	void *pointer;
	const char *text;
};

static size_t slot_size(const struct field *field)
{
	if (field->kind == WIRE_INT)
		return sizeof(int64_t);
	if (field->kind == WIRE_BOOL)
		return sizeof(bool);
	return field->kind == WIRE_ENUM ? sizeof(int) : sizeof(void *);
}

static size_t entry_size(const struct field *field)
{
	return field->kind == WIRE_STRUCT ? field->type->size : slot_size(field);
}

/* Whether an optional value of this kind has a bool has_x beside it. */
static bool is_marked(const struct field *field)
{
	return (field->flags & WIRE_OPTIONAL) && !(field->flags & WIRE_LIST) &&
	       (field->kind == WIRE_INT || field->kind == WIRE_BOOL);
}

/*
 * Decoding. The first to notice a failure writes ": what is wrong"; on the way out each level puts
 * its part of the place in front: "[3]", ".argv", "params".
 */

static int decode_struct(struct walk *walk, const struct type *type, const json_t *value,
			 void *out);

static void *take(struct walk *walk, size_t size)
{
	void *memory = arena_alloc(walk->arena, size, &walk->err);

	if (!memory)
		(void)ERR_SET(&walk->err, walk->err.code, ": %s", walk->err.text);
	return memory;
}

static int decode_text(struct walk *walk, const struct field *field, const json_t *value,
		       union slot *out)
{
	const char *text = json_string_value(value);
	size_t len = json_string_length(value);

	if (!text || field->kind == WIRE_NONE)
		return ERR_SET(&walk->err, ERR_INVALID, ": expected a string");
	if (len > (uint64_t)field->max)
		return ERR_SET(&walk->err, ERR_LIMIT, ": more than %" PRId64 " bytes", field->max);
	if (len < (uint64_t)field->min)
		return ERR_SET(&walk->err, ERR_LIMIT, ": less than %" PRId64 " bytes", field->min);
	if (memchr(text, '\0', len))
		return ERR_SET(&walk->err, ERR_INVALID, ": holds a NUL character");
	if (!str_is_utf8(text, len))
		return ERR_SET(&walk->err, ERR_INVALID, ": not well-formed UTF-8");
	if (field->kind == WIRE_PATH && text[0] != '/')
		return ERR_SET(&walk->err, ERR_INVALID, ": not an absolute path");
	if (field->kind == WIRE_ID && text[strspn(text, ID_LETTERS)] != '\0')
		return ERR_SET(&walk->err, ERR_INVALID, ": not an id");
	out->text = text;
	return 0;
}

static int decode_int(struct walk *walk, const struct field *field, const json_t *value,
		      union slot *out)
{
	out->number = json_integer_value(value);
	if (!json_is_integer(value))
		return ERR_SET(&walk->err, ERR_INVALID, ": expected a whole number");
	if (out->number < field->min || out->number > field->max)
		return ERR_SET(&walk->err, ERR_LIMIT,
			       ": %" PRId64 " is not between %" PRId64 " and %" PRId64, out->number,
			       field->min, field->max);
	return 0;
}

static int decode_enum(struct walk *walk, const struct field *field, const json_t *value,
		       union slot *out)
{
	const char *text = json_string_value(value);

	out->word = names_find(field->names, text);
	/* strlen() differs when a NUL hides the rest of the word. */
	if (out->word == 0 || strlen(text) != json_string_length(value))
		return ERR_SET(&walk->err, ERR_INVALID, ": unknown word '%.64s'", text ? text : "");
	return 0;
}

static int decode_value(struct walk *walk, const struct field *field, json_t *value, void *out)
{
	union slot slot = { 0 };
	int rc = 0;

	if (field->kind == WIRE_INT) {
		rc = decode_int(walk, field, value, &slot);
	} else if (field->kind == WIRE_ENUM) {
		rc = decode_enum(walk, field, value, &slot);
	} else if (field->kind == WIRE_BOOL) {
		slot.on = json_is_true(value);
		if (!json_is_boolean(value))
			rc = ERR_SET(&walk->err, ERR_INVALID, ": expected true or false");
	} else if (field->kind == WIRE_STRUCT) {
		slot.pointer = take(walk, field->type->size);
		rc = slot.pointer ? decode_struct(walk, field->type, value, slot.pointer)
				  : (int)walk->err.code;
	} else if (field->kind == WIRE_JSON) {
		slot.pointer = value;
	} else {
		rc = decode_text(walk, field, value, &slot);
	}
	if (rc == 0)
		memcpy(out, &slot, slot_size(field));
	return rc;
}

static int decode_list(struct walk *walk, const struct field *field, const json_t *value, char *out)
{
	size_t count = json_array_size(value);
	size_t size = entry_size(field);
	char *items;

	if (!json_is_array(value))
		return ERR_SET(&walk->err, ERR_INVALID, ": expected a list");
	if (count > field->max_count)
		return ERR_SET(&walk->err, ERR_LIMIT, ": more than %zu entries", field->max_count);
	items = take(walk, (count + 1) * size);
	if (!items)
		return walk->err.code;
	for (size_t i = 0; i < count; i++) {
		json_t *item = json_array_get(value, i);
		int rc = field->kind == WIRE_STRUCT
				 ? decode_struct(walk, field->type, item, items + i * size)
				 : decode_value(walk, field, item, items + i * size);

		if (rc < 0)
			return ERR_SET(&walk->err, walk->err.code, "[%zu]%s", i, walk->err.text);
	}
	memcpy(out + field->offset, &items, sizeof items);
	memcpy(out + field->mark, &count, sizeof count);
	return 0;
}

static int decode_field(struct walk *walk, const struct field *field, const json_t *object,
			char *out)
{
	static const bool here = true;
	json_t *value = json_object_get(object, field->name);
	bool list = (field->flags & WIRE_LIST) != 0;

	if (walk->mode == CODEC_LENIENT && json_is_null(value) && field->kind != WIRE_JSON)
		value = NULL;
	if (value && (field->flags & WIRE_SHARED) && json_is_array(value) != list)
		value = NULL; /* meant for the other field of this name */
	if (!value)
		return field->flags & WIRE_OPTIONAL ? 0
						    : ERR_SET(&walk->err, ERR_INVALID, ": missing");
	if (list)
		return decode_list(walk, field, value, out);
	if (is_marked(field))
		memcpy(out + field->mark, &here, sizeof here);
	return decode_value(walk, field, value, out + field->offset);
}

static int refuse_unknown(struct walk *walk, const struct type *type, const json_t *object)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, name, value) {
		size_t i = 0;

		while (i < type->field_count && !str_eq(type->fields[i].name, name))
			i++;
		if (i == type->field_count)
			return ERR_SET(&walk->err, ERR_INVALID, ": unknown member '%.64s'", name);
	}
	return 0;
}

static int decode_struct(struct walk *walk, const struct type *type, const json_t *value, void *out)
{
	if (value && !json_is_object(value))
		return ERR_SET(&walk->err, ERR_INVALID, ": expected an object");
	if (walk->depth == WIRE_STRUCT_DEPTH)
		return ERR_SET(&walk->err, ERR_LIMIT, ": deeper than %d structs",
			       WIRE_STRUCT_DEPTH);
	if (walk->mode != CODEC_LENIENT && refuse_unknown(walk, type, value) < 0)
		return walk->err.code;
	walk->depth++;
	for (size_t i = 0; i < type->field_count; i++) {
		if (decode_field(walk, &type->fields[i], value, out) < 0)
			return ERR_SET(&walk->err, walk->err.code, ".%s%s", type->fields[i].name,
				       walk->err.text);
	}
	walk->depth--;
	return 0;
}

/* Decodes into the arena. */
static int decode_root(const struct type *type, const json_t *value, void **out, struct walk *walk,
		       struct err *err)
{
	if (walk->mode == CODEC_LENIENT && json_is_null(value))
		value = NULL;
	*out = take(walk, type->size);
	if (!*out || decode_struct(walk, type, value, *out) < 0)
		return ERR_SET(err, walk->err.code, "%s%s", type->root, walk->err.text);
	return 0;
}

int codec_decode(const struct type *type, const json_t *value, void *out, struct arena *arena,
		 enum codec_mode mode, struct err *err)
{
	struct walk walk = { .arena = arena, .mode = mode };
	void *fresh = NULL;
	int rc = decode_root(type, value, &fresh, &walk, err);

	if (rc == 0)
		memcpy(out, fresh, type->size);
	return rc;
}

/*
 * Encoding builds what the struct holds and lets decoding judge it, so the two directions cannot
 * drift apart. Whatever has no spelling becomes null or is left out, and is refused there.
 */

static json_t *encode_struct(const struct type *type, const char *in);

static json_t *encode_text(const char *text)
{
	return text ? json_stringn_nocheck(text, strlen(text)) : json_null();
}

static json_t *encode_value(const struct field *field, const char *in)
{
	union slot slot = { 0 };

	memcpy(&slot, in, slot_size(field));
	if (field->kind == WIRE_INT)
		return json_integer(slot.number);
	if (field->kind == WIRE_BOOL)
		return json_boolean(slot.on);
	if (field->kind == WIRE_ENUM)
		return encode_text(names_get(field->names, slot.word));
	if (field->kind == WIRE_STRUCT)
		return encode_struct(field->type, slot.pointer);
	return field->kind == WIRE_JSON ? json_incref(slot.pointer) : encode_text(slot.text);
}

static json_t *encode_list(const struct field *field, const char *in)
{
	json_auto_t *list = json_array();
	const char *items = NULL;
	size_t count = 0;

	memcpy(&items, in + field->offset, sizeof items);
	memcpy(&count, in + field->mark, sizeof count);
	for (size_t i = 0; items && i < count; i++) {
		const char *at = items + i * entry_size(field);
		json_t *item = field->kind == WIRE_STRUCT ? encode_struct(field->type, at)
							  : encode_value(field, at);

		if (json_array_append_new(list, item) < 0)
			return NULL;
	}
	return TAKE(list);
}

static bool is_absent(const struct field *field, const char *in)
{
	union slot slot = { .on = true };

	if (is_marked(field)) {
		memcpy(&slot.on, in + field->mark, sizeof slot.on);
		return !slot.on;
	}
	if (field->kind == WIRE_BOOL || (field->kind == WIRE_INT && !(field->flags & WIRE_LIST)))
		return false;
	if (field->kind == WIRE_ENUM) {
		memcpy(&slot.word, in + field->offset, sizeof slot.word);
		return slot.word == 0;
	}
	memcpy(&slot.pointer, in + field->offset, sizeof slot.pointer);
	/* A list that must be there may be empty. */
	return !slot.pointer && (field->flags & (WIRE_OPTIONAL | WIRE_LIST)) != WIRE_LIST;
}

static json_t *encode_struct(const struct type *type, const char *in)
{
	json_auto_t *object = json_object();

	for (size_t i = 0; i < type->field_count; i++) {
		const struct field *field = &type->fields[i];
		json_t *value;

		if (is_absent(field, in))
			continue;
		if (json_object_get(object, field->name)) /* both of a shared name */
			value = json_null();
		else if (field->flags & WIRE_LIST)
			value = encode_list(field, in);
		else
			value = encode_value(field, in + field->offset);
		if (json_object_set_new_nocheck(object, field->name, value) < 0)
			return NULL;
	}
	return TAKE(object);
}

json_t *codec_encode(const struct type *type, const void *in, struct err *err)
{
	struct arena arena SCOPED(arena_deinit) = { 0 };
	struct walk walk = { .arena = &arena, .mode = CODEC_STRICT };
	json_auto_t *value = encode_struct(type, in);
	void *judged = NULL;

	if (!value)
		(void)ERR_NOMEM_SET(err);
	else if (decode_root(type, value, &judged, &walk, err) == 0)
		return TAKE(value);
	return NULL;
}

size_t wire_strings_bytes(const struct wire_strings *list)
{
	size_t bytes = 0;

	for (size_t i = 0; i < list->count; i++)
		bytes += strlen(list->items[i]) + 1;
	return bytes;
}

bool wire_strings_same(const struct wire_strings *a, const struct wire_strings *b, size_t count)
{
	bool same = count ? count <= a->count && count <= b->count : a->count == b->count;

	for (size_t i = 0; same && i < (count ? count : a->count); i++)
		same = str_eq(a->items[i], b->items[i]);
	return same;
}

void kept_deinit(struct kept *kept)
{
	json_decref(kept->message);
	kept->message = NULL;
	arena_deinit(&kept->arena);
}

size_t kept_bytes(const struct kept *kept)
{
	return kept->arena.used + wire_json_bytes(kept->message);
}
