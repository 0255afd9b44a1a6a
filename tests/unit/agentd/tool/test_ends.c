#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"

#include "agentd/tool/ends.h"
#include "tests/support/fixture.h"

static void is_ours(int fd)
{
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static void is_childs(int fd)
{
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static void both_streams_of_a_pipe_arrive_in_order_and_stdin_is_empty(void **state)
{
	struct ends ends SCOPED(ends_close) = ENDS_INIT;
	struct err err = { 0 };
	char text[8] = "";

	(void)state;
	assert_int_equal(ends_pipe(&ends, &err), 0);
	assert_int_equal(ends.errors, -1);
	is_ours(ends.ours);
	for (int i = 0; i < 3; i++)
		is_childs(ends.child[i]);
	assert_int_equal(read(ends.child[0], text, 1), 0);
	assert_int_equal(write(ends.child[1], "a", 1), 1);
	assert_int_equal(write(ends.child[2], "b", 1), 1);
	assert_int_equal(read(ends.ours, text, sizeof text), 2);
	assert_string_equal(text, "ab");
	assert_int_equal(read(ends.ours, text, 1), -1);
	assert_int_equal(errno, EAGAIN);
	for (int i = 0; i < 3; i++)
		fd_close(&ends.child[i]);
	assert_int_equal(read(ends.ours, text, 1), 0);
}

static void a_terminal_is_given_by_its_master_and_has_a_size(void **state)
{
	struct ends ends SCOPED(ends_close) = ENDS_INIT;
	struct err err = { 0 };
	struct winsize size = { 0 };
	int peer SCOPED(fd_close) = -1;
	char text[8] = "";

	(void)state;
	assert_int_equal(ends_terminal(&ends, &err), 0);
	for (int i = 0; i < 3; i++)
		assert_true(fcntl(ends.child[i], F_GETFD) & FD_CLOEXEC);
	peer = ioctl(ends.child[2], TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(peer >= 0);
	assert_int_equal(ioctl(peer, TIOCGWINSZ, &size), 0);
	assert_int_equal(size.ws_row, ENDS_ROWS);
	assert_int_equal(size.ws_col, ENDS_COLUMNS);
	assert_int_equal(write(peer, "hi", 2), 2);
	assert_int_equal(read(ends.ours, text, sizeof text), 2);
	assert_string_equal(text, "hi");
	fd_close(&peer);
	assert_int_equal(read(ends.ours, text, 1), -1);
	assert_int_equal(errno, EIO); /* the end */
}

static void split_streams_are_apart_and_the_input_is_taken_over(void **state)
{
	struct ends ends SCOPED(ends_close) = ENDS_INIT;
	struct err err = { 0 };
	char text[8] = "";
	int input = -1;

	(void)state;
	assert_int_equal(fd_sealed(&input, "input", "in", 2, &err), 0);
	assert_int_equal(ends_split(&ends, input, &err), 0);
	is_ours(ends.ours);
	is_ours(ends.errors);
	assert_int_equal(read(ends.child[0], text, sizeof text), 2);
	assert_int_equal(write(ends.child[1], "a", 1), 1);
	assert_int_equal(write(ends.child[2], "b", 1), 1);
	assert_int_equal(read(ends.ours, text, sizeof text), 1);
	assert_int_equal(text[0], 'a');
	assert_int_equal(read(ends.errors, text, sizeof text), 1);
	assert_int_equal(text[0], 'b');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(both_streams_of_a_pipe_arrive_in_order_and_stdin_is_empty),
		FIXTURE_TEST(a_terminal_is_given_by_its_master_and_has_a_size),
		FIXTURE_TEST(split_streams_are_apart_and_the_input_is_taken_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
