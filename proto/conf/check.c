#include "proto/conf/check.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/key.h"
#include "proto/conf/name.h"
#include "proto/conf/near.h"
#include "proto/conf/paths.h"
#include "proto/conf/value.h"

#define PROFILES "profiles"
#define ROW_NAME_MAX 128 /* bytes of a row's name */

/* The i-th part of a row's name; false behind the last. */
static bool row_part(const struct conf_key *key, size_t i, const char **text, size_t *len)
{
	const char *at = key->name;

	while (i-- > 0) {
		at = strchr(at, '.');
		if (!at)
			return false;
		at++;
	}
	*text = at;
	*len = strcspn(at, ".");
	return true;
}

static bool row_part_is(const struct conf_key *key, size_t i, const char *want)
{
	const char *text = NULL;
	size_t len = 0;

	if (!row_part(key, i, &text, &len))
		return false;
	return *text == '<' || (strlen(want) == len && memcmp(text, want, len) == 0);
}

static size_t row_parts(const struct conf_key *key)
{
	size_t count = 1;

	for (const char *p = key->name; *p; p++)
		count += *p == '.' ? 1 : 0;
	return count;
}

/* How many leading parts (of count) fit the row. */
static size_t row_fit(const struct conf_key *key, char *const *parts, size_t count)
{
	size_t fit = 0;

	while (fit < count && row_part_is(key, fit, parts[fit]))
		fit++;
	return fit;
}

static bool row_is(const struct conf_key *key, char *const *parts, size_t count)
{
	size_t rows = row_parts(key);

	if (key->type == CONF_MAP && count == rows + 1)
		count--; /* one entry of the map */
	return count == rows && row_fit(key, parts, count) == count;
}

/* What the rows with the first `fit` parts have behind them, for the hint. The caller frees the
 * entries. */
static size_t collect_words(char **words, char *const *parts, size_t fit)
{
	size_t count = 0;

	for (size_t i = 0; i < conf_key_count; i++) {
		const char *text = NULL;
		size_t len = 0;

		if (row_fit(&conf_keys[i], parts, fit) < fit ||
		    !row_part(&conf_keys[i], fit, &text, &len) || *text == '<' ||
		    row_part_is(&conf_keys[i], fit, parts[fit]))
			continue;
		words[count] = str_dup_len(text, len);
		count += words[count] ? 1 : 0;
	}
	return count;
}

/* A row that ends in this word, for a key that was written into the wrong section. */
static const char *row_ending_in(const char *word)
{
	for (size_t i = 0; i < conf_key_count; i++) {
		const char *last = strrchr(conf_keys[i].name, '.');

		if (last && str_eq(last + 1, word))
			return conf_keys[i].name;
	}
	return NULL;
}

/* Puts the nearest name into out, or "". *fit: how many parts are right. */
static void find_nearest(char *out, size_t size, char *const *parts, size_t count, size_t *fit)
{
	char **words = calloc(conf_key_count + 1, sizeof *words);
	size_t word_count = 0;
	const char *best;

	*fit = 0;
	for (size_t i = 0; i < conf_key_count; i++) {
		size_t here = row_fit(&conf_keys[i], parts, count - 1);

		*fit = here > *fit ? here : *fit;
	}
	while (words && (word_count = collect_words(words, parts, *fit)) == 0 && *fit > 0)
		--*fit;
	best = words ? near_word(parts[*fit], (const char *const *)words, word_count) : NULL;
	if (!best)
		best = row_ending_in(parts[count - 1]);
	if (str_copy(out, size, best ? best : "", NULL) < 0)
		*out = '\0';
	while (word_count > 0)
		free(words[--word_count]);
	free(words);
}

static int unknown(const struct conf_name *name, char *const *parts, size_t count, struct err *err)
{
	char *full SCOPED(str_free) = NULL;
	char nearest[ROW_NAME_MAX + 1] = "";
	char what[ROW_NAME_MAX + 32] = "key";
	size_t fit = 0;

	if (conf_name_format(&full, name, err) < 0)
		return err->code;
	find_nearest(nearest, sizeof nearest, parts, count, &fit);
	if (fit + 1 < count)
		(void)snprintf(what, sizeof what, "section '%.64s' of", parts[fit]);
	if (*nearest)
		return ERR_SET(err, ERR_NOTFOUND, "unknown %s '%.200s', did you mean '%s'?", what,
			       full, nearest);
	return ERR_SET(err, ERR_NOTFOUND, "unknown %s '%.200s'", what, full);
}

int conf_check_name(const struct conf_key **out, const struct conf_name *name, struct err *err)
{
	char *const *parts = name->parts;
	size_t count = name->count;

	if (count > 2 && str_eq(parts[0], PROFILES)) {
		parts += 2; /* a profile may set whatever the file may */
		count -= 2;
	}
	for (size_t i = 0; i < conf_key_count; i++) {
		if (row_is(&conf_keys[i], parts, count)) {
			*out = &conf_keys[i];
			return 0;
		}
	}
	return unknown(name, parts, count, err);
}

const struct conf_key *conf_key_find(const char *name)
{
	for (size_t i = 0; i < conf_key_count; i++) {
		if (str_eq(conf_keys[i].name, name))
			return &conf_keys[i];
	}
	return NULL;
}

const struct conf_key *conf_key_find_of(const char *table, const char *key)
{
	size_t len = strlen(table);

	for (size_t i = 0; i < conf_key_count; i++) {
		const char *name = conf_keys[i].name;
		const char *rest;

		if (!str_starts(name, table) || !str_starts(name + len, ".<"))
			continue;
		rest = strchr(name + len, '>');
		if (rest && rest[1] == '.' && str_eq(rest + 2, key))
			return &conf_keys[i];
	}
	return NULL;
}

/* The value as text: quoted, or bare whatever it looks like. */
static json_t *as_text(const struct conf_value *value)
{
	if (value->word)
		return value->word;
	return json_is_string(value->json) ? value->json : NULL;
}

static int check_text(json_t *text, int64_t max, struct err *err)
{
	size_t len = json_string_length(text);

	if (strlen(json_string_value(text)) != len)
		return ERR_SET(err, ERR_INVALID, "a text must not contain NUL");
	if (len > (size_t)max)
		return ERR_SET(err, ERR_LIMIT, "a text of more than %lld bytes", (long long)max);
	return 0;
}

static int check_string(json_t **out, const struct conf_key *key, const struct conf_value *value,
			struct err *err)
{
	json_t *text = as_text(value);

	if (!text)
		return ERR_SET(err, ERR_INVALID, "must be a text, as in \"x\"");
	if (check_text(text, key->type == CONF_MAP ? CONF_ITEM_MAX : key->max, err) < 0)
		return err->code;
	*out = json_copy(text);
	return *out ? 0 : ERR_NOMEM_SET(err);
}

static int resolve_path(json_t **out, json_t *text, const char *base, struct err *err)
{
	const char *path = json_string_value(text);

	if (check_text(text, PATHS_BYTES_MAX, err) < 0)
		return err->code;
	if (*path == '\0' || *path == '~')
		return ERR_SET(err, ERR_INVALID, "'%.100s' is not a path: write it in full", path);
	*out = *path == '/' ? json_string(path) : json_sprintf("%s/%s", base, path);
	return *out ? 0 : ERR_NOMEM_SET(err);
}

static int check_path(json_t **out, const struct conf_value *value, const char *base,
		      struct err *err)
{
	json_t *text = as_text(value);

	if (!text)
		return ERR_SET(err, ERR_INVALID, "must be a path, as in \"/a/b\"");
	return resolve_path(out, text, base, err);
}

static int check_int(json_t **out, const struct conf_key *key, const struct conf_value *value,
		     struct err *err)
{
	json_int_t number = json_integer_value(value->json);

	if (!json_is_integer(value->json) || number < key->min || number > key->max)
		return ERR_SET(err, ERR_INVALID, "must be a whole number from %lld to %lld",
			       (long long)key->min, (long long)key->max);
	*out = json_incref(value->json);
	return 0;
}

static int list_words(char *out, size_t size, const struct conf_key *key)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(size - 1);

	for (size_t i = 0; i < key->word_count; i++) {
		if (buf_printf(&text, NULL, "%s%s", i ? ", " : "", key->words[i]) < 0)
			break;
	}
	return str_copy(out, size, buf_str(&text), NULL);
}

static int check_enum(json_t **out, const struct conf_key *key, const struct conf_value *value,
		      struct err *err)
{
	json_t *text = as_text(value);
	const char *word = text ? json_string_value(text) : "";
	const char *nearest = near_word(word, key->words, key->word_count);
	char all[256] = "";

	for (size_t i = 0; i < key->word_count; i++) {
		if (str_eq(word, key->words[i])) {
			*out = json_string(word);
			return *out ? 0 : ERR_NOMEM_SET(err);
		}
	}
	(void)list_words(all, sizeof all, key);
	if (nearest)
		return ERR_SET(err, ERR_INVALID, "'%.60s' is not one of %s; did you mean '%s'?",
			       word, all, nearest);
	return ERR_SET(err, ERR_INVALID, "'%.60s' is not one of %s", word, all);
}

static int check_items(json_t *list, const struct conf_key *key, json_t *items, const char *base,
		       struct err *err)
{
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item) {
		json_t *fresh = NULL;

		if (!json_is_string(item))
			return ERR_SET(err, ERR_INVALID, "entry %zu must be a text, as in \"x\"",
				       i + 1);
		if (key->type == CONF_PATHS) {
			if (resolve_path(&fresh, item, base, err) < 0)
				return err->code;
		} else if (check_text(item, CONF_ITEM_MAX, err) < 0) {
			return err->code;
		} else {
			fresh = json_copy(item);
		}
		if (json_array_append_new(list, fresh) < 0)
			return ERR_NOMEM_SET(err);
	}
	return 0;
}

static int check_list(json_t **out, const struct conf_key *key, const struct conf_value *value,
		      const char *base, struct err *err)
{
	json_auto_t *list = json_array();

	if (!json_is_array(value->json))
		return ERR_SET(err, ERR_INVALID, "must be a list, as in [\"x\", \"y\"]");
	if (json_array_size(value->json) > (size_t)key->max)
		return ERR_SET(err, ERR_LIMIT, "more than %lld entries", (long long)key->max);
	if (!list)
		return ERR_NOMEM_SET(err);
	if (check_items(list, key, value->json, base, err) < 0)
		return err->code;
	*out = TAKE(list);
	return 0;
}

static int check_any(json_t **out, const struct conf_key *key, const struct conf_value *value,
		     const char *base, struct err *err)
{
	switch (key->type) {
	case CONF_STRING:
	case CONF_MAP:
		return check_string(out, key, value, err);
	case CONF_PATH:
		return check_path(out, value, base, err);
	case CONF_BOOL:
		if (!json_is_boolean(value->json))
			return ERR_SET(err, ERR_INVALID, "must be true or false");
		*out = json_incref(value->json);
		return 0;
	case CONF_INT:
		return check_int(out, key, value, err);
	case CONF_ENUM:
		return check_enum(out, key, value, err);
	case CONF_STRINGS:
	case CONF_PATHS:
		return check_list(out, key, value, base, err);
	case CONF_NONE:
	case CONF_TYPE_COUNT:
		break;
	}
	return ERR_SET(err, ERR_INVALID, "takes no value");
}

int conf_check_value(json_t **out, const struct conf_key *key, const struct conf_value *value,
		     const char *base, struct err *err)
{
	json_t *json = NULL;
	struct err why = { 0 };

	if (check_any(&json, key, value, base, &why) < 0)
		return ERR_SET(err, why.code, "%s", why.text);
	*out = json;
	return 0;
}
