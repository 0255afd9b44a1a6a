#include "broker/broker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/wire/json.h"
#include "proto/wire/packet.h"
#include "proto/wire/peer.h"
#include "proto/wire/rpc.h"

#include "broker/peer.h"
#include "broker/reap.h"
#include "broker/serve.h"

/* Signals, listener, peers in order, two for each command in order. */
#define POLL_PEERS 2U
#define POLL_MAX (POLL_PEERS + BROKER_PEERS_MAX + 1 + 2 * BROKER_CHILDREN_MAX)

int64_t broker_now_ms(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void broker_close_ceiling(struct broker *broker, struct ceiling *ceiling)
{
	log_info("ceiling_closed", "ceiling=%.8s", ceiling->id);
	reap_kill(broker, NULL, ceiling);
	grants_drop(&broker->grants, ceiling->id);
	ceilings_drop(&broker->ceilings, ceiling);
}

struct peer *broker_add_peer(struct broker *broker, int sock, enum broker_role role,
			     struct err *err)
{
	struct peer *peer = peer_new(sock, role, ++broker->peer_number, err);

	if (peer)
		broker->peers[broker->peer_count++] = peer;
	return peer;
}

/*
 * Refused peers are told so where that is possible without waiting. What they have sent is thrown
 * away and nothing more let in: closing with something unread would reset the connection, and the
 * sentence would be lost.
 */
static void refuse(int sock, const struct err *why)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(BROKER_PACKET_MAX);
	json_auto_t *message = rpc_failure(NULL, why);
	bool told;
	char byte;

	(void)shutdown(sock, SHUT_RD);
	while (recv(sock, &byte, 1, MSG_DONTWAIT) > 0)
		;
	told = message && fd_set_nonblock(sock, NULL) == 0 &&
	       wire_json_dump(&text, message, NULL) == 0 &&
	       packet_send(sock, text.data, text.len, NULL, 0, NULL) == PACKET_DONE;
	log_warn("peer_refused", "told=%s why='%s'", told ? "yes" : "no", why->text);
}

static void accept_one(struct broker *broker)
{
	int sock SCOPED(fd_close) = accept4(broker->listener, NULL, NULL, SOCK_CLOEXEC);
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

	while (read(broker->signals, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGCHLD)
			continue; /* many ends, one signal: collected below */
		log_info("signal", "number=%u", info.ssi_signo);
		daemon_shut(broker);
	}
	reap_zombies(broker);
}

static void on_peer(struct broker *broker, struct peer *peer, short events)
{
	struct packet packet SCOPED(packet_deinit) = { 0 };

	if (peer_receive(peer, events, &packet))
		serve_packet(broker, peer, &packet);
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
		const struct child *child = broker->children[i];

		fds[count++] = (struct pollfd){ .fd = child->silent ? -1 : child->started.status_fd,
						.events = POLLIN };
		fds[count++] = (struct pollfd){ .fd = child->started.pidfd, .events = POLLIN };
	}
	return count;
}

/* Newcomers are added behind those that were polled, and nobody leaves before the sweep. */
static void dispatch(struct broker *broker, const struct pollfd *fds, size_t count)
{
	size_t peers = broker->peer_count;

	if (fds[0].revents)
		on_signals(broker);
	for (size_t i = 0; i < peers; i++) {
		if (fds[POLL_PEERS + i].revents)
			on_peer(broker, broker->peers[i], fds[POLL_PEERS + i].revents);
	}
	for (size_t i = POLL_PEERS + peers; i < count; i++) {
		size_t which = i - POLL_PEERS - peers;
		struct child *child = broker->children[which / 2];

		if (fds[i].revents && which % 2 == 0)
			reap_report(child);
		else if (fds[i].revents)
			reap_gone(child);
	}
	if (fds[1].revents)
		accept_one(broker);
}

/* Ends what depends on a peer that has gone. */
static void lose(struct broker *broker, struct peer *peer)
{
	reap_kill(broker, peer, NULL);
	for (size_t i = broker->ceilings.count; i-- > 0;) {
		struct ceiling *ceiling = broker->ceilings.items[i];
		bool own = ceiling->owner == peer;

		if (own)
			ceiling->owner = NULL;
		if (ceiling->open.keep ? peer->role == BROKER_ROLE_DAEMON : own)
			broker_close_ceiling(broker, ceiling);
	}
	daemon_lost(broker, peer);
	peer_free(peer);
}

static void sweep(struct broker *broker)
{
	for (size_t i = broker->peer_count; i-- > 0;) {
		struct peer *peer = broker->peers[i];

		if (!peer->dead)
			continue;
		broker->peers[i] = broker->peers[--broker->peer_count];
		lose(broker, peer);
		i = broker->peer_count; /* its farewells may have ended another */
	}
	reap_sweep(broker);
}

/* Grants and agentd have their hours. */
static void tick(struct broker *broker)
{
	struct broker_grant_answered params = { .state = BROKER_GRANT_STATE_EXPIRED };
	int64_t now_ms = broker_now_ms();
	char id[ID_SIZE];

	params.grant = id;
	while (grants_expire(&broker->grants, now_ms, id)) {
		if (broker->daemon.peer)
			serve_notify(broker->daemon.peer, BROKER_METHOD_GRANT_ANSWERED, &params);
	}
	daemon_tick(broker, now_ms);
}

static int wait_ms(const struct broker *broker)
{
	int64_t grant_ms = grants_next_ms(&broker->grants);
	int64_t daemon_ms = daemon_next_ms(&broker->daemon);
	int64_t left_ms = (grant_ms < daemon_ms ? grant_ms : daemon_ms) - broker_now_ms();

	return left_ms > INT32_MAX ? -1 : left_ms > 0 ? (int)left_ms : 0;
}

static void finish(struct broker *broker)
{
	for (size_t i = 0; i < broker->peer_count; i++)
		broker->peers[i]->dead = true;
	sweep(broker);
	while (broker->ceilings.count > 0)
		broker_close_ceiling(broker, broker->ceilings.items[0]);
	while (broker->child_count > 0)
		child_free(&broker->children[--broker->child_count]);
	grants_deinit(&broker->grants);
}

int broker_run(struct broker *broker, struct err *err)
{
	struct pollfd fds[POLL_MAX];
	int rc = 0;

	while (!broker->stop && rc == 0) {
		size_t count = watch(broker, fds);

		if (poll(fds, count, wait_ms(broker)) >= 0)
			dispatch(broker, fds, count);
		else if (errno != EINTR)
			rc = ERR_SYS(err, errno, "poll");
		sweep(broker);
		tick(broker);
		sweep(broker); /* whom the news has ended */
	}
	finish(broker);
	return rc;
}
