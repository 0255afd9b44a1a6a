#include "proto/base/clock.h"
#include "proto/wire/audit.h"
#include "proto/wire/order.h"

#include "broker/broker.h"
#include "broker/probe.h"

static int serve_hello(struct call *call, struct err *err)
{
	const struct broker_hello *params = call->params;
	struct broker_hello_result result = { .version = BROKER_VERSION,
					      .role = (enum broker_role)call->peer->role,
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

static int serve_requirements_show(struct call *call, struct err *err)
{
	const struct limits *limits = &broker_of(call)->limits;
	struct broker_requirements_show_result result = {
		.path = limits->path, .requirements = limits->path ? &limits->rules : NULL
	};

	return ticket_answer(&call->ticket, &result, "requirements", err);
}

static struct ceiling *find(struct call *call, const char *id, enum ceiling_use use,
			    struct err *err)
{
	return ceilings_find(&broker_of(call)->ceilings, id, use, call->peer, err);
}

/* A view as the protocol tells it. */
struct shown {
	struct broker_policy policy;
	struct broker_root roots[SANDBOX_ROOTS_MAX];
	const char *missing[SANDBOX_LAYERS_MAX];
};

/* That of the ceiling's own sandbox. */
static int describe(struct call *call, struct ceiling *ceiling, struct shown *out, struct err *err)
{
	struct broker *broker = broker_of(call);
	struct sandbox *sandbox =
		ceiling_sandbox(ceiling, ceiling->open.mode, ceiling->open.network,
				broker->options.folders, &broker->limits, err);
	const struct sandbox_view *view;
	size_t missing;

	if (!sandbox)
		return err->code;
	view = sandbox_view(sandbox);
	for (size_t i = 0; i < view->root_count; i++)
		out->roots[i] =
			(struct broker_root){ .path = view->roots[i].path,
					      .protected = { view->roots[i].protected,
							     view->roots[i].protected_count } };
	missing = view->missing_count;
	memcpy(out->missing, view->missing, missing * sizeof *view->missing);
	if (broker->audit_failed && missing < SANDBOX_LAYERS_MAX)
		out->missing[missing++] = "audit log: cannot be written; the broker's log says why";
	out->policy = (struct broker_policy){ .mode = view->mode,
					      .network = view->network,
					      .roots = out->roots,
					      .roots_count = view->root_count,
					      .layers = { view->layers, view->layer_count },
					      .missing = { out->missing, missing },
					      .limits = { view->limits, view->limit_count } };
	return 0;
}

static int serve_ceiling_open(struct call *call, struct err *err)
{
	struct broker *broker = broker_of(call);
	struct ceilings *ceilings = &broker->ceilings;
	const struct broker_ceiling_open *params = call->params;
	struct shown shown = { 0 };
	struct broker_ceiling_open_result result = { .policy = &shown.policy };
	struct ceiling *ceiling = NULL;

	if (limits_room(&broker->limits, LIMITS_CEILINGS, ceilings->count, err) < 0 ||
	    ceilings_add(ceilings, params, &call->kept, call->peer, &ceiling, err) < 0)
		return err->code;
	result.ceiling = ceiling->id;
	if (describe(call, ceiling, &shown, err) == 0 &&
	    record(broker, call->peer, "ceiling_opened",
		   audit_ceiling(ceiling->id, &ceiling->open, shown.policy.roots_count),
		   err) == 0 &&
	    ticket_answer(&call->ticket, &result, NULL, err) == 0)
		return 0;
	ceilings_drop(ceilings, ceiling);
	return err->code;
}

static int serve_ceiling_show(struct call *call, struct err *err)
{
	const struct broker_ceiling_show *params = call->params;
	struct shown shown = { 0 };
	struct broker_ceiling_show_result result = { .policy = &shown.policy };
	struct ceiling *ceiling = find(call, params->ceiling, CEILING_SHOW, err);

	if (!ceiling || describe(call, ceiling, &shown, err) < 0)
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
	broker_close_ceiling(broker_of(call), ceiling);
	return 0;
}

/* Packs the command and has it cloned. */
static int launch(struct call *call, struct ceiling *ceiling,
		  const struct broker_grant_record *spec, struct err *err)
{
	struct broker *broker = broker_of(call);
	struct child child SCOPED(child_deinit) = { .peer = call->peer,
						    .role = (enum broker_role)call->peer->role,
						    .ceiling = ceiling,
						    .started = STARTED_NONE,
						    .wait_status = SIGKILL };
	struct sandbox *sandbox = ceiling_sandbox(ceiling, spec->mode, spec->network,
						  broker->options.folders, &broker->limits, err);
	struct order order = { 0 };
	int input SCOPED(fd_close) = -1;
	int block SCOPED(fd_close) = -1;
	int fds[SANDBOX_FD_COUNT] = { call->fds[0], call->fds[1], call->fds[2] };

	if (!sandbox || id_draw(child.id, sizeof child.id, err) < 0 ||
	    spec_pack(&order, &block, &ceiling->open.env, spec, err) < 0 ||
	    spec_input_fd(&input, spec, err) < 0)
		return err->code;
	fds[SANDBOX_BLOCK] = block;
	if (spec->input)
		fds[SANDBOX_STDIN] = input;
	if (record(broker, call->peer, "child_started", audit_command(child.id, spec), err) < 0)
		return err->code;
	if (sandbox_start(sandbox, &order, fds, &child.started, err) < 0) {
		(void)record(broker, NULL, "child_failed", json_pack("{s:s}", "child", child.id),
			     NULL);
		return err->code;
	}
	child.ticket = MOVE(call->ticket);
	broker->children[broker->child_count++] = child;
	child = (struct child){ .started = STARTED_NONE }; /* it is the broker's now */
	return 0;
}

static int serve_child_start(struct call *call, struct err *err)
{
	const struct broker_child_start *params = call->params;
	struct broker *broker = broker_of(call);
	enum broker_role role = (enum broker_role)call->peer->role;
	struct broker_grant_record spec = { 0 };
	const struct grant *grant = NULL;
	struct ceiling *ceiling;
	int rc;

	if (limits_room(&broker->limits, LIMITS_COMMANDS, broker->child_count, err) < 0)
		return err->code;
	if (role == BROKER_ROLE_DAEMON && broker->daemon.state != DAEMON_READY)
		return ERR_SET(err, ERR_STATE, "agentd is not ready, or about to end");
	ceiling = find(call, params->ceiling, CEILING_START, err);
	if (!ceiling)
		return err->code;
	if (!params->grant)
		return spec_of_start(&spec, params, &ceiling->open, role, err) < 0
			       ? (int)err->code
			       : launch(call, ceiling, &spec, err);
	/* What was stored and answered runs, not what is asked for now. */
	if (role != BROKER_ROLE_DAEMON)
		return ERR_SET(err, ERR_DENIED, "grants are agentd's to use");
	if (params->argv.items || params->env.items || params->cwd)
		return ERR_SET(err, ERR_INVALID, "with a grant what was stored runs, and no other");
	rc = grants_use(&broker->grants, params->grant, ceiling->id, clock_ms(), &grant, err);
	if (rc == 0)
		rc = launch(call, ceiling, &grant->record, err);
	grants_settle(&broker->grants, NULL);
	return rc;
}

static int serve_child_kill(struct call *call, struct err *err)
{
	const struct broker_child_kill *params = call->params;

	for (size_t i = 0; i < broker_of(call)->child_count; i++) {
		struct child *child = &broker_of(call)->children[i];

		if (child->gone || child->peer != call->peer || !id_equal(child->id, params->child))
			continue;
		child->signal = (int)params->signal;
		return params->signal == SIGKILL
			       ? sandbox_kill(&child->started, err)
			       : sandbox_signal(&child->started, (int)params->signal, err);
	}
	return ERR_SET(err, ERR_NOTFOUND, "no such command of this connection");
}

/* What cannot be recorded is as if it had not been asked. */
static int withdraw(struct broker *broker, const char *id, const struct err *err)
{
	(void)grants_cancel(&broker->grants, id, true, NULL);
	return err->code;
}

static int serve_grant_request(struct call *call, struct err *err)
{
	const struct broker_grant_request *params = call->params;
	struct grant draft SCOPED(grant_deinit) = { 0 };
	struct broker_grant_request_result result = { 0 };
	struct broker *broker = broker_of(call);
	struct ceiling *ceiling = find(call, params->ceiling, CEILING_GRANT, err);
	const struct grant *grant = NULL;

	if (!ceiling ||
	    spec_of_request(&draft.record, params, (enum broker_role)call->peer->role, err) < 0 ||
	    limits_allow_sandbox(&broker->limits, draft.record.mode, draft.record.network,
				 ceiling->open.legacy_landlock, err) < 0 ||
	    (params->has_input && spec_read_input(&draft.input, call->fds[0], err) < 0) ||
	    id_draw(draft.id, sizeof draft.id, err) < 0 ||
	    id_draw(draft.nonce, sizeof draft.nonce, err) < 0 ||
	    str_copy(draft.ceiling, sizeof draft.ceiling, ceiling->id, err) < 0)
		return err->code;
	draft.kept = MOVE(call->kept);
	if (grants_request(&broker->grants, &draft, clock_ms(), &grant, err) < 0)
		return err->code;
	if (record(broker, call->peer, "grant_requested", audit_command(NULL, &grant->record),
		   err) < 0)
		return withdraw(broker, grant->id, err);
	result.grant = grant->id;
	result.state = grant->record.state;
	return ticket_answer(&call->ticket, &result, NULL, err);
}

static int serve_grant_show(struct call *call, struct err *err)
{
	const struct broker_grant_show *params = call->params;
	const struct grant *grant = grants_find(&broker_of(call)->grants, params->grant, err);
	struct broker_grant_show_result result = { 0 };

	if (!grant)
		return err->code;
	result.record = &grant->record;
	return ticket_answer(&call->ticket, &result, "record", err);
}

static int serve_grant_list(struct call *call, struct err *err)
{
	const struct broker_grant_list *params = call->params;
	const char *ids[GRANT_ALL_MAX];
	size_t count = grants_pending(&broker_of(call)->grants, params->ceiling, ids);
	struct broker_grant_list_result result = { .grants = { ids, count } };

	return ticket_answer(&call->ticket, &result, NULL, err);
}

static int serve_grant_answer(struct call *call, struct err *err)
{
	const struct broker_grant_answer *params = call->params;
	struct broker *broker = broker_of(call);
	struct broker_grant_answer_result result = { 0 };
	struct broker_grant_answered news = { .grant = params->grant,
					      .decision = params->decision };

	if (grants_answer(&broker->grants, params, clock_ms(), &news.state, err) < 0)
		return err->code;
	if (record(broker, call->peer, "grant_answered", audit_answer(&news), err) < 0)
		return withdraw(broker, params->grant, err);
	/* agentd acts on this word, never on a client's. */
	peer_notify(broker->daemon.peer, BROKER_METHOD_GRANT_ANSWERED, &news);
	result.state = news.state;
	return ticket_answer(&call->ticket, &result, NULL, err);
}

static int serve_grant_cancel(struct call *call, struct err *err)
{
	const struct broker_grant_cancel *params = call->params;
	struct broker *broker = broker_of(call);

	if (grants_cancel(&broker->grants, params->grant, false, err) < 0)
		return err->code;
	return record(broker, call->peer, "grant_cancelled",
		      json_pack("{s:s}", "grant", params->grant), err);
}

#define HANDLER(NAME, name) [BROKER_METHOD_##NAME] = serve_##name,
static int (*const handlers[])(struct call *call, struct err *err) = { BROKER_METHODS(HANDLER) };

/* argv and env are what can be too long for a packet. */
static const char *const sealed[] = { "argv", "env", NULL };

/* Each request is logged with its outcome. */
static void on_answer(const struct ticket *ticket, const struct err *why)
{
	log_event(why ? LOG_WARN : LOG_INFO, "request", "peer=%u method=%s outcome=%s why='%s'",
		  ticket->peer->number, ticket->method->name ? ticket->method->name : "unknown",
		  why ? err_code_name(why->code) : "ok", why ? why->text : "");
}

static void on_end(const struct peer *peer, const char *why)
{
	struct broker *broker = CONTAINER_OF(peer->server, struct broker, server);

	log_info("peer_gone", "peer=%u why='%s'", peer->number, why);
	if (str_starts(why, "violation"))
		(void)record(broker, peer, "violation", json_pack("{s:s}", "why", why), NULL);
}

const struct server_table serve_table = {
	.methods = broker_methods,
	.method_count = BROKER_METHOD_COUNT,
	.handlers = handlers,
	.roles = &broker_role_names,
	.sealed = sealed,
	.announcing = "has_input",
	.on_answer = on_answer,
	.on_end = on_end,
};
