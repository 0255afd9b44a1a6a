#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"

#include "agentd/tool/patch_parse.h"
#include "tests/support/fixture.h"

#define BEGIN "*** Begin Patch\n"
#define END "*** End Patch\n"
#define UPDATE BEGIN "*** Update File: f\n"
#define PRINTED_MAX ((size_t)PATCH_TEXT_MAX * 2)

/* A text, and the same patch in its plain form. */
static const struct {
	const char *name;
	const char *text;
	const char *plain;
} good[] = {
	{ "add", BEGIN "*** Add File: a/b\n+one\n+\n+ two\n" END, NULL },
	{ "add of an empty file", BEGIN "*** Add File: a\n" END, NULL },
	{ "delete", BEGIN "*** Delete File: a b\n" END, NULL },
	{ "update", UPDATE "@@\n a\n-b\n+c\n" END, NULL },
	{ "update with a context", UPDATE "@@ def f():\n-b\n" END, NULL },
	{ "update with a move", UPDATE "*** Move to: g/h\n@@\n-b\n" END, NULL },
	{ "several chunks", UPDATE "@@\n-a\n@@ x\n-b\n" END, NULL },
	{ "end of file", UPDATE "@@\n-a\n*** End of File\n" END, NULL },
	{ "several files",
	  BEGIN "*** Add File: a\n+1\n*** Delete File: b\n*** Update File: c\n@@\n+x\n" END, NULL },
	{ "no operation", BEGIN END, NULL },
	{ "absolute path", BEGIN "*** Delete File: /etc/x\n" END, NULL },
	{ "marks inside a file stay lines", BEGIN "*** Add File: a\n+*** End Patch\n" END, NULL },

	{ "white space around the whole", " \n\n" BEGIN "*** Delete File: a\n" END "\n \n",
	  BEGIN "*** Delete File: a\n" END },
	{ "white space around markers",
	  "  *** Begin Patch  \n \t*** Delete File: a  \n  *** End Patch  ",
	  BEGIN "*** Delete File: a\n" END },
	{ "no newline at the end", BEGIN "*** Delete File: a\n*** End Patch",
	  BEGIN "*** Delete File: a\n" END },
	{ "here-doc", "<<EOF\n" BEGIN "*** Delete File: a\n" END "EOF",
	  BEGIN "*** Delete File: a\n" END },
	{ "here-doc, single quotes", "<<'EOF'\n" BEGIN "*** Delete File: a\n" END "EOF\n",
	  BEGIN "*** Delete File: a\n" END },
	{ "here-doc, double quotes", "<<\"EOF\"\n" BEGIN "*** Delete File: a\n" END "EOF\n",
	  BEGIN "*** Delete File: a\n" END },
	{ "first chunk without @@", UPDATE " a\n-b\n" END, UPDATE "@@\n a\n-b\n" END },
	{ "blank lines between chunks", UPDATE "\n  \n@@\n-a\n*** End of File\n\n@@\n-b\n" END,
	  UPDATE "@@\n-a\n*** End of File\n@@\n-b\n" END },
	{ "an empty line in a chunk is context", UPDATE "@@\n a\n\n-b\n" END,
	  UPDATE "@@\n a\n \n-b\n" END },
	{ "blank lines between files", BEGIN "\n*** Delete File: a\n\n*** Delete File: b\n" END,
	  BEGIN "*** Delete File: a\n*** Delete File: b\n" END },
	{ "CRLF", "*** Begin Patch\r\n*** Update File: f\r\n@@ x\r\n-a\r\n+b\r\n*** End Patch\r\n",
	  UPDATE "@@ x\n-a\n+b\n" END },
	{ "@@ with spaces only has no context", UPDATE "@@  \n-a\n" END, UPDATE "@@\n-a\n" END },
	{ "a folder's name is a file's", BEGIN "*** Add File: dir/\n+x\n" END,
	  BEGIN "*** Add File: dir\n+x\n" END },
};

#define HEADERS                                                                                    \
	" is not a valid hunk header. Valid hunk headers: '*** Add File: {path}', "                \
	"'*** Delete File: {path}', '*** Update File: {path}'"
#define FIRST "invalid patch: The first line of the patch must be '*** Begin Patch'"
#define LAST "invalid patch: The last line of the patch must be '*** End Patch'"
#define LINES                                                                                      \
	" Every line should start with ' ' (context line), '+' (added line), or '-' (removed "     \
	"line)"

static const struct {
	const char *name;
	const char *text;
	const char *error;
} bad[] = {
	{ "nothing", "", FIRST },
	{ "no first mark", "*** Delete File: a\n" END, FIRST },
	{ "no last mark", BEGIN "*** Delete File: a\n", LAST },
	{ "the first mark alone", "*** Begin Patch", LAST },
	{ "text behind the last mark", BEGIN END "bye", LAST },
	{ "here-doc without its end", "<<EOF\n" BEGIN END "EO", FIRST },
	{ "here-doc in a here-doc", "<<EOF\n<<EOF\n" BEGIN END "EOF\nEOF", FIRST },
	{ "unknown header", BEGIN "*** Rename File: a\n" END,
	  "invalid hunk at line 2, '*** Rename File: a'" HEADERS },
	{ "unknown header, later", BEGIN "*** Delete File: a\nx\n" END,
	  "invalid hunk at line 3, 'x'" HEADERS },
	{ "no path", BEGIN "*** Add File: \n+x\n" END,
	  "invalid hunk at line 2, the path is missing" },
	{ "no path to move to", UPDATE "*** Move to: \n-x\n" END,
	  "invalid hunk at line 3, the path is missing" },
	{ "the root is no file", BEGIN "*** Add File: //\n" END,
	  "invalid hunk at line 2, the path is missing" },
	{ "empty update", UPDATE END,
	  "invalid hunk at line 2, Update file hunk for path 'f' is empty" },
	{ "only a move", UPDATE "*** Move to: g\n" END,
	  "invalid hunk at line 2, Update file hunk for path 'f' is empty" },
	{ "chunk without lines", UPDATE "@@\n" END,
	  "invalid hunk at line 4, Update hunk does not contain any lines" },
	{ "end of file without lines", UPDATE "@@\n*** End of File\n" END,
	  "invalid hunk at line 4, Update hunk does not contain any lines" },
	{ "two @@ in a row", UPDATE "@@ a\n@@ b\n-c\n" END,
	  "invalid hunk at line 4, Unexpected line found in update hunk: '@@ b'." LINES },
	{ "bad prefix", UPDATE "@@\n*a\n" END,
	  "invalid hunk at line 4, Unexpected line found in update hunk: '*a'." LINES },
	{ "second chunk without @@", UPDATE "@@\n-a\nb\n" END,
	  "invalid hunk at line 5, Expected update hunk to start with a @@ context marker, got: "
	  "'b'" },
	{ "@@ glued to text", UPDATE "@@\n-a\n@@x\n-b\n" END,
	  "invalid hunk at line 5, Expected update hunk to start with a @@ context marker, got: "
	  "'@@x'" },
	{ "remote environment", BEGIN "*** Environment ID: x\n*** Delete File: a\n" END,
	  "invalid hunk at line 2, '*** Environment ID: x' names a remote environment, and there "
	  "is none" },
	{ "remote environment, too late", BEGIN "*** Delete File: a\n*** Environment ID: x\n" END,
	  "invalid hunk at line 3, '*** Environment ID: x'" HEADERS },
};

static char *printed(const char *name, const char *text)
{
	struct patch patch SCOPED(patch_deinit) = { 0 };
	struct buf out SCOPED(buf_deinit) = BUF_INIT(PRINTED_MAX);
	struct err err = { 0 };

	if (patch_parse(&patch, text, strlen(text), &err) < 0)
		fail_msg("%s: %s", name, err.text);
	assert_int_equal(patch_print(&out, &patch, &err), 0);
	return buf_take(&out);
}

static void a_patch_is_read_as_what_its_plain_form_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		const char *plain = good[i].plain ? good[i].plain : good[i].text;
		char *once = printed(good[i].name, good[i].text);
		char *twice = printed(good[i].name, once);

		if (strcmp(once, plain) != 0 || strcmp(twice, plain) != 0)
			fail_msg("%s: '%s' is not '%s'", good[i].name, once, plain);
		free(once);
		free(twice);
	}
}

static void a_wrong_patch_is_refused_with_its_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct patch patch = { 0 };
		struct err err = { 0 };
		int rc = patch_parse(&patch, bad[i].text, strlen(bad[i].text), &err);

		if (rc != ERR_INVALID || strcmp(err.text, bad[i].error) != 0)
			fail_msg("%s: %d '%s'", bad[i].name, rc, err.text);
		assert_null(patch.text);
	}
}

static int parse_len(const char *text, size_t len)
{
	struct patch patch SCOPED(patch_deinit) = { 0 };
	struct err err = { 0 };

	return patch_parse(&patch, text, len, &err);
}

/* A patch of exactly len bytes that adds one long line. */
static int parse_sized(size_t len)
{
	static const char head[] = BEGIN "*** Add File: a\n+";
	static const char tail[] = "\n" END;
	struct buf text SCOPED(buf_deinit) = BUF_INIT(len);
	struct err err = { 0 };

	assert_int_equal(buf_puts(&text, head, &err), 0);
	while (text.len + strlen(tail) < len)
		assert_int_equal(buf_putc(&text, 'x', &err), 0);
	assert_int_equal(buf_puts(&text, tail, &err), 0);
	assert_int_equal(text.len, len);
	return parse_len(text.data, text.len);
}

static void a_patch_may_be_four_mebibytes_and_no_byte_more(void **state)
{
	(void)state;
	assert_int_equal(parse_sized(PATCH_TEXT_MAX), 0);
	assert_int_equal(parse_sized(PATCH_TEXT_MAX + 1), ERR_LIMIT);
}

static int parse_files(size_t count)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(PATCH_TEXT_MAX);
	struct err err = { 0 };

	assert_int_equal(buf_puts(&text, BEGIN, &err), 0);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(buf_printf(&text, &err, "*** Delete File: %zu\n", i), 0);
	assert_int_equal(buf_puts(&text, END, &err), 0);
	return parse_len(text.data, text.len);
}

static void a_patch_may_touch_4096_files_and_no_more(void **state)
{
	(void)state;
	assert_int_equal(parse_files(PATCH_OPS_MAX), 0);
	assert_int_equal(parse_files(PATCH_OPS_MAX + 1), ERR_INVALID);
}

static int parse_path(size_t len)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(PATCH_TEXT_MAX);
	struct err err = { 0 };

	assert_int_equal(buf_puts(&text, BEGIN "*** Delete File: ", &err), 0);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(buf_putc(&text, 'p', &err), 0);
	assert_int_equal(buf_puts(&text, "\n" END, &err), 0);
	return parse_len(text.data, text.len);
}

static void a_path_may_be_as_long_as_the_kernel_takes_it(void **state)
{
	(void)state;
	assert_int_equal(parse_path(PATCH_PATH_MAX), 0);
	assert_int_equal(parse_path(PATCH_PATH_MAX + 1), ERR_INVALID);
}

static void a_nul_byte_is_no_part_of_a_patch(void **state)
{
	static const char text[] = BEGIN "*** Add File: a\n+\0\n" END;

	(void)state;
	assert_int_equal(parse_len(text, sizeof text - 1), ERR_INVALID);
}

static void every_path_is_listed_and_moves_count_twice(void **state)
{
	static const char text[] = BEGIN
		"*** Add File: a\n*** Delete File: b\n*** Update File: c\n*** Move to: d\n-x\n" END;
	static const char *const want[] = { "a", "b", "c", "d" };
	struct patch patch SCOPED(patch_deinit) = { 0 };
	struct err err = { 0 };
	const char **paths = NULL;
	size_t count = 0;

	(void)state;
	assert_int_equal(patch_parse(&patch, text, strlen(text), &err), 0);
	assert_int_equal(patch_paths(&patch, &paths, &count, &err), 0);
	assert_int_equal(count, ARRAY_LEN(want));
	for (size_t i = 0; i < count; i++)
		assert_string_equal(paths[i], want[i]);
	free(paths);
}

static void a_buffer_without_room_stays_as_it_was(void **state)
{
	static const char text[] = BEGIN "*** Delete File: a\n" END;
	struct patch patch SCOPED(patch_deinit) = { 0 };
	struct buf out SCOPED(buf_deinit) = BUF_INIT(sizeof text - 2);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(patch_parse(&patch, text, strlen(text), &err), 0);
	assert_int_equal(patch_print(&out, &patch, &err), ERR_LIMIT);
	assert_int_equal(out.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_patch_is_read_as_what_its_plain_form_says),
		FIXTURE_TEST(a_wrong_patch_is_refused_with_its_line),
		FIXTURE_TEST(a_patch_may_be_four_mebibytes_and_no_byte_more),
		FIXTURE_TEST(a_patch_may_touch_4096_files_and_no_more),
		FIXTURE_TEST(a_path_may_be_as_long_as_the_kernel_takes_it),
		FIXTURE_TEST(a_nul_byte_is_no_part_of_a_patch),
		FIXTURE_TEST(every_path_is_listed_and_moves_count_twice),
		FIXTURE_TEST(a_buffer_without_room_stays_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
