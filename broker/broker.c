#include "broker/broker.h"

#include "proto/base/clock.h"
#include "proto/wire/audit.h"
#include "proto/wire/peer.h"
#include "proto/wire/program.h"

#include "broker/monitor.h"

/* Signals, listener, peers in order, two for each command in order. */
#define POLL_PEERS 2U
#define POLL_MAX (POLL_PEERS + SERVER_PEERS_MAX + 2 * BROKER_CHILDREN_MAX)

#define CLOSE_PER_ROUND 4U /* ceilings, each of which takes most of a millisecond */

void child_deinit(struct child *child)
{
	started_deinit(&child->started);
	ticket_drop(&child->ticket);
	denied_deinit(&child->denied);
}

/* A kill that fails leaves a process behind, which somebody must hear of. */
static void kill_tree(struct child *child, const char *by)
{
	struct err err = { 0 };

	child->ended_by = child->ended_by ? child->ended_by : by;
	child->kill_again_ms = clock_ms() + KILL_GRACE_MS;
	if (!child->gone && sandbox_kill(&child->started, &err) < 0 && err.code != ERR_GONE)
		log_error("child_kill", "child=%.8s why='%s'", child->id, err.text);
}

/* Something is to be read from its status. */
static void reap_report(struct child *child)
{
	struct broker_child_start_result result = { .child = child->id };
	struct child_report report = { 0 };
	struct err err = { 0 };

	while (child->started.status_fd >= 0) {
		if (sandbox_report(&child->started, &report, &err) < 0) {
			log_error("child_report", "child=%.8s why='%s'", child->id, err.text);
			kill_tree(child, "broker");
			report.event = CHILD_GONE;
		}
		if (report.event == CHILD_NOTHING)
			return;
		if (report.event == CHILD_EXITED)
			child->denied.lost += report.lost;
		if (report.event == CHILD_DENIED && report.denial.rule == DENIAL_RULE_CHANGED)
			child->ended_by = "changed";
		child->executed |= report.event == CHILD_EXECUTED;
		if (report.event == CHILD_EXECUTED)
			(void)ticket_answer(&child->ticket, &result, NULL, &err);
		else if (report.event == CHILD_FAILED)
			(void)ticket_answer(&child->ticket, NULL, NULL, &report.err);
		else if (report.event == CHILD_DENIED)
			denied_add(&child->denied, &report.denial);
		else if (report.event == CHILD_EXITED)
			child->wait_status = report.wait_status;
		else
			fd_close(&child->started.status_fd);
	}
	(void)ERR_SET(&err, ERR_SYSTEM, "the command ended before it ran");
	(void)ticket_answer(&child->ticket, NULL, NULL, &err);
}

/* Its tree is gone. */
static void reap_gone(struct broker *broker, struct child *child)
{
	struct broker_denial rows[BROKER_DENIALS_MAX];
	struct broker_child_exited exited = { .child = child->id };

	reap_report(child); /* what was said before the end */
	fd_close(&child->started.status_fd);
	reap_report(child); /* nobody is left to say more: whoever waits is told that */
	child->gone = true;
	denied_tell(&child->denied, rows, &exited);
	exited.code = program_code(child->wait_status);
	exited.signal = WIFSIGNALED(child->wait_status) ? WTERMSIG(child->wait_status) : 0;
	if (!child->ended_by)
		child->ended_by = exited.signal && exited.signal == child->signal ? "its connection"
										  : "itself";
	if (child->executed) {
		log_info("child_exited", "child=%.8s code=%d denials=%zu by='%s'", child->id,
			 (int)exited.code, exited.denials_count, child->ended_by);
		peer_notify(child->peer, BROKER_METHOD_CHILD_EXITED, &exited);
	}
	(void)record(broker, NULL, child->executed ? "child_exited" : "child_failed",
		     audit_exit(&exited, child->ended_by), NULL);
}

void reap_kill(struct broker *broker, const struct peer *peer, const struct ceiling *ceiling)
{
	for (size_t i = 0; i < broker->child_count; i++) {
		struct child *child = &broker->children[i];

		if (peer && child->peer == peer) {
			ticket_drop(&child->ticket);
			child->peer = NULL;
		} else if (ceiling && child->ceiling == ceiling) {
			child->ceiling = NULL;
		} else {
			continue;
		}
		kill_tree(child, peer ? "the end of its connection" : "the end of its ceiling");
	}
}

void broker_close_ceiling(struct broker *broker, struct ceiling *ceiling)
{
	log_info("ceiling_closed", "ceiling=%.8s", ceiling->id);
	(void)record(broker, NULL, "ceiling_closed", json_pack("{s:s}", "ceiling", ceiling->id),
		     NULL);
	reap_kill(broker, NULL, ceiling);
	grants_settle(&broker->grants, ceiling->id);
	ceilings_drop(&broker->ceilings, ceiling);
}

static void accept_one(struct broker *broker)
{
	int sock SCOPED(fd_close) =
		accept4(broker->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	size_t clients = broker->server.peer_count - (broker->daemon.peer ? 1 : 0);
	struct err err = { 0 };
	int rc;

	if (sock < 0)
		return;
	rc = limits_room(&broker->limits, LIMITS_CONNECTIONS, clients, &err);
	if (rc == 0)
		rc = peer_check(sock, getuid(), getpid(), &err);
	if (rc < 0)
		(void)record(broker, &(struct peer){ .fd = sock }, "peer_refused",
			     json_pack("{s:s}", "why", err.text), NULL);
	if (rc < 0)
		log_warn("peer_refused", "told=%s why='%s'",
			 server_refuse(sock, &err) ? "yes" : "no", err.text);
	else if (!server_add(&broker->server, fd_take(&sock), BROKER_ROLE_CLIENT, &err))
		log_error("peer_new", "why='%s'", err.text);
}

static void on_signals(struct broker *broker)
{
	bool end = false;
	int status = 0;
	int signal;
	pid_t pid;

	while ((signal = fd_next_signal(broker->signals)) > 0) {
		if (signal == SIGCHLD)
			continue; /* many ends, one signal: collected below */
		log_info("signal", "number=%d", signal);
		end = true;
	}
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == broker->daemon.pid)
			daemon_ended(broker, status);
		if (pid == monitor_pid()) { /* and with it all commands */
			log_error("monitor_gone", "code=%d", program_code(status));
			end = true;
		}
	}
	broker->stop |= end;
	if (end)
		daemon_terminate(broker, SIGTERM);
}

static size_t watch(const struct broker *broker, struct pollfd *fds)
{
	size_t count = 0;

	fds[count++] = (struct pollfd){ .fd = broker->signals, .events = POLLIN };
	fds[count++] = (struct pollfd){ .fd = broker->listener, .events = POLLIN };
	count += server_watch(&broker->server, fds + count);
	for (size_t i = 0; i < broker->child_count; i++) {
		const struct started *started = &broker->children[i].started;

		fds[count++] = (struct pollfd){ .fd = started->status_fd, .events = POLLIN };
		fds[count++] = (struct pollfd){ .fd = started->pidfd, .events = POLLIN };
	}
	return count;
}

/* Newcomers are added behind those that were polled, and nobody leaves before the sweep. */
static void dispatch(struct broker *broker, const struct pollfd *fds, size_t count)
{
	size_t peers = broker->server.peer_count;
	struct child *child = broker->children;

	if (fds[0].revents)
		on_signals(broker);
	server_dispatch(&broker->server, fds + POLL_PEERS, peers);
	for (size_t i = POLL_PEERS + peers; i < count; i += 2, child++) {
		if (fds[i].revents)
			reap_report(child);
		if (fds[i + 1].revents)
			reap_gone(broker, child);
	}
	if (fds[1].revents)
		accept_one(broker);
}

/* Frees the peers that are dead, with what depends on them, and the commands that are gone. */
static void sweep(struct broker *broker)
{
	struct peer *peer;

	while ((peer = server_next_dead(&broker->server))) {
		reap_kill(broker, peer, NULL);
		for (size_t k = broker->ceilings.count; k-- > 0;) {
			struct ceiling *ceiling = broker->ceilings.items[k];
			bool own = ceiling->owner == peer;
			bool ends = ceiling->open.keep ? peer->role == BROKER_ROLE_DAEMON : own;

			ceiling->owner = own || ends ? NULL : ceiling->owner;
			ceiling->open.keep &= !ends;
		}
		daemon_lost(broker, peer);
		peer_free(peer);
	}
	for (size_t i = broker->child_count; i-- > 0;) {
		if (!broker->children[i].gone)
			continue;
		child_deinit(&broker->children[i]);
		broker->children[i] = broker->children[--broker->child_count];
	}
}

/* Grants and agentd have their hours. */
static void tick(struct broker *broker)
{
	char id[ID_SIZE];
	struct broker_grant_answered params = { .grant = id, .state = BROKER_GRANT_STATE_EXPIRED };
	int64_t now_ms = clock_ms();

	for (size_t i = 0; i < broker->child_count; i++) {
		struct child *child = &broker->children[i];

		if (child->kill_again_ms && child->kill_again_ms <= now_ms)
			kill_tree(child, "broker");
	}
	while (grants_expire(&broker->grants, now_ms, id)) {
		(void)record(broker, NULL, "grant_expired", json_pack("{s:s}", "grant", id), NULL);
		peer_notify(broker->daemon.peer, BROKER_METHOD_GRANT_ANSWERED, &params);
	}
	daemon_tick(broker, now_ms);
}

/*
 * A ceiling that is neither kept nor anybody's can be used no more. One peer may leave all that
 * there can be, so some are closed in each round; returns whether there are more.
 */
static bool close_abandoned(struct broker *broker)
{
	size_t closed = 0;

	for (size_t i = broker->ceilings.count; i-- > 0;) {
		struct ceiling *ceiling = broker->ceilings.items[i];

		if (ceiling->owner || ceiling->open.keep)
			continue;
		if (closed++ == CLOSE_PER_ROUND)
			return true;
		broker_close_ceiling(broker, ceiling);
	}
	return false;
}

static int wait_ms(const struct broker *broker)
{
	const struct grant *grant = grants_next(&broker->grants);
	int64_t grant_ms = grant ? grant->expires_ms : INT64_MAX;
	int64_t daemon_ms = broker->daemon.deadline_ms;
	int64_t left_ms = (daemon_ms && daemon_ms < grant_ms ? daemon_ms : grant_ms) - clock_ms();

	for (size_t i = 0; i < broker->child_count; i++) {
		if (broker->children[i].kill_again_ms && left_ms > KILL_GRACE_MS)
			left_ms = KILL_GRACE_MS;
	}
	return left_ms > INT32_MAX ? -1 : left_ms > 0 ? (int)left_ms : 0;
}

int broker_run(struct broker *broker, struct err *err)
{
	struct pollfd fds[POLL_MAX];
	int rc = 0;
	bool more = false;

	broker->server.table = &serve_table;
	while (rc == 0 && !(broker->stop && broker->daemon.state == DAEMON_OFF)) {
		size_t count = watch(broker, fds);
		/* Nothing falls due then: grants and deadlines are agentd's. */
		bool idle = broker->server.peer_count == 0 && broker->child_count == 0 &&
			    broker->daemon.state == DAEMON_OFF;
		int most_ms = idle ? broker->options.idle_ms : wait_ms(broker);
		int ready = poll(fds, count, more ? 0 : most_ms);

		if (ready < 0 && errno != EINTR)
			rc = ERR_SYS(err, errno, "poll");
		if (ready > 0)
			dispatch(broker, fds, count);
		if (ready == 0 && idle && !more) {
			log_info("broker_idle", "ms=%d", broker->options.idle_ms);
			broker->stop = true;
		}
		sweep(broker);
		tick(broker);
		sweep(broker); /* whom the news has ended */
		more = close_abandoned(broker);
	}
	for (size_t i = 0; i < broker->server.peer_count; i++)
		broker->server.peers[i]->dead = true;
	sweep(broker);
	while (broker->ceilings.count > 0)
		broker_close_ceiling(broker, broker->ceilings.items[0]);
	while (broker->child_count > 0)
		child_deinit(&broker->children[--broker->child_count]);
	(void)record(broker, NULL, "end", json_pack("{s:b}", "failed", rc < 0), NULL);
	audit_close(broker->audit);
	return rc;
}
