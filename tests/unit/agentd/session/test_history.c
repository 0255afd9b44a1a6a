#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"

#include "agentd/session/history.h"
#include "agentd/session/transcript.h"
#include "tests/support/fixture.h"

#define NOW_MS 1769903999999
#define RECORDS_MAX 12

/* One letter a record: m message, 1-3 a call, a-c its output, . an event. */
static struct transcript *log_of(const char *letters)
{
	struct transcript *log = NULL;
	struct err err = { 0 };

	assert_int_equal(transcript_new_ephemeral(&log, &err), 0);
	for (const char *at = letters; *at; at++) {
		enum record_kind kind = *at == '.' ? RECORD_EVENT : RECORD_ITEM;
		const char id[] = { 'c', (char)(*at >= 'a' && *at <= 'c' ? *at - 'a' + '1' : *at),
				    '\0' };
		json_t *item;

		if (*at >= '1' && *at <= '3')
			item = json_pack("{s:s, s:s}", "type", "function_call", "call_id", id);
		else if (*at >= 'a' && *at <= 'c')
			item = json_pack("{s:s, s:s}", "type", "function_call_output", "call_id",
					 id);
		else
			item = json_pack("{s:s}", "type", "message");
		assert_int_equal(transcript_append(log, kind, 0, item, NOW_MS, &err), 0);
		json_decref(item);
	}
	return log;
}

static void outputs_follow_their_calls_in_order_and_gaps_are_reported(void **state)
{
	static const struct {
		const char *log;
		const char *sent;
		const char *open; /* numbers of calls without an output */
	} rows[] = {
		{ "", "", "" },
		{ "mm", "mm", "" },
		{ "m1am", "m1am", "" },
		{ "m12bam", "m12abm", "" },
		{ "m123cba.m", "m123abcm", "" },
		{ "m1", "m1", "1" },
		{ "m12b", "m12b", "1" },
		{ "m123b", "m123b", "13" },
		{ "ma", "m", "" },        /* an output without a call */
		{ "m1aa", "m1a", "" },    /* a second output */
		{ "m1a1a", "m1a1a", "" }, /* the same id again, in a later answer */
		{ "m12bm", "m12bm", "1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct transcript *log = log_of(rows[i].log);
		struct history history = { 0 };
		json_t *open = NULL;
		char sent[RECORDS_MAX + 1] = "";
		struct err err = { 0 };

		assert_int_equal(history_rebuild(&history, log, &open, &err), 0);
		for (size_t j = 0; j < history.count; j++)
			sent[j] = rows[i].log[history.records[j]];
		if (strcmp(sent, rows[i].sent) != 0)
			fail_msg("log '%s': sent '%s'", rows[i].log, sent);
		assert_int_equal(json_array_size(open), strlen(rows[i].open));
		for (size_t j = 0; j < json_array_size(open); j++) {
			const char *id = json_string_value(
				json_object_get(json_array_get(open, j), "call_id"));

			assert_int_equal(id[1], rows[i].open[j]);
		}
		json_decref(open);
		history_deinit(&history);
		transcript_free(log);
	}
}

static void a_record_beyond_the_limit_of_a_log_is_refused(void **state)
{
	struct history history = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(history_add(&history, TRANSCRIPT_RECORDS_MAX - 1, &err), 0);
	assert_int_equal(history_add(&history, TRANSCRIPT_RECORDS_MAX, &err), ERR_LIMIT);
	assert_int_equal(history.count, 1);
	history_deinit(&history);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(outputs_follow_their_calls_in_order_and_gaps_are_reported),
		FIXTURE_TEST(a_record_beyond_the_limit_of_a_log_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
