#include "broker/watch.h"

#include <sys/statvfs.h>

#include "proto/sys/bell.h"

#include "broker/step.h"

enum polled { MOUNTS, ALARM };

/* What the zygote watches with. */
static struct watch shared;
static struct bell bell;

/* ------------------------------------------------------------------ mounts */

int watch_protected(const struct place *place, struct err *err)
{
	int fd SCOPED(fd_close) = open(place->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct statvfs fs;

	if (fd < 0 || fstatvfs(fd, &fs) < 0)
		return ERR_SYS(err, errno, "'%s'", place->path);
	if (!(fs.f_flag & ST_RDONLY))
		return ERR_SET(err, ERR_STATE, "'%s' is not read-only", place->path);
	return 0;
}

/* The file itself is seen again where its mask was. */
static bool is_bare(const struct place *place)
{
	struct stat st;

	return fstatat(AT_FDCWD, place->path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_dev == place->id.device && st.st_ino == place->id.inode;
}

/* Other mounts may come to their end as well: those of the host, below folders that it removes. */
static const struct place *find_lost(const struct roots *roots)
{
	struct err err = { 0 };

	for (size_t i = 0; i < roots->count; i++) {
		const struct place *place = &roots->places[i];

		if (place->kind == PLACE_PROTECTED
			    ? place->inside && watch_protected(place, &err) < 0
			    : place->kind == PLACE_HIDDEN && is_bare(place))
			return place;
	}
	return NULL;
}

/* ------------------------------------------------------------------ names */

static const char *name_of(const struct place *place)
{
	return strrchr(place->path, '/') + 1;
}

/* Has a name that a command must not make, or may not take away. */
static bool is_watched(const struct place *place)
{
	return place->kind == PLACE_WATCHED || (place->kind == PLACE_PROTECTED && place->inside);
}

/* A name that has come to be, or that means another file: also when a folder was renamed, with
 * which its mount goes. */
static const struct place *find_made(const struct watch *watch)
{
	for (size_t i = 0; i < watch->roots->count; i++) {
		const struct place *place = &watch->roots->places[i];
		struct stat st = { 0 };

		if (!is_watched(place))
			continue;
		(void)fstatat(watch->folders[i], name_of(place), &st, AT_SYMLINK_NOFOLLOW);
		if (st.st_ino != place->id.inode || (st.st_ino && st.st_dev != place->id.device))
			return place;
	}
	return NULL;
}

static int open_folder(struct watch *watch, size_t i, struct err *err)
{
	char path[PATH_MAX];
	struct place folder = { .path = path, .id = watch->roots->places[i].folder };

	for (size_t j = 0; j < i; j++) {
		const struct place *other = &watch->roots->places[j];

		if (is_watched(other) &&
		    memcmp(&other->folder, &folder.id, sizeof folder.id) == 0) {
			watch->folders[i] = watch->folders[j];
			return 0;
		}
	}
	path_folder(path, watch->roots->places[i].path);
	return roots_open(&watch->folders[i], &folder, err);
}

int watch_open(struct watch *watch, const struct roots *roots, int mounts, int alarm,
	       struct err *err)
{
	*watch = (struct watch){ .roots = roots, .mounts = mounts, .alarm = alarm };
	for (size_t i = 0; i < roots->count; i++) {
		if (is_watched(&roots->places[i]) && open_folder(watch, i, err) < 0)
			return err->code;
	}
	watch->changed = find_made(watch);
	if (watch->changed)
		return ERR_SET(err, ERR_STATE, "'%s' has just changed", watch->changed->path);
	return 0;
}

void watch_poll(const struct watch *watch, struct pollfd fds[WATCH_FDS])
{
	fds[MOUNTS] = (struct pollfd){ .fd = watch->mounts, .events = POLLPRI };
	fds[ALARM] = (struct pollfd){ .fd = watch->alarm, .events = POLLIN };
}

bool watch_changed(struct watch *watch, const struct pollfd fds[WATCH_FDS])
{
	if (fds[ALARM].revents)
		watch->changed = &watch->roots->places[*bell.rung];
	else if (fds[MOUNTS].revents)
		watch->changed = find_lost(watch->roots);
	return watch->changed;
}

bool watch_last(struct watch *watch)
{
	struct pollfd fds[WATCH_FDS];

	watch_poll(watch, fds);
	if (!watch->changed && (poll(fds, WATCH_FDS, 0) <= 0 || !watch_changed(watch, fds)))
		watch->changed = find_made(watch);
	return watch->changed;
}

/* ------------------------------------------------------------------ the zygote's */

static bool look(size_t *out)
{
	const struct place *place = find_made(&shared);

	*out = place ? (size_t)(place - shared.roots->places) : 0;
	return place;
}

int watch_share(int *out_alarm, const struct roots *roots, struct err *err)
{
	size_t made;

	if (bell_make(&bell, err) < 0 || watch_open(&shared, roots, -1, bell.alarm, err) < 0)
		return err->code;
	for (size_t i = 0; i < roots->count; i++) {
		const struct place *place = &roots->places[i];

		bell_add(&bell, shared.folders[i], is_watched(place) ? name_of(place) : NULL);
	}
	*out_alarm = bell.alarm;
	/* Whatever came between the look and the watch. */
	return look(&made) ? ERR_SET(err, ERR_STATE, "a protected name has just come to be") : 0;
}

bool watch_wait(int control)
{
	return !bell.rung || bell_wait(&bell, control, look); /* without: nothing is watched */
}

void watch_clean(const struct watch *watch, bool files_alone)
{
	for (size_t i = 0; i < watch->roots->count; i++) {
		const struct place *place = &watch->roots->places[i];
		const char *name = name_of(place);
		bool was_folder = place->kind == PLACE_PROTECTED && place->id.type == S_IFDIR;
		struct stat st;

		if (!is_watched(place) || (place->id.type && !was_folder) ||
		    fstatat(watch->folders[i], name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISREG(st.st_mode) || (!files_alone && !was_folder))
			(void)unlinkat(watch->folders[i], name,
				       S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
	}
}
