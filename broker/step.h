/*
 * step.h - what the steps of a plan do, the scene on which they do it, and the processes that do
 * it.
 *
 * A step returns 0, or a negative enum err_code with the sentence filled; whoever performs a plan
 * dies of the first failure. Nothing is skipped, undone or tried again.
 */
#pragma once

#include <errno.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"

#include "broker/order.h"
#include "broker/plan.h"
#include "broker/roots.h"

/* 0, or the failure of a system call in one expression. */
#define CHECK(err, call, ...) ((call) < 0 ? ERR_SYS((err), errno, __VA_ARGS__) : 0)

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

step_fn ns_identity, ns_loopback;
step_fn mount_private, mount_hold, mount_seal, mount_dev, mount_attach, mount_pin, mount_protect,
	mount_hide, mount_proc;
step_fn caps_bounds, caps_no_privileges, caps_none, filter_common, filter_command, landlock_rules;
step_fn child_stdio, child_close, child_session, child_signals, child_limits, child_folder,
	child_verify, child_exec;

/* Performs a plan. The sentence begins with the name of the step that failed and ends with a mend.
 */
int step_all(struct scene *scene, enum plan_kind kind, struct err *err) MUST_CHECK;
int step_one(struct scene *scene, const struct step *step, struct err *err) MUST_CHECK;

/* Moves descriptors to the numbers from `first` on, and closes whatever is above them. */
int fds_keep(const int *fds, int count, int first, struct err *err) MUST_CHECK;

/*
 * How to mend a step that failed with this errno: " (...)", or "" when nothing is known. A NULL
 * step is the clone into namespaces.
 */
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
