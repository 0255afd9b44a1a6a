/*
 * mount.c - the steps that make the view of the file system.
 *
 * Only the descriptor-based mount calls are used. A mount goes onto a descriptor that was opened
 * without following any link and has the expected identity, never onto a path.
 */
#include "proto/sys/tree.h"

#include "broker/step.h"

/* The memory that the commands of a ceiling may fill with files in their /dev/shm. */
#define SHM_BYTES "536870912"
#define SHM_FILES "16384" /* the folder itself is one */

#define NO_SPECIALS (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

static const char *const devices[] = { "null", "zero", "full", "random", "urandom", "tty" };

static const char *const dev_links[][2] = { { "ptmx", "pts/ptmx" },
					    { "fd", "/proc/self/fd" },
					    { "stdin", "/proc/self/fd/0" },
					    { "stdout", "/proc/self/fd/1" },
					    { "stderr", "/proc/self/fd/2" } };

#define OPTIONS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* ------------------------------------------------------------------ everything, and places */

static int set_all(struct mount_attr attr, struct err *err)
{
	int top SCOPED(fd_close) = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return tree_attributes(top, AT_RECURSIVE, attr, err);
}

int mount_private(struct scene *scene UNUSED, struct err *err)
{
	return set_all((struct mount_attr){ .propagation = MS_PRIVATE }, err);
}

int mount_seal(struct scene *scene UNUSED, struct err *err)
{
	return set_all((struct mount_attr){ .attr_set = NO_SPECIALS | MOUNT_ATTR_RDONLY }, err);
}

static int take(int *out, const struct place *place, uint64_t attributes, struct err *err)
{
	struct mount_attr attr = { .attr_set = attributes };
	int fd SCOPED(fd_close) = -1;

	if (roots_open(&fd, place, err) < 0)
		return err->code;
	if (tree_copy(out, fd, "", AT_RECURSIVE, attr, err) < 0)
		return ERR_WRAP(err, "'%s'", place->path);
	return 0;
}

static int put(int tree, const struct place *place, struct err *err)
{
	int fd SCOPED(fd_close) = -1;

	if (roots_open(&fd, place, err) < 0)
		return err->code;
	return tree_attach(tree, fd, "", err) < 0 ? ERR_WRAP(err, "'%s'", place->path) : 0;
}

/* A place over itself. */
static int rebind(const struct place *place, uint64_t attributes, struct err *err)
{
	int tree SCOPED(fd_close) = -1;

	return take(&tree, place, attributes, err) < 0 ? err->code : put(tree, place, err);
}

int mount_hold(struct scene *scene, struct err *err)
{
	int *tree = &scene->trees[scene->place - scene->roots->places];

	return take(tree, scene->place, NO_SPECIALS, err);
}

int mount_attach(struct scene *scene, struct err *err)
{
	return put(scene->trees[scene->place - scene->roots->places], scene->place, err);
}

int mount_pin(struct scene *scene, struct err *err)
{
	return rebind(scene->place, NO_SPECIALS, err);
}

int mount_protect(struct scene *scene, struct err *err)
{
	return rebind(scene->place, NO_SPECIALS | MOUNT_ATTR_RDONLY, err);
}

/* An empty file over a file: made where there is room for it, and removed there when it is mounted.
 */
static int hide_file(const struct place *place, struct mount_attr attr, struct err *err)
{
	int folder SCOPED(fd_close) = open("/dev/shm", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int file SCOPED(fd_close) =
		openat(folder, "empty", O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0444);
	int tree SCOPED(fd_close) = -1;

	if (file < 0)
		return ERR_SYS(err, errno, "an empty file");
	if (tree_copy(&tree, folder, "empty", 0, attr, err) < 0 || put(tree, place, err) < 0)
		return err->code;
	return CHECK(err, unlinkat(folder, "empty", 0), "an empty file");
}

int mount_hide(struct scene *scene, struct err *err)
{
	unsigned attributes = NO_SPECIALS | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY;
	int mask SCOPED(fd_close) = -1;

	if (scene->place->id.type != S_IFDIR)
		return hide_file(scene->place, (struct mount_attr){ .attr_set = attributes }, err);
	if (tree_make(&mask, "tmpfs", OPTIONS("mode", "0000"), attributes, err) < 0)
		return err->code;
	return put(mask, scene->place, err);
}

/* ------------------------------------------------------------------ /dev and /proc */

/* Device nodes of the /dev outside, which the seal has made useless. */
static int add_devices(int dev, int outside, struct err *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
				   .attr_clr = MOUNT_ATTR_NODEV };

	for (size_t i = 0; i < ARRAY_LEN(devices); i++) {
		int tree SCOPED(fd_close) = -1;
		int file SCOPED(fd_close) =
			openat(dev, devices[i], O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0444);

		if (file < 0)
			return ERR_SYS(err, errno, "'/dev/%s'", devices[i]);
		if (tree_copy(&tree, outside, devices[i], 0, attr, err) < 0 ||
		    tree_attach(tree, dev, devices[i], err) < 0)
			return ERR_WRAP(err, "'/dev/%s'", devices[i]);
	}
	return 0;
}

int mount_dev(struct scene *scene UNUSED, struct err *err)
{
	const unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
	struct mount_attr seal = { .attr_set = MOUNT_ATTR_RDONLY };
	int folder SCOPED(fd_close) = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int dev SCOPED(fd_close) = -1;
	int pts SCOPED(fd_close) = -1;
	int shm SCOPED(fd_close) = -1;
	int null SCOPED(fd_close) = -1;

	if (tree_make(&dev, "tmpfs", OPTIONS("mode", "0755"), attributes, err) < 0 ||
	    tree_make(&pts, "devpts", OPTIONS("ptmxmode", "0666"), attributes, err) < 0 ||
	    tree_make(&shm, "tmpfs",
		      OPTIONS("mode", "1777", "size", SHM_BYTES, "nr_inodes", SHM_FILES),
		      NO_SPECIALS, err) < 0 ||
	    tree_attach(dev, folder, "", err) < 0 || add_devices(dev, folder, err) < 0)
		return err->code;
	for (size_t i = 0; i < ARRAY_LEN(dev_links); i++) {
		if (symlinkat(dev_links[i][1], dev, dev_links[i][0]) < 0)
			return ERR_SYS(err, errno, "'/dev/%s'", dev_links[i][0]);
	}
	if (mkdirat(dev, "pts", 0755) < 0 || mkdirat(dev, "shm", 0755) < 0)
		return ERR_SYS(err, errno, "mkdir in /dev");
	if (tree_attach(pts, dev, "pts", err) < 0 || tree_attach(shm, dev, "shm", err) < 0 ||
	    tree_attributes(dev, 0, seal, err) < 0)
		return err->code;
	null = openat(dev, "null", O_RDWR | O_CLOEXEC);
	return CHECK(err, null, "open '/dev/null'");
}

int mount_proc(struct scene *scene, struct err *err)
{
	/* To uid 0 belongs /proc/sys, capabilities or not. */
	unsigned attributes =
		NO_SPECIALS | MOUNT_ATTR_NOEXEC | (scene->uid == 0 ? MOUNT_ATTR_RDONLY : 0);
	int folder SCOPED(fd_close) = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int proc SCOPED(fd_close) = -1;

	if (tree_make(&proc, "proc", OPTIONS(NULL), attributes, err) < 0)
		return err->code;
	return tree_attach(proc, folder, "", err);
}
