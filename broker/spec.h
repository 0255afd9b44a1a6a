/*
 * spec.h - what a peer asks the broker to run, checked; and the environment that follows from it.
 *
 * Pure: no I/O, no clock, no globals. A struct spec borrows its texts from a decoded message; what
 * is stored keeps that message with it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"
#include "proto/wire/broker_gen.h"

struct err;

/* A decoded message that outlives its call. Zeroed: none. */
struct kept {
	json_t *message;
	struct arena arena;
};

void kept_deinit(struct kept *kept);

struct spec {
	struct wire_strings argv; /* program and arguments, never empty */
	struct wire_strings env;  /* changes: NAME=value sets, NAME= removes */
	const char *cwd;          /* absolute */
	enum sandbox_mode mode;
	bool network;
};

/* Whether this role may have this command run at all; nothing of it is looked up. */
int spec_check(const struct spec *spec, enum broker_role role, struct err *err) MUST_CHECK;

/* The environment that a ceiling is opened with: NAME=value each, at most BROKER_SPEC_MAX bytes. */
int spec_check_base(const struct wire_strings *base, struct err *err) MUST_CHECK;

/*
 * The whole environment of a command, sorted by name: base, changes, and what tells it that it has
 * no network. A list that ends in NULL, to be freed, of texts that are borrowed from the arguments.
 */
int spec_environment(const char ***out, size_t *count, const struct wire_strings *base,
		     const struct spec *spec, struct err *err) MUST_CHECK;

/* The value of a name in a list of NAME=value; NULL when it is not there. */
const char *spec_env_value(const struct wire_strings *env, const char *name);

size_t spec_bytes(const struct spec *spec); /* of argv and env, with the final NULs */

/*
 * Whether `now` is the command of `then`, but for the arguments behind the first `prefix`; with 0
 * there must be none that differ. Folder, sandbox and environment changes must be the same anyway.
 */
bool spec_covers(const struct spec *then, size_t prefix, const struct spec *now);
