/*
 * lockdown.h - what agentd takes away from itself before it reads the first byte from a client or a
 * network.
 *
 * agentd parses hostile bytes all day, so the question is what an attacker who owns it could do.
 * After lockdown_apply() the process can start no program and no process (threads only), trace or
 * signal no other process, make no new Unix socket (what it needs of that kind is open before),
 * change no namespace, mount, key or mode of a file, load nothing into the kernel, and write no
 * file outside its state and runtime folders. It has no capabilities and leaves no core. There is
 * no way back.
 *
 * Call it while there is one thread: whatever starts later inherits the lock. Links with libseccomp
 * and nothing else, so that a test can stand in for the daemon.
 */
#pragma once

#include "proto/base/attr.h"

struct err;

struct lockdown_config {
	const char *state_dir;   /* absolute; writable afterwards */
	const char *runtime_dir; /* absolute; writable afterwards */
};

/* All of it, or an error: then the process may be half locked and must end. */
int lockdown_apply(const struct lockdown_config *config, struct err *err) MUST_CHECK;

/*
 * Tries for real what must not work (execve, fork, Unix sockets, writing outside, tracing, ...) and
 * what must (threads, internet sockets, writing inside). ERR_DENIED names the first thing that is
 * not as it has to be. An execve that succeeds ends the process with a sentence on standard error;
 * nothing else leaves a trace.
 */
int lockdown_self_test(const struct lockdown_config *config, struct err *err) MUST_CHECK;
