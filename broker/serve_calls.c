#include "broker/broker.h"
#include "broker/order.h"
#include "broker/probe.h"

static int serve_hello(struct call *call, struct err *err)
{
	const struct broker_hello *params = call->params;
	struct broker_hello_result result = { .version = BROKER_VERSION,
					      .role = call->peer->role,
					      .build = AGENT_VERSION,
					      .pid = getpid() };

	if (params->version != BROKER_VERSION)
		return ERR_SET(err, ERR_INVALID, "the broker speaks version %d: stop it first",
			       BROKER_VERSION);
	log_info("hello", "peer=%u name='%s'", call->peer->number, params->name);
	call->peer->greeted = true;
	return ticket_answer(&call->ticket, &result, NULL, err);
}

static int serve_probe(struct call *call, struct err *err)
{
	struct probe probes[PROBES_MAX] = { 0 };
	struct broker_feature rows[PROBES_MAX] = { 0 };
	struct broker_probe_result result = { .probes = rows, .probes_count = probe_all(probes) };

	for (size_t i = 0; i < result.probes_count; i++)
		rows[i] = (struct broker_feature){ .name = probes[i].name,
						   .ok = probes[i].ok,
						   .needed = probes[i].needed,
						   .detail = probes[i].detail };
	return ticket_answer(&call->ticket, &result, NULL, err);
}

static struct ceiling *find(struct call *call, const char *id, enum ceiling_use use,
			    struct err *err)
{
	return ceilings_find(&call->broker->ceilings, id, use, call->peer, err);
}

/* The view of the ceiling's own sandbox, as the protocol tells it; roots has SANDBOX_ROOTS_MAX. */
static int describe(struct call *call, struct ceiling *ceiling, struct broker_policy *policy,
		    struct broker_root *roots, struct err *err)
{
	struct sandbox *sandbox =
		ceiling_sandbox(ceiling, ceiling->open.mode, ceiling->open.network,
				call->broker->options.folders, err);
	const struct sandbox_view *view;

	if (!sandbox)
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

static int serve_ceiling_open(struct call *call, struct err *err)
{
	struct ceilings *ceilings = &call->broker->ceilings;
	struct broker_root roots[SANDBOX_ROOTS_MAX];
	struct broker_policy policy = { 0 };
	struct broker_ceiling_open_result result = { .policy = &policy };
	struct ceiling *ceiling = NULL;

	if (ceilings_add(ceilings, call->params, &call->kept, call->peer, &ceiling, err) < 0)
		return err->code;
	result.ceiling = ceiling->id;
	if (describe(call, ceiling, &policy, roots, err) == 0 &&
	    ticket_answer(&call->ticket, &result, NULL, err) == 0)
		return 0;
	ceilings_drop(ceilings, ceiling);
	return err->code;
}

static int serve_ceiling_show(struct call *call, struct err *err)
{
	const struct broker_ceiling_show *params = call->params;
	struct broker_root roots[SANDBOX_ROOTS_MAX];
	struct broker_policy policy = { 0 };
	struct broker_ceiling_show_result result = { .policy = &policy };
	struct ceiling *ceiling = find(call, params->ceiling, CEILING_SHOW, err);

	if (!ceiling || describe(call, ceiling, &policy, roots, err) < 0)
		return err->code;
	result.cwd = ceiling->open.cwd;
	return ticket_answer(&call->ticket, &result, NULL, err);
}

static int serve_ceiling_close(struct call *call, struct err *err)
{
	const struct broker_ceiling_close *params = call->params;
	struct ceiling *ceiling = find(call, params->ceiling, CEILING_CLOSE, err);

	if (!ceiling)
		return err->code;
	broker_close_ceiling(call->broker, ceiling);
	return 0;
}

/* Packs the command and has it cloned. */
static int launch(struct call *call, struct ceiling *ceiling,
		  const struct broker_grant_record *spec, struct err *err)
{
	struct broker *broker = call->broker;
	struct child child SCOPED(child_deinit) = { .peer = call->peer,
						    .role = call->peer->role,
						    .ceiling = ceiling,
						    .started = STARTED_NONE,
						    .wait_status = SIGKILL };
	struct sandbox *sandbox =
		ceiling_sandbox(ceiling, spec->mode, spec->network, broker->options.folders, err);
	struct command command = { .argv = spec->argv.items,
				   .argc = spec->argv.count,
				   .cwd = spec->cwd };
	struct wire_strings env = { 0 };
	struct order order = { 0 };
	int input SCOPED(fd_close) = -1;
	int block SCOPED(fd_close) = -1;
	int fds[SANDBOX_FD_COUNT] = { call->fds[0], call->fds[1], call->fds[2] };

	if (!sandbox || id_draw(child.id, sizeof child.id, err) < 0 ||
	    spec_environment(&env, &ceiling->open.env, spec, &call->kept.arena, err) < 0 ||
	    (spec->input && fd_sealed(&input, "input", spec->input, strlen(spec->input), err) < 0))
		return err->code;
	command.env = env.items;
	command.envc = env.count;
	if (order_pack(&order, &block, &command, err) < 0)
		return err->code;
	fds[SANDBOX_BLOCK] = block;
	if (spec->input)
		fds[SANDBOX_STDIN] = input;
	if (sandbox_start(sandbox, &order, fds, &child.started, err) < 0)
		return err->code;
	child.ticket = call->ticket;
	call->ticket.id = NULL;
	broker->children[broker->child_count++] = child;
	child = (struct child){ .started = STARTED_NONE }; /* it is the broker's now */
	return 0;
}

static int serve_child_start(struct call *call, struct err *err)
{
	const struct broker_child_start *params = call->params;
	struct broker *broker = call->broker;
	bool is_agentd = call->peer->role == BROKER_ROLE_DAEMON;
	struct broker_grant_record spec = { .argv = params->argv, .env = params->env };
	const struct grant *grant = NULL;
	struct ceiling *ceiling;
	int rc;

	if (broker->child_count >= BROKER_CHILDREN_MAX)
		return ERR_SET(err, ERR_LIMIT, "more than %d commands", BROKER_CHILDREN_MAX);
	if (is_agentd && broker->daemon.state != DAEMON_READY)
		return ERR_SET(err, ERR_STATE, "agentd is not ready, or about to end");
	ceiling = find(call, params->ceiling, CEILING_START, err);
	if (!ceiling)
		return err->code;
	if (!params->grant) {
		spec.cwd = params->cwd ? params->cwd : ceiling->open.cwd;
		spec.mode = ceiling->open.mode;
		spec.network = ceiling->open.network;
		return spec_check(&spec, call->peer->role, err) < 0
			       ? (int)err->code
			       : launch(call, ceiling, &spec, err);
	}
	/* What was stored and answered runs, not what is asked for now. */
	if (!is_agentd)
		return ERR_SET(err, ERR_DENIED, "grants are agentd's to use");
	if (params->argv.items || params->env.items || params->cwd)
		return ERR_SET(err, ERR_INVALID, "with a grant what was stored runs, and no other");
	rc = grants_use(&broker->grants, params->grant, ceiling->id, broker_now_ms(), &grant, err);
	if (rc == 0)
		rc = launch(call, ceiling, &grant->record, err);
	grants_settle(&broker->grants, NULL);
	return rc;
}

static int serve_child_kill(struct call *call, struct err *err)
{
	const struct broker_child_kill *params = call->params;

	for (size_t i = 0; i < call->broker->child_count; i++) {
		const struct child *child = &call->broker->children[i];

		if (!child->gone && child->peer == call->peer && id_equal(child->id, params->child))
			return params->signal == SIGKILL
				       ? sandbox_kill(&child->started, err)
				       : sandbox_signal(&child->started, (int)params->signal, err);
	}
	return ERR_SET(err, ERR_NOTFOUND, "no such command of this connection");
}

/* The stored input is shown to a person, so it must be text. */
static int take_input(struct grant *draft, int fd, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(BROKER_INPUT_MAX);

	if (serve_sealed(&text, fd, err) < 0)
		return ERR_WRAP(err, "input");
	if (!str_is_utf8(buf_str(&text), text.len))
		return ERR_SET(err, ERR_INVALID, "input: not UTF-8 text");
	draft->input = buf_take(&text);
	return draft->input ? 0 : ERR_NOMEM_SET(err);
}

static int serve_grant_request(struct call *call, struct err *err)
{
	const struct broker_grant_request *params = call->params;
	struct grant draft SCOPED(grant_deinit) = {
		.record = { .argv = params->argv,
			    .env = params->env,
			    .cwd = params->cwd,
			    .mode = params->mode,
			    .network = params->network ||
				       params->mode == SANDBOX_MODE_DANGER_FULL_ACCESS,
			    .reason = params->reason },
	};
	struct broker_grant_request_result result = { 0 };
	struct ceiling *ceiling = find(call, params->ceiling, CEILING_GRANT, err);
	const struct grant *grant = NULL;

	if (!ceiling || spec_check(&draft.record, call->peer->role, err) < 0 ||
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
	result.state = grant->record.state;
	return ticket_answer(&call->ticket, &result, NULL, err);
}

static int serve_grant_show(struct call *call, struct err *err)
{
	const struct broker_grant_show *params = call->params;
	const struct grant *grant = grants_find(&call->broker->grants, params->grant);
	struct broker_grant_show_result result = { 0 };

	if (!grant)
		return ERR_SET(err, ERR_NOTFOUND, "no such grant");
	result.record = &grant->record;
	return ticket_answer(&call->ticket, &result, "record", err);
}

static int serve_grant_list(struct call *call, struct err *err)
{
	const struct broker_grant_list *params = call->params;
	const char *ids[GRANT_ALL_MAX];
	size_t count = grants_pending(&call->broker->grants, params->ceiling, ids);
	struct broker_grant_list_result result = { .grants = { ids, count } };

	return ticket_answer(&call->ticket, &result, NULL, err);
}

static int serve_grant_answer(struct call *call, struct err *err)
{
	const struct broker_grant_answer *params = call->params;
	struct broker_grant_answer_result result = { 0 };
	struct broker_grant_answered news = { .grant = params->grant,
					      .decision = params->decision };

	if (grants_answer(&call->broker->grants, params, broker_now_ms(), &result.state, err) < 0)
		return err->code;
	/* agentd acts on this word, never on a client's. */
	news.state = result.state;
	peer_notify(call->broker->daemon.peer, BROKER_METHOD_GRANT_ANSWERED, &news);
	return ticket_answer(&call->ticket, &result, NULL, err);
}

static int serve_grant_cancel(struct call *call, struct err *err)
{
	const struct broker_grant_cancel *params = call->params;
	struct grant *grant = grants_find(&call->broker->grants, params->grant);

	if (!grant)
		return ERR_SET(err, ERR_NOTFOUND, "no such grant");
	grant->used = true;
	grants_settle(&call->broker->grants, NULL);
	return 0;
}

int (*const serve_handlers[BROKER_METHOD_COUNT])(struct call *call, struct err *err) = {
	[BROKER_METHOD_HELLO] = serve_hello,
	[BROKER_METHOD_PROBE] = serve_probe,
	[BROKER_METHOD_DAEMON_START] = daemon_start,
	[BROKER_METHOD_DAEMON_STOP] = daemon_stop,
	[BROKER_METHOD_DAEMON_STATUS] = daemon_status,
	[BROKER_METHOD_DAEMON_READY] = daemon_ready,
	[BROKER_METHOD_CEILING_OPEN] = serve_ceiling_open,
	[BROKER_METHOD_CEILING_SHOW] = serve_ceiling_show,
	[BROKER_METHOD_CEILING_CLOSE] = serve_ceiling_close,
	[BROKER_METHOD_CHILD_START] = serve_child_start,
	[BROKER_METHOD_CHILD_KILL] = serve_child_kill,
	[BROKER_METHOD_GRANT_REQUEST] = serve_grant_request,
	[BROKER_METHOD_GRANT_SHOW] = serve_grant_show,
	[BROKER_METHOD_GRANT_LIST] = serve_grant_list,
	[BROKER_METHOD_GRANT_ANSWER] = serve_grant_answer,
	[BROKER_METHOD_GRANT_CANCEL] = serve_grant_cancel,
};
