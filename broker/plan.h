/*
 * plan.h - the steps that lead into a sandbox, in their order, as data.
 *
 * Pure: the order and presence of every step follows from the places and from what the kernel can
 * do. Three plans follow each other, each in a process of its own: the zygote's (once for a
 * ceiling), init's and the command's (for each command).
 */
#pragma once

#include "broker/roots.h"

struct scene;

/* What this kernel can do, and what the ceiling wants of it. Zero is no sandbox at all. */
struct features {
	bool confined;   /* any mode but full access */
	bool network;    /* the host's network stays reachable */
	bool fresh_proc; /* a /proc for each PID namespace can be mounted */
	int landlock;    /* ABI, 0 without */
};

/* Acts on the calling process, once; cannot be undone. */
typedef int step_fn(struct scene *scene, struct err *err);

struct step {
	const char *name;
	step_fn *apply;
	size_t place; /* index in the roots, for those about a place */
};

/* Two for each place, and fewer than 32 others. */
#define PLAN_STEPS_MAX (2 * PLACES_MAX + 32)

struct plan {
	struct step steps[PLAN_STEPS_MAX];
	size_t count;
};

enum plan_kind { PLAN_ZYGOTE, PLAN_INIT, PLAN_COMMAND, PLAN_COUNT };

void plan_build(struct plan *out, enum plan_kind kind, const struct roots *roots,
		const struct features *features);
