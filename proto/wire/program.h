/*
 * program.h - a program that is started with a connection to whoever starts it.
 */
#pragma once

#include <sys/types.h>

#include "proto/base/attr.h"

struct err;

#define PROGRAM_FD 3 /* where it finds its end of a pair of packet sockets */

/* What a shell says of a status as waitpid() gives it: 128 + the signal, where one has ended it. */
int program_code(int wait_status);

/*
 * Starts argv[0], a path; argv ends in NULL. *out_sock, the other end, is the caller's. Of what the
 * caller has set up it inherits neither blocked signals nor that SIGPIPE is ignored. No death
 * signal is set: it learns of the caller's end by the end of its connection, and may have something
 * to store and to tell before it ends as well. ERR_SYSTEM where it cannot be executed.
 */
int program_start(pid_t *out, int *out_sock, const char *const *argv, struct err *err) MUST_CHECK;
