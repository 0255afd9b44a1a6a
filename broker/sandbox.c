#include "broker/sandbox.h"

#include <sys/time.h>

#include "broker/step.h"

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
				       .network = features->network || !features->confined,
				       .root_count = roots->root_count };
	for (size_t i = 0; i < roots->count; i++) {
		const struct place *place = &roots->places[i];
		struct sandbox_root *root = &view->roots[place->owner];

		if (place->kind == PLACE_ROOT)
			root->path = place->path;
		else if (place->kind == PLACE_PROTECTED)
			root->protected[root->protected_count++] = place->path;
	}
	if (!features->confined)
		return;
	view->layers[view->layer_count++] = "namespaces";
	view->layers[view->layer_count++] = "seccomp";
	if (features->landlock > 0)
		view->layers[view->layer_count++] = sandbox->landlock_layer;
	view->missing_count = probe_missing(view->missing, features);
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

/* Returns when it is ready, or with the sentence of the step that failed. */
static int start_zygote(struct sandbox *sandbox, struct err *err)
{
	struct timeval wait = { .tv_sec = ZYGOTE_ANSWER_MS / 1000 };
	struct packet packet SCOPED(packet_deinit) = { 0 };
	struct scene scene = {
		.roots = &sandbox->roots,
		.features = &sandbox->features,
		.uid = geteuid(), /* behind the clone it is nobody until it is mapped */
		.gid = getegid()
	};
	pid_t broker = getpid();
	char path[64];
	int pair[2];
	pid_t zygote;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return ERR_SYS(err, errno, "socketpair");
	sandbox->control = pair[0];
	zygote = ns_fork(ns_flags(&sandbox->features), false, &sandbox->pidfd, err);
	if (zygote == 0)
		zygote_run(pair[1], broker, &scene);
	(void)close(pair[1]);
	if (zygote < 0)
		return ERR_WRAP(err, "namespaces%s", step_mend(NULL, err->sys));
	if (setsockopt(sandbox->control, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) < 0)
		return ERR_SYS(err, errno, "setsockopt");
	if (receive_answer(sandbox, &packet, err) < 0)
		return err->code;
	(void)snprintf(path, sizeof path, "/proc/%d/mountinfo", zygote);
	sandbox->mounts = open(path, O_RDONLY | O_CLOEXEC);
	return CHECK(err, sandbox->mounts, "open '%s'", path);
}

static int rebuild(struct sandbox *sandbox, struct err *err)
{
	stop_zygote(sandbox);
	roots_deinit(&sandbox->roots);
	describe(sandbox); /* whatever happens now, the view names no path that is gone */
	if (sandbox->features.confined && roots_find(&sandbox->roots, &sandbox->config, err) < 0)
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

	if (config->mode <= SANDBOX_MODE_NONE || config->mode >= SANDBOX_MODE_COUNT ||
	    config->hidden_count > SANDBOX_HIDDEN_MAX)
		return ERR_SET(err, ERR_INVALID, "no such sandbox");
	if (filter_prepare(err) < 0)
		return err->code;
	sandbox = calloc(1, sizeof *sandbox);
	if (!sandbox)
		return ERR_NOMEM_SET(err);
	sandbox->config = *config;
	memcpy(sandbox->hidden, config->hidden, config->hidden_count * sizeof *config->hidden);
	sandbox->config.hidden = sandbox->hidden;
	sandbox->pidfd = sandbox->control = sandbox->mounts = -1;
	if (config->mode != SANDBOX_MODE_DANGER_FULL_ACCESS)
		probe_features(&sandbox->features, config->network);
	(void)snprintf(sandbox->landlock_layer, sizeof sandbox->landlock_layer, "landlock %d",
		       sandbox->features.landlock);
	if (rebuild(sandbox, err) == 0)
		*out = sandbox;
	else
		sandbox_close(sandbox);
	return err->code;
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

int sandbox_kill(const struct started *started, struct err *err)
{
	if (!started->confined)
		return signalled(shutdown(started->status_fd, SHUT_WR), err);
	return signalled(syscall(SYS_pidfd_send_signal, started->pidfd, SIGKILL, NULL, 0), err);
}

void started_deinit(struct started *started)
{
	fd_close(&started->pidfd);
	fd_close(&started->status_fd);
	fd_close(&started->command_fd);
}
