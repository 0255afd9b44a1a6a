#include "tests/support/leak.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "tests/support/fixture.h"

#define END_WAIT_MS 30000
#define FDS_LOOKED_AT 1024

static void put(struct buf *out, const char *what, const char *detail)
{
	assert_int_equal(buf_printf(out, NULL, "[%s: %s] ", what, detail), 0);
}

/* ------------------------------------------------------------------ processes */

static pid_t parent_of(pid_t pid)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(65536);
	char path[64];
	const char *at;

	(void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	if (buf_read_file(&text, path, NULL) < 0)
		return 0;
	at = strstr(buf_str(&text), "\nPPid:");
	return at ? (pid_t)strtoll(at + 6, NULL, 10) : 0;
}

static bool descends(pid_t pid)
{
	pid_t self = getpid();

	for (int depth = 0; pid > 1 && depth < 64; depth++) {
		pid = parent_of(pid);
		if (pid == self)
			return true;
	}
	return false;
}

size_t leak_descendants(pid_t *out, size_t max)
{
	DIR *folder = opendir("/proc");
	struct dirent *entry;
	size_t count = 0;

	while (folder && (entry = readdir(folder)) && count < max) {
		pid_t pid = isdigit((unsigned char)entry->d_name[0])
				    ? (pid_t)strtoll(entry->d_name, NULL, 10)
				    : 0;

		if (pid > 0 && descends(pid))
			out[count++] = pid;
	}
	if (folder)
		(void)closedir(folder);
	return count;
}

static bool is_kept(pid_t pid, const pid_t *keep, size_t keep_count)
{
	for (size_t i = 0; i < keep_count; i++) {
		if (keep[i] == pid || parent_of(pid) == keep[i])
			return true;
	}
	return false;
}

static void describe_process(struct buf *out, pid_t pid)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(65536);
	char path[64];
	char name[256];

	(void)snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
	if (buf_read_file(&text, path, NULL) < 0)
		return;
	(void)snprintf(name, sizeof name, "%d %s", (int)pid, buf_str(&text));
	put(out, "a process is left", name);
}

/* Its end is an event. One that is no child of ours any more when it ends is not there either. */
static void await_end(pid_t pid, struct buf *out)
{
	struct pollfd end = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };

	if (end.fd < 0)
		return;
	if (poll(&end, 1, END_WAIT_MS) <= 0) {
		describe_process(out, pid);
		(void)kill(pid, SIGKILL);
		(void)poll(&end, 1, END_WAIT_MS);
	}
	fd_close(&end.fd);
}

static void reap_orphans(const pid_t *keep, size_t keep_count)
{
	pid_t all[LEAK_PROCESSES_MAX];
	size_t count = leak_descendants(all, ARRAY_LEN(all));

	for (size_t i = 0; i < count; i++) {
		if (!is_kept(all[i], keep, keep_count))
			(void)waitpid(all[i], NULL, WNOHANG);
	}
}

static void look_at_processes(const pid_t *keep, size_t keep_count, struct buf *out)
{
	pid_t all[LEAK_PROCESSES_MAX];
	size_t count = leak_descendants(all, ARRAY_LEN(all));

	for (size_t i = 0; i < count; i++) {
		if (!is_kept(all[i], keep, keep_count))
			await_end(all[i], out);
	}
	reap_orphans(keep, keep_count);
	count = leak_descendants(all, ARRAY_LEN(all));
	for (size_t i = 0; i < count; i++) {
		if (!is_kept(all[i], keep, keep_count))
			describe_process(out, all[i]);
	}
}

/* ------------------------------------------------------------------ what holds a namespace */

static void look_at_namespaces(struct buf *out)
{
	static const char *const kinds[] = { "user", "mnt", "pid", "net", "ipc", "uts", "cgroup" };

	for (int fd = 0; fd < FDS_LOOKED_AT; fd++) {
		char path[64];
		char target[256] = "";

		(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		if (readlink(path, target, sizeof target - 1) < 0)
			continue;
		for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
			size_t length = strlen(kinds[i]);

			if (strncmp(target, kinds[i], length) == 0 &&
			    strncmp(target + length, ":[", 2) == 0)
				put(out, "a namespace is held open", target);
		}
	}
}

/* ------------------------------------------------------------------ mounts, cgroups, files */

/* Of other tests that run now. */
static bool is_foreign(const char *line, size_t length)
{
	const char *at = memmem(line, length, "/agent-test-", 12);
	const char *own = fixture_dir();
	size_t size = strlen(own);

	return at && !memmem(line, length, own, size);
}

static void list_mounts(struct buf *out)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(LEAK_TEXT_MAX);

	assert_int_equal(buf_read_file(&text, "/proc/self/mountinfo", NULL), 0);
	for (const char *at = buf_str(&text); *at;) {
		size_t length = strcspn(at, "\n");

		if (!is_foreign(at, length))
			assert_int_equal(buf_append(out, at, length + 1, NULL), 0);
		at += length + 1;
	}
}

static struct buf *walked;

static int add_cgroup(const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)info;
	if (type == FTW_D && strstr(path + where->base, "agent") && !strstr(path, "agent-test"))
		assert_int_equal(buf_printf(walked, NULL, "%s\n", path), 0);
	return 0;
}

static int add_name(const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)type;
	(void)where;
	assert_int_equal(buf_printf(walked, NULL, "%s %o\n", path, info->st_mode), 0);
	return 0;
}

static void list_cgroups(struct buf *out)
{
	walked = out;
	(void)nftw("/sys/fs/cgroup", add_cgroup, 16, FTW_PHYS);
}

static void list_folders(struct buf *out, const char *const *watched)
{
	walked = out;
	for (size_t i = 0; watched && watched[i]; i++)
		(void)nftw(watched[i], add_name, 16, FTW_PHYS);
}

static bool has_line(const char *text, const char *line, size_t length)
{
	for (const char *at = text; *at; at += strcspn(at, "\n") + 1) {
		if (strcspn(at, "\n") == length && memcmp(at, line, length) == 0)
			return true;
		if (!at[strcspn(at, "\n")])
			break;
	}
	return false;
}

/* Lines that are new; and, where both ways count, those that are gone. */
static void compare(const struct buf *before, const struct buf *now, const char *what,
		    struct buf *out)
{
	for (const char *at = buf_str(now); *at;) {
		size_t length = strcspn(at, "\n");
		char line[512];

		(void)snprintf(line, sizeof line, "%.*s", (int)(length < 500 ? length : 500), at);
		if (!has_line(buf_str(before), at, length))
			put(out, what, line);
		at += length + (at[length] == '\n');
	}
}

static void look_at_abstract(struct buf *out)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(LEAK_TEXT_MAX);
	const char *at;

	if (buf_read_file(&text, "/proc/net/unix", NULL) < 0)
		return;
	at = strstr(buf_str(&text), " @agent-broker");
	if (!at)
		at = strstr(buf_str(&text), " @agentd");
	if (at)
		put(out, "an abstract socket is left", "of ours");
}

/* ------------------------------------------------------------------ all of it */

void leak_before(struct leak *leak, const char *const *watched)
{
	*leak = (struct leak){ .mounts = BUF_INIT(LEAK_TEXT_MAX),
			       .cgroups = BUF_INIT(LEAK_TEXT_MAX),
			       .folders = BUF_INIT(LEAK_TEXT_MAX),
			       .watched = watched };
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	(void)fixture_dir();
	list_mounts(&leak->mounts);
	list_cgroups(&leak->cgroups);
	list_folders(&leak->folders, watched);
}

void leak_after(struct leak *leak, const pid_t *keep, size_t keep_count, struct buf *out)
{
	struct leak now = { .mounts = BUF_INIT(LEAK_TEXT_MAX),
			    .cgroups = BUF_INIT(LEAK_TEXT_MAX),
			    .folders = BUF_INIT(LEAK_TEXT_MAX) };

	look_at_processes(keep, keep_count, out);
	look_at_namespaces(out);
	look_at_abstract(out);
	list_mounts(&now.mounts);
	list_cgroups(&now.cgroups);
	list_folders(&now.folders, leak->watched);
	compare(&leak->mounts, &now.mounts, "a mount is left", out);
	compare(&now.mounts, &leak->mounts, "a mount is gone", out);
	compare(&leak->cgroups, &now.cgroups, "a cgroup is left", out);
	compare(&leak->folders, &now.folders, "a file is left", out);
	compare(&now.folders, &leak->folders, "a file is gone", out);
	buf_deinit(&now.mounts);
	buf_deinit(&now.cgroups);
	buf_deinit(&now.folders);
	buf_deinit(&leak->mounts);
	buf_deinit(&leak->cgroups);
	buf_deinit(&leak->folders);
}

static struct leak fixture_leak;

/* Nothing of the fixture's folder is watched: the teardown removes it. */
int leak_setup(void **state)
{
	int rc = fixture_setup(state);

	if (rc == 0)
		leak_before(&fixture_leak, NULL);
	return rc;
}

int leak_teardown(void **state)
{
	struct buf what SCOPED(buf_deinit) = BUF_INIT(LEAK_TEXT_MAX);

	leak_after(&fixture_leak, NULL, 0, &what);
	if (buf_str(&what)[0])
		print_error("%s\n", buf_str(&what));
	return fixture_teardown(state) < 0 || buf_str(&what)[0] ? -1 : 0;
}
