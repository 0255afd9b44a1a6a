/*
 * plan.h - update_plan: the model's list of steps, checked.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "proto/base/attr.h"

struct err;

#define PLAN_STEPS_MAX 128
#define PLAN_STEP_BYTES_MAX 4096
#define PLAN_EXPLANATION_MAX 16384 /* bytes */
#define PLAN_OUTPUT "Plan updated"

enum plan_status {
	PLAN_STATUS_NONE,
	PLAN_PENDING,
	PLAN_IN_PROGRESS,
	PLAN_COMPLETED,
	PLAN_STATUS_COUNT
};

struct plan_step {
	const char *step;
	enum plan_status status;
};

/* Borrows from the arguments. */
struct plan {
	const char *explanation; /* NULL when absent */
	struct plan_step steps[PLAN_STEPS_MAX];
	size_t count;
};

/* That only one step is in progress is asked of the model, not demanded. */
int plan_decode(struct plan *out, const json_t *arguments, struct err *err) MUST_CHECK;
const char *plan_status_name(enum plan_status status); /* "in_progress"; NULL for NONE */
