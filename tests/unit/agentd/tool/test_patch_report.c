#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"

#include "agentd/tool/patch_parse.h"
#include "agentd/tool/patch_report.h"
#include "agentd/tool/patch_tree.h"
#include "tests/support/fixture.h"

static int setup(void **state)
{
	return fixture_setup(state) < 0 || chdir(fixture_dir()) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	return chdir("/") < 0 ? -1 : fixture_teardown(state);
}

static void put(const char *path, const char *text, size_t len)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

/* Carries the operations out; the report, decoded. */
static json_t *report_of(const char *ops)
{
	struct buf whole SCOPED(buf_deinit) = BUF_INIT(PATCH_TEXT_MAX);
	struct buf out SCOPED(buf_deinit) = BUF_INIT(PATCH_OUTPUT_MAX);
	struct buf line SCOPED(buf_deinit) = BUF_INIT(PATCH_REPORT_MAX);
	struct patch patch SCOPED(patch_deinit) = { 0 };
	struct patch_tree tree SCOPED(patch_tree_deinit) = { 0 };
	enum patch_state state = PATCH_UNVERIFIED;
	struct err err = { 0 };
	json_t *report;

	assert_int_equal(buf_printf(&whole, &err, "*** Begin Patch\n%s*** End Patch\n", ops), 0);
	assert_int_equal(patch_parse(&patch, whole.data, whole.len, &err), 0);
	assert_int_equal(patch_apply(&state, &tree, &patch, &out, &err), 0);
	assert_int_equal(patch_report(&line, state, &patch, &tree, &err), 0);
	assert_ptr_equal(strchr(line.data, '\n'), line.data + line.len - 1); /* one line */
	report = json_loadb(line.data, line.len, 0, NULL);
	assert_non_null(report);
	return report;
}

static const json_t *change(const json_t *report, size_t index)
{
	return json_array_get(json_object_get(report, "changes"), index);
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void a_change_has_path_kind_diff_and_texts(void **state)
{
	json_t *report;

	(void)state;
	put("u", "1\n", 2);
	put("d", "1\n", 2);
	put("m", "1\n", 2);
	report = report_of("*** Add File: a\n+x\n*** Update File: u\n@@\n-1\n+2\n"
			   "*** Delete File: d\n*** Update File: m\n*** Move to: n\n@@\n-1\n+3\n");
	assert_string_equal(text_of(report, "state"), "applied");
	assert_int_equal(json_array_size(json_object_get(report, "changes")), 4);
	assert_string_equal(text_of(change(report, 0), "path"), "a");
	assert_string_equal(text_of(change(report, 0), "kind"), "add");
	assert_string_equal(text_of(change(report, 0), "diff"), "@@ -0,0 +1,1 @@\n+x\n");
	assert_null(text_of(change(report, 0), "old_text"));
	assert_string_equal(text_of(change(report, 0), "new_text"), "x\n");
	assert_string_equal(text_of(change(report, 1), "kind"), "update");
	assert_string_equal(text_of(change(report, 1), "diff"), "@@ -1,1 +1,1 @@\n-1\n+2\n");
	assert_string_equal(text_of(change(report, 1), "old_text"), "1\n");
	assert_string_equal(text_of(change(report, 2), "kind"), "delete");
	assert_null(text_of(change(report, 2), "new_text"));
	assert_string_equal(text_of(change(report, 3), "kind"), "update");
	assert_string_equal(text_of(change(report, 3), "path"), "m");
	assert_string_equal(text_of(change(report, 3), "move_path"), "n");
	assert_string_equal(text_of(change(report, 3), "new_text"), "3\n");
	json_decref(report);
}

static void a_file_changed_twice_is_told_of_once(void **state)
{
	json_t *report;

	(void)state;
	put("f", "1\n", 2);
	report = report_of("*** Update File: f\n@@\n-1\n+2\n*** Update File: f\n@@\n-2\n+3\n");
	assert_int_equal(json_array_size(json_object_get(report, "changes")), 1);
	assert_string_equal(text_of(change(report, 0), "diff"), "@@ -1,1 +1,1 @@\n-1\n+3\n");
	json_decref(report);
}

static void what_was_not_written_is_not_told(void **state)
{
	json_t *report;

	(void)state;
	report = report_of("*** Delete File: f\n");
	assert_string_equal(text_of(report, "state"), "unverified");
	assert_int_equal(json_array_size(json_object_get(report, "changes")), 0);
	json_decref(report);
	put("f", "1\n", 2);
	report = report_of("*** Add File: f/x\n+1\n");
	assert_string_equal(text_of(report, "state"), "failed");
	json_decref(report);
}

static void bytes_that_are_no_text_are_replaced(void **state)
{
	json_t *report;

	(void)state;
	put("f", "\xff\n1\n", 4);
	report = report_of("*** Update File: f\n@@\n-1\n+2\n");
	assert_string_equal(text_of(change(report, 0), "old_text"), "\ufffd\n1\n");
	json_decref(report);
}

/* A file of `len` bytes with one changed line at its end. */
static json_t *report_long(size_t len)
{
	char *text = malloc(len);
	json_t *report;

	assert_non_null(text);
	memset(text, 'x', len);
	text[len - 3] = '\n';
	text[len - 2] = '1';
	text[len - 1] = '\n';
	put("f", text, len);
	free(text);
	report = report_of("*** Update File: f\n@@\n-1\n+2\n*** End of File\n");
	assert_string_equal(text_of(report, "state"), "applied");
	return report;
}

static void long_texts_are_left_out(void **state)
{
	json_t *report;

	(void)state;
	report = report_long(PATCH_REPORT_TEXT_MAX);
	assert_non_null(text_of(change(report, 0), "old_text"));
	json_decref(report);
	report = report_long(PATCH_REPORT_TEXT_MAX + 1);
	assert_null(text_of(change(report, 0), "old_text"));
	assert_string_equal(text_of(change(report, 0), "diff"),
			    "... the rest of this diff is left out ...\n");
	json_decref(report);
}

static void a_report_of_control_characters_stays_within_its_line(void **state)
{
	struct buf ops SCOPED(buf_deinit) = BUF_INIT(PATCH_TEXT_MAX);
	struct err err = { 0 };
	json_t *report;

	(void)state;
	for (int i = 0; i < 8; i++) {
		assert_int_equal(buf_printf(&ops, &err, "*** Add File: f%d\n+", i), 0);
		for (int k = 0; k < 60000; k++)
			assert_int_equal(buf_putc(&ops, '\x01', &err), 0);
		assert_int_equal(buf_putc(&ops, '\n', &err), 0);
	}
	report = report_of(ops.data);
	assert_string_equal(text_of(report, "state"), "applied");
	assert_int_equal(json_array_size(json_object_get(report, "changes")), 0);
	json_decref(report);
}

static void a_report_names_at_most_512_files(void **state)
{
	struct buf ops SCOPED(buf_deinit) = BUF_INIT(PATCH_TEXT_MAX);
	struct err err = { 0 };
	json_t *report;

	(void)state;
	for (unsigned i = 0; i < PATCH_REPORT_CHANGES_MAX + 1; i++)
		assert_int_equal(buf_printf(&ops, &err, "*** Add File: f%u\n+x\n", i), 0);
	report = report_of(ops.data);
	assert_int_equal(json_array_size(json_object_get(report, "changes")),
			 PATCH_REPORT_CHANGES_MAX);
	json_decref(report);
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(a_change_has_path_kind_diff_and_texts),
		ROW(a_file_changed_twice_is_told_of_once),
		ROW(what_was_not_written_is_not_told),
		ROW(bytes_that_are_no_text_are_replaced),
		ROW(long_texts_are_left_out),
		ROW(a_report_of_control_characters_stays_within_its_line),
		ROW(a_report_names_at_most_512_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
