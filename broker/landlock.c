/*
 * landlock.c - what may be read and written, bound to files instead of mounts: the second layer
 * behind the mounts, or, without namespaces, the layer that holds files.
 */
#include "broker/step.h"

int landlock_usable(void)
{
	int abi = landlock_abi();

	return abi < LANDLOCK_ABI_REFER ? 0 : abi;
}

int landlock_rules(struct scene *scene, struct err *err)
{
	const struct features *features = scene->features;
	int abi = features->landlock;
	uint64_t write = LANDLOCK_ACCESS_FS_WRITE_FILE | landlock_newer(abi);
	/* Mounts bound what is read; to ask here too would cost each open() a walk to the top. */
	uint64_t all = landlock_all(abi) & ~(uint64_t)LANDLOCK_READ;
	/* To uid 0 belongs /proc/sys, capabilities or not. */
	bool proc = features->fresh_proc && scene->uid != 0;
	/* The network is a namespace's, which has abstract sockets of its own: commands share them.
	 */
	const struct landlock_wants wants = { .files = all,
					      .signals = true,
					      .abstract = features->network };
	int ruleset SCOPED(fd_close) = -1;
	int rc = 0;

	/* In /proc a process names its threads and its memory policy. */
	if (landlock_create(&ruleset, abi, &wants, err) < 0 ||
	    landlock_allow(ruleset, AT_FDCWD, "/dev", all, err) < 0 ||
	    (proc && landlock_allow(ruleset, AT_FDCWD, "/proc", write, err) < 0))
		return err->code;
	for (size_t i = 0; rc == 0 && i < scene->roots->root_count; i++)
		rc = landlock_allow(ruleset, scene->trees[i], ".", all, err);
	return rc < 0 ? rc : landlock_enforce(ruleset, err);
}

/* ------------------------------------------------------------------ without namespaces */

/* The host's /dev is excepted but for these. */
static const char *const devices[] = { "/dev/null",   "/dev/zero",    "/dev/full",
				       "/dev/random", "/dev/urandom", "/dev/tty" };

/* What is hidden is excepted from reading, and what is protected from writing too. */
static int grant_all(struct landlock_walk *walk, const struct roots *roots, uint64_t all,
		     struct err *err)
{
	const char *excepted[PLACES_MAX + 1] = { "/dev" };
	const char *known[PLACES_MAX];
	int top SCOPED(fd_close) = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int rc;

	walk->excepted = excepted;
	walk->excepted_count = 1;
	walk->known = known;
	for (size_t i = 0; i < roots->count; i++) {
		known[walk->known_count++] = roots->places[i].path;
		if (roots->places[i].kind == PLACE_HIDDEN)
			excepted[walk->excepted_count++] = roots->places[i].path;
	}
	rc = landlock_allow_but(walk, top, false, err);
	for (size_t i = 0; i < roots->count; i++) {
		if (roots->places[i].kind == PLACE_PROTECTED)
			excepted[walk->excepted_count++] = roots->places[i].path;
	}
	walk->rights = all;
	for (size_t i = 0; rc == 0 && i < roots->root_count; i++) {
		const struct place *place = &roots->places[i];
		int fd SCOPED(fd_close) = -1;

		if ((rc = roots_open(&fd, place, err)) == 0 &&
		    (rc = str_copy(walk->path, sizeof walk->path, place->path, err)) == 0)
			rc = landlock_allow_but(walk, fd, place->temporary, err);
	}
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(devices); i++) {
		if (access(devices[i], F_OK) == 0)
			rc = landlock_allow(walk->ruleset, AT_FDCWD, devices[i], all, err);
	}
	return rc;
}

int landlock_legacy(struct scene *scene, struct err *err)
{
	int abi = scene->features->landlock;
	const struct landlock_wants wants = { .files = landlock_all(abi),
					      .tcp = !scene->features->network,
					      .signals = true,
					      .abstract = true };
	struct landlock_walk walk = { .rights = LANDLOCK_READ, .path = "/" };
	int ruleset SCOPED(fd_close) = -1;

	if (landlock_create(&ruleset, abi, &wants, err) < 0)
		return err->code;
	walk.ruleset = ruleset;
	if (grant_all(&walk, scene->roots, wants.files, err) < 0)
		return err->code;
	return landlock_enforce(ruleset, err);
}

int landlock_verify(struct scene *scene, struct err *err)
{
	int top SCOPED(fd_close) = -1;

	if (caps_verify(scene, err) < 0)
		return err->code;
	top = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* everybody else may list it */
	return top >= 0 ? ERR_SET(err, ERR_STATE, "no rules hold") : 0;
}
