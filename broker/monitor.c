#include "broker/monitor.h"

#include <linux/capability.h>
#include <sys/signalfd.h>

#include "proto/sys/cgroup.h"
#include "proto/wire/limits.h"

#include "broker/step.h"

#define NO_TMPDIR "-" /* in place of the path of $TMPDIR */

/* Each with its reason; all others are given up, also of the bounding set. */
static const char *const needs[ACCOUNT_CAPABILITIES] = {
	[CAP_SYS_ADMIN] = "to make namespaces and mounts",
	[CAP_NET_ADMIN] = "to bring up the loopback of a sandbox's network",
	[CAP_SETUID] = "to become the user",
	[CAP_SETGID] = "to have the user's groups and no others",
	[CAP_SETPCAP] = "to empty the bounding set of front and zygotes",
	[CAP_KILL] = "so that the kernel ends what is the user's when the monitor ends",
};

/* Of these, what a zygote keeps until its plan is done. */
#define ZYGOTE_NEEDS (1U << CAP_SYS_ADMIN | 1U << CAP_NET_ADMIN | 1U << CAP_SETPCAP)

/* Of a configuration, by their places in it; a bit each in a request. */
static const size_t switches[] = {
	offsetof(struct sandbox_config, network),
	offsetof(struct sandbox_config, exclude_slash_tmp),
	offsetof(struct sandbox_config, exclude_tmpdir),
	offsetof(struct sandbox_config, allow_git_commit),
	offsetof(struct sandbox_config, legacy_landlock),
	offsetof(struct sandbox_config, log_denials),
};

struct request {
	struct order order; /* of $TMPDIR and the further roots, and the folder */
	uint32_t mode;
	uint32_t on; /* switches */
};

/* With what comes back, a struct err: these, when a zygote was made. */
enum made_fd { MADE_CONTROL, MADE_PIDFD, MADE_COUNT };

static pid_t monitor;       /* not 0 in system mode */
static int to_monitor = -1; /* the front's end of the socket pair */

pid_t monitor_pid(void)
{
	return monitor;
}

/* In the process that is to become the zygote, and does not when there is something to tell. */
static _Noreturn void run_zygote(const struct system_mode *system, struct sandbox_config *config,
				 const struct order *order, int block, int control)
{
	bool confined = config->mode != SANDBOX_MODE_DANGER_FULL_ACCESS && !config->legacy_landlock;
	struct order_text text;
	struct hidden hidden = { 0 };
	struct err err = { 0 };

	ns_oom_score(); /* while that file is ours */
	if (account_become(system->account, confined ? ZYGOTE_NEEDS : 0, &err) == 0 &&
	    order_read(&text, order, block, &err) == 0 &&
	    limits_hide(system->limits, system->hidden, system->hidden_count, &hidden, &err) == 0) {
		config->cwd = text.cwd;
		config->tmpdir = str_eq(text.argv[0], NO_TMPDIR) ? NULL : text.argv[0];
		config->roots = (const char *const *)text.argv + 1;
		config->root_count = order->argc - 1;
		config->hidden = hidden.paths;
		config->hidden_count = hidden.count;
		sandbox_become_zygote(config, control, monitor, &err);
	}
	_exit(packet_send(control, &err, sizeof err, NULL, 0, &(struct err){ 0 }) < 0 ? 2 : 1);
}

static int make(const struct system_mode *system, struct packet *packet, int made[MADE_COUNT],
		struct err *err)
{
	struct sandbox_config config = { 0 };
	struct request request;
	pid_t pid;

	if (packet->data.len != sizeof request || packet->fd_count != 1)
		return ERR_SET(err, ERR_INVALID, "a request of another size");
	memcpy(&request, packet->data.data, sizeof request);
	if (request.mode <= SANDBOX_MODE_NONE || request.mode >= SANDBOX_MODE_COUNT)
		return ERR_SET(err, ERR_INVALID, "no such mode");
	config.mode = request.mode;
	for (size_t i = 0; i < ARRAY_LEN(switches); i++)
		((bool *)&config)[switches[i]] = request.on >> i & 1U;
	if (limits_allow_sandbox(system->limits, config.mode, config.network,
				 config.legacy_landlock, err) < 0)
		return err->code;
	pid = sandbox_fork(&config, &made[MADE_CONTROL], &made[MADE_PIDFD], err);
	if (pid == 0)
		run_zygote(system, &config, &request.order, packet->fds[0], made[MADE_CONTROL]);
	return pid < 0 ? err->code : 0;
}

/* Ends with the front, and then the kernel ends what was made here. */
static _Noreturn void run(const struct system_mode *system, int sock)
{
	static const int kept_out[] = { SIGCHLD, SIGTERM, SIGINT,
					SIGHUP }; /* the front's to answer */
	struct pollfd fds[2] = { { .fd = sock, .events = POLLIN }, { .events = POLLIN } };
	struct packet packet = { 0 };
	struct signalfd_siginfo info;
	struct err gone = { 0 };
	int rc = fd_signals(&fds[1].fd, kept_out, ARRAY_LEN(kept_out), &gone);

	while (rc >= 0 && (poll(fds, 2, -1) > 0 || errno == EINTR)) {
		int made[MADE_COUNT] = { -1, -1 };
		struct err err = { 0 };

		while (read(fds[1].fd, &info, sizeof info) > 0 || waitpid(-1, NULL, WNOHANG) > 0)
			;
		cgroup_sweep(false);
		if (!fds[0].revents)
			continue;
		rc = packet_recv(sock, &packet, &gone);
		if (rc != PACKET_DONE)
			continue;
		rc = make(system, &packet, made, &err);
		rc = packet_send(sock, &err, sizeof err, made, rc < 0 ? 0 : MADE_COUNT, &gone);
		fd_close(&made[MADE_CONTROL]);
		fd_close(&made[MADE_PIDFD]);
	}
	cgroup_sweep(true);
	_exit(rc == ERR_GONE ? 0 : 1);
}

int monitor_start(const struct system_mode *system, struct err *err)
{
	struct features features;
	int pidfd SCOPED(fd_close) = -1;
	int pair[2];

	monitor = -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return ERR_SYS(err, errno, "monitor");
	/* What is found and made here is kept by both. */
	if (account_reduce(needs, err) < 0 || filter_prepare(false, err) < 0 ||
	    probe_features(&features, &(struct sandbox_config){ 0 }, err) < 0)
		return err->code;
	monitor = fork_with_pidfd(0, false, &pidfd, err);
	if (monitor == 0) {
		monitor = getpid();
		(void)close(pair[0]);
		(void)close(system->ready_fd);
		run(system, pair[1]);
	}
	(void)close(pair[1]);
	to_monitor = pair[0];
	return monitor < 0 ? err->code : account_become(system->account, 0, err);
}

int monitor_ask(const struct sandbox_config *config, int *out_control, int *out_pidfd,
		struct err *err)
{
	const char *texts[SANDBOX_ROOTS_MAX + 1] = { config->tmpdir ? config->tmpdir : NO_TMPDIR };
	struct command command = { texts, 1 + config->root_count, NULL, 0, config->cwd };
	struct request request = { .mode = config->mode };
	struct packet packet SCOPED(packet_deinit) = { 0 };
	int block SCOPED(fd_close) = -1;

	for (size_t i = 0; i < config->root_count && i < SANDBOX_ROOTS_MAX; i++)
		texts[1 + i] = config->roots[i];
	for (size_t i = 0; i < ARRAY_LEN(switches); i++)
		request.on |= (uint32_t)((const bool *)config)[switches[i]] << i;
	if (order_pack(&request.order, &block, &command, err) < 0 ||
	    packet_send(to_monitor, &request, sizeof request, &block, 1, err) < 0 ||
	    packet_recv(to_monitor, &packet, err) < 0)
		return ERR_WRAP(err, "monitor");
	if (packet.data.len != sizeof *err)
		return ERR_SET(err, ERR_SYSTEM, "monitor: an answer of another size");
	memcpy(err, packet.data.data, sizeof *err);
	*out_control = packet_take(&packet, MADE_CONTROL);
	*out_pidfd = packet_take(&packet, MADE_PIDFD);
	return err->code;
}
