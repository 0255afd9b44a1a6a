#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/log.h"
#include "proto/base/str.h"

#include "agentd/model/http_uv.h"
#include "agentd/model/model.h"
#include "agentd/model/settings.h"
#include "agentd/model/sse.h"
#include "tests/support/fake_model.h"
#include "tests/support/fixture.h"

#define SEEN_MAX (64U << 20)
#define WAITS_MAX 64U
#define IDLE_MS 300007

int __real_uv_timer_start(uv_timer_t *timer, uv_timer_cb fn, uint64_t timeout, uint64_t repeat);
int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb fn, uint64_t timeout, uint64_t repeat);

static uint64_t waits[WAITS_MAX];
static size_t wait_count;
static bool drain_fast;        /* an answer's end is not waited for */
static bool real_time;         /* nothing is hurried */
static uv_timer_cb call_timer; /* the calls' own: the one that is first set to IDLE_MS */

int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb fn, uint64_t timeout, uint64_t repeat)
{
	if (drain_fast && timeout == HTTP_DRAIN_MS)
		timeout = 1;
	if (timeout == IDLE_MS)
		call_timer = fn;
	if (!real_time && fn == call_timer && timeout > 150 &&
	    timeout < IDLE_MS) { /* a wait before a retry */
		assert_true(wait_count < WAITS_MAX);
		waits[wait_count++] = timeout;
		timeout = 1;
	}
	return __real_uv_timer_start(timer, fn, timeout, repeat);
}

/* One program under test: a server, a loop, the calls. */
struct bench {
	uv_loop_t loop;
	struct fake_model fake;
	struct model *model;
	struct model_settings settings;
	struct model_call *call;
	struct buf seen;  /* the events as text */
	struct buf tape;  /* recorded lines */
	unsigned left;    /* calls to make one after the other */
	const char *stop; /* cancel on an event that starts so */
	size_t text_bytes;
	bool pause;      /* between calls, until the loop has nothing to do */
	bool count_only; /* deltas are counted, not noted */
};

static void on_event(void *ctx, const struct model_event *event);

static void on_record(void *ctx, const char *line)
{
	struct bench *bench = ctx;

	assert_int_equal(buf_printf(&bench->tape, NULL, "%s\n", line), 0);
}

static void start(struct bench *bench)
{
	static const char *const items[] = { "{\"type\":\"message\",\"role\":\"user\",\"content\":"
					     "[{\"type\":\"input_text\",\"text\":\"hello\"}]}" };
	const struct model_request request = {
		.session_id = "s1",
		.items = items,
		.item_count = 1,
		.instructions = "Be good.",
		.settings = &bench->settings,
		.record = on_record,
		.record_ctx = bench,
	};
	struct err err = { 0 };

	bench->left--;
	bench->call = model_start(bench->model, &request, on_event, bench, &err);
	if (!bench->call)
		fail_msg("%s", err.text);
}

static void note(struct bench *bench, const char *text)
{
	assert_int_equal(buf_puts(&bench->seen, text, NULL), 0);
}

static void note_event(struct bench *bench, const struct model_event *event)
{
	const char *type = json_string_value(json_object_get(event->item, "type"));
	int len = (int)event->text_len;
	int rc = -1;

	if (event->kind == MODEL_TEXT_DELTA)
		rc = buf_printf(&bench->seen, NULL, "text %.*s\n", len, event->text);
	else if (event->kind == MODEL_REASONING_DELTA)
		rc = buf_printf(&bench->seen, NULL, "reasoning %.*s\n", len, event->text);
	else if (event->kind == MODEL_ITEM_DONE)
		rc = buf_printf(&bench->seen, NULL, "item %s\n", type);
	else if (event->kind == MODEL_RETRYING)
		rc = buf_printf(&bench->seen, NULL, "retry %zu %s\n", event->items_done,
				event->message);
	else if (event->kind == MODEL_COMPLETED)
		rc = buf_printf(&bench->seen, NULL, "completed %d\n",
				(int)event->usage.total_tokens);
	else if (event->kind == MODEL_FAILED)
		rc = buf_printf(&bench->seen, NULL, "failed %s %s\n",
				model_error_name(event->error), event->message);
	assert_int_equal(rc, 0);
}

static void on_event(void *ctx, const struct model_event *event)
{
	struct bench *bench = ctx;
	size_t before = bench->seen.len;

	bench->text_bytes += event->text_len;
	if (!bench->count_only || !event->text)
		note_event(bench, event);
	if (bench->stop && str_starts(buf_str(&bench->seen) + before, bench->stop)) {
		model_cancel(bench->call);
		note(bench, "cancelled\n");
		model_close(bench->model);
		return;
	}
	if (event->kind != MODEL_COMPLETED && event->kind != MODEL_FAILED)
		return;
	if (bench->left > 0 && bench->pause)
		return; /* somebody else starts the next */
	if (bench->left > 0)
		start(bench); /* from inside the event, as a session does */
	else
		model_close(bench->model);
}

static void bench_open(struct bench *bench, const char *script)
{
	struct err err = { 0 };
	char url[64];

	log_open("test", LOG_ERROR);
	*bench =
		(struct bench){ .seen = BUF_INIT(SEEN_MAX), .tape = BUF_INIT(SEEN_MAX), .left = 1 };
	wait_count = 0;
	fake_model_start(&bench->fake, script);
	(void)snprintf(url, sizeof url, "http://127.0.0.1:%d/v1", bench->fake.port);
	bench->settings = (struct model_settings){
		.provider = str_dup("fake"),
		.base_url = str_dup(url),
		.model = str_dup("m"),
		.api_key = str_dup("k"),
		.env_key = str_dup("FAKE_KEY"),
		.request_max_retries = 4,
		.stream_max_retries = 5,
		.stream_idle_ms = IDLE_MS,
	};
	assert_int_equal(uv_loop_init(&bench->loop), 0);
	if (model_new(&bench->model, &bench->loop, &err) < 0)
		fail_msg("%s", err.text);
}

/* With a script that is `before`, so many bytes, `after`. */
static void bench_open_long(struct bench *bench, const char *before, size_t size, const char *after)
{
	struct buf script SCOPED(buf_deinit) = BUF_INIT(SEEN_MAX);

	assert_int_equal(buf_puts(&script, before, NULL), 0);
	while (script.len < size)
		assert_int_equal(buf_puts(&script, "0123456789abcdef0123456789abcdef", NULL), 0);
	assert_int_equal(buf_puts(&script, after, NULL), 0);
	bench_open(bench, buf_str(&script));
}

static void bench_run(struct bench *bench)
{
	start(bench);
	assert_int_equal(uv_run(&bench->loop, UV_RUN_DEFAULT), 0);
}

static void bench_close(struct bench *bench)
{
	assert_int_equal(uv_loop_close(&bench->loop), 0); /* nothing is left open */
	fake_model_stop(&bench->fake);
	model_settings_deinit(&bench->settings);
	buf_deinit(&bench->seen);
	buf_deinit(&bench->tape);
}

static size_t requests_of(const struct bench *bench)
{
	json_t *log = fake_model_log(&bench->fake);
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(log); i++)
		count += json_object_get(json_array_get(log, i), "path") != NULL;
	json_decref(log);
	return count;
}

static json_int_t connection_of(const struct bench *bench, size_t request)
{
	json_t *log = fake_model_log(&bench->fake);
	json_int_t client = 0;
	size_t seen = 0;

	for (size_t i = 0; i < json_array_size(log); i++) {
		json_t *line = json_array_get(log, i);

		if (json_object_get(line, "path") && seen++ == request)
			client = json_integer_value(json_object_get(line, "client"));
	}
	json_decref(log);
	return client;
}

static const struct row {
	const char *name;
	const char *script;
	const char *seen;
	size_t requests;
	uint64_t waits[4]; /* before jitter; 0 ends */
} rows[] = {
	{ "an answer",
	  "[{\"message\":\"Hi\"}]",
	  "text Hi\nitem message\ncompleted 110\n",
	  1,
	  { 0 } },
	{ "reasoning and calls",
	  "[{\"reasoning\":\"Hm\",\"calls\":[{\"name\":\"a\",\"arguments\":{\"x\":1}},"
	  "{\"name\":\"b\",\"input\":\"y\"}]}]",
	  "reasoning Hm\nitem reasoning\nitem function_call\nitem custom_tool_call\ncompleted "
	  "110\n",
	  1,
	  { 0 } },
	{ "torn at every byte",
	  "[{\"message\":\"H\xc3\xa9\",\"tear\":1}]",
	  "text H\xc3\xa9\nitem message\ncompleted 110\n",
	  1,
	  { 0 } },
	{ "events that nobody knows",
	  "[{\"chunks\":[\": comment\\n\\n\",{\"event\":\"response.new\",\"data\":{\"x\":1}},"
	  "\"data: [DONE]\\n\\n\",\"event: response.output_text.delta\\ndata: {broken\\n\\n\","
	  "{\"event\":\"response.completed\",\"data\":{\"response\":{}}}]}]",
	  "completed 0\n",
	  1,
	  { 0 } },
	{ "cut twice, then whole",
	  "[{\"message\":\"One\",\"cut\":600},{\"message\":\"Two\",\"cut\":80},{\"message\":"
	  "\"Three\"}]",
	  "text One\n"
	  "retry 0 Reconnecting... 1/5 (stream closed before response.completed: "
	  "transfer closed with outstanding read data remaining)\n"
	  "retry 0 Reconnecting... 2/5 (stream closed before response.completed: "
	  "transfer closed with outstanding read data remaining)\n"
	  "text Three\nitem message\ncompleted 110\n",
	  3,
	  { 200, 400 } },
	{ "an end without completed",
	  "[{\"message\":\"One\",\"unfinished\":true},{\"message\":\"Two\"}]",
	  "text One\nitem message\n"
	  "retry 1 Reconnecting... 1/5 (stream closed before response.completed)\n"
	  "text Two\nitem message\ncompleted 110\n",
	  2,
	  { 200 } },
	{ "429 with a time",
	  "[{\"status\":429,\"headers\":{\"retry-after\":\"0\"},\"body\":{\"error\":{\"message\":"
	  "\"slow\"}}},"
	  "{\"message\":\"Hi\"}]",
	  "retry 0 Reconnecting... 1/5 (HTTP 429: slow)\ntext Hi\nitem message\ncompleted 110\n",
	  2,
	  { 0 } },
	{ "429 with a time in the sentence",
	  "[{\"fail\":{\"code\":\"rate_limit_exceeded\",\"message\":\"try again in 3s\"}},"
	  "{\"message\":\"Hi\"}]",
	  "retry 0 Reconnecting... 1/5 (rate_limit_exceeded: try again in 3s)\n"
	  "text Hi\nitem message\ncompleted 110\n",
	  2,
	  { 3000 } },
	{ "500 twice",
	  "[{\"status\":500,\"times\":2},{\"message\":\"Hi\"}]",
	  "retry 0 Repeating the request... 1/4 (HTTP 500)\n"
	  "retry 0 Repeating the request... 2/4 (HTTP 500)\n"
	  "text Hi\nitem message\ncompleted 110\n",
	  3,
	  { 200, 400 } },
	{ "closed without an answer",
	  "[{\"close\":true},{\"message\":\"Hi\"}]",
	  "retry 0 Repeating the request... 1/4 (Empty reply from server)\n"
	  "text Hi\nitem message\ncompleted 110\n",
	  2,
	  { 200 } },
	{ "400",
	  "[{\"status\":400,\"body\":{\"error\":{\"message\":\"no such model\"}}}]",
	  "failed request HTTP 400: no such model\n",
	  1,
	  { 0 } },
	{ "a redirect is not followed",
	  "[{\"status\":307,\"headers\":{\"location\":\"/v2/responses\"}},{\"message\":\"Hi\"}]",
	  "failed request HTTP 307\n",
	  1,
	  { 0 } },
	{ "context",
	  "[{\"fail\":{\"code\":\"context_length_exceeded\",\"message\":\"m\"}}]",
	  "failed context context_length_exceeded: m\n",
	  1,
	  { 0 } },
	{ "incomplete",
	  "[{\"message\":\"Hi\",\"incomplete\":\"max_output_tokens\"}]",
	  "text Hi\nitem message\nfailed incomplete the answer is incomplete: max_output_tokens\n",
	  1,
	  { 0 } },
};

static bool is_near(uint64_t wait, uint64_t base)
{
	return base == 3000 ? wait == base : wait >= base - base / 10 && wait <= base + base / 10;
}

static void run_row(const struct row *row)
{
	struct bench bench;
	size_t expected = 0;

	bench_open(&bench, row->script);
	bench_run(&bench);
	if (strcmp(buf_str(&bench.seen), row->seen) != 0)
		fail_msg("%s: '%s'", row->name, buf_str(&bench.seen));
	if (requests_of(&bench) != row->requests)
		fail_msg("%s: %zu requests", row->name, requests_of(&bench));
	while (expected < ARRAY_LEN(row->waits) && row->waits[expected] != 0) {
		if (expected >= wait_count || !is_near(waits[expected], row->waits[expected]))
			fail_msg("%s: wait %zu of %zu", row->name, expected, wait_count);
		expected++;
	}
	if (wait_count != expected)
		fail_msg("%s: %zu waits", row->name, wait_count);
	bench_close(&bench);
}

static void each_answer_becomes_the_events_of_its_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		run_row(&rows[i]);
}

static void what_fails_for_ever_ends_after_all_tries(void **state)
{
	static const struct {
		const char *script;
		size_t requests;
		const char *end;
	} ends[] = {
		{ "[{\"status\":500,\"times\":0}]", 30,
		  "failed server gave up after 5 reconnects: HTTP 500\n" },
		{ "[{\"status\":401,\"times\":0,\"body\":\"bad\"}]", 6,
		  "failed auth gave up after 5 reconnects: HTTP 401: bad (the key is the value of "
		  "FAKE_KEY, see model_providers.fake.env_key)\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct bench bench;

		bench_open(&bench, ends[i].script);
		bench_run(&bench);
		assert_int_equal(requests_of(&bench), ends[i].requests);
		assert_true(str_ends(buf_str(&bench.seen), ends[i].end));
		bench_close(&bench);
	}
}

static void a_server_that_is_not_there_is_said_so(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench, "[]");
	fake_model_stop(&bench.fake);
	bench.settings.request_max_retries = 0;
	bench.settings.stream_max_retries = 0;
	bench_run(&bench);
	assert_true(str_starts(buf_str(&bench.seen),
			       "failed network gave up after 0 reconnects: Failed to connect"));
	bench_close(&bench);
}

static void silence_breaks_a_stream(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(
		&bench,
		"[{\"message\":\"One\",\"unfinished\":true,\"hang\":true},{\"message\":\"Two\"}]");
	bench.settings.stream_idle_ms = 40;
	bench_run(&bench);
	assert_string_equal(
		buf_str(&bench.seen),
		"text One\nitem message\nretry 1 Reconnecting... 1/5 (nothing came for 40 ms)\n"
		"text Two\nitem message\ncompleted 110\n");
	bench_close(&bench);
}

static void bytes_keep_a_slow_stream_alive(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench,
		   "[{\"message\":\"x\",\"deltas\":60,\"pace_ms\":10}]"); /* 600 ms in all */
	bench.settings.stream_idle_ms = 400;
	bench.count_only = true;
	real_time = true;
	bench_run(&bench);
	real_time = false;
	assert_string_equal(buf_str(&bench.seen), "item message\ncompleted 110\n");
	assert_int_equal(bench.text_bytes, 60);
	bench_close(&bench);
}

static void a_cancelled_call_says_nothing_more(void **state)
{
	static const struct {
		const char *script;
		const char *stop;
		const char *seen;
	} cancels[] = {
		{ "[{\"message\":\"One\",\"hang\":true}]", "text", "text One\ncancelled\n" },
		{ "[{\"message\":\"One\"}]", "item", "text One\nitem message\ncancelled\n" },
		{ "[{\"status\":500},{\"message\":\"One\"}]", "retry",
		  "retry 0 Repeating the request... 1/4 (HTTP 500)\ncancelled\n" },
		{ "[{\"unfinished\":true},{\"message\":\"One\"}]", "retry",
		  "retry 0 Reconnecting... 1/5 (stream closed before "
		  "response.completed)\ncancelled\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cancels); i++) {
		struct bench bench;

		bench_open(&bench, cancels[i].script);
		bench.stop = cancels[i].stop;
		bench_run(&bench);
		assert_string_equal(buf_str(&bench.seen), cancels[i].seen);
		bench_close(&bench);
	}
}

static void on_later(uv_timer_t *timer)
{
	struct bench *bench = timer->data;

	model_cancel(bench->call);
	model_close(bench->model);
	uv_close((uv_handle_t *)timer, NULL);
}

static void a_call_can_be_cancelled_at_once_and_before_an_answer(void **state)
{
	(void)state;
	for (unsigned ms = 0; ms < 4; ms++) {
		struct bench bench;
		uv_timer_t timer;

		bench_open(&bench, "[{\"chunks\":[],\"hang\":true}]");
		(void)uv_timer_init(&bench.loop, &timer);
		timer.data = &bench;
		(void)uv_timer_start(&timer, on_later, ms, 0);
		bench_run(&bench);
		assert_string_equal(buf_str(&bench.seen), "");
		bench_close(&bench);
	}
}

static void closing_the_model_ends_every_call_without_a_word(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench, "[{\"message\":\"One\",\"unfinished\":true,\"hang\":true,\"times\":0}]");
	bench.left = 3;
	start(&bench);
	start(&bench);
	start(&bench);
	while (bench.seen.len == 0)
		(void)uv_run(&bench.loop, UV_RUN_ONCE);
	model_close(bench.model);
	assert_int_equal(uv_run(&bench.loop, UV_RUN_DEFAULT), 0);
	assert_null(strstr(buf_str(&bench.seen), "failed"));
	bench_close(&bench);
}

/* Three requests, each sent from inside the last event of the one before. */
static void a_connection_is_kept_from_call_to_call(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench, "[{\"message\":\"Hi\",\"times\":0}]");
	bench.left = 3;
	bench_run(&bench);
	assert_string_equal(buf_str(&bench.seen), "text Hi\nitem message\ncompleted 110\n"
						  "text Hi\nitem message\ncompleted 110\n"
						  "text Hi\nitem message\ncompleted 110\n");
	assert_int_equal(requests_of(&bench), 3);
	assert_int_equal(connection_of(&bench, 2), 1);
	bench_close(&bench);
}

/* The server says completed, and neither ends the answer nor closes. */
static void an_answer_without_an_end_costs_only_its_connection(void **state)
{
	struct bench bench;

	(void)state;
	drain_fast = true;
	bench_open(&bench, "[{\"message\":\"One\",\"hang\":true},{\"message\":\"Two\"}]");
	bench.left = 2;
	bench.pause = true;
	bench_run(&bench); /* until the first has been given up */
	drain_fast = false;
	bench_run(&bench);
	assert_string_equal(buf_str(&bench.seen), "text One\nitem message\ncompleted 110\n"
						  "text Two\nitem message\ncompleted 110\n");
	assert_int_equal(connection_of(&bench, 1), 2);
	bench_close(&bench);
}

/* What comes behind completed is read up to a limit, so that the connection can be used again. */
static void chatter_behind_the_answer_is_read_up_to_a_limit(void **state)
{
	static const char first[] =
		"[{\"chunks\":[{\"event\":\"response.completed\",\"data\":{}},\"";

	(void)state;
	for (int over = 0; over < 2; over++) {
		size_t size = over ? HTTP_PENDING_MAX + 2 * HTTP_DRAIN_BYTES_MAX : 30000;
		struct bench bench;

		bench_open_long(&bench, first, size, "\"]},{\"message\":\"Two\"}]");
		bench.left = 2;
		bench.pause = true;
		bench_run(&bench); /* until the first answer has ended */
		bench_run(&bench);
		assert_string_equal(buf_str(&bench.seen),
				    "completed 0\ntext Two\nitem message\ncompleted 110\n");
		assert_int_equal(connection_of(&bench, 1), over ? 2 : 1);
		bench_close(&bench);
	}
}

static void a_stream_larger_than_what_is_held_arrives_whole(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench, "[{\"message\":\"0123456789\",\"deltas\":50000}]"); /* some 9 MB */
	bench.count_only = true;
	bench_run(&bench);
	assert_string_equal(buf_str(&bench.seen), "item message\ncompleted 110\n");
	assert_int_equal(bench.text_bytes, 500000);
	bench_close(&bench);
}

static void an_event_without_an_end_is_refused_at_the_limit(void **state)
{
	struct bench bench;

	(void)state;
	bench_open_long(&bench, "[{\"chunks\":[\"data: ", SSE_EVENT_MAX + 100, "\"]}]");
	bench_run(&bench);
	assert_string_equal(
		buf_str(&bench.seen),
		"failed internal the server sent an event of more than 16777216 bytes\n");
	bench_close(&bench);
}

static void an_error_without_an_end_is_cut(void **state)
{
	struct bench bench;

	(void)state;
	bench_open_long(&bench, "[{\"status\":400,\"body\":\"", 200000, "\"}]");
	bench_run(&bench);
	assert_true(str_starts(buf_str(&bench.seen), "failed request HTTP 400: 0123456789"));
	assert_int_equal(requests_of(&bench), 1);
	bench_close(&bench);
}

static void the_request_reaches_the_server_as_it_was_built(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench,
		   "[{\"message\":\"Hi\",\"expect\":{\"path\":\"/v1/responses?v=1\","
		   "\"headers\":{\"authorization\":\"Bearer "
		   "k\",\"x-more\":\"yes\",\"session-id\":\"s1\","
		   "\"expect\":null},\"body\":{\"/model\":\"m\",\"/instructions\":\"Be good.\","
		   "\"/input/0/content/0/text\":\"hello\",\"/stream\":true,\"/store\":false}}}]");
	assert_int_equal(model_pairs_set(&bench.settings.headers, "X-More", "yes", NULL), 0);
	assert_int_equal(model_pairs_set(&bench.settings.query, "v", "1", NULL), 0);
	bench_run(&bench);
	assert_string_equal(buf_str(&bench.seen), "text Hi\nitem message\ncompleted 110\n");
	bench_close(&bench);
}

/* What was recorded from a server plays the same events from a cassette. */
static void a_recording_plays_as_it_happened(void **state)
{
	struct bench bench;
	char *first;

	(void)state;
	bench_open(&bench,
		   "[{\"status\":429,\"headers\":{\"retry-after\":\"0\"},\"body\":\"slow\"},"
		   "{\"message\":\"One\",\"unfinished\":true},"
		   "{\"reasoning\":\"Hm\",\"calls\":[{\"name\":\"a\",\"arguments\":{}}]},"
		   "{\"message\":\"Two\"}]");
	bench.left = 2;
	bench_run(&bench);
	first = buf_take(&bench.seen);
	assert_int_equal(uv_loop_close(&bench.loop), 0);

	bench.settings.replay = true;
	bench.settings.cassette =
		str_dup(fixture_file("tape.jsonl", bench.tape.data, bench.tape.len));
	assert_int_equal(uv_loop_init(&bench.loop), 0);
	assert_int_equal(model_new(&bench.model, &bench.loop, NULL), 0);
	bench.left = 2;
	bench_run(&bench);
	assert_string_equal(buf_str(&bench.seen), first);
	assert_int_equal(requests_of(&bench), 4);
	free(first);
	bench_close(&bench);
}

static void a_request_that_cannot_be_sent_is_refused_at_once(void **state)
{
	struct bench bench;
	const struct model_request request = { .session_id = "s1", .settings = &bench.settings };
	struct err err = { 0 };

	(void)state;
	bench_open(&bench, "[]");
	free(bench.settings.api_key);
	bench.settings.api_key = str_dup("two\nlines");
	assert_null(model_start(bench.model, &request, on_event, &bench, &err));
	assert_int_equal(err.code, ERR_INVALID);
	model_close(bench.model);
	assert_null(model_start(bench.model, &request, on_event, &bench, &err));
	assert_int_equal(err.code, ERR_STATE);
	assert_int_equal(uv_run(&bench.loop, UV_RUN_DEFAULT), 0);
	bench_close(&bench);
}

/* libuv keeps two pipes for the process; they are no leak of a test. */
static void start_libuv(void)
{
	uv_loop_t loop;

	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(each_answer_becomes_the_events_of_its_row),
		FIXTURE_TEST(what_fails_for_ever_ends_after_all_tries),
		FIXTURE_TEST(a_server_that_is_not_there_is_said_so),
		FIXTURE_TEST(silence_breaks_a_stream),
		FIXTURE_TEST(bytes_keep_a_slow_stream_alive),
		FIXTURE_TEST(a_cancelled_call_says_nothing_more),
		FIXTURE_TEST(a_call_can_be_cancelled_at_once_and_before_an_answer),
		FIXTURE_TEST(closing_the_model_ends_every_call_without_a_word),
		FIXTURE_TEST(a_connection_is_kept_from_call_to_call),
		FIXTURE_TEST(an_answer_without_an_end_costs_only_its_connection),
		FIXTURE_TEST(chatter_behind_the_answer_is_read_up_to_a_limit),
		FIXTURE_TEST(a_stream_larger_than_what_is_held_arrives_whole),
		FIXTURE_TEST(an_event_without_an_end_is_refused_at_the_limit),
		FIXTURE_TEST(an_error_without_an_end_is_cut),
		FIXTURE_TEST(the_request_reaches_the_server_as_it_was_built),
		FIXTURE_TEST(a_recording_plays_as_it_happened),
		FIXTURE_TEST(a_request_that_cannot_be_sent_is_refused_at_once),
	};

	start_libuv();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
