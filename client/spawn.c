#include "client/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/conf/paths.h"

#define LOG_NAME "broker.log"
#define READY_FD 3          /* where the new broker finds the descriptor that it reports on */
#define READY_TEXT_MAX 1024 /* bytes of that report */
#define READY_WORD "ok\n"

int spawn_connect(int *out, const struct paths *paths, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd SCOPED(fd_close) = -1;

	if (str_copy(address.sun_path, sizeof address.sun_path, paths->broker_socket, err) < 0)
		return err->code;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ERR_SYS(err, errno, "socket");
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			return ERR_SET(err, ERR_GONE, "no broker is running");
		return ERR_SYS(err, errno, "cannot connect to '%s'", paths->broker_socket);
	}
	*out = fd_take(&fd);
	return 0;
}

static int service_is_silent(const struct paths *service, struct err *err)
{
	return ERR_SET(err, ERR_SYSTEM,
		       "the system's broker does not answer at '%s': its unit is "
		       "agent-broker@USER.socket; AGENTD_BROKER=user takes a broker of your own",
		       service->broker_socket);
}

int spawn_choose(struct paths *paths, char *const *environment, struct err *err)
{
	/* The only thread here. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	const struct passwd *user = getpwuid(geteuid());
	const char *word = paths_env(environment, "AGENTD_BROKER");
	struct paths service SCOPED(paths_deinit) = { 0 };
	struct paths own = *paths;
	struct err why = { 0 };
	bool must = str_eq(word, "system");
	int fd SCOPED(fd_close) = -1;

	if (word && !must && !str_eq(word, "user"))
		return ERR_SET(err, ERR_INVALID, "AGENTD_BROKER is neither 'system' nor 'user'");
	if (!user || (word && !must) || (!word && paths_env(environment, "AGENTD_HOME")))
		return 0;
	if (paths_of_service(&service, paths, user->pw_name, err) < 0)
		return err->code;
	if (spawn_connect(&fd, &service, &why) < 0) {
		must = must || (access(service.broker_socket, F_OK) == 0 &&
				access(PATHS_SYSTEM "/requirements.ini", F_OK) == 0);
		return must ? service_is_silent(&service, err) : 0;
	}
	*paths = service;
	service = own;
	return 0;
}

/* Held until the descriptor is closed, which the end of this process does as well. */
static int take_lock(int *out, const struct paths *paths, struct err *err)
{
	int fd SCOPED(fd_close) =
		open(paths->start_lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return ERR_SYS(err, errno, "lock '%s'", paths->start_lock);
	while (flock(fd, LOCK_EX) < 0) {
		if (errno != EINTR)
			return ERR_SYS(err, errno, "lock '%s'", paths->start_lock);
	}
	*out = fd_take(&fd);
	return 0;
}

static int open_log(int *out, const struct paths *paths, struct err *err)
{
	char path[PATHS_BYTES_MAX + sizeof LOG_NAME + 2];
	int fd;

	(void)snprintf(path, sizeof path, "%s/%s", paths->log_dir, LOG_NAME);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return ERR_SYS(err, errno, "log '%s'", path);
	*out = fd;
	return 0;
}

/* posix_spawn and its friends return the error number. */
static int set_up(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attr, int log, int ready,
		  struct err *err)
{
	sigset_t none;
	sigset_t all;
	int rc;

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	rc = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
						    POSIX_SPAWN_SETSIGDEF);
	if (rc == 0)
		rc = posix_spawnattr_setsigmask(attr, &none);
	if (rc == 0)
		rc = posix_spawnattr_setsigdefault(attr, &all);
	if (rc == 0)
		rc = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(actions, log, 1);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(actions, log, 2);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(actions, ready, READY_FD);
	if (rc == 0)
		rc = posix_spawn_file_actions_addclosefrom_np(actions, READY_FD + 1);
	if (rc == 0)
		rc = posix_spawn_file_actions_addchdir_np(actions, "/");
	return rc ? ERR_SYS(err, rc, "prepare the start of the broker") : 0;
}

static int run_program(const char *program, char *const *argv, int log, int ready, struct err *err)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	pid_t pid = 0;
	int rc;

	rc = posix_spawn_file_actions_init(&actions);
	if (rc)
		return ERR_SYS(err, rc, "prepare the start of the broker");
	rc = posix_spawnattr_init(&attr);
	if (rc) {
		(void)posix_spawn_file_actions_destroy(&actions);
		return ERR_SYS(err, rc, "prepare the start of the broker");
	}
	rc = set_up(&actions, &attr, log, ready, err);
	if (rc == 0) {
		rc = posix_spawn(&pid, program, &actions, &attr, argv, environ);
		if (rc)
			rc = ERR_SYS(err, rc, "cannot start the broker '%s'", program);
	}
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&actions);
	return rc;
}

static int start_program(const struct paths *paths, int ready, struct err *err)
{
	char *program SCOPED(str_free) = NULL;
	char *daemon SCOPED(str_free) = NULL;
	char flags[][12] = { "--runtime", "--state", "--config", "--agentd", "--ready-fd" };
	char ready_fd[] = { '0' + READY_FD, '\0' };
	int log SCOPED(fd_close) = -1;

	if (paths_program(&program, PATHS_BROKER, err) < 0 ||
	    paths_program(&daemon, PATHS_AGENTD, err) < 0 || open_log(&log, paths, err) < 0)
		return err->code;
	return run_program(program,
			   (char *[]){ program, flags[0], paths->runtime, flags[1], paths->state,
				       flags[2], paths->config, flags[3], daemon, flags[4],
				       ready_fd, NULL },
			   log, ready, err);
}

/* The new broker says "ok", or one sentence why not, and closes. */
static int wait_ready(int fd, const struct paths *paths, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(READY_TEXT_MAX);
	struct pollfd item = { .fd = fd, .events = POLLIN };
	int rc = poll(&item, 1, SPAWN_READY_MS);

	if (rc < 0)
		return ERR_SYS(err, errno, "wait for the broker");
	if (rc == 0)
		return ERR_SET(err, ERR_SYSTEM,
			       "the broker did not start within %d seconds; see '%s/" LOG_NAME "'",
			       SPAWN_READY_MS / 1000, paths->log_dir);
	if (buf_read_fd(&text, fd, err) < 0)
		return ERR_WRAP(err, "the broker's report");
	if (str_eq(buf_str(&text), READY_WORD))
		return 0;
	if (text.len > 0 && text.data[text.len - 1] == '\n')
		buf_cut(&text, text.len - 1);
	if (text.len == 0)
		return ERR_SET(err, ERR_SYSTEM,
			       "the broker ended while it started; see '%s/" LOG_NAME "'",
			       paths->log_dir);
	return ERR_SET(err, ERR_SYSTEM, "the broker cannot start: %s", text.data);
}

static int start_broker(const struct paths *paths, struct err *err)
{
	int ends[2] = { -1, -1 };
	int rc;

	if (fd_pipe(ends, err) < 0)
		return err->code;
	rc = start_program(paths, ends[1], err);
	fd_close(&ends[1]);
	if (rc == 0)
		rc = wait_ready(ends[0], paths, err);
	fd_close(&ends[0]);
	return rc;
}

int spawn_broker(int *out, const struct paths *paths, struct err *err)
{
	int lock SCOPED(fd_close) = -1;
	struct err first = { 0 };

	if (spawn_connect(out, paths, &first) == 0)
		return 0;
	if (first.code != ERR_GONE)
		return ERR_SET(err, first.code, "%s", first.text);
	if (paths->service)
		return service_is_silent(paths, err);
	if (take_lock(&lock, paths, err) < 0)
		return err->code;
	if (spawn_connect(out, paths, &first) == 0) /* somebody else has started it meanwhile */
		return 0;
	if (start_broker(paths, err) < 0)
		return err->code;
	return spawn_connect(out, paths, err);
}
