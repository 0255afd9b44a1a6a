#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"

#include "agentd/tool/patch_apply.h"
#include "agentd/tool/patch_parse.h"
#include "agentd/tool/patch_tree.h"
#include "tests/support/fixture.h"

#define SUCCESS "Success. Updated the following files:\n"

/* Each test works in its own folder. */
static int setup(void **state)
{
	return fixture_setup(state) < 0 || chdir(fixture_dir()) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	return chdir("/") < 0 ? -1 : fixture_teardown(state);
}

static void put(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

static void holds(const char *path, const char *text)
{
	struct buf got SCOPED(buf_deinit) = BUF_INIT(65536);
	struct err err = { 0 };

	if (buf_read_file(&got, path, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(buf_str(&got), text);
}

static bool missing(const char *path)
{
	struct stat info = { 0 };

	return lstat(path, &info) < 0;
}

static enum patch_state apply(const char *ops, char *text, size_t size)
{
	struct buf whole SCOPED(buf_deinit) = BUF_INIT(PATCH_TEXT_MAX);
	struct buf out SCOPED(buf_deinit) = BUF_INIT(PATCH_OUTPUT_MAX);
	struct patch patch SCOPED(patch_deinit) = { 0 };
	struct patch_tree tree SCOPED(patch_tree_deinit) = { 0 };
	enum patch_state state = PATCH_UNVERIFIED;
	struct err err = { 0 };

	assert_int_equal(buf_printf(&whole, &err, "*** Begin Patch\n%s*** End Patch\n", ops), 0);
	if (patch_parse(&patch, whole.data, whole.len, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(patch_apply(&state, &tree, &patch, &out, &err), 0);
	(void)snprintf(text, size, "%s", buf_str(&out));
	return state;
}

static void succeeds(const char *ops, const char *list)
{
	char text[4096];
	char want[4096];

	(void)snprintf(want, sizeof want, SUCCESS "%s", list);
	if (apply(ops, text, sizeof text) != PATCH_APPLIED)
		fail_msg("%s", text);
	assert_string_equal(text, want);
}

static void fails(const char *ops, enum patch_state state, const char *why)
{
	char text[4096];

	assert_int_equal(apply(ops, text, sizeof text), state);
	assert_string_equal(text, why);
}

static void the_list_says_added_modified_deleted_and_moves_by_destination(void **state)
{
	(void)state;
	put("d", "1\n");
	put("m", "1\n");
	put("v", "1\n");
	succeeds("*** Delete File: d\n*** Update File: m\n@@\n-1\n+2\n*** Add File: a\n+x\n"
		 "*** Update File: v\n*** Move to: w\n@@\n-1\n+3\n",
		 "A a\nM m\nM w\nD d\n");
	holds("m", "2\n");
	holds("a", "x\n");
	holds("w", "3\n");
	assert_true(missing("d") && missing("v"));
}

static void an_add_overwrites_an_existing_file(void **state)
{
	(void)state;
	put("f", "old\nlonger\n");
	succeeds("*** Add File: f\n+new\n", "A f\n");
	holds("f", "new\n");
}

static void an_add_makes_its_folders(void **state)
{
	(void)state;
	succeeds("*** Add File: a/b//c/f\n+x\n", "A a/b//c/f\n");
	holds("a/b/c/f", "x\n");
}

static void an_add_of_a_folders_name_makes_a_file(void **state)
{
	(void)state;
	succeeds("*** Add File: dir/\n+x\n", "A dir\n");
	holds("dir", "x\n");
}

static void an_add_onto_a_folder_is_refused(void **state)
{
	(void)state;
	assert_int_equal(mkdir("d", 0700), 0);
	fails("*** Add File: d\n+x\n", PATCH_UNVERIFIED,
	      "Failed to write file d: Is a directory\n");
}

static void an_update_of_a_missing_file_cannot_be_verified(void **state)
{
	(void)state;
	fails("*** Update File: f\n@@\n-x\n", PATCH_UNVERIFIED,
	      "Failed to read file to update f: No such file or directory\n");
}

static void an_update_of_a_dangling_link_cannot_be_verified(void **state)
{
	(void)state;
	assert_int_equal(symlink("nowhere", "f"), 0);
	fails("*** Update File: f\n@@\n-x\n", PATCH_UNVERIFIED,
	      "Failed to read file to update f: No such file or directory\n");
}

static void a_delete_of_a_missing_file_cannot_be_verified(void **state)
{
	(void)state;
	fails("*** Delete File: f\n", PATCH_UNVERIFIED,
	      "Failed to read file to delete f: No such file or directory\n");
}

static void a_delete_of_a_folder_cannot_be_verified(void **state)
{
	(void)state;
	assert_int_equal(mkdir("d", 0700), 0);
	fails("*** Delete File: d\n", PATCH_UNVERIFIED,
	      "Failed to read file to delete d: Is a directory\n");
}

static void what_is_no_file_is_left_alone(void **state)
{
	(void)state;
	assert_int_equal(mkfifo("p", 0600), 0);
	fails("*** Delete File: p\n", PATCH_UNVERIFIED,
	      "Failed to read file to delete p: Not a regular file\n");
	fails("*** Add File: p\n+x\n", PATCH_UNVERIFIED,
	      "Failed to write file p: Not a regular file\n");
}

static void a_move_overwrites_and_removes_its_source(void **state)
{
	(void)state;
	put("from", "1\n");
	put("to", "something longer\n");
	succeeds("*** Update File: from\n*** Move to: to\n@@\n-1\n+2\n", "M to\n");
	holds("to", "2\n");
	assert_true(missing("from"));
}

static void a_move_to_itself_is_an_update(void **state)
{
	(void)state;
	put("f", "1\n");
	succeeds("*** Update File: f\n*** Move to: ./f\n@@\n-1\n+2\n", "M ./f\n");
	holds("f", "2\n");
}

static void a_moved_file_keeps_its_mode(void **state)
{
	struct stat info = { 0 };

	(void)state;
	put("f", "1\n");
	assert_int_equal(chmod("f", 0750), 0);
	succeeds("*** Update File: f\n*** Move to: d/g\n@@\n-1\n+2\n", "M d/g\n");
	assert_int_equal(stat("d/g", &info), 0);
	assert_int_equal(info.st_mode & 07777, 0750);
}

static void an_update_keeps_the_mode(void **state)
{
	struct stat info = { 0 };

	(void)state;
	put("f", "1\n");
	assert_int_equal(chmod("f", 0754), 0);
	succeeds("*** Update File: f\n@@\n-1\n+2\n", "M f\n");
	assert_int_equal(stat("f", &info), 0);
	assert_int_equal(info.st_mode & 07777, 0754);
}

static void an_update_writes_through_a_symbolic_link(void **state)
{
	struct stat info = { 0 };

	(void)state;
	put("target", "1\n");
	assert_int_equal(symlink("target", "link"), 0);
	succeeds("*** Update File: link\n@@\n-1\n+2\n", "M link\n");
	holds("target", "2\n");
	assert_int_equal(lstat("link", &info), 0);
	assert_true(S_ISLNK(info.st_mode));
}

static void an_add_writes_through_a_dangling_link(void **state)
{
	(void)state;
	assert_int_equal(symlink("target", "link"), 0);
	succeeds("*** Add File: link\n+x\n", "A link\n");
	holds("target", "x\n");
}

static void a_delete_removes_the_link_and_not_its_target(void **state)
{
	(void)state;
	put("target", "1\n");
	assert_int_equal(symlink("target", "link"), 0);
	succeeds("*** Delete File: link\n", "D link\n");
	assert_true(missing("link"));
	holds("target", "1\n");
}

static void a_hard_link_is_written_in_place(void **state)
{
	(void)state;
	put("a", "1\n");
	assert_int_equal(link("a", "b"), 0);
	succeeds("*** Update File: a\n@@\n-1\n+2\n", "M a\n");
	holds("b", "2\n");
}

static void two_names_of_one_file_share_their_content(void **state)
{
	(void)state;
	put("a", "1\n2\n");
	assert_int_equal(link("a", "b"), 0);
	succeeds("*** Update File: a\n@@\n-1\n+x\n*** Update File: b\n@@\n-2\n+y\n", "M a\nM b\n");
	holds("a", "x\ny\n");
}

static void later_operations_see_what_earlier_ones_did(void **state)
{
	(void)state;
	put("f", "1\n");
	succeeds("*** Update File: f\n@@\n-1\n+2\n*** Update File: f\n@@\n-2\n+3\n"
		 "*** Add File: g\n+a\n*** Update File: g\n@@\n a\n+b\n",
		 "A g\nM f\nM f\nM g\n");
	holds("f", "3\n");
	holds("g", "a\nb\n");
}

static void a_file_deleted_and_added_is_rewritten(void **state)
{
	struct stat info = { 0 };

	(void)state;
	put("f", "1\n");
	assert_int_equal(chmod("f", 0700), 0);
	succeeds("*** Delete File: f\n*** Add File: f\n+2\n", "A f\nD f\n");
	holds("f", "2\n");
	assert_int_equal(stat("f", &info), 0);
	assert_int_equal(info.st_mode & 07777, 0700);
}

static void one_operation_that_does_not_fit_stops_all(void **state)
{
	(void)state;
	put("f", "1\n");
	fails("*** Add File: new\n+x\n*** Delete File: f\n*** Update File: g\n@@\n-1\n",
	      PATCH_UNVERIFIED, "Failed to read file to update g: No such file or directory\n");
	holds("f", "1\n");
	assert_true(missing("new"));
}

static void lines_that_are_missing_are_repeated(void **state)
{
	(void)state;
	put("f", "1\n");
	fails("*** Update File: f\n@@\n 1\n-2\n+x\n", PATCH_UNVERIFIED,
	      "Failed to find expected lines in f:\n1\n2\n");
	fails("*** Update File: f\n@@ head\n-1\n", PATCH_UNVERIFIED,
	      "Failed to find context 'head' in f\n");
}

static void a_parent_that_is_a_file_fails_the_write_and_undoes_the_rest(void **state)
{
	(void)state;
	put("f", "1\n");
	put("g", "1\n");
	fails("*** Update File: g\n@@\n-1\n+2\n*** Add File: new\n+x\n*** Add File: f/x\n+x\n",
	      PATCH_FAILED, "Failed to write file f/x: Not a directory\n");
	holds("f", "1\n");
	holds("g", "1\n");
	assert_true(missing("new"));
}

static void an_empty_patch_is_rejected(void **state)
{
	(void)state;
	fails("", PATCH_UNVERIFIED, "patch rejected: empty patch\n");
}

static void absolute_paths_are_taken(void **state)
{
	char ops[4096];
	char list[4096];

	(void)state;
	(void)snprintf(ops, sizeof ops, "*** Add File: %s/abs\n+x\n", fixture_dir());
	(void)snprintf(list, sizeof list, "A %s/abs\n", fixture_dir());
	succeeds(ops, list);
	holds("abs", "x\n");
}

static void line_ends_and_a_missing_last_one_are_kept(void **state)
{
	(void)state;
	put("crlf", "a\r\nb\r\n");
	put("open", "a\nb");
	succeeds("*** Update File: crlf\n@@\n-b\n+c\n*** Update File: open\n@@\n-b\n+c\n",
		 "M crlf\nM open\n");
	holds("crlf", "a\r\nc\r\n");
	holds("open", "a\nc");
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(the_list_says_added_modified_deleted_and_moves_by_destination),
		ROW(an_add_overwrites_an_existing_file),
		ROW(an_add_makes_its_folders),
		ROW(an_add_of_a_folders_name_makes_a_file),
		ROW(an_add_onto_a_folder_is_refused),
		ROW(an_update_of_a_missing_file_cannot_be_verified),
		ROW(an_update_of_a_dangling_link_cannot_be_verified),
		ROW(a_delete_of_a_missing_file_cannot_be_verified),
		ROW(a_delete_of_a_folder_cannot_be_verified),
		ROW(what_is_no_file_is_left_alone),
		ROW(a_move_overwrites_and_removes_its_source),
		ROW(a_move_to_itself_is_an_update),
		ROW(a_moved_file_keeps_its_mode),
		ROW(an_update_keeps_the_mode),
		ROW(an_update_writes_through_a_symbolic_link),
		ROW(an_add_writes_through_a_dangling_link),
		ROW(a_delete_removes_the_link_and_not_its_target),
		ROW(a_hard_link_is_written_in_place),
		ROW(two_names_of_one_file_share_their_content),
		ROW(later_operations_see_what_earlier_ones_did),
		ROW(a_file_deleted_and_added_is_rewritten),
		ROW(one_operation_that_does_not_fit_stops_all),
		ROW(lines_that_are_missing_are_repeated),
		ROW(a_parent_that_is_a_file_fails_the_write_and_undoes_the_rest),
		ROW(an_empty_patch_is_rejected),
		ROW(absolute_paths_are_taken),
		ROW(line_ends_and_a_missing_last_one_are_kept),
	};

	(void)umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
