#include "client/talk_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/codec.h"
#include "proto/wire/method.h"
#include "proto/wire/rpc.h"

#include "client/bounds.h"
#include "client/broker_link.h"
#include "client/image.h"
#include "client/link_uv.h"
#include "client/secret.h"
#include "client/setup.h"
#include "client/start.h"

#define PROGRAM "agent"
#define GONE_MS 3000    /* how long the broker may take to notice that agentd has ended */
#define ANSWERED_MAX 16 /* own answers whose resolution has not come back yet */
#define KEY_MAX 64      /* bytes of a question's key that are compared */

struct talk {
	struct link *link;
	struct talk_input input;
	const struct talk_events *events;
	void *ctx;
	char session_id[WIRE_ID_MAX + 1];
	char ceiling[WIRE_ID_MAX + 1];
	json_t *policy;   /* of the ceiling, encoded: the link's answer does not last */
	struct setup own; /* of a session that this client gives its settings to */
	struct list questions;
	char answered[ANSWERED_MAX][KEY_MAX + 1]; /* keys; "" is a free place */
	size_t answered_next;
	bool greeted;
	bool again; /* the link was opened a second time */
	bool joined;
	bool closed;
	unsigned busy; /* events under way; the memory stays until they have returned */
};

static void question_free(struct talk_question *question)
{
	list_remove(&question->node);
	json_decref(question->id);
	json_decref(question->params);
	arena_deinit(&question->arena);
	free(question->seal);
	free(question);
}

static void release(struct talk *talk)
{
	if (!talk->closed || talk->busy > 0)
		return;
	json_decref(talk->policy);
	setup_deinit(&talk->own);
	free(talk);
}

void talk_close(struct talk *talk)
{
	struct list *node;
	struct list *safe;

	if (!talk || talk->closed)
		return;
	talk->closed = true;
	LIST_EACH(node, safe, &talk->questions)
		question_free(LIST_ENTRY(node, struct talk_question, node));
	link_close(talk->link);
	release(talk);
}

const char *talk_session(const struct talk *talk)
{
	return talk->session_id;
}

/* A session that could not be joined has no use for the ceiling that was opened for it. */
static void drop_ceiling(struct talk *talk)
{
	struct broker_ceiling_close params = { .ceiling = talk->ceiling };
	struct broker_ceiling_close_result result = { 0 };
	struct err err = { 0 };

	/* A failure means that agentd has closed it, or that the broker is gone. */
	if (talk->ceiling[0])
		(void)(broker_call(talk->input.broker, BROKER_METHOD_CEILING_CLOSE, &params, NULL,
				   &result, &err) < 0);
	talk->ceiling[0] = '\0';
}

static void fail(struct talk *talk, const struct err *err)
{
	if (!talk->joined && !talk->closed)
		drop_ceiling(talk);
	if (!talk->closed)
		talk->events->failed(talk->ctx, err);
}

/* Opens what the session's commands may do; agentd gets only its name. */
static int open_ceiling(struct talk *talk, const struct setup *setup, struct err *err)
{
	struct bounds_input bounds = { .setup = setup, .keep = true };
	struct broker_ceiling_open_result result = { 0 };

	if (bounds_open(talk->input.broker, &bounds, &result, err) < 0)
		return (int)err->code;
	talk->policy = codec_encode(&broker_policy_type, result.policy, err);
	return talk->policy ? str_copy(talk->ceiling, sizeof talk->ceiling, result.ceiling, err)
			    : (int)err->code;
}

/* What a session gets from this client; out borrows from the setup, the secrets and the talk. */
static int give(struct agent_session_meta *out, struct secrets *secrets, struct talk *talk,
		const struct setup *setup, struct err *err)
{
	if (secrets_collect(secrets, setup->conf, environ, talk->input.exec, err) < 0 ||
	    open_ceiling(talk, setup, err) < 0)
		return (int)err->code;
	out->name = talk->input.name;
	out->ceiling = talk->ceiling;
	out->config.items = (const char *const *)setup->overrides;
	out->config.count = setup->override_count;
	out->environment.items = secrets->count ? secrets->items : NULL;
	out->environment.count = secrets->count;
	out->has_record = true;
	out->record = talk->input.record;
	out->has_ephemeral = true;
	out->ephemeral = talk->input.ephemeral;
	out->has_ignore_user_config = true;
	out->ignore_user_config = talk->input.ignore_user_config;
	return 0;
}

static int check_link(const struct talk *talk, struct err *err)
{
	return talk->link ? 0 : ERR_SET(err, ERR_GONE, "the connection to agentd is closed");
}

/* Encodes and sends; the answer goes to fn. */
static int ask(struct talk *talk, enum agent_method method, const void *params, link_answer_fn *fn,
	       struct err *err)
{
	json_t *encoded;

	if (check_link(talk, err) < 0)
		return (int)err->code;
	encoded = codec_encode(agent_methods[method].params, params, err);
	if (!encoded)
		return (int)err->code;
	return link_request(talk->link, agent_methods[method].name, encoded, fn, talk, err);
}

static void tell_joined(struct talk *talk, enum agent_session_state state,
			const struct agent_meta_info *meta)
{
	struct arena arena SCOPED(arena_deinit) = { 0 };
	struct broker_policy policy = { 0 };
	struct talk_joined joined = { .session_id = talk->session_id,
				      .info = meta ? meta->agentd : NULL,
				      .state = state };
	json_t *told = joined.info ? joined.info->policy : NULL;

	/* What the broker told this client itself counts more than what agentd passes on. */
	if (codec_decode(&broker_policy_type, talk->policy ? talk->policy : told, &policy, &arena,
			 CODEC_LENIENT, NULL) == 0)
		joined.policy = &policy;
	talk->joined = true;
	talk->events->joined(talk->ctx, &joined);
}

static void on_new(void *ctx, json_t *result, const struct err *failure)
{
	struct talk *talk = ctx;
	struct arena arena SCOPED(arena_deinit) = { 0 };
	struct agent_session_new_result decoded = { 0 };
	struct err err = { 0 };

	if (talk->closed)
		return;
	if (failure) {
		fail(talk, failure);
	} else if (codec_decode(&agent_session_new_result_type, result, &decoded, &arena,
				CODEC_LENIENT, &err) < 0 ||
		   str_copy(talk->session_id, sizeof talk->session_id, decoded.session_id, &err) <
			   0) {
		fail(talk, &err);
	} else {
		tell_joined(talk, AGENT_SESSION_STATE_IDLE, decoded.meta);
	}
}

static void on_resumed(void *ctx, json_t *result, const struct err *failure)
{
	struct talk *talk = ctx;
	struct arena arena SCOPED(arena_deinit) = { 0 };
	struct agent_session_resume_result decoded = { 0 };
	struct err err = { 0 };

	if (talk->closed)
		return;
	if (failure)
		fail(talk, failure);
	else if (codec_decode(&agent_session_resume_result_type, result, &decoded, &arena,
			      CODEC_LENIENT, &err) < 0)
		fail(talk, &err);
	else
		tell_joined(talk, AGENT_SESSION_STATE_IDLE, decoded.meta);
}

static void on_attached(void *ctx, json_t *result, const struct err *failure);

static int attach(struct talk *talk, const struct agent_meta_session *meta,
		  enum agent_history_policy history, struct err *err)
{
	struct agent_session_attach params = {
		.session_id = talk->session_id,
		.role = talk->input.how == TALK_OBSERVE ? AGENT_ROLE_OBSERVER
							: AGENT_ROLE_CONTROLLER,
		.history_policy = history,
		.name = talk->input.name,
		.meta = meta,
	};

	return ask(talk, AGENT_METHOD_SESSION_ATTACH, &params, on_attached, err);
}

/* A session that was asleep knows no settings of a person: it gets those that hold in its folder.
 */
static int wake(struct talk *talk, const char *cwd, struct err *err)
{
	struct secrets secrets = { .count = 0 };
	struct agent_session_meta own = { 0 };
	struct agent_meta_session meta = { .agentd = &own };

	if (setup_load_at(&talk->own, talk->input.options, SETUP_ASKING, cwd, err) < 0 ||
	    give(&own, &secrets, talk, &talk->own, err) < 0)
		return (int)err->code;
	return attach(talk, &meta, AGENT_HISTORY_POLICY_PENDING_ONLY, err);
}

static bool is_asleep(const struct talk *talk, const struct agent_session_attach_result *result)
{
	const struct agent_session_info *info = result->meta ? result->meta->agentd : NULL;

	return talk->input.how == TALK_ATTACH && !talk->ceiling[0] && info && info->has_ceiling &&
	       !info->ceiling;
}

static void on_attached(void *ctx, json_t *result, const struct err *failure)
{
	struct talk *talk = ctx;
	struct arena arena SCOPED(arena_deinit) = { 0 };
	struct agent_session_attach_result decoded = { 0 };
	struct err err = { 0 };

	if (talk->closed)
		return;
	if (failure)
		err = *failure;
	else if (codec_decode(&agent_session_attach_result_type, result, &decoded, &arena,
			      CODEC_LENIENT, &err) == 0 &&
		 is_asleep(talk, &decoded) && wake(talk, decoded.cwd, &err) == 0)
		return;
	if (err.code != ERR_NONE)
		fail(talk, &err);
	else
		tell_joined(talk, decoded.state, decoded.meta);
}

static int join_own(struct talk *talk, struct err *err)
{
	const struct setup *setup = talk->input.setup;
	struct secrets secrets = { .count = 0 };
	struct agent_session_meta own = { 0 };
	struct agent_meta_session meta = { .agentd = &own };

	if (give(&own, &secrets, talk, setup, err) < 0)
		return (int)err->code;
	if (talk->input.how == TALK_NEW) {
		struct agent_session_new params = { .cwd = setup->cwd, .meta = &meta };

		return ask(talk, AGENT_METHOD_SESSION_NEW, &params, on_new, err);
	}
	return ask(talk, AGENT_METHOD_SESSION_RESUME,
		   &(struct agent_session_resume){
			   .session_id = talk->session_id, .cwd = setup->cwd, .meta = &meta },
		   on_resumed, err);
}

static void on_greeted(void *ctx, json_t *result, const struct err *failure)
{
	struct talk *talk = ctx;
	struct err err = { 0 };
	int rc;

	(void)result;
	if (talk->closed || (failure && failure->code == ERR_GONE))
		return; /* on_gone() goes on */
	if (failure) {
		fail(talk, failure);
		return;
	}
	talk->greeted = true;
	if (talk->input.how == TALK_NEW || talk->input.how == TALK_RESUME)
		rc = join_own(talk, &err);
	else
		rc = attach(talk, NULL, AGENT_HISTORY_POLICY_FULL, &err);
	if (rc < 0)
		fail(talk, &err);
}

static int greet(struct talk *talk, struct err *err)
{
	struct agent_capability yes = { 0 };
	struct agent_client_session_capabilities session = { .notices = &yes };
	struct agent_client_capabilities can = { .session = &session };
	struct agent_implementation self = { .name = PROGRAM, .version = AGENT_VERSION };

	return ask(talk, AGENT_METHOD_INITIALIZE,
		   &(struct agent_initialize){ .protocol_version = AGENT_ACP_VERSION,
					       .client_capabilities = &can,
					       .client_info = &self },
		   on_greeted, err);
}

/* Requests: there is one. */

static struct talk_question *question_new(const struct rpc *rpc, struct err *err)
{
	struct talk_question *question = calloc(1, sizeof *question);

	if (!question) {
		ERR_NOMEM_SET(err);
		return NULL;
	}
	list_init(&question->node);
	question->id = json_incref(rpc->id);
	question->params = json_incref(rpc->params);
	if (codec_decode(&agent_session_request_permission_type, question->params,
			 &question->request, &question->arena, CODEC_LENIENT, err) < 0) {
		question_free(question);
		return NULL;
	}
	question->key = "";
	if (question->request.meta && question->request.meta->agentd) {
		question->key = question->request.meta->agentd->request_key;
		question->grant = question->request.meta->agentd->grant;
	}
	return question;
}

static void on_request(void *ctx, const struct rpc *rpc)
{
	struct talk *talk = ctx;
	struct talk_question *question = NULL;
	struct err err = { 0 };
	struct err lost = { 0 };

	if (talk->closed)
		return;
	if (!str_eq(rpc->method, agent_methods[AGENT_METHOD_SESSION_REQUEST_PERMISSION].name))
		ERR_SET(&err, ERR_NOTFOUND, "this client has no such method");
	else
		question = question_new(rpc, &err);
	if (!question) {
		if (link_refuse(talk->link, rpc->id, &err, &lost) < 0)
			fail(talk, &lost);
		return;
	}
	list_add(&talk->questions, &question->node);
	talk->events->asked(talk->ctx, question);
}

/* Notifications. */

static void take_update(struct talk *talk, const void *params)
{
	const struct agent_session_update *p = params;

	talk->events->update(talk->ctx, p->update);
}

static void take_notice(struct talk *talk, const void *params)
{
	talk->events->notice(talk->ctx, params);
}

static void take_state(struct talk *talk, const void *params)
{
	const struct agent_state *p = params;

	talk->events->state(talk->ctx, p->state);
}

static void take_clients(struct talk *talk, const void *params)
{
	talk->events->clients(talk->ctx, params);
}

static void take_recorded(struct talk *talk, const void *params)
{
	const struct agent_recorded *p = params;

	talk->events->recorded(talk->ctx, p->line);
}

static void take_turn(struct talk *talk, const void *params)
{
	talk->events->turn_ended(talk->ctx, params);
}

/* What this client decided itself it need not be told. */
static bool was_own(struct talk *talk, const char *key)
{
	for (size_t i = 0; i < ANSWERED_MAX; i++) {
		if (talk->answered[i][0] && strncmp(talk->answered[i], key, KEY_MAX) == 0) {
			talk->answered[i][0] = '\0';
			return true;
		}
	}
	return false;
}

static void remember_own(struct talk *talk, const char *key)
{
	(void)snprintf(talk->answered[talk->answered_next++ % ANSWERED_MAX], KEY_MAX + 1, "%s",
		       key);
}

static void take_resolved(struct talk *talk, const void *params)
{
	const struct agent_permission_resolved *resolved = params;
	struct talk_question *found = NULL;
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &talk->questions) {
		struct talk_question *question = LIST_ENTRY(node, struct talk_question, node);

		if (str_eq(question->key, resolved->request_key))
			found = question;
	}
	if (!found && was_own(talk, resolved->request_key))
		return;
	talk->events->resolved(talk->ctx, resolved, found);
	if (found && !talk->closed)
		question_free(found);
}

static const struct {
	enum agent_method method;
	void (*take)(struct talk *talk, const void *params);
} notifications[] = {
	{ AGENT_METHOD_SESSION_UPDATE, take_update },
	{ AGENT_METHOD_NOTICE, take_notice },
	{ AGENT_METHOD_STATE, take_state },
	{ AGENT_METHOD_CLIENTS_CHANGED, take_clients },
	{ AGENT_METHOD_RECORDED, take_recorded },
	{ AGENT_METHOD_TURN_COMPLETED, take_turn },
	{ AGENT_METHOD_PERMISSION_RESOLVED, take_resolved },
};

union notification {
	struct agent_session_update update;
	struct agent_notice notice;
	struct agent_state state;
	struct agent_clients_changed clients;
	struct agent_recorded recorded;
	struct agent_turn_completed turn;
	struct agent_permission_resolved resolved;
};

static void on_notification(void *ctx, const struct rpc *rpc)
{
	struct talk *talk = ctx;
	struct arena arena SCOPED(arena_deinit) = { 0 };
	union notification decoded;
	struct err err = { 0 };

	for (size_t i = 0; !talk->closed && i < ARRAY_LEN(notifications); i++) {
		const struct wire_method *row = &agent_methods[notifications[i].method];

		if (!str_eq(row->name, rpc->method))
			continue;
		memset(&decoded, 0, sizeof decoded);
		if (codec_decode(row->params, rpc->params, &decoded, &arena, CODEC_LENIENT, &err) <
		    0) {
			fail(talk, &err);
			return;
		}
		talk->busy++;
		notifications[i].take(talk, &decoded);
		talk->busy--;
		release(talk);
		return;
	}
}

static void on_gone(void *ctx, const struct err *err);

static const struct link_events link_events = { .request = on_request,
						.notification = on_notification,
						.gone = on_gone };

static int open_link(struct talk *talk, struct err *err)
{
	if (link_open(&talk->link, talk->input.loop, talk->input.setup->paths.agent_socket,
		      &link_events, talk, err) < 0)
		return (int)err->code;
	return greet(talk, err);
}

/* An agentd that was just ending may have taken the connection: the next one is started, once. */
static int open_again(struct talk *talk, struct err *err)
{
	struct broker_daemon_start_result started = { 0 };

	talk->again = true;
	if (broker_wait_gone(talk->input.broker, GONE_MS, err) < 0 ||
	    start_agentd(talk->input.broker, &started, err) < 0)
		return (int)err->code;
	return open_link(talk, err);
}

static void on_gone(void *ctx, const struct err *err)
{
	struct talk *talk = ctx;
	struct err second = { 0 };

	talk->link = NULL; /* it frees itself */
	if (!talk->closed && !talk->greeted && !talk->again && open_again(talk, &second) == 0)
		return;
	fail(talk, err);
}

int talk_open(struct talk **out, const struct talk_input *input, const struct talk_events *events,
	      void *ctx, struct err *err)
{
	struct talk *talk = calloc(1, sizeof *talk);
	int rc;

	if (!talk)
		return ERR_NOMEM_SET(err);
	talk->input = *input;
	talk->events = events;
	talk->ctx = ctx;
	list_init(&talk->questions);
	rc = input->session_id
		     ? str_copy(talk->session_id, sizeof talk->session_id, input->session_id, err)
		     : 0;
	if (rc == 0)
		rc = open_link(talk, err);
	if (rc < 0 && rc != ERR_LIMIT && !talk->link)
		rc = open_again(talk, err); /* nobody listens any more */
	if (rc < 0) {
		talk_close(talk);
		return rc;
	}
	*out = talk;
	return 0;
}

static void on_prompt_answer(void *ctx, json_t *result, const struct err *failure)
{
	struct talk *talk = ctx;

	(void)result;
	if (!talk->closed)
		talk->events->answered(talk->ctx, failure);
}

int talk_prompt(struct talk *talk, const struct talk_prompt *prompt, struct err *err)
{
	struct agent_content_block blocks[IMAGES_MAX + 1] = { { .type = AGENT_CONTENT_TYPE_TEXT,
								.text = prompt->text } };
	struct agent_prompt_meta own = { .output_schema = prompt->schema };
	struct agent_meta_prompt meta = { .agentd = &own };
	struct agent_session_prompt params = { .session_id = talk->session_id,
					       .prompt = blocks,
					       .prompt_count = 1,
					       .meta = prompt->schema ? &meta : NULL };

	for (size_t i = 0; prompt->images && i < prompt->images->count; i++) {
		blocks[params.prompt_count++] =
			(struct agent_content_block){ .type = AGENT_CONTENT_TYPE_IMAGE,
						      .data = prompt->images->items[i].base64,
						      .mime_type = prompt->images->items[i].mime };
	}
	return ask(talk, AGENT_METHOD_SESSION_PROMPT, &params, on_prompt_answer, err);
}

int talk_cancel(struct talk *talk, struct err *err)
{
	const struct wire_method *row = &agent_methods[AGENT_METHOD_SESSION_CANCEL];
	struct agent_session_cancel params = { .session_id = talk->session_id };
	json_t *encoded;

	if (check_link(talk, err) < 0)
		return (int)err->code;
	encoded = codec_encode(row->params, &params, err);
	return encoded ? link_notify(talk->link, row->name, encoded, err) : (int)err->code;
}

static void on_end(void *ctx, json_t *result, const struct err *failure)
{
	(void)ctx;
	(void)result;
	(void)failure;
}

int talk_end(struct talk *talk, struct err *err)
{
	struct agent_session_close params = { .session_id = talk->session_id };

	return ask(talk, AGENT_METHOD_SESSION_CLOSE, &params, on_end, err);
}

int talk_record(struct talk *talk, struct talk_question *question, struct broker_grant_record *out,
		struct err *err)
{
	if (broker_grant_record(talk->input.broker, question->grant, out, err) < 0)
		return (int)err->code;
	free(question->seal);
	question->seal = str_dup(out->seal);
	return question->seal ? 0 : ERR_NOMEM_SET(err);
}

static int answer_broker(struct talk *talk, const struct talk_question *question,
			 enum approval_answer answer, struct err *err)
{
	struct broker_grant_answer params = { .grant = question->grant,
					      .seal = question->seal,
					      .decision = approval_decision(answer) };
	struct broker_grant_answer_result result = { 0 };

	if (!question->seal)
		return ERR_SET(err, ERR_STATE, "the record was not shown");
	return broker_call(talk->input.broker, BROKER_METHOD_GRANT_ANSWER, &params, NULL, &result,
			   err);
}

static int answer_agentd(struct talk *talk, const struct talk_question *question,
			 enum approval_answer answer, struct err *err)
{
	const char *option = approval_option(&question->request, answer);
	struct agent_permission_answer outcome = { .outcome =
							   option ? AGENT_REQUEST_OUTCOME_SELECTED
								  : AGENT_REQUEST_OUTCOME_CANCELLED,
						   .option_id = option };
	struct agent_session_request_permission_result result = { .outcome = &outcome };
	json_t *encoded;

	if (check_link(talk, err) < 0)
		return (int)err->code;
	encoded = codec_encode(&agent_session_request_permission_result_type, &result, err);
	return encoded ? link_answer(talk->link, question->id, encoded, err) : (int)err->code;
}

int talk_answer(struct talk *talk, struct talk_question *question, enum approval_answer answer,
		struct err *err)
{
	int rc = question->grant ? answer_broker(talk, question, answer, err) : 0;

	/* A "no" counts by itself, whatever became of the record. */
	if (rc == 0 || answer == APPROVAL_REJECT)
		rc = answer_agentd(talk, question, answer, err);
	if (rc == 0)
		remember_own(talk, question->key);
	question_free(question);
	return rc;
}
