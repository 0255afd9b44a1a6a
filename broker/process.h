/*
 * process.h - the processes of a sandbox: the zygote, and for each command its init and the command
 * itself. Each is cloned from the one before it and performs its own plan.
 *
 *   broker ── order, descriptors ──> zygote ── clone ──> init ── fork ──> command
 *          <───────── status: reports, pidfd ──────────  init <─ report ─ command
 *                                                        init ── leave ─> command ── exec
 *
 * A command asks init for leave right before its exec, and init gives it when it is itself locked
 * in and watches. So nothing of a command ever runs before all that holds it is there.
 */
#pragma once

#include "proto/sys/children.h"

#include "broker/step.h"

#define NO_CHILDREN "needs CONFIG_PROC_CHILDREN: it ends the tree of a command with full access"

/* What comes with a zygote's answer, a struct err: these, when a command was cloned. */
enum answer_fd { ANSWER_PIDFD, ANSWER_STATUS, ANSWER_FD_COUNT };

/* zygote.c: becomes the zygote; `control` is its end of the broker's socket. */
_Noreturn void zygote_run(int control, pid_t broker, struct scene *scene);

/*
 * init.c: becomes the init of one command: makes it, supervises it, reports to the socket `status`,
 * reaps whatever ends, and ends with the command. Confined it is process 1, so the kernel kills all
 * that is left with it; otherwise it kills its descendants itself, also when `status` is hung up.
 */
_Noreturn void init_run(struct scene *scene, int status);

/* notify.c: opens the supervisor of that command; NULL on failure. */
struct supervisor;
struct denials;
struct supervisor *notify_open(const struct scene *scene, struct denials *denials, struct err *err);

/*
 * child.c: becomes the command: never returns, either the program runs or nothing of it has. A
 * failure goes to scene->report; the exec closes that socket without one.
 */
_Noreturn void child_run(struct scene *scene);
