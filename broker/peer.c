#include "broker/peer.h"

#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/wire/json.h"
#include "proto/wire/packet.h"

struct peer *peer_new(int sock, enum broker_role role, unsigned number, struct err *err)
{
	int fd SCOPED(fd_close) = sock;
	struct peer *peer = fd_set_nonblock(fd, err) < 0 ? NULL : malloc(sizeof *peer);

	if (peer)
		*peer = (struct peer){ .number = number, .fd = fd_take(&fd), .role = role };
	else if (err->code == ERR_NONE)
		(void)ERR_NOMEM_SET(err);
	return peer;
}

void peer_free(struct peer *peer)
{
	fd_close(&peer->fd);
	free(peer);
}

void peer_end(struct peer *peer, const char *why)
{
	if (!peer->dead)
		log_info("peer_gone", "peer=%u why='%s'", peer->number, why);
	peer->dead = true;
}

short peer_events(const struct peer *peer)
{
	if (peer->behind)
		return POLLOUT; /* three quarters of the buffer are free */
	return peer->in_flight < PEER_FLIGHT_MAX ? POLLIN : 0;
}

bool peer_receive(struct peer *peer, short events, struct packet *packet)
{
	struct err err = { 0 };
	int unread = 0;
	int got = PACKET_AGAIN;

	if (peer->dead)
		return false;
	if (!(events & (POLLIN | POLLOUT)))
		peer_end(peer, "closed");
	peer->behind = ioctl(peer->fd, SIOCOUTQ, &unread) == 0 && unread > PEER_UNREAD_MAX;
	if ((events & POLLIN) && !peer->behind)
		got = packet_recv(peer->fd, packet, &err);
	if (got < 0)
		peer_end(peer, err.text);
	return got == PACKET_DONE;
}

int peer_send(struct peer *peer, json_t *message, int fd, struct err *err)
{
	json_auto_t *owned = message;
	int own_fd SCOPED(fd_close) = fd;
	struct buf text SCOPED(buf_deinit) = BUF_INIT(BROKER_PACKET_MAX);
	struct err why = { .text = "does not read what it is sent" };

	if (!owned)
		return ERR_NOMEM_SET(err);
	if (wire_json_dump(&text, owned, err) < 0)
		return err->code;
	if (!peer->dead && packet_send(peer->fd, text.data, text.len, &own_fd, fd >= 0 ? 1 : 0,
				       &why) != PACKET_DONE)
		peer_end(peer, why.text);
	return 0;
}
