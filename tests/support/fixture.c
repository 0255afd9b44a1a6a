#include "tests/support/fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FD_WATCHED 1024

static struct {
	bool open[FD_WATCHED];
	char dir[PATH_MAX];
	char file[PATH_MAX];
	char source[PATH_MAX];
} fixture;

static void look(bool *open)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;

	memset(open, 0, FD_WATCHED * sizeof *open);
	if (!folder) {
		fail_msg("/proc is not mounted");
		return;
	}
	while ((entry = readdir(folder))) {
		long fd = entry->d_name[0] == '.' ? -1 : strtoll(entry->d_name, NULL, 10);

		if (fd >= 0 && fd < FD_WATCHED && fd != dirfd(folder))
			open[fd] = true;
	}
	(void)closedir(folder);
}

static void name_descriptor(int fd, char *out, size_t size)
{
	char link[64];
	ssize_t length;

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	length = readlink(link, out, size - 1);
	out[length > 0 ? length : 0] = '\0';
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)info;
	(void)type;
	(void)where;
	return remove(path);
}

int fixture_setup(void **state)
{
	(void)state;
	fixture.dir[0] = '\0';
	look(fixture.open);
	return 0;
}

int fixture_teardown(void **state)
{
	static bool now[FD_WATCHED];
	int rc = 0;

	(void)state;
	if (fixture.dir[0])
		(void)nftw(fixture.dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	look(now);
	for (int fd = 0; fd < FD_WATCHED; fd++) {
		char target[PATH_MAX];

		if (now[fd] == fixture.open[fd])
			continue;
		name_descriptor(fd, target, sizeof target);
		print_error("descriptor %d %s %s\n", fd,
			    now[fd] ? "left open:" : "closed by a test that did not open it",
			    target);
		rc = -1;
	}
	return rc;
}

const char *fixture_dir(void)
{
	const char *base = getenv("TMPDIR");

	if (fixture.dir[0])
		return fixture.dir;
	(void)snprintf(fixture.dir, sizeof fixture.dir, "%s/agent-test-XXXXXX",
		       base ? base : "/tmp");
	if (!mkdtemp(fixture.dir))
		fail_msg("no temporary folder '%s'", fixture.dir);
	return fixture.dir;
}

const char *fixture_file(const char *name, const void *data, size_t size)
{
	int length = snprintf(fixture.file, sizeof fixture.file, "%s/%s", fixture_dir(), name);
	int fd;

	assert_in_range(length, 1, sizeof fixture.file - 1);
	fd = open(fixture.file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	assert_int_equal(close(fd), 0);
	return fixture.file;
}

const char *fixture_source(const char *path)
{
	const char *top = getenv("AGENT_TEST_SRC");
	int length;

	if (!top)
		fail_msg("AGENT_TEST_SRC is not set; run the tests with ctest");
	length = snprintf(fixture.source, sizeof fixture.source, "%s/%s", top, path);
	assert_in_range(length, 1, sizeof fixture.source - 1);
	return fixture.source;
}
