/*
 * child.c - the process that becomes a command.
 */
#include <sys/resource.h>

#include "proto/sys/cgroup.h"
#include "proto/sys/harden.h"
#include "proto/wire/environ.h"

#include "broker/process.h"
#include "broker/watch.h"

#define CHILD_SETUP_FAILED 125 /* exit status; nobody but init sees it */

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
	rlim_t pids = cgroup_rlimit(CGROUP_PIDS);
	rlim_t bytes = cgroup_rlimit(CGROUP_MEMORY);

	/* No memory of a command in a file of the workspace. */
	if (harden_limit(RLIMIT_CORE, 0, 0, err) < 0 ||
	    harden_limit(RLIMIT_NOFILE, 1024, 4096, err) < 0 ||
	    harden_limit(RLIMIT_NPROC, pids, pids, err) < 0)
		return err->code;
	return harden_limit(RLIMIT_DATA, bytes, bytes, err);
}

int child_folder(struct scene *scene, struct err *err)
{
	return CHECK(err, chdir(scene->text.cwd), "'%s'", scene->text.cwd);
}

/* Asks the kernel, not the plan, whether the sandbox is there. */
int child_verify(struct scene *scene, struct err *err)
{
	struct place top = { .path = (char[]){ "/" } };

	if (caps_verify(scene, err) < 0 || watch_protected(&top, err) < 0)
		return err->code;
	for (size_t i = 0; i < scene->roots->count; i++) {
		const struct place *place = &scene->roots->places[i];

		if (place->kind == PLACE_PROTECTED && place->inside &&
		    watch_protected(place, err) < 0)
			return err->code;
	}
	return 0;
}

/* Nothing may be done behind it but the exec. */
int child_leave(struct scene *scene, struct err *err)
{
	char leave;
	ssize_t got;

	do
		got = recv(scene->report, &leave, 1, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return ERR_SYS(err, errno, "recv");
	return got == 0 ? ERR_SET(err, ERR_GONE, "init is gone") : 0;
}

/* ------------------------------------------------------------------ exec */

int child_exec(struct scene *scene, struct err *err)
{
	const struct wire_strings env = { (const char **)(uintptr_t)scene->text.env,
					  scene->order.envc };
	char **argv = scene->text.argv;
	int sys;
	bool missing;

	environ = scene->text.env; /* whose PATH is searched */
	(void)execvp(argv[0], argv);
	sys = errno;
	missing = sys == ENOENT || sys == ENOTDIR ||
		  (sys == EACCES && !strchr(argv[0], '/') &&
		   !path_meets(environ_value(&env, "PATH"), argv[0]));
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
	_exit(packet_send(scene->report, &report, sizeof report, NULL, 0, &err) < 0
		      ? 1
		      : CHILD_SETUP_FAILED);
}
