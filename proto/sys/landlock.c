#include "proto/sys/landlock.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/base/fd.h"
#include "proto/base/path.h"
#include "proto/base/str.h"
#include "proto/sys/call.h"

/* The kernel's own names, where the header is older than the ABI that this file knows. */
#define ACCESS_IOCTL_DEV (1ULL << 15)
#define SCOPE_ABSTRACT (1ULL << 0)
#define SCOPE_SIGNAL (1ULL << 1)
#define TCP ((1ULL << 0) | (1ULL << 1)) /* bind, connect */

#define OF_ABI_2 ((LANDLOCK_ACCESS_FS_REFER << 1) - 1)

#define OF_FILES /* the rights that a file can have which is no folder */                          \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |                               \
	 LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE | ACCESS_IOCTL_DEV)

/* Older kernels refuse a longer struct only where the rest is not zero. */
struct attributes {
	uint64_t files;
	uint64_t network;
	uint64_t scopes;
};

int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (abi < 0)
		return 0;
	return abi > LANDLOCK_ABI_KNOWN ? LANDLOCK_ABI_KNOWN : (int)abi;
}

uint64_t landlock_newer(int abi)
{
	return (abi >= LANDLOCK_ABI_TRUNCATE ? LANDLOCK_ACCESS_FS_TRUNCATE : 0) |
	       (abi >= LANDLOCK_ABI_IOCTL_DEV ? ACCESS_IOCTL_DEV : 0);
}

uint64_t landlock_all(int abi)
{
	return (abi >= LANDLOCK_ABI_REFER ? OF_ABI_2 : LANDLOCK_ACCESS_FS_REFER - 1) |
	       landlock_newer(abi);
}

int landlock_create(int *out, int abi, const struct landlock_wants *wants, struct err *err)
{
	struct attributes attributes = { .files = wants->files & landlock_all(abi) };

	if (abi >= LANDLOCK_ABI_NETWORK && wants->tcp)
		attributes.network = TCP;
	if (abi >= LANDLOCK_ABI_SCOPES)
		attributes.scopes = (wants->signals ? SCOPE_SIGNAL : 0) |
				    (wants->abstract ? SCOPE_ABSTRACT : 0);
	*out = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
	return CHECK(err, *out, "landlock_create_ruleset");
}

int landlock_enforce(int ruleset, struct err *err)
{
	return SYSCALL(err, landlock_restrict_self, ruleset, 0);
}

int landlock_allow_fd(int ruleset, int fd, uint64_t rights, const char *path, struct err *err)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = rights, .parent_fd = fd };
	struct stat st;

	if (fstat(fd, &st) < 0)
		return ERR_SYS(err, errno, "'%s'", path);
	if (!S_ISDIR(st.st_mode))
		rule.allowed_access &= OF_FILES;
	return CHECK(err,
		     syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0),
		     "landlock_add_rule '%s'", path);
}

int landlock_allow(int ruleset, int folder, const char *path, uint64_t rights, struct err *err)
{
	int fd SCOPED(fd_close) = openat(folder, path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return ERR_SYS(err, errno, "open '%s'", path);
	return landlock_allow_fd(ruleset, fd, rights, path, err);
}

/* ------------------------------------------------------------------ with exceptions */

static int walk_on(struct landlock_walk *walk, int fd, bool whole, struct err *err);

static size_t length(const char *folder)
{
	return folder[1] ? strlen(folder) : 0; /* "/" ends in its slash */
}

static int walk_entry(struct landlock_walk *walk, int folder, const char *name, size_t len,
		      struct err *err)
{
	int fd SCOPED(fd_close) = -1;
	char *end = walk->path + length(walk->path);
	int rc = 0;

	if (++walk->entries > LANDLOCK_ENTRIES_MAX || end + len + 1 >= walk->path + PATH_MAX)
		return ERR_SET(err, ERR_LIMIT, "'%.300s': more than %d entries have to be granted",
			       walk->path, LANDLOCK_ENTRIES_MAX);
	*(char *)mempcpy(end + 1, name, len) = '\0';
	fd = openat(folder, end + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	*end = '/';
	if (fd >= 0) /* otherwise there is nothing to grant */
		rc = walk_on(walk, fd, true, err);
	end[end == walk->path] = '\0';
	return rc;
}

static int walk_entries(struct landlock_walk *walk, int folder, struct err *err)
{
	int list = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = list < 0 ? NULL : fdopendir(list);
	struct dirent *entry;
	int rc = 0;

	/* The only thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	while (dir && rc == 0 && (entry = readdir(dir))) {
		if (!str_eq(entry->d_name, ".") && !str_eq(entry->d_name, ".."))
			rc = walk_entry(walk, folder, entry->d_name, strlen(entry->d_name), err);
	}
	for (size_t i = 0; !dir && rc == 0 && i < walk->known_count; i++) {
		const char *name = walk->known[i] + length(walk->path) + 1;

		if (path_beneath(walk->known[i], walk->path))
			rc = walk_entry(walk, folder, name, strcspn(name, "/"), err);
	}
	if (dir)
		(void)closedir(dir);
	return rc;
}

/* All of it, what is not excepted in it, or nothing. */
static int walk_on(struct landlock_walk *walk, int fd, bool whole, struct err *err)
{
	struct stat st;

	for (size_t i = 0; i < walk->excepted_count; i++) {
		const char *path = walk->excepted[i];

		if (str_eq(walk->path, path) || path_beneath(walk->path, path))
			return 0;
		whole = whole && !path_beneath(path, walk->path);
	}
	if (fstat(fd, &st) < 0 || S_ISLNK(st.st_mode))
		return 0;
	return whole ? landlock_allow_fd(walk->ruleset, fd, walk->rights, walk->path, err)
		     : walk_entries(walk, fd, err);
}

int landlock_allow_but(struct landlock_walk *walk, int fd, bool whole, struct err *err)
{
	return walk_on(walk, fd, whole, err);
}
