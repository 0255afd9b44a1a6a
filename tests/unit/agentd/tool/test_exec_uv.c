/* Real processes and real descriptors; only the broker is played by this file. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/broker_gen.h"

#include "agentd/tool/exec.h"
#include "agentd/tool/exec_uv.h"
#include "tests/support/fake_broker.h"
#include "tests/support/fixture.h"

#define LIVE_MAX (256U << 20) /* bytes of live output that a test keeps */
#define LONG_MS 60000         /* a wait that an event ends, or the test fails by its time-out */
#define GROWTH_KIB_MAX 65536

struct seen {
	bool done;
	char *text;
	char *output;
	bool started;
	bool running;
	int exit_code;
	int64_t session_id;
	struct buf live;
	size_t deltas;
	bool keep_live;
	struct exec_call *cancel_at_output;
	json_t *denied;
};

static struct exec_host *host;
static struct seen seen;
static size_t notices;

static void on_output(void *ctx, const char *text, size_t len)
{
	struct seen *at = ctx;
	struct err err = { 0 };

	at->deltas++;
	assert_true(len > 0);
	if (at->keep_live)
		assert_int_equal(buf_append(&at->live, text, len, &err), 0);
	if (at->cancel_at_output) {
		exec_cancel(at->cancel_at_output);
		at->cancel_at_output = NULL;
		at->done = true;
		uv_stop(fake_broker_loop());
	}
}

static void on_done(void *ctx, const struct exec_outcome *outcome)
{
	struct seen *at = ctx;

	assert_false(at->done);
	at->done = true;
	uv_stop(fake_broker_loop());
	at->text = str_dup_len(outcome->text, outcome->text_len);
	at->output = str_dup_len(outcome->output, outcome->output_len);
	at->started = outcome->started;
	at->running = outcome->running;
	at->exit_code = outcome->exit_code;
	at->session_id = outcome->session_id;
	at->denied = json_incref(outcome->denied);
}

static void on_notice(void *ctx, const char *text)
{
	(void)ctx;
	assert_non_null(strstr(text, "command sessions are open"));
	notices++;
}

static void forget_seen(void)
{
	free(seen.text);
	free(seen.output);
	json_decref(seen.denied);
	buf_deinit(&seen.live);
	seen = (struct seen){ .live = BUF_INIT(LIVE_MAX), .keep_live = true };
}

static const struct exec_watch watch = { .output = on_output, .done = on_done, .ctx = &seen };

static struct exec_call *begin(const char *cmd, bool tty, int64_t yield_ms)
{
	struct exec_args args = {
		.cmd = cmd, .tty = tty, .yield_ms = yield_ms, .tokens_max = EXEC_TOKENS_MAX
	};
	struct exec_command command SCOPED(exec_command_deinit) = { 0 };
	struct err err = { 0 };
	struct exec_call *call;

	forget_seen();
	assert_int_equal(exec_command_init(&command, &args, "/", "/bin/sh", "t", &err), 0);
	call = exec_start(host, &(struct exec_request){ "ceiling", NULL, &command, &args }, &watch,
			  &err);
	if (!call)
		fail_msg("%s", err.text);
	assert_false(seen.done);
	return call;
}

static void wait_done(void)
{
	while (!seen.done) {
		if (uv_run(fake_broker_loop(), UV_RUN_DEFAULT) == 0 && !seen.done)
			fail_msg("nothing left to wait for");
	}
}

static void run(const char *cmd)
{
	(void)begin(cmd, false, LONG_MS);
	wait_done();
	assert_true(seen.started && !seen.running);
}

/* A command that goes on, with its session number. */
static int64_t run_on(const char *cmd, bool tty)
{
	(void)begin(cmd, tty, 1);
	wait_done();
	assert_true(seen.started && seen.running);
	return seen.session_id;
}

static struct exec_call *begin_write(int64_t id, const char *chars, int64_t yield_ms,
				     struct err *err)
{
	struct stdin_args args = { .session_id = id,
				   .chars = chars,
				   .chars_len = strlen(chars),
				   .yield_ms = yield_ms,
				   .tokens_max = EXEC_TOKENS_MAX };

	forget_seen();
	return exec_write(host, &args, &watch, err);
}

static void write_chars(int64_t id, const char *chars, int64_t yield_ms)
{
	struct err err = { 0 };

	if (!begin_write(id, chars, yield_ms, &err))
		fail_msg("%s", err.text);
	assert_false(seen.done);
	wait_done();
}

/* The answer without its first two lines, which differ each time: "Chunk ID: " and six hex digits,
 * "Wall time: " and seconds with four decimals. */
static const char *rest(void)
{
	static const char id[] = "Chunk ID: ";
	static const char time[] = "\nWall time: ";
	const char *at = seen.text + strlen(id) + 6;

	if (!str_starts(seen.text, id) || strspn(seen.text + strlen(id), "0123456789abcdef") != 6 ||
	    !str_starts(at, time))
		fail_msg("'%s'", seen.text);
	at += strlen(time);
	at += strspn(at, "0123456789");
	if (at[0] != '.' || strspn(at + 1, "0123456789") != 4 || !str_starts(at + 5, " seconds\n"))
		fail_msg("'%s'", seen.text);
	return at + strlen(".0000 seconds\n");
}

static int setup(void **state)
{
	struct err err = { 0 };

	if (fixture_setup(state) < 0 || fake_broker_open() != 0)
		return -1;
	notices = 0;
	return exec_host_new(&host, fake_broker_loop(), NULL, on_notice, NULL, &err);
}

static int teardown(void **state)
{
	exec_host_close(host);
	if (fake_broker_close() < 0)
		return -1;
	forget_seen();
	return fixture_teardown(state);
}

/* ---- laws */

static void a_command_that_ends_is_answered_with_code_and_output(void **state)
{
	(void)state;
	run("echo hello; echo oops >&2; exit 3");
	assert_string_equal(rest(), "Process exited with code 3\nOriginal token count: 3\n"
				    "Output:\nhello\noops\n");
	assert_string_equal(seen.output, "hello\noops\n");
	assert_string_equal(buf_str(&seen.live), "hello\noops\n");
	assert_int_equal(seen.exit_code, 3);
	assert_int_equal(exec_host_count(host), 0);
}

static const struct broker_denial denial = { DENIAL_RULE_OUTSIDE, "openat", "/etc/x", "EROFS", 1 };
static const char denial_section[] = "Denied by the sandbox:\n"
				     "- openat '/etc/x': EROFS, outside the writable roots\n";

static void a_command_that_failed_is_told_what_the_sandbox_refused(void **state)
{
	(void)state;
	fake_broker_deny(&denial, 1);
	run("echo hello; exit 3");
	assert_true(str_starts(rest(), "Process exited with code 3\nOriginal token count: 2\n"
				       "Output:\nhello\nDenied by the sandbox:\n"));
	assert_true(str_ends(seen.text, denial_section));
	assert_string_equal(seen.output, "hello\n"); /* what it printed, and nothing else */
	assert_int_equal(json_array_size(json_object_get(seen.denied, "denials")), 1);
	run("kill -9 $$");
	assert_true(str_ends(seen.text, denial_section));
}

static void a_command_that_succeeded_is_told_nothing_of_it(void **state)
{
	(void)state;
	fake_broker_deny(&denial, 1);
	run("echo hello");
	assert_null(seen.denied);
	assert_null(strstr(seen.text, "Denied"));
}

static void the_answer_with_the_end_has_what_was_refused_meanwhile(void **state)
{
	int64_t id;

	(void)state;
	fake_broker_deny(&denial, 1);
	id = run_on("read x; exit 1", true);
	assert_null(seen.denied);
	write_chars(id, "\n", LONG_MS);
	assert_int_equal(seen.exit_code, 1);
	assert_non_null(seen.denied);
	assert_true(str_ends(seen.text, denial_section));
}

static void an_empty_command_ends_well(void **state)
{
	(void)state;
	run("");
	assert_string_equal(rest(),
			    "Process exited with code 0\nOriginal token count: 0\nOutput:\n");
}

static void a_killed_command_says_128_and_the_signal(void **state)
{
	(void)state;
	run("kill -9 $$");
	assert_int_equal(seen.exit_code, 137);
}

static void a_command_reads_nothing_without_a_terminal(void **state)
{
	(void)state;
	run("cat; echo done");
	assert_string_equal(seen.output, "done\n");
}

static void a_background_process_that_holds_the_pipe_does_not_hold_the_answer(void **state)
{
	struct err err = { 0 };
	int64_t pid = 0;

	(void)state;
	run("sleep 1000 & printf $!");
	assert_int_equal(str_to_int(&pid, seen.output, 2, INT32_MAX, &err), 0);
	assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
}

static void output_closed_early_does_not_end_the_call(void **state)
{
	(void)state;
	run("echo x; exec >&- 2>&-; sleep 0.05; exit 4");
	assert_int_equal(seen.exit_code, 4);
	assert_string_equal(seen.output, "x\n");
}

static void a_command_that_cannot_be_started_says_why(void **state)
{
	struct exec_args args = { .cmd = "true",
				  .yield_ms = LONG_MS,
				  .workdir = "/nowhere/at/all" };
	struct exec_command command SCOPED(exec_command_deinit) = { 0 };
	struct err err = { 0 };

	(void)state;
	forget_seen();
	assert_int_equal(exec_command_init(&command, &args, "/", NULL, "t", &err), 0);
	assert_non_null(exec_start(host, &(struct exec_request){ "c", NULL, &command, &args },
				   &watch, &err));
	wait_done();
	assert_false(seen.started);
	assert_string_equal(seen.text, "exec_command failed: no such file or directory");
	assert_int_equal(exec_host_count(host), 0);
}

static void a_broker_that_is_gone_fails_the_start_at_once(void **state)
{
	struct exec_args args = { .cmd = "true", .yield_ms = LONG_MS };
	struct exec_command command SCOPED(exec_command_deinit) = { 0 };
	struct err err = { 0 };

	(void)state;
	fake_broker_refuse(true);
	assert_int_equal(exec_command_init(&command, &args, "/", NULL, "t", &err), 0);
	assert_null(exec_start(host, &(struct exec_request){ "c", NULL, &command, &args }, &watch,
			       &err));
	assert_int_equal(err.code, ERR_GONE);
	assert_int_equal(exec_host_count(host), 0);
}

static void a_granted_command_is_named_by_its_grant_alone(void **state)
{
	struct exec_args args = { .cmd = "true", .yield_ms = LONG_MS };
	struct exec_command command SCOPED(exec_command_deinit) = { 0 };
	struct err err = { 0 };

	(void)state;
	fake_broker_refuse(true); /* what was asked for is enough */
	assert_int_equal(exec_command_init(&command, &args, "/", NULL, "t", &err), 0);
	assert_null(exec_start(host, &(struct exec_request){ "c", "grant1", &command, &args },
			       &watch, &err));
	assert_string_equal(fake_broker_asked()->grant, "grant1");
	assert_int_equal(fake_broker_asked()->argc, 0);
	assert_int_equal(fake_broker_asked()->envc, 0);
	assert_false(fake_broker_asked()->has_cwd);
}

static void a_command_that_goes_on_becomes_a_session(void **state)
{
	int64_t id;
	struct err err = { 0 };

	(void)state;
	id = run_on("echo one; exec sleep 1000", false);
	assert_int_equal(id, 1000);
	assert_non_null(strstr(seen.text, "\nProcess running with session ID 1000\n"));
	assert_int_equal(exec_host_count(host), 1);
	write_chars(id, "\x03", LONG_MS); /* control-C ends it */
	assert_false(seen.running);
	assert_int_equal(seen.exit_code, 143);
	assert_null(begin_write(id, "", 1, &err));
	assert_string_equal(err.text, "write_stdin failed: Unknown process id 1000");
}

static void a_session_that_ended_meanwhile_is_collected_by_the_next_poll(void **state)
{
	int64_t id;

	(void)state;
	id = run_on("read x < /dev/null; sleep 0.02; echo late; exit 5", false);
	fake_broker_wait();
	assert_int_equal(exec_host_count(host), 1);
	write_chars(id, "", LONG_MS);
	assert_false(seen.running);
	assert_int_equal(seen.exit_code, 5);
	assert_non_null(strstr(seen.text, "late\n"));
	assert_int_equal(exec_host_count(host), 0);
}

static void each_answer_has_only_what_is_new(void **state)
{
	int64_t id;

	(void)state;
	id = run_on("stty -echo; echo ready; while read x; do echo \"got $x\"; done", true);
	while (!strstr(seen.output, "ready"))
		write_chars(id, "", 1);
	write_chars(id, "a\n", 200);
	assert_string_equal(seen.output, "got a\r\n");
	write_chars(id, "b\n", 200);
	assert_string_equal(seen.output, "got b\r\n");
	write_chars(id, "\x04", LONG_MS); /* control-D */
	assert_false(seen.running);
	assert_int_equal(seen.exit_code, 0);
}

static void control_c_on_a_terminal_interrupts(void **state)
{
	int64_t id;

	(void)state;
	id = run_on("echo ready; exec sleep 1000", true);
	while (!strstr(seen.output, "ready"))
		write_chars(id, "", 1);
	write_chars(id, "\x03", LONG_MS);
	assert_int_equal(seen.exit_code, 130);
}

static void everything_a_terminal_was_sent_arrives_before_the_end(void **state)
{
	(void)state;
	(void)begin("seq 20000", true, LONG_MS);
	wait_done();
	assert_int_equal(seen.live.len, 20000 + 108894);
}

static void writing_needs_a_terminal(void **state)
{
	struct err err = { 0 };
	int64_t id;

	(void)state;
	id = run_on("exec sleep 1000", false);
	assert_null(begin_write(id, "x", 1, &err));
	assert_string_equal(err.text, "write_stdin failed: stdin is closed for this session; rerun "
				      "exec_command with tty=true to keep stdin open");
}

static void a_terminal_that_does_not_read_is_written_to_up_to_a_limit(void **state)
{
	char chars[EXEC_CHARS_MAX + 1];
	struct err err = { 0 };
	int64_t id;
	int writes = 0;

	(void)state;
	memset(chars, 'x', EXEC_CHARS_MAX);
	chars[EXEC_CHARS_MAX] = '\0';
	id = run_on("stty raw -echo; exec sleep 1000", true);
	while (begin_write(id, chars, 1, &err)) {
		wait_done();
		assert_true(++writes < 10);
	}
	assert_non_null(strstr(err.text, "the terminal does not read"));
	assert_true(writes >= 3);
}

static void only_one_call_waits_for_a_session(void **state)
{
	struct stdin_args args = { .session_id = 0, .chars = "", .yield_ms = LONG_MS };
	struct err err = { 0 };
	struct exec_call *call;

	(void)state;
	args.session_id = run_on("exec sleep 1000", false);
	call = begin_write(args.session_id, "", LONG_MS, &err);
	assert_non_null(call);
	assert_null(exec_write(host, &args, &watch, &err));
	assert_int_equal(err.code, ERR_STATE);
	exec_cancel(call);
	assert_int_equal(exec_host_count(host),
			 1); /* a cancelled poll leaves the command running */
}

static void a_cancelled_command_is_killed_and_never_answers(void **state)
{
	(void)state;
	exec_cancel(begin("exec sleep 1000", false, LONG_MS));
	assert_int_equal(exec_host_count(host), 0);
	fake_broker_wait(); /* ends, because the process does */
	assert_false(seen.done);
}

static void a_command_may_be_cancelled_by_its_own_output(void **state)
{
	struct exec_call *call;

	(void)state;
	call = begin("yes", false, LONG_MS);
	seen.cancel_at_output = call;
	wait_done();
	fake_broker_wait();
	assert_null(seen.text);
	assert_int_equal(seen.deltas, 1);
}

static void closing_the_host_kills_all_and_answers_none(void **state)
{
	(void)state;
	(void)run_on("exec sleep 1000", false);
	(void)run_on("exec sleep 1000", true);
	(void)begin("exec sleep 1000", false, LONG_MS);
	/* the teardown closes it, and fails if anything stays in the loop */
}

static void stopping_ends_what_nobody_waits_for(void **state)
{
	struct exec_call *call;

	(void)state;
	(void)run_on("exec sleep 1000", false);
	(void)run_on("exec sleep 1000", false);
	call = begin("echo x; exec sleep 1000", false, LONG_MS);
	exec_host_stop(host);
	assert_int_equal(exec_host_count(host), 1);
	exec_cancel(call);
}

static void the_sixtieth_session_warns_and_the_sixty_fifth_replaces_the_stalest(void **state)
{
	int64_t first = 0;
	struct err err = { 0 };

	(void)state;
	for (int i = 1; i <= EXEC_SESSIONS_MAX; i++) {
		int64_t id = run_on("exec sleep 1000", false);

		first = i == 1 ? id : first;
		assert_int_equal(notices, i < EXEC_SESSIONS_WARN ? 0 : i - EXEC_SESSIONS_WARN + 1);
	}
	write_chars(first, "", 1); /* used: no longer the stalest */
	(void)run_on("exec sleep 1000", false);
	assert_int_equal(exec_host_count(host), EXEC_SESSIONS_MAX);
	assert_null(begin_write(first + 1, "", 1, &err));
	assert_int_equal(err.code, ERR_NOTFOUND);
	write_chars(first, "", 1);
	assert_true(seen.running);
}

static void characters_torn_between_writes_arrive_whole(void **state)
{
	(void)state;
	run("for b in 342 202 254; do printf \"\\\\$b\"; sleep 0.02; done; printf '\\377'");
	assert_string_equal(seen.output, "\u20ac\ufffd");
	assert_int_equal(strncmp(buf_str(&seen.live), "\u20ac", 3), 0);
}

static long resident_kib(void)
{
	struct rusage usage = { 0 };

	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_maxrss;
}

static void any_amount_of_output_takes_bounded_memory_and_events(void **state)
{
	long before;

	(void)state;
	run("true");
	before = resident_kib();
	forget_seen();
	(void)begin("head -c 300000000 /dev/zero | tr '\\0' x", false, LONG_MS);
	seen.keep_live = false;
	wait_done();
	assert_int_equal(seen.exit_code, 0);
	assert_int_equal(seen.deltas, EXEC_DELTAS_MAX);
	assert_true(resident_kib() - before < GROWTH_KIB_MAX);
	assert_non_null(strstr(seen.text, "Original token count: 75000"));
	assert_non_null(
		strstr(seen.text, "Warning: truncated output (original token count: 75000"));
	assert_true(strlen(seen.text) < 4 * EXEC_TOKENS_MAX + 400);
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(a_command_that_ends_is_answered_with_code_and_output),
		ROW(a_command_that_failed_is_told_what_the_sandbox_refused),
		ROW(a_command_that_succeeded_is_told_nothing_of_it),
		ROW(the_answer_with_the_end_has_what_was_refused_meanwhile),
		ROW(an_empty_command_ends_well),
		ROW(a_killed_command_says_128_and_the_signal),
		ROW(a_command_reads_nothing_without_a_terminal),
		ROW(a_background_process_that_holds_the_pipe_does_not_hold_the_answer),
		ROW(output_closed_early_does_not_end_the_call),
		ROW(a_command_that_cannot_be_started_says_why),
		ROW(a_broker_that_is_gone_fails_the_start_at_once),
		ROW(a_granted_command_is_named_by_its_grant_alone),
		ROW(a_command_that_goes_on_becomes_a_session),
		ROW(a_session_that_ended_meanwhile_is_collected_by_the_next_poll),
		ROW(each_answer_has_only_what_is_new),
		ROW(control_c_on_a_terminal_interrupts),
		ROW(everything_a_terminal_was_sent_arrives_before_the_end),
		ROW(writing_needs_a_terminal),
		ROW(a_terminal_that_does_not_read_is_written_to_up_to_a_limit),
		ROW(only_one_call_waits_for_a_session),
		ROW(a_cancelled_command_is_killed_and_never_answers),
		ROW(a_command_may_be_cancelled_by_its_own_output),
		ROW(closing_the_host_kills_all_and_answers_none),
		ROW(stopping_ends_what_nobody_waits_for),
		ROW(the_sixtieth_session_warns_and_the_sixty_fifth_replaces_the_stalest),
		ROW(characters_torn_between_writes_arrive_whole),
		ROW(any_amount_of_output_takes_bounded_memory_and_events),
	};

	fake_broker_prepare();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
