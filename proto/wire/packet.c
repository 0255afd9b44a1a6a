#include "proto/wire/packet.h"

#include <errno.h>
#include <stdalign.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"

#define CONTROL_SIZE                                                                               \
	CMSG_SPACE(sizeof(int) * BROKER_FDS_MAX) /* bytes: room for the descriptors                \
						  */

static void packet_clear(struct packet *packet)
{
	for (size_t i = 0; i < packet->fd_count; i++)
		fd_close(&packet->fds[i]);
	packet->fd_count = 0;
	buf_clear(&packet->data);
}

static int failed(struct err *err, const char *what)
{
	if (errno == EAGAIN)
		return PACKET_AGAIN;
	if (errno == EPIPE || errno == ECONNRESET)
		return ERR_SET(err, ERR_GONE, "the other side has closed");
	return ERR_SYS(err, errno, "%s", what);
}

/* Descriptors first, whatever else is wrong: they exist from now on and someone must close them. */
static void collect(struct packet *packet, struct msghdr *header)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
		size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		/* The control buffer holds no more than BROKER_FDS_MAX. */
		memcpy(packet->fds + packet->fd_count, CMSG_DATA(part), count * sizeof(int));
		packet->fd_count += count;
	}
}

int packet_recv(int sock, struct packet *packet, struct err *err)
{
	alignas(struct cmsghdr) char control[CONTROL_SIZE] = { 0 };
	struct iovec piece = { .iov_len = BROKER_PACKET_MAX };
	struct msghdr header = { .msg_iov = &piece,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof control };
	ssize_t got;

	packet_clear(packet);
	packet->data.max = BROKER_PACKET_MAX;
	if (buf_reserve(&packet->data, BROKER_PACKET_MAX, err) < 0)
		return ERR_NOMEM;
	piece.iov_base = packet->data.data;
	do
		got = recvmsg(sock, &header, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return failed(err, "receive");
	collect(packet, &header);
	if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return ERR_SET(err, ERR_INVALID, "a packet of more than %d bytes or %d descriptors",
			       BROKER_PACKET_MAX, BROKER_FDS_MAX);
	if (got == 0) /* also an empty packet, which says nothing */
		return ERR_SET(err, ERR_GONE, "the other side has closed");
	buf_grow(&packet->data, (size_t)got);
	return PACKET_DONE;
}

int packet_send(int sock, const void *data, size_t len, const int *fds, size_t fd_count,
		struct err *err)
{
	alignas(struct cmsghdr) char control[CONTROL_SIZE] = { 0 };
	struct iovec piece = { .iov_base = (void *)(uintptr_t)data, .iov_len = len };
	struct msghdr header = { .msg_iov = &piece, .msg_iovlen = 1 };
	struct cmsghdr *part = (struct cmsghdr *)(void *)control;
	ssize_t sent;

	if (len == 0 || len > BROKER_PACKET_MAX || fd_count > BROKER_FDS_MAX)
		return ERR_SET(err, ERR_LIMIT, "a packet of %zu bytes and %zu descriptors", len,
			       fd_count);
	if (fd_count > 0) {
		header.msg_control = control;
		header.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		*part = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int) * fd_count),
					  .cmsg_level = SOL_SOCKET,
					  .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(part), fds, sizeof(int) * fd_count);
	}
	do
		sent = sendmsg(sock, &header, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? failed(err, "send") : PACKET_DONE;
}

int packet_take(struct packet *packet, size_t i)
{
	return i < packet->fd_count ? fd_take(&packet->fds[i]) : -1;
}

void packet_deinit(struct packet *packet)
{
	packet_clear(packet);
	buf_deinit(&packet->data);
}
