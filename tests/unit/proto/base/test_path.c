#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/path.h"
#include "proto/base/str.h"

#include "tests/support/fixture.h"

static void beneath_means_strictly_beneath_and_within_the_folder_too(void **state)
{
	static const struct row {
		const char *path;
		const char *folder;
		bool beneath;
	} rows[] = {
		{ "/a/b", "/a", true },  { "/a", "/a", false },   { "/ab", "/a", false },
		{ "/a", "/", true },     { "/", "/", false },     { "/a/b/c", "/a", true },
		{ "/a", "/a/b", false }, { "/a/b", "/b", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool within = rows[i].beneath || str_eq(rows[i].path, rows[i].folder);

		if (path_beneath(rows[i].path, rows[i].folder) != rows[i].beneath ||
		    path_within(rows[i].path, rows[i].folder) != within)
			fail_msg("%s %s", rows[i].path, rows[i].folder);
	}
}

static void a_folder_and_a_name_become_a_path_unless_it_is_too_long(void **state)
{
	char path[PATH_MAX];
	char folder[PATH_MAX];
	char name[PATH_MAX];

	(void)state;
	assert_true(path_join(path, "/a", "b"));
	assert_string_equal(path, "/a/b");
	assert_true(path_join(path, "/", "b"));
	assert_string_equal(path, "/b");
	memset(name, 'n', sizeof name);
	name[PATH_MAX - 4] = '\0'; /* "/a/" and this: one byte is left for the end */
	assert_true(path_join(path, "/a", name));
	name[PATH_MAX - 4] = 'n';
	name[PATH_MAX - 3] = '\0';
	assert_false(path_join(path, "/a", name));
	assert_string_equal(path, "");
	path_folder(folder, "/a/b/c");
	assert_string_equal(folder, "/a/b");
	path_folder(folder, "/a");
	assert_string_equal(folder, "");
}

struct told {
	size_t count;
	char last[PATH_MAX];
	bool refuse;
};

static int tell(void *context, const char *path, struct err *err)
{
	struct told *told = context;

	told->count++;
	(void)snprintf(told->last, sizeof told->last, "%s", path);
	return told->refuse ? ERR_SET(err, ERR_DENIED, "told") : 0;
}

static void links_are_followed_and_told_each_by_its_own_path(void **state)
{
	char base[] = "/tmp/agent-path-XXXXXX";
	char real[PATH_MAX];
	char path[PATH_MAX];
	char expected[PATH_MAX + 16];
	char link[PATH_MAX + 16];
	struct told told = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_non_null(mkdtemp(base));
	assert_non_null(realpath(base, real));
	(void)snprintf(expected, sizeof expected, "%s/end", real);
	assert_int_equal(mkdir(expected, 0700), 0);
	(void)snprintf(link, sizeof link, "%s/one", real);
	assert_int_equal(symlink("two", link), 0);
	(void)snprintf(link, sizeof link, "%s/two", real);
	assert_int_equal(symlink(expected, link), 0);

	assert_int_equal(path_follow(path, real, "one", tell, &told, &err), 0);
	assert_string_equal(path, expected);
	assert_int_equal(told.count, 2);
	assert_string_equal(told.last, link);
	assert_int_equal(path_follow(path, real, "absent/x", tell, &told, &err), 0);
	assert_string_equal(path, "");
	assert_int_equal(path_follow(path, real, "../..", tell, &told, &err), 0);
	assert_string_equal(path, "/");
	told.refuse = true;
	assert_int_equal(path_follow(path, real, "one", tell, &told, &err), ERR_DENIED);

	(void)unlink(link);
	assert_int_equal(symlink("one", link), 0); /* in a ring */
	told = (struct told){ 0 };
	assert_int_equal(path_follow(path, real, "one", tell, &told, &err), 0);
	assert_string_equal(path, "");
	assert_int_equal(told.count, PATH_LINKS_MAX + 1);

	(void)unlink(link);
	(void)rmdir(expected);
	(void)snprintf(link, sizeof link, "%s/one", real);
	(void)unlink(link);
	(void)rmdir(real);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(beneath_means_strictly_beneath_and_within_the_folder_too),
		FIXTURE_TEST(a_folder_and_a_name_become_a_path_unless_it_is_too_long),
		FIXTURE_TEST(links_are_followed_and_told_each_by_its_own_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
