/* Every system call of a commit fails once, at every place, and the tree is then as it was. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "agentd/tool/patch_commit.h"
#include "agentd/tool/patch_parse.h"
#include "agentd/tool/patch_tree.h"
#include "tests/support/fixture.h"

#define SNAPSHOT_MAX (1U << 20)
#define RUNS_MAX 200

/* Calls are counted over all wrapped functions; the one that was chosen fails. */
static size_t calls;
static size_t failing;
static int failure;
static bool cannot_reserve;
static bool removal_failed; /* by then other files may be gone for good */

int __wrap_open(const char *path, int flags, ...);
int __real_open(const char *path, int flags, ...);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __real_write(int fd, const void *data, size_t size);
int __wrap_rename(const char *from, const char *to);
int __real_rename(const char *from, const char *to);
int __wrap_unlink(const char *path);
int __real_unlink(const char *path);
int __wrap_mkdir(const char *path, mode_t mode);
int __real_mkdir(const char *path, mode_t mode);
int __wrap_ftruncate(int fd, off_t size);
int __real_ftruncate(int fd, off_t size);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t size);
int __real_fallocate(int fd, int mode, off_t offset, off_t size);

static bool fails_now(void)
{
	if (failing == 0 || ++calls != failing)
		return false;
	errno = failure;
	return true;
}

int __wrap_open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode = 0;

	va_start(args, flags);
	if (flags & O_CREAT)
		mode = va_arg(args, mode_t);
	va_end(args);
	return fails_now() ? -1 : __real_open(path, flags, mode);
}

/* Half of the bytes arrive before the disk is full. */
ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	if (fails_now())
		return -1;
	return __real_write(fd, data, failing && size > 1 ? size / 2 : size);
}

int __wrap_rename(const char *from, const char *to)
{
	return fails_now() ? -1 : __real_rename(from, to);
}

int __wrap_unlink(const char *path)
{
	if (!fails_now())
		return __real_unlink(path);
	removal_failed = true;
	return -1;
}

int __wrap_mkdir(const char *path, mode_t mode)
{
	return fails_now() ? -1 : __real_mkdir(path, mode);
}

int __wrap_ftruncate(int fd, off_t size)
{
	return fails_now() ? -1 : __real_ftruncate(fd, size);
}

int __wrap_fallocate(int fd, int mode, off_t offset, off_t size)
{
	if (cannot_reserve) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return fails_now() ? -1 : __real_fallocate(fd, mode, offset, size);
}

static void put(const char *path, const char *text, mode_t mode)
{
	int fd SCOPED(fd_close) = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct err err = { 0 };

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text), &err), 0);
	assert_int_equal(fchmod(fd, mode), 0);
}

/* Type, mode, inode and content of everything below the folder, sorted by name. */
static void snapshot(struct buf *out, const char *folder, bool inodes)
{
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, NULL, alphasort);
	struct err err = { 0 };

	assert_true(count >= 0);
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;
		char path[PATH_MAX];
		struct stat info = { 0 };

		(void)snprintf(path, sizeof path, "%s/%s", folder, name);
		assert_int_equal(lstat(path, &info), 0);
		if (!str_eq(name, ".") && !str_eq(name, ".."))
			assert_int_equal(
				buf_printf(out, &err, "%s %o %lu\n", path, info.st_mode,
					   inodes && !S_ISDIR(info.st_mode) ? info.st_ino : 0),
				0);
		if (S_ISREG(info.st_mode))
			assert_int_equal(buf_read_file(out, path, &err), 0);
		if (S_ISDIR(info.st_mode) && !str_eq(name, ".") && !str_eq(name, ".."))
			snapshot(out, path, inodes);
		free(entries[i]);
	}
	free(entries);
}

static const char patch_text[] = "*** Begin Patch\n"
				 "*** Update File: longer\n@@\n-1\n+22222222222222\n"
				 "*** Update File: shorter\n@@\n-1111111111111111\n+2\n"
				 "*** Update File: link\n@@\n-1\n+2\n"
				 "*** Add File: new/deep/file\n+new\n"
				 "*** Add File: over\n+over\n"
				 "*** Delete File: gone\n"
				 "*** Delete File: gone_link\n"
				 "*** Update File: from\n*** Move to: moved/to\n@@\n-1\n+2\n"
				 "*** Add File: dangling\n+x\n"
				 "*** End Patch\n";

static void build(void)
{
	put("longer", "0\n1\n", 0640);
	put("shorter", "1111111111111111\n3\n", 0600);
	put("target", "1\n", 0600);
	put("over", "a long text that is replaced by a short one\n", 0755);
	put("gone", "x\n", 0711);
	put("from", "1\n", 0750);
	assert_int_equal(symlink("target", "link"), 0);
	assert_int_equal(symlink("target", "gone_link"), 0);
	assert_int_equal(symlink("nothing", "dangling"), 0);
}

/* Builds and carries out the patch with the nth call failing. */
static int run(size_t nth, int why, bool *ended)
{
	struct patch patch SCOPED(patch_deinit) = { 0 };
	struct patch_tree tree SCOPED(patch_tree_deinit) = { 0 };
	struct buf text SCOPED(buf_deinit) = BUF_INIT(4096);
	struct err err = { 0 };
	int rc;

	assert_int_equal(patch_parse(&patch, patch_text, strlen(patch_text), &err), 0);
	failure = why;
	removal_failed = false;
	assert_int_equal(patch_tree_build(&tree, &patch, &text, &err), 0);
	calls = 0;
	failing = nth;
	rc = patch_commit(&tree, &err);
	*ended = calls < nth;
	failing = 0;
	if (rc < 0 && strncmp(err.text, "Failed to ", 10) != 0)
		fail_msg("call %zu: '%s'", nth, err.text);
	if (rc < 0 && strstr(err.text, "could not be restored"))
		fail_msg("call %zu: '%s'", nth, err.text);
	return rc;
}

/* Not only equal files: the very same inodes. */
static void same_files(const struct buf *before, size_t nth)
{
	struct buf after SCOPED(buf_deinit) = BUF_INIT(SNAPSHOT_MAX);

	snapshot(&after, ".", true);
	if (strcmp(buf_str(before), buf_str(&after)) != 0)
		fail_msg("call %zu left\n%s\ninstead of\n%s", nth, buf_str(&after),
			 buf_str(before));
}

static void sweep(int why)
{
	for (size_t nth = 1; nth < RUNS_MAX; nth++) {
		struct buf before SCOPED(buf_deinit) = BUF_INIT(SNAPSHOT_MAX);
		struct buf after SCOPED(buf_deinit) = BUF_INIT(SNAPSHOT_MAX);
		struct buf same SCOPED(buf_deinit) = BUF_INIT(SNAPSHOT_MAX);
		bool ended = false;
		char folder[32];
		int rc;

		(void)snprintf(folder, sizeof folder, "run%zu", nth);
		assert_int_equal(mkdir(folder, 0700), 0);
		assert_int_equal(chdir(folder), 0);
		build();
		snapshot(&before, ".", false);
		snapshot(&same, ".", true);
		rc = run(nth, why, &ended);
		snapshot(&after, ".", false);
		if (rc < 0 && !removal_failed)
			same_files(&same, nth);
		if (rc < 0 && strcmp(buf_str(&before), buf_str(&after)) != 0)
			fail_msg("call %zu left\n%s\ninstead of\n%s", nth, buf_str(&after),
				 buf_str(&before));
		assert_int_equal(chdir(".."), 0);
		if (ended) {
			assert_int_equal(rc, 0);
			assert_true(nth > 20); /* or the sweep has seen nothing */
			return;
		}
		if (rc == 0)
			fail_msg("call %zu failed unnoticed", nth);
	}
	fail_msg("the patch makes more than %d calls", RUNS_MAX);
}

static void a_full_disk_at_any_moment_leaves_the_tree_as_it_was(void **state)
{
	(void)state;
	sweep(ENOSPC);
}

static void a_read_only_place_at_any_moment_leaves_the_tree_as_it_was(void **state)
{
	(void)state;
	sweep(EROFS);
}

static void where_room_cannot_be_reserved_it_is_written_without(void **state)
{
	bool ended = false;

	(void)state;
	build();
	cannot_reserve = true;
	assert_int_equal(run(0, 0, &ended), 0);
	cannot_reserve = false;
}

static int build_tree(struct patch_tree *tree, struct patch *patch)
{
	static const char text[] =
		"*** Begin Patch\n*** Update File: f\n@@\n-1\n+2\n*** End Patch\n";
	struct buf why SCOPED(buf_deinit) = BUF_INIT(4096);
	struct err err = { 0 };

	put("f", "1\n", 0600);
	assert_int_equal(patch_parse(patch, text, strlen(text), &err), 0);
	return patch_tree_build(tree, patch, &why, &err);
}

static void a_file_that_changed_since_it_was_read_is_not_overwritten(void **state)
{
	struct patch patch SCOPED(patch_deinit) = { 0 };
	struct patch_tree tree SCOPED(patch_tree_deinit) = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(build_tree(&tree, &patch), 0);
	assert_int_equal(truncate("f", 5), 0);
	assert_int_equal(patch_commit(&tree, &err), ERR_STATE);
	assert_string_equal(err.text, "Failed to write file f: it changed meanwhile");
}

static void a_file_that_was_replaced_since_it_was_read_is_not_overwritten(void **state)
{
	struct patch patch SCOPED(patch_deinit) = { 0 };
	struct patch_tree tree SCOPED(patch_tree_deinit) = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(build_tree(&tree, &patch), 0);
	put("g", "1\n", 0600);
	assert_int_equal(rename("g", "f"), 0);
	assert_int_equal(patch_commit(&tree, &err), ERR_STATE);
	assert_string_equal(err.text, "Failed to write file f: it was replaced meanwhile");
}

static int setup(void **state)
{
	return fixture_setup(state) < 0 || chdir(fixture_dir()) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	failing = 0;
	return chdir("/") < 0 ? -1 : fixture_teardown(state);
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(a_full_disk_at_any_moment_leaves_the_tree_as_it_was),
		ROW(a_read_only_place_at_any_moment_leaves_the_tree_as_it_was),
		ROW(where_room_cannot_be_reserved_it_is_written_without),
		ROW(a_file_that_changed_since_it_was_read_is_not_overwritten),
		ROW(a_file_that_was_replaced_since_it_was_read_is_not_overwritten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
