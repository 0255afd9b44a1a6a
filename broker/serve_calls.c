#include <signal.h>
#include <stdlib.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "broker/broker.h"
#include "broker/order.h"
#include "broker/peer.h"
#include "broker/reap.h"
#include "broker/sandbox.h"
#include "broker/serve.h"

static int find(struct call *call, const char *id, enum ceiling_use use, struct ceiling **out,
		struct err *err)
{
	return ceilings_find(&call->broker->ceilings, id, use, call->peer, out, err);
}

static int sandbox_of(struct call *call, struct ceiling *ceiling, enum sandbox_mode mode,
		      bool network, struct sandbox **out, struct err *err)
{
	struct wire_strings hidden = { .items = call->broker->options.folders,
				       .count = BROKER_FOLDERS };

	return ceiling_sandbox(ceiling, mode, network, &hidden, out, err);
}

/* The view of the ceiling's own sandbox, as the protocol tells it; roots has SANDBOX_ROOTS_MAX. */
static int describe(struct call *call, struct ceiling *ceiling, struct broker_policy *policy,
		    struct broker_root *roots, struct err *err)
{
	struct sandbox *sandbox = NULL;
	const struct sandbox_view *view;

	if (sandbox_of(call, ceiling, ceiling->open.mode, ceiling->open.network, &sandbox, err) < 0)
		return err->code;
	view = sandbox_view(sandbox);
	for (size_t i = 0; i < view->root_count; i++)
		roots[i] = (struct broker_root){ .path = view->roots[i].path,
						 .protected = { view->roots[i].protected,
								view->roots[i].protected_count } };
	*policy = (struct broker_policy){ .mode = view->mode,
					  .network = view->network,
					  .roots = roots,
					  .roots_count = view->root_count,
					  .layers = { view->layers, view->layer_count },
					  .missing = { view->missing, view->missing_count } };
	return 0;
}

int serve_ceiling_open(struct call *call, struct err *err)
{
	struct ceilings *ceilings = &call->broker->ceilings;
	struct broker_root roots[SANDBOX_ROOTS_MAX];
	struct broker_policy policy = { 0 };
	struct broker_ceiling_open_result result = { .policy = &policy };
	struct ceiling *ceiling = NULL;

	if (ceilings_add(ceilings, call->params, &call->kept, call->peer, &ceiling, err) < 0)
		return err->code;
	result.ceiling = ceiling->id;
	if (describe(call, ceiling, &policy, roots, err) < 0 ||
	    ticket_answer(&call->ticket, &result, "policy", err) < 0) {
		ceilings_drop(ceilings, ceiling);
		return err->code;
	}
	return 0;
}

int serve_ceiling_show(struct call *call, struct err *err)
{
	const struct broker_ceiling_show *params = call->params;
	struct broker_root roots[SANDBOX_ROOTS_MAX];
	struct broker_policy policy = { 0 };
	struct broker_ceiling_show_result result = { .policy = &policy };
	struct ceiling *ceiling = NULL;

	if (find(call, params->ceiling, CEILING_SHOW, &ceiling, err) < 0 ||
	    describe(call, ceiling, &policy, roots, err) < 0)
		return err->code;
	result.cwd = ceiling->open.cwd;
	return ticket_answer(&call->ticket, &result, "policy", err);
}

int serve_ceiling_close(struct call *call, struct err *err)
{
	const struct broker_ceiling_close *params = call->params;
	struct ceiling *ceiling = NULL;

	if (find(call, params->ceiling, CEILING_CLOSE, &ceiling, err) < 0)
		return err->code;
	broker_close_ceiling(call->broker, ceiling);
	return 0;
}

static void free_texts(const char ***texts)
{
	free((void *)(uintptr_t)*texts);
}

/* Packs the command and has it cloned; `input` replaces its standard input when it is a descriptor.
 */
static int launch(struct call *call, struct ceiling *ceiling, const struct spec *spec, int input,
		  struct err *err)
{
	struct child *child SCOPED(child_free) = child_new(err);
	struct command command = { .argv = spec->argv.items,
				   .argc = spec->argv.count,
				   .cwd = spec->cwd };
	const char **env SCOPED(free_texts) = NULL;
	struct sandbox *sandbox = NULL;
	struct order order = { 0 };
	int block SCOPED(fd_close) = -1;
	int fds[SANDBOX_FD_COUNT] = { call->fds[0], call->fds[1], call->fds[2] };

	if (!child || sandbox_of(call, ceiling, spec->mode, spec->network, &sandbox, err) < 0 ||
	    spec_environment(&env, &command.envc, &ceiling->open.env, spec, err) < 0)
		return err->code;
	command.env = env;
	if (order_pack(&order, &block, &command, err) < 0)
		return err->code;
	fds[SANDBOX_BLOCK] = block;
	if (input >= 0)
		fds[SANDBOX_STDIN] = input;
	if (sandbox_start(sandbox, &order, fds, &child->started, err) < 0)
		return err->code;
	child->ceiling = ceiling;
	child->ticket = ticket_take(call);
	reap_adopt(call->broker, call->peer, TAKE(child));
	return 0;
}

/* Runs what was stored and answered, not what is asked for now. */
static int launch_granted(struct call *call, struct ceiling *ceiling, struct err *err)
{
	const struct broker_child_start *params = call->params;
	struct grants *grants = &call->broker->grants;
	const struct grant *grant = NULL;
	int input SCOPED(fd_close) = -1;
	int rc;

	if (call->peer->role != BROKER_ROLE_DAEMON)
		return ERR_SET(err, ERR_DENIED, "grants are agentd's to use");
	if (params->argv.items || params->env.items || params->cwd)
		return ERR_SET(err, ERR_INVALID, "with a grant what was stored runs, and no other");
	rc = grants_use(grants, params->grant, ceiling->id, broker_now_ms(), &grant, err);
	if (rc == 0 && grant->input)
		rc = fd_sealed(&input, "input", grant->input, grant->input_len, err);
	if (rc == 0)
		rc = launch(call, ceiling, &grant->spec, input, err);
	grants_settle(grants);
	return rc;
}

int serve_child_start(struct call *call, struct err *err)
{
	const struct broker_child_start *params = call->params;
	struct broker *broker = call->broker;
	struct ceiling *ceiling = NULL;
	struct spec spec = { .argv = params->argv, .env = params->env, .cwd = params->cwd };

	if (broker->child_count >= BROKER_CHILDREN_MAX)
		return ERR_SET(err, ERR_LIMIT, "more than %d commands", BROKER_CHILDREN_MAX);
	if (call->peer->role == BROKER_ROLE_DAEMON && broker->daemon.state != DAEMON_READY)
		return ERR_SET(err, ERR_STATE, "agentd is not ready, or about to end");
	if (find(call, params->ceiling, CEILING_START, &ceiling, err) < 0)
		return err->code;
	if (params->grant)
		return launch_granted(call, ceiling, err);
	spec.cwd = spec.cwd ? spec.cwd : ceiling->open.cwd;
	spec.mode = ceiling->open.mode;
	spec.network = ceiling->open.network;
	if (spec_check(&spec, call->peer->role, err) < 0)
		return err->code;
	return launch(call, ceiling, &spec, -1, err);
}

int serve_child_kill(struct call *call, struct err *err)
{
	const struct broker_child_kill *params = call->params;
	struct child *child = reap_find(call->broker, call->peer, params->child);

	if (!child)
		return ERR_SET(err, ERR_NOTFOUND, "no such command of this connection");
	return params->signal == SIGKILL
		       ? sandbox_kill(&child->started, err)
		       : sandbox_signal(&child->started, (int)params->signal, err);
}

static void free_draft(struct grant *draft)
{
	grant_deinit(draft);
}

/* The stored input is shown to a person, so it must be text. */
static int take_input(struct grant *draft, int fd, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(BROKER_INPUT_MAX);

	if (serve_sealed(&text, fd, err) < 0)
		return ERR_WRAP(err, "input");
	if (!str_is_utf8(buf_str(&text), text.len))
		return ERR_SET(err, ERR_INVALID, "input: not UTF-8 text");
	draft->input_len = text.len;
	draft->input = buf_take(&text);
	return draft->input ? 0 : ERR_NOMEM_SET(err);
}

int serve_grant_request(struct call *call, struct err *err)
{
	const struct broker_grant_request *params = call->params;
	struct grant draft SCOPED(free_draft) = {
		.spec = { .argv = params->argv,
			  .env = params->env,
			  .cwd = params->cwd,
			  .mode = params->mode,
			  .network = params->network ||
				     params->mode == SANDBOX_MODE_DANGER_FULL_ACCESS },
		.reason = params->reason,
	};
	struct broker_grant_request_result result = { 0 };
	struct ceiling *ceiling = NULL;
	const struct grant *grant = NULL;

	if (ceilings_find(&call->broker->ceilings, params->ceiling, CEILING_GRANT, call->peer,
			  &ceiling, err) < 0 ||
	    spec_check(&draft.spec, call->peer->role, err) < 0 ||
	    (params->has_input && take_input(&draft, call->fds[0], err) < 0) ||
	    id_draw(draft.id, sizeof draft.id, err) < 0 ||
	    id_draw(draft.seal, sizeof draft.seal, err) < 0 ||
	    str_copy(draft.ceiling, sizeof draft.ceiling, ceiling->id, err) < 0)
		return err->code;
	draft.kept = call->kept;
	call->kept = (struct kept){ 0 };
	if (grants_request(&call->broker->grants, &draft, broker_now_ms(), &grant, err) < 0)
		return err->code;
	result.grant = grant->id;
	result.state = grant->state;
	return ticket_answer(&call->ticket, &result, NULL, err);
}

int serve_grant_show(struct call *call, struct err *err)
{
	const struct broker_grant_show *params = call->params;
	const struct grant *grant = grants_find(&call->broker->grants, params->grant);
	struct broker_grant_record record = { 0 };
	struct broker_grant_show_result result = { .record = &record };

	if (!grant)
		return ERR_SET(err, ERR_NOTFOUND, "no such grant");
	record = (struct broker_grant_record){ .grant = grant->id,
					       .seal = grant->seal,
					       .ceiling = grant->ceiling,
					       .state = grant->state,
					       .argv = grant->spec.argv,
					       .cwd = grant->spec.cwd,
					       .env = grant->spec.env,
					       .mode = grant->spec.mode,
					       .network = grant->spec.network,
					       .input = grant->input,
					       .reason = grant->reason };
	return ticket_answer(&call->ticket, &result, "record", err);
}

int serve_grant_list(struct call *call, struct err *err)
{
	const struct broker_grant_list *params = call->params;
	const char *ids[GRANT_ALL_MAX];
	size_t count = grants_pending(&call->broker->grants, params->ceiling, ids);
	struct broker_grant_list_result result = { .grants = { ids, count } };

	return ticket_answer(&call->ticket, &result, NULL, err);
}

int serve_grant_answer(struct call *call, struct err *err)
{
	const struct broker_grant_answer *params = call->params;
	struct peer *daemon = call->broker->daemon.peer;
	struct broker_grant_answer_result result = { 0 };
	struct grant_answer answer = { .id = params->grant,
				       .seal = params->seal,
				       .decision = params->decision,
				       .prefix = params->has_prefix ? (size_t)params->prefix : 0 };

	if (grants_answer(&call->broker->grants, &answer, broker_now_ms(), &result.state, err) < 0)
		return err->code;
	/* agentd acts on this word, never on a client's. */
	if (daemon)
		serve_notify(daemon, BROKER_METHOD_GRANT_ANSWERED,
			     &(struct broker_grant_answered){ .grant = params->grant,
							      .state = result.state,
							      .decision = params->decision });
	return ticket_answer(&call->ticket, &result, NULL, err);
}

int serve_grant_cancel(struct call *call, struct err *err)
{
	const struct broker_grant_cancel *params = call->params;
	struct grant *grant = grants_find(&call->broker->grants, params->grant);

	if (!grant)
		return ERR_SET(err, ERR_NOTFOUND, "no such grant");
	grant->used = true;
	grants_settle(&call->broker->grants);
	return 0;
}
