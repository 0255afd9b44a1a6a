/*
 * watch.h - what is seen of changes that no filter can refuse: a mount that protects or hides
 * something vanishes when its folder is removed on the host, and a protected name may come into
 * being by an open() or from the host.
 *
 * The zygote watches the folders for all commands of its sandbox (proto/sys/bell.h). What it sees
 * it tells all inits at once, and ends; the next command gets another zygote. Each init ends its
 * command, and sees for itself when a mount vanishes.
 *
 * It removes nothing but what has taken a protected name while a command ran, and no folder that
 * holds anything.
 */
#pragma once

#include <poll.h>

#include "broker/roots.h"

#define WATCH_FDS 2 /* that watch_poll() fills */

/* Of one command. Its descriptors end with the process. */
struct watch {
	const struct roots *roots;
	int mounts;              /* mountinfo of this mount namespace; -1: nothing is watched */
	int alarm;               /* rings when the zygote has seen something; -1: never */
	int folders[PLACES_MAX]; /* of each watched name, where it is or would be; may be the same
				  */
	const struct place *changed;
};

/* In the zygote, once: makes the alarm, which is inherited. From here on nothing is missed; a name
 * that is there already is ERR_STATE. */
int watch_share(int *out_alarm, const struct roots *roots, struct err *err) MUST_CHECK;

/* In the zygote: true when `control` has something to say, false when it was time to ring. */
bool watch_wait(int control) MUST_CHECK;

/* In init. A name that is there already is ERR_STATE. */
int watch_open(struct watch *watch, const struct roots *roots, int mounts, int alarm,
	       struct err *err) MUST_CHECK;

void watch_poll(const struct watch *watch, struct pollfd fds[WATCH_FDS]);

/* After the poll: whether something is no longer held; watch->changed says what. */
bool watch_changed(struct watch *watch, const struct pollfd fds[WATCH_FDS]);

/* The same when no command runs any more, and by a look of its own. */
bool watch_last(struct watch *watch);

/*
 * When no command runs any more: removes what has taken a protected name. With `files_alone` no
 * command can have made anything but a regular file, so the rest is the host's and stays.
 */
void watch_clean(const struct watch *watch, bool files_alone);

/* ERR_STATE when what is mounted at a protected place is not read-only. */
int watch_protected(const struct place *place, struct err *err) MUST_CHECK;
