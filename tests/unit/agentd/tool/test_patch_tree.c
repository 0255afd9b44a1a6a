/* Without memory, at any allocation, an edit fails as such and changes nothing. */

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"

#include "agentd/tool/diff.h"
#include "agentd/tool/patch_commit.h"
#include "agentd/tool/patch_parse.h"
#include "agentd/tool/patch_tree.h"
#include "tests/support/alloc_fail.h"
#include "tests/support/fixture.h"

static const char patch_text[] = "*** Begin Patch\n"
				 "*** Update File: f\n@@\n-1\n+2\n"
				 "*** Add File: new/g\n+x\n"
				 "*** Delete File: h\n"
				 "*** Update File: l\n*** Move to: m\n@@\n-1\n+2\n"
				 "*** End Patch\n";

static void put(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

static void clear(void)
{
	(void)unlink("f");
	(void)unlink("h");
	(void)unlink("l");
	(void)unlink("m");
	(void)unlink("t");
	(void)unlink("new/g");
	(void)rmdir("new");
}

static bool exists(const char *path)
{
	struct stat info = { 0 };

	return lstat(path, &info) == 0;
}

static int edit(void *context)
{
	struct patch patch SCOPED(patch_deinit) = { 0 };
	struct patch_tree tree SCOPED(patch_tree_deinit) = { 0 };
	struct buf why SCOPED(buf_deinit) = BUF_INIT(4096);
	struct err err = { 0 };
	int rc = patch_parse(&patch, patch_text, strlen(patch_text), &err);

	(void)context;
	if (rc == 0)
		rc = patch_tree_build(&tree, &patch, &why, &err);
	if (rc == 0)
		rc = patch_commit(&tree, &err);
	if (rc < 0 && (exists("new") || exists("m") || !exists("h") || !exists("l")))
		fail_msg("something has changed");
	return rc;
}

/* Files are made with stdio, whose allocations are not the edit's: so before each run. */
static void without_memory_nothing_changes(void **state)
{
	(void)state;
	for (size_t nth = 1; nth < 1000; nth++) {
		int rc;

		clear();
		put("f", "1\n");
		put("h", "1\n");
		put("t", "1\n");
		assert_int_equal(symlink("t", "l"), 0);
		alloc_fail_at(nth);
		rc = edit(NULL);
		if (alloc_fail_count() < nth) {
			alloc_fail_at(0);
			assert_int_equal(rc, 0);
			assert_true(nth > 10);
			return;
		}
		alloc_fail_at(0);
		assert_int_equal(rc, ERR_NOMEM);
	}
	fail_msg("an edit allocates without end");
}

static int compare(void *context)
{
	static const char before[] = "1\n2\n3\n4\n5\n6\n";
	static const char after[] = "1\n2\nx\n4\n5\n7\n";
	struct buf out SCOPED(buf_deinit) = BUF_INIT(4096);
	struct err err = { 0 };
	bool cut = false;

	(void)context;
	return diff_unified(&out, &(struct diff_text){ before, strlen(before) },
			    &(struct diff_text){ after, strlen(after) }, &cut, &err);
}

static void without_memory_there_is_no_diff(void **state)
{
	(void)state;
	alloc_fail_each(compare, NULL);
}

static int setup(void **state)
{
	return fixture_setup(state) < 0 || chdir(fixture_dir()) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	alloc_fail_at(0);
	return chdir("/") < 0 ? -1 : fixture_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_memory_nothing_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(without_memory_there_is_no_diff, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
