#include "client/setup.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/conf.h"

#include "client/options.h"
#include "client/spawn.h"

int setup_override(struct setup *setup, struct err *err, const char *format, ...)
{
	va_list args;
	char *text = NULL;
	int rc;

	if (setup->override_count == SETUP_OVERRIDES_MAX)
		return ERR_SET(err, ERR_LIMIT, "more than %d settings on the command line",
			       SETUP_OVERRIDES_MAX);
	va_start(args, format);
	rc = vasprintf(&text, format, args);
	va_end(args);
	if (rc < 0)
		return ERR_NOMEM_SET(err);
	setup->overrides[setup->override_count++] = text;
	return 0;
}

/* A flag that stands for a setting. The value is text, so it is quoted. */
static int add_text(struct setup *setup, const char *key, const char *value, struct err *err)
{
	char quoted[PATH_MAX * 2];
	size_t len = 0;

	for (const char *p = value; *p; p++) {
		if (len + 3 > sizeof quoted)
			return ERR_SET(err, ERR_LIMIT, "the value of '%s' is too long", key);
		if (*p == '"' || *p == '\\')
			quoted[len++] = '\\';
		quoted[len++] = *p;
	}
	quoted[len] = '\0';
	return setup_override(setup, err, "%s=\"%s\"", key, quoted);
}

static int add_flags(struct setup *setup, const struct options *options, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < options->use_count; i++) {
		const struct option_use *use = &options->uses[i];

		if (use->id == OPTION_MODEL)
			rc = add_text(setup, "model", use->value, err);
		else if (use->id == OPTION_SANDBOX)
			rc = add_text(setup, "sandbox_mode", use->value, err);
		else if (use->id == OPTION_APPROVAL)
			rc = add_text(setup, "approval_policy", use->value, err);
		else if (use->id == OPTION_PROFILE)
			rc = add_text(setup, "profile", use->value, err);
		else if (use->id == OPTION_FULL_AUTO)
			rc = add_text(setup, "sandbox_mode", "workspace-write", err);
		else if (use->id == OPTION_BYPASS)
			rc = add_text(setup, "sandbox_mode", "danger-full-access", err);
		else if (use->id == OPTION_SEARCH)
			rc = add_text(setup, "web_search", "live", err);
		else if (use->id == OPTION_ENABLE)
			rc = setup_override(setup, err, "features.%s=true", use->value);
		else if (use->id == OPTION_DISABLE)
			rc = setup_override(setup, err, "features.%s=false", use->value);
	}
	if (rc == 0 && options_has(options, OPTION_FULL_AUTO) &&
	    !options_has(options, OPTION_APPROVAL))
		rc = add_text(setup, "approval_policy", "on-request", err);
	if (rc == 0 && options_has(options, OPTION_BYPASS))
		rc = add_text(setup, "approval_policy", "never", err);
	return rc;
}

static int add_overrides(struct setup *setup, const struct options *options, struct err *err)
{
	for (size_t i = 0; i < options->use_count; i++) {
		if (options->uses[i].id == OPTION_CONFIG &&
		    setup_override(setup, err, "%s", options->uses[i].value) < 0)
			return err->code;
	}
	return add_flags(setup, options, err);
}

static int canonical(char **out, const char *dir, const char *what, struct err *err)
{
	struct stat st;
	char *path = realpath(dir, NULL);

	if (!path)
		return ERR_SYS(err, errno, "%s '%s'", what, dir);
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		free(path);
		return ERR_SET(err, ERR_INVALID, "%s '%s' is not a folder", what, dir);
	}
	*out = path;
	return 0;
}

int setup_add_root(struct setup *setup, const char *dir, struct err *err)
{
	if (setup->root_count == ARRAY_LEN(setup->roots))
		return ERR_SET(err, ERR_LIMIT, "more than %zu further writable folders",
			       ARRAY_LEN(setup->roots));
	if (canonical(&setup->roots[setup->root_count], dir, "the further writable folder", err) <
	    0)
		return err->code;
	setup->root_count++;
	return 0;
}

static int find_folders(struct setup *setup, const struct options *options, const char *cwd,
			struct err *err)
{
	const char *cd = cwd ? cwd : options_value(options, OPTION_CD);

	if (canonical(&setup->cwd, cd ? cd : ".", "the working folder", err) < 0)
		return err->code;
	for (size_t i = 0; i < options->use_count; i++) {
		if (options->uses[i].id == OPTION_ADD_DIR &&
		    setup_add_root(setup, options->uses[i].value, err) < 0)
			return err->code;
	}
	return 0;
}

static int read_conf(struct setup *setup, bool own, struct err *err)
{
	struct conf_input input = { .system_dir = PATHS_SYSTEM,
				    .config_dir = own ? setup->paths.config : NULL,
				    .base = setup->cwd,
				    .overrides = (const char *const *)setup->overrides,
				    .override_count = setup->override_count };

	conf_release(&setup->conf);
	return conf_load(&setup->conf, &input, err);
}

static bool has_marker(const char *dir, json_t *markers)
{
	char path[PATH_MAX];
	size_t i;
	json_t *marker;

	json_array_foreach(markers, i, marker) {
		if (snprintf(path, sizeof path, "%s/%s", dir, json_string_value(marker)) <
			    (int)sizeof path &&
		    access(path, F_OK) == 0)
			return true;
	}
	return false;
}

int setup_project_root(char **root, const struct conf *conf, const char *cwd, struct err *err)
{
	json_t *markers = conf_list(conf, "project_root_markers");
	char *dir SCOPED(str_free) = str_dup(cwd);
	char *slash;

	*root = NULL;
	if (!dir)
		return ERR_NOMEM_SET(err);
	while (!has_marker(dir, markers)) {
		slash = strrchr(dir, '/');
		if (!slash || !dir[1])
			return 0;
		slash[slash == dir ? 1 : 0] = '\0';
	}
	*root = TAKE(dir);
	return 0;
}

/* Where nothing says what may be touched, the folder does: trusted or version-controlled ones may
 * be written. */
static int decide_by_folder(struct setup *setup, struct err *err)
{
	char *root SCOPED(str_free) = NULL;
	const char *trust;

	if (setup_project_root(&root, setup->conf, setup->cwd, err) < 0)
		return err->code;
	trust = conf_str_of(setup->conf, "projects", root ? root : setup->cwd, "trust_level");
	if (!conf_is_set(setup->conf, "sandbox_mode") &&
	    add_text(setup, "sandbox_mode", root || trust ? "workspace-write" : "read-only", err) <
		    0)
		return err->code;
	if (!conf_is_set(setup->conf, "approval_policy") && str_eq(trust, "untrusted"))
		return add_text(setup, "approval_policy", "untrusted", err);
	return 0;
}

static int decide_defaults(struct setup *setup, enum setup_kind kind, struct err *err)
{
	if (kind == SETUP_ASKING)
		return decide_by_folder(setup, err);
	if (!conf_is_set(setup->conf, "sandbox_mode") &&
	    add_text(setup, "sandbox_mode", "read-only", err) < 0)
		return err->code;
	return kind == SETUP_SILENT ? add_text(setup, "approval_policy", "never", err) : 0;
}

int setup_paths(struct setup *out, struct err *err)
{
	if (paths_from_env(&out->paths, environ, geteuid(), err) < 0 ||
	    spawn_choose(&out->paths, environ, err) < 0)
		return err->code;
	return paths_prepare(&out->paths, geteuid(), err);
}

static int load_all(struct setup *setup, const struct options *options, enum setup_kind kind,
		    const char *cwd, struct err *err)
{
	bool own = !options_has(options, OPTION_IGNORE_USER_CONFIG);
	size_t before;

	if (setup_paths(setup, err) < 0 || find_folders(setup, options, cwd, err) < 0 ||
	    add_overrides(setup, options, err) < 0 || read_conf(setup, own, err) < 0)
		return err->code;
	before = setup->override_count;
	if (decide_defaults(setup, kind, err) < 0)
		return err->code;
	return setup->override_count > before ? read_conf(setup, own, err) : 0;
}

int setup_load_at(struct setup *out, const struct options *options, enum setup_kind kind,
		  const char *cwd, struct err *err)
{
	struct setup setup SCOPED(setup_deinit) = { 0 };

	if (load_all(&setup, options, kind, cwd, err) < 0)
		return err->code;
	*out = setup;
	setup = (struct setup){ 0 };
	return 0;
}

int setup_load(struct setup *out, const struct options *options, enum setup_kind kind,
	       struct err *err)
{
	return setup_load_at(out, options, kind, NULL, err);
}

void setup_deinit(struct setup *setup)
{
	while (setup->override_count > 0)
		free(setup->overrides[--setup->override_count]);
	while (setup->root_count > 0)
		free(setup->roots[--setup->root_count]);
	free(setup->cwd);
	conf_free(setup->conf);
	paths_deinit(&setup->paths);
	*setup = (struct setup){ 0 };
}
