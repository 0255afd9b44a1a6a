/*
 * children.h - the children of the calling process: the way to end a tree without a PID namespace.
 */
#pragma once

#define CHILDREN_FILE "/proc/thread-self/children" /* needs CONFIG_PROC_CHILDREN */

/*
 * Kills every child; orphans become children, so that a few rounds reach them all. Nobody else
 * reaps them, hence no number can have become another process. Returns how many could be signalled.
 */
int children_kill(void);
