/*
 * sandbox.h - what one ceiling allows, prepared: checked roots, protected paths and a zygote, from
 * which each command is cloned into a sandbox of its own.
 *
 * This is the whole boundary of the half that makes sandboxes. It reads no JSON and believes no
 * number that comes in; it never runs a command with fewer layers than the view names, and what the
 * kernel cannot do is said in one sentence with its mend. Every child it makes is a child of the
 * calling process, may be reaped by it at any time and dies with it.
 *
 *   sandbox_start() -> pidfd + status_fd
 *   status_fd: CHILD_EXECUTED, any CHILD_DENIED, then CHILD_EXITED; or CHILD_FAILED; or CHILD_GONE
 * at any time pidfd readable: nothing of the command's process tree is left
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/base/err.h"
#include "proto/wire/common_gen.h" /* enum sandbox_mode */
#include "proto/wire/denial.h"

struct order;
struct sandbox;

#define SANDBOX_HIDDEN_MAX 256 /* the product's folders, and what deny_read names */

/* The texts, and the list of roots, are borrowed until sandbox_close(). */
struct sandbox_config {
	enum sandbox_mode mode;
	bool network;             /* leave the host's network reachable; implied by full access */
	const char *cwd;          /* absolute; a root in workspace-write */
	const char *const *roots; /* further writable roots, absolute */
	size_t root_count;
	bool exclude_slash_tmp; /* /tmp is not a root */
	bool exclude_tmpdir;    /* tmpdir is not a root */
	const char *tmpdir;     /* $TMPDIR of the ceiling's environment, or NULL */
	bool allow_git_commit;  /* what a commit writes below .git is writable */
	bool legacy_landlock;   /* without namespaces: Landlock and seccomp alone */
	bool log_denials;       /* report refused changes of files too */
	/* The product's folders, which exist: runtime, state, configuration; and others. */
	const char *const *hidden;
	size_t hidden_count; /* at most SANDBOX_HIDDEN_MAX */
};

#define SANDBOX_ROOTS_MAX 35
#define SANDBOX_PROTECTED_MAX 64
#define SANDBOX_LAYERS_MAX 16

struct sandbox_root {
	const char *path;                             /* canonical */
	const char *protected[SANDBOX_PROTECTED_MAX]; /* read-only, absolute */
	size_t protected_count;
};

/* What is enforced; borrowed until the next sandbox_start() or sandbox_close(). */
struct sandbox_view {
	enum sandbox_mode mode;
	bool network;
	struct sandbox_root roots[SANDBOX_ROOTS_MAX];
	size_t root_count;
	const char *layers[SANDBOX_LAYERS_MAX]; /* "namespaces", "seccomp", "landlock 7" */
	size_t layer_count;
	const char *missing[SANDBOX_LAYERS_MAX]; /* a sentence each */
	size_t missing_count;
	const char *limits[SANDBOX_LAYERS_MAX]; /* what bounds resources, and by which mechanism */
	size_t limit_count;
};

/* A running command. The three descriptors belong to the struct; -1 where there is none. */
struct started {
	int pidfd;      /* readable when the whole tree is gone */
	int status_fd;  /* non-blocking; readable when there is something for sandbox_report() */
	int command_fd; /* pidfd of the command's own process, from CHILD_EXECUTED on */
	bool confined;  /* in a PID namespace of its own */
	bool asked;     /* to end, by sandbox_kill() */
};

#define STARTED_NONE                                                                               \
	{                                                                                          \
		.pidfd = -1, .status_fd = -1, .command_fd = -1, .confined = false                  \
	}

enum child_event {
	CHILD_NOTHING,  /* nothing to read yet */
	CHILD_EXECUTED, /* the program runs */
	CHILD_FAILED,   /* it does not, and nothing of it has run: see code, sys, text */
	CHILD_DENIED,   /* between the two: something was refused, or ended it: see denial */
	CHILD_EXITED,   /* its own process has ended: see wait_status */
	CHILD_GONE      /* nobody is left to report; without CHILD_EXITED before, it was killed */
};

struct child_report {
	uint32_t event;
	int32_t wait_status;  /* of CHILD_EXITED, as waitpid() gives it */
	uint32_t lost;        /* of CHILD_EXITED: different denials that were not reported */
	struct denial denial; /* of CHILD_DENIED */
	/* Of CHILD_FAILED: ERR_NOTFOUND is "no such program", ERR_DENIED "cannot be executed",
	 * anything else a step of the set-up. */
	struct err err;
};

/* On failure the sentence names the root, or what the kernel lacks and how to mend it. */
int sandbox_open(struct sandbox **out, const struct sandbox_config *config, struct err *err)
	MUST_CHECK;
void sandbox_close(struct sandbox *sandbox); /* commands go on; accepts NULL */
const struct sandbox_view *sandbox_view(const struct sandbox *sandbox);

/* Descriptors of one start, in this order; all stay the caller's. */
enum sandbox_fd { SANDBOX_STDIN, SANDBOX_STDOUT, SANDBOX_STDERR, SANDBOX_BLOCK, SANDBOX_FD_COUNT };

/*
 * Has the zygote clone one command; returns when that is done, not when the command runs. Roots and
 * protected paths are compared with the file system first: where one has become another file, or a
 * protected name has appeared, the sandbox is made anew.
 */
int sandbox_start(struct sandbox *sandbox, const struct order *order,
		  const int fds[SANDBOX_FD_COUNT], struct started *out, struct err *err) MUST_CHECK;

/* The next report, or CHILD_NOTHING; takes command_fd in. */
int sandbox_report(struct started *started, struct child_report *out, struct err *err) MUST_CHECK;

/* A signal for the command's own process; ERR_STATE before CHILD_EXECUTED, ERR_GONE after its end.
 */
int sandbox_signal(const struct started *started, int signal, struct err *err) MUST_CHECK;

/*
 * Ends the whole tree, daemons included; asynchronous: wait for pidfd. Init does it, and takes away
 * what must not be there; when it takes too long, the second call ends it without that.
 */
int sandbox_kill(struct started *started, struct err *err) MUST_CHECK;

void started_deinit(struct started *started); /* closes; does not kill */
