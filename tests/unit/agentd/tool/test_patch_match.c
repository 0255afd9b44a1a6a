#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"

#include "agentd/tool/patch_match.h"
#include "agentd/tool/patch_parse.h"
#include "tests/support/fixture.h"

/* A file, the chunks of an update of it, and the file that results; NULL: they do not match. */
static const struct {
	const char *name;
	const char *file;
	const char *chunks;
	const char *result;
} rows[] = {
	{ "replace", "a\nb\nc\n", "@@\n a\n-b\n+B\n c\n", "a\nB\nc\n" },
	{ "remove", "a\nb\nc\n", "@@\n-b\n", "a\nc\n" },
	{ "remove everything", "a\n", "@@\n-a\n", "" },
	{ "insert between", "a\nb\n", "@@\n a\n+x\n b\n", "a\nx\nb\n" },
	{ "first match counts", "a\nb\na\nb\n", "@@\n-b\n+B\n", "a\nB\na\nb\n" },
	{ "later chunks search behind earlier ones", "a\nb\na\nb\n", "@@\n-b\n+1\n@@\n-b\n+2\n",
	  "a\n1\na\n2\n" },
	{ "chunks in the wrong order do not match", "a\nb\n", "@@\n-b\n@@\n-a\n", NULL },
	{ "context narrows", "f\nx\ng\nx\n", "@@ g\n-x\n+y\n", "f\nx\ng\ny\n" },
	{ "context behind the place does not count", "x\ng\n", "@@ g\n-x\n", NULL },
	{ "context that is not there", "x\n", "@@ nope\n-x\n", NULL },
	{ "context is compared leniently", "  g  \nx\n", "@@ g\n-x\n", "  g  \n" },
	{ "lines that are not there", "a\n", "@@\n-b\n", NULL },
	{ "more lines than the file has", "a\n", "@@\n a\n b\n c\n-d\n", NULL },

	{ "trailing white space is ignored", "a  \nb\t\n", "@@\n a\n-b\n+c\n", "a  \nc\n" },
	{ "leading white space is ignored", "  a\n\tb\n", "@@\n a\n-b\n+c\n", "  a\nc\n" },
	{ "an exact match beats an earlier lenient one", "a \na\n", "@@\n-a\n+x\n", "a \nx\n" },
	{ "inner white space counts", "a  b\n", "@@\n-a b\n", NULL },
	{ "dashes", "a\u2010b\u2011c\u2012d\u2013e\u2014f\u2015g\u2212h\n",
	  "@@\n-a-b-c-d-e-f-g-h\n", "" },
	{ "the patch may have the dashes too", "a-b\n", "@@\n-a\u2014b\n+c\n", "c\n" },
	{ "single quotes", "\u2018\u2019\u201a\u201b\n", "@@\n-''''\n", "" },
	{ "double quotes", "\u201c\u201d\u201e\u201f\n", "@@\n-\"\"\"\"\n", "" },
	{ "spaces", "a\u00a0b\u2002c\u200ad\u202fe\u205ff\u3000g\n", "@@\n-a b c d e f g\n", "" },
	{ "odd spaces at the ends", "\u00a0a\u3000\n", "@@\n-a\n+b\n", "b\n" },
	{ "neighbours of the mapped characters are themselves", "a\u2016b\n", "@@\n-a-b\n", NULL },
	{ "context keeps the file's own typography", "it\u2019s\nx\n", "@@\n it's\n-x\n+y\n",
	  "it\u2019s\ny\n" },

	{ "an empty last old line need not be there", "a\nb\n", "@@\n-a\n+x\n\n", "x\nb\n" },
	{ "an empty last old line that is there is used", "a\n\nb\n", "@@\n-a\n \n+x\n",
	  "\nx\nb\n" },
	{ "only one empty line is forgiven", "a\n", "@@\n-a\n\n\n", NULL },
	{ "a removed empty last line is forgiven", "a\nb\n", "@@\n-a\n-\n+x\n", "x\nb\n" },
	{ "an empty line before added ones is then added", "a\nb\n", "@@\n a\n\n+x\n",
	  "a\n\nx\nb\n" },

	{ "end of file wins over an earlier match", "a\nb\na\n", "@@\n-a\n+x\n*** End of File\n",
	  "a\nb\nx\n" },
	{ "end of file elsewhere is forgiven", "a\nb\n", "@@\n-a\n+x\n*** End of File\n",
	  "x\nb\n" },
	{ "end of file is not before the last chunk", "a\nb\n",
	  "@@\n a\n-b\n@@\n-b\n*** End of File\n", NULL },

	{ "pure insertion goes to the end", "a\nb\n", "@@\n+x\n+y\n", "a\nb\nx\ny\n" },
	{ "pure insertion into an empty file", "", "@@\n+x\n", "x\n" },
	{ "pure insertion behind its context", "a\nb\nc\n", "@@ a\n+x\n", "a\nx\nb\nc\n" },
	{ "insertion at the end, then a chunk before it", "a\nb\n", "@@\n+x\n@@\n-a\n", "b\nx\n" },
	{ "two insertions keep their order", "a\n", "@@\n+1\n@@\n+2\n", "a\n1\n2\n" },

	{ "no newline at the end stays so", "a\nb", "@@\n-a\n+x\n", "x\nb" },
	{ "no newline, the last line changes", "a\nb", "@@\n-b\n+x\n", "a\nx" },
	{ "no newline, lines are appended", "a", "@@\n+x\n", "a\nx" },
	{ "no newline, the last line goes", "a\nb", "@@\n-b\n", "a" },
	{ "no newline, everything goes", "a", "@@\n-a\n", "" },
	{ "CRLF is kept and given to new lines", "a\r\nb\r\n", "@@\n a\n-b\n+x\n", "a\r\nx\r\n" },
	{ "CRLF without an end", "a\r\nb", "@@\n-a\n+x\n", "x\r\nb" },
	{ "CRLF, appended without an end", "a\r\nb", "@@\n+x\n", "a\r\nb\r\nx" },
	{ "mixed ends stay where they are", "a\nb\r\nc\n", "@@\n-a\n+x\n b\n", "x\nb\r\nc\n" },
	{ "bytes that are no text stay", "\xff\xfe\nb\n", "@@\n-b\n+c\n", "\xff\xfe\nc\n" },
	{ "context alone changes nothing", "a\nb\n", "@@\n a\n b\n", "a\nb\n" },
};

/* Returns what patch_match() said; *out is the file or "". */
static int run(const char *file, size_t len, const char *chunks, struct buf *out,
	       struct patch_miss *miss)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(PATCH_TEXT_MAX);
	struct patch patch SCOPED(patch_deinit) = { 0 };
	struct err err = { 0 };

	assert_int_equal(buf_printf(&text, &err,
				    "*** Begin Patch\n*** Update File: f\n%s*** End Patch\n",
				    chunks),
			 0);
	assert_int_equal(patch_parse(&patch, text.data, text.len, &err), 0);
	return patch_match(out, &patch, patch.ops, &(struct patch_file){ file, len }, miss, &err);
}

static void chunks_apply_byte_for_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out SCOPED(buf_deinit) = BUF_INIT(4096);
		struct patch_miss miss = { 0 };
		int rc = run(rows[i].file, strlen(rows[i].file), rows[i].chunks, &out, &miss);

		if (!rows[i].result && (rc != ERR_NOTFOUND || out.len != 0))
			fail_msg("%s: %d '%s'", rows[i].name, rc, buf_str(&out));
		if (rows[i].result && (rc != 0 || strcmp(buf_str(&out), rows[i].result) != 0))
			fail_msg("%s: %d '%s'", rows[i].name, rc, buf_str(&out));
	}
}

static void a_miss_says_whether_it_was_the_context(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(4096);
	struct patch_miss miss = { 0 };

	(void)state;
	assert_int_equal(run("a\n", 2, "@@ b\n-a\n", &out, &miss), ERR_NOTFOUND);
	assert_true(miss.is_context);
	assert_int_equal(run("a\n", 2, "@@ a\n-b\n", &out, &miss), ERR_NOTFOUND);
	assert_false(miss.is_context);
}

static void a_file_may_be_64_mebibytes_and_no_byte_more(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(PATCH_FILE_MAX);
	struct patch_miss miss = { 0 };
	char *file = malloc(PATCH_FILE_MAX + 1);

	(void)state;
	assert_non_null(file);
	memset(file, 'x', PATCH_FILE_MAX + 1);
	file[1] = '\n';
	file[PATCH_FILE_MAX - 1] = '\n';
	assert_int_equal(run(file, PATCH_FILE_MAX, "@@\n-x\n+y\n", &out, &miss), 0);
	assert_int_equal(out.len, PATCH_FILE_MAX);
	assert_int_equal(out.data[0], 'y');
	assert_int_equal(run(file, PATCH_FILE_MAX + 1, "@@\n-x\n+y\n", &out, &miss), ERR_LIMIT);
	free(file);
}

/* Two thousand lines of "a" in a million of them, and no match: quadratic work ends in time. */
static void a_search_that_takes_too_long_is_given_up(void **state)
{
	struct buf chunks SCOPED(buf_deinit) = BUF_INIT(PATCH_TEXT_MAX);
	struct buf out SCOPED(buf_deinit) = BUF_INIT(PATCH_FILE_MAX);
	struct patch_miss miss = { 0 };
	struct err err = { 0 };
	size_t len = 4U << 20;
	char *file = malloc(len);

	(void)state;
	assert_non_null(file);
	for (size_t i = 0; i < len; i++)
		file[i] = i % 2 ? '\n' : 'a';
	assert_int_equal(buf_puts(&chunks, "@@\n", &err), 0);
	for (int i = 0; i < 8000; i++)
		assert_int_equal(buf_puts(&chunks, " a\n", &err), 0);
	assert_int_equal(buf_puts(&chunks, "-b\n", &err), 0);
	assert_int_equal(run(file, len, chunks.data, &out, &miss), ERR_LIMIT);
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(chunks_apply_byte_for_byte),
		FIXTURE_TEST(a_miss_says_whether_it_was_the_context),
		FIXTURE_TEST(a_file_may_be_64_mebibytes_and_no_byte_more),
		FIXTURE_TEST(a_search_that_takes_too_long_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
