/*
 * cgroup.h - what bounds the resources of commands: cgroups of version 2 where a subtree was
 * delegated to this process, otherwise rlimits.
 *
 * A subtree counts as delegated when the service manager says so (the attribute user.delegate or
 * trusted.delegate of its folder): what merely can be written to, as root can everywhere, is not
 * ours to change. The process moves into the leaf 'broker'. Each sandbox has a leaf for its zygote
 * and with that for all of its commands together; it goes with its last process.
 *
 *   delegated ─┬─ broker      monitor, front, agentd
 *              ├─ ceiling-1   zygote, inits, commands
 *              └─ ceiling-2
 *
 * Decided once, before the first fork: the processes that follow inherit it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include "proto/base/attr.h"

struct err;

#define CGROUP_PIDS_DEFAULT 2048 /* processes and threads, unless the administrator bounds them */
#define CGROUP_WAIT_MS 1000      /* how long the end of a leaf's processes is waited for */

/* What is bounded: processes and threads; MiB; hundredths of one core. */
enum cgroup_controller { CGROUP_PIDS, CGROUP_MEMORY, CGROUP_CPU, CGROUP_COUNT };

/*
 * Takes the folder (-1: the process's own), ends what an earlier broker has left there and switches
 * the controllers on. A limit of 0 is none. That nothing was delegated is no failure.
 */
void cgroup_start(int folder, const int64_t limits[CGROUP_COUNT]);

/* The folder of a new leaf with its limits set, or -1 without cgroups. ERR_SYSTEM: a limit cannot
 * be.
 */
int cgroup_leaf(int *out, struct err *err) MUST_CHECK;

/* Removes the leaves in which no process is left; `kill`: ends those first, and waits. */
void cgroup_sweep(bool kill);

/* The limit, in units or bytes, where no cgroup holds it, so that an rlimit has to; RLIM_INFINITY:
 * none. */
rlim_t cgroup_rlimit(enum cgroup_controller controller);

/* A sentence for each limit, static, with or without rlimits; how many, at most CGROUP_COUNT. */
size_t cgroup_limits(const char **out, bool rlimits);
