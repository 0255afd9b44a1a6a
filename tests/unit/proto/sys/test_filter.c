/*
 * Filters made from small descriptions, each installed in a child of the test, which then makes the
 * calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/sys/filter.h"

#include "tests/support/fixture.h"

#define PASSES 200 /* exit codes of the child, beside errno values */
#define NOT_INSTALLED 201
#define KILLED 202

#define LISTENER SECCOMP_FILTER_FLAG_NEW_LISTENER

static const char *const refused[] = { "getppid", "no_such_call", NULL };
static const char *const fallen_back[] = { "getpgrp", NULL };

/* clang-format off */
static const struct filter_rule rules[] = {
	{ "dup2", EACCES, 1, { { 0, SCMP_CMP_EQ, 1001, 0 } } },
	{ "dup2", EROFS, 1, { { 0, SCMP_CMP_GE, 2000, 0 } } },
	{ "dup2", EXDEV, 2, { { 0, SCMP_CMP_MASKED_EQ, 0xf00, 0x500 }, { 1, SCMP_CMP_EQ, 7, 0 } } },
	{ "getpgid", ENOLCK, 1, { { 0, SCMP_CMP_NE, 0, 0 } } },
};

static const struct filter_handed handed[] = {
	{ "getuid", 0, 0 },
	{ "access", 1, W_OK | X_OK },
};
/* clang-format on */

static const struct filter_spec open_spec = { .personality = 0x40008,
					      .lists = { { refused, EPERM },
							 { fallen_back, ENOSYS } },
					      .rules = rules,
					      .rule_count = ARRAY_LEN(rules),
					      .handed = handed,
					      .handed_count = ARRAY_LEN(handed) };

static struct filter plain;
static struct filter handing;

/* One call behind the filter: PASSES where it was let through, else its errno. */
static int behind(const struct filter *filter, const long call[3])
{
	struct err err = { 0 };
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || filter_load(filter, 0, &err) < 0)
			_exit(NOT_INSTALLED);
		errno = 0;
		if (syscall((int)call[0], call[1], call[2], 0, 0, 0) >= 0 || errno == EBADF ||
		    errno == EFAULT || errno == ESRCH)
			errno = PASSES;
		(void)syscall(SYS_exit_group, errno);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : KILLED;
}

static void compile(const struct filter_spec *spec)
{
	struct err err = { 0 };

	if (filter_compile(spec, &plain, &handing, &err) < 0)
		fail_msg("%s", err.text);
}

static void a_call_is_answered_by_its_list_or_by_the_rule_that_holds(void **state)
{
	static const struct {
		long call[3];
		int answer;
	} rows[] = {
		{ { SYS_getppid }, EPERM },          { { SYS_getpid }, PASSES },
		{ { SYS_getpgrp }, ENOSYS },         { { SYS_dup2, 1000, 0 }, PASSES },
		{ { SYS_dup2, 1001, 0 }, EACCES },   { { SYS_dup2, 1999, 0 }, PASSES },
		{ { SYS_dup2, 2000, 0 }, EROFS },    { { SYS_dup2, 0x501, 7 }, EXDEV },
		{ { SYS_dup2, 0x501, 8 }, PASSES },  { { SYS_dup2, 0x601, 7 }, PASSES },
		{ { SYS_getpgid, 0 }, PASSES },      { { SYS_getpgid, 1 }, ENOLCK },
		{ { SYS_getuid }, PASSES }, /* nobody to be handed over to */
		{ { SYS_access, 0, W_OK }, PASSES },
	};

	(void)state;
	compile(&open_spec);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int answer = behind(&plain, rows[i].call);
		struct seccomp_data data = { .nr = (int)rows[i].call[0],
					     .arch = seccomp_arch_native(),
					     .args = { (uint64_t)rows[i].call[1],
						       (uint64_t)rows[i].call[2] } };

		if (answer != rows[i].answer ||
		    (answer != PASSES && filter_answer(&open_spec, &data) != answer))
			fail_msg("row %zu: %d, %d", i, answer, filter_answer(&open_spec, &data));
	}
}

static void what_is_not_named_is_answered_otherwise(void **state)
{
	static const char *const names[] = { "exit_group", "getppid", NULL };
	static const struct filter_spec closed = { .otherwise = ENOLCK, .lists = { { names, 0 } } };

	(void)state;
	compile(&closed);
	assert_int_equal(behind(&plain, (long[3]){ SYS_getppid }), PASSES);
	assert_int_equal(behind(&plain, (long[3]){ SYS_getpid }), ENOLCK);
}

static void no_personality_but_the_given_bits_and_the_question_passes(void **state)
{
	(void)state;
	compile(&open_spec);
	for (unsigned bit = 0; bit < 32; bit++) {
		long one = 1L << bit;
		bool harmless = one == 8 || one == 0x40000;

		assert_int_equal(behind(&plain, (long[3]){ SYS_personality, one }),
				 harmless ? PASSES : EPERM);
		assert_int_equal(behind(&plain, (long[3]){ SYS_personality, 0xffffffff & ~one }),
				 EPERM);
	}
	assert_int_equal(behind(&plain, (long[3]){ SYS_personality, 0xffffffff }), PASSES);
	assert_int_equal(behind(&plain, (long[3]){ SYS_personality, 0x40008 }), PASSES);
}

/* The number of the call that the listener tells of; -1: none before the child's end. */
static int told(const long call[3])
{
	union {
		struct seccomp_notif notice;
		char room[512];
	} got = { .room = { 0 } };
	struct err err = { 0 };
	int listener = -1;
	int number = -1;
	int pair[2];
	pid_t pid;

	assert_int_equal(pipe(pair), 0);
	pid = (pid_t)syscall(SYS_clone, 0x400 /* CLONE_FILES */ | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) {
		(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		listener = filter_load(&handing, LISTENER, &err);
		if (write(pair[1], &listener, sizeof listener) == sizeof listener)
			(void)syscall((int)call[0], call[1], call[2], 0, 0, 0);
		(void)syscall(SYS_exit_group, 0);
	}
	assert_true(pid > 0);
	assert_int_equal(read(pair[0], &listener, sizeof listener), sizeof listener);
	assert_true(listener >= 0);
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &got) == 0)
		number = got.notice.data.nr;
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	(void)close(listener);
	(void)close(pair[0]);
	(void)close(pair[1]);
	return number;
}

static void refusals_and_what_is_named_are_handed_over(void **state)
{
	static const long rows[][3] = {
		{ SYS_getppid }, { SYS_dup2, 1001 },      { SYS_personality, 1 },
		{ SYS_getuid },  { SYS_access, 0, W_OK }, { SYS_access, 0, X_OK },
	};

	(void)state;
	compile(&open_spec);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (told(rows[i]) != rows[i][0])
			fail_msg("row %zu", i);
	}
	/* A call to fall back from is answered, and the others are nobody's business. */
	assert_int_equal(behind(&handing, (long[3]){ SYS_getpgrp }), ENOSYS);
	assert_int_equal(behind(&handing, (long[3]){ SYS_access, 0, R_OK }), PASSES);
	assert_int_equal(behind(&handing, (long[3]){ SYS_personality, 8 }), PASSES);
}

static void a_foreign_architecture_is_killed_where_it_is_no_companion(void **state)
{
	(void)state;
#ifdef __x86_64__
	compile(&open_spec);
	assert_int_equal(behind(&plain, (long[3]){ 0x40000000 | SYS_getpid }), KILLED);
#else
	skip();
#endif
}

static void numbers_that_nobody_knows_yet_do_not_exist(void **state)
{
	struct err err = { 0 };
	int status = 0;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    filter_load_known(SYS_close_range, &err) < 0)
			_exit(NOT_INSTALLED);
		_exit(syscall(SYS_close_range, 0, 0, 1U << 31) >= 0 || errno != ENOSYS ||
		      syscall(SYS_openat, -1, NULL, 0) >= 0 || errno != EFAULT);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void a_filter_that_was_not_compiled_is_not_installed(void **state)
{
	static const struct filter none;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(filter_load(&none, 0, &err), ERR_STATE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_call_is_answered_by_its_list_or_by_the_rule_that_holds),
		FIXTURE_TEST(what_is_not_named_is_answered_otherwise),
		FIXTURE_TEST(no_personality_but_the_given_bits_and_the_question_passes),
		FIXTURE_TEST(refusals_and_what_is_named_are_handed_over),
		FIXTURE_TEST(a_foreign_architecture_is_killed_where_it_is_no_companion),
		FIXTURE_TEST(numbers_that_nobody_knows_yet_do_not_exist),
		FIXTURE_TEST(a_filter_that_was_not_compiled_is_not_installed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
