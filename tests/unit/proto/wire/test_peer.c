#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/peer.h"

#include "tests/support/fixture.h"

/* A listener without a file: the kernel picks a name. */
struct listener {
	int fd;
	struct sockaddr_un address;
	socklen_t size;
};

static void listener_open(struct listener *listener)
{
	*listener = (struct listener){ .address = { .sun_family = AF_UNIX },
				       .size = sizeof listener->address };
	listener->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(
		bind(listener->fd, (struct sockaddr *)&listener->address, sizeof(sa_family_t)), 0);
	assert_int_equal(
		getsockname(listener->fd, (struct sockaddr *)&listener->address, &listener->size),
		0);
	assert_int_equal(listen(listener->fd, 4), 0);
}

/* In a child: connects, waits for the other side to close, ends. */
_Noreturn static void visit(const struct listener *listener)
{
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	char byte;

	if (connect(sock, (const struct sockaddr *)&listener->address, listener->size) == 0)
		(void)!recv(sock, &byte, 1, 0);
	_exit(0);
}

/* A child that connects from `depth` processes below this one; all but the last wait for theirs. */
static void start_visitor(const struct listener *listener, int depth)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return;
	for (; depth > 1; depth--) {
		pid = fork();
		if (pid < 0)
			_exit(1);
		if (pid > 0) {
			(void)waitpid(pid, NULL, 0);
			_exit(0);
		}
	}
	visit(listener);
}

/* As a daemon does: forked twice with a session of its own, and connects when its parent is gone.
 */
static void start_daemonised(const struct listener *listener)
{
	pid_t self = getpid();
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		int gone[2];
		char byte;

		(void)setsid();
		if (fd_pipe(gone, NULL) < 0)
			_exit(1);
		pid = fork();
		if (pid != 0)
			_exit(pid < 0); /* the last writing end closes behind it */
		(void)close(gone[1]);
		(void)!read(gone[0], &byte, 1);
		while (getppid() != self) /* closed a moment before the kernel moves the child */
			(void)sched_yield();
		visit(listener);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static int visitor(const struct listener *listener)
{
	int sock = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);

	assert_true(sock >= 0);
	return sock;
}

static void reap(void)
{
	while (waitpid(-1, NULL, 0) > 0)
		continue;
}

/* A process that is nobody's ancestor here. */
static pid_t start_stranger(int *end)
{
	int pair[2];
	pid_t pid;
	char byte;

	assert_int_equal(fd_pipe(pair, NULL), 0);
	pid = fork();
	if (pid == 0) {
		(void)close(pair[1]);
		(void)!read(pair[0], &byte, 1);
		_exit(0);
	}
	fd_close(&pair[0]);
	*end = pair[1];
	return pid;
}

static void whoever_the_ancestor_started_is_refused(void **state)
{
	static const int depths[] = { 1, 2, 5 };
	struct listener listener;

	(void)state;
	listener_open(&listener);
	for (size_t i = 0; i < ARRAY_LEN(depths); i++) {
		struct err err = { 0 };
		int sock;

		start_visitor(&listener, depths[i]);
		sock = visitor(&listener);
		assert_int_equal(peer_check(sock, getuid(), getpid(), &err), ERR_DENIED);
		assert_non_null(strstr(err.text, "was started by process"));
		fd_close(&sock);
	}
	reap();
	fd_close(&listener.fd);
}

static void a_daemonised_descendant_is_refused_too(void **state)
{
	struct listener listener;
	struct err err = { 0 };
	int sock;

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	listener_open(&listener);
	start_daemonised(&listener);
	sock = visitor(&listener);
	assert_int_equal(peer_check(sock, getuid(), getpid(), &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "was started by process"));
	fd_close(&sock);
	reap();
	fd_close(&listener.fd);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

static void who_is_not_below_the_ancestor_is_let_in(void **state)
{
	struct listener listener;
	struct err err = { 0 };
	int end = -1;
	pid_t stranger = start_stranger(&end);
	int sock;

	(void)state;
	listener_open(&listener);
	start_visitor(&listener, 3);
	sock = visitor(&listener);
	assert_int_equal(peer_check(sock, getuid(), stranger, &err), 0);
	fd_close(&sock);
	fd_close(&end);
	reap();
	fd_close(&listener.fd);
}

static void another_user_is_refused(void **state)
{
	struct listener listener;
	struct err err = { 0 };
	int end = -1;
	pid_t stranger = start_stranger(&end);
	int sock;

	(void)state;
	listener_open(&listener);
	start_visitor(&listener, 1);
	sock = visitor(&listener);
	assert_int_equal(peer_check(sock, getuid() + 1, stranger, &err), ERR_DENIED);
	assert_true(str_starts(err.text, "the peer is user "));
	fd_close(&sock);
	fd_close(&end);
	reap();
	assert_int_equal(peer_check(-1, getuid(), 1, &err), ERR_DENIED);
	fd_close(&listener.fd);
}

/* Its number may belong to anybody by now, so who speaks is unknown. */
static void who_connected_and_ended_is_refused(void **state)
{
	struct listener listener;
	struct err err = { 0 };
	siginfo_t info;
	int end = -1;
	pid_t stranger = start_stranger(&end);
	pid_t pid;
	int sock;

	(void)state;
	listener_open(&listener);
	pid = fork();
	if (pid == 0) {
		int own = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

		_exit(connect(own, (struct sockaddr *)&listener.address, listener.size) != 0);
	}
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	sock = visitor(&listener);
	assert_int_equal(peer_check(sock, getuid(), stranger, &err), ERR_DENIED); /* a zombie */
	assert_true(str_ends(err.text, "has ended"));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(peer_check(sock, getuid(), stranger, &err), ERR_DENIED); /* nothing */
	assert_true(str_starts(err.text, "cannot read /proc/"));
	fd_close(&sock);
	fd_close(&end);
	reap();
	fd_close(&listener.fd);
}

static void a_chain_too_long_to_follow_is_refused(void **state)
{
	struct listener listener;
	struct err err = { 0 };
	int end = -1;
	pid_t stranger = start_stranger(&end);
	int sock;

	(void)state;
	listener_open(&listener);
	start_visitor(&listener, PEER_CHAIN_MAX);
	sock = visitor(&listener);
	assert_int_equal(peer_check(sock, getuid(), stranger, &err), ERR_DENIED);
	assert_true(str_ends(err.text, "more than 256 parents"));
	fd_close(&sock);
	fd_close(&end);
	reap();
	fd_close(&listener.fd);
}

static void a_process_is_below_itself_and_its_parents(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(peer_check_chain(getpid(), getpid(), &err), ERR_DENIED);
	assert_int_equal(peer_check_chain(getpid(), getppid(), &err), ERR_DENIED);
	assert_int_equal(peer_check_chain(1, getpid(), &err), 0);
	assert_int_equal(peer_check_chain(getppid(), getpid(), &err), 0);
}

static void what_is_no_process_is_refused(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(peer_check_chain(0, getpid(), &err), ERR_DENIED);
	assert_string_equal(err.text, "the peer is outside of our PID namespace");
	assert_int_equal(peer_check_chain(-1, getpid(), &err), ERR_DENIED);
	assert_int_equal(peer_check_chain(0x7ffffff0, getpid(), &err), ERR_DENIED);
}

/* The name of a process is its own choice and stands in front of what is read. */
static void a_name_cannot_forge_parents(void **state)
{
	char before[16];
	struct err err = { 0 };

	(void)state;
	assert_int_equal(prctl(PR_GET_NAME, before), 0);
	assert_int_equal(prctl(PR_SET_NAME, "a) S 1 1 1 0 -1"), 0);
	assert_int_equal(peer_check_chain(getpid(), getppid(), &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "was started by process"));
	assert_int_equal(prctl(PR_SET_NAME, before), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(whoever_the_ancestor_started_is_refused),
		FIXTURE_TEST(a_daemonised_descendant_is_refused_too),
		FIXTURE_TEST(who_is_not_below_the_ancestor_is_let_in),
		FIXTURE_TEST(another_user_is_refused),
		FIXTURE_TEST(who_connected_and_ended_is_refused),
		FIXTURE_TEST(a_chain_too_long_to_follow_is_refused),
		FIXTURE_TEST(a_process_is_below_itself_and_its_parents),
		FIXTURE_TEST(what_is_no_process_is_refused),
		FIXTURE_TEST(a_name_cannot_forge_parents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
