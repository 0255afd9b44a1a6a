#include "agentd/session/context.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/conf.h"
#include "proto/wire/broker_gen.h"

#include "agentd/config/agents_md.h"
#include "agentd/model/prompt.h"
#include "agentd/session/session.h"
#include "agentd/session/show.h"
#include "agentd/session/transcript.h"

#define TEXT_MAX 2097152 /* of one message */
#define DATE_SIZE 16
#define WORDS_MAX 64 /* entries of a list of the settings that count here */
#define MS_PER_SECOND 1000
#define ENVIRONMENT_LEAD "<environment_context>"

/* Below the root's .git folder something is protected, but not the folder as a whole. */
static bool may_commit(const char *root, const json_t *guarded)
{
	size_t length = strlen(root);
	bool below = false;

	for (size_t i = 0; i < json_array_size(guarded); i++) {
		const char *path = json_string_value(json_array_get(guarded, i));

		if (!path || !str_starts(path, root) || !str_starts(path + length, "/.git"))
			continue;
		if (path[length + strlen("/.git")] == '\0')
			return false;
		below = below || path[length + strlen("/.git")] == '/';
	}
	return below;
}

static void bounds_of(struct prompt_bounds *out, const struct session *session, const char **roots)
{
	size_t i;
	json_t *root;

	*out = (struct prompt_bounds){ .sandbox = session->ceiling.mode,
				       .approval = session_approval_policy(session),
				       .network = session->ceiling.network,
				       .roots = roots };
	if (out->sandbox == SANDBOX_MODE_NONE)
		out->sandbox = SANDBOX_MODE_READ_ONLY;
	json_array_foreach(json_object_get(session->ceiling.policy, "roots"), i, root) {
		const char *path = json_string_value(json_object_get(root, "path"));

		if (!path || out->root_count == BROKER_ROOTS_MAX)
			continue;
		roots[out->root_count++] = path;
		out->commits = out->commits || may_commit(path, json_object_get(root, "protected"));
	}
}

/* Adds the message unless the model was told exactly this last; *told then holds it. */
static int say_once(struct session *session, const char *role, const struct buf *text, char **told,
		    struct err *err)
{
	char *copy = NULL;

	if (str_eq(*told, buf_str(text)))
		return 0;
	if (session_item(session, 0, prompt_item(role, buf_str(text)), err) < 0)
		return (int)err->code;
	copy = str_dup(buf_str(text));
	if (!copy)
		return ERR_NOMEM_SET(err);
	free(*told);
	*told = copy;
	return 0;
}

static int say_permissions(struct session *session, const struct prompt_bounds *bounds,
			   struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);

	if (prompt_permissions(&text, bounds, err) < 0)
		return (int)err->code;
	return say_once(session, "developer", &text, &session->permissions, err);
}

static int say_place(struct session *session, const struct context_place *place,
		     const struct prompt_bounds *bounds, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);
	time_t now = (time_t)(place->now_ms / MS_PER_SECOND);
	char date[DATE_SIZE] = "";
	struct tm parts = { 0 };
	struct prompt_place where = { .cwd = session->cwd };

	if (place->shell) {
		const char *slash = strrchr(place->shell, '/');

		where.shell = slash ? slash + 1 : place->shell;
	}
	if (localtime_r(&now, &parts) && strftime(date, sizeof(date), "%Y-%m-%d", &parts) > 0) {
		where.date = date;
		where.timezone = parts.tm_zone;
	}
	if (prompt_environment(&text, &where, bounds, err) < 0)
		return (int)err->code;
	return say_once(session, "user", &text, &session->environment_text, err);
}

static size_t words_of(const char **out, const json_t *list)
{
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(list) && count < WORDS_MAX; i++) {
		const char *word = json_string_value(json_array_get(list, i));

		if (word)
			out[count++] = word;
	}
	return count;
}

static bool is_trusted(const struct session *session)
{
	return str_eq(conf_str_of(session->conf, "projects", session->cwd, "trust_level"),
		      "trusted");
}

static int say_instructions(struct session *session, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);
	const char *markers[WORDS_MAX];
	const char *fallbacks[WORDS_MAX];
	const struct conf *conf = session->conf;
	const struct agents_md_place place = {
		.config_dir = session->sessions->config_dir,
		.cwd = session->cwd,
		.markers = markers,
		.marker_count = words_of(markers, conf_list(conf, "project_root_markers")),
		.fallbacks = fallbacks,
		.fallback_count =
			words_of(fallbacks, conf_list(conf, "project_doc_fallback_filenames")),
		.bytes_max = (size_t)conf_int(conf, "project_doc_max_bytes"),
		.trusted = is_trusted(session),
	};

	if (agents_md_load(&text, &place, err) < 0)
		return ERR_WRAP(err, "AGENTS.md");
	return text.len > 0 ? session_item(session, 0, prompt_item("user", text.data), err) : 0;
}

static int remember(char **told, const char *text, struct err *err)
{
	if (*told)
		return 0;
	*told = str_dup(text);
	return *told ? 0 : ERR_NOMEM_SET(err);
}

/* After a resume: what the model was told last is in the history. */
static int recall(struct session *session, struct err *err)
{
	for (size_t i = session->history.count;
	     i > 0 && (!session->permissions || !session->environment_text); i--) {
		struct buf text SCOPED(buf_deinit) = BUF_INIT(RECORD_LINE_MAX);
		size_t record = session->history.records[i - 1];
		json_auto_t *item = NULL;
		enum show_kind kind;
		int result = 0;

		if (transcript_item(session->log, record) > 0)
			continue; /* something that was said, not something to know */
		item = transcript_payload(session->log, record, err);
		if (!item || show_item_text(&text, item, &kind, err) < 0)
			return (int)err->code;
		if (str_eq(json_string_value(json_object_get(item, "role")), "developer"))
			result = remember(&session->permissions, buf_str(&text), err);
		else if (str_starts(buf_str(&text), ENVIRONMENT_LEAD))
			result = remember(&session->environment_text, buf_str(&text), err);
		if (result < 0)
			return result;
	}
	return 0;
}

int context_refresh(struct session *session, const struct context_place *place, struct err *err)
{
	const char *roots[BROKER_ROOTS_MAX];
	bool first = session->history.count == 0;
	struct prompt_bounds bounds;

	bounds_of(&bounds, session, roots);
	if (!first && recall(session, err) < 0)
		return (int)err->code;
	if (say_permissions(session, &bounds, err) < 0 ||
	    (first && say_instructions(session, err) < 0))
		return (int)err->code;
	return say_place(session, place, &bounds, err);
}
