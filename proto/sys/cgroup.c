#include "proto/sys/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#define TEXT_MAX 4096 /* bytes of a file that are looked at */
#define MIB 1048576
#define LEAF "ceiling-"
#define FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* Where version 2 is mounted: alone, or beside version 1. */
static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

static const struct controller {
	const char *name;
	const char *what; /* in a sentence */
	const char *unit;
	const char *otherwise; /* the mechanism without cgroups */
} controllers[CGROUP_COUNT] = {
	[CGROUP_PIDS] = { "pids", "processes", "", "rlimit" },
	[CGROUP_MEMORY] = { "memory", "memory", " MiB", "rlimit, of each process" },
	[CGROUP_CPU] = { "cpu", "processor", " %", "not enforced: no cgroup is delegated" },
};

/* A line of a leaf's limits: the bound times `factor`, and more. Not written without a bound. */
static const struct file {
	enum cgroup_controller controller;
	const char *name;
	int64_t factor;
	const char *more;
} files[] = {
	{ CGROUP_PIDS, "pids.max", 1, "" },
	{ CGROUP_MEMORY, "memory.max", MIB, "" },
	{ CGROUP_MEMORY, "memory.swap.max", 0, "" },
	{ CGROUP_CPU, "cpu.max", 1000, " 100000" }, /* of a tenth of a second */
};

static int delegated = -1; /* the folder; -1 without */
static bool held[CGROUP_COUNT];
static int64_t bounds[CGROUP_COUNT] = { [CGROUP_PIDS] = CGROUP_PIDS_DEFAULT };

static bool put(int folder, const char *name, const char *text)
{
	int fd SCOPED(fd_close) = openat(folder, name, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) >= 0;
}

/* The text of a file up to its first newline behind `from`; NULL when that is not in it. */
static char *look(int fd, const char *from, char text[TEXT_MAX])
{
	ssize_t got = pread(fd, text, TEXT_MAX - 1, 0);
	char *line;

	text[got > 0 ? got : 0] = '\0';
	line = strstr(text, from);
	if (line)
		line[strcspn(line, "\n")] = '\0';
	return line;
}

static char *get(int folder, const char *name, const char *from, char text[TEXT_MAX])
{
	int fd SCOPED(fd_close) = openat(folder, name, O_RDONLY | O_CLOEXEC);

	return look(fd, from, text);
}

static int own_folder(void)
{
	char text[TEXT_MAX];
	char path[TEXT_MAX + 32];
	const char *own = get(AT_FDCWD, "/proc/self/cgroup", "0::/", text);
	struct statfs fs;

	for (size_t i = 0; own && !strstr(own, "/..") && i < ARRAY_LEN(mounts); i++) {
		(void)snprintf(path, sizeof path, "%s%s", mounts[i], own + strlen("0::"));
		if (statfs(path, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
			return open(path, FOLDER);
	}
	return -1;
}

static bool is_delegated(int folder)
{
	char value = '0';

	return (fgetxattr(folder, "user.delegate", &value, 1) == 1 ||
		fgetxattr(folder, "trusted.delegate", &value, 1) == 1) &&
	       value == '1';
}

void cgroup_sweep(bool kill)
{
	int copy = delegated < 0 ? -1 : openat(delegated, ".", FOLDER);
	DIR *folder = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	/* The only thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	while (folder && (entry = readdir(folder))) {
		int leaf SCOPED(fd_close) = -1;
		int events SCOPED(fd_close) = -1;
		struct pollfd change = { .events = POLLPRI };
		char text[TEXT_MAX];

		if (!str_starts(entry->d_name, LEAF))
			continue;
		leaf = openat(copy, entry->d_name, FOLDER);
		change.fd = events = openat(leaf, "cgroup.events", O_RDONLY | O_CLOEXEC);
		if (kill)
			(void)put(leaf, "cgroup.kill", "1");
		while (kill && look(events, "populated 1", text) &&
		       poll(&change, 1, CGROUP_WAIT_MS) > 0)
			;
		(void)unlinkat(copy, entry->d_name, AT_REMOVEDIR);
	}
	if (folder)
		(void)closedir(folder);
}

void cgroup_start(int folder, const int64_t limits[CGROUP_COUNT])
{
	char text[TEXT_MAX];
	char word[16];
	char *next;

	memcpy(bounds, limits, sizeof bounds);
	if (bounds[CGROUP_PIDS] == 0)
		bounds[CGROUP_PIDS] = CGROUP_PIDS_DEFAULT;
	memset(held, 0, sizeof held);
	fd_close(&delegated);
	delegated = folder < 0 ? own_folder() : folder;
	if (delegated < 0 || !is_delegated(delegated) ||
	    (mkdirat(delegated, "broker", 0755) < 0 && errno != EEXIST) ||
	    !put(delegated, "broker/cgroup.procs", "0") ||
	    !(next = get(delegated, "cgroup.controllers", "", text))) {
		fd_close(&delegated);
		return;
	}
	cgroup_sweep(true);
	for (const char *name; (name = strsep(&next, " "));) {
		for (size_t i = 0; i < CGROUP_COUNT; i++) {
			if (!str_eq(name, controllers[i].name))
				continue;
			(void)snprintf(word, sizeof word, "+%s", name);
			held[i] = put(delegated, "cgroup.subtree_control", word);
		}
	}
}

int cgroup_leaf(int *out, struct err *err)
{
	static unsigned number;
	int leaf SCOPED(fd_close) = -1;
	char text[64];

	cgroup_sweep(false);
	(void)snprintf(text, sizeof text, LEAF "%u", ++number);
	if (delegated >= 0 && ((mkdirat(delegated, text, 0755) < 0 && errno != EEXIST) ||
			       (leaf = openat(delegated, text, FOLDER)) < 0))
		return ERR_SYS(err, errno, "cgroup '%s'", text);
	for (size_t i = 0; leaf >= 0 && i < ARRAY_LEN(files); i++) {
		const struct file *file = &files[i];
		int64_t bound = held[file->controller] ? bounds[file->controller] : 0;

		(void)snprintf(text, sizeof text, "%" PRId64 "%s", bound * file->factor,
			       file->more);
		if (bound > 0 && !put(leaf, file->name, text))
			return ERR_SYS(err, errno, "cgroup: %s", file->name);
	}
	*out = fd_take(&leaf);
	return 0;
}

rlim_t cgroup_rlimit(enum cgroup_controller controller)
{
	rlim_t unit = controller == CGROUP_MEMORY ? MIB : 1;

	return held[controller] || bounds[controller] <= 0 ? RLIM_INFINITY
							   : (rlim_t)bounds[controller] * unit;
}

size_t cgroup_limits(const char **out, bool rlimits)
{
	static char texts[CGROUP_COUNT][128];
	size_t count = 0;

	for (size_t i = 0; i < CGROUP_COUNT; i++) {
		const struct controller *row = &controllers[i];

		(void)snprintf(texts[i], sizeof texts[i], "%s %" PRId64 "%s (%s)", row->what,
			       bounds[i], row->unit, held[i] ? "cgroup" : row->otherwise);
		if (bounds[i] > 0 && (held[i] || rlimits))
			out[count++] = texts[i];
	}
	return count;
}
