#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"

#include "agentd/tool/diff.h"
#include "tests/support/fixture.h"

#define OPEN "\\ No newline at end of file\n"

static const struct {
	const char *name;
	const char *before;
	const char *after;
	const char *diff;
} rows[] = {
	{ "equal", "a\nb\n", "a\nb\n", "" },
	{ "both empty", "", "", "" },
	{ "new file", "", "a\nb\n", "@@ -0,0 +1,2 @@\n+a\n+b\n" },
	{ "file gone", "a\n", "", "@@ -1,1 +0,0 @@\n-a\n" },
	{ "one line changed", "a\nb\nc\n", "a\nB\nc\n", "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n" },
	{ "three lines of context", "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nx\n6\n7\n8\n9\n",
	  "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n" },
	{ "near changes share a hunk", "1\n2\n3\n4\n5\n6\n7\n8\n", "x\n2\n3\n4\n5\n6\n7\ny\n",
	  "@@ -1,8 +1,8 @@\n-1\n+x\n 2\n 3\n 4\n 5\n 6\n 7\n-8\n+y\n" },
	{ "far changes have their own", "1\n2\n3\n4\n5\n6\n7\n8\n9\n",
	  "x\n2\n3\n4\n5\n6\n7\n8\ny\n",
	  "@@ -1,4 +1,4 @@\n-1\n+x\n 2\n 3\n 4\n@@ -6,4 +6,4 @@\n 6\n 7\n 8\n-9\n+y\n" },
	{ "insertion", "a\nb\n", "a\nx\nb\n", "@@ -1,2 +1,3 @@\n a\n+x\n b\n" },
	{ "removal", "a\nx\nb\n", "a\nb\n", "@@ -1,3 +1,2 @@\n a\n-x\n b\n" },
	{ "a moved line is found", "a\nb\nc\nd\n", "b\nc\nd\na\n",
	  "@@ -1,4 +1,4 @@\n-a\n b\n c\n d\n+a\n" },
	{ "end of line lost", "a\n", "a", "@@ -1,1 +1,1 @@\n-a\n+a\n" OPEN },
	{ "end of line won", "a", "a\n", "@@ -1,1 +1,1 @@\n-a\n" OPEN "+a\n" },
	{ "open end in the context", "a\nb", "x\nb", "@@ -1,2 +1,2 @@\n-a\n+x\n b\n" OPEN },
};

static int diff(struct buf *out, const char *before, const char *after, bool *cut)
{
	const struct diff_text old = { .text = before, .len = strlen(before) };
	const struct diff_text new = { .text = after, .len = strlen(after) };
	struct err err = { 0 };

	return diff_unified(out, &old, &new, cut, &err);
}

static void two_versions_differ_as_the_unified_form_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out SCOPED(buf_deinit) = BUF_INIT(4096);
		bool cut = true;

		assert_int_equal(diff(&out, rows[i].before, rows[i].after, &cut), 0);
		if (strcmp(buf_str(&out), rows[i].diff) != 0 || cut)
			fail_msg("%s: '%s'", rows[i].name, buf_str(&out));
	}
}

/* Applies the hunks by hand: context and removed lines must be the old text, the rest the new one.
 */
static void replay(const char *diff, struct buf *before, struct buf *after)
{
	struct err err = { 0 };

	for (const char *line = diff; *line; line = strchr(line, '\n') + 1) {
		size_t len = strcspn(line, "\n") + 1;

		if (*line == '@')
			continue;
		if (*line != '+')
			assert_int_equal(buf_append(before, line + 1, len - 1, &err), 0);
		if (*line != '-')
			assert_int_equal(buf_append(after, line + 1, len - 1, &err), 0);
	}
}

/* Short texts over three kinds of lines: all of them are within each other's context. */
static void every_diff_of_short_texts_leads_from_one_to_the_other(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 6561; seed++) {
		struct buf text[4] = { BUF_INIT(64), BUF_INIT(64), BUF_INIT(64), BUF_INIT(64) };
		struct buf out SCOPED(buf_deinit) = BUF_INIT(4096);
		struct err err = { 0 };
		unsigned rest = seed;
		bool cut = false;

		for (int i = 0; i < 8; i++, rest /= 3) {
			if (rest % 3 < 2)
				assert_int_equal(buf_printf(&text[i % 2], &err, "%u\n", rest % 3),
						 0);
		}
		assert_int_equal(diff(&out, buf_str(&text[0]), buf_str(&text[1]), &cut), 0);
		replay(buf_str(&out), &text[2], &text[3]);
		if (out.len > 0 && (strcmp(buf_str(&text[0]), buf_str(&text[2])) != 0 ||
				    strcmp(buf_str(&text[1]), buf_str(&text[3])) != 0))
			fail_msg("seed %u: %s", seed, buf_str(&out));
		for (int i = 0; i < 4; i++)
			buf_deinit(&text[i]);
	}
}

/* Each of `count` lines changed. */
static void make_all_different(struct buf *before, struct buf *after, int count)
{
	struct err err = { 0 };

	for (int i = 0; i < count; i++) {
		assert_int_equal(buf_printf(before, &err, "old %d\nsame\n", i), 0);
		assert_int_equal(buf_printf(after, &err, "new %d\nsame\n", i), 0);
	}
}

static void beyond_the_limit_the_middle_is_shown_as_replaced(void **state)
{
	(void)state;
	for (int extra = 0; extra < 2; extra++) {
		struct buf before SCOPED(buf_deinit) = BUF_INIT(1U << 20);
		struct buf after SCOPED(buf_deinit) = BUF_INIT(1U << 20);
		struct buf out SCOPED(buf_deinit) = BUF_INIT(1U << 20);
		bool cut = false;

		make_all_different(&before, &after, DIFF_EDITS_MAX / 2 + extra);
		assert_int_equal(diff(&out, before.data, after.data, &cut), 0);
		assert_int_equal(strstr(out.data, "\n same\n-old 1\n") != NULL, extra == 0);
		assert_int_equal(strstr(out.data, "\n-same\n-old 1\n") != NULL, extra == 1);
	}
}

static void hunks_without_room_are_left_out_whole(void **state)
{
	static const char before[] = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
	static const char after[] = "x\n2\n3\n4\n5\n6\n7\n8\ny\n";
	static const char first[] = "@@ -1,4 +1,4 @@\n-1\n+x\n 2\n 3\n 4\n";
	struct buf out SCOPED(buf_deinit) = BUF_INIT(sizeof first + 10);
	bool cut = false;

	(void)state;
	assert_int_equal(diff(&out, before, after, &cut), 0);
	assert_true(cut);
	assert_string_equal(buf_str(&out), first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(two_versions_differ_as_the_unified_form_says),
		FIXTURE_TEST(every_diff_of_short_texts_leads_from_one_to_the_other),
		FIXTURE_TEST(beyond_the_limit_the_middle_is_shown_as_replaced),
		FIXTURE_TEST(hunks_without_room_are_left_out_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
