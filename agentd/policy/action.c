#include "agentd/policy/action.h"

#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/policy/known.h"

/* Never a patch's to write, right below a root, whether they exist or not. */
static const char *const guarded_names[] = { ".git", ".agents", ".agentd", ".codex" };

struct action action_of_script(const char *script, bool escalated)
{
	static const enum action_kind kinds[KNOWN_COUNT] = {
		[KNOWN_SAFE] = ACTION_COMMAND_SAFE,
		[KNOWN_CONFINED] = ACTION_COMMAND_CONFINED,
		[KNOWN_NOTHING] = ACTION_COMMAND_UNKNOWN,
		[KNOWN_DANGEROUS] = ACTION_COMMAND_DANGEROUS,
	};

	return (struct action){ .kind = kinds[known_script(script)], .escalated = escalated };
}

/* Appends the parts of path to out[0..*len), resolving "." and "..". */
static bool add_parts(char *out, size_t *len, const char *path)
{
	while (*path) {
		size_t part = strcspn(path, "/");

		if (part == 2 && path[0] == '.' && path[1] == '.') {
			while (*len > 0 && out[--*len] != '/') {
			}
		} else if (part > 0 && !(part == 1 && path[0] == '.')) {
			if (part + 2 > ACTION_PATH_MAX - *len)
				return false;
			out[(*len)++] = '/';
			memcpy(out + *len, path, part);
			*len += part;
		}
		path += part;
		while (*path == '/')
			path++;
	}
	return true;
}

int action_path(char out[static ACTION_PATH_MAX], const char *cwd, const char *path,
		struct err *err)
{
	char made[ACTION_PATH_MAX] = "";
	size_t len = 0;

	if ((path[0] != '/' && !add_parts(made, &len, cwd)) || !add_parts(made, &len, path))
		return ERR_SET(err, ERR_LIMIT, "the path is longer than %d bytes",
			       ACTION_PATH_MAX - 1);
	if (len == 0)
		made[len++] = '/';
	made[len] = '\0';
	memcpy(out, made, len + 1);
	return 0;
}

/* Is path the folder itself, or something below it? */
static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	while (len > 0 && folder[len - 1] == '/')
		len--;
	return strncmp(path, folder, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static bool is_guarded_name(const char *path, const char *root)
{
	size_t len = strlen(root);
	size_t part;

	while (len > 0 && root[len - 1] == '/')
		len--;
	while (path[len] == '/')
		len++;
	part = strcspn(path + len, "/");
	for (size_t i = 0; i < ARRAY_LEN(guarded_names); i++) {
		if (strlen(guarded_names[i]) == part &&
		    memcmp(path + len, guarded_names[i], part) == 0)
			return true;
	}
	return false;
}

/* The root that speaks for the path: the narrowest one. */
static const struct action_root *root_of(const struct action_place *place, const char *path)
{
	const struct action_root *best = NULL;

	for (size_t i = 0; i < place->root_count; i++) {
		const struct action_root *root = &place->roots[i];

		if (is_below(path, root->path) &&
		    (!best || strlen(root->path) > strlen(best->path)))
			best = root;
	}
	return best;
}

/* A guarded place counts unless a narrower root was opened inside it. */
static bool is_guarded(const struct action_place *place, const struct action_root *owner,
		       const char *path)
{
	for (size_t i = 0; i < place->root_count; i++) {
		const struct action_root *root = &place->roots[i];

		for (size_t k = 0; k < root->guarded_count; k++) {
			const char *guarded = root->guarded[k];

			if (is_below(path, guarded) && (strlen(guarded) > strlen(owner->path) ||
							!is_below(owner->path, guarded)))
				return true;
		}
	}
	return is_guarded_name(path, owner->path);
}

bool action_path_inside(const struct action_place *place, const char *absolute)
{
	const struct action_root *root = root_of(place, absolute);

	return root && !is_guarded(place, root, absolute);
}

struct action action_of_patch(const struct action_place *place, const char *const *paths,
			      size_t count)
{
	struct action action = { .kind = count > 0 ? ACTION_PATCH_INSIDE : ACTION_PATCH_EMPTY };

	for (size_t i = 0; i < count; i++) {
		char path[ACTION_PATH_MAX] = "";

		if (action_path(path, place->cwd, paths[i], NULL) < 0 ||
		    !action_path_inside(place, path))
			action.kind = ACTION_PATCH_OUTSIDE;
	}
	return action;
}
