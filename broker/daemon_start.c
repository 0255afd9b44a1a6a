#include "broker/broker.h"

static int wait_for(struct call *call, struct err *err)
{
	for (size_t i = 0; i < DAEMON_WAITERS_MAX; i++) {
		struct ticket *waiter = &call->broker->daemon.waiters[i];

		if (!waiter->id) {
			*waiter = call->ticket;
			call->ticket.id = NULL;
			return 0;
		}
	}
	return ERR_SET(err, ERR_LIMIT, "more than %d requests wait", DAEMON_WAITERS_MAX);
}

/* Tells those who wait with this method: the result, or (NULL) the failure. */
static void wake(struct daemon *daemon, enum broker_method method, const void *result,
		 struct err *err)
{
	for (size_t i = 0; i < DAEMON_WAITERS_MAX; i++) {
		if (daemon->waiters[i].method == &broker_methods[method])
			(void)ticket_answer(&daemon->waiters[i], result, NULL, err);
	}
}

/*
 * In the forked child. No death signal is set: agentd learns of the broker's end by the end of its
 * connection, and has to store what it holds and tell its clients before it ends as well.
 */
static _Noreturn void become(const struct broker_options *options, int sock)
{
	const char *const *folders = options->folders;
	sigset_t none;

	(void)sigemptyset(&none);
	if (dup2(sock, DAEMON_FD) == DAEMON_FD && fcntl(DAEMON_FD, F_SETFD, 0) == 0 &&
	    sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL) == 0 &&
	    pthread_sigmask(SIG_SETMASK, &none, NULL) == 0)
		(void)execl(options->agentd, options->agentd, "--broker-fd", "3", "--runtime",
			    folders[BROKER_RUNTIME], "--state", folders[BROKER_STATE], "--config",
			    folders[BROKER_CONFIG], options->no_lockdown ? "--no-lockdown" : NULL,
			    NULL);
	log_error("daemon_exec", "program='%s' why='%s'", options->agentd, strerrordesc_np(errno));
	_exit(127);
}

static int launch(struct broker *broker, struct err *err)
{
	struct daemon *daemon = &broker->daemon;
	int ours SCOPED(fd_close) = -1;
	int theirs SCOPED(fd_close) = -1;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return ERR_SYS(err, errno, "socketpair");
	ours = pair[0];
	theirs = pair[1];
	pid = fork();
	if (pid == 0)
		become(&broker->options, theirs);
	if (pid < 0)
		return ERR_SYS(err, errno, "fork");
	*daemon = (struct daemon){ .state = DAEMON_STARTING, .pid = pid };
	daemon->deadline_ms = broker_now_ms() + DAEMON_START_MS;
	daemon->peer = broker_add_peer(broker, fd_take(&ours), BROKER_ROLE_DAEMON, err);
	if (!daemon->peer) {
		daemon_terminate(broker, SIGKILL);
		return err->code;
	}
	log_info("daemon_start", "pid=%d peer=%u lockdown=%s", (int)daemon->pid,
		 daemon->peer->number, broker->options.no_lockdown ? "OFF" : "on");
	return 0;
}

int daemon_start(struct call *call, struct err *err)
{
	struct broker *broker = call->broker;
	struct broker_daemon_start_result result = { .pid = broker->daemon.pid };

	if (broker->daemon.state == DAEMON_READY)
		return ticket_answer(&call->ticket, &result, NULL, err);
	if (broker->daemon.state == DAEMON_OFF && !broker->stop && launch(broker, err) < 0)
		return err->code;
	if (broker->daemon.state != DAEMON_STARTING)
		return ERR_SET(err, ERR_STATE, "agentd, or the broker, is about to end; try again");
	return wait_for(call, err);
}

/* Its number is its own as long as we have not collected it. */
void daemon_terminate(struct broker *broker, int signal)
{
	struct daemon *daemon = &broker->daemon;

	if (daemon->pid == 0)
		return;
	if (daemon->state != DAEMON_STOPPING)
		daemon->deadline_ms = broker_now_ms() + DAEMON_STOP_MS;
	daemon->state = DAEMON_STOPPING;
	reap_kill(broker, daemon->peer, NULL);
	if (kill(daemon->pid, signal) < 0)
		log_error("daemon_signal", "why='%s'", strerrordesc_np(errno));
}

int daemon_stop(struct call *call, struct err *err)
{
	struct broker *broker = call->broker;
	const struct broker_daemon_stop *params = call->params;
	struct broker_daemon_stop_result result = { .stopped = false };

	if (broker->daemon.state != DAEMON_OFF && wait_for(call, err) < 0)
		return err->code;
	broker->stop |= params->broker;
	daemon_terminate(broker, SIGTERM);
	return ticket_answer(&call->ticket, &result, NULL, err); /* unless it waits */
}

int daemon_status(struct call *call, struct err *err)
{
	const struct broker *broker = call->broker;
	const char *ids[GRANT_ALL_MAX];
	struct broker_daemon_status_result result = {
		.pid = broker->daemon.pid,
		.ceilings = (int64_t)broker->ceilings.count,
		.children = (int64_t)broker->child_count,
		.grants = (int64_t)grants_pending(&broker->grants, NULL, ids),
	};

	return ticket_answer(&call->ticket, &result, NULL, err);
}

int daemon_ready(struct call *call, struct err *err)
{
	struct daemon *daemon = &call->broker->daemon;
	struct broker_daemon_start_result result = { .pid = daemon->pid, .started = true };

	if (daemon->state != DAEMON_STARTING)
		return ERR_SET(err, ERR_STATE, "not while it is started");
	daemon->state = DAEMON_READY;
	daemon->deadline_ms = 0;
	daemon->was_ready = true;
	wake(daemon, BROKER_METHOD_DAEMON_START, &result, err);
	return 0;
}

void daemon_ended(struct broker *broker, int wait_status)
{
	struct daemon *daemon = &broker->daemon;
	struct err err = { 0 };

	daemon->code = exit_code(wait_status);
	(void)ERR_SET(&err, ERR_SYSTEM,
		      "agentd ended with status %d before it was ready; the log says why",
		      daemon->code);
	log_info("daemon_ended", "pid=%d code=%d", (int)daemon->pid, daemon->code);
	daemon->pid = 0;
	daemon->state = DAEMON_CLEARING;
	daemon->deadline_ms = 0;
	if (daemon->peer)
		peer_end(daemon->peer, "agentd ended");
	wake(daemon, BROKER_METHOD_DAEMON_START, NULL, &err);
}

void daemon_lost(struct broker *broker, const struct peer *peer)
{
	struct daemon *daemon = &broker->daemon;

	for (size_t i = 0; i < DAEMON_WAITERS_MAX; i++) {
		if (daemon->waiters[i].peer == peer)
			ticket_drop(&daemon->waiters[i]);
	}
	if (daemon->peer != peer)
		return;
	daemon->peer = NULL;
	daemon_terminate(broker, SIGKILL);
}

void daemon_tick(struct broker *broker, int64_t now_ms)
{
	struct daemon *daemon = &broker->daemon;
	struct broker_daemon_gone gone = { .code = daemon->code };
	struct broker_daemon_stop_result result = { .stopped = true };
	bool cleared = daemon->state == DAEMON_CLEARING && !daemon->peer;
	struct err err = { 0 };

	for (size_t i = 0; i < broker->child_count; i++)
		cleared = cleared && broker->children[i].role != BROKER_ROLE_DAEMON;
	if (cleared) { /* it and all that it had is gone */
		daemon->state = DAEMON_OFF;
		for (size_t i = 0; daemon->was_ready && i < broker->peer_count; i++) {
			if (broker->peers[i]->greeted)
				peer_notify(broker->peers[i], BROKER_METHOD_DAEMON_GONE, &gone);
		}
		wake(daemon, BROKER_METHOD_DAEMON_STOP, &result, &err);
	}
	if (daemon->deadline_ms == 0 || now_ms < daemon->deadline_ms)
		return;
	log_warn("daemon_killed", "pid=%d why='%s'", (int)daemon->pid,
		 daemon->state == DAEMON_STARTING ? "not ready in time" : "does not end");
	daemon->deadline_ms = now_ms + DAEMON_STOP_MS;
	daemon_terminate(broker, SIGKILL);
}
