/*
 * spec.h - what a peer asks the broker to run, checked; and the command that follows from it.
 *
 * No clock, no globals, and nothing is looked up. A spec is what a grant's record says of a
 * command: argv, env, cwd, mode, network and input. It borrows its texts from a decoded message;
 * what is stored keeps that message with it.
 */
#pragma once

#include "proto/wire/broker_gen.h"
#include "proto/wire/environ.h"

struct order;

/*
 * The spec of a request, checked: of a command within its ceiling, in its folder unless it names
 * one; and of one that exceeds it. Full access has the network.
 */
int spec_of_start(struct broker_grant_record *out, const struct broker_child_start *start,
		  const struct broker_ceiling_open *ceiling, enum broker_role role, struct err *err)
	MUST_CHECK;
int spec_of_request(struct broker_grant_record *out, const struct broker_grant_request *request,
		    enum broker_role role, struct err *err) MUST_CHECK;

/* Whether this role may have this command run at all. */
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

/* The order for the command with that environment, and its block, which the caller owns. */
int spec_pack(struct order *out, int *out_block, const struct wire_strings *base,
	      const struct broker_grant_record *spec, struct err *err) MUST_CHECK;

/*
 * The stored input, which is shown to a person and so must be text: from a sealed file, on the
 * heap; and as a sealed file again, which the caller owns (none without an input).
 */
int spec_read_input(char **out, int fd, struct err *err) MUST_CHECK;
int spec_input_fd(int *out, const struct broker_grant_record *spec, struct err *err) MUST_CHECK;

/*
 * Whether `now` is the command of `then`, but for the arguments behind the first `prefix`; with 0
 * there must be none that differ. Folder, sandbox, environment changes and input must be the same
 * anyway: what an approved patch may do depends on the patch.
 */
bool spec_covers(const struct broker_grant_record *then, size_t prefix,
		 const struct broker_grant_record *now);
