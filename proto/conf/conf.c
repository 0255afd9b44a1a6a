#include "proto/conf/conf.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/check.h"
#include "proto/conf/ini.h"
#include "proto/conf/key.h"
#include "proto/conf/name.h"
#include "proto/conf/value.h"

#define FILE_NAME "config.ini"
#define MAP_ENTRIES_MAX 1024 /* of one map, over all layers */

/* One source of settings, and also the sum of several. */
struct layer {
	json_t *tree;    /* nested objects, leaves are checked values */
	json_t *origins; /* full name -> where it is set */
	json_t *inert;   /* "key (origin)" of accepted keys without effect */
};

struct conf {
	struct layer sum;
	json_t *defaults; /* of the keys that are lists */
};

/* What the callbacks of one file or override need. */
struct source {
	struct layer *layer;
	const char *name; /* path of the file, or "-c" with the text of the override */
	const char *base; /* folder that relative paths are meant from */
	bool is_file;
};

static void layer_deinit(struct layer *layer)
{
	json_decref(layer->tree);
	json_decref(layer->origins);
	json_decref(layer->inert);
	*layer = (struct layer){ 0 };
}

static int layer_init(struct layer *layer, struct err *err)
{
	layer->tree = json_object();
	layer->origins = json_object();
	layer->inert = json_array();
	if (layer->tree && layer->origins && layer->inert)
		return 0;
	layer_deinit(layer);
	return ERR_NOMEM_SET(err);
}

/* The object that holds the last part of the name; made when missing. Leaves and tables never share
 * a name. */
static json_t *parent_of(json_t *tree, const struct conf_name *name)
{
	for (size_t i = 0; i + 1 < name->count; i++) {
		json_t *inner = json_object_get(tree, name->parts[i]);

		if (!inner && json_object_set_new(tree, name->parts[i], json_object()) == 0)
			inner = json_object_get(tree, name->parts[i]);
		tree = inner;
	}
	return json_is_object(tree) ? tree : NULL;
}

/* Steals value. */
static int layer_put(struct layer *layer, const struct conf_name *name, const char *origin,
		     json_t *value, struct err *err)
{
	char *full SCOPED(str_free) = NULL;
	json_auto_t *owned = value;
	json_t *parent = parent_of(layer->tree, name);

	if (conf_name_format(&full, name, err) < 0)
		return err->code;
	if (!parent || json_object_set(parent, name->parts[name->count - 1], owned) < 0 ||
	    json_object_set_new(layer->origins, full, json_string(origin)) < 0)
		return ERR_NOMEM_SET(err);
	if (json_object_size(parent) > MAP_ENTRIES_MAX)
		return ERR_SET(err, ERR_LIMIT, "more than %d entries beside '%.100s'",
			       MAP_ENTRIES_MAX, full);
	return 0;
}

static int refuse_table(const struct conf_name *name, struct err *err)
{
	char *full SCOPED(str_free) = NULL;

	if (conf_name_format(&full, name, err) < 0)
		return err->code;
	return ERR_SET(err, ERR_INVALID,
		       "'%.200s' is an inline table; write it as a section, [%.200s], with one "
		       "key = value on each line",
		       full, full);
}

static int put_leaf(struct source *source, const struct conf_name *name,
		    const struct conf_value *value, const char *origin, struct err *err)
{
	const struct conf_key *key = NULL;
	char *full SCOPED(str_free) = NULL;
	json_t *checked = NULL;

	if (conf_check_name(&key, name, err) < 0 || conf_name_format(&full, name, err) < 0)
		return err->code;
	if (source->is_file && json_object_get(source->layer->origins, full))
		return ERR_SET(err, ERR_INVALID, "'%.200s' is set twice, first at %s", full,
			       json_string_value(json_object_get(source->layer->origins, full)));
	if (conf_check_value(&checked, key, value, source->base, err) < 0)
		return ERR_WRAP(err, "'%.200s'", full);
	if (key->inert && json_array_append_new(source->layer->inert,
						json_sprintf("%s (%s)", full, origin)) < 0) {
		json_decref(checked);
		return ERR_NOMEM_SET(err);
	}
	return layer_put(source->layer, name, origin, checked, err);
}

/* An inline table of an override is so many settings. */
static int put_table(struct source *source, struct conf_name *name, json_t *table,
		     const char *origin, struct err *err)
{
	const char *member;
	json_t *json;

	if (name->count == CONF_DEPTH_MAX)
		return ERR_SET(err, ERR_LIMIT, "a name has more than %d parts", CONF_DEPTH_MAX);
	json_object_foreach(table, member, json) {
		struct conf_value value = { .json = json };
		int rc;

		name->parts[name->count] = str_dup(member);
		if (!name->parts[name->count])
			return ERR_NOMEM_SET(err);
		name->count++;
		if (json_is_object(json))
			rc = put_table(source, name, json, origin, err);
		else
			rc = put_leaf(source, name, &value, origin, err);
		str_free(&name->parts[--name->count]);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* conf_ini_fn */
static int on_setting(void *ctx, const struct conf_name *name, const char *text, size_t line,
		      struct err *err)
{
	struct source *source = ctx;
	struct conf_value value SCOPED(conf_value_deinit) = { 0 };
	char origin[PATH_MAX + 32];
	int rc;

	(void)snprintf(origin, sizeof origin, "%s:%zu", source->name, line);
	if (conf_value_parse(&value, text, false, err) < 0) {
		char *full SCOPED(str_free) = NULL;

		if (conf_name_format(&full, name, NULL) == 0)
			ERR_WRAP(err, "'%.200s'", full);
		return ERR_WRAP(err, "%s", origin);
	}
	rc = json_is_object(value.json) ? refuse_table(name, err)
					: put_leaf(source, name, &value, origin, err);
	return rc < 0 ? ERR_WRAP(err, "%s", origin) : 0;
}

/* Whoever can write this file decides what the sandbox allows. */
static int check_owner(const char *path, bool *exists, struct err *err)
{
	struct stat st;

	*exists = false;
	if (stat(path, &st) < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		return ERR_SYS(err, errno, "settings '%s'", path);
	}
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return ERR_SET(err, ERR_DENIED,
			       "settings '%s' belong to user %u: remove them, or chown %u '%s'",
			       path, (unsigned)st.st_uid, (unsigned)geteuid(), path);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return ERR_SET(err, ERR_DENIED,
			       "settings '%s' can be changed by other users: chmod go-w '%s'", path,
			       path);
	*exists = true;
	return 0;
}

static int load_file(struct layer *layer, const char *dir, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(CONF_FILE_MAX);
	struct source source = { .layer = layer, .base = dir, .is_file = true };
	char path[PATH_MAX];
	bool exists = false;

	if (snprintf(path, sizeof path, "%s/%s", dir, FILE_NAME) >= (int)sizeof path)
		return ERR_SET(err, ERR_LIMIT, "the path of '%.100s...' is too long", dir);
	if (check_owner(path, &exists, err) < 0)
		return err->code;
	if (!exists)
		return 0;
	if (buf_read_file(&text, path, err) < 0)
		return ERR_WRAP(err, "settings");
	if (memchr(buf_str(&text), '\0', text.len))
		return ERR_SET(err, ERR_INVALID, "%s: not a text file (it holds a NUL)", path);
	source.name = path;
	return conf_ini_read(buf_str(&text), path, on_setting, &source, err);
}

static int load_override(struct layer *layer, const char *text, const char *base, struct err *err)
{
	struct conf_name name SCOPED(conf_name_deinit) = { 0 };
	struct conf_value value SCOPED(conf_value_deinit) = { 0 };
	struct source source = { .layer = layer, .name = text, .base = base };
	const char *end = conf_name_end(text);
	char origin[256];
	int rc;

	(void)snprintf(origin, sizeof origin, "-c %.200s", text);
	if (!end)
		return ERR_SET(err, ERR_INVALID, "-c '%.100s': key=value is expected", text);
	rc = conf_name_parse(&name, text, (size_t)(end - text), err);
	if (rc == 0)
		rc = conf_value_parse(&value, end + 1, true, err);
	if (rc == 0 && json_is_object(value.json))
		rc = put_table(&source, &name, value.json, origin, err);
	else if (rc == 0)
		rc = put_leaf(&source, &name, &value, origin, err);
	return rc < 0 ? ERR_WRAP(err, "-c") : 0;
}

static int load_overrides(struct layer *layer, const struct conf_input *input, struct err *err)
{
	if (input->override_count > CONF_OVERRIDES_MAX)
		return ERR_SET(err, ERR_LIMIT, "more than %d overrides", CONF_OVERRIDES_MAX);
	for (size_t i = 0; i < input->override_count; i++) {
		if (load_override(layer, input->overrides[i], input->base ? input->base : "/",
				  err) < 0)
			return err->code;
	}
	return 0;
}

/* Puts `above` over `sum`: tables merge, everything else is replaced. */
static int merge_tree(json_t *sum, json_t *above, struct err *err)
{
	const char *name;
	json_t *value;

	json_object_foreach(above, name, value) {
		json_t *below = json_object_get(sum, name);

		if (json_is_object(value) && json_is_object(below)) {
			if (merge_tree(below, value, err) < 0)
				return err->code;
		} else if (json_object_set_new(sum, name, json_deep_copy(value)) < 0) {
			return ERR_NOMEM_SET(err);
		}
	}
	return 0;
}

static int merge(struct layer *sum, const struct layer *above, struct err *err)
{
	if (merge_tree(sum->tree, above->tree, err) < 0)
		return err->code;
	if (json_object_update(sum->origins, above->origins) < 0 ||
	    json_array_extend(sum->inert, above->inert) < 0)
		return ERR_NOMEM_SET(err);
	return 0;
}

static int add_file(struct layer *sum, const char *dir, struct err *err)
{
	struct layer layer SCOPED(layer_deinit) = { 0 };

	if (!dir)
		return 0;
	if (layer_init(&layer, err) < 0 || load_file(&layer, dir, err) < 0)
		return err->code;
	return merge(sum, &layer, err);
}

/* The settings of [profiles.<name>] count as if the file had them at its top. */
static int add_profile(struct layer *sum, const char *name, struct err *err)
{
	json_t *profiles = json_object_get(sum->tree, "profiles");
	json_t *profile = json_object_get(profiles, name);
	json_auto_t *origins = json_object();
	char prefix[128];
	const char *key;
	json_t *origin;

	if (!profile)
		return ERR_SET(err, ERR_NOTFOUND, "there is no [profiles.%.100s] in the settings",
			       name);
	if (!origins)
		return ERR_NOMEM_SET(err);
	if (snprintf(prefix, sizeof prefix, "profiles.%s.", name) < (int)sizeof prefix) {
		json_object_foreach(sum->origins, key, origin) {
			if (str_starts(key, prefix) &&
			    json_object_set(origins, key + strlen(prefix), origin) < 0)
				return ERR_NOMEM_SET(err);
		}
	}
	if (json_object_update(sum->origins, origins) < 0)
		return ERR_NOMEM_SET(err);
	return merge_tree(sum->tree, profile, err);
}

static int load_all(struct layer *sum, const struct conf_input *input, struct err *err)
{
	struct layer top SCOPED(layer_deinit) = { 0 };
	const char *profile = input->profile;

	if (layer_init(&top, err) < 0 || load_overrides(&top, input, err) < 0 ||
	    add_file(sum, input->system_dir, err) < 0 || add_file(sum, input->config_dir, err) < 0)
		return err->code;
	if (!profile)
		profile = json_string_value(json_object_get(top.tree, "profile"));
	if (!profile)
		profile = json_string_value(json_object_get(sum->tree, "profile"));
	if (profile && add_profile(sum, profile, err) < 0)
		return err->code;
	return merge(sum, &top, err);
}

static int load_defaults(struct conf *conf, struct err *err)
{
	conf->defaults = json_object();
	if (!conf->defaults)
		return ERR_NOMEM_SET(err);
	for (size_t i = 0; i < conf_key_count; i++) {
		const struct conf_key *key = &conf_keys[i];

		if ((key->type != CONF_STRINGS && key->type != CONF_PATHS) || !key->fallback)
			continue;
		if (json_object_set_new(conf->defaults, key->name,
					json_loads(key->fallback, 0, NULL)) < 0)
			return ERR_NOMEM_SET(err);
	}
	return 0;
}

int conf_load(struct conf **out, const struct conf_input *input, struct err *err)
{
	struct conf *conf = calloc(1, sizeof *conf);

	if (!conf)
		return ERR_NOMEM_SET(err);
	if (layer_init(&conf->sum, err) < 0 || load_defaults(conf, err) < 0 ||
	    load_all(&conf->sum, input, err) < 0) {
		conf_free(conf);
		return (int)err->code;
	}
	*out = conf;
	return 0;
}

void conf_free(struct conf *conf)
{
	if (!conf)
		return;
	layer_deinit(&conf->sum);
	json_decref(conf->defaults);
	free(conf);
}

void conf_release(struct conf **conf)
{
	conf_free(*conf);
	*conf = NULL;
}

/* The value at a dotted name of the table; parts of table names hold no dots. */
static json_t *lookup(const struct conf *conf, const char *key)
{
	json_t *at = conf->sum.tree;

	while (at && *key) {
		size_t len = strcspn(key, ".");
		char part[128];

		if (len >= sizeof part)
			return NULL;
		memcpy(part, key, len);
		part[len] = '\0';
		at = json_object_get(at, part);
		key += len + (key[len] == '.' ? 1 : 0);
	}
	return at;
}

bool conf_is_set(const struct conf *conf, const char *key)
{
	return conf_key_find(key) && lookup(conf, key);
}

static const char *text_of(const struct conf_key *key, json_t *value)
{
	if (!key || (key->type != CONF_STRING && key->type != CONF_PATH && key->type != CONF_ENUM))
		return NULL;
	return value ? json_string_value(value) : key->fallback;
}

static int64_t number_of(const struct conf_key *key, enum conf_type type, json_t *value)
{
	if (!key || key->type != type)
		return 0;
	if (!value)
		return key->fallback_number;
	return type == CONF_BOOL ? json_is_true(value) : json_integer_value(value);
}

const char *conf_str(const struct conf *conf, const char *key)
{
	return text_of(conf_key_find(key), lookup(conf, key));
}

int64_t conf_int(const struct conf *conf, const char *key)
{
	return number_of(conf_key_find(key), CONF_INT, lookup(conf, key));
}

bool conf_bool(const struct conf *conf, const char *key)
{
	return number_of(conf_key_find(key), CONF_BOOL, lookup(conf, key)) != 0;
}

json_t *conf_list(const struct conf *conf, const char *key)
{
	json_t *value = lookup(conf, key);

	if (!value)
		value = json_object_get(conf->defaults, key);
	return json_is_array(value) ? value : NULL;
}

json_t *conf_map(const struct conf *conf, const char *key)
{
	json_t *value = lookup(conf, key);

	return json_is_object(value) ? value : NULL;
}

json_t *conf_sections(const struct conf *conf, const char *table)
{
	json_t *sections = json_object_get(conf->sum.tree, table);

	return json_is_object(sections) ? sections : NULL;
}

bool conf_has_section(const struct conf *conf, const char *table, const char *name)
{
	return json_object_get(conf_sections(conf, table), name) != NULL;
}

json_t *conf_get_of(const struct conf *conf, const char *table, const char *name, const char *key)
{
	return json_object_get(json_object_get(conf_sections(conf, table), name), key);
}

const char *conf_str_of(const struct conf *conf, const char *table, const char *name,
			const char *key)
{
	return text_of(conf_key_find_of(table, key), conf_get_of(conf, table, name, key));
}

int64_t conf_int_of(const struct conf *conf, const char *table, const char *name, const char *key)
{
	return number_of(conf_key_find_of(table, key), CONF_INT,
			 conf_get_of(conf, table, name, key));
}

bool conf_bool_of(const struct conf *conf, const char *table, const char *name, const char *key)
{
	return number_of(conf_key_find_of(table, key), CONF_BOOL,
			 conf_get_of(conf, table, name, key)) != 0;
}

const char *conf_origin(const struct conf *conf, const char *key)
{
	return json_string_value(json_object_get(conf->sum.origins, key));
}

json_t *conf_inert(const struct conf *conf)
{
	return conf->sum.inert;
}

json_t *conf_tree(const struct conf *conf)
{
	return conf->sum.tree;
}
