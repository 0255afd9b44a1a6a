/*
 * bell.h - names that come to be in folders: one process watches for all that it forks later, and
 * rings when it has seen one.
 *
 * The kernel takes several milliseconds to end a group of watches, which a process that lives for
 * one command does not have. The bell rings for ever: descriptor and number are inherited, and
 * nobody takes them away from another. Folders are looked at once in a millisecond, so that a busy
 * one costs nothing; one that cannot be watched, since it may not be read or the user has too many
 * watches (fs.inotify), is looked at every BELL_TICK_MS.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"

struct err;

#define BELL_NAMES_MAX 512
#define BELL_REST_MS 1  /* between two looks */
#define BELL_TICK_MS 20 /* between two looks without events */

struct bell {
	int alarm;    /* readable once it has rung */
	int events;   /* of the folders; -1: none can be had */
	bool ticks;   /* some folder has no events */
	size_t *rung; /* shared: the name's index */
	size_t count;
	const char *names[BELL_NAMES_MAX]; /* borrowed; letters count the same in both cases */
	int marks[BELL_NAMES_MAX];         /* of each, the folder's watch; -1: none */
};

int bell_make(struct bell *bell, struct err *err) MUST_CHECK;

/* Watches for the next name, by index, in the folder of a descriptor; NULL: never seen. */
void bell_add(struct bell *bell, int folder, const char *name);

/*
 * Waits until `control` is readable: true. False when a name came to be, if only for a moment, or
 * when look(), which is asked where there are no events, says so; then the bell has rung.
 */
typedef bool bell_look_fn(size_t *out);
bool bell_wait(struct bell *bell, int control, bell_look_fn *look) MUST_CHECK;
