/*
 * account.h - a user, and what becomes of root's rights: all but a few capabilities given up, or
 * everything, by becoming that user.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/base/attr.h"

struct err;

#define ACCOUNT_GROUPS_MAX 256  /* of one user; one with more is refused */
#define ACCOUNT_CAPABILITIES 64 /* numbers that there can be */

struct account {
	uid_t uid;
	gid_t gid;
	gid_t groups[ACCOUNT_GROUPS_MAX];
	int group_count;
	const char *home; /* until the next look at the user database */
};

/* By name; ERR_INVALID for root, who needs no other account, and for a name that nobody has. */
int account_find(struct account *out, const char *name, struct err *err) MUST_CHECK;

/* The calling process becomes the user for ever, with these of its capabilities (a bit each). */
int account_become(const struct account *account, uint32_t capabilities, struct err *err)
	MUST_CHECK;

/*
 * Gives up all capabilities that have no reason here, also in the bounding set; then asks the
 * kernel. ERR_DENIED with name and reason where one is missing, or another one is left.
 */
int account_reduce(const char *const reasons[ACCOUNT_CAPABILITIES], struct err *err) MUST_CHECK;

/* Effective and permitted are these of the first 32. */
int account_capabilities(uint32_t keep, struct err *err) MUST_CHECK;

/* Empties the ambient, effective, permitted and inheritable sets. */
int account_powerless(struct err *err) MUST_CHECK;

/* Empties the bounding set. `if_allowed`: a process without the right to that keeps it. */
int account_unbound(bool if_allowed, struct err *err) MUST_CHECK;

/* Asks the kernel whether any capability is left, in any set or all but the bounding one. */
int account_check_none(bool bounding, struct err *err) MUST_CHECK;
