#include "agentd/session/judge.h"

#include <stdlib.h>

#include "proto/base/err.h"
#include "proto/wire/broker_gen.h"

#include "agentd/policy/action.h"
#include "agentd/session/session.h"
#include "agentd/tool/tool.h"

/* The writable roots as the policy sees them; the texts are the session's. */
struct places {
	struct action_root roots[BROKER_ROOTS_MAX];
	const char *guarded[BROKER_ROOTS_MAX][JUDGE_GUARDED_MAX];
	struct action_place place;
};

static void add_root(struct places *out, const json_t *root)
{
	size_t at = out->place.root_count;
	struct action_root *entry = &out->roots[at];
	const json_t *guarded = json_object_get(root, "protected");

	*entry = (struct action_root){ .path = json_string_value(json_object_get(root, "path")),
				       .guarded = out->guarded[at] };
	for (size_t i = 0; i < json_array_size(guarded) && i < JUDGE_GUARDED_MAX; i++)
		out->guarded[at][entry->guarded_count++] =
			json_string_value(json_array_get(guarded, i));
	out->place.root_count++;
}

static void places_of(struct places *out, const struct session *session, const char *cwd)
{
	const json_t *roots = json_object_get(session->ceiling.policy, "roots");

	out->place = (struct action_place){ .cwd = cwd, .roots = out->roots };
	for (size_t i = 0; i < json_array_size(roots) && i < BROKER_ROOTS_MAX; i++)
		add_root(out, json_array_get(roots, i));
}

static void free_paths(const char ***paths)
{
	free((void *)*paths);
}

static int patch_action(struct action *out, const struct session *session,
			const struct patch *patch, const char *cwd, struct err *err)
{
	const char **paths SCOPED(free_paths) =
		(const char **)calloc(2 * patch->op_count + 1, sizeof(*paths));
	struct places places;
	size_t count = 0;

	if (!paths)
		return ERR_NOMEM_SET(err);
	for (size_t i = 0; i < patch->op_count; i++) {
		paths[count++] = patch->ops[i].path;
		if (patch->ops[i].move_to)
			paths[count++] = patch->ops[i].move_to;
	}
	places_of(&places, session, cwd);
	*out = action_of_patch(&places.place, paths, count);
	return 0;
}

int judge_call(struct judgement *out, const struct session *session, const struct tool_call *call,
	       const char *cwd, struct err *err)
{
	const struct policy policy = { .approval = (enum policy_approval)session_approval_policy(
					       session),
				       .sandbox = (enum policy_sandbox)session->ceiling.mode };
	struct action action = { 0 };

	if (call->tool == TOOL_WRITE_STDIN || call->tool == TOOL_UPDATE_PLAN) {
		*out = (struct judgement){ .verdict = VERDICT_RUN }; /* nothing new starts */
		return 0;
	}
	if (session->ceiling.id[0] == '\0')
		return ERR_SET(err, ERR_DENIED,
			       "no sandbox is open for this session: its client has opened no "
			       "ceiling at the broker");
	if (call->tool == TOOL_EXEC_COMMAND)
		action = action_of_script(call->exec.cmd, call->exec.escalated);
	else if (patch_action(&action, session, &call->patch, cwd, err) < 0)
		return (int)err->code;
	*out = policy_decide(&policy, &action);
	return 0;
}
