#include "tests/unit/broker/sandboxed.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/order.h"

#include "tests/support/fixture.h"

struct did did;

static const char *const environment[] = { "PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C" };

char dir[PATH_MAX];
char desk[PATH_MAX];
char outside[PATH_MAX];
char hidden[PATH_MAX];

void shell(const char *script)
{
	char *argv[] = { (char[]){ "sh" }, (char[]){ "-ec" }, (char *)(uintptr_t)script, NULL };
	int status = 1;
	pid_t pid = fork();

	if (pid == 0) {
		if (chdir(dir) == 0)
			(void)execvp("sh", argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		fail_msg("the host's shell failed: %s", script);
}

int sandboxed_setup(void **state)
{
	int rc = fixture_setup(state);

	if (rc == 0 && !realpath(fixture_dir(), dir))
		return -1;
	(void)snprintf(desk, sizeof desk, "%.4000s/desk", dir);
	(void)snprintf(outside, sizeof outside, "%.4000s/outside", dir);
	(void)snprintf(hidden, sizeof hidden, "%.4000s/hidden", dir);
	shell("mkdir desk outside hidden; echo secret > hidden/file; echo old > outside/file");
	return rc;
}

bool exists(const char *name)
{
	char path[2 * PATH_MAX];
	struct stat st;

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	return lstat(path, &st) == 0;
}

/* Workspace-write in `desk`, without the host's temporary folders. */
struct sandbox_config in_desk(void)
{
	static const char *folders[] = { hidden };

	return (struct sandbox_config){ .mode = SANDBOX_MODE_WORKSPACE_WRITE,
					.cwd = desk,
					.exclude_slash_tmp = true,
					.exclude_tmpdir = true,
					.hidden = folders,
					.hidden_count = 1 };
}

void free_sandbox(struct sandbox **sandbox)
{
	sandbox_close(*sandbox);
}

/* The broker's main loop does this. */
void reap_all(void)
{
	while (waitpid(-1, NULL, 0) > 0)
		;
}

void start(struct sandbox *sandbox, const char *const *argv, const char *cwd, const int stdio[3],
	   struct started *out)
{
	struct command command = { .argv = argv, .env = environment, .envc = 2, .cwd = cwd };
	int block SCOPED(fd_close) = -1;
	struct order order;
	struct err err = { 0 };

	while (argv[command.argc])
		command.argc++;
	if (order_pack(&order, &block, &command, &err) < 0 ||
	    sandbox_start(sandbox, &order, (int[]){ stdio[0], stdio[1], stdio[2], block }, out,
			  &err) < 0)
		fail_msg("%s", err.text);
}

void await(int fd)
{
	struct pollfd news = { .fd = fd, .events = POLLIN };

	while (poll(&news, 1, -1) < 0)
		;
}

/* Waits for the next report; fills `did`. */
enum child_event next_event(struct started *started)
{
	struct child_report report = { 0 };
	struct err err = { 0 };

	while (report.event == CHILD_NOTHING) {
		await(started->status_fd);
		if (sandbox_report(started, &report, &err) < 0)
			fail_msg("%s", err.text);
	}
	if (report.event == CHILD_DENIED)
		did.denials[did.denial_count++] = report.denial;
	if (report.event == CHILD_EXITED)
		did.status = report.wait_status;
	if (report.event == CHILD_FAILED)
		did.failure = report.err;
	return report.event;
}

void finish(struct started *started)
{
	while (next_event(started) != CHILD_GONE)
		;
	await(started->pidfd);
}

void begin(void)
{
	did.status = -1;
	did.out[0] = '\0';
	did.denial_count = 0;
	did.failure = (struct err){ 0 };
}

static void read_all(int fd)
{
	size_t used = 0;
	ssize_t got;

	while ((got = read(fd, did.out + used, sizeof did.out - 1 - used)) > 0)
		used += (size_t)got;
	did.out[used] = '\0';
}

void run_in(struct sandbox *sandbox, const char *const *argv, const char *cwd)
{
	struct started started SCOPED(started_deinit) = STARTED_NONE;
	int null SCOPED(fd_close) = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int ends[2];
	struct err err = { 0 };

	begin();
	assert_int_equal(fd_pipe(ends, &err), 0);
	start(sandbox, argv, cwd, (int[]){ null, ends[1], ends[1] }, &started);
	(void)close(ends[1]);
	read_all(ends[0]);
	(void)close(ends[0]);
	finish(&started);
}

struct sandbox *open_or_fail(const struct sandbox_config *config)
{
	struct sandbox *sandbox = NULL;
	struct err err = { 0 };

	if (sandbox_open(&sandbox, config, &err) < 0)
		fail_msg("%s", err.text);
	return sandbox;
}

/* One shell script in a sandbox of its own. */
void run_script(const struct sandbox_config *config, const char *script)
{
	struct sandbox *sandbox SCOPED(free_sandbox) = open_or_fail(config);
	const char *argv[] = { "sh", "-c", script, NULL };

	run_in(sandbox, argv, config->cwd);
	sandbox_close(TAKE(sandbox));
	reap_all();
}

void expect_out(const char *what)
{
	if (!strstr(did.out, what))
		fail_msg("'%s' is not in: %s%s", what, did.out, did.failure.text);
}

void expect_denied(enum denial_rule rule, const char *target)
{
	for (size_t i = 0; i < did.denial_count; i++) {
		const struct denial *denial = &did.denials[i];

		if (denial->rule == rule && str_ends(denial->target, target))
			return;
		print_error("rule %u %s '%s'\n", denial->rule, denial->operation, denial->target);
	}
	fail_msg("no denial of rule %d, '%s': %s", (int)rule, target, did.out);
}
