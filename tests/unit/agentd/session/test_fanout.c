#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/session/fanout.h"
#include "agentd/session/transcript.h"
#include "tests/support/fixture.h"

#define GOT_MAX 1048576
#define NOW_MS 1769903999999

/* A client that takes so many messages and then has no room. */
struct taker {
	struct fanout_client fanout;
	int room;
	bool lost;
	struct buf got;     /* lines */
	struct buf text[8]; /* of message m<n>, put together */
};

static void put_together(struct taker *taker, const char *line, size_t len)
{
	json_t *message = json_loadb(line, len, 0, NULL);
	const json_t *update = json_object_get(json_object_get(message, "params"), "update");
	const char *id = json_string_value(json_object_get(update, "messageId"));
	const char *text =
		json_string_value(json_object_get(json_object_get(update, "content"), "text"));
	struct err err = { 0 };

	assert_non_null(message);
	if (id && text && id[1] - '0' < 8)
		assert_int_equal(buf_puts(&taker->text[id[1] - '0'], text, &err), 0);
	json_decref(message);
}

static bool ready(const struct fanout_client *client)
{
	return CONTAINER_OF((uintptr_t)client, struct taker, fanout)->room > 0;
}

static void take(struct fanout_client *client, const char *line, size_t len)
{
	struct taker *taker = CONTAINER_OF(client, struct taker, fanout);
	const char *newline = memchr(line, '\n', len);
	struct err err = { 0 };

	assert_true(taker->room > 0);
	taker->room--;
	assert_int_equal(buf_append(&taker->got, line, len, &err), 0);
	while (newline) {
		put_together(taker, line, (size_t)(newline - line));
		len -= (size_t)(newline + 1 - line);
		line = newline + 1;
		newline = memchr(line, '\n', len);
	}
}

static void lose(struct fanout_client *client, const struct err *why)
{
	assert_int_not_equal(why->code, ERR_NONE);
	CONTAINER_OF(client, struct taker, fanout)->lost = true;
}

static const struct fanout_sink sink = { .ready = ready, .send = take, .lost = lose };

struct rig {
	struct fanout fanout;
	struct transcript *log;
};

static void add(struct rig *rig, int64_t item, const char *role, const char *text)
{
	json_t *payload = json_pack(
		"{s:s, s:s, s:[{s:s, s:s}]}", "type", "message", "role", role, "content", "type",
		str_eq(role, "user") ? "input_text" : "output_text", "text", text);
	struct err err = { 0 };

	assert_int_equal(transcript_append(rig->log, RECORD_ITEM, item, payload, NOW_MS, &err), 0);
	json_decref(payload);
}

static void rig_init(struct rig *rig)
{
	struct err err = { 0 };

	fanout_init(&rig->fanout, "s1", &sink);
	assert_int_equal(transcript_new_ephemeral(&rig->log, &err), 0);
	fanout_set_log(&rig->fanout, rig->log);
}

static void rig_deinit(struct rig *rig)
{
	fanout_deinit(&rig->fanout);
	transcript_free(rig->log);
}

static void join(struct rig *rig, struct taker *taker, int room, bool replay)
{
	*taker = (struct taker){ .room = room };
	buf_init(&taker->got, GOT_MAX);
	for (size_t i = 0; i < ARRAY_LEN(taker->text); i++)
		buf_init(&taker->text[i], GOT_MAX);
	fanout_join(&rig->fanout, &taker->fanout, replay);
}

static void leave(struct taker *taker)
{
	fanout_leave(&taker->fanout);
	buf_deinit(&taker->got);
	for (size_t i = 0; i < ARRAY_LEN(taker->text); i++)
		buf_deinit(&taker->text[i]);
}

static void live(struct rig *rig, enum show_kind kind, const char *text)
{
	struct err err = { 0 };

	assert_int_equal(fanout_live(&rig->fanout, kind, 0, text, strlen(text), &err), 0);
}

static size_t count_lines(const struct taker *taker)
{
	size_t count = 0;

	for (size_t i = 0; i < taker->got.len; i++)
		count += taker->got.data[i] == '\n';
	return count;
}

static void a_replay_yields_every_record_and_joining_without_yields_none(void **state)
{
	struct rig rig;
	struct taker all;
	struct taker none;

	(void)state;
	rig_init(&rig);
	add(&rig, 1, "user", "one");
	add(&rig, 0, "user", "for the model only");
	add(&rig, 2, "assistant", "two");
	join(&rig, &all, 100, true);
	join(&rig, &none, 100, false);
	fanout_pump(&rig.fanout);
	assert_string_equal(buf_str(&all.text[1]), "one");
	assert_string_equal(buf_str(&all.text[2]), "two");
	assert_int_equal(count_lines(&all), 2);
	assert_int_equal(none.got.len, 0);
	leave(&all);
	leave(&none);
	rig_deinit(&rig);
}

/* Every way of pacing a client over a whole answer ends with the same text, each byte once. */
static void a_slow_client_gets_every_byte_of_a_message_once(void **state)
{
	(void)state;
	for (int pace = 0; pace < 64; pace++) {
		struct rig rig;
		struct taker slow;
		int64_t first;
		int64_t second;

		rig_init(&rig);
		join(&rig, &slow, 0, false);
		for (int i = 0; i < 3; i++) {
			live(&rig, SHOW_THOUGHT, "hm ");
			slow.room = (pace >> i) & 1;
			fanout_pump(&rig.fanout);
		}
		for (int i = 0; i < 3; i++) {
			live(&rig, SHOW_MESSAGE, "so ");
			slow.room = (pace >> (3 + i)) & 1;
			fanout_pump(&rig.fanout);
		}
		first = fanout_live_claim(&rig.fanout, SHOW_THOUGHT, "hm hm hm ", 9);
		second = fanout_live_claim(&rig.fanout, SHOW_MESSAGE, "so so so ", 9);
		assert_int_equal(first, 1);
		assert_int_equal(second, 2);
		add(&rig, first, "assistant", "hm hm hm ");
		add(&rig, second, "assistant", "so so so ");
		fanout_live_drop(&rig.fanout);
		slow.room = 100;
		fanout_pump(&rig.fanout);
		if (!str_eq(buf_str(&slow.text[1]), "hm hm hm ") ||
		    !str_eq(buf_str(&slow.text[2]), "so so so "))
			fail_msg("pace %d: '%s' '%s'", pace, buf_str(&slow.text[1]),
				 buf_str(&slow.text[2]));
		leave(&slow);
		rig_deinit(&rig);
	}
}

static void a_slow_client_does_not_slow_another(void **state)
{
	struct rig rig;
	struct taker stuck;
	struct taker fast;

	(void)state;
	rig_init(&rig);
	join(&rig, &stuck, 0, false);
	join(&rig, &fast, 1000, false);
	for (int i = 0; i < 100; i++) {
		live(&rig, SHOW_MESSAGE, "x");
		fanout_pump(&rig.fanout);
	}
	assert_int_equal(fast.text[1].len, 100);
	assert_int_equal(count_lines(&fast), 100);
	assert_int_equal(stuck.got.len, 0);
	assert_false(stuck.lost);
	stuck.room = 1;
	fanout_pump(&rig.fanout);
	assert_int_equal(stuck.text[1].len, 100);
	assert_int_equal(count_lines(&stuck), 1);
	leave(&stuck);
	leave(&fast);
	rig_deinit(&rig);
}

static void a_message_that_ends_differently_than_it_streamed_is_shown_anew(void **state)
{
	struct rig rig;
	struct taker taker;
	int64_t item;

	(void)state;
	rig_init(&rig);
	join(&rig, &taker, 100, false);
	live(&rig, SHOW_MESSAGE, "wrong");
	fanout_pump(&rig.fanout);
	item = fanout_live_claim(&rig.fanout, SHOW_MESSAGE, "right", 5);
	assert_int_equal(item, 2);
	add(&rig, item, "assistant", "right");
	fanout_live_drop(&rig.fanout);
	fanout_pump(&rig.fanout);
	assert_string_equal(buf_str(&taker.text[2]), "right");
	leave(&taker);
	rig_deinit(&rig);
}

static void after_a_broken_stream_the_words_come_as_a_new_message(void **state)
{
	struct rig rig;
	struct taker taker;

	(void)state;
	rig_init(&rig);
	join(&rig, &taker, 100, false);
	live(&rig, SHOW_MESSAGE, "half");
	fanout_pump(&rig.fanout);
	fanout_live_drop(&rig.fanout);
	live(&rig, SHOW_MESSAGE, "whole");
	fanout_pump(&rig.fanout);
	assert_string_equal(buf_str(&taker.text[1]), "half");
	assert_string_equal(buf_str(&taker.text[2]), "whole");
	leave(&taker);
	rig_deinit(&rig);
}

static void messages_of_several_parts_are_claimed_in_their_order(void **state)
{
	struct rig rig;
	struct err err = { 0 };

	(void)state;
	rig_init(&rig);
	assert_int_equal(fanout_live(&rig.fanout, SHOW_MESSAGE, 0, "a", 1, &err), 0);
	assert_int_equal(fanout_live(&rig.fanout, SHOW_MESSAGE, 1, "b", 1, &err), 0);
	assert_int_equal(fanout_live_claim(&rig.fanout, SHOW_MESSAGE, "a", 1), 1);
	assert_int_equal(fanout_live_claim(&rig.fanout, SHOW_MESSAGE, "b", 1), 2);
	assert_int_equal(fanout_live_claim(&rig.fanout, SHOW_MESSAGE, "c", 1), 3);
	rig_deinit(&rig);
}

static void what_comes_after_a_record_comes_after_it(void **state)
{
	struct rig rig;
	struct taker taker;
	struct err err = { 0 };
	const char answer[] = "{\"answer\":1}\n";
	const char *at;

	(void)state;
	rig_init(&rig);
	join(&rig, &taker, 0, false);
	add(&rig, 1, "assistant", "first");
	assert_int_equal(fanout_after(&rig.fanout, &taker.fanout, answer, strlen(answer), &err), 0);
	add(&rig, 2, "assistant", "second");
	taker.room = 100;
	fanout_pump(&rig.fanout);
	at = strstr(buf_str(&taker.got), answer);
	assert_non_null(at);
	assert_true(strstr(taker.got.data, "first") < at);
	assert_true(strstr(taker.got.data, "second") > at);
	leave(&taker);
	rig_deinit(&rig);
}

static void a_client_is_not_shown_its_own_words(void **state)
{
	struct rig rig;
	struct taker author;
	struct taker other;

	(void)state;
	rig_init(&rig);
	join(&rig, &author, 100, false);
	join(&rig, &other, 100, false);
	add(&rig, 1, "user", "mine");
	author.fanout.skip = 0;
	fanout_pump(&rig.fanout);
	assert_int_equal(author.got.len, 0);
	assert_string_equal(buf_str(&other.text[1]), "mine");
	leave(&author);
	leave(&other);
	rig_deinit(&rig);
}

static void what_is_transient_is_lost_for_whoever_is_behind(void **state)
{
	struct rig rig;
	struct taker here;
	struct taker behind;

	(void)state;
	rig_init(&rig);
	join(&rig, &here, 100, false);
	join(&rig, &behind, 0, false);
	add(&rig, 1, "assistant", "kept");
	fanout_transient(&rig.fanout, "{\"lost\":1}\n", 11);
	behind.room = 100;
	fanout_pump(&rig.fanout);
	assert_non_null(strstr(buf_str(&here.got), "lost"));
	assert_null(strstr(buf_str(&behind.got), "lost"));
	assert_non_null(strstr(buf_str(&behind.got), "kept"));
	leave(&here);
	leave(&behind);
	rig_deinit(&rig);
}

static void whoever_lets_too_much_wait_is_lost_and_not_before(void **state)
{
	struct rig rig;
	struct taker taker;
	struct err err = { 0 };

	(void)state;
	rig_init(&rig);
	join(&rig, &taker, 0, false);
	for (int i = 0; i < FANOUT_AFTER_MAX; i++)
		assert_int_equal(fanout_after(&rig.fanout, &taker.fanout, "{}\n", 3, &err), 0);
	assert_false(taker.lost);
	assert_int_equal(fanout_after(&rig.fanout, &taker.fanout, "{}\n", 3, &err), ERR_LIMIT);
	assert_true(taker.lost);
	leave(&taker);
	rig_deinit(&rig);
}

static void so_many_messages_of_one_answer_and_no_more(void **state)
{
	struct rig rig;
	struct err err = { 0 };

	(void)state;
	rig_init(&rig);
	for (int64_t i = 0; i < FANOUT_LIVE_MAX; i++)
		assert_int_equal(fanout_live(&rig.fanout, SHOW_MESSAGE, i, "x", 1, &err), 0);
	assert_int_equal(fanout_live(&rig.fanout, SHOW_MESSAGE, FANOUT_LIVE_MAX, "x", 1, &err),
			 ERR_LIMIT);
	rig_deinit(&rig);
}

static void a_long_text_is_split_between_characters(void **state)
{
	struct rig rig;
	struct taker taker;
	struct buf text = BUF_INIT(GOT_MAX);
	struct err err = { 0 };

	(void)state;
	rig_init(&rig);
	join(&rig, &taker, 100, true);
	assert_int_equal(buf_putc(&text, 'x', &err), 0);
	while (text.len < 2U * SHOW_CHUNK_MAX + 10)
		assert_int_equal(buf_puts(&text, "\xe2\x82\xac\"\n", &err), 0);
	add(&rig, 1, "assistant", text.data);
	fanout_pump(&rig.fanout);
	assert_int_equal(count_lines(&taker), 3);
	assert_string_equal(buf_str(&taker.text[1]), text.data);
	buf_deinit(&text);
	leave(&taker);
	rig_deinit(&rig);
}

static void numbers_go_on_where_the_log_has_ended(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig);
	add(&rig, 41, "assistant", "x");
	fanout_set_log(&rig.fanout, rig.log);
	assert_int_equal(fanout_item(&rig.fanout), 42);
	rig_deinit(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_replay_yields_every_record_and_joining_without_yields_none),
		FIXTURE_TEST(a_slow_client_gets_every_byte_of_a_message_once),
		FIXTURE_TEST(a_slow_client_does_not_slow_another),
		FIXTURE_TEST(a_message_that_ends_differently_than_it_streamed_is_shown_anew),
		FIXTURE_TEST(after_a_broken_stream_the_words_come_as_a_new_message),
		FIXTURE_TEST(messages_of_several_parts_are_claimed_in_their_order),
		FIXTURE_TEST(what_comes_after_a_record_comes_after_it),
		FIXTURE_TEST(a_client_is_not_shown_its_own_words),
		FIXTURE_TEST(what_is_transient_is_lost_for_whoever_is_behind),
		FIXTURE_TEST(whoever_lets_too_much_wait_is_lost_and_not_before),
		FIXTURE_TEST(so_many_messages_of_one_answer_and_no_more),
		FIXTURE_TEST(a_long_text_is_split_between_characters),
		FIXTURE_TEST(numbers_go_on_where_the_log_has_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
