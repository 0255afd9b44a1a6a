#include "broker/broker.h"

#include <time.h>

#include "proto/wire/peer.h"

/* Signals, listener, peers in order, two for each command in order. */
#define POLL_PEERS 2U
#define POLL_MAX (POLL_PEERS + BROKER_PEERS_MAX + 1 + 2 * BROKER_CHILDREN_MAX)

int64_t broker_now_ms(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int exit_code(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

void child_deinit(struct child *child)
{
	started_deinit(&child->started);
	ticket_drop(&child->ticket);
}

/* A kill that fails leaves a process behind, which somebody must hear of. */
static void kill_tree(const struct child *child)
{
	struct err err = { 0 };

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
			kill_tree(child);
			report.event = CHILD_GONE;
		}
		if (report.event == CHILD_NOTHING)
			return;
		child->executed |= report.event == CHILD_EXECUTED;
		if (report.event == CHILD_EXECUTED)
			(void)ticket_answer(&child->ticket, &result, NULL, &err);
		else if (report.event == CHILD_FAILED)
			(void)ticket_answer(&child->ticket, NULL, NULL, &report.err);
		else if (report.event == CHILD_EXITED)
			child->wait_status = report.wait_status;
		else
			fd_close(&child->started.status_fd);
	}
	(void)ERR_SET(&err, ERR_SYSTEM, "the command ended before it ran");
	(void)ticket_answer(&child->ticket, NULL, NULL, &err);
}

/* Its tree is gone. */
static void reap_gone(struct child *child)
{
	struct broker_child_exited params = { .child = child->id };

	reap_report(child); /* what was said before the end */
	fd_close(&child->started.status_fd);
	reap_report(child); /* nobody is left to say more: whoever waits is told that */
	child->gone = true;
	if (!child->executed)
		return;
	params.signal = WIFSIGNALED(child->wait_status) ? WTERMSIG(child->wait_status) : 0;
	params.code = exit_code(child->wait_status);
	log_info("child_exited", "child=%.8s code=%d", child->id, (int)params.code);
	peer_notify(child->peer, BROKER_METHOD_CHILD_EXITED, &params);
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
		kill_tree(child);
	}
}

void broker_close_ceiling(struct broker *broker, struct ceiling *ceiling)
{
	log_info("ceiling_closed", "ceiling=%.8s", ceiling->id);
	reap_kill(broker, NULL, ceiling);
	grants_settle(&broker->grants, ceiling->id);
	ceilings_drop(&broker->ceilings, ceiling);
}

struct peer *broker_add_peer(struct broker *broker, int sock, enum broker_role role,
			     struct err *err)
{
	int fd SCOPED(fd_close) = sock;
	struct peer *peer = fd_set_nonblock(fd, err) < 0 ? NULL : malloc(sizeof *peer);

	if (peer) {
		*peer = (struct peer){ ++broker->peer_number, fd_take(&fd), .role = role };
		broker->peers[broker->peer_count++] = peer;
	} else if (err->code == ERR_NONE) {
		(void)ERR_NOMEM_SET(err);
	}
	return peer;
}

/*
 * Refused peers are told so where that is possible without waiting. What they have sent is thrown
 * away and nothing more let in: closing with something unread would reset the connection, and the
 * sentence would be lost.
 */
static void refuse(int sock, const struct err *why)
{
	struct peer peer = { .fd = sock };
	struct err err = { 0 };
	char byte;
	int rc;

	(void)shutdown(sock, SHUT_RD);
	while (recv(sock, &byte, 1, MSG_DONTWAIT) > 0)
		;
	rc = peer_send(&peer, rpc_failure(NULL, why), -1, &err);
	log_warn("peer_refused", "told=%s why='%s'", rc < 0 || peer.dead ? "no" : "yes", why->text);
}

static void accept_one(struct broker *broker)
{
	int sock SCOPED(fd_close) =
		accept4(broker->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	size_t clients = broker->peer_count - (broker->daemon.peer ? 1 : 0);
	struct err err = { 0 };
	int rc;

	if (sock < 0)
		return;
	rc = clients < BROKER_PEERS_MAX
		     ? peer_check(sock, getuid(), getpid(), &err)
		     : ERR_SET(&err, ERR_LIMIT, "more than %d connections", BROKER_PEERS_MAX);
	if (rc < 0)
		refuse(sock, &err);
	else if (!broker_add_peer(broker, fd_take(&sock), BROKER_ROLE_CLIENT, &err))
		log_error("peer_new", "why='%s'", err.text);
}

static void on_signals(struct broker *broker)
{
	struct signalfd_siginfo info = { 0 };
	int status = 0;
	pid_t pid;

	while (read(broker->signals, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGCHLD)
			continue; /* many ends, one signal: collected below */
		log_info("signal", "number=%u", info.ssi_signo);
		broker->stop = true;
		daemon_terminate(broker, SIGTERM);
	}
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == broker->daemon.pid)
			daemon_ended(broker, status);
	}
}

static size_t watch(const struct broker *broker, struct pollfd *fds)
{
	size_t count = 0;

	fds[count++] = (struct pollfd){ .fd = broker->signals, .events = POLLIN };
	fds[count++] = (struct pollfd){ .fd = broker->listener, .events = POLLIN };
	for (size_t i = 0; i < broker->peer_count; i++)
		fds[count++] = (struct pollfd){ .fd = broker->peers[i]->fd,
						.events = peer_events(broker->peers[i]) };
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
	size_t peers = broker->peer_count;
	struct child *child = broker->children;

	if (fds[0].revents)
		on_signals(broker);
	for (size_t i = 0; i < peers; i++) {
		struct packet packet SCOPED(packet_deinit) = { 0 };
		short events = fds[POLL_PEERS + i].revents;

		if (events && peer_receive(broker->peers[i], events, &packet))
			serve_packet(broker, broker->peers[i], &packet);
	}
	for (size_t i = POLL_PEERS + peers; i < count; i += 2, child++) {
		if (fds[i].revents)
			reap_report(child);
		if (fds[i + 1].revents)
			reap_gone(child);
	}
	if (fds[1].revents)
		accept_one(broker);
}

/* Frees the peers that are dead, with what depends on them, and the commands that are gone. */
static void sweep(struct broker *broker)
{
	for (size_t i = broker->peer_count; i-- > 0;) {
		struct peer *peer = broker->peers[i];

		if (!peer->dead)
			continue;
		broker->peers[i] = broker->peers[--broker->peer_count];
		reap_kill(broker, peer, NULL);
		for (size_t k = broker->ceilings.count; k-- > 0;) {
			struct ceiling *ceiling = broker->ceilings.items[k];
			bool own = ceiling->owner == peer;

			ceiling->owner = own ? NULL : ceiling->owner;
			if (ceiling->open.keep ? peer->role == BROKER_ROLE_DAEMON : own)
				broker_close_ceiling(broker, ceiling);
		}
		daemon_lost(broker, peer);
		peer_free(peer);
		i = broker->peer_count; /* its farewells may have ended another */
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
	int64_t now_ms = broker_now_ms();

	while (grants_expire(&broker->grants, now_ms, id))
		peer_notify(broker->daemon.peer, BROKER_METHOD_GRANT_ANSWERED, &params);
	daemon_tick(broker, now_ms);
}

static int wait_ms(const struct broker *broker)
{
	const struct grant *grant = grants_next(&broker->grants);
	int64_t grant_ms = grant ? grant->expires_ms : INT64_MAX;
	int64_t daemon_ms = broker->daemon.deadline_ms;
	int64_t left_ms =
		(daemon_ms && daemon_ms < grant_ms ? daemon_ms : grant_ms) - broker_now_ms();

	return left_ms > INT32_MAX ? -1 : left_ms > 0 ? (int)left_ms : 0;
}

int broker_run(struct broker *broker, struct err *err)
{
	struct pollfd fds[POLL_MAX];
	int rc = 0;

	while (rc == 0 && !(broker->stop && broker->daemon.state == DAEMON_OFF)) {
		size_t count = watch(broker, fds);
		/* Nothing falls due then: grants and deadlines are agentd's. */
		bool idle = broker->peer_count == 0 && broker->child_count == 0 &&
			    broker->daemon.state == DAEMON_OFF;
		int ready = poll(fds, count, idle ? broker->options.idle_ms : wait_ms(broker));

		if (ready < 0 && errno != EINTR)
			rc = ERR_SYS(err, errno, "poll");
		if (ready > 0)
			dispatch(broker, fds, count);
		if (ready == 0 && idle) {
			log_info("broker_idle", "ms=%d", broker->options.idle_ms);
			broker->stop = true;
		}
		sweep(broker);
		tick(broker);
		sweep(broker); /* whom the news has ended */
	}
	for (size_t i = 0; i < broker->peer_count; i++)
		broker->peers[i]->dead = true;
	sweep(broker);
	while (broker->ceilings.count > 0)
		broker_close_ceiling(broker, broker->ceilings.items[0]);
	while (broker->child_count > 0)
		child_deinit(&broker->children[--broker->child_count]);
	return rc;
}
