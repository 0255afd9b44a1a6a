/*
 * monitor.h - system mode: root starts the broker, which splits before it hears anybody.
 *
 *   front (the user, no capability): sockets, JSON, grants, agentd
 *     └─ monitor (root, six capabilities): does one thing, make a zygote
 *          └─ zygote (the user) ─ init ─ command
 *
 * What crosses is of fixed size: numbers, and one sealed block of texts that is read by nobody but
 * the process that becomes the zygote, after it has become the user. The monitor believes nothing
 * of it: the administrator's limits, the hidden folders and all places are looked at again there.
 * From then on the front speaks to the zygote. Either half ends with the other, and the kernel ends
 * what the monitor has made.
 *
 * The monitor is not dumpable, leaves no core file and has no_new_privs, so nobody can follow it
 * into the capabilities that it hands down, nor get new ones by a program: that is why sudo does
 * not work in a command with full access here. Changing its uid is not an exec and needs none of
 * them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/base/attr.h"
#include "proto/sys/account.h"

struct err;
struct limits;
struct sandbox_config;

/* All borrowed for ever. */
struct system_mode {
	const struct account *account;
	const struct limits *limits;
	const char *const *hidden; /* folders */
	size_t hidden_count;
	int ready_fd; /* closed in the monitor: the front tells */
};

/*
 * Gives up all capabilities but the ones in the table, and asks the kernel whether that is so; then
 * splits. The caller goes on as the front, which is the user.
 */
int monitor_start(const struct system_mode *system, struct err *err) MUST_CHECK;

/* Not 0 in system mode, in both halves. When it ends so must the front. */
pid_t monitor_pid(void);

/* Has the monitor make a zygote; `control` then speaks to that. */
int monitor_ask(const struct sandbox_config *config, int *out_control, int *out_pidfd,
		struct err *err) MUST_CHECK;

/*
 * sandbox.c, for the monitor: a process in the namespaces of a sandbox, not more than that: its
 * pid, or 0 in it. Each of the two gets an end of a socket pair.
 */
pid_t sandbox_fork(const struct sandbox_config *config, int *out_control, int *out_pidfd,
		   struct err *err) MUST_CHECK;

/* Becomes the zygote, of what the calling process sees; returns on failure. */
void sandbox_become_zygote(const struct sandbox_config *config, int control, pid_t parent,
			   struct err *err);
