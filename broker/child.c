/*
 * child.c - the process that becomes a command, and the init that watches over it.
 */
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/statvfs.h>

#include "broker/step.h"

#define CHILD_SETUP_FAILED 125 /* exit status; nobody but init sees it */

static const struct limit {
	__rlimit_resource_t resource;
	struct rlimit most;
} limits[] = {
	{ RLIMIT_CORE, { 0, 0 } },         /* no memory of a command in a file of the workspace */
	{ RLIMIT_NOFILE, { 1024, 4096 } }, /* descriptors */
	{ RLIMIT_NPROC, { 2048, 2048 } },  /* processes and threads, of the session's namespace */
};

int step_one(struct scene *scene, const struct step *step, struct err *err)
{
	scene->place = &scene->roots->places[step->place];
	if (step->apply(scene, err) == 0)
		return 0;
	return ERR_WRAP(err, "%s%s", step->name, step_mend(step->apply, err->sys));
}

int step_all(struct scene *scene, enum plan_kind kind, struct err *err)
{
	struct plan plan;
	int rc = 0;

	plan_build(&plan, kind, scene->roots, scene->features);
	for (size_t i = 0; rc == 0 && i < plan.count; i++)
		rc = step_one(scene, &plan.steps[i], err);
	return rc;
}

int fds_keep(const int *fds, int count, int first, struct err *err)
{
	for (int i = 0; i < count; i++) { /* none of them is in another one's way */
		if (fds[i] != first + i && dup2(fds[i], first + i) < 0)
			return ERR_SYS(err, errno, "dup2");
	}
	return SYSCALL(err, close_range, first + count, ~0U, 0);
}

/* ------------------------------------------------------------------ the command's steps */

int child_stdio(struct scene *scene, struct err *err)
{
	struct stat st;

	for (int i = 0; i < 3; i++) { /* all of them are above the three numbers */
		/* The master of a terminal stands for its other end, which its maker may not open.
		 */
		int peer = ioctl(scene->fds[i], TIOCGPTPEER, O_RDWR | O_NOCTTY);

		if (dup2(peer >= 0 ? peer : scene->fds[i], i) < 0 || fstat(i, &st) < 0)
			return ERR_SYS(err, errno, "descriptor %d", i);
		/* It would lead into the mounts outside. */
		if (S_ISDIR(st.st_mode) || (fcntl(i, F_GETFL) & O_PATH))
			return ERR_SET(err, ERR_DENIED, "descriptor %d: a folder", i);
	}
	return 0;
}

/* Whatever is still open is closed by the exec; Landlock's rules need some of it until then. */
int child_close(struct scene *scene UNUSED, struct err *err)
{
	return SYSCALL(err, close_range, 3, UINT_MAX, CLOSE_RANGE_CLOEXEC);
}

int child_session(struct scene *scene UNUSED, struct err *err)
{
	if (setsid() < 0)
		return ERR_SYS(err, errno, "setsid");
	/*
	 * Refused where the terminal is that of another session, as when a person runs a command in
	 * theirs: then the command has none, and cannot stop or hang up the person's.
	 */
	if (isatty(STDIN_FILENO))
		(void)ioctl(STDIN_FILENO, TIOCSCTTY, 0);
	return 0;
}

int child_signals(struct scene *scene, struct err *err)
{
	struct sigaction plain = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		(void)sigaction(i, &plain, NULL); /* some cannot be set */
	(void)sigemptyset(&none);
	if (pthread_sigmask(SIG_SETMASK, &none, NULL) != 0)
		return ERR_SET(err, ERR_SYSTEM, "pthread_sigmask");
	/* Confined, the end of process 1 is the end of all. */
	if (!scene->features->confined && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return ERR_SYS(err, errno, "prctl PR_SET_PDEATHSIG");
	return 0;
}

int child_limits(struct scene *scene UNUSED, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		struct rlimit now;
		struct rlimit most = limits[i].most;

		if (getrlimit(limits[i].resource, &now) < 0)
			return ERR_SYS(err, errno, "getrlimit");
		now.rlim_max = now.rlim_max < most.rlim_max ? now.rlim_max : most.rlim_max;
		now.rlim_cur = now.rlim_cur < most.rlim_cur ? now.rlim_cur : most.rlim_cur;
		if (setrlimit(limits[i].resource, &now) < 0)
			return ERR_SYS(err, errno, "setrlimit");
	}
	return 0;
}

int child_folder(struct scene *scene, struct err *err)
{
	return CHECK(err, chdir(scene->text.cwd), "'%s'", scene->text.cwd);
}

static int verify_read_only(const char *path, struct err *err)
{
	int fd SCOPED(fd_close) = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct statvfs fs;

	if (fd < 0 || fstatvfs(fd, &fs) < 0)
		return ERR_SYS(err, errno, "'%s'", path);
	if (!(fs.f_flag & ST_RDONLY))
		return ERR_SET(err, ERR_STATE, "'%s' is not read-only", path);
	return 0;
}

/* Asks the kernel, not the plan, whether the sandbox is there. */
int child_verify(struct scene *scene, struct err *err)
{
	if (caps_verify(err) < 0 || verify_read_only("/", err) < 0)
		return err->code;
	for (size_t i = 0; i < scene->roots->count; i++) {
		const struct place *place = &scene->roots->places[i];

		if (place->kind == PLACE_PROTECTED && place->inside &&
		    verify_read_only(place->path, err) < 0)
			return err->code;
	}
	return 0;
}

/* ------------------------------------------------------------------ exec */

/* Whether the search for a program has met a file at all: a folder that may not be entered is none.
 */
static bool met_on_path(const char *name, char *const *env)
{
	char path[PATH_MAX];
	const char *dirs = "";

	for (size_t i = 0; env[i]; i++)
		dirs = strncmp(env[i], "PATH=", 5) == 0 ? env[i] + 5 : dirs;
	for (; *dirs; dirs += dirs[0] == ':' ? 1 : 0) {
		int len = (int)strcspn(dirs, ":");

		if (snprintf(path, sizeof path, "%.*s/%s", len, dirs, name) < PATH_MAX &&
		    access(path, F_OK) == 0)
			return true;
		dirs += len;
	}
	return false;
}

int child_exec(struct scene *scene, struct err *err)
{
	char **argv = scene->text.argv;
	int sys;
	bool missing;

	environ = scene->text.env; /* whose PATH is searched */
	(void)execvp(argv[0], argv);
	sys = errno;
	missing =
		sys == ENOENT || sys == ENOTDIR ||
		(sys == EACCES && !strchr(argv[0], '/') && !met_on_path(argv[0], scene->text.env));
	(void)ERR_SET(err, missing ? ERR_NOTFOUND : ERR_DENIED, "'%s': %s", argv[0],
		      missing ? "no such program, or no such interpreter" : strerrordesc_np(sys));
	err->sys = sys;
	return err->code;
}

_Noreturn void child_run(struct scene *scene)
{
	struct child_report report = { .event = CHILD_FAILED };
	struct err err = { 0 };

	if (order_read(&scene->text, &scene->order, scene->fds[SANDBOX_BLOCK], &report.err) == 0 &&
	    step_all(scene, PLAN_COMMAND, &report.err) == 0)
		(void)ERR_SET(&report.err, ERR_STATE, "a plan without an exec");
	_exit(fd_write_all(scene->report, &report, sizeof report, &err) < 0 ? 1
									    : CHILD_SETUP_FAILED);
}

/* ------------------------------------------------------------------ init */

/* Init keeps three descriptors, under these numbers. */
enum kept_fd { STATUS, OUTCOME, COMMAND, KEPT_COUNT };

#define CHILDREN_TEXT_MAX 65536 /* bytes of the list of children that one round looks at */

/* Ends when there is no command. Without a reader there is nobody to tell. */
static void tell(int status, const struct child_report *report, int pidfd)
{
	struct err gone = { 0 };
	int rc = packet_send(status, report, sizeof *report, &pidfd, pidfd >= 0, &gone);

	if (report->event == CHILD_FAILED)
		_exit(rc < 0 ? 2 : 1);
}

/* Reaps what has ended; true when the command was among it, which is told, or when nothing is left.
 */
static bool reap(pid_t command, int flags)
{
	struct child_report report = { .event = CHILD_EXITED };
	pid_t pid;

	while ((pid = waitpid(-1, &report.wait_status, flags)) > 0 || (pid < 0 && errno == EINTR)) {
		if (pid != command)
			continue;
		tell(STATUS, &report, -1);
		return true;
	}
	return pid < 0;
}

/* ------------------------------------------------------------------ without a PID namespace */

/*
 * Kills every child; orphans become children, so that a few rounds reach them all. Nobody else
 * reaps them, hence no number can have become another process. Returns how many could be signalled.
 */
static int kill_children(void)
{
	static char text[CHILDREN_TEXT_MAX];
	int fd SCOPED(fd_close) = open(CHILDREN_FILE, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text);
	int killed = 0;
	pid_t pid = 0;

	for (ssize_t i = 0; i < got; i++) { /* each number has a space behind it */
		if (text[i] != ' ') {
			pid = 10 * pid + (text[i] - '0');
			continue;
		}
		killed += kill(pid, SIGKILL) == 0;
		pid = 0;
	}
	return killed;
}

static _Noreturn void watch_open(pid_t command)
{
	struct pollfd fds[2] = { { .fd = STATUS, .events = POLLRDHUP }, { .events = POLLIN } };
	struct signalfd_siginfo info;
	sigset_t child;

	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	fds[1].fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	/* A hang-up: the broker wants it dead, or is dead. */
	while (fds[1].fd >= 0 && !reap(command, WNOHANG) &&
	       (poll(fds, 2, -1) > 0 || errno == EINTR) &&
	       !(fds[0].revents & (POLLHUP | POLLRDHUP))) {
		while (read(fds[1].fd, &info, sizeof info) > 0)
			;
	}
	/* A child of another uid (sudo) cannot be killed; the broker, which adopts it, gets it. */
	while (kill_children() > 0 && (waitpid(-1, NULL, 0) >= 0 || errno == EINTR))
		;
	_exit(0);
}

/* ------------------------------------------------------------------ */

static int prepare(struct scene *scene, struct err *err)
{
	struct pollfd hang_up = { .fd = scene->control, .events = POLLRDHUP };
	bool confined = scene->features->confined;

	if (confined ? prctl(PR_SET_PDEATHSIG, SIGKILL) : prctl(PR_SET_CHILD_SUBREAPER, 1))
		return ERR_SYS(err, errno, "prctl");
	if (poll(&hang_up, 1, 0) != 0) /* the broker died before the line above */
		return ERR_SET(err, ERR_GONE, "the broker is gone");
	return step_all(scene, PLAN_INIT, err);
}

_Noreturn void init_run(struct scene *scene, int status)
{
	struct child_report report = { .event = CHILD_FAILED };
	struct err *err = &report.err;
	int outcome[2] = { -1, -1 };
	int pidfd = -1;
	pid_t command;

	if (prepare(scene, err) < 0 || fd_pipe(outcome, err) < 0)
		tell(status, &report, -1);
	command = ns_fork(0, false, &pidfd, err);
	if (command == 0) {
		scene->report = outcome[1];
		child_run(scene);
	}
	/* Above all no end of the command's pipes stays open. */
	if (command < 0 || fds_keep((int[]){ status, outcome[0], pidfd }, KEPT_COUNT, 0, err) < 0)
		tell(status, &report, -1);
	if (scene->features->confined && filter_install(FILTER_INIT, err) < 0)
		tell(STATUS, &report, -1);
	report.event = CHILD_EXECUTED; /* the exec closes the pipe, without a report */
	while (read(OUTCOME, &report, sizeof report) < 0 && errno == EINTR)
		;
	tell(STATUS, &report, report.event == CHILD_EXECUTED ? COMMAND : -1);
	if (!scene->features->confined)
		watch_open(command);
	(void)reap(command, 0);
	_exit(0); /* process 1: whatever is left ends with it */
}
