/*
 * key.h - what may be set. The table is generated from proto/schema/config.json and is data only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum conf_type {
	CONF_NONE, /* refuses every value */
	CONF_STRING,
	CONF_PATH, /* a string; relative ones are meant from the folder of the file */
	CONF_BOOL,
	CONF_INT,
	CONF_ENUM,    /* one of `words` */
	CONF_STRINGS, /* list of strings */
	CONF_PATHS,   /* list of paths */
	CONF_MAP,     /* strings by name: one more part of the key, or a section of its own */
	CONF_TYPE_COUNT
};

struct conf_key {
	const char *name; /* "a.b"; a part "<id>" stands for any one part */
	enum conf_type type;
	bool inert; /* accepted so that configurations made for others load; has no effect */
	const char *const *words; /* of an enum */
	size_t word_count;
	int64_t min; /* of an int */
	int64_t max; /* of an int, of the bytes of a string, of the entries of a list or map */
	const char *fallback; /* default of a string, path or enum; of a list as JSON text; NULL for
				 none */
	int64_t fallback_number; /* default of an int, or of a bool as 0 or 1 */
	const char *doc;
};

extern const struct conf_key conf_keys[];
extern const size_t conf_key_count;
