#include "client/sessions.h"

#include "proto/base/err.h"
#include "proto/base/str.h"

#include "client/call_uv.h"

static int add_page(json_t *list, char **cursor, json_t *result, struct err *err)
{
	json_t *next = json_object_get(result, "nextCursor");

	if (json_array_extend(list, json_object_get(result, "sessions")) < 0)
		return ERR_SET(err, ERR_INVALID, "agentd answers session/list without sessions");
	str_free(cursor);
	if (!json_is_string(next))
		return 0;
	*cursor = str_dup(json_string_value(next));
	return *cursor ? 0 : ERR_NOMEM_SET(err);
}

int sessions_list(json_t **out, const struct call_to *to, const char *cwd, struct err *err)
{
	json_auto_t *list = json_array();
	char *cursor SCOPED(str_free) = NULL;

	if (!list)
		return ERR_NOMEM_SET(err);
	for (size_t page = 0; page < SESSIONS_PAGES_MAX; page++) {
		struct agent_session_list params = { .cwd = cwd, .cursor = cursor };
		json_auto_t *result = NULL;

		if (call_agentd(&result, to, AGENT_METHOD_SESSION_LIST, &params, err) < 0 ||
		    add_page(list, &cursor, result, err) < 0)
			return (int)err->code;
		if (!cursor)
			break;
	}
	*out = TAKE(list);
	return 0;
}

int sessions_newest(char **out, const struct call_to *to, const char *cwd, struct err *err)
{
	struct agent_session_list params = { .cwd = cwd };
	json_auto_t *result = NULL;
	json_t *first;

	if (call_agentd(&result, to, AGENT_METHOD_SESSION_LIST, &params, err) < 0)
		return (int)err->code;
	first = json_array_get(json_object_get(result, "sessions"), 0);
	if (!first)
		return ERR_SET(err, ERR_NOTFOUND,
			       cwd ? "there is no session of this folder yet"
				   : "there is no session yet");
	*out = str_dup(json_string_value(json_object_get(first, "sessionId")));
	return *out ? 0 : ERR_NOMEM_SET(err);
}
