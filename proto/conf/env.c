#include "proto/conf/env.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/conf.h"

#define OWN_PREFIX "AGENTD_"
#define NAME_MAX_BYTES 4096 /* a longer name is dropped: no shell could use it */
#define FUNCTION_MAX 32768  /* bytes of an entry made of a path, every byte of it escaped */

static const char *const core_names[] = { "HOME",     "LOGNAME", "PATH", "SHELL", "USER",
					  "USERNAME", "TMPDIR",  "TEMP", "TMP" };
static const char *const secret_parts[] = { "KEY",      "SECRET", "TOKEN",
					    "PASSWORD", "PASSWD", "CREDENTIAL" };

/* Keys that the built-in provider reads, beside those of [model_providers]. */
static const char *const builtin_keys[] = { "OPENAI_API_KEY", "CODEX_API_KEY" };

bool env_looks_secret(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(secret_parts); i++) {
		if (strcasestr(name, secret_parts[i]))
			return true;
	}
	return false;
}

void env_rules_from_conf(struct env_rules *out, const struct conf *conf)
{
	const char *inherit = conf_str(conf, "shell_environment_policy.inherit");

	*out = (struct env_rules){
		.inherit = str_eq(inherit, "all")    ? ENV_INHERIT_ALL
			   : str_eq(inherit, "core") ? ENV_INHERIT_CORE
						     : ENV_INHERIT_NONE,
		.keep_secrets = conf_bool(conf, "shell_environment_policy.ignore_default_excludes"),
		.exclude = conf_list(conf, "shell_environment_policy.exclude"),
		.set = conf_map(conf, "shell_environment_policy.set"),
		.include_only = conf_list(conf, "shell_environment_policy.include_only"),
		.providers = conf_sections(conf, "model_providers"),
	};
}

static bool one_of(const char *name, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (str_eq(name, words[i]))
			return true;
	}
	return false;
}

static bool matches(const char *name, json_t *globs)
{
	size_t i;
	json_t *glob;

	json_array_foreach(globs, i, glob) {
		if (fnmatch(json_string_value(glob), name, FNM_CASEFOLD) == 0)
			return true;
	}
	return false;
}

/* A variable that carries a key of a provider, in whatever way the provider uses it. */
static bool is_provider_key(const char *name, json_t *providers)
{
	const char *id;
	json_t *provider;

	if (one_of(name, builtin_keys, ARRAY_LEN(builtin_keys)))
		return true;
	json_object_foreach(providers, id, provider) {
		const char *header;
		json_t *variable;

		if (str_eq(json_string_value(json_object_get(provider, "env_key")), name))
			return true;
		json_object_foreach(json_object_get(provider, "env_http_headers"), header,
				    variable) {
			if (str_eq(json_string_value(variable), name))
				return true;
		}
	}
	return false;
}

/* Whatever the user's own say: commands of a session are read by a model, not by a person. */
static const char *const unattended_env[] = {
	"NO_COLOR=1",     "TERM=dumb",   "LANG=C.UTF-8",  "LC_CTYPE=C.UTF-8",
	"LC_ALL=C.UTF-8", "PAGER=cat",   "GIT_PAGER=cat", "GH_PAGER=cat",
	"COLORTERM=",     "AGENTD_CI=1", "CODEX_CI=1", /* tools look for the other product's name */
};

static bool is_unattended(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < ARRAY_LEN(unattended_env); i++) {
		if (strncmp(unattended_env[i], name, len) == 0 && unattended_env[i][len] == '=')
			return true;
	}
	return false;
}

static bool always_dropped(const char *name, const struct env_rules *rules)
{
	return str_starts(name, OWN_PREFIX) || is_provider_key(name, rules->providers) ||
	       (rules->unattended && is_unattended(name));
}

static bool inherited(const char *name, const struct env_rules *rules)
{
	if (rules->inherit == ENV_INHERIT_NONE)
		return false;
	if (rules->inherit == ENV_INHERIT_CORE && !one_of(name, core_names, ARRAY_LEN(core_names)))
		return false;
	if (!rules->keep_secrets && env_looks_secret(name))
		return false;
	return !matches(name, rules->exclude) && !json_object_get(rules->set, name);
}

static bool included(const char *name, const struct env_rules *rules)
{
	return json_array_size(rules->include_only) == 0 || matches(name, rules->include_only);
}

/* Takes item (which may be NULL: no memory). */
static int push(struct env *env, char *item, struct err *err)
{
	char **items;

	if (!item)
		return ERR_NOMEM_SET(err);
	if (env->count == ENV_MAX) {
		free(item);
		return ERR_SET(err, ERR_LIMIT, "more than %d environment variables", ENV_MAX);
	}
	items = realloc(env->items, (env->count + 2) * sizeof *items);
	if (!items) {
		free(item);
		return ERR_NOMEM_SET(err);
	}
	env->items = items;
	items[env->count++] = item;
	items[env->count] = NULL;
	return 0;
}

static char *item_of(const char *name, const char *value, const struct env_rules *rules)
{
	char *item = NULL;
	int rc;

	if (rules->path_first && str_eq(name, "PATH"))
		rc = asprintf(&item, "%s=%s:%s", name, rules->path_first, value);
	else
		rc = asprintf(&item, "%s=%s", name, value);
	return rc < 0 ? NULL : item;
}

static int take_inherited(struct env *env, char *const *environment, const struct env_rules *rules,
			  struct err *err)
{
	for (size_t i = 0; environment[i]; i++) {
		const char *equals = strchr(environment[i], '=');
		size_t len = equals ? (size_t)(equals - environment[i]) : 0;
		char name[NAME_MAX_BYTES + 1];

		if (len == 0 || len > NAME_MAX_BYTES)
			continue;
		memcpy(name, environment[i], len);
		name[len] = '\0';
		if (always_dropped(name, rules) || !inherited(name, rules) ||
		    !included(name, rules))
			continue;
		if (push(env, item_of(name, equals + 1, rules), err) < 0)
			return err->code;
	}
	return 0;
}

static int take_unattended(struct env *env, const struct env_rules *rules, struct err *err)
{
	for (size_t i = 0; rules->unattended && i < ARRAY_LEN(unattended_env); i++) {
		if (push(env, str_dup(unattended_env[i]), err) < 0)
			return err->code;
	}
	return 0;
}

/* The word as the shell reads it back. */
static int put_quoted(struct buf *out, const char *word, struct err *err)
{
	int rc = buf_putc(out, '\'', err);

	for (; rc == 0 && *word; word++)
		rc = *word == '\'' ? buf_puts(out, "'\\''", err) : buf_putc(out, *word, err);
	return rc == 0 ? buf_putc(out, '\'', err) : rc;
}

/*
 * A function that bash takes over from its environment, BASH_FUNC_name%%=() { 'path' "$@"; }: the
 * profile that a login shell reads sets PATH anew, and the folder of these programs is not on it.
 */
static int take_functions(struct env *env, const struct env_rules *rules, struct err *err)
{
	static const char *const names[] = { "apply_patch", "applypatch" };

	for (size_t i = 0; rules->path_first && i < ARRAY_LEN(names); i++) {
		struct buf item SCOPED(buf_deinit) = BUF_INIT(FUNCTION_MAX);
		struct buf path SCOPED(buf_deinit) = BUF_INIT(FUNCTION_MAX);

		if (buf_printf(&path, err, "%s/%s", rules->path_first, names[i]) < 0 ||
		    buf_printf(&item, err, "BASH_FUNC_%s%%%%=() { ", names[i]) < 0 ||
		    put_quoted(&item, buf_str(&path), err) < 0 ||
		    buf_puts(&item, " \"$@\"; }", err) < 0 || push(env, buf_take(&item), err) < 0)
			return (int)err->code;
	}
	return 0;
}

static int take_set(struct env *env, const struct env_rules *rules, struct err *err)
{
	const char *name;
	json_t *value;

	json_object_foreach(rules->set, name, value) {
		if (*name == '\0' || strchr(name, '='))
			return ERR_SET(
				err, ERR_INVALID,
				"shell_environment_policy.set: '%.100s' cannot be the name of "
				"a variable",
				name);
		if (always_dropped(name, rules) || !included(name, rules))
			continue;
		if (push(env, item_of(name, json_string_value(value), rules), err) < 0)
			return err->code;
	}
	return 0;
}

int env_filter(struct env *out, char *const *environment, const struct env_rules *rules,
	       struct err *err)
{
	struct env env = { .items = calloc(1, sizeof *env.items) };

	if (!env.items)
		return ERR_NOMEM_SET(err);
	if (take_inherited(&env, environment, rules, err) < 0 || take_set(&env, rules, err) < 0 ||
	    take_unattended(&env, rules, err) < 0 || take_functions(&env, rules, err) < 0) {
		env_deinit(&env);
		return (int)err->code;
	}
	*out = env;
	return 0;
}

void env_deinit(struct env *env)
{
	for (size_t i = 0; i < env->count; i++)
		free(env->items[i]);
	free(env->items);
	*env = (struct env){ 0 };
}
