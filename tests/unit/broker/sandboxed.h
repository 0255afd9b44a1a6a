/*
 * sandboxed.h - a folder to work in, a folder outside, a hidden one, and commands that run in
 * sandboxes over them.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "proto/base/err.h"
#include "proto/wire/broker_gen.h"

#include "broker/sandbox.h"

#define OUTPUT_MAX 65536 /* bytes of a command's output that are kept */

/* What the last command did. */
extern struct did {
	char out[OUTPUT_MAX]; /* standard output and error */
	int status;           /* as waitpid() gives it; -1: it was killed with its tree */
	struct err failure;   /* code ERR_NONE: the program ran */
	struct denial denials[BROKER_DENIALS_MAX];
	size_t denial_count;
} did;

extern char dir[PATH_MAX]; /* the fixture's, canonical; the others lie in it */
extern char desk[PATH_MAX];
extern char outside[PATH_MAX];
extern char hidden[PATH_MAX];

#define SANDBOX_TEST(function)                                                                     \
	cmocka_unit_test_setup_teardown(function, sandboxed_setup, fixture_teardown)

int sandboxed_setup(void **state);

void shell(const char *script); /* on the host, in dir */
bool exists(const char *name);  /* on the host, in dir */

/* Workspace-write in `desk`, without the host's temporary folders. */
struct sandbox_config in_desk(void);

struct sandbox *open_or_fail(const struct sandbox_config *config);
void free_sandbox(struct sandbox **sandbox); /* for SCOPED */
void reap_all(void);                         /* as the broker's main loop does */

/* One command to its end; `did` says what it did. */
void run_in(struct sandbox *sandbox, const char *const *argv, const char *cwd);
void run_script(const struct sandbox_config *config, const char *script);
void expect_out(const char *what); /* in did.out */
/* A denial of this rule, whose target ends so. */
void expect_denied(enum denial_rule rule, const char *target);

/* The same, step by step. */
void begin(void);
void start(struct sandbox *sandbox, const char *const *argv, const char *cwd, const int stdio[3],
	   struct started *out);
enum child_event next_event(struct started *started);
void finish(struct started *started);
void await(int fd);
