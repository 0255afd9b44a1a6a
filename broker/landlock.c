/*
 * landlock.c - the second layer: what may be written, bound to files instead of mounts.
 */
#include <linux/landlock.h>

#include "broker/step.h"

/* The kernel's own names, where the header is older than the ABI that this file knows. */
#define ACCESS_TRUNCATE (1ULL << 14)  /* ABI 3 */
#define ACCESS_IOCTL_DEV (1ULL << 15) /* ABI 5 */
#define SCOPE_ABSTRACT (1ULL << 0)    /* ABI 6 */
#define SCOPE_SIGNAL (1ULL << 1)

#define ABI_REFER 2 /* below it, no file can be moved to another folder at all */
#define ABI_TRUNCATE 3
#define ABI_IOCTL_DEV 5
#define ABI_KNOWN 7

#define READ                                                                                       \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define EVERYTHING ((LANDLOCK_ACCESS_FS_REFER << 1) - 1) /* of ABI 2 */

struct ruleset_attributes {
	uint64_t files;
	/* Not handled: the network namespace does it, and own servers must work. */
	uint64_t network;
	uint64_t scopes;
};

int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (abi < ABI_REFER)
		return 0;
	return abi > ABI_KNOWN ? ABI_KNOWN : (int)abi;
}

static int allow(int ruleset, int folder, const char *path, uint64_t rights, struct err *err)
{
	int fd SCOPED(fd_close) = openat(folder, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = { .allowed_access = rights, .parent_fd = fd };

	if (fd < 0)
		return ERR_SYS(err, errno, "open '%s'", path);
	return CHECK(err,
		     syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0),
		     "landlock_add_rule '%s'", path);
}

int landlock_rules(struct scene *scene, struct err *err)
{
	const struct features *features = scene->features;
	int abi = features->landlock;
	uint64_t newer = (abi >= ABI_TRUNCATE ? ACCESS_TRUNCATE : 0) |
			 (abi >= ABI_IOCTL_DEV ? ACCESS_IOCTL_DEV : 0);
	uint64_t write = LANDLOCK_ACCESS_FS_WRITE_FILE | newer;
	uint64_t all = EVERYTHING | newer;
	/* To uid 0 belongs /proc/sys, capabilities or not. */
	bool proc = features->fresh_proc && scene->uid != 0;
	/* Older kernels refuse a longer struct only where the rest is not zero. */
	struct ruleset_attributes attributes = { .files = all };
	int ruleset SCOPED(fd_close) = -1;
	int rc = 0;

	/* An own network has its own abstract sockets, which commands of a session share. */
	if (abi >= LANDLOCK_SCOPES_ABI)
		attributes.scopes = SCOPE_SIGNAL | (features->network ? SCOPE_ABSTRACT : 0);
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
	/* In /proc a process names its threads and its memory policy. */
	if (CHECK(err, ruleset, "landlock_create_ruleset") < 0 ||
	    allow(ruleset, AT_FDCWD, "/", READ, err) < 0 ||
	    allow(ruleset, AT_FDCWD, "/dev", all, err) < 0 ||
	    (proc && allow(ruleset, AT_FDCWD, "/proc", READ | write, err) < 0))
		return err->code;
	for (size_t i = 0; rc == 0 && i < scene->roots->root_count; i++)
		rc = allow(ruleset, scene->trees[i], ".", all, err);
	return rc < 0 ? rc : SYSCALL(err, landlock_restrict_self, ruleset, 0);
}
