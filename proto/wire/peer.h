/*
 * peer.h - who is at the other end of a Unix socket? Believes the kernel, and the peer nothing.
 *
 * Refused are another user, and every process that `ancestor` has started, at whatever distance:
 * commands run as the user too, but do not speak for the user. The ancestor must be alive and a
 * child subreaper, so that a daemonised descendant stays one. Any doubt is a refusal.
 */
#pragma once

#include <sys/types.h>

#include "proto/base/attr.h"

struct err;

#define PEER_CHAIN_MAX 256 /* parents followed */

/* 0, or ERR_DENIED with the reason. */
int peer_check(int sock, uid_t uid, pid_t ancestor, struct err *err) MUST_CHECK;

/* The second half alone: `pid` is neither `ancestor` nor below it. */
int peer_check_chain(pid_t pid, pid_t ancestor, struct err *err) MUST_CHECK;
