/*
 * value.h - the text of a setting: one TOML or JSON literal, or a bare word.
 *
 * Pure. A literal is a string ("..." with escapes, '...' without), an integer (also 0x, 0o, 0b and
 * _), a decimal, true, false, a list or a table; JSON is a subset. Dates are bare words. A list may
 * span several lines, so the caller can ask whether a text is still open.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"

struct err;

#define CONF_NEST_MAX 16 /* lists and tables inside each other */

struct conf_value {
	json_t *json; /* owned */
	json_t *word; /* owned: a bare value as the text it stands for; NULL when quoted or
			 bracketed */
};

/*
 * The whole text must be one value; blanks around it and a comment (#, at the start or after a
 * blank) behind it are skipped. A bare word has no blank in it; `loose` takes any text that does
 * not begin like a literal whole.
 */
int conf_value_parse(struct conf_value *out, const char *text, bool loose, struct err *err)
	MUST_CHECK;
void conf_value_deinit(struct conf_value *value);

/* How many brackets and braces the text leaves open, strings and comments skipped; 0 for a finished
 * value. */
size_t conf_value_open(const char *text);
