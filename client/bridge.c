#include "client/bridge.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/agent_gen.h"
#include "proto/wire/codec.h"

#include "client/approval.h"
#include "client/bounds.h"
#include "client/broker_link.h"
#include "client/secret.h"
#include "client/setup.h"
#include "client/term.h"

#define SHOWN_MAX                                                                                  \
	900000 /* bytes of a question's text: it has to fit into one line of the editor's stream   \
		*/

struct bridge {
	const struct options *options;
	struct broker *broker;
	char *name;       /* of the editor, for the others */
	json_t *sessions; /* id -> {cwd, roots} */
	json_t *opening;  /* id of a request, as text -> {cwd, roots}: the answer names the session
			   */
	json_t *asked;    /* id of a question, as text -> {grant, seal, params} */
};

static const char *const opening_methods[] = { "session/new", "session/load", "session/resume" };

int bridge_new(struct bridge **out, const struct options *options, struct broker *broker,
	       struct err *err)
{
	struct bridge *bridge = calloc(1, sizeof *bridge);

	if (!bridge)
		return ERR_NOMEM_SET(err);
	bridge->options = options;
	bridge->broker = broker;
	bridge->sessions = json_object();
	bridge->opening = json_object();
	bridge->asked = json_object();
	if (!bridge->sessions || !bridge->opening || !bridge->asked) {
		bridge_free(bridge);
		return ERR_NOMEM_SET(err);
	}
	*out = bridge;
	return 0;
}

void bridge_free(struct bridge *bridge)
{
	if (!bridge)
		return;
	json_decref(bridge->sessions);
	json_decref(bridge->opening);
	json_decref(bridge->asked);
	free(bridge->name);
	free(bridge);
}

static const char *member_text(json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

/* An id as a key; ids are numbers or texts, and 1 is not "1". */
static char *id_key(json_t *id)
{
	return json_dumps(id, JSON_ENCODE_ANY | JSON_COMPACT);
}

static int remember(json_t *map, const char *key, json_t *value, struct err *err)
{
	if (json_object_size(map) >= BRIDGE_OPEN_MAX) {
		json_decref(value);
		return ERR_SET(err, ERR_LIMIT, "more than %d at once", BRIDGE_OPEN_MAX);
	}
	return json_object_set_new(map, key, value) < 0 ? ERR_NOMEM_SET(err) : 0;
}

/* The member of an object that is an object, made when it is missing. */
static json_t *inner(json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	if (!json_is_object(value) && json_object_set_new(object, name, json_object()) == 0)
		value = json_object_get(object, name);
	return value;
}

static json_t *text_list(const char *const *items, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < count; i++) {
		if (json_array_append_new(list, json_string(items[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* params._meta.agentd: what only the person's side can say. */
static int inject(struct bridge *bridge, json_t *params, const struct setup *setup,
		  const char *ceiling, struct err *err)
{
	json_t *meta = inner(params, "_meta");
	json_t *own = json_object();
	struct secrets secrets = { .count = 0 };

	if (!own || !meta || json_object_set_new(meta, "agentd", own) < 0)
		return ERR_NOMEM_SET(err);
	if (secrets_collect(&secrets, setup->conf, environ, false, err) < 0)
		return (int)err->code;
	if (json_object_set_new(own, "ceiling", json_string(ceiling)) < 0 ||
	    json_object_set_new(
		    own, "config",
		    text_list((const char *const *)setup->overrides, setup->override_count)) < 0 ||
	    json_object_set_new(own, "environment", text_list(secrets.items, secrets.count)) < 0 ||
	    json_object_set_new(own, "name", json_string(bridge->name ? bridge->name : "editor")) <
		    0)
		return ERR_NOMEM_SET(err);
	return 0;
}

static int load_setup(struct setup *setup, struct bridge *bridge, json_t *place, struct err *err)
{
	const char *cwd = member_text(place, "cwd");
	size_t i;
	json_t *root;

	if (!cwd || *cwd != '/')
		return ERR_SET(err, ERR_INVALID, "params.cwd: an absolute path is needed");
	if (setup_load_at(setup, bridge->options, SETUP_ASKING, cwd, err) < 0)
		return (int)err->code;
	json_array_foreach(json_object_get(place, "roots"), i, root) {
		if (!json_is_string(root))
			return ERR_SET(err, ERR_INVALID,
				       "params.additionalDirectories: not a path");
		if (setup_add_root(setup, json_string_value(root), err) < 0)
			return (int)err->code;
	}
	return 0;
}

/* Opens the ceiling of a session at a place {cwd, roots}, and lets the message carry its name. */
static int open_for(struct bridge *bridge, json_t *message, json_t *place, const char *mode,
		    struct err *err)
{
	struct setup setup SCOPED(setup_deinit) = { 0 };
	struct broker_ceiling_open_result result = { 0 };
	char *key SCOPED(str_free) = id_key(json_object_get(message, "id"));
	json_auto_t *opening = json_copy(place);
	int number = mode ? names_find(&sandbox_mode_names, mode) : 0;
	struct bounds_input bounds = { .setup = &setup,
				       .mode = (enum sandbox_mode)number,
				       .keep = true };

	if (!key || !opening)
		return ERR_NOMEM_SET(err);
	if (load_setup(&setup, bridge, place, err) < 0 ||
	    (mode && setup_override(&setup, err, "sandbox_mode=\"%s\"", mode) < 0) ||
	    bounds_open(bridge->broker, &bounds, &result, err) < 0 ||
	    inject(bridge, inner(message, "params"), &setup, result.ceiling, err) < 0)
		return (int)err->code;
	if (json_object_set_new(opening, "ceiling", json_string(result.ceiling)) < 0)
		return ERR_NOMEM_SET(err);
	return remember(bridge->opening, key, TAKE(opening), err);
}

static json_t *place_of(json_t *params)
{
	json_t *roots = json_object_get(params, "additionalDirectories");

	return json_pack("{s:O?, s:O?}", "cwd", json_object_get(params, "cwd"), "roots", roots);
}

static int open_session(struct bridge *bridge, json_t *message, struct err *err)
{
	json_t *params = inner(message, "params");
	json_auto_t *place = place_of(params);
	const char *session = member_text(params, "sessionId");

	if (!place || !params)
		return ERR_NOMEM_SET(err);
	if (open_for(bridge, message, place, NULL, err) < 0)
		return (int)err->code;
	return session ? remember(bridge->sessions, session, json_incref(place), err) : 0;
}

/* A mode that is none of ours passes: agentd knows how to refuse it. */
static int change_mode(struct bridge *bridge, json_t *message, const char *mode, struct err *err)
{
	const char *session = member_text(json_object_get(message, "params"), "sessionId");
	json_t *place = session ? json_object_get(bridge->sessions, session) : NULL;

	if (!place || !mode || names_find(&sandbox_mode_names, mode) == 0)
		return 0;
	return open_for(bridge, message, place, mode, err);
}

static int learn_name(struct bridge *bridge, json_t *params)
{
	json_t *info = json_object_get(params, "clientInfo");
	const char *name = member_text(info, "title");

	if (!name)
		name = member_text(info, "name");
	if (name) {
		free(bridge->name);
		bridge->name = str_dup(name);
	}
	return 0;
}

static int pass_request(struct bridge *bridge, json_t *message, const char *method, struct err *err)
{
	json_t *params = json_object_get(message, "params");

	for (size_t i = 0; i < ARRAY_LEN(opening_methods); i++) {
		if (str_eq(method, opening_methods[i]))
			return open_session(bridge, message, err);
	}
	if (str_eq(method, "session/set_mode"))
		return change_mode(bridge, message, member_text(params, "modeId"), err);
	if (str_eq(method, "session/set_config_option") &&
	    str_eq(member_text(params, "configId"), "mode"))
		return change_mode(bridge, message, member_text(params, "value"), err);
	return str_eq(method, "initialize") ? learn_name(bridge, params) : 0;
}

/* Questions. */

/* Words as a shell would read them back: exact, and safe to look at. */
static json_t *quoted_words(const char *const *items, size_t count, struct err *err)
{
	struct buf words SCOPED(buf_deinit) = BUF_INIT(SHOWN_MAX);
	json_t *text;

	for (size_t i = 0; i < count; i++) {
		if ((i > 0 && buf_putc(&words, ' ', err) < 0) ||
		    term_quote(&words, items[i], strlen(items[i]), err) < 0)
			return NULL;
	}
	text = json_stringn(buf_str(&words), words.len);
	if (!text)
		ERR_NOMEM_SET(err);
	return text;
}

static json_t *clean_text(const char *text, struct err *err)
{
	struct buf clean SCOPED(buf_deinit) = BUF_INIT(SHOWN_MAX);
	json_t *json;

	if (term_clean(&clean, text, strlen(text), TERM_TEXT, err) < 0)
		return NULL;
	json = json_stringn(buf_str(&clean), clean.len);
	if (!json)
		ERR_NOMEM_SET(err);
	return json;
}

/* Steals value; NULL is a failure that is in err already. */
static int put(json_t *object, const char *name, json_t *value, struct err *err)
{
	if (!value)
		return (int)err->code;
	return json_object_set_new(object, name, value) < 0 ? ERR_NOMEM_SET(err) : 0;
}

static json_t *record_input(const struct broker_grant_record *record, struct err *err)
{
	json_auto_t *input = json_pack("{s:s, s:b}", "sandbox",
				       names_get(&sandbox_mode_names, (int)record->mode), "network",
				       record->network);

	if (!input) {
		ERR_NOMEM_SET(err);
		return NULL;
	}
	if (put(input, "command", quoted_words(record->argv.items, record->argv.count, err), err) <
		    0 ||
	    put(input, "cwd", clean_text(record->cwd, err), err) < 0 ||
	    put(input, "variables", quoted_words(record->env.items, record->env.count, err), err) <
		    0 ||
	    (record->input && put(input, "input", clean_text(record->input, err), err) < 0) ||
	    (record->reason && put(input, "model_says", clean_text(record->reason, err), err) < 0))
		return NULL;
	return TAKE(input);
}

/* What the editor shows is the broker's record and nothing that agentd says of it. */
static int show_record(json_t *params, const struct broker_grant_record *record, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(SHOWN_MAX);
	struct agent_session_request_permission none = { 0 };
	json_t *call = inner(params, "toolCall");

	if (approval_show(&text, false, record, &none, err) < 0 ||
	    put(call, "title", quoted_words(record->argv.items, record->argv.count, err), err) <
		    0 ||
	    put(call, "rawInput", record_input(record, err), err) < 0)
		return (int)err->code;
	(void)json_object_del(call, "locations");
	if (json_object_set_new(call, "content",
				json_pack("[{s:s, s:{s:s, s:s}}]", "type", "content", "content",
					  "type", "text", "text", buf_str(&text))) < 0)
		return ERR_NOMEM_SET(err);
	return 0;
}

static int pass_question(struct bridge *bridge, json_t *message, struct err *err)
{
	json_t *params = json_object_get(message, "params");
	json_t *own = json_object_get(json_object_get(params, "_meta"), "agentd");
	const char *grant = member_text(own, "grant");
	char *key SCOPED(str_free) = id_key(json_object_get(message, "id"));
	struct broker_grant_record record = { 0 };

	if (!grant)
		return 0;
	if (!key)
		return ERR_NOMEM_SET(err);
	if (broker_grant_record(bridge->broker, grant, &record, err) < 0 ||
	    show_record(params, &record, err) < 0)
		return (int)err->code;
	return remember(
		bridge->asked, key,
		json_pack("{s:s, s:s, s:O}", "grant", grant, "seal", record.seal, "params", params),
		err);
}

static int decode_question(json_t *params, struct agent_session_request_permission *out,
			   struct arena *arena, struct err *err)
{
	return codec_decode(&agent_session_request_permission_type, params, out, arena,
			    CODEC_LENIENT, err);
}

/* The editor's answer, told to the broker first. "cancelled" is for agentd, which withdraws the
 * question. */
static int pass_answer(struct bridge *bridge, json_t *message, struct err *err)
{
	char *key SCOPED(str_free) = id_key(json_object_get(message, "id"));
	json_auto_t *asked = key ? json_incref(json_object_get(bridge->asked, key)) : NULL;
	json_t *outcome = json_object_get(json_object_get(message, "result"), "outcome");
	struct arena arena SCOPED(arena_deinit) = { 0 };
	struct agent_session_request_permission request = { 0 };
	struct broker_grant_answer params = { .decision = DECISION_DENY };
	struct broker_grant_answer_result result = { 0 };

	if (!asked)
		return 0;
	(void)json_object_del(bridge->asked, key);
	if (str_eq(member_text(outcome, "outcome"), "cancelled"))
		return 0;
	if (decode_question(json_object_get(asked, "params"), &request, &arena, err) < 0)
		return (int)err->code;
	params.grant = member_text(asked, "grant");
	params.seal = member_text(asked, "seal");
	if (str_eq(member_text(outcome, "outcome"), "selected"))
		params.decision = approval_decision(
			approval_meaning(&request, member_text(outcome, "optionId")));
	return broker_call(bridge->broker, BROKER_METHOD_GRANT_ANSWER, &params, NULL, &result, err);
}

int bridge_from_editor(struct bridge *bridge, json_t *message, struct err *err)
{
	const char *method = member_text(message, "method");

	if (method)
		return pass_request(bridge, message, method, err);
	if (pass_answer(bridge, message, err) < 0) {
		/* Somebody else was faster, or the record is gone: agentd knows, and must not wait
		 * for this one. */
		*err = (struct err){ 0 };
	}
	return 0;
}

static void close_ceiling(struct bridge *bridge, const char *ceiling)
{
	struct broker_ceiling_close params = { .ceiling = ceiling };
	struct broker_ceiling_close_result result = { 0 };
	struct err err = { 0 };

	/* A failure means that agentd has closed it already. */
	(void)(broker_call(bridge->broker, BROKER_METHOD_CEILING_CLOSE, &params, NULL, &result,
			   &err) < 0);
}

/* What was being opened is open, or has failed. The answer to session/new names the session. */
static int learn_session(struct bridge *bridge, json_t *message, struct err *err)
{
	char *key SCOPED(str_free) = id_key(json_object_get(message, "id"));
	json_auto_t *place = key ? json_incref(json_object_get(bridge->opening, key)) : NULL;
	const char *session = member_text(json_object_get(message, "result"), "sessionId");

	if (!place)
		return 0;
	(void)json_object_del(bridge->opening, key);
	if (json_object_get(message, "error"))
		close_ceiling(bridge, member_text(place, "ceiling"));
	return session ? remember(bridge->sessions, session, json_incref(place), err) : 0;
}

int bridge_from_agentd(struct bridge *bridge, json_t *message, struct err *err)
{
	const char *method = member_text(message, "method");

	if (str_eq(method, "session/request_permission"))
		return pass_question(bridge, message, err);
	return method ? 0 : learn_session(bridge, message, err);
}
