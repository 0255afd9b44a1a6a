/*
 * leak.h - nothing may be left of what a test has started: no process, no namespace, no mount, no
 * cgroup, no socket, no file.
 *
 * leak_before() makes the test the one that inherits its orphans, so that whatever outlives the
 * broker becomes its child and is found. Other tests may run at the same time; what is theirs does
 * not count.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "proto/base/buf.h"

#define LEAK_PROCESSES_MAX 1024
#define LEAK_TEXT_MAX 4194304

struct leak {
	struct buf mounts;
	struct buf cgroups;
	struct buf folders; /* that are looked at: their content, by name */
	const char *const *watched;
};

/* watched: folders whose content must be the same afterwards, ended by NULL; borrowed. */
void leak_before(struct leak *leak, const char *const *watched);

/*
 * Waits until every process that descends from the test has ended, those that `keep` lists aside;
 * says what is left after that in words. Ends the comparison.
 */
void leak_after(struct leak *leak, const pid_t *keep, size_t keep_count, struct buf *out);

/* The processes that descend from this one now. */
size_t leak_descendants(pid_t *out, size_t max);

/* The fixture with this check around it: nothing at all may be left. */
int leak_setup(void **state);
int leak_teardown(void **state);

#define LEAK_TEST(function) cmocka_unit_test_setup_teardown(function, leak_setup, leak_teardown)
