/*
 * fork.h - a new process by clone3(), or where a container refuses that by clone().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/base/attr.h"

struct err;

/*
 * As fork(), with CLONE_... flags: the pid, 0 in the child, a negative enum err_code on failure.
 * *out_pidfd is set in the caller. A sibling is a child of the caller's parent, and ends with the
 * same signal as the caller does.
 */
pid_t fork_with_pidfd(uint64_t flags, bool sibling, int *out_pidfd, struct err *err) MUST_CHECK;

/* The same for a child of the caller, in the cgroup of a folder's descriptor or (-1) in ours. */
pid_t fork_into(uint64_t flags, int cgroup, int *out_pidfd, struct err *err) MUST_CHECK;
