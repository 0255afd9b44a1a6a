#include "agentd/session/fanout.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"

#include "agentd/session/transcript.h"

#define LINE_MAX_BYTES 67108864 /* scratch: the lines of one record */
#define NO_SKIP SIZE_MAX
#define KEPT_MAX 65536 /* bytes of scratch memory that a quiet session keeps */

/* A message that waits for its place. */
struct after {
	struct list node;
	size_t at; /* comes behind this many records */
	size_t len;
	char line[];
};

void fanout_init(struct fanout *fanout, const char *session_id, const struct fanout_sink *sink)
{
	*fanout = (struct fanout){ .session_id = session_id, .sink = sink, .item_next = 1 };
	list_init(&fanout->clients);
	buf_init(&fanout->line, LINE_MAX_BYTES);
}

void fanout_deinit(struct fanout *fanout)
{
	fanout_live_drop(fanout);
	buf_deinit(&fanout->line);
}

void fanout_set_log(struct fanout *fanout, const struct transcript *log)
{
	fanout->log = log;
	fanout->item_next = transcript_item_last(log) + 1;
}

static size_t log_count(const struct fanout *fanout)
{
	return fanout->log ? transcript_count(fanout->log) : 0;
}

void fanout_join(struct fanout *fanout, struct fanout_client *client, bool replay)
{
	*client =
		(struct fanout_client){ .cursor = replay ? 0 : log_count(fanout), .skip = NO_SKIP };
	list_init(&client->after);
	list_add(&fanout->clients, &client->node);
}

void fanout_leave(struct fanout_client *client)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &client->after) {
		list_remove(node);
		free(LIST_ENTRY(node, struct after, node));
	}
	client->after_count = 0;
	list_remove(&client->node);
}

static struct live *live_new(struct fanout *fanout, enum show_kind kind, int64_t part,
			     struct err *err)
{
	struct live *live;

	if (fanout->live_count == FANOUT_LIVE_MAX) {
		(void)ERR_SET(err, ERR_LIMIT, "more than %d messages in one answer",
			      FANOUT_LIVE_MAX);
		return NULL;
	}
	live = &fanout->live[fanout->live_count++];
	*live = (struct live){ .item = fanout_item(fanout), .kind = kind, .part = part };
	buf_init(&live->text, FANOUT_LIVE_BYTES_MAX);
	return live;
}

int fanout_live(struct fanout *fanout, enum show_kind kind, int64_t part, const char *text,
		size_t len, struct err *err)
{
	struct live *live = NULL;

	if (fanout->live_count > 0)
		live = &fanout->live[fanout->live_count - 1];
	if (!live || live->kind != kind || live->part != part || live->claimed)
		live = live_new(fanout, kind, part, err);
	if (!live)
		return (int)err->code;
	return buf_append(&live->text, text, len, err);
}

int64_t fanout_live_claim(struct fanout *fanout, enum show_kind kind, const char *text, size_t len)
{
	for (size_t i = 0; i < fanout->live_count; i++) {
		struct live *live = &fanout->live[i];

		if (live->kind != kind || live->claimed)
			continue;
		live->claimed = true;
		if (live->text.len <= len &&
		    memcmp(buf_str(&live->text), text, live->text.len) == 0)
			return live->item;
		break; /* other words than were streamed: shown anew */
	}
	return fanout_item(fanout);
}

void fanout_live_drop(struct fanout *fanout)
{
	for (size_t i = 0; i < fanout->live_count; i++)
		buf_deinit(&fanout->live[i].text);
	fanout->live_count = 0;
	fanout->cached_item = 0;
}

int64_t fanout_item(struct fanout *fanout)
{
	return fanout->item_next++;
}

/* The lines of a record for a client who has got `already` bytes of its text. */
static int render(struct fanout *fanout, size_t index, size_t already, struct err *err)
{
	struct buf payload SCOPED(buf_deinit) = BUF_INIT(RECORD_LINE_MAX);
	enum record_kind kind = transcript_kind(fanout->log, index);
	struct show_source source;

	buf_clear(&fanout->line);
	fanout->cached_item = 0;
	if (kind == RECORD_OTHER || kind == RECORD_META || kind == RECORD_TURN ||
	    kind == RECORD_EVENT)
		return 0;
	if (transcript_payload_text(&payload, fanout->log, index, err) < 0)
		return (int)err->code;
	source = (struct show_source){ .kind = kind,
				       .item = transcript_item(fanout->log, index),
				       .payload = payload.data,
				       .payload_len = payload.len,
				       .already = already };
	return show_record(&fanout->line, fanout->session_id, &source, err);
}

static void send_record(struct fanout *fanout, struct fanout_client *client)
{
	size_t index = client->cursor++;
	int64_t item = transcript_item(fanout->log, index);
	size_t already = 0;
	struct err err = { 0 };

	if (index == client->skip || (item > 0 && item < client->live_item))
		return;
	if (item > 0 && item == client->live_item)
		already = client->live_sent;
	if (render(fanout, index, already, &err) < 0)
		fanout->sink->lost(client, &err);
	else if (fanout->line.len > 0)
		fanout->sink->send(client, fanout->line.data, fanout->line.len);
}

/* The first live message that this client does not have whole. */
static struct live *live_wanted(struct fanout *fanout, const struct fanout_client *client)
{
	for (size_t i = 0; i < fanout->live_count; i++) {
		struct live *live = &fanout->live[i];
		size_t sent = live->item == client->live_item ? client->live_sent : 0;

		if (live->item >= client->live_item && live->text.len > sent)
			return live;
	}
	return NULL;
}

static bool send_live(struct fanout *fanout, struct fanout_client *client)
{
	struct live *live = live_wanted(fanout, client);
	struct show_words words;
	struct err err = { 0 };
	size_t from;

	if (!live)
		return false;
	from = live->item == client->live_item ? client->live_sent : 0;
	if (fanout->cached_item != live->item || fanout->cached_from != from ||
	    fanout->cached_to != live->text.len) {
		words = (struct show_words){ .kind = live->kind,
					     .item = live->item,
					     .text = live->text.data + from,
					     .len = live->text.len - from };
		buf_clear(&fanout->line);
		fanout->cached_item = 0;
		if (show_text(&fanout->line, fanout->session_id, &words, &err) < 0) {
			fanout->sink->lost(client, &err);
			return false;
		}
		fanout->cached_item = live->item;
		fanout->cached_from = from;
		fanout->cached_to = live->text.len;
	}
	client->live_item = live->item;
	client->live_sent = live->text.len;
	fanout->sink->send(client, fanout->line.data, fanout->line.len);
	return true;
}

static struct after *after_first(const struct fanout_client *client)
{
	if (list_empty(&client->after))
		return NULL;
	return LIST_ENTRY(client->after.next, struct after, node);
}

static bool send_after(struct fanout *fanout, struct fanout_client *client)
{
	struct after *after = after_first(client);

	if (!after || after->at > client->cursor)
		return false;
	list_remove(&after->node);
	client->after_count--;
	fanout->sink->send(client, after->line, after->len);
	free(after);
	return true;
}

void fanout_pump_client(struct fanout *fanout, struct fanout_client *client)
{
	while (fanout->sink->ready(client)) {
		if (send_after(fanout, client))
			continue;
		if (client->cursor < log_count(fanout))
			send_record(fanout, client);
		else if (!send_live(fanout, client))
			break;
	}
}

void fanout_pump(struct fanout *fanout)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &fanout->clients)
		fanout_pump_client(fanout, LIST_ENTRY(node, struct fanout_client, node));
	if (fanout->line.cap > KEPT_MAX) {
		buf_deinit(&fanout->line);
		fanout->cached_item = 0;
	}
}

int fanout_after(struct fanout *fanout, struct fanout_client *client, const char *line, size_t len,
		 struct err *err)
{
	struct after *after;

	if (client->after_count >= FANOUT_AFTER_MAX) {
		(void)ERR_SET(err, ERR_LIMIT, "more than %d messages wait for a client",
			      FANOUT_AFTER_MAX);
		fanout->sink->lost(client, err);
		return (int)ERR_LIMIT;
	}
	after = malloc(sizeof(*after) + len);
	if (!after)
		return ERR_NOMEM_SET(err);
	after->at = log_count(fanout);
	after->len = len;
	memcpy(after->line, line, len);
	list_add(&client->after, &after->node);
	client->after_count++;
	fanout_pump_client(fanout, client);
	return 0;
}

void fanout_after_all(struct fanout *fanout, const struct fanout_client *except, const char *line,
		      size_t len)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &fanout->clients) {
		struct fanout_client *client = LIST_ENTRY(node, struct fanout_client, node);
		struct err err = { 0 };

		if (client != except && fanout_after(fanout, client, line, len, &err) < 0 &&
		    err.code == ERR_NOMEM)
			fanout->sink->lost(client, &err);
	}
}

static bool is_current(const struct fanout *fanout, const struct fanout_client *client)
{
	return client->cursor == log_count(fanout) && list_empty(&client->after) &&
	       fanout->sink->ready(client);
}

void fanout_transient(struct fanout *fanout, const char *line, size_t len)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &fanout->clients) {
		struct fanout_client *client = LIST_ENTRY(node, struct fanout_client, node);

		fanout_pump_client(fanout, client);
		if (is_current(fanout, client))
			fanout->sink->send(client, line, len);
	}
}

bool fanout_wants_transient(const struct fanout *fanout)
{
	const struct list *node;

	for (node = fanout->clients.next; node != &fanout->clients; node = node->next) {
		const struct fanout_client *client =
			(const struct fanout_client *)(const void *)((const char *)node -
								     offsetof(struct fanout_client,
									      node));

		if (fanout->sink->ready(client))
			return true;
	}
	return false;
}
