#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/model/replay_uv.h"
#include "agentd/model/stream.h"
#include "tests/support/fixture.h"

#define SEEN_MAX (1U << 20)

/* What one answer brought. */
struct probe {
	struct buf body;
	struct replay_call *call;
	size_t pieces;
	size_t abort_after; /* pieces; 0: never */
	int status;
	bool ended;
};

static void on_head(void *ctx, int status, const char *retry_after)
{
	struct probe *probe = ctx;

	(void)retry_after;
	assert_int_equal(probe->pieces, 0);
	probe->status = status;
}

static void on_data(void *ctx, const char *bytes, size_t size)
{
	struct probe *probe = ctx;

	assert_true(size > 0);
	assert_int_equal(buf_append(&probe->body, bytes, size, NULL), 0);
	if (++probe->pieces == probe->abort_after)
		replay_abort(probe->call);
}

static void on_end(void *ctx, const char *why)
{
	struct probe *probe = ctx;

	assert_null(why);
	probe->ended = true;
}

static const struct stream_sink sink = { on_head, on_data, on_end };

/* Plays one answer to its end; its body is borrowed until the next. */
static const char *play(struct replay *replay, uv_loop_t *loop, struct probe *probe,
			const struct replay_request *request)
{
	struct err err = { 0 };

	buf_deinit(&probe->body);
	*probe = (struct probe){ .body = BUF_INIT(SEEN_MAX), .abort_after = probe->abort_after };
	probe->call = replay_send(replay, request, &sink, probe, &err);
	if (!probe->call) {
		assert_int_equal(err.code, ERR_NOTFOUND);
		return NULL;
	}
	assert_int_equal(probe->status, 0); /* nothing from inside */
	assert_int_equal(uv_run(loop, UV_RUN_DEFAULT), 0);
	return buf_str(&probe->body);
}

static const char *tape_file(void)
{
	static const char text[] =
		"{\"body\":\"one\"}\n{\"status\":503,\"body\":\"two\"}\n{\"body\":\"three\"}\n";

	return fixture_file("tape.jsonl", text, sizeof text - 1);
}

static void each_session_plays_from_the_start_and_in_order(void **state)
{
	struct replay_request a = { .session_id = "a", .file = tape_file() };
	struct replay_request b = { .session_id = "b", .file = tape_file() };
	struct probe probe = { 0 };
	struct replay *replay = NULL;
	uv_loop_t loop;

	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(replay_new(&replay, &loop, NULL), 0);
	assert_string_equal(play(replay, &loop, &probe, &a), "one");
	assert_string_equal(play(replay, &loop, &probe, &a), "two");
	assert_int_equal(probe.status, 503);
	assert_string_equal(play(replay, &loop, &probe, &b), "one");
	assert_string_equal(play(replay, &loop, &probe, &a), "three");
	assert_null(play(replay, &loop, &probe, &a));
	assert_null(play(replay, &loop, &probe, &a));
	assert_string_equal(play(replay, &loop, &probe, &b), "two");
	buf_deinit(&probe.body);
	replay_free(replay);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void an_answer_arrives_torn_and_whole(void **state)
{
	const struct replay_request request = { .session_id = "a" }; /* the demo */
	struct probe probe = { 0 };
	struct replay *replay = NULL;
	uv_loop_t loop;
	const char *body;

	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(replay_new(&replay, &loop, NULL), 0);
	body = play(replay, &loop, &probe, &request);
	assert_true(str_starts(body, "event: response.created\n"));
	assert_non_null(strstr(body, "response.completed"));
	assert_true(probe.pieces > probe.body.len / 200);
	assert_true(probe.ended);
	buf_deinit(&probe.body);
	replay_free(replay);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void an_aborted_answer_says_nothing_more(void **state)
{
	const struct replay_request request = { .session_id = "a" };
	struct probe probe = { .abort_after = 3 };
	struct replay *replay = NULL;
	uv_loop_t loop;

	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(replay_new(&replay, &loop, NULL), 0);
	(void)play(replay, &loop, &probe, &request);
	assert_int_equal(probe.pieces, 3);
	assert_false(probe.ended);
	buf_deinit(&probe.body);
	replay_free(replay);
	assert_int_equal(uv_loop_close(&loop), 0);
}

/* The first answer of the demo brings three items. */
static void a_session_of_an_earlier_daemon_goes_on_where_it_stands(void **state)
{
	struct replay_request request = { .session_id = "a", .model_items = 3 };
	struct replay_request first = { .session_id = "b" };
	struct replay_request other = { .session_id = "c" };
	struct probe probe = { 0 };
	struct replay *replay = NULL;
	uv_loop_t loop;
	char *second;

	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(replay_new(&replay, &loop, NULL), 0);
	(void)play(replay, &loop, &probe, &first);
	second = str_dup(play(replay, &loop, &probe, &first));
	assert_string_equal(play(replay, &loop, &probe, &request), second);
	assert_string_not_equal(play(replay, &loop, &probe, &other), second);
	str_free(&second);
	buf_deinit(&probe.body);
	replay_free(replay);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void sessions_beyond_the_limit_push_out_the_oldest(void **state)
{
	struct probe probe = { 0 };
	struct replay *replay = NULL;
	uv_loop_t loop;
	char id[16];
	struct replay_request request = { .session_id = id, .file = tape_file() };

	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(replay_new(&replay, &loop, NULL), 0);
	for (unsigned i = 0; i < REPLAY_SESSIONS_MAX; i++) {
		(void)snprintf(id, sizeof id, "s%u", i);
		assert_string_equal(play(replay, &loop, &probe, &request), "one");
	}
	(void)snprintf(id, sizeof id, "s0");
	assert_string_equal(play(replay, &loop, &probe, &request), "two");
	(void)snprintf(id, sizeof id, "more"); /* pushes out s1: s0 was just used */
	assert_string_equal(play(replay, &loop, &probe, &request), "one");
	(void)snprintf(id, sizeof id, "s1");
	assert_string_equal(play(replay, &loop, &probe, &request), "one");
	(void)snprintf(id, sizeof id, "s0");
	assert_string_equal(play(replay, &loop, &probe, &request), "three");
	buf_deinit(&probe.body);
	replay_free(replay);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void a_cassette_that_cannot_be_read_is_an_error(void **state)
{
	const struct replay_request request = { .session_id = "a",
						.file = fixture_file("bad.jsonl", "{", 1) };
	struct replay *replay = NULL;
	struct probe probe = { 0 };
	struct err err = { 0 };
	uv_loop_t loop;

	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(replay_new(&replay, &loop, NULL), 0);
	assert_null(replay_send(replay, &request, &sink, &probe, &err));
	assert_int_equal(err.code, ERR_INVALID);
	assert_non_null(strstr(err.text, "bad.jsonl"));
	assert_non_null(strstr(err.text, "line 1"));
	replay_free(replay);
	assert_int_equal(uv_loop_close(&loop), 0);
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
		FIXTURE_TEST(each_session_plays_from_the_start_and_in_order),
		FIXTURE_TEST(an_answer_arrives_torn_and_whole),
		FIXTURE_TEST(an_aborted_answer_says_nothing_more),
		FIXTURE_TEST(a_session_of_an_earlier_daemon_goes_on_where_it_stands),
		FIXTURE_TEST(sessions_beyond_the_limit_push_out_the_oldest),
		FIXTURE_TEST(a_cassette_that_cannot_be_read_is_an_error),
	};

	start_libuv();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
