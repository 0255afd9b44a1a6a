#include "proto/base/clock.h"
#include "proto/wire/program.h"

#include "broker/broker.h"

static int launch(struct broker *broker, struct err *err)
{
	struct daemon *daemon = &broker->daemon;
	const struct broker_options *options = &broker->options;
	const char *const *folders = options->folders;
	/* clang-format off */
	const char *const argv[] = {
		options->agentd,
		"--broker-fd", "3",
		"--runtime", folders[BROKER_RUNTIME],
		"--state", folders[BROKER_STATE],
		"--config", folders[BROKER_CONFIG],
		options->no_lockdown ? "--no-lockdown" : NULL,
		NULL
	};
	/* clang-format on */
	pid_t pid = 0;
	int sock = -1;

	if (program_start(&pid, &sock, argv, err) < 0)
		return err->code;
	*daemon = (struct daemon){ .state = DAEMON_STARTING, .pid = pid };
	daemon->deadline_ms = clock_ms() + DAEMON_START_MS;
	daemon->peer = server_add(&broker->server, sock, BROKER_ROLE_DAEMON, err);
	if (!daemon->peer) {
		daemon_terminate(broker, SIGKILL);
		return err->code;
	}
	daemon->peer->pid = pid;
	log_info("daemon_start", "pid=%d peer=%u lockdown=%s", (int)pid, daemon->peer->number,
		 options->no_lockdown ? "OFF" : "on");
	return 0;
}

int serve_daemon_start(struct call *call, struct err *err)
{
	struct broker *broker = broker_of(call);
	struct broker_daemon_start_result result = { .pid = broker->daemon.pid };

	if (broker->daemon.state == DAEMON_READY)
		return ticket_answer(&call->ticket, &result, NULL, err);
	if (broker->daemon.state == DAEMON_OFF && !broker->stop && launch(broker, err) < 0)
		return err->code;
	if (broker->daemon.state != DAEMON_STARTING)
		return ERR_SET(err, ERR_STATE, "agentd, or the broker, is about to end; try again");
	return ticket_wait(&call->ticket, err);
}

/* Its number is its own as long as we have not collected it. */
void daemon_terminate(struct broker *broker, int signal)
{
	struct daemon *daemon = &broker->daemon;

	if (daemon->pid == 0)
		return;
	if (daemon->state != DAEMON_STOPPING)
		daemon->deadline_ms = clock_ms() + DAEMON_STOP_MS;
	daemon->state = DAEMON_STOPPING;
	reap_kill(broker, daemon->peer, NULL);
	if (kill(daemon->pid, signal) < 0)
		log_error("daemon_signal", "why='%s'", strerrordesc_np(errno));
}

int serve_daemon_stop(struct call *call, struct err *err)
{
	struct broker *broker = broker_of(call);
	const struct broker_daemon_stop *params = call->params;
	struct broker_daemon_stop_result result = { .stopped = false };

	if (broker->daemon.state != DAEMON_OFF && ticket_wait(&call->ticket, err) < 0)
		return err->code;
	broker->stop |= params->broker;
	daemon_terminate(broker, SIGTERM);
	return ticket_answer(&call->ticket, &result, NULL, err); /* unless it waits */
}

int serve_daemon_status(struct call *call, struct err *err)
{
	const struct broker *broker = broker_of(call);
	const char *ids[GRANT_ALL_MAX];
	struct broker_daemon_status_result result = {
		.pid = broker->daemon.pid,
		.ceilings = (int64_t)broker->ceilings.count,
		.children = (int64_t)broker->child_count,
		.grants = (int64_t)grants_pending(&broker->grants, NULL, ids),
	};

	return ticket_answer(&call->ticket, &result, NULL, err);
}

int serve_daemon_ready(struct call *call, struct err *err)
{
	struct broker *broker = broker_of(call);
	struct daemon *daemon = &broker->daemon;
	struct broker_daemon_start_result result = { .pid = daemon->pid, .started = true };

	if (daemon->state != DAEMON_STARTING)
		return ERR_SET(err, ERR_STATE, "not while it is started");
	daemon->state = DAEMON_READY;
	daemon->deadline_ms = 0;
	daemon->was_ready = true;
	server_wake(&broker->server, BROKER_METHOD_DAEMON_START, &result, err);
	return 0;
}

void daemon_ended(struct broker *broker, int wait_status)
{
	struct daemon *daemon = &broker->daemon;
	struct err err = { 0 };

	daemon->code = program_code(wait_status);
	(void)ERR_SET(&err, ERR_SYSTEM,
		      "agentd ended with status %d before it was ready; the log says why",
		      daemon->code);
	log_info("daemon_ended", "pid=%d code=%d", (int)daemon->pid, daemon->code);
	daemon->pid = 0;
	daemon->state = DAEMON_CLEARING;
	daemon->deadline_ms = 0;
	if (daemon->peer)
		peer_end(daemon->peer, "agentd ended");
	server_wake(&broker->server, BROKER_METHOD_DAEMON_START, NULL, &err);
}

void daemon_lost(struct broker *broker, const struct peer *peer)
{
	struct daemon *daemon = &broker->daemon;

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
		if (daemon->was_ready)
			server_notify(&broker->server, BROKER_METHOD_DAEMON_GONE, &gone);
		server_wake(&broker->server, BROKER_METHOD_DAEMON_STOP, &result, &err);
	}
	if (daemon->deadline_ms == 0 || now_ms < daemon->deadline_ms)
		return;
	log_warn("daemon_killed", "pid=%d why='%s'", (int)daemon->pid,
		 daemon->state == DAEMON_STARTING ? "not ready in time" : "does not end");
	daemon->deadline_ms = now_ms + DAEMON_STOP_MS;
	daemon_terminate(broker, SIGKILL);
}
