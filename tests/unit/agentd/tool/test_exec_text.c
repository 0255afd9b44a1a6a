#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/tool/exec.h"
#include "tests/support/fixture.h"

#define TEXT_MAX (1U << 20)

static struct exec_result result_of(const char *output)
{
	size_t len = strlen(output);
	uint64_t lines = 0;

	for (size_t i = 0; i < len; i++)
		lines += output[i] == '\n';
	return (struct exec_result){ .chunk_id = "0a1b2c",
				     .wall_us = 1234567,
				     .exit_code = 0,
				     .total_bytes = len,
				     .total_lines = lines,
				     .output = output,
				     .output_len = len };
}

static void shows(const struct exec_result *result, int64_t tokens, const char *want)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);
	struct err err = { 0 };

	assert_int_equal(exec_result_text(&out, result, tokens, &err), 0);
	assert_string_equal(buf_str(&out), want);
}

static void an_ended_command_reads_as_documented(void **state)
{
	struct exec_result result = result_of("hi\n");

	(void)state;
	result.exit_code = 137;
	shows(&result, 10000,
	      "Chunk ID: 0a1b2c\nWall time: 1.2345 seconds\nProcess exited with code 137\n"
	      "Original token count: 1\nOutput:\nhi\n");
}

static void a_running_command_reads_as_documented(void **state)
{
	struct exec_result result = result_of("");

	(void)state;
	result.running = true;
	result.session_id = 1007;
	result.wall_us = 99;
	shows(&result, 10000,
	      "Chunk ID: 0a1b2c\nWall time: 0.0000 seconds\n"
	      "Process running with session ID 1007\nOriginal token count: 0\nOutput:\n");
}

static void cuts(const char *output, int64_t tokens, const char *want)
{
	struct exec_result result = result_of(output);
	struct buf out SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);
	struct err err = { 0 };

	assert_int_equal(exec_output_text(&out, &result, tokens, &err), 0);
	if (strcmp(buf_str(&out), want) != 0)
		fail_msg("'%s' is not '%s'", buf_str(&out), want);
}

#define NOTE(tokens, lines)                                                                        \
	"Warning: truncated output (original token count: " tokens ")\nTotal output lines: " lines \
	"\n\n"

static void output_within_the_limit_is_whole(void **state)
{
	(void)state;
	cuts("", 0, "");
	cuts("12345678", 2, "12345678");
	cuts("1234567", 2, "1234567");
}

static void longer_output_loses_its_middle(void **state)
{
	(void)state;
	cuts("123456789", 2, NOTE("3", "1") "1234…1 tokens truncated…6789");
	cuts("aaaa\nbbbbbbbbbb\ncccc\n", 2, NOTE("6", "3") "aaaa…4 tokens truncated…ccc\n");
	cuts("abc", 0, NOTE("1", "1") "…1 tokens truncated…");
	cuts("12345", 1, NOTE("2", "1") "12…1 tokens truncated…45");
}

static void characters_are_never_cut(void **state)
{
	(void)state;
	/* Bytes 0-2, 3-5, 6-8 are one character each. */
	cuts("\u20ac\u20ac\u20ac", 2, NOTE("3", "1") "\u20ac…1 tokens truncated…\u20ac");
	cuts("\u20ac\u20ac\u20ac", 1, NOTE("3", "1") "…2 tokens truncated…");
}

/* The usual limit, one byte below, at and above it. */
static void ten_thousand_tokens_are_forty_thousand_bytes(void **state)
{
	size_t limit = (size_t)4 * EXEC_TOKENS_MAX;
	char *output = malloc(limit + 2);

	(void)state;
	assert_non_null(output);
	for (size_t len = limit - 1; len <= limit + 1; len++) {
		struct buf out SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);
		struct exec_result result;
		struct err err = { 0 };

		memset(output, 'x', len);
		output[len] = '\0';
		result = result_of(output);
		assert_int_equal(exec_output_text(&out, &result, EXEC_TOKENS_MAX, &err), 0);
		assert_int_equal(str_starts(out.data, "Warning: "), len > limit);
		if (len > limit)
			assert_non_null(strstr(out.data, "…1 tokens truncated…"));
	}
	free(output);
}

static void what_the_capture_dropped_counts_too(void **state)
{
	struct exec_result result = result_of("head\n... 992 bytes omitted ...\ntail\n");
	struct buf out SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);
	struct err err = { 0 };

	(void)state;
	result.total_bytes = 1000;
	result.total_lines = 77;
	assert_int_equal(exec_output_text(&out, &result, 100, &err), 0);
	assert_string_equal(buf_str(&out),
			    NOTE("250", "77") "head\n... 992 bytes omitted ...\ntail\n");
}

static void tokens_are_bytes_by_four_rounded_up(void **state)
{
	(void)state;
	assert_int_equal(exec_tokens(0), 0);
	assert_int_equal(exec_tokens(1), 1);
	assert_int_equal(exec_tokens(4), 1);
	assert_int_equal(exec_tokens(5), 2);
	assert_true(exec_tokens(UINT64_MAX) == UINT64_MAX / 4 + 1);
}

static void refusals_and_failures_begin_alike(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(exec_rejected_text(&out, "rejected by \"user\"\\\n", &err), 0);
	assert_string_equal(buf_str(&out),
			    "exec_command failed: Rejected(\"rejected by \\\"user\\\"\\\\\\n\")");
	buf_clear(&out);
	assert_int_equal(exec_failed_text(&out, "no such folder", &err), 0);
	assert_string_equal(buf_str(&out), "exec_command failed: no such folder");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(an_ended_command_reads_as_documented),
		FIXTURE_TEST(a_running_command_reads_as_documented),
		FIXTURE_TEST(output_within_the_limit_is_whole),
		FIXTURE_TEST(longer_output_loses_its_middle),
		FIXTURE_TEST(characters_are_never_cut),
		FIXTURE_TEST(ten_thousand_tokens_are_forty_thousand_bytes),
		FIXTURE_TEST(what_the_capture_dropped_counts_too),
		FIXTURE_TEST(tokens_are_bytes_by_four_rounded_up),
		FIXTURE_TEST(refusals_and_failures_begin_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
