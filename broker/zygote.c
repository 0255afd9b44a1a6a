/*
 * zygote.c - a process that is already inside a ceiling's namespaces and mounts, and clones
 * commands.
 *
 * It runs only our code, holds no descriptor but its socket and the roots', reads only fixed-size
 * records, and dies with the broker. It has its capabilities in its own user namespace alone. What
 * it clones are children of the broker.
 */
#include "broker/process.h"
#include "broker/watch.h"

#define ARGUMENTS_MAX 131072 /* bytes; anything farther away is no neighbour */

#define CONTROL 3 /* the zygote's socket; 0 to 2 are the broker's, for its log */

/* Commands can read those of process 1, and the broker's name what is hidden from them. */
static void forget_arguments(void)
{
	uintptr_t first = (uintptr_t)program_invocation_name;
	uintptr_t end = (uintptr_t)(environ ? environ[0] : NULL); /* what lies behind them */

	if (end > first && end - first < ARGUMENTS_MAX)
		memset(program_invocation_name, 0, end - first);
}

static int prepare(struct scene *scene, pid_t broker, struct err *err)
{
	sigset_t all;

	forget_arguments();
	(void)sigfillset(&all);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
	    pthread_sigmask(SIG_SETMASK, &all, NULL) != 0)
		return ERR_SYS(err, errno, "zygote: prctl");
	if (getppid() != broker)
		return ERR_SET(err, ERR_GONE, "zygote: the broker is gone");
	for (int i = 0; i < CONTROL; i++) { /* a closed number would be given to what comes in */
		if (fcntl(i, F_GETFD) < 0 && open("/dev/null", O_RDWR) != i)
			return ERR_SYS(err, errno, "zygote: open '/dev/null'");
	}
	if (!scene->features->confined && access(CHILDREN_FILE, R_OK) < 0)
		return ERR_SYS(err, errno, "zygote: " NO_CHILDREN);
	if (step_all(scene, PLAN_ZYGOTE, err) < 0 || !scene->features->confined)
		return err->code;
	return watch_share(&scene->alarm, scene->roots, err);
}

static int clone_one(struct scene *scene, int answer[ANSWER_FD_COUNT], struct err *err)
{
	const struct packet *packet = &scene->packet;
	int status[2];
	pid_t pid;

	if (packet->data.len != sizeof scene->order || packet->fd_count != SANDBOX_FD_COUNT)
		return ERR_SET(err, ERR_INVALID, "an order of another size");
	memcpy(&scene->order, packet->data.data, sizeof scene->order);
	memcpy(scene->fds, packet->fds, sizeof scene->fds);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, status) < 0)
		return ERR_SYS(err, errno, "socketpair");
	answer[ANSWER_STATUS] = status[0];
	pid = fork_with_pidfd(scene->features->confined ? CLONE_NEWPID | CLONE_NEWNS : 0, true,
			      &answer[ANSWER_PIDFD], err);
	if (pid == 0) {
		(void)close(status[0]);
		init_run(scene, status[1]);
	}
	(void)close(status[1]);
	return pid < 0 ? err->code : 0;
}

/* Ends the zygote when nobody reads. */
static void answer_with(const struct err *err, const int *fds, size_t count)
{
	struct err gone = { 0 };

	if (packet_send(CONTROL, err, sizeof *err, fds, count, &gone) < 0)
		_exit(0);
}

_Noreturn void zygote_run(int control, pid_t broker, struct scene *scene)
{
	struct err err = { 0 };
	int mounts;
	int rc;

	/* Nothing of the broker stays open here but its three standard descriptors. */
	if (fds_keep(&control, 1, CONTROL, &err) < 0)
		_exit(1);
	rc = prepare(scene, broker, &err);
	mounts = rc == 0 ? open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC) : -1;
	answer_with(&err, &mounts, mounts >= 0); /* tells by its change that a mount vanishes */
	fd_close(&mounts);
	while (rc == 0 && watch_wait(CONTROL) &&
	       packet_recv(CONTROL, &scene->packet, &err) == PACKET_DONE) {
		int fds[ANSWER_FD_COUNT] = { -1, -1 };
		struct err why = { 0 };
		bool done = clone_one(scene, fds, &why) == 0;

		answer_with(&why, fds, done ? ANSWER_FD_COUNT : 0);
		fd_close(&fds[ANSWER_PIDFD]);
		fd_close(&fds[ANSWER_STATUS]);
		packet_deinit(&scene->packet);
	}
	_exit(rc == 0 ? 0 : 1);
}
