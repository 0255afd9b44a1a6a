#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/log.h"
#include "proto/base/str.h"

#include "agentd/api_part.h"
#include "agentd/session/store.h"
#include "agentd/session/transcript.h"

#define CURSOR_SIZE 64 /* bytes of "<milliseconds>-<id>" */
#define TIME_DIGITS_MAX 20
#define UNWRITTEN_MAX (AGENT_SESSIONS_PAGE - 1) /* of a page: the next one begins behind a file */

/* One page, with the texts that its items point to. */
struct page {
	struct agent_session_item items[AGENT_SESSIONS_PAGE];
	struct agent_list_meta about[AGENT_SESSIONS_PAGE];
	struct agent_meta_list meta[AGENT_SESSIONS_PAGE];
	struct store_header headers[AGENT_SESSIONS_PAGE];
	char ids[AGENT_SESSIONS_PAGE][UUID_SIZE];
	char times[AGENT_SESSIONS_PAGE][RECORD_TIME_SIZE];
	size_t count;
};

/* Where the last page ended: entries behind this one. */
struct cursor {
	int64_t changed_ms;
	char id[UUID_SIZE];
};

static void page_free(struct page **page)
{
	for (size_t i = 0; *page && i < (*page)->count; i++)
		store_header_deinit(&(*page)->headers[i]);
	free(*page);
}

static int64_t count_messages(const struct session *session)
{
	int64_t count = 0;

	for (size_t i = 0; session->log && i < transcript_count(session->log); i++)
		count += transcript_kind(session->log, i) == RECORD_ITEM &&
			 transcript_item(session->log, i) > 0;
	return count;
}

static int64_t count_clients(const struct session *session)
{
	const struct list *node;
	int64_t count = 0;

	for (node = session->fanout.clients.next; node != &session->fanout.clients;
	     node = node->next)
		count++;
	return count;
}

static int header_of(struct store_header *out, const struct session *session, struct err *err)
{
	out->cwd = str_dup(session->cwd);
	out->title = session->title ? str_dup(session->title) : NULL;
	out->messages = count_messages(session);
	return out->cwd && (out->title || !session->title) ? 0 : ERR_NOMEM_SET(err);
}

/* Adds an entry whose header has been put into place. */
static int add(struct page *page, const char *id, int64_t changed_ms, const struct session *live,
	       struct err *err)
{
	size_t at = page->count;
	const struct store_header *header = &page->headers[at];

	page->count++; /* the header is the page's now, whatever happens */
	if (str_copy(page->ids[at], UUID_SIZE, id, err) < 0 ||
	    record_time(page->times[at], changed_ms, err) < 0)
		return (int)err->code;
	page->about[at] = (struct agent_list_meta){
		.state = live ? session_state(live) : AGENT_SESSION_STATE_IDLE,
		.clients = live ? count_clients(live) : 0,
		.pending_permissions = live ? (int64_t)approvals_waiting(&live->approvals) : 0,
		.messages = header->messages,
	};
	page->meta[at] = (struct agent_meta_list){ .agentd = &page->about[at] };
	page->items[at] = (struct agent_session_item){ .session_id = page->ids[at],
						       .cwd = header->cwd,
						       .title = header->title,
						       .updated_at = page->times[at],
						       .meta = &page->meta[at] };
	return 0;
}

/* Live sessions without a file: nothing was said yet, or nothing is to be kept. Only on the first
 * page. */
static int add_unwritten(struct page *page, const struct sessions *sessions, const char *cwd,
			 struct err *err)
{
	const struct list *node;

	for (node = sessions->live.prev; node != &sessions->live && page->count < UNWRITTEN_MAX;
	     node = node->prev) {
		const struct session *session = LIST_ENTRY((uintptr_t)node, struct session, node);

		if ((session->log && !session->ephemeral) || (cwd && !str_eq(cwd, session->cwd)))
			continue;
		if (header_of(&page->headers[page->count], session, err) < 0 ||
		    add(page, session->id, session->used_ms, session, err) < 0)
			return (int)err->code;
	}
	return 0;
}

static int add_entry(struct page *page, const struct sessions *sessions,
		     const struct store_entry *entry, const char *cwd, struct err *err)
{
	const struct session *live = sessions_find(sessions, entry->id);
	struct store_header header SCOPED(store_header_deinit) = { 0 };
	struct err unreadable = { 0 };

	if (live) {
		if (header_of(&header, live, err) < 0)
			return (int)err->code;
	} else if (store_read_header(&header, entry->path, &unreadable) < 0) {
		log_warn("transcript", "why='%s'", unreadable.text);
		return 0;
	}
	if (cwd && !str_eq(cwd, header.cwd))
		return 0;
	page->headers[page->count] = header;
	header = (struct store_header){ 0 };
	return add(page, entry->id, entry->changed_ms, live, err);
}

static int parse_cursor(struct cursor *out, const char *text, struct err *err)
{
	const char *dash = strchr(text, '-');
	char digits[TIME_DIGITS_MAX + 1] = "";
	size_t len = dash ? (size_t)(dash - text) : 0;

	if (len == 0 || len > TIME_DIGITS_MAX || !uuid_is_valid(dash + 1))
		return ERR_SET(err, ERR_INVALID, "params.cursor: not one of this server's");
	memcpy(digits, text, len);
	if (str_to_int(&out->changed_ms, digits, 0, INT64_MAX, err) < 0)
		return ERR_SET(err, ERR_INVALID, "params.cursor: not one of this server's");
	return str_copy(out->id, sizeof(out->id), dash + 1, err);
}

static bool is_behind(const struct store_entry *entry, const struct cursor *cursor)
{
	if (entry->changed_ms != cursor->changed_ms)
		return entry->changed_ms < cursor->changed_ms;
	return strcmp(entry->id, cursor->id) < 0;
}

static int fill(struct page *page, const struct sessions *sessions,
		const struct agent_session_list *params, char next[CURSOR_SIZE], struct err *err)
{
	struct store_list list SCOPED(store_list_deinit) = { 0 };
	struct cursor cursor = { 0 };

	if (params->cursor && parse_cursor(&cursor, params->cursor, err) < 0)
		return (int)err->code;
	if (!params->cursor && add_unwritten(page, sessions, params->cwd, err) < 0)
		return (int)err->code;
	if (store_scan(&list, sessions->state_dir, err) < 0)
		return (int)err->code;
	for (size_t i = 0; i < list.count; i++) {
		const struct store_entry *entry = &list.entries[i];

		if (params->cursor && !is_behind(entry, &cursor))
			continue;
		if (page->count == AGENT_SESSIONS_PAGE) {
			entry = &list.entries[i - 1];
			(void)snprintf(next, CURSOR_SIZE, "%" PRId64 "-%s", entry->changed_ms,
				       entry->id);
			return 0;
		}
		if (add_entry(page, sessions, entry, params->cwd, err) < 0)
			return (int)err->code;
	}
	return 0;
}

int api_session_list(struct api_request *request, struct err *err)
{
	struct page *page SCOPED(page_free) = calloc(1, sizeof(*page));
	struct agent_session_list_result result = { 0 };
	char next[CURSOR_SIZE] = "";

	if (!page)
		return ERR_NOMEM_SET(err);
	if (fill(page, &request->api->sessions, request->params, next, err) < 0)
		return (int)err->code;
	result.sessions = page->items;
	result.sessions_count = page->count;
	result.next_cursor = next[0] ? next : NULL;
	request->result = codec_encode(&agent_session_list_result_type, &result, err);
	return request->result ? 0 : (int)err->code;
}
