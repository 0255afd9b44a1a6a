#include "proto/wire/json.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

struct shape {
	size_t depth;
	size_t values;
};

/* Before the parser, which recurses and allocates; what is outside of strings tells enough. */
static struct shape shape_of(const char *text, size_t len)
{
	struct shape shape = { .values = 1 };
	size_t depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		char at = text[i];

		if (in_string && at == '\\')
			i++;
		else if (at == '"')
			in_string = !in_string;
		else if (!in_string && (at == '{' || at == '['))
			depth++;
		else if (!in_string && (at == '}' || at == ']') && depth > 0)
			depth--;
		if (!in_string && (at == ',' || at == ':' || at == '{' || at == '['))
			shape.values++;
		shape.depth = depth > shape.depth ? depth : shape.depth;
	}
	return shape;
}

size_t wire_json_values(const char *text, size_t len)
{
	return shape_of(text, len).values;
}

size_t wire_json_bytes(const json_t *value)
{
	size_t bytes = WIRE_VALUE_BYTES;
	const json_t *inner;
	const char *name;
	size_t i;

	if (json_is_string(value))
		bytes += json_string_length(value);
	json_array_foreach(value, i, inner)
		bytes += wire_json_bytes(inner);
	json_object_foreach((json_t *)(uintptr_t)value, name, inner)
		bytes += strlen(name) + wire_json_bytes(inner);
	return bytes;
}

json_t *wire_json_load(const char *text, size_t len, struct err *err)
{
	json_error_t error = { 0 };
	enum json_error_code code;
	json_t *value;

	if (len > WIRE_JSON_MAX || shape_of(text, len).depth > WIRE_JSON_DEPTH_MAX) {
		(void)ERR_SET(err, ERR_LIMIT, "JSON of more than %d bytes or %d levels",
			      WIRE_JSON_MAX, WIRE_JSON_DEPTH_MAX);
		return NULL;
	}
	value = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	code = json_error_code(&error);
	if (!value && (code == json_error_out_of_memory || code == json_error_unknown))
		(void)ERR_NOMEM_SET(
			err); /* jansson is silent about most of its failed allocations */
	else if (!value)
		(void)ERR_SET(err, ERR_INVALID, "%s near byte %d",
			      code == json_error_duplicate_key
				      ? "an object with the same member twice"
				      : "malformed JSON",
			      error.position);
	return value;
}

int wire_json_dump(struct buf *out, const json_t *value, struct err *err)
{
	char *text SCOPED(str_free) = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	return text ? buf_puts(out, text, err) : ERR_NOMEM_SET(err);
}
