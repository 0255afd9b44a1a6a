/*
 * step.h - the inside of the half that makes sandboxes: the steps that lead into one, in their
 * order and as data; the scene on which they act; the processes that perform them. Its files
 * include nothing else of the broker, so what nearly all of them need comes with it.
 *
 * A step returns 0, or a negative enum err_code with the sentence filled; whoever performs a plan
 * dies of the first failure. Nothing is skipped, undone or tried again.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/packet.h"

#include "broker/filter.h"
#include "broker/order.h"
#include "broker/probe.h"
#include "broker/roots.h"

/* 0, or the failure of a system call in one expression; the second, for one by its number. */
#define CHECK(err, call, ...) ((call) < 0 ? ERR_SYS((err), errno, __VA_ARGS__) : 0)
#define SYSCALL(err, name, ...) CHECK(err, syscall(SYS_##name, __VA_ARGS__), #name)

/* Of a parameter that a function of this shape need not look at. */
#define UNUSED __attribute__((unused))

/* What this kernel can do, and what the ceiling wants of it. Zero is no sandbox at all. */
struct features {
	bool confined;   /* any mode but full access */
	bool network;    /* the host's network stays reachable */
	bool fresh_proc; /* a /proc for each PID namespace can be mounted */
	int landlock;    /* ABI, 0 without */
};

/* What the processes of one sandbox share; each inherits the state of the one before it. */
struct scene {
	const struct roots *roots;
	const struct features *features;
	const struct place *place; /* that the step is about */
	uid_t uid;                 /* the broker's, also inside */
	gid_t gid;
	/* the zygote's */
	int control;          /* its socket */
	int trees[ROOTS_MAX]; /* the roots' mounts, kept open for Landlock's rules */
	/* init's and the command's */
	struct order order;
	int fds[SANDBOX_FD_COUNT];
	int report; /* pipe for struct child_report, closed by the exec */
	struct order_text text;
};

/* Acts on the calling process, once; cannot be undone. */
typedef int step_fn(struct scene *scene, struct err *err);

step_fn ns_identity, ns_loopback;
step_fn mount_private, mount_hold, mount_seal, mount_dev, mount_attach, mount_pin, mount_protect,
	mount_hide, mount_proc;
step_fn caps_bounds, caps_no_privileges, caps_none, filter_common, filter_command, landlock_rules;
step_fn child_stdio, child_close, child_session, child_signals, child_limits, child_folder,
	child_verify, child_exec;

/*
 * Three plans follow each other, each in a process of its own: the zygote's (once for a ceiling),
 * init's and the command's (for each command). Two steps for each place, and fewer than 32 others.
 */
enum plan_kind { PLAN_ZYGOTE, PLAN_INIT, PLAN_COMMAND, PLAN_COUNT };

#define PLAN_STEPS_MAX (2 * PLACES_MAX + 32)

struct plan {
	struct step {
		const char *name;
		step_fn *apply;
		size_t place; /* index in the roots, for those about a place */
	} steps[PLAN_STEPS_MAX];
	size_t count;
};

/* Pure: each step follows from the places and from what the kernel can do. */
void plan_build(struct plan *out, enum plan_kind kind, const struct roots *roots,
		const struct features *features);

/* Performs a plan. The sentence names the step that failed, and ends with a mend. */
int step_all(struct scene *scene, enum plan_kind kind, struct err *err) MUST_CHECK;
int step_one(struct scene *scene, const struct step *step, struct err *err) MUST_CHECK;

/* Moves descriptors to the numbers from `first` on, and closes whatever is above them. */
int fds_keep(const int *fds, int count, int first, struct err *err) MUST_CHECK;

/* How to mend this errno of a step, or of the clone (NULL): " (...)", or "" when nobody knows. */
const char *step_mend(step_fn *apply, int sys);

/* ns.c: CLONE_NEW... flags of a zygote; none when it is not confined. */
uint64_t ns_flags(const struct features *features);

/*
 * ns.c: clone3() as fork(): the pid, 0 in the child, a negative enum err_code on failure.
 * *out_pidfd is set in the caller. A sibling is a child of the caller's parent, and ends with the
 * same signal as the caller does.
 */
pid_t ns_fork(uint64_t flags, bool sibling, int *out_pidfd, struct err *err) MUST_CHECK;

/* caps.c: no capability in any set, no_new_privs, a seccomp filter; by asking the kernel. */
int caps_verify(struct err *err) MUST_CHECK;

#define LANDLOCK_SCOPES_ABI 6 /* from here on Landlock bounds signals and abstract sockets */

/* landlock.c: the ABI of this kernel, clamped to what this program knows; 0: it cannot be used. */
int landlock_abi(void);

/* The children of the calling process: the way to end a tree without a PID namespace. */
#define CHILDREN_FILE "/proc/thread-self/children"
#define NO_CHILDREN "needs CONFIG_PROC_CHILDREN: it ends the tree of a command with full access"

/*
 * child.c: becomes the init of one command: makes it, reports to the socket `status`, reaps
 * whatever ends, and ends with the command. Confined it is process 1, so the kernel kills all that
 * is left with it; otherwise it kills its descendants itself, also when `status` is hung up.
 */
_Noreturn void init_run(struct scene *scene, int status);

/*
 * child.c: becomes the command: never returns, either the program runs or nothing of it has. A
 * failure goes to scene->report as struct child_report; the exec closes that pipe without one.
 */
_Noreturn void child_run(struct scene *scene);

/* What comes with a zygote's answer, a struct err: these, when a command was cloned. */
enum answer_fd { ANSWER_PIDFD, ANSWER_STATUS, ANSWER_FD_COUNT };

/* zygote.c: becomes the zygote; `control` is its end of the broker's socket. */
_Noreturn void zygote_run(int control, pid_t broker, struct scene *scene);
