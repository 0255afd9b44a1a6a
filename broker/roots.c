#include "broker/roots.h"

#include <dirent.h>
#include <linux/openat2.h>

#include "broker/step.h"

static const char *const protected_names[] = { ".git", ".agents", ".agentd", ".codex" };

#define NS_PER_S 1000000000U

/* Trees that every sandbox has of its own, or that are the kernel's. */
static const char *const own_trees[] = { "/dev", "/proc", "/sys" };

bool path_beneath(const char *path, const char *folder)
{
	size_t length = folder[1] ? strlen(folder) : 0; /* "/" ends in its slash */

	return strncmp(path, folder, length) == 0 && path[length] == '/' && path[length + 1];
}

static bool at_or_beneath(const char *path, const char *folder)
{
	return strcmp(path, folder) == 0 || path_beneath(path, folder);
}

/* What cannot be looked at is as good as absent: a command has no more rights. */
static struct identity identity_at(int folder, const char *path)
{
	struct identity id = { 0 };
	struct stat st;

	if (fstatat(folder, path, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) == 0)
		id = (struct identity){ st.st_dev, st.st_ino, st.st_mode & S_IFMT, 0 };
	if (id.type == S_IFREG)
		id.stamp = (uint64_t)st.st_mtim.tv_sec * NS_PER_S + (uint64_t)st.st_mtim.tv_nsec;
	return id;
}

static bool is_still(const struct place *place, int folder, const char *path)
{
	struct identity now = identity_at(folder, path);

	return memcmp(&place->id, &now, sizeof now) == 0;
}

/* ------------------------------------------------------------------ the list */

static bool in_a_root(const struct roots *roots, const char *path)
{
	for (size_t i = 0; i < roots->root_count; i++) {
		if (path_beneath(path, roots->places[i].path))
			return true;
	}
	return false;
}

/* Adds a place, unless there is one of that path and kind; for a pin, of any kind. */
static int add(struct roots *roots, enum place_kind kind, size_t owner, const char *path,
	       struct err *err)
{
	struct place *place = &roots->places[roots->count];
	size_t owned = 0;

	for (size_t i = 0; i < roots->count; i++) {
		const struct place *other = &roots->places[i];

		if ((other->kind == kind || kind == PLACE_PIN) && str_eq(other->path, path))
			return 0;
		owned += other->kind == kind && other->owner == owner;
	}
	if (roots->count == PLACES_MAX || owned == SANDBOX_PROTECTED_MAX)
		return ERR_SET(err, ERR_LIMIT,
			       "'%s': one protected path too many (%d, %d for a root)", path,
			       PLACES_MAX, SANDBOX_PROTECTED_MAX);
	*place = (struct place){ .kind = kind,
				 .owner = owner,
				 .inside = in_a_root(roots, path),
				 .path = str_dup(path),
				 .id = identity_at(AT_FDCWD, path) };
	if (!place->path)
		return ERR_NOMEM_SET(err);
	roots->count++;
	return 0;
}

void roots_deinit(struct roots *roots)
{
	for (size_t i = 0; i < roots->count; i++)
		free(roots->places[i].path);
	roots->count = 0;
	roots->root_count = 0;
}

bool roots_changed(const struct roots *roots)
{
	for (size_t i = 0; i < roots->count; i++) {
		if (!is_still(&roots->places[i], AT_FDCWD, roots->places[i].path))
			return true;
	}
	return false;
}

int roots_open(int *out, const struct place *place, struct err *err)
{
	struct open_how how = { .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
				.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	int fd SCOPED(fd_close) =
		(int)syscall(SYS_openat2, AT_FDCWD, place->path, &how, sizeof how);

	if (fd < 0)
		return ERR_SYS(err, errno, "open '%s'", place->path);
	if (!is_still(place, fd, ""))
		return ERR_SET(err, ERR_STATE, "'%s' has just become another file", place->path);
	*out = fd_take(&fd);
	return 0;
}

/* ------------------------------------------------------------------ roots */

static int by_path(const void *left, const void *right)
{
	const struct place *a = left;
	const struct place *b = right;

	return strcmp(a->path, b->path);
}

/* The whole file system, a tree of the kernel, or the product's own folder. */
static bool is_no_workspace(const char *path, const struct sandbox_config *config)
{
	char hidden[PATH_MAX];
	bool found = strcmp(path, "/") == 0;

	for (size_t i = 0; i < ARRAY_LEN(own_trees); i++)
		found = found || at_or_beneath(path, own_trees[i]);
	for (size_t i = 0; i < config->hidden_count; i++)
		found = found ||
			(realpath(config->hidden[i], hidden) && at_or_beneath(path, hidden));
	return found;
}

static int add_root(struct roots *roots, const struct sandbox_config *config, const char *path,
		    struct err *err)
{
	char canonical[PATH_MAX];
	struct stat st;

	if (path[0] != '/')
		return ERR_SET(err, ERR_INVALID, "root '%s': not an absolute path", path);
	if (!realpath(path, canonical) || stat(canonical, &st) < 0 || !S_ISDIR(st.st_mode))
		return ERR_SET(err, ERR_NOTFOUND, "root '%s': no such folder", path);
	if (is_no_workspace(canonical, config))
		return ERR_SET(err, ERR_DENIED,
			       "root '%s': everything, the kernel's or the product's own; name "
			       "another folder, or use danger-full-access",
			       canonical);
	if (roots->root_count == ROOTS_MAX)
		return ERR_SET(err, ERR_LIMIT, "more than %d writable roots", ROOTS_MAX);
	if (add(roots, PLACE_ROOT, roots->root_count, canonical, err) < 0)
		return err->code;
	roots->root_count = roots->count;
	return 0;
}

static int add_roots(struct roots *roots, const struct sandbox_config *config, struct err *err)
{
	struct err ignored = { 0 };
	int rc = add_root(roots, config, config->cwd, err);

	for (size_t i = 0; rc == 0 && i < config->root_count; i++)
		rc = add_root(roots, config, config->roots[i], err);
	/* A temporary folder that cannot be a root is none: nobody asked for it by name. */
	if (rc == 0 && !config->exclude_slash_tmp)
		(void)add_root(roots, config, "/tmp", &ignored);
	if (rc == 0 && !config->exclude_tmpdir && config->tmpdir)
		(void)add_root(roots, config, config->tmpdir, &ignored);
	qsort(roots->places, roots->root_count, sizeof roots->places[0], by_path);
	for (size_t i = 0; i < roots->root_count; i++)
		roots->places[i].owner = i;
	return rc;
}

/* ------------------------------------------------------------------ protected places */

/* A name too long leaves "", which no file has. */
static bool join(char joined[PATH_MAX], const char *folder, const char *name)
{
	if (snprintf(joined, PATH_MAX, "%s/%s", folder[1] ? folder : "", name) >= PATH_MAX)
		joined[0] = '\0';
	return joined[0] != '\0';
}

/*
 * Where `text` leads, seen from the canonical folder `base`: out is the canonical path, or "" when
 * there is no such file. Links on the way are protected: whoever could exchange one would choose
 * where it ends.
 */
static int follow(struct roots *roots, size_t owner, const char *base, const char *text,
		  char out[PATH_MAX], struct err *err)
{
	char rest[PATH_MAX];
	char path[PATH_MAX];
	char target[PATH_MAX];
	char *next = rest;
	const char *name;
	bool found = str_copy(rest, sizeof rest, text, NULL) == 0 &&
		     str_copy(out, PATH_MAX, text[0] == '/' ? "/" : base, NULL) == 0;

	for (int links = 0; found && (name = strsep(&next, "/"));) {
		ssize_t end = join(path, out, name) ? readlink(path, target, PATH_MAX - 1) : 0;

		if (end <= 0) {
			found = realpath(path, out);
			continue;
		}
		if (in_a_root(roots, path) && add(roots, PLACE_PROTECTED, owner, path, err) < 0)
			return err->code;
		if (target[0] == '/')
			out[1] = '\0';
		/* What is left comes behind the link's own text. */
		target[end] = next ? '/' : '\0';
		found = ++links <= FOLLOW_LINKS_MAX &&
			(!next ||
			 str_copy(target + end + 1, (size_t)(PATH_MAX - end - 1), next, NULL) == 0);
		next = memcpy(rest, target, sizeof rest);
	}
	if (!found)
		out[0] = '\0';
	return 0;
}

/*
 * Protects the file to which `text` leads. A target that holds the naming root itself is nonsense
 * that would make the whole root read-only: ignored.
 */
static int lead(struct roots *roots, size_t owner, const char *base, const char *text,
		struct err *err)
{
	char path[PATH_MAX];

	if (follow(roots, owner, base, text, path, err) < 0)
		return err->code;
	if (path[0] == '\0' || at_or_beneath(roots->places[owner].path, path))
		return 0;
	return add(roots, PLACE_PROTECTED, owner, path, err);
}

/* Links directly inside a protected folder (hooks -> ../hooks): what they lead to runs as well. */
static int lead_links(struct roots *roots, const struct place *folder, struct err *err)
{
	DIR *dir = opendir(folder->path);
	struct dirent *entry;
	int rc = 0;

	/* The only thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	for (int i = 0; dir && rc == 0 && i < LINK_SCAN_MAX && (entry = readdir(dir)); i++) {
		if (entry->d_type == DT_LNK)
			rc = lead(roots, folder->owner, folder->path, entry->d_name, err);
	}
	if (dir)
		(void)closedir(dir);
	return rc;
}

/* The start of a small file of a repository; false when it cannot be one. */
static bool read_text(char out[POINTER_FILE_MAX + 1], const char *path)
{
	int fd SCOPED(fd_close) = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, out, POINTER_FILE_MAX);

	out[got > 0 ? got : 0] = '\0';
	return got > 0;
}

char *pointer_target(char *text)
{
	char *colon = strchr(text, ':');
	char *target = colon ? colon + 1 + strspn(colon + 1, " \t\r\n") : NULL;
	size_t length = target ? strlen(target) : 0;

	while (length > 0 && strchr(" \t\r\n", target[length - 1]))
		target[--length] = '\0';
	return length > 0 ? target : NULL;
}

/*
 * What a protected place leads to. A folder: its links, and what a linked worktree shares with its
 * repository. A .git that is a file, or what a .git that is a link leads to: the folder it points
 * to; a broken one leads nowhere.
 */
static int lead_on(struct roots *roots, const struct place *from, struct err *err)
{
	const char *base = roots->places[from->owner].path;
	char text[POINTER_FILE_MAX + 1];
	char path[PATH_MAX];
	char *target = NULL;

	if (from->id.type == S_IFDIR) {
		if (lead_links(roots, from, err) < 0)
			return err->code;
		base = from->path;
		if (join(path, base, "commondir") && read_text(text, path)) {
			text[strcspn(text, "\r\n")] = '\0';
			target = text[0] ? text : NULL;
		}
	} else if (from->id.type == S_IFREG && read_text(text, from->path) &&
		   (str_ends(from->path, "/.git") || str_starts(text, "gitdir:"))) {
		target = pointer_target(text);
	}
	return target ? lead(roots, from->owner, base, target, err) : 0;
}

static int protect_name(struct roots *roots, size_t owner, const char *name, struct err *err)
{
	const char *root = roots->places[owner].path;
	char path[PATH_MAX];
	enum place_kind kind;

	if (!join(path, root, name))
		return ERR_SET(err, ERR_LIMIT, "root '%s': path too long", root);
	kind = identity_at(AT_FDCWD, path).type ? PLACE_PROTECTED : PLACE_WATCHED;
	if (add(roots, kind, owner, path, err) < 0)
		return err->code;
	return lead(roots, owner, root, name, err);
}

static int protect_all(struct roots *roots, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < roots->root_count; i++) {
		for (size_t j = 0; rc == 0 && j < ARRAY_LEN(protected_names); j++)
			rc = protect_name(roots, i, protected_names[j], err);
	}
	/* What a place leads to is appended, and gets its turn. */
	for (size_t i = roots->root_count; rc == 0 && i < roots->count; i++) {
		if (roots->places[i].kind == PLACE_PROTECTED)
			rc = lead_on(roots, &roots->places[i], err);
	}
	return rc;
}

/* ------------------------------------------------------------------ hidden, pinned, sorted */

static int hide(struct roots *roots, const char *path, struct err *err)
{
	char end[PATH_MAX];

	if (follow(roots, 0, "/", path, end, err) < 0)
		return ERR_WRAP(err, "hide '%s'", path);
	if (end[0] == '\0') /* and a command could make it its own, or see it once it is there */
		return ERR_SET(err, ERR_NOTFOUND, "'%s' does not exist: create it", path);
	return add(roots, PLACE_HIDDEN, 0, end, err);
}

/* Pins the folders above a place that a command could rename, and the place with them. */
static int pin_above(struct roots *roots, const struct place *place, struct err *err)
{
	char folder[PATH_MAX];
	char *slash;
	int rc = str_copy(folder, sizeof folder, place->path, err);

	while (rc == 0 && (slash = strrchr(folder, '/')) && slash != folder) {
		*slash = '\0';
		if (!in_a_root(roots, folder))
			return 0;
		rc = add(roots, PLACE_PIN, place->owner, folder, err);
	}
	return rc;
}

int roots_find(struct roots *out, const struct sandbox_config *config, struct err *err)
{
	int rc = 0;

	out->count = 0;
	out->root_count = 0;
	if (config->mode == SANDBOX_MODE_WORKSPACE_WRITE)
		rc = add_roots(out, config, err);
	if (rc == 0)
		rc = protect_all(out, err);
	for (size_t i = 0; rc == 0 && i < config->hidden_count; i++)
		rc = hide(out, config->hidden[i], err);
	for (size_t i = 0; rc == 0 && i < out->count; i++) {
		if (out->places[i].kind == PLACE_PROTECTED || out->places[i].kind == PLACE_HIDDEN)
			rc = pin_above(out, &out->places[i], err);
	}
	qsort(out->places + out->root_count, out->count - out->root_count, sizeof out->places[0],
	      by_path);
	if (rc < 0)
		roots_deinit(out);
	return rc;
}
