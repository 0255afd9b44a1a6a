#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/helper.h"

#include "tests/support/fixture.h"

/* From wherever the tests lie up to the top. */
#define TOP "../../../../../../../../../../../../../.."
#define SHELL TOP "/bin/sh"

unsigned __real_alarm(unsigned seconds);
unsigned __wrap_alarm(unsigned seconds);

static bool hurry; /* the time is over at once */

unsigned __wrap_alarm(unsigned seconds)
{
	const struct itimerval soon = { .it_value = { .tv_usec = 1000 } };

	assert_int_equal(seconds, HELPER_SECONDS);
	return hurry ? (unsigned)setitimer(ITIMER_REAL, &soon, NULL) : __real_alarm(seconds);
}

static int run(const char *script, const char *input, struct buf *out, struct err *err)
{
	char *const argv[] = { (char[]){ SHELL }, (char[]){ "-c" }, (char *)(uintptr_t)script,
			       NULL };
	int fd SCOPED(fd_close) = -1;

	assert_int_equal(fd_sealed(&fd, "input", input, strlen(input), err), 0);
	return helper_run(out, argv, fd, err);
}

static void it_reads_the_input_and_its_output_is_read(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(1000);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(buf_puts(&out, "before ", &err), 0);
	if (run("while read line; do echo \"<$line>\"; done", "one\ntwo\n", &out, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(buf_str(&out), "before <one>\n<two>\n");
}

static void it_has_nothing_else(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(10000);
	struct err err = { 0 };
	int stray SCOPED(fd_close) = dup(1); /* not close-on-exec */

	(void)state;
	if (run("for fd in /proc/self/fd/*; do echo ${fd##*/}; done; /usr/bin/env; "
		"while read a b; do case $a in NoNewPrivs:|Uid:) echo $a $b;; esac; done "
		"</proc/self/status",
		"", &out, &err) < 0)
		fail_msg("%s", err.text);
	assert_non_null(strstr(buf_str(&out), "0\n1\n2\n"));
	for (int fd = 3; fd < 10; fd++) { /* the shell has one of its own for the folder, at most */
		char line[16];

		(void)snprintf(line, sizeof line, "\n%d\n", fd);
		if (fd != 3 && strstr(buf_str(&out), line))
			fail_msg("descriptor %d: %s", fd, buf_str(&out));
	}
	assert_null(strstr(buf_str(&out), "HOME="));
	assert_null(strstr(buf_str(&out), "AGENT_TEST"));
	assert_non_null(strstr(buf_str(&out), "NoNewPrivs: 1"));
	if (geteuid() == 0)
		assert_non_null(strstr(buf_str(&out), "Uid: 65534 65534 65534 65534"));
}

static void a_failure_is_its_first_line(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(1000);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(run("echo 'line 3: no sense'; echo more; exit 1", "", &out, &err),
			 ERR_INVALID);
	assert_string_equal(err.text, "line 3: no sense");
}

static void an_end_without_a_word_is_a_failure(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(1000);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(run("exit 1", "", &out, &err), ERR_SYSTEM);
	assert_int_equal(run("kill -KILL $$", "", &out, &err), ERR_SYSTEM);
	assert_int_equal(out.len, 0);
}

static void too_much_output_is_a_failure(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(4);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(run("printf 1234", "", &out, &err), 0);
	buf_clear(&out);
	assert_int_equal(run("printf 12345", "", &out, &err), ERR_LIMIT);
	assert_int_equal(run("while :; do echo endless; done", "", &out, &err), ERR_LIMIT);
}

static void it_has_so_much_time(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(1000);
	struct err err = { 0 };

	(void)state;
	hurry = true;
	assert_int_equal(run("read x </dev/zero", "", &out, &err), ERR_SYSTEM);
	hurry = false;
	assert_non_null(strstr(err.text, "ended with status"));
}

static void what_is_not_there_is_said(void **state)
{
	char *const argv[] = { (char[]){ "no-such-helper" }, NULL };
	struct buf out SCOPED(buf_deinit) = BUF_INIT(1000);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(helper_run(&out, argv, 0, &err), ERR_SYSTEM);
	assert_int_equal(err.sys, ENOENT);
	assert_non_null(strstr(err.text, "no-such-helper"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(it_reads_the_input_and_its_output_is_read),
		FIXTURE_TEST(it_has_nothing_else),
		FIXTURE_TEST(a_failure_is_its_first_line),
		FIXTURE_TEST(an_end_without_a_word_is_a_failure),
		FIXTURE_TEST(too_much_output_is_a_failure),
		FIXTURE_TEST(it_has_so_much_time),
		FIXTURE_TEST(what_is_not_there_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
