#include "proto/wire/json.h"

#include <stdbool.h>
#include <stdlib.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

/* Before the parser, which recurses and allocates; brackets outside of strings tell enough. */
static bool too_deep(const char *text, size_t len)
{
	size_t depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		if (in_string && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			in_string = !in_string;
		else if (!in_string && (text[i] == '{' || text[i] == '['))
			depth++;
		else if (!in_string && (text[i] == '}' || text[i] == ']') && depth > 0)
			depth--;
		if (depth > WIRE_JSON_DEPTH_MAX)
			return true;
	}
	return false;
}

json_t *wire_json_load(const char *text, size_t len, struct err *err)
{
	json_error_t error = { 0 };
	enum json_error_code code;
	json_t *value;

	if (len > WIRE_JSON_MAX || too_deep(text, len)) {
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
