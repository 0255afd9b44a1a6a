#include "proto/conf/paths.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#define OWN_NAME "agentd"

/* Below the installation's prefix, which is two folders above the program for bin/. */
static const char *const program_paths[PATHS_PROGRAM_COUNT] = {
	[PATHS_AGENT] = "bin/agent",
	[PATHS_AGENTD] = "bin/agentd",
	[PATHS_BROKER] = "libexec/agentd/agent-broker",
	[PATHS_PATCH] = "libexec/agentd/agent-patch",
	[PATHS_PATCH_DIR] = "libexec/agentd/bin",
};

const char *paths_env(char *const *environment, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; environment[i]; i++) {
		if (strncmp(environment[i], name, len) == 0 && environment[i][len] == '=')
			return environment[i][len + 1] ? environment[i] + len + 1 : NULL;
	}
	return NULL;
}

static int join(char **out, const char *dir, const char *name, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(PATHS_BYTES_MAX);
	size_t len = dir ? strlen(dir) : 0;

	while (len > 1 && dir[len - 1] == '/')
		len--;
	if (buf_append(&text, dir, len, err) < 0 ||
	    (name && buf_printf(&text, err, "/%s", name) < 0))
		return err->code;
	*out = buf_take(&text);
	if (*out)
		return 0;
	ERR_NOMEM_SET(err);
	return ERR_NOMEM;
}

static int must_be_absolute(const char *variable, const char *path, struct err *err)
{
	if (path && *path == '/')
		return 0;
	return ERR_SET(err, ERR_INVALID, "%s must be an absolute path, not '%.200s'", variable,
		       path);
}

static int check_socket(const char *path, struct err *err)
{
	if (strlen(path) <= PATHS_SOCKET_MAX)
		return 0;
	return ERR_SET(err, ERR_LIMIT,
		       "the socket '%.200s' would have a path of more than %d bytes: set "
		       "XDG_RUNTIME_DIR or AGENTD_HOME to a shorter one",
		       path, PATHS_SOCKET_MAX);
}

static int fill(struct paths *paths, const char *runtime, const char *state, const char *config,
		struct err *err)
{
	if (must_be_absolute("the runtime folder", runtime, err) < 0 ||
	    must_be_absolute("the state folder", state, err) < 0 ||
	    must_be_absolute("the configuration folder", config, err) < 0 ||
	    join(&paths->runtime, runtime, NULL, err) < 0 ||
	    join(&paths->state, state, NULL, err) < 0 ||
	    join(&paths->config, config, NULL, err) < 0 ||
	    join(&paths->agent_socket, paths->runtime, "agent.sock", err) < 0 ||
	    join(&paths->broker_socket, paths->runtime, "broker.sock", err) < 0 ||
	    join(&paths->start_lock, paths->runtime, "start.lock", err) < 0 ||
	    join(&paths->log_dir, paths->state, "log", err) < 0)
		return (int)err->code;
	return check_socket(paths->broker_socket, err);
}

int paths_from_dirs(struct paths *out, const char *runtime, const char *state, const char *config,
		    struct err *err)
{
	struct paths paths = { 0 };

	if (fill(&paths, runtime, state, config, err) < 0) {
		paths_deinit(&paths);
		return (int)err->code;
	}
	*out = paths;
	return 0;
}

static int from_home(struct paths *out, const char *home, struct err *err)
{
	char *runtime SCOPED(str_free) = NULL;
	char *state SCOPED(str_free) = NULL;

	if (must_be_absolute("AGENTD_HOME", home, err) < 0 ||
	    join(&runtime, home, "run", err) < 0 || join(&state, home, "state", err) < 0)
		return err->code;
	return paths_from_dirs(out, runtime, state, home, err);
}

/* $variable/agentd, or ~/fallback/agentd. A relative XDG path is invalid by its specification:
 * ignored. */
static int xdg_dir(char **out, char *const *environment, const char *variable, const char *fallback,
		   struct err *err)
{
	const char *dir = paths_env(environment, variable);
	const char *home = paths_env(environment, "HOME");
	char *below SCOPED(str_free) = NULL;

	if (dir && *dir == '/')
		return join(out, dir, OWN_NAME, err);
	if (!home)
		return ERR_SET(err, ERR_NOTFOUND, "neither AGENTD_HOME nor HOME is set: set one");
	if (must_be_absolute("HOME", home, err) < 0 || join(&below, home, fallback, err) < 0)
		return err->code;
	return join(out, below, OWN_NAME, err);
}

static int runtime_dir(char **out, char *const *environment, uid_t uid, struct err *err)
{
	const char *dir = paths_env(environment, "XDG_RUNTIME_DIR");
	char name[32];

	if (dir && *dir == '/')
		return join(out, dir, OWN_NAME, err);
	(void)snprintf(name, sizeof name, OWN_NAME "-%u", (unsigned)uid);
	return join(out, "/tmp", name, err);
}

int paths_from_env(struct paths *out, char *const *environment, uid_t uid, struct err *err)
{
	const char *home = paths_env(environment, "AGENTD_HOME");
	char *runtime SCOPED(str_free) = NULL;
	char *state SCOPED(str_free) = NULL;
	char *config SCOPED(str_free) = NULL;

	if (home)
		return from_home(out, home, err);
	if (runtime_dir(&runtime, environment, uid, err) < 0 ||
	    xdg_dir(&state, environment, "XDG_STATE_HOME", ".local/state", err) < 0 ||
	    xdg_dir(&config, environment, "XDG_CONFIG_HOME", ".config", err) < 0)
		return err->code;
	return paths_from_dirs(out, runtime, state, config, err);
}

int paths_of_service(struct paths *out, const struct paths *own, const char *user, struct err *err)
{
	char *runtime SCOPED(str_free) = NULL;

	if (join(&runtime, PATHS_SERVICE, user, err) < 0 ||
	    paths_from_dirs(out, runtime, own->state, own->config, err) < 0)
		return err->code;
	out->service = true;
	return 0;
}

void paths_deinit(struct paths *paths)
{
	free(paths->runtime);
	free(paths->state);
	free(paths->config);
	free(paths->agent_socket);
	free(paths->broker_socket);
	free(paths->start_lock);
	free(paths->log_dir);
	*paths = (struct paths){ 0 };
}

static int check_mode(const char *path, mode_t mode, enum paths_privacy privacy, struct err *err)
{
	if (privacy == PATHS_READABLE) {
		if (mode & (S_IWGRP | S_IWOTH))
			return ERR_SET(err, ERR_DENIED,
				       "'%s' can be changed by other users (mode %04o): "
				       "chmod go-w '%s'",
				       path, (unsigned)(mode & 07777), path);
	} else if (mode & (S_IRWXG | S_IRWXO)) {
		return ERR_SET(err, ERR_DENIED,
			       "'%s' is open to other users (mode %04o): chmod 700 '%s'", path,
			       (unsigned)(mode & 07777), path);
	}
	if ((mode & S_IRWXU) != S_IRWXU)
		return ERR_SET(err, ERR_DENIED,
			       "'%s' is closed to yourself (mode %04o): chmod u+rwx '%s'", path,
			       (unsigned)(mode & 07777), path);
	return 0;
}

int paths_check(const char *path, uid_t uid, enum paths_privacy privacy, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return ERR_SET(err, ERR_NOTFOUND, "'%s' does not exist", path);
		return ERR_SYS(err, errno, "folder '%s'", path);
	}
	if (S_ISLNK(st.st_mode))
		return ERR_SET(
			err, ERR_DENIED,
			"'%s' is a symbolic link: replace it by a folder, or name the folder "
			"itself in AGENTD_HOME or the XDG variable",
			path);
	if (!S_ISDIR(st.st_mode))
		return ERR_SET(err, ERR_DENIED, "'%s' is not a folder: move it away", path);
	if (st.st_uid != uid)
		return ERR_SET(err, ERR_DENIED,
			       "'%s' belongs to user %u and not to you (%u): remove it, or "
			       "chown -R %u '%s'",
			       path, (unsigned)st.st_uid, (unsigned)uid, (unsigned)uid, path);
	return check_mode(path, st.st_mode, privacy, err);
}

static int make_dirs(const char *path, struct err *err)
{
	char part[PATHS_BYTES_MAX + 1];
	struct stat st;

	if (lstat(path, &st) == 0)
		return 0; /* whatever it is, the check judges it */
	if (str_copy(part, sizeof part, path, err) < 0)
		return err->code;
	for (char *p = part + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		(void)mkdir(part, 0700); /* a failure shows at the last one */
		*p = '/';
	}
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return ERR_SYS(err, errno, "cannot make the folder '%s'", path);
	return 0;
}

int paths_prepare(const struct paths *paths, uid_t uid, struct err *err)
{
	const struct {
		const char *path;
		enum paths_privacy privacy;
	} dirs[] = {
		{ paths->config, PATHS_READABLE },
		{ paths->runtime, PATHS_PRIVATE },
		{ paths->state, PATHS_PRIVATE },
		{ paths->log_dir, PATHS_PRIVATE },
	};

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		if (make_dirs(dirs[i].path, err) < 0 ||
		    paths_check(dirs[i].path, uid, dirs[i].privacy, err) < 0)
			return err->code;
	}
	return 0;
}

int paths_program_beside(char **out, const char *self, enum paths_program program, struct err *err)
{
	static const char *const folders[] = { "/bin/", "/libexec/agentd/" };
	const char *name = strrchr(self, '/');

	for (size_t i = 0; name && i < ARRAY_LEN(folders); i++) {
		size_t len = strlen(folders[i]);
		size_t dir = (size_t)(name - self) + 1;

		if (dir >= len && memcmp(self + dir - len, folders[i], len) == 0) {
			char prefix[PATHS_BYTES_MAX + 1];

			if (dir - len > PATHS_BYTES_MAX)
				break;
			memcpy(prefix, self, dir - len);
			prefix[dir - len] = '\0';
			return join(out, prefix, program_paths[program], err);
		}
	}
	return ERR_SET(err, ERR_NOTFOUND,
		       "'%.200s' is not in a folder bin or libexec/agentd, so the other programs "
		       "cannot be found",
		       self);
}

int paths_program(char **out, enum paths_program program, struct err *err)
{
	char self[PATHS_BYTES_MAX + 1];
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

	if (len < 0)
		return ERR_SYS(err, errno, "/proc/self/exe");
	self[len] = '\0';
	return paths_program_beside(out, self, program, err);
}
