/*
 * notify.c - what init's supervisor is told about the sandbox.
 */
#include "proto/sys/supervise.h"

#include "broker/process.h"

int notify_share(struct scene *scene UNUSED, struct err *err)
{
	return supervise_share(err);
}

static bool reserved(const void *roots, uint64_t device, uint64_t inode, const char *name)
{
	return roots_reserved(roots, device, inode, name);
}

static enum denial_rule rule_of(const void *context, const char *path)
{
	const struct roots *roots = context;
	enum denial_rule rule = DENIAL_RULE_OUTSIDE;

	for (size_t i = 0; i < roots->count; i++) {
		const struct place *place = &roots->places[i];
		bool same = str_eq(path, place->path);

		if (!same && !path_beneath(path, place->path))
			continue;
		if (place->kind == PLACE_HIDDEN)
			return DENIAL_RULE_HIDDEN;
		if (same || place->kind == PLACE_PROTECTED)
			rule = DENIAL_RULE_PROTECTED;
	}
	return rule;
}

struct supervisor *notify_open(const struct scene *scene, struct denials *denials, struct err *err)
{
	static struct supervise_policy policy; /* of the one command whose init this is */

	policy = (struct supervise_policy){ .context = scene->roots,
					    .reserved = reserved,
					    .rule = rule_of,
					    .filter = &filter_specs[FILTER_COMMAND],
					    .network = scene->features->network,
					    .landlock = scene->features->landlock,
					    .denials = denials };
	return supervise_open(&policy, err);
}
