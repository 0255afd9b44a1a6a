/*
 * helper.h - a small program of this installation that reads something for a process which should
 * not read it itself.
 *
 * It gets its input, a place for its output and nothing else: no further descriptor, no
 * environment, no way to new privileges, and as nobody where the caller is root.
 */
#pragma once

#include "proto/base/attr.h"

struct buf;
struct err;

#define HELPER_SECONDS 10 /* then it is ended */

/*
 * Runs the program `argv[0]` that lies beside the running one (argv ends in NULL) with `input` as
 * standard input, and appends what it prints. When it ends with another status than 0 the first
 * line of that is the sentence of ERR_INVALID.
 */
int helper_run(struct buf *out, char *const *argv, int input, struct err *err) MUST_CHECK;
