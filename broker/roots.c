#include "broker/roots.h"

#include <dirent.h>
#include <linux/openat2.h>

#include "broker/step.h"

static const char *const protected_names[] = { ".git", ".agents", ".agentd", ".codex" };

/*
 * In a .git folder where commits are allowed: what makes git, or what reads it, run programs. What
 * stays writable is still believed by git: from a forged index it restores a file to any path, a
 * hook too. Who allows commits trusts commands so far.
 */
static const char *const git_names[] = {
	"config",          /* names programs: fsmonitor, pager, filters, ssh, aliases */
	"config.worktree", /* the same */
	"hooks",           /* are programs */
	"info",            /* attributes choose the filters of config; exclude hides files */
	"modules",         /* repositories of submodules, with config and hooks of their own */
	"worktrees",       /* lead to working trees elsewhere, each with its config.worktree */
	"commondir",       /* would lead to another config and other hooks */
	"gitdir",          /* where a linked working tree is */
	"remotes",         /* URLs in the old form, which can name programs */
	"branches",        /* the same, older still */
	"rebase-merge",    /* what a rebase has left to do, which can name programs */
	"rebase-apply",    /* the same */
	"sequencer",       /* the same of a cherry-pick */
};

#define NS_PER_S 1000000000U

/* Trees that every sandbox has of its own, or that are the kernel's. */
static const char *const own_trees[] = { "/dev", "/proc", "/sys" };

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

/* Listed for its root, in the view of the sandbox. */
static bool is_listed(enum place_kind kind)
{
	return kind == PLACE_PROTECTED || kind == PLACE_WATCHED;
}

/*
 * What is hidden needs no protection, nor what lies in a folder that is read-only; but a link there
 * is kept, for the host may exchange it.
 */
static bool is_covered(const struct place *folder, const struct place *place)
{
	if (folder->kind == PLACE_HIDDEN && is_listed(place->kind))
		return path_within(place->path, folder->path);
	return folder->kind == PLACE_PROTECTED && folder->id.type == S_IFDIR &&
	       place->kind == PLACE_PROTECTED && place->id.type != S_IFLNK &&
	       path_beneath(place->path, folder->path);
}

/* Adds a place, unless there is one of that path and kind; for a pin, of any kind. */
static int add(struct roots *roots, enum place_kind kind, size_t owner, const char *path,
	       struct err *err)
{
	struct place place = { .kind = kind,
			       .owner = owner,
			       .inside = in_a_root(roots, path),
			       .path = (char *)(uintptr_t)path,
			       .id = identity_at(AT_FDCWD, path) };
	char folder[PATH_MAX];
	size_t owned = 0;

	for (size_t i = 0; i < roots->count; i++) {
		const struct place *other = &roots->places[i];

		if (((other->kind == kind || kind == PLACE_PIN) && str_eq(other->path, path)) ||
		    is_covered(other, &place))
			return 0;
		owned += is_listed(other->kind) && other->owner == owner;
	}
	if (roots->count == PLACES_MAX || (is_listed(kind) && owned == SANDBOX_PROTECTED_MAX))
		return ERR_SET(err, ERR_LIMIT,
			       "'%s': one protected path too many (%d, %d for a root)", path,
			       PLACES_MAX, SANDBOX_PROTECTED_MAX);
	if (is_listed(kind)) {
		path_folder(folder, path);
		place.folder = identity_at(AT_FDCWD, folder);
	}
	place.path = str_dup(path);
	if (!place.path)
		return ERR_NOMEM_SET(err);
	roots->places[roots->count++] = place;
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

bool roots_reserved(const struct roots *roots, uint64_t device, uint64_t inode, const char *name)
{
	for (size_t i = roots->root_count; i < roots->count; i++) {
		const struct place *place = &roots->places[i];

		if (place->folder.inode == inode && place->folder.device == device &&
		    place->folder.type && strcasecmp(strrchr(place->path, '/') + 1, name) == 0)
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
		found = found || path_within(path, own_trees[i]);
	for (size_t i = 0; i < config->hidden_count; i++)
		found = found || (realpath(config->hidden[i], hidden) && path_within(path, hidden));
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
	size_t named;

	for (size_t i = 0; rc == 0 && i < config->root_count; i++)
		rc = add_root(roots, config, config->roots[i], err);
	named = roots->root_count;
	/* A temporary folder that cannot be a root is none: nobody asked for it by name. */
	if (rc == 0 && !config->exclude_slash_tmp)
		(void)add_root(roots, config, "/tmp", &ignored);
	if (rc == 0 && !config->exclude_tmpdir && config->tmpdir)
		(void)add_root(roots, config, config->tmpdir, &ignored);
	for (size_t i = named; i < roots->root_count; i++)
		roots->places[i].temporary = true;
	qsort(roots->places, roots->root_count, sizeof roots->places[0], by_path);
	for (size_t i = 0; i < roots->root_count; i++)
		roots->places[i].owner = i;
	return rc;
}

/* ------------------------------------------------------------------ protected places */

/* On the way to a file. */
struct way {
	struct roots *roots;
	size_t owner;
};

/* Links on the way are protected: whoever could exchange one would choose where it ends. */
static int protect_link(void *context, const char *path, struct err *err)
{
	const struct way *way = context;

	return in_a_root(way->roots, path) ? add(way->roots, PLACE_PROTECTED, way->owner, path, err)
					   : 0;
}

static int follow(struct roots *roots, size_t owner, const char *base, const char *text,
		  char out[PATH_MAX], struct err *err)
{
	return path_follow(out, base, text, protect_link, &(struct way){ roots, owner }, err);
}

/*
 * Protects the file to which `text` leads. A target that holds the root, or the folder on whose
 * behalf it is read, is nonsense that would make all of that read-only: ignored.
 */
static int lead(struct roots *roots, size_t owner, const char *base, const char *text,
		const char *holder, struct err *err)
{
	char path[PATH_MAX];

	if (follow(roots, owner, base, text, path, err) < 0)
		return err->code;
	if (path[0] == '\0' || path_within(roots->places[owner].path, path) ||
	    path_within(holder, path))
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
			rc = lead(roots, folder->owner, folder->path, entry->d_name, "", err);
	}
	if (dir)
		(void)closedir(dir);
	return rc;
}

/*
 * What a protected place leads to. A folder: its links, and what a linked worktree shares with its
 * repository. A .git that is a file, or what a .git that is a link leads to: the folder it points
 * to; a broken one leads nowhere.
 */
static int lead_on(struct roots *roots, const struct place *from, struct err *err)
{
	char text[POINTER_FILE_MAX + 1];
	char path[PATH_MAX];
	char *target = NULL;
	const char *base;

	if (from->id.type == S_IFDIR) {
		if (lead_links(roots, from, err) < 0)
			return err->code;
		if (!path_join(path, from->path, "commondir") || !pointer_read(text, path))
			return 0;
		text[strcspn(text, "\r\n")] = '\0';
		return text[0] ? lead(roots, from->owner, from->path, text, "", err) : 0;
	}
	if (from->id.type == S_IFREG && pointer_read(text, from->path) &&
	    (str_ends(from->path, "/.git") || str_starts(text, "gitdir:")))
		target = pointer_target(text);
	if (!target)
		return 0;
	/* One that a link has led to: git counts from the link, in the root. */
	path_folder(path, from->path);
	base = str_ends(from->path, "/.git") ? path : roots->places[from->owner].path;
	return lead(roots, from->owner, base, target, base, err);
}

static int protect_name(struct roots *roots, size_t owner, const char *folder, const char *name,
			struct err *err)
{
	char path[PATH_MAX];
	enum place_kind kind;

	if (!path_join(path, folder, name))
		return ERR_SET(err, ERR_LIMIT, "'%s': path too long", folder);
	kind = identity_at(AT_FDCWD, path).type ? PLACE_PROTECTED : PLACE_WATCHED;
	if (add(roots, kind, owner, path, err) < 0)
		return err->code;
	return lead(roots, owner, folder, name, folder, err);
}

/*
 * A name at the top of a root. Where commits are allowed and .git is a whole repository in a
 * folder of its own, what a commit writes there stays writable. The folder is pinned by what is
 * protected in it; config always exists.
 */
static int protect_top(struct roots *roots, size_t owner, const char *name, bool commits,
		       struct err *err)
{
	const char *root = roots->places[owner].path;
	char git[PATH_MAX];
	char file[PATH_MAX];
	int rc = 0;

	if (!commits || !str_eq(name, ".git") || !path_join(git, root, name) ||
	    identity_at(AT_FDCWD, git).type != S_IFDIR || !path_join(file, git, "config") ||
	    identity_at(AT_FDCWD, file).type != S_IFREG || !path_join(file, git, "commondir") ||
	    identity_at(AT_FDCWD, file).type)
		return protect_name(roots, owner, root, name, err);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(git_names); i++)
		rc = protect_name(roots, owner, git, git_names[i], err);
	return rc;
}

/* ------------------------------------------------------------------ nested repositories */

/* Protects the .git of each folder in this one, and of `depth` - 1 further levels. */
static int protect_nested(struct roots *roots, size_t owner, const char *folder, int depth,
			  int64_t until_ms, struct err *err)
{
	DIR *dir = opendir(folder);
	char path[PATH_MAX];
	char git[PATH_MAX];
	struct dirent *entry;
	int rc = 0;

	/* The only thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	while (dir && rc == 0 && !roots->cut && (entry = readdir(dir))) {
		if ((entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) ||
		    str_eq(entry->d_name, ".") || str_eq(entry->d_name, "..") ||
		    str_eq(entry->d_name, ".git") || !path_join(path, folder, entry->d_name))
			continue;
		if (path_join(git, path, ".git") && identity_at(AT_FDCWD, git).type) {
			roots->cut = ++roots->nested > NESTED_MAX;
			rc = roots->cut ? 0 : protect_name(roots, owner, path, ".git", err);
		}
		roots->cut = roots->cut || clock_ms() > until_ms;
		if (rc == 0 && depth > 1)
			rc = protect_nested(roots, owner, path, depth - 1, until_ms, err);
	}
	if (dir)
		(void)closedir(dir);
	return rc;
}

static int protect_all(struct roots *roots, bool commits, struct err *err)
{
	int64_t until_ms = clock_ms() + NESTED_SCAN_MS;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < roots->root_count; i++) {
		for (size_t j = 0; rc == 0 && j < ARRAY_LEN(protected_names); j++)
			rc = protect_top(roots, i, protected_names[j], commits, err);
	}
	/* The temporary folders hold everybody's, and what commands themselves have fetched. */
	for (size_t i = 0; rc == 0 && i < roots->root_count; i++) {
		if (!roots->places[i].temporary)
			rc = protect_nested(roots, i, roots->places[i].path, NESTED_DEPTH, until_ms,
					    err);
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
	out->nested = 0;
	out->cut = false;
	if (config->mode == SANDBOX_MODE_WORKSPACE_WRITE)
		rc = add_roots(out, config, err);
	for (size_t i = 0; rc == 0 && i < config->hidden_count; i++)
		rc = hide(out, config->hidden[i], err);
	if (rc == 0)
		rc = protect_all(out, config->allow_git_commit, err);
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
