/*
 * A delegated subtree made of plain files, which show what is written. That the kernel takes it is
 * tried in tests/flow/test_system.c.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/sys/cgroup.h"

#include "tests/support/fixture.h"

#define PATH_SIZE 4200

static void make_file(const char *name, const char *text)
{
	(void)fixture_file(name, text, strlen(text));
}

static void make_folder(const char *name)
{
	char path[PATH_SIZE];

	(void)snprintf(path, sizeof path, "%s/%s", fixture_dir(), name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void expect_file(const char *name, const char *want)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(4096);
	char path[PATH_SIZE];

	(void)snprintf(path, sizeof path, "%s/%s", fixture_dir(), name);
	assert_int_equal(buf_read_file(&text, path, NULL), 0);
	if (strcmp(buf_str(&text), want) != 0)
		fail_msg("%s: '%s'", name, buf_str(&text));
}

static unsigned leaves; /* made so far, by whose number the next one is called */

static void make_leaf(const char *without)
{
	static const char *const files[] = { "pids.max", "memory.max", "memory.swap.max",
					     "cpu.max" };
	char name[64];

	(void)snprintf(name, sizeof name, "ceiling-%u", ++leaves);
	make_folder(name);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		(void)snprintf(name, sizeof name, "ceiling-%u/%s", leaves, files[i]);
		if (!without || strcmp(files[i], without) != 0)
			make_file(name, "");
	}
}

static void expect_in_leaf(const char *file, const char *want)
{
	char name[64];

	(void)snprintf(name, sizeof name, "ceiling-%u/%s", leaves, file);
	expect_file(name, want);
}

/* mark: of the delegation, or NULL. */
static rlim_t as_rlimit(int64_t bound, rlim_t unit)
{
	return bound > 0 ? (rlim_t)bound * unit : RLIM_INFINITY;
}

static void start(const char *controllers, const char *mark, const int64_t limits[CGROUP_COUNT])
{
	make_file("cgroup.controllers", controllers);
	make_file("cgroup.subtree_control", "");
	if (mark && setxattr(fixture_dir(), "user.delegate", mark, 1, 0) < 0)
		skip(); /* a file system without attributes */
	cgroup_start(open(fixture_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), limits);
}

static int setup(void **state)
{
	(void)fixture_setup(state);
	make_folder("broker");
	make_file("broker/cgroup.procs", "");
	return 0;
}

static int teardown(void **state)
{
	cgroup_start(-1, (const int64_t[CGROUP_COUNT]){ 0 }); /* forgets the folder */
	return fixture_teardown(state);
}

#define CGROUP_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

static void each_leaf_has_the_limits(void **state)
{
	static const struct row {
		int64_t limits[CGROUP_COUNT];
		const char *pids, *memory, *swap, *cpu;
	} rows[] = {
		{ { 100, 64, 150 }, "100", "67108864", "0", "150000 100000" },
		{ { 8, 16, 1 }, "8", "16777216", "0", "1000 100000" },
		{ { 0, 0, 0 }, "2048", "", "", "" },
	};
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int leaf SCOPED(fd_close) = -1;

		make_leaf(NULL);
		start("cpuset cpu io memory pids rdma\n", "1", rows[i].limits);
		assert_int_equal(cgroup_leaf(&leaf, &err), 0);
		assert_true(leaf >= 0);
		expect_in_leaf("pids.max", rows[i].pids);
		expect_in_leaf("memory.max", rows[i].memory);
		expect_in_leaf("memory.swap.max", rows[i].swap);
		expect_in_leaf("cpu.max", rows[i].cpu);
		assert_true(cgroup_rlimit(CGROUP_PIDS) == RLIM_INFINITY);
		assert_true(cgroup_rlimit(CGROUP_MEMORY) == RLIM_INFINITY);
	}
	expect_file("broker/cgroup.procs", "0");
}

static void what_no_controller_holds_is_left_to_rlimits_and_said_so(void **state)
{
	static const struct row {
		const char *controllers;
		const char *mark;
		int64_t limits[CGROUP_COUNT];
		const char *texts[CGROUP_COUNT];
		int64_t pids, memory;
	} rows[] = {
		{ "cpu memory pids\n",
		  "1",
		  { 100, 64, 150 },
		  { "processes 100 (cgroup)", "memory 64 MiB (cgroup)",
		    "processor 150 % (cgroup)" },
		  0,
		  0 },
		{ "hugetlb pids\n",
		  "1",
		  { 0, 64, 150 },
		  { "processes 2048 (cgroup)", "memory 64 MiB (rlimit, of each process)",
		    "processor 150 % (not enforced: no cgroup is delegated)" },
		  0,
		  64 },
		{ "cpu memory pids\n", "0", { 7, 0, 0 }, { "processes 7 (rlimit)" }, 7, 0 },
		{ "cpu memory pids\n", NULL, { 0, 0, 0 }, { "processes 2048 (rlimit)" }, 2048, 0 },
	};

	(void)state;
	for (size_t i = ARRAY_LEN(rows); i-- > 0;) {
		const char *texts[CGROUP_COUNT] = { NULL };
		size_t count;

		start(rows[i].controllers, rows[i].mark, rows[i].limits);
		count = cgroup_limits(texts, true);
		for (size_t k = 0; k < CGROUP_COUNT; k++) {
			if (k < count ? !str_eq(texts[k], rows[i].texts[k]) : !!rows[i].texts[k])
				fail_msg("row %zu: %s", i, k < count ? texts[k] : "nothing");
		}
		assert_true(cgroup_rlimit(CGROUP_PIDS) == as_rlimit(rows[i].pids, 1));
		assert_true(cgroup_rlimit(CGROUP_MEMORY) == as_rlimit(rows[i].memory, 1048576));
	}
	/* With full access there are no rlimits. */
	start("pids\n", "0", rows[0].limits);
	assert_int_equal(cgroup_limits((const char *[CGROUP_COUNT]){ NULL }, false), 0);
}

static void a_limit_that_cannot_be_set_is_a_failure(void **state)
{
	static const char *const files[] = { "pids.max", "memory.max", "memory.swap.max",
					     "cpu.max" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		int leaf = -1;
		struct err err = { 0 };

		make_leaf(files[i]);
		start("cpu memory pids\n", "1", (const int64_t[]){ 100, 64, 150 });
		assert_int_equal(cgroup_leaf(&leaf, &err), ERR_SYSTEM);
		assert_int_equal(leaf, -1);
		assert_non_null(strstr(err.text, files[i]));
	}
}

static void without_a_subtree_there_is_no_leaf_and_no_failure(void **state)
{
	struct err err = { 0 };
	int leaf = 0;

	(void)state;
	start("pids\n", "0", (const int64_t[]){ 100, 64, 150 });
	leaves++;
	assert_int_equal(cgroup_leaf(&leaf, &err), 0);
	assert_int_equal(leaf, -1);
	cgroup_sweep(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CGROUP_TEST(each_leaf_has_the_limits),
		CGROUP_TEST(what_no_controller_holds_is_left_to_rlimits_and_said_so),
		CGROUP_TEST(a_limit_that_cannot_be_set_is_a_failure),
		CGROUP_TEST(without_a_subtree_there_is_no_leaf_and_no_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
