/*
 * conf.h - the settings in force: built-in values below /etc/agentd/config.ini below the user's
 * config.ini below a profile below command-line overrides.
 *
 * A struct conf never changes once loaded and owns everything that its getters return; a json_t
 * from here is borrowed and must not be changed. Whatever a layer holds has been checked against
 * the table generated from proto/schema/config.json: an unknown section or key, a wrong type, word
 * or range is an error that names the file, the line, the key and the nearest valid word. Getters
 * take names of that table; one that is not in it, or has another type, is a mistake of the caller
 * and reads as unset.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"

struct err;
struct conf;

#define CONF_FILE_MAX 1048576  /* bytes of one settings file */
#define CONF_VALUE_MAX 65536   /* bytes of one value, its continuation lines included */
#define CONF_DEPTH_MAX 8       /* parts of one key: a.b.c has three */
#define CONF_OVERRIDES_MAX 256 /* entries of one load */

/* Where settings come from; everything is borrowed during the load only. */
struct conf_input {
	const char *system_dir; /* holds the administrator's config.ini; NULL for none */
	const char *config_dir; /* holds the user's config.ini; NULL leaves it out */
	const char *profile;    /* [profiles.<this>]; NULL takes the key 'profile', if set */
	const char *base;       /* absolute; relative paths in overrides are meant from here */
	const char *const *overrides; /* key=value, the later one wins; a value that is no TOML
					 literal is text */
	size_t override_count;
};

int conf_load(struct conf **out, const struct conf_input *input, struct err *err) MUST_CHECK;
void conf_free(struct conf *conf);
void conf_release(struct conf **conf); /* for SCOPED */

/*
 * Values by full name, "sandbox_workspace_write.network_access". An unset key yields its default
 * from the table, and without one NULL, 0 or false; conf_is_set() says whether a layer sets it.
 */
bool conf_is_set(const struct conf *conf, const char *key);
const char *conf_str(const struct conf *conf, const char *key); /* string, path, enum */
int64_t conf_int(const struct conf *conf, const char *key);
bool conf_bool(const struct conf *conf, const char *key);
json_t *conf_list(const struct conf *conf, const char *key); /* array of strings; NULL when unset */
json_t *conf_map(const struct conf *conf, const char *key); /* object of strings; NULL when unset */

/*
 * The sections that users name, "model_providers", "projects", "mcp_servers": the object of them by
 * name (NULL when there is none), and one value of one: conf_str_of(conf, "model_providers",
 * "local", "base_url").
 */
json_t *conf_sections(const struct conf *conf, const char *table);
bool conf_has_section(const struct conf *conf, const char *table, const char *name);
const char *conf_str_of(const struct conf *conf, const char *table, const char *name,
			const char *key);
int64_t conf_int_of(const struct conf *conf, const char *table, const char *name, const char *key);
bool conf_bool_of(const struct conf *conf, const char *table, const char *name, const char *key);
json_t *conf_get_of(const struct conf *conf, const char *table, const char *name, const char *key);

/* Where a set value comes from, "/home/u/.config/agentd/config.ini:3" or "-c model=x"; NULL when
 * unset. */
const char *conf_origin(const struct conf *conf, const char *key);

/* Keys that are set, accepted for compatibility, and have no effect: array of strings "key
 * (origin)". */
json_t *conf_inert(const struct conf *conf);

/* Everything that is set, nested, for display. */
json_t *conf_tree(const struct conf *conf);
