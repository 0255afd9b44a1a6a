/*
 * supervised.h - a function that runs behind a filter, in namespaces of its own, and a supervisor
 * that answers the calls which are handed over: supervise.c without a sandbox.
 *
 * The function runs in a child of a child of the test. What it finds out it leaves in `seen`, which
 * all of them share.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/sys/supervise.h"

#include "tests/support/fixture.h"

struct seen {
	struct denials denials;
	int results[256]; /* 0, or an errno */
	char text[4096];
	bool finished; /* the function has come to its end */
	/* A name that nobody may make in the test's folder; "": none. */
	char reserved[NAME_MAX + 1];
	dev_t device;
	ino_t inode;
};

extern struct seen *seen;

#define SUPERVISED_TEST(function)                                                                  \
	cmocka_unit_test_setup_teardown(function, supervised_setup, supervised_teardown)

int supervised_setup(void **state);
int supervised_teardown(void **state);

/* All zero: with the network off, no changes handed over, a small table, the name in `seen`. */
struct supervised {
	bool changes;
	bool network;
	const struct filter_spec *filter;
	/* Instead of supervise_open(). */
	struct supervisor *(*open)(struct err *err);
};

/* The working directory is the test's folder. */
void supervised_run(const struct supervised *how, void (*function)(void));
void supervised(void (*function)(void));

void supervised_reserve(const char *name);

/* Fails the test when the denials do not hold one of this rule, operation and ending of target. */
void expect_denial(enum denial_rule rule, const char *operation, const char *target, int sys);
