/*
 * How a command begins and how it ends, with all that it has left running.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/wire/order.h"

#include "tests/support/fixture.h"
#include "tests/unit/broker/sandboxed.h"

/* ------------------------------------------------------------------ the command's own surroundings
 */

static void a_program_that_is_not_there_is_told_from_one_that_cannot_run(void **state)
{
	static const struct row {
		const char *program;
		enum err_code code;
	} rows[] = {
		{ "no-such-program", ERR_NOTFOUND }, { "./nothing", ERR_NOTFOUND },
		{ "./plain", ERR_DENIED },           { "./folder", ERR_DENIED },
		{ "./orphan", ERR_NOTFOUND },
	};
	struct sandbox_config config = in_desk();
	struct sandbox *sandbox SCOPED(free_sandbox) = open_or_fail(&config);
	const char *script[] = { "./script", NULL };

	(void)state;
	shell("cd desk; echo > plain; mkdir folder; printf '#!/no/such\\n' > orphan; "
	      "echo 'echo as-shell' > script; chmod +x orphan script");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *argv[] = { rows[i].program, NULL };

		run_in(sandbox, argv, desk);
		if (did.failure.code != rows[i].code)
			fail_msg("%s: %d %s", rows[i].program, did.failure.code, did.failure.text);
		assert_non_null(strstr(did.failure.text, rows[i].program));
		assert_int_equal(did.status, -1);
	}
	run_in(sandbox, script, desk);
	expect_out("as-shell");
	sandbox_close(TAKE(sandbox));
	reap_all();
}

static void a_bad_working_directory_is_named(void **state)
{
	struct sandbox_config config = in_desk();
	struct sandbox *sandbox SCOPED(free_sandbox) = open_or_fail(&config);
	const char *argv[] = { "true", NULL };

	(void)state;
	run_in(sandbox, argv, "/nowhere");
	assert_int_equal(did.failure.code, ERR_SYSTEM);
	assert_int_equal(did.failure.sys, ENOENT);
	assert_non_null(strstr(did.failure.text, "working directory: '/nowhere'"));
	run_in(sandbox, argv, hidden);
	assert_int_equal(did.failure.sys, EACCES);
	sandbox_close(TAKE(sandbox));
	reap_all();
}

static void a_folder_is_no_standard_descriptor(void **state)
{
	struct sandbox_config config = in_desk();
	struct sandbox *sandbox SCOPED(free_sandbox) = open_or_fail(&config);
	struct started started SCOPED(started_deinit) = STARTED_NONE;
	const char *argv[] = { "true", NULL };
	int folder SCOPED(fd_close) = open(outside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	begin();
	start(sandbox, argv, desk, (int[]){ folder, 1, 2 }, &started);
	finish(&started);
	assert_int_equal(did.failure.code, ERR_DENIED);
	assert_non_null(strstr(did.failure.text, "standard descriptors"));
	sandbox_close(TAKE(sandbox));
	reap_all();
}

static void an_order_whose_block_is_not_sealed_runs_nothing(void **state)
{
	struct sandbox_config config = in_desk();
	struct sandbox *sandbox SCOPED(free_sandbox) = open_or_fail(&config);
	struct started started SCOPED(started_deinit) = STARTED_NONE;
	int block SCOPED(fd_close) = open("/bin/true", O_RDONLY | O_CLOEXEC);
	struct order order = { .magic = ORDER_MAGIC, .argc = 1, .block_bytes = 16 };
	struct err err = { 0 };

	(void)state;
	begin();
	assert_int_equal(sandbox_start(sandbox, &order, (int[]){ 0, 1, 2, block }, &started, &err),
			 0);
	finish(&started);
	assert_int_equal(did.failure.code, ERR_INVALID);
	sandbox_close(TAKE(sandbox));
	reap_all();
}

static void the_environment_limits_and_signals_are_the_commands_own(void **state)
{
	struct sandbox_config config = in_desk();
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction before;
	sigset_t all;
	sigset_t mask;

	(void)state;
	(void)sigfillset(&all);
	assert_int_equal(sigprocmask(SIG_BLOCK, &all, &mask), 0);
	assert_int_equal(sigaction(SIGPIPE, &ignore, &before), 0);
	run_script(&config,
		   "env; ulimit -c; ulimit -Hn; umask; grep -E 'Sig(Blk|Ign)' /proc/self/status; "
		   "cat /proc/self/oom_score_adj");
	(void)sigaction(SIGPIPE, &before, NULL);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	expect_out("LC_ALL=C\n");
	expect_out("SigBlk:\t0000000000000000");
	expect_out("SigIgn:\t0000000000000000");
	assert_null(strstr(did.out, "AGENT_TEST"));
	assert_int_equal(did.status, 0);
}

static void the_arguments_of_the_broker_are_not_told(void **state)
{
	struct sandbox_config config = in_desk();

	(void)state;
	run_script(&config, "tr -d '\\0' < /proc/1/cmdline | wc -c; cat /proc/1/environ");
	expect_out("0\n");
	expect_out("Permission denied");
}

static void a_terminal_as_standard_input_is_the_controlling_one(void **state)
{
	struct sandbox_config config = in_desk();
	struct sandbox *sandbox SCOPED(free_sandbox) = open_or_fail(&config);
	struct started started SCOPED(started_deinit) = STARTED_NONE;
	const char *argv[] = { "sh", "-c", "echo here > /dev/tty; exit 3", NULL };
	int terminal SCOPED(fd_close) = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	int side SCOPED(fd_close) = -1;
	char line[64] = "";

	(void)state;
	assert_int_equal(grantpt(terminal) | unlockpt(terminal), 0);
	side = ioctl(terminal, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(side >= 0);
	begin();
	start(sandbox, argv, desk, (int[]){ side, side, side }, &started);
	assert_true(read(terminal, line, sizeof line - 1) > 0);
	assert_non_null(strstr(line, "here"));
	finish(&started);
	assert_int_equal(WEXITSTATUS(did.status), 3);
	sandbox_close(TAKE(sandbox));
	reap_all();
}

/* ------------------------------------------------------------------ the end */

static const enum sandbox_mode modes[] = { SANDBOX_MODE_READ_ONLY, SANDBOX_MODE_WORKSPACE_WRITE,
					   SANDBOX_MODE_DANGER_FULL_ACCESS };

/* Daemons that ignore every signal they can, in sessions of their own; they hold standard output.
 */
#define DAEMONS                                                                                    \
	"for i in 1 2 3; do setsid sh -c 'trap : TERM HUP INT; setsid sleep 1000 & setsid sleep "  \
	"1000' & "                                                                                 \
	"done; sleep 1000 & echo started; "

/* Reads until "started" and the end of its line, so that the daemons are there. */
static void await_started(int fd)
{
	size_t used = 0;

	while (used < sizeof did.out - 1 && !strstr(did.out, "started\n")) {
		ssize_t got = read(fd, did.out + used, 1);

		assert_true(got == 1);
		did.out[++used] = '\0';
	}
}

static void start_daemons(struct sandbox *sandbox, const char *last, struct started *out,
			  int *reader)
{
	char script[512];
	const char *argv[] = { "sh", "-c", script, NULL };
	int null SCOPED(fd_close) = open("/dev/null", O_RDWR | O_CLOEXEC);
	int ends[2];
	struct err err = { 0 };

	begin();
	memset(did.out, 0, 64);
	(void)snprintf(script, sizeof script, "%s%s", DAEMONS, last);
	assert_int_equal(fd_pipe(ends, &err), 0);
	start(sandbox, argv, "/", (int[]){ null, ends[1], null }, out);
	(void)close(ends[1]);
	*reader = ends[0];
	await_started(ends[0]);
	assert_int_equal(next_event(out), CHILD_EXECUTED);
}

/* Nobody has the writing end any more. */
static void expect_nobody_left(int reader)
{
	struct pollfd hang_up = { .fd = reader, .events = POLLIN };
	char byte;

	assert_int_equal(poll(&hang_up, 1, 0), 1);
	assert_int_equal(read(reader, &byte, 1), 0);
}

static void when_a_command_ends_its_daemons_are_gone(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		struct sandbox_config config = in_desk();
		struct sandbox *sandbox SCOPED(free_sandbox) = NULL;
		struct started started SCOPED(started_deinit) = STARTED_NONE;
		int reader SCOPED(fd_close) = -1;

		config.mode = modes[i];
		sandbox = open_or_fail(&config);
		start_daemons(sandbox, "exit 7", &started, &reader);
		finish(&started);
		assert_int_equal(WEXITSTATUS(did.status), 7);
		expect_nobody_left(reader);
		sandbox_close(TAKE(sandbox));
		reap_all();
	}
}

static void a_kill_ends_the_whole_tree(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		struct sandbox_config config = in_desk();
		struct sandbox *sandbox SCOPED(free_sandbox) = NULL;
		struct started started SCOPED(started_deinit) = STARTED_NONE;
		int reader SCOPED(fd_close) = -1;
		struct err err = { 0 };

		config.mode = modes[i];
		sandbox = open_or_fail(&config);
		start_daemons(sandbox, "wait", &started, &reader);
		assert_int_equal(sandbox_kill(&started, &err), 0);
		finish(&started);
		expect_nobody_left(reader);
		sandbox_close(TAKE(sandbox));
		reap_all();
	}
}

static void an_init_that_does_not_answer_is_killed_when_asked_again(void **state)
{
	struct sandbox_config config = in_desk();
	struct sandbox *sandbox SCOPED(free_sandbox) = open_or_fail(&config);
	struct started started SCOPED(started_deinit) = STARTED_NONE;
	struct pollfd gone = { .events = POLLIN };
	int reader SCOPED(fd_close) = -1;
	struct err err = { 0 };

	(void)state;
	start_daemons(sandbox, "wait", &started, &reader);
	gone.fd = started.pidfd;
	assert_int_equal(syscall(SYS_pidfd_send_signal, started.pidfd, SIGSTOP, NULL, 0), 0);
	assert_int_equal(sandbox_kill(&started, &err), 0);
	assert_int_equal(poll(&gone, 1, 0), 0);
	assert_int_equal(sandbox_kill(&started, &err), 0);
	finish(&started);
	expect_nobody_left(reader);
	sandbox_close(TAKE(sandbox));
	reap_all();
}

static void a_signal_reaches_the_command(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		struct sandbox_config config = in_desk();
		struct sandbox *sandbox SCOPED(free_sandbox) = NULL;
		struct started started SCOPED(started_deinit) = STARTED_NONE;
		int reader SCOPED(fd_close) = -1;
		struct err err = { 0 };

		config.mode = modes[i];
		sandbox = open_or_fail(&config);
		start_daemons(sandbox, "exec sleep 1000", &started, &reader);
		assert_int_equal(sandbox_signal(&started, SIGTERM, &err), 0);
		finish(&started);
		assert_true(WIFSIGNALED(did.status));
		assert_int_equal(WTERMSIG(did.status), SIGTERM);
		expect_nobody_left(reader);
		assert_int_equal(sandbox_signal(&started, SIGTERM, &err), ERR_GONE);
		sandbox_close(TAKE(sandbox));
		reap_all();
	}
}

/* The broker's part is played by a child, which is killed without a chance to clean up. */
static void everything_dies_with_the_broker(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		int ends[2];
		struct err err = { 0 };
		char byte;
		pid_t broker;

		assert_int_equal(fd_pipe(ends, &err), 0);
		broker = fork();
		if (broker == 0) {
			struct sandbox_config config = in_desk();
			struct sandbox *sandbox = NULL;
			struct started started = STARTED_NONE;
			const char *argv[] = { "sh", "-c", DAEMONS "wait", NULL };

			config.mode = modes[i];
			(void)prctl(PR_SET_DUMPABLE, 0);
			sandbox = open_or_fail(&config);
			start(sandbox, argv, "/", (int[]){ 0, ends[1], 2 }, &started);
			(void)pause();
			_exit(0);
		}
		(void)close(ends[1]);
		begin();
		memset(did.out, 0, 64);
		await_started(ends[0]);
		assert_int_equal(kill(broker, SIGKILL), 0);
		assert_int_equal(waitpid(broker, NULL, 0), broker);
		assert_int_equal(read(ends[0], &byte, 1),
				 0); /* blocks until the last one is gone */
		(void)close(ends[0]);
	}
}

static void closing_a_sandbox_leaves_its_commands_alone(void **state)
{
	struct sandbox_config config = in_desk();
	struct sandbox *sandbox SCOPED(free_sandbox) = open_or_fail(&config);
	struct started started SCOPED(started_deinit) = STARTED_NONE;
	int reader SCOPED(fd_close) = -1;
	struct err err = { 0 };

	(void)state;
	start_daemons(sandbox, "wait", &started, &reader);
	sandbox_close(TAKE(sandbox));
	assert_int_equal(sandbox_signal(&started, 0, &err), 0);
	assert_int_equal(sandbox_kill(&started, &err), 0);
	finish(&started);
	expect_nobody_left(reader);
	reap_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SANDBOX_TEST(a_program_that_is_not_there_is_told_from_one_that_cannot_run),
		SANDBOX_TEST(a_bad_working_directory_is_named),
		SANDBOX_TEST(a_folder_is_no_standard_descriptor),
		SANDBOX_TEST(an_order_whose_block_is_not_sealed_runs_nothing),
		SANDBOX_TEST(the_environment_limits_and_signals_are_the_commands_own),
		SANDBOX_TEST(the_arguments_of_the_broker_are_not_told),
		SANDBOX_TEST(a_terminal_as_standard_input_is_the_controlling_one),
		SANDBOX_TEST(when_a_command_ends_its_daemons_are_gone),
		SANDBOX_TEST(a_kill_ends_the_whole_tree),
		SANDBOX_TEST(an_init_that_does_not_answer_is_killed_when_asked_again),
		SANDBOX_TEST(a_signal_reaches_the_command),
		SANDBOX_TEST(everything_dies_with_the_broker),
		SANDBOX_TEST(closing_a_sandbox_leaves_its_commands_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
