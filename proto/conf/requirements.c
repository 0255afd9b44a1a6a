#include "proto/conf/requirements.h"

#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/check.h"
#include "proto/conf/ini.h"
#include "proto/conf/key.h"
#include "proto/conf/name.h"
#include "proto/conf/near.h"
#include "proto/conf/paths.h"
#include "proto/conf/value.h"

#define ITEM_MAX 4096 /* bytes of a word or path */
#define RULES_MAX 256
#define RULE_WORDS_MAX 64 /* arguments of a pattern, and words to choose from */

/* What is checked beyond the type of the row. */
enum extra {
	EXTRA_NOTHING,
	EXTRA_WORDS, /* a list of the words of the setting `like` */
	EXTRA_GLOBS, /* a list of absolute paths and globs */
	EXTRA_RULES  /* a list of tables */
};

struct row {
	struct conf_key key;
	enum extra extra;
	const char *like;  /* a setting */
	const char *needs; /* a word that must be there; or is always added, see `adds` */
	bool adds;
};

static const char *const logs[] = { "file", "syslog", "off" };

#define BOOL(text)                                                                                 \
	{                                                                                          \
		.key = {.name = (text), .type = CONF_BOOL }                                        \
	}
#define INT(text, low, high)                                                                       \
	{                                                                                          \
		.key = {.name = (text), .type = CONF_INT, .min = (low), .max = (high) }            \
	}
#define LIST(text, most, kind)                                                                     \
	.key = { .name = (text), .type = CONF_STRINGS, .max = (most) }, .extra = (kind)

/* The member of the JSON is the last part of the name, but for the two of [audit]. */
/* clang-format off */
static const struct row rows[] = {
	{ LIST("allowed_approval_policies", 16, EXTRA_WORDS), .like = "approval_policy" },
	{ LIST("allowed_sandbox_modes", 16, EXTRA_WORDS), .like = "sandbox_mode", .needs = "read-only" },
	{ LIST("allowed_web_search_modes", 16, EXTRA_WORDS), .like = "web_search", .needs = "disabled",
	  .adds = true },
	BOOL("allow_login_shell"),
	{ LIST("permissions.filesystem.deny_read", 64, EXTRA_GLOBS) },
	BOOL("sandbox.allow_network"),
	BOOL("sandbox.allow_legacy_landlock"),
	BOOL("sandbox.allow_no_lockdown"),
	INT("limits.commands", 1, 256),
	INT("limits.ceilings", 1, 256),
	INT("limits.connections", 1, 64),
	INT("limits.memory_mib", 16, 1073741824),
	INT("limits.pids", 8, 4194304),
	INT("limits.cpu_percent", 1, 1000000),
	{ .key = { .name = "audit.log", .type = CONF_ENUM, .words = logs, .word_count = ARRAY_LEN(logs) } },
	BOOL("audit.required"),
	{ LIST("rules.prefix_rules", RULES_MAX, EXTRA_RULES) },
};
/* clang-format on */

struct reader {
	json_t *out;
	const char *path;
	const char *home;
};

/* ------------------------------------------------------------------ lists */

static int check_words(json_t *list, const struct row *row, struct err *err)
{
	const struct conf_key *like = conf_key_find(row->like);
	struct conf_key one = { .type = CONF_ENUM };
	bool needed = !row->needs;
	json_t *item;
	size_t i;

	if (like) {
		one.words = like->words;
		one.word_count = like->word_count;
	}
	json_array_foreach(list, i, item) {
		json_auto_t *checked = NULL;

		if (conf_check_value(&checked, &one, &(struct conf_value){ .json = item }, "/",
				     err) < 0)
			return ERR_WRAP(err, "entry %zu", i + 1);
		needed = needed || str_eq(json_string_value(item), row->needs);
	}
	if (!needed && row->adds)
		return json_array_append_new(list, json_string(row->needs)) < 0 ? ERR_NOMEM_SET(err)
										: 0;
	if (!needed)
		return ERR_SET(err, ERR_INVALID, "must contain '%s'", row->needs);
	return json_array_size(list) == 0 ? ERR_SET(err, ERR_INVALID, "must not be empty") : 0;
}

static bool has_part(const char *path, const char *part)
{
	size_t length = strlen(part);

	for (const char *at = path; (at = strstr(at, part)); at++) {
		if (at > path && at[-1] == '/' && (at[length] == '/' || at[length] == '\0'))
			return true;
	}
	return false;
}

static int check_globs(json_t *list, const char *home, struct err *err)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *text = json_string_value(item);
		bool from_home = str_eq(text, "~") || str_starts(text, "~/");

		if (text[0] != '/' && !from_home)
			return ERR_SET(err, ERR_INVALID,
				       "entry %zu: '%.100s' is neither an absolute path nor ~/...",
				       i + 1, text);
		if (has_part(text, ".") || has_part(text, "..") || strstr(text, "**"))
			return ERR_SET(err, ERR_INVALID,
				       "entry %zu: '%.100s': '.', '..' and '**' have no place here",
				       i + 1, text);
		if (from_home && !home)
			return ERR_SET(err, ERR_INVALID,
				       "entry %zu: '%.100s': this user has no home folder", i + 1,
				       text);
		if (from_home &&
		    json_array_set_new(list, i, json_sprintf("%s%s", home, text + 1)) < 0)
			return ERR_NOMEM_SET(err);
		if (json_string_length(json_array_get(list, i)) > PATHS_BYTES_MAX)
			return ERR_SET(err, ERR_LIMIT, "entry %zu: more than %d bytes", i + 1,
				       PATHS_BYTES_MAX);
	}
	return 0;
}

/* ------------------------------------------------------------------ rules */

/* A table with these members and no others; the first `needed` must be there. */
static int check_members(json_t *table, const char *const *names, size_t count, size_t needed,
			 struct err *err)
{
	const char *name;
	json_t *value;

	if (!json_is_object(table))
		return ERR_SET(err, ERR_INVALID, "must be a table, as in { %s = ... }", names[0]);
	json_object_foreach(table, name, value) {
		size_t i = 0;

		while (i < count && !str_eq(name, names[i]))
			i++;
		if (i == count) {
			const char *near = near_word(name, names, count);

			return ERR_SET(err, ERR_INVALID, "unknown key '%.60s'%s%s%s", name,
				       near ? ", did you mean '" : "", near ? near : "",
				       near ? "'?" : "");
		}
	}
	for (size_t i = 0; i < needed; i++) {
		if (!json_object_get(table, names[i]))
			return ERR_SET(err, ERR_INVALID, "'%s' is missing", names[i]);
	}
	return 0;
}

static bool is_word(const json_t *value)
{
	size_t length = json_string_length(value);

	return length > 0 && length <= ITEM_MAX && strlen(json_string_value(value)) == length;
}

static int check_token(json_t *token, struct err *err)
{
	static const char *const names[] = { "token", "any_of" };
	const json_t *words;

	if (check_members(token, names, ARRAY_LEN(names), 0, err) < 0)
		return err->code;
	words = json_object_get(token, "any_of");
	if (json_object_size(token) != 1)
		return ERR_SET(err, ERR_INVALID, "either 'token' or 'any_of'");
	if (!words)
		return is_word(json_object_get(token, "token"))
			       ? 0
			       : ERR_SET(err, ERR_INVALID, "token: must be a text of 1 to %d bytes",
					 ITEM_MAX);
	if (!json_is_array(words) || json_array_size(words) < 1 ||
	    json_array_size(words) > RULE_WORDS_MAX)
		return ERR_SET(err, ERR_INVALID, "any_of: must be a list of 1 to %d texts",
			       RULE_WORDS_MAX);
	for (size_t i = 0; i < json_array_size(words); i++) {
		if (!is_word(json_array_get(words, i)))
			return ERR_SET(err, ERR_INVALID,
				       "any_of: entry %zu must be a text of 1 to %d bytes", i + 1,
				       ITEM_MAX);
	}
	return 0;
}

static int check_rule(json_t *rule, struct err *err)
{
	static const char *const names[] = { "pattern", "decision", "justification" };
	json_t *pattern;
	const json_t *why;
	const char *decision;

	if (check_members(rule, names, ARRAY_LEN(names), 2, err) < 0)
		return err->code;
	pattern = json_object_get(rule, "pattern");
	why = json_object_get(rule, "justification");
	decision = json_string_value(json_object_get(rule, "decision"));
	if (!json_is_array(pattern) || json_array_size(pattern) < 1 ||
	    json_array_size(pattern) > RULE_WORDS_MAX)
		return ERR_SET(err, ERR_INVALID, "pattern: must be a list of 1 to %d tables",
			       RULE_WORDS_MAX);
	if (str_eq(decision, "allow"))
		return ERR_SET(err, ERR_INVALID,
			       "decision: 'allow' is not for an administrator's rule, which can "
			       "only tighten");
	if (!str_eq(decision, "prompt") && !str_eq(decision, "forbidden"))
		return ERR_SET(err, ERR_INVALID, "decision: must be 'prompt' or 'forbidden'");
	if (why && !is_word(why))
		return ERR_SET(err, ERR_INVALID, "justification: must be a text of 1 to %d bytes",
			       ITEM_MAX);
	for (size_t i = 0; i < json_array_size(pattern); i++) {
		if (check_token(json_array_get(pattern, i), err) < 0)
			return ERR_WRAP(err, "pattern: entry %zu", i + 1);
	}
	return 0;
}

static int check_rules(json_t *rules, struct err *err)
{
	if (!json_is_array(rules) || json_array_size(rules) > RULES_MAX)
		return ERR_SET(err, ERR_INVALID, "must be a list of at most %d tables", RULES_MAX);
	for (size_t i = 0; i < json_array_size(rules); i++) {
		if (check_rule(json_array_get(rules, i), err) < 0)
			return ERR_WRAP(err, "entry %zu", i + 1);
	}
	return 0;
}

/* ------------------------------------------------------------------ the file */

static const struct row *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (str_eq(rows[i].key.name, name))
			return &rows[i];
	}
	return NULL;
}

static int unknown(const char *name, struct err *err)
{
	const char *names[ARRAY_LEN(rows)];
	const char *near;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		names[i] = rows[i].key.name;
	near = near_word(name, names, ARRAY_LEN(names));
	for (size_t i = 0; !near && i < ARRAY_LEN(rows); i++) { /* of another section? */
		const char *last = strrchr(names[i], '.');

		near = last && str_eq(last + 1, name) ? names[i] : NULL;
	}
	return near ? ERR_SET(err, ERR_NOTFOUND, "unknown key '%.100s', did you mean '%s'?", name,
			      near)
		    : ERR_SET(err, ERR_NOTFOUND, "unknown key '%.100s'", name);
}

static const char *member_of(const struct row *row)
{
	const char *last = strrchr(row->key.name, '.');

	if (str_starts(row->key.name, "audit."))
		return row->key.type == CONF_BOOL ? "audit_required" : "audit_log";
	return last ? last + 1 : row->key.name;
}

static int check(json_t **out, const struct row *row, const char *text, const char *home,
		 struct err *err)
{
	struct conf_value value SCOPED(conf_value_deinit) = { 0 };
	json_auto_t *checked = NULL;
	int rc;

	if (conf_value_parse(&value, text, false, err) < 0)
		return err->code;
	if (row->extra == EXTRA_RULES)
		checked = json_incref(value.json);
	else if (conf_check_value(&checked, &row->key, &value, "/", err) < 0)
		return err->code;
	rc = row->extra == EXTRA_WORDS   ? check_words(checked, row, err)
	     : row->extra == EXTRA_GLOBS ? check_globs(checked, home, err)
	     : row->extra == EXTRA_RULES ? check_rules(checked, err)
					 : 0;
	if (rc == 0)
		*out = TAKE(checked);
	return rc;
}

static int set(struct reader *reader, const char *name, const char *text, struct err *err)
{
	const struct row *row = find(name);
	json_t *value = NULL;

	if (!row)
		return unknown(name, err);
	if (json_object_get(reader->out, member_of(row)))
		return ERR_SET(err, ERR_INVALID, "'%s' is there twice", name);
	if (check(&value, row, text, reader->home, err) < 0)
		return ERR_WRAP(err, "%s", name);
	return json_object_set_new(reader->out, member_of(row), value) < 0 ? ERR_NOMEM_SET(err) : 0;
}

/* conf_ini_fn */
static int on_setting(void *ctx, const struct conf_name *name, const char *value, size_t line,
		      struct err *err)
{
	struct reader *reader = ctx;
	char *full SCOPED(str_free) = NULL;

	if (conf_name_format(&full, name, err) < 0 || set(reader, full, value, err) < 0)
		return ERR_WRAP(err, "%s:%zu", reader->path, line);
	return 0;
}

int requirements_parse(json_t **out, const char *text, const char *path, const char *home,
		       struct err *err)
{
	json_auto_t *object = json_object();
	struct reader reader = { .out = object, .path = path, .home = home };

	if (!object)
		return ERR_NOMEM_SET(err);
	if (conf_ini_read(text, path, on_setting, &reader, err) < 0)
		return err->code;
	*out = TAKE(object);
	return 0;
}
