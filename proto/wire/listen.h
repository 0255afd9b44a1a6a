/*
 * listen.h - where a server of packets is found: a socket in a folder that is the user's alone, and
 * that one server at a time holds.
 */
#pragma once

#include "proto/base/attr.h"

struct err;

#define LISTEN_BACKLOG 16 /* connections that wait to be accepted */

/* A folder, no link, that belongs to the user and to which nobody else may write. */
int listen_check_folder(const char *path, struct err *err) MUST_CHECK;

/*
 * Opens a folder and holds it until the descriptor is closed: sockets' names in it are the holder's
 * to remove and to make. ERR_STATE when another process holds it.
 */
int listen_hold(int *out, const char *path, struct err *err) MUST_CHECK;

/* A socket of this name in a folder that is held, for the user alone; does not block. */
int listen_in(int *out, int folder, const char *name, struct err *err) MUST_CHECK;

/* The socket that a service manager has made and listens for (LISTEN_FDS); -1 when there is none.
 */
int listen_inherited(int *out, struct err *err) MUST_CHECK;
