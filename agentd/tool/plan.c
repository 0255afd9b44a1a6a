#include "agentd/tool/plan.h"

#include "proto/base/err.h"
#include "proto/base/str.h"

static const char *const status_names[PLAN_STATUS_COUNT] = {
	[PLAN_PENDING] = "pending",
	[PLAN_IN_PROGRESS] = "in_progress",
	[PLAN_COMPLETED] = "completed",
};

const char *plan_status_name(enum plan_status status)
{
	return (unsigned)status < PLAN_STATUS_COUNT ? status_names[status] : NULL;
}

static int take_text(const char **out, const json_t *value, const char *name, size_t max,
		     struct err *err)
{
	if (!json_is_string(value))
		return ERR_SET(err, ERR_INVALID, "field `%s`: expected a string", name);
	if (json_string_length(value) > max)
		return ERR_SET(err, ERR_INVALID, "field `%s`: longer than %zu bytes", name, max);
	*out = json_string_value(value);
	return 0;
}

static int take_step(struct plan_step *out, const json_t *item, struct err *err)
{
	const char *status = NULL;
	int rc;

	if (!json_is_object(item))
		return ERR_SET(err, ERR_INVALID, "expected an object");
	rc = take_text(&out->step, json_object_get(item, "step"), "step", PLAN_STEP_BYTES_MAX, err);
	if (rc == 0)
		rc = take_text(&status, json_object_get(item, "status"), "status",
			       PLAN_STEP_BYTES_MAX, err);
	if (rc < 0)
		return rc;
	for (int i = PLAN_PENDING; i < PLAN_STATUS_COUNT; i++) {
		if (str_eq(status, status_names[i])) {
			out->status = (enum plan_status)i;
			return 0;
		}
	}
	return ERR_SET(err, ERR_INVALID,
		       "field `status`: unknown variant `%.40s`, expected one of `pending`, "
		       "`in_progress`, `completed`",
		       status);
}

int plan_decode(struct plan *out, const json_t *arguments, struct err *err)
{
	struct plan plan = { 0 };
	const json_t *explanation = json_object_get(arguments, "explanation");
	const json_t *steps = json_object_get(arguments, "plan");
	int rc = 0;

	if (!json_is_object(arguments))
		return ERR_SET(err, ERR_INVALID, "expected an object");
	if (explanation && !json_is_null(explanation))
		rc = take_text(&plan.explanation, explanation, "explanation", PLAN_EXPLANATION_MAX,
			       err);
	if (rc < 0)
		return rc;
	if (!steps)
		return ERR_SET(err, ERR_INVALID, "missing field `plan`");
	if (!json_is_array(steps) || json_array_size(steps) > PLAN_STEPS_MAX)
		return ERR_SET(err, ERR_INVALID,
			       "field `plan`: expected a list of at most %d steps", PLAN_STEPS_MAX);
	for (size_t i = 0; i < json_array_size(steps); i++) {
		rc = take_step(&plan.steps[plan.count++], json_array_get(steps, i), err);
		if (rc < 0)
			return ERR_WRAP(err, "plan[%zu]", i);
	}
	*out = plan;
	return 0;
}
