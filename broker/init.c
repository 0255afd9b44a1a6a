/*
 * init.c - the process that makes a command and supervises it until nothing of it is left.
 *
 * Confined it is process 1 of the command's PID namespace, under the command's Landlock rules, with
 * a filter that lets pass what is written here and in the files that it calls, and nothing else.
 */
#include <linux/capability.h>

#include "proto/sys/supervise.h"

#include "broker/process.h"
#include "broker/watch.h"

/* Init keeps these descriptors, under these numbers; the last two when it is confined. */
enum kept_fd { STATUS, OUTCOME, COMMAND, MOUNTS, ALARM, KEPT_COUNT };

/* What it polls. */
enum polled { NEWS, ENDED, HANG_UP, WATCHED, NOTIFIED = WATCHED + WATCH_FDS };

static struct init {
	struct scene *scene;
	pid_t command;
	int wait_status; /* of the command, when it has ended */
	bool ended;
	bool executed;
	int signals; /* one for each child that has ended */
	struct watch watch;
	struct supervisor *supervisor; /* NULL without */
	struct denials denials;
} init;

/* Ends when there is no command. Without a reader there is nobody to tell. */
static void tell(int status, const struct child_report *report, int pidfd)
{
	struct err gone = { 0 };
	int rc = packet_send(status, report, sizeof *report, &pidfd, pidfd >= 0, &gone);

	if (report->event == CHILD_FAILED)
		_exit(rc < 0 ? 2 : 1);
}

/* Takes in what the command says, up to its exec, which closes its end without a word. */
static void hear(void)
{
	struct packet *packet = &init.scene->packet;
	struct child_report report = { 0 };
	struct err err = { 0 };
	int rc = PACKET_DONE;

	while (!init.executed && rc == PACKET_DONE) {
		rc = packet_recv(OUTCOME, packet, &err);
		/* A command that fails leaves leave unread, which is told before its own words. */
		if (rc == ERR_GONE)
			rc = packet_recv(OUTCOME, packet, &err);
		if (rc == PACKET_DONE && packet->fd_count == 1 && init.supervisor)
			supervise_listen(init.supervisor, packet_take(packet, 0));
		else if (rc == PACKET_DONE && packet->data.len == sizeof report)
			tell(STATUS, memcpy(&report, packet->data.data, sizeof report), -1);
		init.executed = rc < 0;
	}
	if (rc < 0)
		tell(STATUS, &(struct child_report){ .event = CHILD_EXECUTED }, COMMAND);
}

/* Reaps what has ended, without flags all there is; false when nothing is left. */
static bool reap(int flags)
{
	int wait_status;
	pid_t pid;

	while ((pid = waitpid(-1, &wait_status, flags)) > 0 || (pid < 0 && errno == EINTR)) {
		if (pid != init.command)
			continue;
		init.wait_status = wait_status;
		init.ended = true;
	}
	init.ended = init.ended || pid < 0;
	return pid == 0;
}

/* The end of the command's own process; what it said before comes first. */
static void tell_end(void)
{
	struct child_report report = { .event = CHILD_DENIED };

	hear();
	for (size_t i = 0; i < init.denials.count; i++) {
		report.denial = init.denials.items[i];
		tell(STATUS, &report, -1);
	}
	report = (struct child_report){ .event = CHILD_EXITED,
					.wait_status = init.wait_status,
					.lost = init.denials.lost };
	tell(STATUS, &report, -1);
}

/* Ends what is left, and takes away what must not be there. */
static void end_all(bool left)
{
	if (left) {
		(void)kill(-1, SIGKILL);
		(void)reap(0);
	}
	if (!watch_last(&init.watch)) /* which follows whatever was done last */
		return;
	watch_clean(&init.watch, init.supervisor != NULL);
	denials_add(&init.denials, DENIAL_RULE_CHANGED,
		    init.watch.changed->kind == PLACE_WATCHED ? "create" : "replace",
		    init.watch.changed->path, 0);
}

/* Until the command has ended, or can no longer be held, or the broker wants it dead. */
static void supervise(void)
{
	bool confined = init.scene->features->confined;
	struct pollfd fds[NOTIFIED + 1 + SUPERVISE_PENDING_MAX] = {
		[ENDED] = { .fd = init.signals, .events = POLLIN },
		/* The broker wants it dead, or is dead. */
		[HANG_UP] = { .fd = STATUS, .events = POLLRDHUP },
	};
	uint64_t spent[16];
	int timeout_ms;
	size_t count;
	bool left = true;

	while (!init.ended && !fds[HANG_UP].revents) {
		timeout_ms = init.supervisor ? supervise_timeout_ms(init.supervisor) : -1;
		count = init.supervisor ? supervise_poll(init.supervisor, fds + NOTIFIED) : 0;
		fds[NEWS] = (struct pollfd){ .fd = init.executed ? -1 : OUTCOME, .events = POLLIN };
		watch_poll(&init.watch, fds + WATCHED);
		if (poll(fds, NOTIFIED + count, timeout_ms) < 0)
			continue;
		hear();
		if (watch_changed(&init.watch, fds + WATCHED))
			break;
		if (init.supervisor)
			supervise_serve(init.supervisor, fds + NOTIFIED, count);
		if (fds[ENDED].revents) {
			while (read(init.signals, spent, sizeof spent) > 0)
				;
			left = reap(WNOHANG);
		}
	}
	if (confined)
		end_all(left);
}

/* ------------------------------------------------------------------ */

static int prepare(int *out_mounts, struct err *err)
{
	struct pollfd hang_up = { .fd = init.scene->control, .events = POLLRDHUP };
	bool confined = init.scene->features->confined;

	/* The zygote's parent-death signal is not inherited: init hears of it by its socket. */
	if (!confined && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return ERR_SYS(err, errno, "prctl");
	if (poll(&hang_up, 1, 0) != 0)
		return ERR_SET(err, ERR_GONE, "the broker is gone");
	if (step_all(init.scene, PLAN_INIT, err) < 0 || !confined)
		return err->code;
	/* Before the command looks whether everything is in place: from then on nothing is missed.
	 */
	*out_mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	return CHECK(err, *out_mounts, "open '/proc/self/mountinfo'");
}

/* While the command performs its plan. */
static int lock_in(struct err *err)
{
	const struct features *features = init.scene->features;
	/* To look into programs that are not dumpable; in system mode those are refused. */
	bool looks = features->notify && !features->system;

	if (fd_set_nonblock(OUTCOME, err) < 0 ||
	    fd_signals(&init.signals, (int[]){ SIGCHLD }, 1, err) < 0)
		return err->code;
	init.watch.mounts = init.watch.alarm = -1;
	if (!features->confined)
		return 0;
	if (account_capabilities(looks ? 1U << CAP_SYS_PTRACE : 0, err) < 0 ||
	    watch_open(&init.watch, init.scene->roots, MOUNTS, ALARM, err) < 0)
		return ERR_WRAP(err, "init");
	if (features->notify && !(init.supervisor = notify_open(init.scene, &init.denials, err)))
		return ERR_WRAP(err, "init");
	return filter_install(FILTER_INIT, err);
}

_Noreturn void init_run(struct scene *scene, int status)
{
	struct child_report failed = { .event = CHILD_FAILED };
	struct err *err = &failed.err;
	int outcome[2] = { -1, -1 };
	int mounts = -1;
	int pidfd = -1;

	init.scene = scene;
	if (prepare(&mounts, err) < 0 ||
	    CHECK(err, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, outcome),
		  "socketpair") < 0)
		tell(status, &failed, -1);
	init.command = fork_with_pidfd(0, false, &pidfd, err);
	if (init.command == 0) {
		(void)close(outcome[0]); /* or it would wait for an init that has died */
		scene->report = outcome[1];
		child_run(scene);
	}
	/* Above all no end of the command's pipes stays open, nor its end of the socket. */
	if (init.command < 0 || fds_keep((int[]){ status, outcome[0], pidfd, mounts, scene->alarm },
					 mounts < 0 ? MOUNTS : KEPT_COUNT, 0, err) < 0)
		tell(status, &failed, -1);
	scene->packet.fd_count = 0; /* they are closed, and their numbers are others' */
	if (lock_in(err) < 0)
		tell(STATUS, &failed, -1);
	/* Leave to run, for which it waits, unless it has failed. */
	if (packet_send(OUTCOME, "", 1, NULL, 0, err) != PACKET_DONE && err->code != ERR_GONE)
		tell(STATUS, &failed, -1);
	supervise();
	if (init.ended)
		tell_end();
	/* A child of another uid (sudo) cannot be killed; the broker, which adopts it, gets it. */
	while (!scene->features->confined && children_kill() > 0 &&
	       (waitpid(-1, NULL, 0) >= 0 || errno == EINTR))
		;
	_exit(0); /* process 1: whatever is left ends with it */
}
