#include "agentd/tool/patch_commit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "agentd/tool/patch_path.h"
#include "agentd/tool/patch_tree.h"

#define FOLDER_MODE 0777
#define ASIDE_TRIES 16 /* names tried for a file that is moved aside */

enum undo_kind {
	UNDO_FOLDER, /* made: remove it */
	UNDO_NEW,    /* created: remove it */
	UNDO_ROOM,   /* room reserved behind its end: give it back */
	UNDO_WRITE,  /* rewritten: write the old content */
	UNDO_ASIDE   /* moved aside: move back, or make it anew when it is gone for good */
};

struct undo {
	enum undo_kind kind;
	char *path;
	char *aside;
	const struct patch_name *name; /* UNDO_ASIDE */
	const struct patch_node *node; /* UNDO_ROOM, UNDO_WRITE, UNDO_ASIDE */
	bool gone;                     /* UNDO_ASIDE: removed */
};

struct commit {
	struct patch_tree *tree;
	struct undo *undos;
	size_t count;
	size_t cap;
};

static void commit_deinit(struct commit *commit)
{
	for (size_t i = 0; i < commit->count; i++) {
		free(commit->undos[i].path);
		free(commit->undos[i].aside);
	}
	free(commit->undos);
}

/* The step is noted before it is taken: what cannot be noted is not done. */
static struct undo *note(struct commit *commit, enum undo_kind kind, const char *path,
			 struct err *err)
{
	struct undo *undo;

	if (commit->count == commit->cap) {
		size_t cap = commit->cap > 0 ? commit->cap * 2 : 16;
		struct undo *more = realloc(commit->undos, cap * sizeof *more);

		if (!more) {
			(void)ERR_NOMEM_SET(err);
			return NULL;
		}
		commit->undos = more;
		commit->cap = cap;
	}
	undo = &commit->undos[commit->count];
	*undo = (struct undo){ .kind = kind, .path = str_dup(path) };
	if (!undo->path) {
		(void)ERR_NOMEM_SET(err);
		return NULL;
	}
	commit->count++;
	return undo;
}

/* The step was not taken after all. */
static void unnote(struct commit *commit)
{
	struct undo *undo = &commit->undos[--commit->count];

	free(undo->path);
	free(undo->aside);
}

/* "Failed to write file PATH: reason" */
static int write_error(struct err *err, int sys, const char *path)
{
	struct err why = { 0 };
	int rc = patch_path_error(&why, sys, path);

	(void)ERR_SET(err, rc, "Failed to write file %s", why.text);
	err->sys = why.sys;
	return rc;
}

/* Some file systems tell of a full disk only now. */
static int close_checked(int *fd, const char *path, struct err *err)
{
	if (close(fd_take(fd)) < 0 && errno != EINTR)
		return ERR_SYS(err, errno, "Failed to write file %s", path);
	return 0;
}

static int make_folders(struct commit *commit, const char *path, struct err *err)
{
	char *copy SCOPED(str_free) = str_dup(path);

	if (!copy)
		return ERR_NOMEM_SET(err);
	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (patch_path_mkdir(copy, FOLDER_MODE) < 0) {
			if (errno == ELOOP)
				return write_error(err, errno, path);
			if (errno != EEXIST)
				return ERR_SYS(err, errno,
					       "Failed to create parent directories for %s", path);
		} else if (!note(commit, UNDO_FOLDER, copy, err)) {
			(void)patch_path_rmdir(copy);
			return ERR_NOMEM;
		}
		*slash = '/';
	}
	return 0;
}

/* Where a dangling link led when its target was created. */
static int real_path_of(int fd, char out[static PATH_MAX], struct err *err)
{
	char proc[64];
	ssize_t len;

	(void)snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
	len = readlink(proc, out, PATH_MAX - 1);
	if (len < 0)
		return ERR_SYS(err, errno, "readlink '%s'", proc);
	out[len] = '\0';
	return 0;
}

static int create_new(struct commit *commit, const struct patch_name *name, struct err *err)
{
	const struct patch_node *node = name->node;
	/* Through a dangling link there is no way to insist that the file is new. */
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY |
		    (name->was == PATCH_NAME_DANGLING ? 0 : O_EXCL);
	int fd SCOPED(fd_close) = patch_path_open(name->path, flags, node->mode);
	const char *path = name->path;
	char made[PATH_MAX];
	int rc = 0;

	if (fd < 0 && errno == ENOENT && name->was == PATCH_NAME_ABSENT) {
		rc = make_folders(commit, name->path, err);
		if (rc < 0)
			return rc;
		fd = patch_path_open(name->path, flags, node->mode);
	}
	if (fd < 0)
		return write_error(err, errno, name->path);
	if (name->was == PATCH_NAME_DANGLING) {
		rc = real_path_of(fd, made, err);
		path = made;
	}
	if (rc == 0 && !note(commit, UNDO_NEW, path, err)) {
		(void)patch_path_unlink(path);
		rc = ERR_NOMEM;
	}
	if (rc == 0)
		rc = fd_write_all(fd, node->now, node->now_len, err);
	if (rc < 0)
		return ERR_WRAP(err, "Failed to write file %s", name->path);
	return close_checked(&fd, name->path, err);
}

/* Opens a file that was read before and must still be what it was. */
static int open_known(const char *path, const struct patch_node *node, struct err *err)
{
	int fd SCOPED(fd_close) =
		patch_path_open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
	struct stat now = { 0 };

	if (fd < 0 || fstat(fd, &now) < 0)
		return write_error(err, errno, path);
	if (now.st_dev != node->was.st_dev || now.st_ino != node->was.st_ino)
		return ERR_SET(err, ERR_STATE, "Failed to write file %s: it was replaced meanwhile",
			       path);
	return fd_take(&fd);
}

static int reserve(struct commit *commit, int fd, const char *path, const struct patch_node *node,
		   struct err *err)
{
	struct undo *undo = note(commit, UNDO_ROOM, path, err);

	if (!undo)
		return ERR_WRAP(err, "Failed to write file %s", path);
	undo->node = node;
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)node->now_len) < 0 &&
	    errno != EOPNOTSUPP && errno != ENOSYS)
		return ERR_SYS(err, errno, "Failed to write file %s", path);
	return 0;
}

/* Before anything is overwritten: may it be written, is it unchanged, is there room? */
static int prepare(struct commit *commit, const char *path, const struct patch_node *node,
		   struct err *err)
{
	int fd SCOPED(fd_close) = open_known(path, node, err);
	struct stat now = { 0 };

	if (fd < 0)
		return fd;
	if (fstat(fd, &now) < 0)
		return ERR_SYS(err, errno, "Failed to write file %s", path);
	if (now.st_size != node->was.st_size || now.st_mtim.tv_sec != node->was.st_mtim.tv_sec ||
	    now.st_mtim.tv_nsec != node->was.st_mtim.tv_nsec)
		return ERR_SET(err, ERR_STATE, "Failed to write file %s: it changed meanwhile",
			       path);
	return node->now_len > node->old_len ? reserve(commit, fd, path, node, err) : 0;
}

static int rewrite(struct commit *commit, const char *path, const struct patch_node *node,
		   struct err *err)
{
	int fd SCOPED(fd_close) = open_known(path, node, err);
	struct undo *undo;
	int rc;

	if (fd < 0)
		return fd;
	undo = note(commit, UNDO_WRITE, path, err);
	if (!undo)
		return ERR_WRAP(err, "Failed to write file %s", path);
	undo->node = node;
	rc = fd_write_all(fd, node->now, node->now_len, err);
	if (rc < 0)
		return ERR_WRAP(err, "Failed to write file %s", path);
	return close_checked(&fd, path, err);
}

/* The new content is in place; what lies behind it goes. */
static int shorten(const char *path, const struct patch_node *node, struct err *err)
{
	int fd SCOPED(fd_close) = -1;

	if (node->now_len >= node->old_len)
		return 0;
	fd = open_known(path, node, err);
	if (fd < 0)
		return fd;
	if (ftruncate(fd, (off_t)node->now_len) < 0)
		return ERR_SYS(err, errno, "Failed to write file %s", path);
	return close_checked(&fd, path, err);
}

static char *aside_path(const char *path, int try)
{
	const char *slash = strrchr(path, '/');
	size_t folder = slash ? (size_t)(slash - path) + 1 : 0;
	char *out = NULL;

	if (asprintf(&out, "%.*s.agent-patch-%ld-%d", (int)folder, path, (long)getpid(), try) < 0)
		return NULL;
	return out;
}

/* Renamed, not removed: until everything else has succeeded it can come back as it is. */
static int set_aside(struct commit *commit, const struct patch_name *name, struct err *err)
{
	struct undo *undo = note(commit, UNDO_ASIDE, name->path, err);

	if (!undo)
		return ERR_WRAP(err, "Failed to delete file %s", name->path);
	undo->name = name;
	undo->node = name->node;
	for (int try = 0; try < ASIDE_TRIES; try++) {
		struct stat info = { 0 };

		free(undo->aside);
		undo->aside = aside_path(name->path, (int)commit->count + try);
		if (!undo->aside) {
			unnote(commit);
			return ERR_NOMEM_SET(err);
		}
		if (lstat(undo->aside, &info) == 0)
			continue;
		if (patch_path_rename(name->path, undo->aside) == 0)
			return 0;
		unnote(commit);
		return ERR_SYS(err, errno, "Failed to delete file %s", name->path);
	}
	unnote(commit);
	return ERR_SET(err, ERR_STATE, "Failed to delete file %s: no free name beside it",
		       name->path);
}

/* ---- back */

/* The old content, or only the old size. */
static int restore_file(const struct undo *undo, bool content)
{
	const struct patch_node *node = undo->node;
	struct timespec times[2] = { node->was.st_atim, node->was.st_mtim };
	int fd SCOPED(fd_close) =
		patch_path_open(undo->path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);

	if (fd < 0)
		return -1;
	if (content && fd_write_all(fd, node->old, node->old_len, NULL) < 0)
		return -1;
	if (ftruncate(fd, (off_t)node->old_len) < 0)
		return -1;
	(void)futimens(fd, times); /* courtesy to make and editors */
	return 0;
}

/* The file is gone for good; an equal one takes its place. */
static int restore_gone(const struct undo *undo)
{
	const struct patch_node *node = undo->node;
	int fd SCOPED(fd_close) = -1;

	if (undo->name->link)
		return patch_path_symlink(undo->name->link, undo->path);
	fd = patch_path_open(undo->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, node->mode);
	if (fd < 0 || fd_write_all(fd, node->old, node->old_len, NULL) < 0)
		return -1;
	return fchmod(fd, node->mode);
}

static int take_back(const struct undo *undo)
{
	switch (undo->kind) {
	case UNDO_FOLDER:
		return patch_path_rmdir(undo->path);
	case UNDO_NEW:
		return patch_path_unlink(undo->path);
	case UNDO_ROOM:
		return restore_file(undo, false);
	case UNDO_WRITE:
		return restore_file(undo, true);
	case UNDO_ASIDE:
		return undo->gone ? restore_gone(undo) : patch_path_rename(undo->aside, undo->path);
	}
	return -1;
}

static int roll_back(struct commit *commit, struct err *err)
{
	struct err cause = *err;
	const char *lost = NULL;

	for (size_t i = commit->count; i > 0; i--) {
		if (take_back(&commit->undos[i - 1]) < 0)
			lost = commit->undos[i - 1].path;
	}
	if (!lost)
		return cause.code;
	(void)ERR_SET(err, cause.code, "%.300s; and '%s' could not be restored", cause.text, lost);
	err->sys = cause.sys;
	return cause.code;
}

/* ---- forth */

/* A name through which the node's old content can be rewritten; NULL when all its names go. */
static const char *way_to(const struct patch_tree *tree, const struct patch_node *node)
{
	for (const struct patch_name *name = tree->names; name; name = name->next) {
		if (name->node == node && name->present && name->was != PATCH_NAME_ABSENT)
			return name->path;
	}
	return NULL;
}

static int commit_new(struct commit *commit, struct err *err)
{
	for (const struct patch_name *name = commit->tree->names; name; name = name->next) {
		int rc;

		if (!name->present || !name->node || name->node->existed)
			continue;
		rc = create_new(commit, name, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

enum rewrite_step { STEP_PREPARE, STEP_REWRITE, STEP_SHORTEN };

static int commit_old(struct commit *commit, enum rewrite_step step, struct err *err)
{
	for (const struct patch_node *node = commit->tree->nodes; node; node = node->next) {
		const char *path = node->existed && node->dirty ? way_to(commit->tree, node) : NULL;
		int rc = 0;

		if (!path)
			continue;
		if (step == STEP_PREPARE)
			rc = prepare(commit, path, node, err);
		else if (step == STEP_REWRITE)
			rc = rewrite(commit, path, node, err);
		else
			rc = shorten(path, node, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int commit_aside(struct commit *commit, struct err *err)
{
	for (const struct patch_name *name = commit->tree->names; name; name = name->next) {
		int rc;

		if (name->present || name->was == PATCH_NAME_ABSENT)
			continue;
		rc = set_aside(commit, name, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int commit_gone(struct commit *commit, struct err *err)
{
	for (size_t i = 0; i < commit->count; i++) {
		struct undo *undo = &commit->undos[i];

		if (undo->kind != UNDO_ASIDE)
			continue;
		if (patch_path_unlink(undo->aside) < 0)
			return ERR_SYS(err, errno, "Failed to delete file %s", undo->path);
		undo->gone = true;
	}
	return 0;
}

static int commit_all(struct commit *commit, struct err *err)
{
	int rc = commit_old(commit, STEP_PREPARE, err);

	if (rc == 0)
		rc = commit_new(commit, err);
	if (rc == 0)
		rc = commit_old(commit, STEP_REWRITE, err);
	if (rc == 0)
		rc = commit_aside(commit, err);
	if (rc == 0)
		rc = commit_old(commit, STEP_SHORTEN, err);
	if (rc == 0)
		rc = commit_gone(commit, err);
	return rc;
}

int patch_commit(struct patch_tree *tree, struct err *err)
{
	struct commit commit = { .tree = tree };
	sigset_t all;
	sigset_t before;
	int rc;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	rc = commit_all(&commit, err);
	if (rc < 0)
		rc = roll_back(&commit, err);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	commit_deinit(&commit);
	return rc;
}
