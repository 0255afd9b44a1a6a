#include "client/bounds.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/conf/conf.h"
#include "proto/conf/env.h"
#include "proto/conf/paths.h"
#include "proto/wire/json.h"

#include "client/broker_link.h"
#include "client/setup.h"

#define INLINE_ENV_MAX                                                                             \
	49152 /* bytes of an environment that still fits beside the rest of a packet, escaped */

/* The environment, and for a large one the sealed file that carries it. */
struct luggage {
	struct env env;
	int fd;
};

static void luggage_deinit(struct luggage *luggage)
{
	env_deinit(&luggage->env);
	fd_close(&luggage->fd);
}

static int seal_env(struct luggage *luggage, json_t *list, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(BROKER_SPEC_MAX);

	if (wire_json_dump(&text, list, err) < 0)
		return ERR_WRAP(err, "environment");
	return text.len <= INLINE_ENV_MAX
		       ? 0
		       : fd_sealed(&luggage->fd, "env", text.data, text.len, err);
}

static int is_large(struct luggage *luggage, struct err *err)
{
	json_auto_t *list = json_array();
	size_t bytes = 0;

	for (size_t i = 0; i < luggage->env.count; i++)
		bytes += strlen(luggage->env.items[i]) + 3;
	if (bytes < INLINE_ENV_MAX / 6) /* however it is escaped */
		return 0;
	if (!list)
		return ERR_NOMEM_SET(err);
	for (size_t i = 0; i < luggage->env.count; i++) {
		if (json_array_append_new(list, json_string(luggage->env.items[i])) < 0)
			return ERR_SET(err, ERR_INVALID, "environment: '%.60s...' is not UTF-8",
				       luggage->env.items[i]);
	}
	return seal_env(luggage, list, err);
}

/* JSON cannot carry other bytes, and no program expects them in a name. */
static void drop_malformed(struct env *env)
{
	size_t kept = 0;

	for (size_t i = 0; i < env->count; i++) {
		if (str_is_utf8(env->items[i], strlen(env->items[i])))
			env->items[kept++] = env->items[i];
		else
			free(env->items[i]);
	}
	env->count = kept;
}

static int pack_env(struct luggage *luggage, const struct bounds_input *input, struct err *err)
{
	struct env_rules rules = { 0 };
	char *first SCOPED(str_free) = NULL;

	if (paths_program(&first, PATHS_PATCH_DIR, err) < 0)
		return err->code;
	env_rules_from_conf(&rules, input->setup->conf);
	rules.path_first = first;
	rules.unattended = input->keep;
	if (env_filter(&luggage->env, environ, &rules, err) < 0)
		return err->code;
	drop_malformed(&luggage->env);
	return is_large(luggage, err);
}

static size_t list_roots(const char **roots, size_t max, const struct setup *setup)
{
	json_t *list = conf_list(setup->conf, "sandbox_workspace_write.writable_roots");
	size_t count = 0;
	size_t i;
	json_t *root;

	json_array_foreach(list, i, root) {
		if (count < max)
			roots[count++] = json_string_value(root);
	}
	for (i = 0; i < setup->root_count && count < max; i++)
		roots[count++] = setup->roots[i];
	return count;
}

static enum sandbox_mode mode_of(const struct bounds_input *input)
{
	int mode = names_find(&sandbox_mode_names, conf_str(input->setup->conf, "sandbox_mode"));

	return input->mode != SANDBOX_MODE_NONE ? input->mode : (enum sandbox_mode)mode;
}

static void set_workspace(struct broker_ceiling_open *params, const struct conf *conf)
{
	params->has_network = true;
	params->network = conf_bool(conf, "sandbox_workspace_write.network_access");
	params->has_exclude_slash_tmp = true;
	params->exclude_slash_tmp = conf_bool(conf, "sandbox_workspace_write.exclude_slash_tmp");
	params->has_exclude_tmpdir = true;
	params->exclude_tmpdir = conf_bool(conf, "sandbox_workspace_write.exclude_tmpdir_env_var");
	params->allow_git_commit = conf_bool(conf, "sandbox_workspace_write.allow_git_commit");
	params->has_allow_git_commit = params->allow_git_commit;
}

/* How any sandbox is made. */
static void set_sandbox(struct broker_ceiling_open *params, const struct bounds_input *input)
{
	const struct conf *conf = input->setup->conf;

	params->legacy_landlock = conf_bool(conf, "sandbox.legacy_landlock") ||
				  conf_bool(conf, "features.use_legacy_landlock");
	params->log_denials =
		input->keep ? conf_bool(conf, "sandbox.log_denials") : input->log_denials;
	params->has_legacy_landlock = params->legacy_landlock;
	params->has_log_denials = params->log_denials;
}

int bounds_send(struct broker *broker, const struct bounds_input *input, int64_t *id,
		struct err *err)
{
	struct luggage luggage SCOPED(luggage_deinit) = { .fd = -1 };
	struct broker_fds fds = { .items = &luggage.fd, .count = 1 };
	const char *roots[BROKER_ROOTS_MAX];
	struct broker_ceiling_open params = { .mode = mode_of(input),
					      .cwd = input->cwd ? input->cwd : input->setup->cwd,
					      .has_keep = true,
					      .keep = input->keep };

	if (pack_env(&luggage, input, err) < 0)
		return err->code;
	if (luggage.fd < 0) {
		params.env.items = (const char *const *)luggage.env.items;
		params.env.count = luggage.env.count;
	}
	if (params.mode == SANDBOX_MODE_WORKSPACE_WRITE) {
		params.roots.count = list_roots(roots, BROKER_ROOTS_MAX, input->setup);
		params.roots.items = params.roots.count ? roots : NULL;
		set_workspace(&params, input->setup->conf);
	}
	if (params.mode != SANDBOX_MODE_DANGER_FULL_ACCESS)
		set_sandbox(&params, input);
	return broker_send(broker, BROKER_METHOD_CEILING_OPEN, &params,
			   luggage.fd >= 0 ? &fds : NULL, id, err);
}

int bounds_open(struct broker *broker, const struct bounds_input *input,
		struct broker_ceiling_open_result *result, struct err *err)
{
	int64_t id = 0;

	if (bounds_send(broker, input, &id, err) < 0)
		return err->code;
	return broker_wait(broker, BROKER_METHOD_CEILING_OPEN, id, result, err);
}
