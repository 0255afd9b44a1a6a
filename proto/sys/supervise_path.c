/*
 * supervise_path.c - calls that make a name, performed in the command's place; and calls that
 * change a file, which are only looked at.
 *
 * A folder is opened once, from what the task itself starts from, through no magic link; then the
 * name is made in that folder, whatever has become of the path. The kernel does it under the
 * command's identity and rules, so what it refuses to the command it refuses here.
 */
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/statvfs.h>

#include "proto/sys/supervise_call.h"

/* What a call has returned, or its errno. */
static int done(int rc)
{
	return rc < 0 ? -errno : rc;
}

/* The file of a descriptor, in a path. */
#define FD_PATH_MAX 32
static void fd_path(char out[FD_PATH_MAX], int fd)
{
	(void)snprintf(out, FD_PATH_MAX, "/proc/self/fd/%d", fd);
}

static void add(char text[DENIAL_TARGET_MAX], const char *more)
{
	size_t used = strlen(text);
	size_t len = strnlen(more, DENIAL_TARGET_MAX - 1 - used);

	memcpy(text + used, more, len);
	text[used + len] = '\0';
}

void path_text(char out[DENIAL_TARGET_MAX], int fd, const char *behind)
{
	char link[FD_PATH_MAX];
	char path[PATH_MAX];
	ssize_t len;

	fd_path(link, fd);
	len = readlink(link, path, sizeof path - 1);
	path[len < 0 ? 0 : len] = '\0';
	out[0] = '\0';
	add(out, path);
	add(out, *behind && !str_ends(path, "/") ? "/" : "");
	add(out, behind);
}

/* ------------------------------------------------------------------ a file that a task names */

void spot_close(struct spot *spot)
{
	fd_close(&spot->start);
	fd_close(&spot->folder);
}

/* How much of a path means the task itself, where it would mean the supervisor; and what in /proc.
 */
static size_t own_part(const char *path, char own[FD_PATH_MAX])
{
	static const char *const parts[][2] = {
		{ "/proc/self/fd/", "fd/" },          { "/proc/self/cwd", "cwd" },
		{ "/proc/self/root", "root" },        { "/proc/thread-self/fd/", "fd/" },
		{ "/proc/thread-self/cwd", "cwd" },   { "/dev/fd/", "fd/" },
		{ "/proc/thread-self/root", "root" },
	};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		size_t used = strlen(parts[i][0]);
		int digits = 0; /* more than ten are no descriptor */

		if (!str_starts(path, parts[i][0]))
			continue;
		if (str_ends(parts[i][1], "/"))
			digits = (int)strspn(path + used, "0123456789");
		(void)snprintf(own, FD_PATH_MAX, "%.8s%.*s", parts[i][1], digits < 11 ? digits : 0,
			       path + used);
		used += (size_t)digits;
		return path[used] == '/' || path[used] == '\0' ? used : 0;
	}
	return 0;
}

int spot_begin(const struct supervisor *self, const struct task *task, int folder,
	       struct spot *spot)
{
	char own[FD_PATH_MAX] = "cwd";
	char link[2 * FD_PATH_MAX];
	size_t used = own_part(spot->text, own);
	int64_t number = folder;
	bool by_number = folder != AT_FDCWD;
	int fd;

	spot->rest = spot->text + used;
	if (used > 0) {
		spot->rest += strspn(spot->rest, "/");
		by_number = str_starts(own, "fd/") &&
			    str_to_int(&number, own + 3, 0, INT_MAX, NULL) == 0;
	} else if (spot->text[0] == '/') {
		return 0;
	}
	(void)snprintf(link, sizeof link, "%d/%s", task->pid, own);
	fd = by_number ? task_fd(self, task, (int)number)
		       : done(openat(self->proc, link, O_PATH | O_CLOEXEC));
	if (fd >= 0)
		spot->start = fd;
	else if (fd == -EBADF && used > 0)
		fd = -ENOENT;
	return fd < 0 ? fd : 0;
}

static int read_text(const struct task *task, int argument, char out[PATH_MAX])
{
	int got = task_read(task, task->data->args[argument], out, PATH_MAX);

	if (got < 0 || memchr(out, '\0', (size_t)got))
		return got < 0 ? got : 0;
	return got == PATH_MAX ? -ENAMETOOLONG : -EFAULT;
}

int spot_read(const struct supervisor *self, const struct task *task, struct named named,
	      struct spot *out)
{
	int folder = named.folder == NONE ? AT_FDCWD : (int)task->data->args[named.folder];
	int rc = read_text(task, named.path, out->text);

	return rc < 0 ? rc : spot_begin(self, task, folder, out);
}

/* Where a path leads: a descriptor, or a negative errno. */
static int lead(int start, const char *path, uint64_t flags)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC | flags,
				.resolve = RESOLVE_NO_MAGICLINKS };
	int fd = (int)syscall(SYS_openat2, start, path, &how, sizeof how);

	return fd < 0 ? -errno : fd;
}

int spot_folder(struct spot *spot)
{
	size_t end = strlen(spot->rest);
	char *last;

	while (end > 0 && spot->rest[end - 1] == '/')
		end--;
	last = memrchr(spot->rest, '/', end);
	spot->last = last && end > 0 ? last + 1 : spot->rest;
	if (end == 0 || !last) { /* "", "/", "name" */
		spot->folder = fd_take(&spot->start);
		return !*spot->rest && spot->folder >= 0 ? -ENOENT : 0;
	}
	*last = '\0';
	spot->folder = lead(spot->start, *spot->rest ? spot->rest : "/", O_DIRECTORY);
	return spot->folder < 0 ? spot->folder : 0;
}

int spot_file(const struct spot *spot, int flags)
{
	/* A start that was all of the path. */
	if (!*spot->rest && spot->rest != spot->text)
		return fcntl(spot->start, F_DUPFD_CLOEXEC, 0);
	return lead(spot->start, spot->rest, (uint64_t)flags);
}

int spot_mask(const struct supervisor *self, const struct task *task)
{
	int64_t mask = self->mask >= 0 ? self->mask : task_status(self, task, "\nUmask:\t", 8);

	if (mask < 0)
		return -EPERM;
	(void)umask((mode_t)mask);
	return 0;
}

int supervise_umask(struct supervisor *self, struct task *task)
{
	(void)task;
	self->mask = -1; /* from now on each task may have another one, and is looked at */
	return LET_PASS;
}

/* ------------------------------------------------------------------ refusals */

int spot_allowed(struct supervisor *self, struct task *task, const struct spot *spot, int present,
		 int absent)
{
	char name[NAME_MAX + 1] = "";
	char target[DENIAL_TARGET_MAX];
	size_t len = strcspn(spot->last, "/");
	struct stat st;
	int error;

	if (!task_waits(self, task->id))
		return -EINTR;
	if (len >= sizeof name || spot->folder < 0 || fstat(spot->folder, &st) < 0)
		return 0; /* the call fails by itself */
	memcpy(name, spot->last, len);
	if (!self->policy->reserved(self->policy->context, st.st_dev, st.st_ino, name))
		return 0;
	error = fstatat(spot->folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? present : absent;
	if (error != EEXIST && error != 0) {
		path_text(target, spot->folder, name);
		task_deny(self, task, DENIAL_RULE_PROTECTED, target, error);
	}
	return -error;
}

int spot_told(struct supervisor *self, struct task *task, const struct spot *spot, int rc)
{
	char target[DENIAL_TARGET_MAX] = "";
	struct statvfs fs;
	enum denial_rule rule;

	if (task->told ||
	    (rc != -EROFS && rc != -EACCES && rc != -EPERM && rc != -EBUSY && rc != -EXDEV))
		return rc;
	if (spot->folder >= 0)
		path_text(target, spot->folder, spot->last);
	else if (spot->start >= 0)
		path_text(target, spot->start, spot->rest);
	else
		add(target, spot->text);
	rule = self->policy->rule(self->policy->context, target);
	/* Otherwise the file's own permissions refuse. */
	if (rule != DENIAL_RULE_OUTSIDE ||
	    (spot->folder >= 0 && fstatvfs(spot->folder, &fs) == 0 && (fs.f_flag & ST_RDONLY)))
		task_deny(self, task, rule, target, -rc);
	return rc;
}

/* ------------------------------------------------------------------ performed */

/* The place of a new name. */
static int ready(struct supervisor *self, struct task *task, struct spot *spot)
{
	int rc = spot_read(self, task, task->call->to, spot);

	rc = rc == 0 ? spot_folder(spot) : rc;
	return rc == 0 ? spot_allowed(self, task, spot, EEXIST, EROFS) : rc;
}

int supervise_mkdir(struct supervisor *self, struct task *task)
{
	struct spot spot SCOPED(spot_close) = SPOT_NONE;
	mode_t mode = (mode_t)task->data->args[task->call->value];
	int rc = spot_mask(self, task);

	rc = rc == 0 ? ready(self, task, &spot) : rc;
	return spot_told(self, task, &spot,
			 rc == 0 ? done(mkdirat(spot.folder, spot.last, mode)) : rc);
}

int supervise_mknod(struct supervisor *self, struct task *task)
{
	struct spot spot SCOPED(spot_close) = SPOT_NONE;
	const __u64 *value = &task->data->args[task->call->value];
	mode_t mode = (mode_t)value[0];
	int rc = spot_mask(self, task);

	rc = rc == 0 ? ready(self, task, &spot) : rc;
	/* The one device for which the kernel asks no capability hides files in overlays. */
	if (rc == 0 && (S_ISCHR(mode) || S_ISBLK(mode)))
		rc = -EPERM;
	return spot_told(self, task, &spot,
			 rc == 0 ? done(mknodat(spot.folder, spot.last, mode, (dev_t)value[1]))
				 : rc);
}

int supervise_symlink(struct supervisor *self, struct task *task)
{
	struct spot spot SCOPED(spot_close) = SPOT_NONE;
	char content[PATH_MAX];
	int rc = read_text(task, task->call->from.path, content);

	rc = rc == 0 ? ready(self, task, &spot) : rc;
	return spot_told(self, task, &spot,
			 rc == 0 ? done(symlinkat(content, spot.folder, spot.last)) : rc);
}

int supervise_link(struct supervisor *self, struct task *task)
{
	struct spot from SCOPED(spot_close) = SPOT_NONE;
	struct spot to SCOPED(spot_close) = SPOT_NONE;
	int flags = task->call->value == NONE ? 0 : (int)task->data->args[task->call->value];
	int follow = flags & AT_SYMLINK_FOLLOW ? 0 : O_NOFOLLOW;
	char path[FD_PATH_MAX];
	int file SCOPED(fd_close) = -1;
	int rc = spot_read(self, task, task->call->from, &from);

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		rc = -EINVAL;
	if (rc == 0 && !*from.text && (flags & AT_EMPTY_PATH))
		file = fcntl(from.start, F_DUPFD_CLOEXEC, 0);
	else if (rc == 0)
		file = rc = spot_file(&from, follow);
	rc = rc < 0 ? rc : ready(self, task, &to);
	fd_path(path, file);
	return spot_told(
		self, task, &to,
		rc == 0 ? done(linkat(AT_FDCWD, path, to.folder, to.last, AT_SYMLINK_FOLLOW)) : rc);
}

int supervise_rename(struct supervisor *self, struct task *task)
{
	struct spot from SCOPED(spot_close) = SPOT_NONE;
	struct spot to SCOPED(spot_close) = SPOT_NONE;
	unsigned flags =
		task->call->value == NONE ? 0 : (unsigned)task->data->args[task->call->value];
	int rc = spot_read(self, task, task->call->from, &from);

	rc = rc == 0 ? spot_folder(&from) : rc;
	rc = rc == 0 ? spot_read(self, task, task->call->to, &to) : rc;
	rc = rc == 0 ? spot_folder(&to) : rc;
	rc = rc == 0 ? spot_allowed(self, task, &from, EBUSY, ENOENT) : rc;
	rc = rc == 0 ? spot_allowed(self, task, &to, EBUSY, EROFS) : rc;
	if (rc == 0 && (flags & RENAME_WHITEOUT))
		rc = -EPERM; /* it would make a device */
	if (rc == 0)
		rc = done((int)syscall(SYS_renameat2, from.folder, from.last, to.folder, to.last,
				       flags));
	return spot_told(self, task, from.folder < 0 || rc == -EBUSY ? &from : &to, rc);
}

/* ------------------------------------------------------------------ looked at */

/* A hint for the report, and no decision: by the time of the call all may be different. */
static int look(struct supervisor *self, struct task *task, struct spot *spot, bool creates)
{
	bool itself = task->name[0] == 'l' || str_starts(task->name, "unlink") ||
		      str_eq(task->name, "rmdir");
	int rc = spot_file(spot, itself ? O_NOFOLLOW : 0);
	struct statvfs fs;
	struct stat st;

	if (rc == -ENOENT && creates) {
		rc = spot_folder(spot);
		if (rc == 0 && spot_allowed(self, task, spot, 0, EROFS) < 0)
			return -EROFS;
	} else if (rc >= 0) {
		spot->folder = rc;
		spot->last = "";
		/* A device is no part of the file system that it is in. */
		if (fstat(rc, &st) == 0 &&
		    (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode)))
			rc = 0;
	}
	if (rc == 0 && fstatvfs(spot->folder, &fs) == 0 && (fs.f_flag & ST_RDONLY))
		rc = -EROFS;
	if (rc == -EROFS || rc == -EACCES)
		(void)spot_told(self, task, spot, rc);
	return LET_PASS;
}

int supervise_change(struct supervisor *self, struct task *task)
{
	struct spot spot SCOPED(spot_close) = SPOT_NONE;
	struct open_how how = { 0 };
	bool creates = str_eq(task->name, "creat");
	const __u64 *args = task->data->args;

	if (spot_read(self, task, task->call->to, &spot) < 0)
		return LET_PASS;
	if (str_eq(task->name, "openat2")) {
		if (task_read(task, args[2], &how, sizeof how) < (int)sizeof how.flags ||
		    !(how.flags & SUPERVISE_WRITES))
			return LET_PASS;
	} else if (task->call->when == HANDED_WRITE) {
		how.flags = args[task->call->value];
	}
	return look(self, task, &spot, creates || (how.flags & O_CREAT));
}
