#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/attr.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/wire/trusted.h"

#include "tests/support/fixture.h"

#define OTHER 12345U /* a user who is neither root nor the test's */

/* fixture_dir()/a/b/file, each as it should be. */
static char folder_a[512];
static char folder_b[512];
static char file[512];

static void make(void)
{
	int fd SCOPED(fd_close) = -1;

	(void)snprintf(folder_a, sizeof folder_a, "%s/a", fixture_dir());
	(void)snprintf(folder_b, sizeof folder_b, "%s/a/b", fixture_dir());
	(void)snprintf(file, sizeof file, "%s/a/b/file", fixture_dir());
	assert_int_equal(mkdir(folder_a, 0755), 0);
	assert_int_equal(mkdir(folder_b, 0755), 0);
	fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	assert_int_equal(write(fd, "x", 1), 1);
}

static int try(const char *path, bool own, struct err *err)
{
	int fd SCOPED(fd_close) = -1;
	char byte = 0;

	if (trusted_open(&fd, path, own, err) < 0) {
		assert_int_equal(fd, -1);
		return err->code;
	}
	assert_int_equal(read(fd, &byte, 1), 1);
	return 0;
}

static void a_file_whose_whole_way_is_ones_own_is_opened(void **state)
{
	struct err err = { 0 };

	(void)state;
	make();
	if (try(file, true, &err) < 0)
		fail_msg("%s", err.text);
}

static void a_file_of_the_system_is_opened(void **state)
{
	struct err err = { 0 };

	(void)state;
	if (try("/etc/passwd", false, &err) < 0)
		fail_msg("%s", err.text);
	if (try("//etc///passwd", false, &err) < 0)
		fail_msg("%s", err.text);
}

static void what_is_in_a_folder_of_everybody_is_not_the_systems(void **state)
{
	struct err err = { 0 };

	(void)state;
	make(); /* below /tmp */
	assert_int_equal(try(file, false, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "'/tmp'"));
}

static void what_is_not_there_is_told_apart(void **state)
{
	static const char *const rows[] = { "/nonexistent", "/etc/nonexistent/file",
					    "/etc/nonexistent" };
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(try(rows[i], false, &err), ERR_NOTFOUND);
}

static void what_is_no_path_of_a_file_is_refused(void **state)
{
	static const char *const rows[] = { "", "etc/passwd", "/", "/etc/", "/etc", "/dev/null" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = { 0 };
		int rc = try(rows[i], false, &err);

		if (rc != ERR_INVALID && rc != ERR_DENIED)
			fail_msg("'%s': %d %s", rows[i], rc, err.text);
	}
}

static void others_may_write_nowhere_on_the_way(void **state)
{
	const struct {
		const char *path;
		mode_t mode;
		bool ok;
	} rows[] = {
		{ file, 0644, true },      { file, 0600, true },      { file, 0664, false },
		{ file, 0646, false },     { file, 0666, false },     { folder_b, 0700, true },
		{ folder_b, 0775, false }, { folder_b, 0757, false }, { folder_a, 0777, false },
		{ folder_a, 01777, true }, /* as /tmp, for one's own */
	};

	(void)state;
	make();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = { 0 };
		struct stat before = { 0 };
		int rc;

		assert_int_equal(stat(rows[i].path, &before), 0);
		assert_int_equal(chmod(rows[i].path, rows[i].mode), 0);
		rc = try(file, true, &err);
		assert_int_equal(chmod(rows[i].path, before.st_mode & 07777), 0);
		if ((rc == 0) != rows[i].ok)
			fail_msg("%s %o: %s", rows[i].path, rows[i].mode, err.text);
		if (rc < 0 && (rc != ERR_DENIED || !strstr(err.text, "chmod go-w")))
			fail_msg("%s: no mend in: %s", rows[i].path, err.text);
	}
}

static void no_symbolic_link_is_followed(void **state)
{
	char link_file[600];
	char link_folder[600];
	char through[640];
	struct err err = { 0 };

	(void)state;
	make();
	(void)snprintf(link_file, sizeof link_file, "%s/link", folder_b);
	(void)snprintf(link_folder, sizeof link_folder, "%s/c", folder_a);
	(void)snprintf(through, sizeof through, "%s/file", link_folder);
	assert_int_equal(symlink("file", link_file), 0);
	assert_int_equal(symlink("b", link_folder), 0);
	assert_int_equal(try(link_file, true, &err), ERR_SYSTEM);
	assert_int_equal(try(through, true, &err), ERR_SYSTEM);
}

static void another_users_file_or_folder_is_refused(void **state)
{
	const char *const rows[] = { file, folder_b, folder_a };

	(void)state;
	if (geteuid() != 0)
		skip(); /* only root can give a file away */
	make();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = { 0 };

		assert_int_equal(chown(rows[i], OTHER, OTHER), 0);
		assert_int_equal(try(file, true, &err), ERR_DENIED);
		assert_non_null(strstr(err.text, "belongs to uid 12345"));
		assert_int_equal(chown(rows[i], 0, 0), 0);
	}
}

static void a_named_pipe_holds_nobody(void **state)
{
	char pipe_path[600];
	struct err err = { 0 };

	(void)state;
	make();
	(void)snprintf(pipe_path, sizeof pipe_path, "%s/pipe", folder_b);
	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	assert_int_equal(try(pipe_path, true, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "not a regular file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_file_whose_whole_way_is_ones_own_is_opened),
		FIXTURE_TEST(a_file_of_the_system_is_opened),
		FIXTURE_TEST(what_is_in_a_folder_of_everybody_is_not_the_systems),
		FIXTURE_TEST(what_is_not_there_is_told_apart),
		FIXTURE_TEST(what_is_no_path_of_a_file_is_refused),
		FIXTURE_TEST(others_may_write_nowhere_on_the_way),
		FIXTURE_TEST(no_symbolic_link_is_followed),
		FIXTURE_TEST(another_users_file_or_folder_is_refused),
		FIXTURE_TEST(a_named_pipe_holds_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
