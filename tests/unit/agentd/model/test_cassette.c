#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/model/cassette.h"
#include "agentd/model/demo.h"
#include "agentd/model/sse.h"
#include "tests/support/fixture.h"
#include "tests/support/responses.h"

static void drop_json(json_t **value)
{
	json_decref(*value);
}

/* A line that answers with the stream of an exchange (see responses.h). */
static void add_line(struct buf *tape, const char *exchange, const char *match, long number)
{
	struct buf body SCOPED(buf_deinit) = BUF_INIT(CASSETTE_BODY_MAX);
	json_t *described SCOPED(drop_json) = json_loads(exchange, 0, NULL);
	json_t *line SCOPED(drop_json) = NULL;
	char *text SCOPED(str_free) = NULL;

	assert_non_null(described);
	responses_stream(&body, NULL, described, number);
	line = json_pack("{s:s, s:s*}", "body", buf_str(&body), "match", match);
	text = json_dumps(line, 0);
	assert_int_equal(buf_printf(tape, NULL, "%s\n", text), 0);
}

static void a_cassette_is_read_line_by_line(void **state)
{
	static const char text[] =
		"# a comment\n"
		"\n"
		"{\"body\":\"x\"}\n"
		" \t\r\n"
		"{\"status\":503,\"headers\":{\"retry-after\":\"1\"},\"body\":\"\","
		"\"match\":\"m\"}";
	struct cassette *cassette = NULL;
	const struct cassette_answer *answer;

	(void)state;
	assert_int_equal(cassette_parse(&cassette, text, sizeof text - 1, NULL), 0);
	assert_int_equal(cassette_count(cassette), 2);
	answer = cassette_at(cassette, 0);
	assert_int_equal(answer->status, 200);
	assert_string_equal(answer->body, "x");
	assert_null(answer->retry_after);
	assert_null(answer->match);
	answer = cassette_at(cassette, 1);
	assert_int_equal(answer->status, 503);
	assert_int_equal(answer->body_len, 0);
	assert_string_equal(answer->retry_after, "1");
	assert_string_equal(answer->match, "m");
	cassette_free(cassette);
}

static void what_is_no_cassette_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *text;
		enum err_code code;
		const char *sentence;
	} rows[] = {
		{ "", ERR_INVALID, "cassette without an answer" },
		{ "# nothing\n", ERR_INVALID, "cassette without an answer" },
		{ "{\"body\":\"x\"}\n{", ERR_INVALID, "cassette, line 2: not JSON" },
		{ "\n[]", ERR_INVALID, "cassette, line 2: not an object" },
		{ "{}", ERR_INVALID, "cassette, line 1: there is no string body" },
		{ "{\"body\":1}", ERR_INVALID, "cassette, line 1: there is no string body" },
		{ "{\"body\":\"\",\"boby\":1}", ERR_INVALID,
		  "cassette, line 1: members other than status, headers, body and match" },
		{ "{\"body\":\"\",\"body\":\"\"}", ERR_INVALID, "cassette, line 1: not JSON" },
		{ "{\"body\":\"\",\"headers\":1}", ERR_INVALID,
		  "cassette, line 1: headers is no object" },
		{ "{\"body\":\"\",\"match\":1}", ERR_INVALID,
		  "cassette, line 1: match is no string" },
		{ "{\"body\":\"\",\"status\":\"200\"}", ERR_INVALID,
		  "cassette, line 1: status is no number from 200 to 599" },
		{ "{\"body\":\"\",\"status\":199}", ERR_INVALID,
		  "cassette, line 1: status is no number from 200 to 599" },
		{ "{\"body\":\"\",\"status\":600}", ERR_INVALID,
		  "cassette, line 1: status is no number from 200 to 599" },
		{ "{\"body\":\"\",\"status\":200}", ERR_NONE, "" },
		{ "{\"body\":\"\",\"status\":599}", ERR_NONE, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cassette *cassette = NULL;
		struct err err = { 0 };
		int rc = cassette_parse(&cassette, rows[i].text, strlen(rows[i].text), &err);

		if (rc != (int)rows[i].code || !str_starts(err.text, rows[i].sentence))
			fail_msg("'%s': %d '%s'", rows[i].text, rc, err.text);
		assert_int_equal(cassette != NULL, rc == 0);
		cassette_free(cassette);
	}
}

static void a_cassette_has_a_largest_number_of_answers(void **state)
{
	static const char line[] = "{\"body\":\"\"}\n";

	(void)state;
	for (size_t over = 0; over < 2; over++) {
		struct buf text SCOPED(buf_deinit) = BUF_INIT(CASSETTE_MAX);
		struct cassette *cassette = NULL;
		struct err err = { 0 };

		for (size_t i = 0; i < CASSETTE_LINES_MAX + over; i++)
			assert_int_equal(buf_puts(&text, line, NULL), 0);
		assert_int_equal(cassette_parse(&cassette, text.data, text.len, &err),
				 over ? ERR_LIMIT : ERR_NONE);
		cassette_free(cassette);
	}
}

static void a_body_has_a_largest_size_in_both_directions(void **state)
{
	(void)state;
	for (size_t over = 0; over < 2; over++) {
		size_t size = CASSETTE_BODY_MAX + over;
		struct buf text SCOPED(buf_deinit) = BUF_INIT(CASSETTE_MAX);
		struct buf line SCOPED(buf_deinit) = BUF_INIT(CASSETTE_MAX);
		char *body SCOPED(str_free) = malloc(size + 1);
		struct cassette_answer answer = { .status = 500, .body = body, .body_len = size };
		struct cassette *cassette = NULL;
		struct err err = { 0 };

		assert_non_null(body);
		memset(body, 'b', size);
		body[size] = '\0';
		assert_int_equal(buf_printf(&text, NULL, "{\"status\":500,\"body\":\"%s\"}", body),
				 0);
		assert_int_equal(cassette_parse(&cassette, text.data, text.len, &err),
				 over ? ERR_LIMIT : ERR_NONE);
		cassette_free(cassette);
		assert_int_equal(cassette_line(&line, &answer, &err), over ? ERR_LIMIT : ERR_NONE);
	}
}

static void a_line_that_is_written_reads_back_the_same(void **state)
{
	static const struct cassette_answer answers[] = {
		{ .status = 200,
		  .body = "event: a\r\ndata: {\"x\":\"\\u00e9\"}\n\n",
		  .body_len = 32 },
		{ .status = 429, .body = "", .body_len = 0, .retry_after = "7" },
		{ .status = 500, .body = "\xc3\xa9\t\"\\", .body_len = 5 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct buf line SCOPED(buf_deinit) = BUF_INIT(CASSETTE_MAX);
		struct cassette *cassette = NULL;
		const struct cassette_answer *answer;

		assert_int_equal(cassette_line(&line, &answers[i], NULL), 0);
		assert_null(strchr(buf_str(&line), '\n'));
		assert_int_equal(cassette_parse(&cassette, line.data, line.len, NULL), 0);
		answer = cassette_at(cassette, 0);
		assert_int_equal(answer->status, answers[i].status);
		assert_int_equal(answer->body_len, answers[i].body_len);
		assert_memory_equal(answer->body, answers[i].body, answer->body_len);
		assert_true(str_eq(answer->retry_after, answers[i].retry_after));
		cassette_free(cassette);
	}
}

static void what_is_no_utf8_is_not_written(void **state)
{
	const struct cassette_answer answer = { .status = 200, .body = "\xff", .body_len = 1 };
	struct buf line SCOPED(buf_deinit) = BUF_INIT(CASSETTE_MAX);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(cassette_line(&line, &answer, &err), ERR_INVALID);
}

static void an_answer_with_a_match_is_kept_for_its_text(void **state)
{
	static const struct {
		size_t from;
		const char *text;
		size_t next;
	} rows[] = {
		{ 0, "do a", 0 }, { 0, "do b", 1 }, { 0, "do neither", 2 }, { 0, NULL, 2 },
		{ 1, "do a", 2 }, { 2, "do b", 2 }, { 3, "do a", 3 },       { 3, "do b", 4 },
	};
	struct buf tape SCOPED(buf_deinit) = BUF_INIT(CASSETTE_MAX);
	struct cassette *cassette = NULL;

	(void)state;
	add_line(&tape, "{\"message\":\"0\"}", "do a", 0);
	add_line(&tape, "{\"message\":\"1\"}", "do b", 1);
	add_line(&tape, "{\"message\":\"2\"}", NULL, 2);
	add_line(&tape, "{\"message\":\"3\"}", "do a", 3);
	assert_int_equal(cassette_parse(&cassette, tape.data, tape.len, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(cassette_next(cassette, rows[i].from, rows[i].text), rows[i].next);
	cassette_free(cassette);
}

static void a_conversation_is_found_again_by_its_items(void **state)
{
	static const size_t at[] = { 0, 1, 4, 4, 5, 5 }; /* by items that the input holds */
	struct buf tape SCOPED(buf_deinit) = BUF_INIT(CASSETTE_MAX);
	struct cassette *cassette = NULL;

	(void)state;
	add_line(&tape, "{\"message\":\"one item\"}", NULL, 0);
	add_line(&tape, "{\"message\":\"cut off\",\"unfinished\":true}", NULL, 1);
	add_line(&tape, "{\"chunks\":[\"data: no stream\"]}", NULL, 2);
	add_line(&tape, "{\"message\":\"a\",\"calls\":[{\"name\":\"c\",\"arguments\":{}}]}", NULL,
		 3);
	add_line(&tape, "{\"message\":\"the end\"}", NULL, 4);
	assert_int_equal(cassette_parse(&cassette, tape.data, tape.len, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		if (cassette_seek(cassette, i) != at[i])
			fail_msg("%zu items: %zu", i, cassette_seek(cassette, i));
	}
	cassette_free(cassette);
}

static void a_request_is_looked_at_item_by_item(void **state)
{
	static const struct {
		const char *item;
		size_t items;
		const char *text;
	} rows[] = {
		{ "{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"hi\"}]}", 0,
		  "hi" },
		{ "{\"role\":\"user\",\"content\":\"plain\"}", 0, "plain" },
		{ "{\"role\":\"user\",\"content\":[{\"text\":\"a\"},{\"text\":\"b\"},{\"image_"
		  "url\":\"\"}]}",
		  0, "b" },
		{ "{\"role\":\"user\"}", 0, NULL },
		{ "{\"role\":\"developer\",\"content\":\"rules\"}", 0, NULL },
		{ "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"text\":\"x\"}]}", 1,
		  NULL },
		{ "{\"type\":\"reasoning\"}", 1, NULL },
		{ "{\"type\":\"function_call\"}", 1, NULL },
		{ "{\"type\":\"custom_tool_call\"}", 1, NULL },
		{ "{\"type\":\"function_call_output\"}", 0, NULL },
		{ "{\"type\":\"custom_tool_call_output\"}", 0, NULL },
		{ "null", 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *item SCOPED(drop_json) = json_loads(rows[i].item, JSON_DECODE_ANY, NULL);
		struct cassette_request seen = { 0 };

		assert_non_null(item);
		cassette_look(&seen, item);
		if (seen.model_items != rows[i].items || !str_eq(seen.last_text, rows[i].text))
			fail_msg("%s", rows[i].item);
	}
}

static void a_file_that_is_not_there_is_named(void **state)
{
	struct cassette *cassette = NULL;
	struct err err = { 0 };

	(void)state;
	assert_true(cassette_load(&cassette, "/nonexistent/tape", &err) < 0);
	assert_non_null(strstr(err.text, "/nonexistent/tape"));
}

/* Whole, in plain text, and each answer completes with something to do or to say. */
static void the_built_in_demo_plays_from_start_to_end(void **state)
{
	struct cassette *cassette = NULL;
	struct err err = { 0 };
	size_t items = 0;

	(void)state;
	if (cassette_parse(&cassette, demo_cassette, demo_cassette_size, &err) < 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < cassette_count(cassette); i++) {
		const struct cassette_answer *answer = cassette_at(cassette, i);

		assert_int_equal(answer->status, 200);
		assert_true(answer->items > 0);
		assert_int_equal(cassette_seek(cassette, items), i);
		items += answer->items;
	}
	assert_non_null(strstr(cassette_at(cassette, 7)->body, "require_escalated"));
	cassette_free(cassette);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_cassette_is_read_line_by_line),
		FIXTURE_TEST(what_is_no_cassette_is_refused_with_its_line),
		FIXTURE_TEST(a_cassette_has_a_largest_number_of_answers),
		FIXTURE_TEST(a_body_has_a_largest_size_in_both_directions),
		FIXTURE_TEST(a_line_that_is_written_reads_back_the_same),
		FIXTURE_TEST(what_is_no_utf8_is_not_written),
		FIXTURE_TEST(an_answer_with_a_match_is_kept_for_its_text),
		FIXTURE_TEST(a_conversation_is_found_again_by_its_items),
		FIXTURE_TEST(a_request_is_looked_at_item_by_item),
		FIXTURE_TEST(a_file_that_is_not_there_is_named),
		FIXTURE_TEST(the_built_in_demo_plays_from_start_to_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
