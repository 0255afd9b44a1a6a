#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/model/delta.h"
#include "agentd/model/sse.h"
#include "tests/support/fixture.h"

#define TEXT "response.output_text.delta"

static const struct row {
	const char *name; /* of the event */
	const char *data;
	enum delta_kind kind;
	const char *text; /* of deltas; code of failures */
	const char *message;
	int index;
} rows[] = {
	{ TEXT, "{\"type\":\"" TEXT "\",\"delta\":\"Hi\",\"output_index\":2}", DELTA_TEXT, "Hi", "",
	  2 },
	{ TEXT, "{\"type\":\"" TEXT "\",\"delta\":\"a\\nb\"}", DELTA_TEXT, "a\nb", "", -1 },
	{ TEXT, "{\"type\":\"" TEXT "\",\"delta\":\"\\ud83d\\ude00\"}", DELTA_TEXT,
	  "\xf0\x9f\x98\x80", "", -1 },
	{ TEXT, "{\"type\":\"" TEXT "\",\"delta\":\"x\",\"logprobs\":[{\"a\":1}]}", DELTA_TEXT, "x",
	  "", -1 },
	{ TEXT, "{\"delta\":\"x\"}", DELTA_TEXT, "x", "", -1 }, /* the name, for want of a type */
	{ "", "{\"type\":\"" TEXT "\",\"delta\":\"x\"}", DELTA_TEXT, "x", "", -1 },
	/* the type inside counts */
	{ "response.completed", "{\"type\":\"" TEXT "\",\"delta\":\"x\"}", DELTA_TEXT, "x", "",
	  -1 },
	{ TEXT, "{\"type\":\"response.reasoning_text.delta\",\"delta\":\"x\"}", DELTA_REASONING,
	  "x", "", -1 },
	{ TEXT, "{\"type\":\"response.other\",\"delta\":\"x\"}", DELTA_NOTHING, "", "", -1 },
	{ "response.reasoning_summary_text.delta", "{\"delta\":\"x\",\"output_index\":0}",
	  DELTA_REASONING, "x", "", 0 },
	{ "response.reasoning_summary_part.added", "{\"summary_index\":0}", DELTA_NOTHING, "", "",
	  -1 },
	{ "response.reasoning_summary_part.added", "{\"summary_index\":1,\"output_index\":1}",
	  DELTA_REASONING, "\n\n", "", 1 },
	{ "response.output_item.done", "{\"item\":{\"type\":\"message\"},\"output_index\":4}",
	  DELTA_ITEM, "", "", 4 },
	{ "response.output_item.done", "{\"item\":{\"id\":\"x\"}}", DELTA_NOTHING, "", "", -1 },
	{ "response.output_item.done", "{\"item\":null}", DELTA_NOTHING, "", "", -1 },
	{ "response.output_item.added", "{\"item\":{\"type\":\"message\"}}", DELTA_NOTHING, "", "",
	  -1 },
	{ "response.completed", "{\"response\":{\"id\":\"r\"}}", DELTA_COMPLETED, "", "", -1 },
	{ "response.failed", "{\"response\":{\"error\":{\"code\":\"c\",\"message\":\"m\"}}}",
	  DELTA_FAILED, "c", "m", -1 },
	{ "response.failed", "{\"response\":{\"error\":null}}", DELTA_FAILED, "", "", -1 },
	{ "response.failed", "{\"response\":{\"error\":{\"code\":5,\"message\":null}}}",
	  DELTA_FAILED, "", "", -1 },
	{ "error", "{\"type\":\"error\",\"code\":\"c\",\"message\":\"m\"}", DELTA_FAILED, "c", "m",
	  -1 },
	{ "error", "{\"type\":\"error\",\"error\":{\"code\":\"c\",\"message\":\"m\"}}",
	  DELTA_FAILED, "c", "m", -1 },
	{ "response.incomplete",
	  "{\"response\":{\"incomplete_details\":{\"reason\":\"max_output_tokens\"}}}",
	  DELTA_INCOMPLETE, "max_output_tokens", "", -1 },
	{ "response.incomplete", "{}", DELTA_INCOMPLETE, "unknown", "", -1 },
	/* what is not understood is passed over */
	{ TEXT, "{\"delta\":\"x\"", DELTA_NOTHING, "", "", -1 },
	{ TEXT, "{\"delta\":5}", DELTA_NOTHING, "", "", -1 },
	{ TEXT, "[]", DELTA_NOTHING, "", "", -1 },
	{ "response.completed", "", DELTA_NOTHING, "", "", -1 },
	{ "", "[DONE]", DELTA_NOTHING, "", "", -1 },
	{ "response.created", "{\"response\":{}}", DELTA_NOTHING, "", "", -1 },
	{ "response.custom_tool_call_input.delta", "{\"delta\":\"x\"}", DELTA_NOTHING, "", "", -1 },
};

static void check(const struct row *row, const struct delta_event *said)
{
	bool is_text = said->kind == DELTA_TEXT || said->kind == DELTA_REASONING;

	if (said->kind != row->kind)
		fail_msg("%s %s: kind %d", row->name, row->data, (int)said->kind);
	if (is_text && (said->text_len != strlen(row->text) ||
			memcmp(said->text, row->text, said->text_len) != 0))
		fail_msg("%s %s: '%.*s'", row->name, row->data, (int)said->text_len, said->text);
	if (!is_text && strcmp(said->code, row->text) != 0)
		fail_msg("%s %s: code '%s'", row->name, row->data, said->code);
	if (strcmp(said->message, row->message) != 0)
		fail_msg("%s %s: message '%s'", row->name, row->data, said->message);
	if (said->output_index != row->index)
		fail_msg("%s %s: index %d", row->name, row->data, (int)said->output_index);
	assert_int_equal(said->item != NULL, row->kind == DELTA_ITEM);
}

static void each_event_says_what_its_row_tells(void **state)
{
	struct delta delta = { 0 };

	(void)state;
	delta_init(&delta);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct sse_event event = { rows[i].name, rows[i].data, strlen(rows[i].data) };
		struct delta_event said = { 0 };

		assert_int_equal(delta_read(&delta, &event, &said, NULL), 0);
		check(&rows[i], &said);
	}
	delta_deinit(&delta);
}

static void usage_is_read_where_it_stands(void **state)
{
	static const char data[] =
		"{\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":10,"
		"\"input_tokens_details\":{\"cached_tokens\":4},\"output_tokens\":7,"
		"\"output_tokens_details\":{\"reasoning_tokens\":3},\"total_tokens\":17}}}";
	const struct sse_event event = { "", data, sizeof data - 1 };
	struct delta_event said = { 0 };
	struct delta delta = { 0 };

	(void)state;
	delta_init(&delta);
	assert_int_equal(delta_read(&delta, &event, &said, NULL), 0);
	assert_int_equal(said.kind, DELTA_COMPLETED);
	assert_int_equal(said.usage.input_tokens, 10);
	assert_int_equal(said.usage.cached_input_tokens, 4);
	assert_int_equal(said.usage.output_tokens, 7);
	assert_int_equal(said.usage.reasoning_output_tokens, 3);
	assert_int_equal(said.usage.total_tokens, 17);
	delta_deinit(&delta);
}

static void an_item_is_handed_over_as_it_came(void **state)
{
	static const char item[] =
		"{\"type\":\"reasoning\",\"id\":\"rs\",\"new\":[1,{\"x\":null}]}";
	char data[256];
	struct delta_event said = { 0 };
	struct delta delta = { 0 };
	char *text;

	(void)state;
	(void)snprintf(data, sizeof data, "{\"type\":\"response.output_item.done\",\"item\":%s}",
		       item);
	const struct sse_event event = { "", data, strlen(data) };

	delta_init(&delta);
	assert_int_equal(delta_read(&delta, &event, &said, NULL), 0);
	text = json_dumps(said.item, JSON_COMPACT);
	assert_string_equal(text, item);
	free(text);
	delta_deinit(&delta);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(each_event_says_what_its_row_tells),
		FIXTURE_TEST(usage_is_read_where_it_stands),
		FIXTURE_TEST(an_item_is_handed_over_as_it_came),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
