#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/session/store.h"
#include "agentd/session/transcript.h"
#include "tests/support/fixture.h"

#define NOW_MS 1769903999999 /* 2026-01-31T23:59:59.999Z */

static const char id[] = "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000";

static void add(struct transcript *transcript, enum record_kind kind, int64_t item, json_t *payload)
{
	struct err err = { 0 };

	if (transcript_append(transcript, kind, item, payload, NOW_MS, &err) < 0)
		fail_msg("%s", err.text);
	json_decref(payload);
}

static json_t *message(const char *text)
{
	return json_pack("{s:s, s:s, s:[{s:s, s:s}]}", "type", "message", "role", "user", "content",
			 "type", "input_text", "text", text);
}

static json_t *meta(void)
{
	return json_pack("{s:s, s:s, s:s}", "id", id, "cwd", "/work", "title", "a title");
}

static struct transcript *make(void)
{
	struct transcript *transcript = NULL;
	struct err err = { 0 };

	if (transcript_new(&transcript, fixture_dir(), id, NOW_MS, &err) < 0)
		fail_msg("%s", err.text);
	add(transcript, RECORD_META, 0, meta());
	return transcript;
}

static struct transcript *reopen(const char *path)
{
	struct transcript *transcript = NULL;
	struct err err = { 0 };

	if (transcript_open(&transcript, path, &err) < 0)
		fail_msg("%s", err.text);
	return transcript;
}

static void append_raw(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(close(fd), 0);
}

static void a_transcript_is_private_and_named_by_time_and_id(void **state)
{
	struct transcript *transcript = make();
	char *path = str_dup(transcript_path(transcript));
	struct stat about;
	char *slash;

	(void)state;
	assert_true(str_ends(path, "/sessions/2026/01/31/rollout-2026-01-31T23-59-59-"
				   "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000.jsonl"));
	assert_int_equal(stat(path, &about), 0);
	assert_int_equal(about.st_mode & 07777, 0600);
	for (int i = 0; i < 4; i++) {
		slash = strrchr(path, '/');
		*slash = '\0';
		assert_int_equal(stat(path, &about), 0);
		assert_int_equal(about.st_mode & 07777, 0700);
	}
	transcript_free(transcript);
	free(path);
}

static void what_was_appended_is_there_after_a_reopen(void **state)
{
	struct transcript *transcript = make();
	char *path = str_dup(transcript_path(transcript));
	json_t *payload;
	json_t *expected = message("hello \"world\" \xc3\xa4");
	struct err err = { 0 };

	(void)state;
	add(transcript, RECORD_ITEM, 5, json_incref(expected));
	add(transcript, RECORD_UPDATE, 0, json_pack("{s:s, s:{}}", "type", "update", "update"));
	add(transcript, RECORD_USAGE, 0, json_pack("{s:s}", "type", "token_count"));
	add(transcript, RECORD_EVENT, 0, json_pack("{s:s}", "type", "task_complete"));
	add(transcript, RECORD_TURN, 0, json_pack("{s:s}", "turn_id", "t"));
	transcript_free(transcript);
	transcript = reopen(path);
	assert_int_equal(transcript_count(transcript), 6);
	assert_int_equal(transcript_kind(transcript, 0), RECORD_META);
	assert_int_equal(transcript_kind(transcript, 1), RECORD_ITEM);
	assert_int_equal(transcript_kind(transcript, 2), RECORD_UPDATE);
	assert_int_equal(transcript_kind(transcript, 3), RECORD_USAGE);
	assert_int_equal(transcript_kind(transcript, 4), RECORD_EVENT);
	assert_int_equal(transcript_kind(transcript, 5), RECORD_TURN);
	assert_int_equal(transcript_kind(transcript, 6), RECORD_OTHER);
	assert_int_equal(transcript_item(transcript, 1), 5);
	assert_int_equal(transcript_item_last(transcript), 5);
	payload = transcript_payload(transcript, 1, &err);
	assert_true(json_equal(payload, expected));
	json_decref(payload);
	json_decref(expected);
	transcript_free(transcript);
	free(path);
}

static void a_torn_end_is_cut_off_and_what_is_whole_stays(void **state)
{
	static const char *const ends[] = {
		"{\"timestamp\":\"2026",
		"{\"timestamp\":\"2026-01-31T23:59:59.999Z\",\"type\":\"event_msg\",\"payload\":{}"
		"}",
		"{\"timestamp\":\"2026-01-31T23:59:59.999Z\",\"type\":\"event_msg\",\"payl\n",
		"\n",
		"garbage\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct transcript *transcript = make();
		char *path = str_dup(transcript_path(transcript));
		struct stat whole;
		struct stat mended;

		add(transcript, RECORD_ITEM, 1, message("kept"));
		transcript_free(transcript);
		assert_int_equal(stat(path, &whole), 0);
		append_raw(path, ends[i]);
		transcript = reopen(path);
		if (transcript_count(transcript) != 2)
			fail_msg("end %zu: %zu records", i, transcript_count(transcript));
		assert_int_equal(stat(path, &mended), 0);
		assert_int_equal(mended.st_size, whole.st_size);
		add(transcript, RECORD_ITEM, 2, message("after"));
		transcript_free(transcript);
		transcript = reopen(path);
		assert_int_equal(transcript_count(transcript), 3);
		transcript_free(transcript);
		assert_int_equal(unlink(path), 0);
		free(path);
	}
}

/* Cuts the file at every single byte: whatever a crash leaves can be opened, and holds a prefix. */
static void a_file_cut_anywhere_behind_its_first_line_opens_with_a_prefix(void **state)
{
	struct transcript *transcript = make();
	char *path = str_dup(transcript_path(transcript));
	struct stat first;
	struct stat all;

	(void)state;
	assert_int_equal(stat(path, &first), 0);
	add(transcript, RECORD_ITEM, 1, message("one"));
	add(transcript, RECORD_ITEM, 2, message("two"));
	transcript_free(transcript);
	assert_int_equal(stat(path, &all), 0);
	for (off_t size = all.st_size - 1; size >= first.st_size; size--) {
		struct err err = { 0 };

		assert_int_equal(truncate(path, size), 0);
		transcript = reopen(path);
		for (size_t i = 0; i < transcript_count(transcript); i++) {
			json_t *payload = transcript_payload(transcript, i, &err);

			assert_non_null(payload);
			json_decref(payload);
		}
		transcript_free(transcript);
	}
	free(path);
}

static void a_line_of_another_program_is_passed_over(void **state)
{
	struct transcript *transcript = make();
	char *path = str_dup(transcript_path(transcript));

	(void)state;
	transcript_free(transcript);
	append_raw(path, "{\"type\":\"response_item\",\"payload\":{\"type\":\"message\"}}\n");
	append_raw(path, "{\"timestamp\":\"2026-01-31T23:59:59.999Z\",\"type\":\"world_state\","
			 "\"payload\":{}}\n");
	transcript = reopen(path);
	assert_int_equal(transcript_count(transcript), 3);
	assert_int_equal(transcript_kind(transcript, 1), RECORD_OTHER);
	assert_int_equal(transcript_kind(transcript, 2), RECORD_OTHER);
	transcript_free(transcript);
	free(path);
}

static void what_is_no_transcript_is_refused(void **state)
{
	static const struct {
		const char *content;
		enum err_code code;
	} rows[] = {
		{ "", ERR_INVALID },
		{ "hello\n", ERR_INVALID },
		{ "{\"a\":1}\n", ERR_INVALID },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *path =
			fixture_file("x.jsonl", rows[i].content, strlen(rows[i].content));
		struct transcript *transcript = NULL;
		struct err err = { 0 };

		assert_int_equal(transcript_open(&transcript, path, &err), rows[i].code);
		assert_null(transcript);
	}
}

/* The limit on the size of files stands for the full disk: both end a write half-way. */
static void a_write_that_fails_half_way_leaves_the_file_as_it_was(void **state)
{
	struct transcript *transcript = make();
	char *path = str_dup(transcript_path(transcript));
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction before;
	struct rlimit limit;
	struct rlimit small;
	struct stat about;
	struct stat after;
	json_t *payload = message("this does not fit any more");
	struct err err = { 0 };

	(void)state;
	assert_int_equal(stat(path, &about), 0);
	assert_int_equal(sigaction(SIGXFSZ, &ignore, &before), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = limit;
	small.rlim_cur = (rlim_t)about.st_size + 10;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(transcript_append(transcript, RECORD_ITEM, 1, payload, NOW_MS, &err),
			 ERR_SYSTEM);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(sigaction(SIGXFSZ, &before, NULL), 0);
	assert_non_null(strstr(err.text, "write transcript"));
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_size, about.st_size);
	add(transcript, RECORD_ITEM, 1, payload);
	transcript_free(transcript);
	transcript = reopen(path);
	assert_int_equal(transcript_count(transcript), 2);
	transcript_free(transcript);
	free(path);
}

static void an_ephemeral_transcript_leaves_no_file(void **state)
{
	struct transcript *transcript = NULL;
	struct store_list list = { 0 };
	json_t *payload;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(transcript_new_ephemeral(&transcript, &err), 0);
	add(transcript, RECORD_META, 0, meta());
	add(transcript, RECORD_ITEM, 1, message("secret"));
	assert_null(transcript_path(transcript));
	assert_int_equal(transcript_fd(transcript), -1);
	payload = transcript_payload(transcript, 1, &err);
	assert_non_null(payload);
	json_decref(payload);
	transcript_free(transcript);
	assert_int_equal(store_scan(&list, fixture_dir(), &err), 0);
	assert_int_equal(list.count, 0);
	store_list_deinit(&list);
}

static void texts_come_in_the_order_asked_for(void **state)
{
	struct transcript *transcript = make();
	struct transcript_texts texts = { 0 };
	const uint32_t order[] = { 3, 1 };
	struct err err = { 0 };

	(void)state;
	add(transcript, RECORD_ITEM, 1, json_pack("{s:i}", "n", 1));
	add(transcript, RECORD_ITEM, 2, json_pack("{s:i}", "n", 2));
	add(transcript, RECORD_ITEM, 3, json_pack("{s:i}", "n", 3));
	assert_int_equal(transcript_texts(&texts, transcript, order, 2, &err), 0);
	assert_int_equal(texts.count, 2);
	assert_string_equal(texts.items[0], "{\"n\":3}");
	assert_string_equal(texts.items[1], "{\"n\":1}");
	transcript_texts_deinit(&texts);
	transcript_free(transcript);
}

static void the_store_finds_a_transcript_and_reads_its_header(void **state)
{
	struct transcript *transcript = make();
	struct store_header header = { 0 };
	struct store_list list = { 0 };
	char *path = NULL;
	struct err err = { 0 };

	(void)state;
	add(transcript, RECORD_ITEM, 0, message("not for people"));
	add(transcript, RECORD_ITEM, 1, message("for people"));
	assert_int_equal(store_find(&path, fixture_dir(), id, &err), 0);
	assert_string_equal(path, transcript_path(transcript));
	assert_int_equal(store_read_header(&header, path, &err), 0);
	assert_string_equal(header.cwd, "/work");
	assert_string_equal(header.title, "a title");
	assert_int_equal(header.messages, 1);
	store_header_deinit(&header);
	assert_int_equal(store_scan(&list, fixture_dir(), &err), 0);
	assert_int_equal(list.count, 1);
	assert_string_equal(list.entries[0].id, id);
	store_list_deinit(&list);
	free(path);
	path = NULL;
	assert_int_equal(
		store_find(&path, fixture_dir(), "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0001", &err),
		ERR_NOTFOUND);
	assert_int_equal(store_find(&path, fixture_dir(), "../../etc/passwd", &err), ERR_NOTFOUND);
	transcript_free(transcript);
}

static void a_link_in_place_of_a_transcript_is_not_followed(void **state)
{
	struct transcript *transcript = make();
	char *path = str_dup(transcript_path(transcript));
	char *moved = NULL;
	struct transcript *opened = NULL;
	struct err err = { 0 };

	(void)state;
	transcript_free(transcript);
	assert_true(asprintf(&moved, "%s.moved", path) > 0);
	assert_int_equal(rename(path, moved), 0);
	assert_int_equal(symlink(moved, path), 0);
	assert_int_equal(transcript_open(&opened, path, &err), ERR_SYSTEM);
	free(moved);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_transcript_is_private_and_named_by_time_and_id),
		FIXTURE_TEST(what_was_appended_is_there_after_a_reopen),
		FIXTURE_TEST(a_torn_end_is_cut_off_and_what_is_whole_stays),
		FIXTURE_TEST(a_file_cut_anywhere_behind_its_first_line_opens_with_a_prefix),
		FIXTURE_TEST(a_line_of_another_program_is_passed_over),
		FIXTURE_TEST(what_is_no_transcript_is_refused),
		FIXTURE_TEST(a_write_that_fails_half_way_leaves_the_file_as_it_was),
		FIXTURE_TEST(an_ephemeral_transcript_leaves_no_file),
		FIXTURE_TEST(texts_come_in_the_order_asked_for),
		FIXTURE_TEST(the_store_finds_a_transcript_and_reads_its_header),
		FIXTURE_TEST(a_link_in_place_of_a_transcript_is_not_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
