#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/wire/program.h"

#include "tests/support/fixture.h"

/* Starts a script; what it has said to descriptor 3, and the code that it ended with. */
static int run(const char *script, char *said, size_t size)
{
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };
	int sock SCOPED(fd_close) = -1;
	struct err err = { 0 };
	int status = 0;
	pid_t pid = 0;
	ssize_t got;

	if (program_start(&pid, &sock, argv, &err) < 0)
		fail_msg("%s", err.text);
	got = recv(sock, said, size - 1, 0);
	assert_true(got >= 0);
	said[got] = '\0';
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return program_code(status);
}

static void a_program_speaks_by_its_descriptor(void **state)
{
	char said[64];

	(void)state;
	assert_int_equal(run("echo hello >&3; exit 7", said, sizeof said), 7);
	assert_string_equal(said, "hello\n");
}

static void its_end_is_the_end_of_the_connection(void **state)
{
	char said[64];

	(void)state;
	assert_int_equal(run("kill -TERM $$", said, sizeof said), 128 + SIGTERM);
	assert_string_equal(said, "");
}

static void signals_are_as_a_program_expects_them(void **state)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction before;
	sigset_t blocked;
	sigset_t mask;
	char said[64];

	(void)state;
	(void)sigemptyset(&blocked);
	(void)sigaddset(&blocked, SIGTERM);
	assert_int_equal(sigaction(SIGPIPE, &ignore, &before), 0);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &blocked, &mask), 0);
	assert_int_equal(run("kill -TERM $$; exit 1", said, sizeof said), 128 + SIGTERM);
	assert_int_equal(run("kill -PIPE $$; exit 1", said, sizeof said), 128 + SIGPIPE);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &mask, NULL), 0);
	assert_int_equal(sigaction(SIGPIPE, &before, NULL), 0);
}

static void one_that_is_not_there_is_named(void **state)
{
	const char *const argv[] = { "/nonexistent/program", NULL };
	struct err err = { 0 };
	pid_t pid = 0;
	int sock = -1;

	(void)state;
	assert_int_equal(program_start(&pid, &sock, argv, &err), ERR_SYSTEM);
	assert_non_null(strstr(err.text, argv[0]));
	assert_int_equal(sock, -1);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* and nothing is left of it */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_program_speaks_by_its_descriptor),
		FIXTURE_TEST(its_end_is_the_end_of_the_connection),
		FIXTURE_TEST(signals_are_as_a_program_expects_them),
		FIXTURE_TEST(one_that_is_not_there_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
