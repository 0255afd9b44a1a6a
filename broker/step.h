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

#include "proto/base/clock.h"
#include "proto/base/fd.h"
#include "proto/base/path.h"
#include "proto/base/str.h"
#include "proto/sys/account.h"
#include "proto/sys/call.h"
#include "proto/sys/fork.h"
#include "proto/sys/landlock.h"
#include "proto/wire/order.h"
#include "proto/wire/packet.h"

#include "broker/filter.h"
#include "broker/probe.h"
#include "broker/roots.h"

/* Of a parameter that a function of this shape need not look at. */
#define UNUSED __attribute__((unused))

/* What this kernel can do, and what the ceiling wants of it. Zero is no sandbox at all. */
struct features {
	bool confined; /* in namespaces: any mode but full access, unless it is legacy */
	bool legacy;   /* held by Landlock and filters alone, in the host's namespaces */
	bool system; /* made by the monitor: without a user namespace, as the user from the start */
	bool network;     /* the host's network stays reachable */
	bool fresh_proc;  /* a /proc for each PID namespace can be mounted */
	bool notify;      /* init hears of refused calls, and makes names and connections itself */
	bool log_denials; /* and hears of what would change a file */
	int landlock;     /* ABI, 0 without */
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
	int alarm;            /* of its watch */
	int trees[ROOTS_MAX]; /* the roots' mounts, kept open for Landlock's rules */
	/* the zygote's and init's */
	struct packet packet; /* what has come in */
	/* init's and the command's */
	struct order order;
	int fds[SANDBOX_FD_COUNT];
	/* The command's socket to init, closed by the exec: each packet is a struct child_report,
	 * CHILD_NOTHING with the listener of its filter or CHILD_FAILED. */
	int report;
	struct order_text text;
};

/* Acts on the calling process, once; cannot be undone. */
typedef int step_fn(struct scene *scene, struct err *err);

step_fn ns_identity, ns_loopback;
step_fn mount_private, mount_hold, mount_seal, mount_dev, mount_attach, mount_pin, mount_protect,
	mount_hide, mount_proc;
step_fn notify_share, caps_bounds, caps_no_privileges, caps_none, filter_command, filter_legacy,
	landlock_rules, landlock_legacy, landlock_verify;
step_fn child_stdio, child_close, child_session, child_signals, child_limits, child_folder,
	child_verify, child_leave, child_exec;

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
void ns_oom_score(void); /* of the caller: worse than that of the user's programs */

/* caps.c: no capability in any set, no_new_privs, a seccomp filter; by asking the kernel. */
int caps_verify(const struct scene *scene, struct err *err) MUST_CHECK;

#define LANDLOCK_LEGACY_ABI 3 /* below it, any file can be truncated */

/* landlock.c: the ABI of this kernel; 0 where it is too old to be a layer, or there is none. */
int landlock_usable(void);
