/*
 * spec.h - what a peer asks the broker to run, checked; and the environment that follows from it.
 *
 * Pure: no I/O, no clock, no globals. A spec is what a grant's record says of a command: argv, env,
 * cwd, mode, network and input. It borrows its texts from a decoded message; what is stored keeps
 * that message with it. Every file of this half includes this one, and through it what all need.
 */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/broker_gen.h"

/* A decoded message that outlives its call. Zeroed: none. */
struct kept {
	json_t *message;
	struct arena arena;
};

void kept_deinit(struct kept *kept);

/* Whether this role may have this command run at all; nothing of it is looked up. */
int spec_check(const struct broker_grant_record *spec, enum broker_role role, struct err *err)
	MUST_CHECK;

/* The environment that a ceiling is opened with: NAME=value each, at most BROKER_SPEC_MAX bytes. */
int spec_check_base(const struct wire_strings *base, struct err *err) MUST_CHECK;

/*
 * The whole environment of a command, sorted by name: base, changes, and what tells it that it has
 * no network. The list ends in NULL and lies in the arena; its texts are those of the arguments.
 */
int spec_environment(struct wire_strings *out, const struct wire_strings *base,
		     const struct broker_grant_record *spec, struct arena *arena, struct err *err)
	MUST_CHECK;

/* The value of a name in a list of NAME=value; NULL when it is not there. */
const char *spec_env_value(const struct wire_strings *env, const char *name);

/* Of a list, with the final NULs. */
size_t spec_bytes(const struct wire_strings *words);

/*
 * Whether `now` is the command of `then`, but for the arguments behind the first `prefix`; with 0
 * there must be none that differ. Folder, sandbox, environment changes and input must be the same
 * anyway: what an approved patch may do depends on the patch.
 */
bool spec_covers(const struct broker_grant_record *then, size_t prefix,
		 const struct broker_grant_record *now);
