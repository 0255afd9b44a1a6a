/*
 * Every system call on the way into the sandbox fails once, one after the other. Each time the
 * command must not run and the sentence must name the step; or all layers must be there
 * nevertheless.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/wire/order.h"

#include "broker/sandbox.h"
#include "tests/support/fixture.h"

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
int __wrap_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
int __real_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
int __wrap_setrlimit(__rlimit_resource_t resource, const struct rlimit *limit);
int __real_setrlimit(__rlimit_resource_t resource, const struct rlimit *limit);
int __wrap_dup2(int from, int to);
int __real_dup2(int from, int to);

/* Shared by all processes of the sandbox. */
static struct counter {
	int calls;   /* so far */
	int failing; /* the one that fails; 0: none */
	long number; /* what it was, and the first argument of a prctl */
	long option;
} * counter;

/* One of the calls that a whole sandbox can do without. */
static bool is_spare(void)
{
	static const long spare[] = {
		SYS_pidfd_send_signal, /* ends a zygote, which also sees EOF */
		SYS_clone3             /* instead of which there is the older call */
	};

	for (size_t i = 0; i < ARRAY_LEN(spare); i++) {
		if (counter->number == spare[i])
			return true;
	}
	return false;
}

static bool fails(long number, long option)
{
	if (__atomic_add_fetch(&counter->calls, 1, __ATOMIC_SEQ_CST) != counter->failing)
		return false;
	counter->number = number;
	counter->option = option;
	errno = EPERM;
	return true;
}

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	return fails(number, 0) ? -1 : __real_syscall(number, a, b, c, d, e, f);
}

int __wrap_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	/* The questions about the bounding set end with a refusal; asking is not a step. */
	if (option == PR_CAPBSET_READ)
		return __real_prctl(option, a, b, c, d);
	return fails(SYS_prctl, option) ? -1 : __real_prctl(option, a, b, c, d);
}

int __wrap_setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
	return fails(SYS_setrlimit, (long)resource) ? -1 : __real_setrlimit(resource, limit);
}

int __wrap_dup2(int from, int to)
{
	return fails(SYS_dup2, to) ? -1 : __real_dup2(from, to);
}

/* What came of one start: the command's own words about its layers, or the sentence. */
struct attempt {
	char out[512];
	struct err failure;
	bool executed;
};

static const char look[] = "grep -cE '^(Cap(Inh|Prm|Eff|Bnd|Amb):.0000000000000000|NoNewPrivs:.1|"
			   "Seccomp:.2|Seccomp_filters:.1)$' /proc/self/status; ulimit -Hn; "
			   "echo x > .git/x; echo x > ../x; echo x > mine; cat ../hidden/secret";

static void collect(struct started *started, struct attempt *out)
{
	struct child_report report = { 0 };
	struct pollfd gone = { .fd = started->pidfd, .events = POLLIN };
	struct err err = { 0 };

	while (report.event != CHILD_GONE) {
		struct pollfd news = { .fd = started->status_fd, .events = POLLIN };

		(void)poll(&news, 1, -1);
		if (sandbox_report(started, &report, &err) < 0)
			fail_msg("%s", err.text);
		out->executed = out->executed || report.event == CHILD_EXECUTED;
		if (report.event == CHILD_FAILED)
			out->failure = report.err;
	}
	(void)poll(&gone, 1, -1);
}

static void read_output(int fd, struct attempt *out)
{
	size_t used = 0;
	ssize_t got;

	while ((got = read(fd, out->out + used, sizeof out->out - 1 - used)) > 0)
		used += (size_t)got;
}

static void attempt(const char *desk, const char *hidden, int failing, struct attempt *out)
{
	const char *argv[] = { "sh", "-c", look };
	const char *env[] = { "PATH=/usr/bin:/bin", "LC_ALL=C" };
	struct command command = { argv, 3, env, 2, desk };
	struct sandbox_config config = { .mode = SANDBOX_MODE_WORKSPACE_WRITE,
					 .cwd = desk,
					 .exclude_slash_tmp = true,
					 .hidden = &hidden,
					 .hidden_count = 1 };
	struct started started SCOPED(started_deinit) = STARTED_NONE;
	struct sandbox *sandbox = NULL;
	struct order order;
	int block SCOPED(fd_close) = -1;
	int ends[2];

	*out = (struct attempt){ 0 };
	assert_int_equal(fd_pipe(ends, &out->failure), 0);
	assert_int_equal(order_pack(&order, &block, &command, &out->failure), 0);
	*counter = (struct counter){ .failing = failing };
	if (sandbox_open(&sandbox, &config, &out->failure) == 0 &&
	    sandbox_start(sandbox, &order, (int[]){ 0, ends[1], ends[1], block }, &started,
			  &out->failure) == 0) {
		fd_close(&ends[1]);
		read_output(ends[0], out);
		collect(&started, out);
	}
	fd_close(&ends[1]);
	fd_close(&ends[0]);
	counter->failing = 0;
	sandbox_close(sandbox);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static bool is_whole(const struct attempt *made)
{
	const char *after = strstr(made->out, "8\n4096\n");

	return after == made->out && strstr(made->out, ".git/x: Read-only file system") &&
	       strstr(made->out, "../x: Read-only file system") &&
	       strstr(made->out, "../hidden/secret: Permission denied") &&
	       !strstr(made->out, "mine");
}

static void a_failing_call_never_lets_a_command_run_with_less(void **state)
{
	char desk[512];
	char hidden[512];
	struct attempt made;
	int failed = 0;
	int total;

	(void)state;
	(void)snprintf(desk, sizeof desk, "%s/desk", fixture_dir());
	(void)snprintf(hidden, sizeof hidden, "%s/hidden", fixture_dir());
	assert_int_equal(mkdir(desk, 0700) | mkdir(hidden, 0700), 0);
	(void)fixture_file("hidden/secret", "s", 1);
	(void)snprintf(desk, sizeof desk, "%s/desk/.git", fixture_dir());
	assert_int_equal(mkdir(desk, 0700), 0);
	(void)snprintf(desk, sizeof desk, "%s/desk", fixture_dir());

	attempt(desk, hidden, 0, &made);
	total = counter->calls;
	if (!is_whole(&made))
		fail_msg("%s%s", made.out, made.failure.text);
	for (int i = 1; i <= total + 8; i++) { /* the number differs a little between runs */
		attempt(desk, hidden, i, &made);
		if (made.executed && !is_whole(&made))
			fail_msg("call %d (%ld, %ld): the command ran: %s", i, counter->number,
				 counter->option, made.out);
		if (!made.executed && !made.failure.text[0])
			fail_msg("call %d (%ld, %ld): no sentence", i, counter->number,
				 counter->option);
		if (!made.executed && made.out[0])
			fail_msg("call %d (%ld): output without a command: %s", i, counter->number,
				 made.out);
		if (made.executed && counter->number && !is_spare())
			failed++; /* carried on with all layers, although a call has failed */
		if (!made.executed && !strchr(made.failure.text, ':'))
			fail_msg("call %d (%ld, %ld): the sentence names no step: %s", i,
				 counter->number, counter->option, made.failure.text);
	}
	assert_in_range(failed, 0, 4);
	assert_in_range(total, 60, 400);
}

static int setup(void **state)
{
	counter = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	return counter == MAP_FAILED ? -1 : fixture_setup(state);
}

static int teardown(void **state)
{
	(void)munmap(counter, sizeof *counter);
	return fixture_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(
		a_failing_call_never_lets_a_command_run_with_less, setup, teardown) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
