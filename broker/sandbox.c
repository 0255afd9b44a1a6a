#include "broker/sandbox.h"

#include <sys/time.h>

#include "proto/sys/cgroup.h"

#include "broker/monitor.h"
#include "broker/process.h"

/* Longest wait for a zygote; a healthy one answers within a few milliseconds. */
#define ZYGOTE_ANSWER_MS 10000

struct sandbox {
	struct sandbox_config config;
	const char *hidden[SANDBOX_HIDDEN_MAX]; /* that config points to */
	struct features features;
	struct roots roots;
	/* Of the zygote; -1 where there is none. */
	int pidfd;
	int control;
	int mounts; /* its mountinfo, which becomes readable when a mount vanishes */
	struct sandbox_view view;
	char landlock_layer[32];
};

static void describe(struct sandbox *sandbox)
{
	const struct features *features = &sandbox->features;
	const struct roots *roots = &sandbox->roots;
	struct sandbox_view *view = &sandbox->view;

	*view = (struct sandbox_view){ .mode = sandbox->config.mode,
				       .network = features->network ||
						  sandbox->config.mode ==
							  SANDBOX_MODE_DANGER_FULL_ACCESS,
				       .root_count = roots->root_count };
	for (size_t i = 0; i < roots->count; i++) {
		const struct place *place = &roots->places[i];
		struct sandbox_root *root = &view->roots[place->owner];

		if (place->kind == PLACE_ROOT)
			root->path = place->path;
		else if (place->kind == PLACE_PROTECTED || place->kind == PLACE_WATCHED)
			root->protected[root->protected_count++] = place->path;
	}
	view->limit_count = cgroup_limits(view->limits, features->confined || features->legacy);
	if (features->system)
		view->layers[view->layer_count++] = "system";
	if (!features->confined && !features->legacy)
		return;
	if (features->confined)
		view->layers[view->layer_count++] = "namespaces";
	view->layers[view->layer_count++] = "seccomp";
	if (features->landlock > 0)
		view->layers[view->layer_count++] = sandbox->landlock_layer;
	view->missing_count = probe_missing(view->missing, features);
	if (roots->cut)
		view->missing[view->missing_count++] = ROOTS_CUT;
}

/* Its commands go on. */
static void stop_zygote(struct sandbox *sandbox)
{
	if (sandbox->pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, sandbox->pidfd, SIGKILL, NULL, 0);
	fd_close(&sandbox->pidfd);
	fd_close(&sandbox->mounts);
	fd_close(&sandbox->control);
}

/* Takes in a record of fixed size, with its descriptors. */
static int receive(int fd, struct packet *packet, void *out, size_t size, struct err *err)
{
	int rc = packet_recv(fd, packet, err);

	if (rc == PACKET_DONE && packet->data.len != size)
		return ERR_SET(err, ERR_INVALID, "sandbox: a record of another size");
	if (rc == PACKET_DONE)
		memcpy(out, packet->data.data, size);
	return rc;
}

/* The answer to what was sent last. ERR_GONE: the zygote is dead. */
static int receive_answer(const struct sandbox *sandbox, struct packet *packet, struct err *err)
{
	int rc = receive(sandbox->control, packet, err, sizeof *err, err);

	if (rc == PACKET_AGAIN || rc == ERR_GONE)
		return ERR_SET(err, ERR_GONE, "zygote: %s before it answered",
			       rc == ERR_GONE ? "ended" : "too much time passed");
	return err->code;
}

static int find_features(struct features *out, const struct sandbox_config *config, struct err *err)
{
	int rc = 0;

	if (config->mode != SANDBOX_MODE_DANGER_FULL_ACCESS)
		rc = probe_features(out, config, err);
	out->system = monitor_pid() != 0;
	return rc;
}

pid_t sandbox_fork(const struct sandbox_config *config, int *out_control, int *out_pidfd,
		   struct err *err)
{
	struct features features = { 0 };
	int leaf SCOPED(fd_close) = -1;
	int ours SCOPED(fd_close) = -1;
	int theirs SCOPED(fd_close) = -1;
	int pair[2];
	pid_t pid;

	if (find_features(&features, config, err) < 0 || cgroup_leaf(&leaf, err) < 0)
		return err->code;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return ERR_SYS(err, errno, "socketpair");
	ours = pair[0];
	theirs = pair[1];
	pid = fork_into(ns_flags(&features), leaf, out_pidfd, err);
	if (pid < 0)
		return ERR_WRAP(err, "namespaces%s", step_mend(NULL, err->sys));
	*out_control = fd_take(pid == 0 ? &theirs : &ours);
	return pid;
}

void sandbox_become_zygote(const struct sandbox_config *config, int control, pid_t parent,
			   struct err *err)
{
	static struct roots roots;
	struct features features = { 0 };
	struct scene scene = {
		.roots = &roots, .features = &features, .uid = geteuid(), .gid = getegid()
	};

	if (find_features(&features, config, err) == 0 &&
	    (config->mode == SANDBOX_MODE_DANGER_FULL_ACCESS ||
	     roots_find(&roots, config, err) == 0))
		zygote_run(control, parent, &scene);
}

static int make_zygote(struct sandbox *sandbox, struct err *err)
{
	struct scene scene = {
		.roots = &sandbox->roots,
		.features = &sandbox->features,
		.uid = geteuid(), /* behind the clone it is nobody until it is mapped */
		.gid = getegid()
	};
	pid_t broker = getpid();
	int control;
	pid_t pid;

	if (monitor_pid() != 0)
		return monitor_ask(&sandbox->config, &sandbox->control, &sandbox->pidfd, err);
	pid = sandbox_fork(&sandbox->config, &control, &sandbox->pidfd, err);
	if (pid == 0)
		zygote_run(control, broker, &scene);
	sandbox->control = pid < 0 ? -1 : control;
	return pid < 0 ? err->code : 0;
}

/* Returns when it is ready, or with the sentence of the step that failed. */
static int start_zygote(struct sandbox *sandbox, struct err *err)
{
	struct timeval wait = { .tv_sec = ZYGOTE_ANSWER_MS / 1000 };
	struct packet packet SCOPED(packet_deinit) = { 0 };

	if (make_zygote(sandbox, err) < 0)
		return err->code;
	if (setsockopt(sandbox->control, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) < 0)
		return ERR_SYS(err, errno, "setsockopt");
	if (receive_answer(sandbox, &packet, err) < 0)
		return err->code;
	sandbox->mounts = packet_take(&packet, 0);
	/* What cannot be ended is not started. */
	return SYSCALL(err, pidfd_send_signal, sandbox->pidfd, 0, NULL, 0);
}

static int rebuild(struct sandbox *sandbox, struct err *err)
{
	stop_zygote(sandbox);
	roots_deinit(&sandbox->roots);
	describe(sandbox); /* whatever happens now, the view names no path that is gone */
	if (sandbox->config.mode != SANDBOX_MODE_DANGER_FULL_ACCESS &&
	    roots_find(&sandbox->roots, &sandbox->config, err) < 0)
		return err->code;
	describe(sandbox);
	if (start_zygote(sandbox, err) == 0)
		return 0;
	stop_zygote(sandbox);
	return err->code;
}

/* ERR_GONE: the zygote is dead, and nothing was started. */
static int clone_command(const struct sandbox *sandbox, const struct order *order,
			 const int fds[SANDBOX_FD_COUNT], struct started *out, struct err *err)
{
	struct packet packet SCOPED(packet_deinit) = { 0 };

	if (sandbox->control < 0)
		return ERR_SET(err, ERR_GONE, "there is no zygote");
	if (packet_send(sandbox->control, order, sizeof *order, fds, SANDBOX_FD_COUNT, err) < 0 ||
	    receive_answer(sandbox, &packet, err) < 0)
		return err->code;
	out->pidfd = packet_take(&packet, ANSWER_PIDFD);
	out->status_fd = packet_take(&packet, ANSWER_STATUS);
	return 0;
}

int sandbox_open(struct sandbox **out, const struct sandbox_config *config, struct err *err)
{
	struct sandbox *sandbox;
	int rc;

	if (config->mode <= SANDBOX_MODE_NONE || config->mode >= SANDBOX_MODE_COUNT ||
	    config->hidden_count > SANDBOX_HIDDEN_MAX)
		return ERR_SET(err, ERR_INVALID, "no such sandbox");
	if (filter_prepare(config->log_denials, err) < 0)
		return err->code;
	sandbox = calloc(1, sizeof *sandbox);
	if (!sandbox)
		return ERR_NOMEM_SET(err);
	sandbox->config = *config;
	memcpy(sandbox->hidden, config->hidden, config->hidden_count * sizeof *config->hidden);
	sandbox->config.hidden = sandbox->hidden;
	sandbox->pidfd = sandbox->control = sandbox->mounts = -1;
	rc = find_features(&sandbox->features, config, err);
	(void)snprintf(sandbox->landlock_layer, sizeof sandbox->landlock_layer, "landlock %d",
		       sandbox->features.landlock);
	if (rc == 0 && (rc = rebuild(sandbox, err)) == 0)
		*out = sandbox;
	else
		sandbox_close(sandbox);
	return rc;
}

void sandbox_close(struct sandbox *sandbox)
{
	if (!sandbox)
		return;
	stop_zygote(sandbox);
	roots_deinit(&sandbox->roots);
	free(sandbox);
}

const struct sandbox_view *sandbox_view(const struct sandbox *sandbox)
{
	return &sandbox->view;
}

int sandbox_start(struct sandbox *sandbox, const struct order *order,
		  const int fds[SANDBOX_FD_COUNT], struct started *out, struct err *err)
{
	struct started started SCOPED(started_deinit) = STARTED_NONE;
	struct pollfd mounts = { .fd = sandbox->mounts, .events = POLLPRI };
	int rc;

	started.confined = sandbox->features.confined;
	/*
	 * A root or a protected path has become another file, or a folder was removed on the host,
	 * which takes away what was mounted on it here.
	 */
	if ((roots_changed(&sandbox->roots) || poll(&mounts, 1, 0) != 0) &&
	    rebuild(sandbox, err) < 0)
		return ERR_WRAP(err, "the sandbox has to be made anew");
	rc = clone_command(sandbox, order, fds, &started, err);
	if (rc == ERR_GONE && (rc = rebuild(sandbox, err)) == 0)
		rc = clone_command(sandbox, order, fds, &started, err);
	if (rc < 0 || fd_set_nonblock(started.status_fd, err) < 0)
		return err->code;
	*out = started;
	started = (struct started)STARTED_NONE;
	return 0;
}

int sandbox_report(struct started *started, struct child_report *out, struct err *err)
{
	struct packet packet SCOPED(packet_deinit) = { 0 };
	int rc = receive(started->status_fd, &packet, out, sizeof *out, err);

	if (rc == PACKET_AGAIN || rc == ERR_GONE)
		out->event = rc == ERR_GONE ? CHILD_GONE : CHILD_NOTHING;
	else if (rc < 0)
		return rc;
	else if (out->event == CHILD_EXECUTED)
		started->command_fd = packet_take(&packet, 0);
	return 0;
}

static int signalled(long rc, struct err *err)
{
	if (rc < 0 && (errno == ESRCH || errno == ENOTCONN))
		return ERR_SET(err, ERR_GONE, "the process has ended");
	return CHECK(err, rc, "signal");
}

int sandbox_signal(const struct started *started, int signal, struct err *err)
{
	if (started->command_fd < 0)
		return ERR_SET(err, ERR_STATE, "the command does not run yet");
	return signalled(syscall(SYS_pidfd_send_signal, started->command_fd, signal, NULL, 0), err);
}

int sandbox_kill(struct started *started, struct err *err)
{
	bool again = started->asked;

	started->asked = true;
	if (!started->confined || (!again && started->status_fd >= 0))
		return signalled(shutdown(started->status_fd, SHUT_WR), err);
	return signalled(syscall(SYS_pidfd_send_signal, started->pidfd, SIGKILL, NULL, 0), err);
}

void started_deinit(struct started *started)
{
	fd_close(&started->pidfd);
	fd_close(&started->status_fd);
	fd_close(&started->command_fd);
}
