/*
 * env.h - the environment that commands get: the user's own, without what looks like a secret.
 *
 * Pure: both environments are arrays. Names that look like secrets are dropped unless the settings
 * say otherwise; the provider's key variables and AGENTD_* are dropped whatever they say. Order as
 * documented in proto/schema/config.json: inherit, default excludes, exclude, set, include_only.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"

struct conf;
struct err;

#define ENV_MAX 4096 /* entries of one environment */

enum env_inherit {
	ENV_INHERIT_NONE, /* start empty */
	ENV_INHERIT_CORE, /* HOME, LOGNAME, PATH, SHELL, USER, USERNAME, TMPDIR, TEMP, TMP */
	ENV_INHERIT_ALL
};

/* Everything is borrowed; NULL lists are empty. */
struct env_rules {
	enum env_inherit inherit;
	bool keep_secrets;      /* ignore_default_excludes */
	json_t *exclude;        /* globs over names, case ignored */
	json_t *set;            /* object: name -> value */
	json_t *include_only;   /* globs; when there is one, the rest is dropped */
	json_t *providers;      /* object of model_providers; each one's key variables are always
					 dropped */
	const char *path_first; /* folder of apply_patch: put in front of PATH, and its programs
					 also given as functions, since login shells set PATH anew;
					 NULL for none */
	bool unattended;        /* nobody sits at a terminal: no colors, no pagers, text is UTF-8 */
};

struct env {
	char **items; /* NAME=value, NULL-terminated */
	size_t count;
};

/* shell_environment_policy.* and model_providers of the settings, which must outlive the rules. */
void env_rules_from_conf(struct env_rules *out, const struct conf *conf);

int env_filter(struct env *out, char *const *environment, const struct env_rules *rules,
	       struct err *err) MUST_CHECK;
void env_deinit(struct env *env);

/* Whether a name is dropped by default: it contains KEY, SECRET, TOKEN, PASSWORD, PASSWD or
 * CREDENTIAL. */
bool env_looks_secret(const char *name);
