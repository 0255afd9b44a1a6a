/*
 * harden.h - what a process sets up for itself before it serves anybody.
 */
#pragma once

#include <sys/resource.h>

#include "proto/base/attr.h"

struct err;

/* Nobody traces it, and it leaves no image of its memory. */
int harden_memory(struct err *err) MUST_CHECK;

/*
 * For one that starts others: what they orphan stays below it, nothing that it has inherited goes
 * on to them, and it may have `descriptors` at once, or as many as its hard limit allows.
 */
int harden_parent(unsigned descriptors, struct err *err) MUST_CHECK;

/* Lowers a limit to these; what is lower already stays. */
int harden_limit(__rlimit_resource_t resource, rlim_t soft, rlim_t hard, struct err *err)
	MUST_CHECK;
