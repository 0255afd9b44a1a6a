/*
 * packet.h - one message of a SOCK_SEQPACKET socket with the descriptors that came along.
 *
 * A zeroed struct packet is an empty one; it owns its bytes and descriptors (close-on-exec, -1 once
 * taken). Whatever was cut by the kernel is refused as a whole.
 */
#pragma once

#include <stddef.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/wire/broker_gen.h"

struct err;

struct packet {
	struct buf data; /* at most BROKER_PACKET_MAX */
	int fds[BROKER_FDS_MAX];
	size_t fd_count;
};

/* A failure is negative: ERR_GONE when the other side has closed, ERR_INVALID for what breaks the
 * rules. */
enum packet_result {
	PACKET_DONE, /* received, sent */
	PACKET_AGAIN /* not without blocking */
};

/* Replaces what the packet held; what was not taken is closed. After a failure the packet may hold
 * descriptors, closed like any others, and no bytes. */
int packet_recv(int sock, struct packet *packet, struct err *err) MUST_CHECK;

/* The descriptors stay the caller's. */
int packet_send(int sock, const void *data, size_t len, const int *fds, size_t fd_count,
		struct err *err) MUST_CHECK;

/* Hands descriptor i over; -1 when there is none. */
int packet_take(struct packet *packet, size_t i);

void packet_deinit(struct packet *packet); /* accepts zeroed and deinitialised */
