/*
 * Sockets: connect() and bind() as the supervisor makes them. The host, which is the test itself,
 * listens in the same folder; nobody may reach it.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/un.h>
#include <time.h>

#include "tests/unit/proto/sys/supervised.h"

static int tried(long rc)
{
	return rc < 0 ? errno : 0;
}

static struct sockaddr_un path_address(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memcpy(address.sun_path, path, strlen(path));
	return address;
}

static int connect_path(int fd, const char *path)
{
	struct sockaddr_un address = path_address(path);

	return tried(connect(fd, (struct sockaddr *)&address, sizeof address));
}

static int bind_path(int fd, const char *path)
{
	struct sockaddr_un address = path_address(path);

	return tried(bind(fd, (struct sockaddr *)&address, sizeof address));
}

static int listener(const char *path)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return bind_path(fd, path) == 0 && listen(fd, 8) == 0 ? fd : -1;
}

/* A connection to a path, made and closed. */
static int reach(const char *path)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc = connect_path(fd, path);

	(void)close(fd);
	return rc;
}

/* ------------------------------------------------------------------ the host's */

static void reach_the_host(void)
{
	char path[PATH_MAX];
	int folder = open(".", O_PATH | O_DIRECTORY);
	int fd;

	seen->results[0] = reach("host.sock");
	seen->results[1] = reach("./../host-link-does-not-exist");
	(void)!symlink("host.sock", "alias");
	seen->results[2] = reach("alias");
	seen->results[3] = tried(link("host.sock", "hard"));
	seen->results[4] = reach("hard");
	seen->results[5] = tried(rename("hard", "moved"));
	seen->results[6] = reach("moved");
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d/host.sock", folder);
	seen->results[7] = reach(path);
	fd = open("host.sock", O_PATH);
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	seen->results[8] = reach(path);
	/* A socket of the command's own in its place, and the other way round. */
	fd = listener("own.sock");
	seen->results[9] = reach("own.sock");
	seen->results[10] =
		tried(syscall(SYS_renameat2, AT_FDCWD, "own.sock", AT_FDCWD, "moved", 2));
	seen->results[11] = reach("moved");
	seen->results[12] = reach("own.sock");
	seen->results[13] = tried(unlink("moved"));
	seen->results[14] = reach("own.sock");
	seen->results[15] = tried(mknod("empty.sock", S_IFSOCK | 0600, 0));
	seen->results[16] = reach("empty.sock");
	seen->results[17] = reach("plain");
	(void)close(fd);
}

static void no_socket_of_the_host_is_reached_by_any_name(void **state)
{
	static const int expected[] = { EPERM,        ENOENT, EPERM, 0, EPERM, 0, EPERM, EPERM,
					EPERM,        0,      0,     0, EPERM, 0, EPERM, 0,
					ECONNREFUSED, ENOENT };
	char path[PATH_MAX];
	int host SCOPED(fd_close) = -1;
	struct pollfd visit = { .events = POLLIN };

	(void)state;
	(void)snprintf(path, sizeof path, "%s/host.sock", fixture_dir());
	host = visit.fd = listener(path);
	assert_true(host >= 0);
	supervised(reach_the_host);
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		if (seen->results[i] != expected[i])
			fail_msg("row %zu: %d", i, seen->results[i]);
	}
	assert_int_equal(poll(&visit, 1, 0), 0);
	expect_denial(DENIAL_RULE_HOST_SOCKET, "connect", "/host.sock", EPERM);
	expect_denial(DENIAL_RULE_HOST_SOCKET, "connect", "/moved", EPERM);
}

static void reach_odd_sockets(void)
{
	seen->results[0] = reach("left.sock");
	seen->results[1] = reach("datagram.sock");
	seen->results[2] = reach("packets.sock");
}

static void what_the_host_has_left_behind_is_no_socket_of_it(void **state)
{
	static const int expected[] = { ECONNREFUSED, EPERM, EPERM };
	struct sockaddr_un address;
	char path[PATH_MAX];
	int datagram SCOPED(fd_close) = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int packets SCOPED(fd_close) = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)state;
	(void)snprintf(path, sizeof path, "%s/left.sock", fixture_dir());
	(void)close(listener(path));
	(void)snprintf(path, sizeof path, "%s/datagram.sock", fixture_dir());
	assert_int_equal(bind_path(datagram, path), 0);
	(void)snprintf(path, sizeof path, "%s/packets.sock", fixture_dir());
	address = path_address(path);
	assert_int_equal(bind(packets, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(packets, 1), 0);
	supervised(reach_odd_sockets);
	assert_memory_equal(seen->results, expected, sizeof expected);
	assert_int_equal(seen->denials.count, 2);
	assert_int_equal(poll(&(struct pollfd){ .fd = packets, .events = POLLIN }, 1, 0), 0);
}

static void wait_for_the_host(void)
{
	while (access("late.sock", F_OK) < 0)
		(void)sched_yield();
	seen->results[0] = reach("late.sock");
}

static void *bind_later(void *path)
{
	int *fd = calloc(1, sizeof *fd);

	if (fd)
		*fd = listener(path);
	return fd;
}

static void a_socket_that_the_host_makes_later_is_not_reached(void **state)
{
	char path[PATH_MAX];
	struct pollfd visit = { .events = POLLIN };
	pthread_t thread;
	void *fd;

	(void)state;
	(void)snprintf(path, sizeof path, "%s/late.sock", fixture_dir());
	assert_int_equal(pthread_create(&thread, NULL, bind_later, path), 0);
	supervised(wait_for_the_host);
	(void)pthread_join(thread, &fd);
	visit.fd = *(int *)fd;
	free(fd);
	assert_int_equal(seen->results[0], EPERM);
	assert_int_equal(poll(&visit, 1, 0), 0);
	(void)close(visit.fd);
}

/* ------------------------------------------------------------------ the command's own */

static void *accept_one(void *listening)
{
	int fd = accept(*(int *)listening, NULL, NULL);

	(void)!write(fd, "hello", 5);
	(void)close(fd);
	return NULL;
}

static void talk_over_paths(void)
{
	char text[8] = "";
	struct ucred peer = { 0 };
	socklen_t len = sizeof peer;
	pthread_t thread;
	struct stat st;
	int listening;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)umask(077);
	listening = listener("own.sock");
	(void)stat("own.sock", &st);
	seen->results[0] = (int)(st.st_mode & 0777);
	(void)pthread_create(&thread, NULL, accept_one, &listening);
	seen->results[1] = connect_path(fd, "own.sock");
	(void)!read(fd, text, 5);
	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
	seen->results[2] = strcmp(text, "hello");
	seen->results[3] = peer.pid != getpid();
	seen->results[4] = bind_path(socket(AF_UNIX, SOCK_STREAM, 0), "own.sock");
	seen->results[5] = connect_path(fd, "own.sock");
	seen->results[6] = bind_path(listening, "other.sock");
	seen->results[7] = tried(mkdir("sub", 0700));
	fd = listener("sub/deep.sock");
	seen->results[8] = reach("sub/../sub/deep.sock");
	seen->results[9] = reach("/proc/self/cwd/sub/deep.sock");
	(void)close(fd);
	seen->results[10] = reach("sub/deep.sock");
	seen->results[11] = bind_path(socket(AF_UNIX, SOCK_STREAM, 0), "missing/x");
	seen->results[12] = bind_path(3000, "x");
	seen->results[13] = connect_path(open("plain", O_CREAT | O_RDWR, 0600), "own.sock");
	seen->results[14] = reach("plain");
	(void)pthread_join(thread, NULL);
}

static void sockets_with_paths_work_within_the_command(void **state)
{
	static const int expected[] = { 0700,         0,      0,     0,        EADDRINUSE,
					EISCONN,      EINVAL, 0,     0,        0,
					ECONNREFUSED, ENOENT, EBADF, ENOTSOCK, ECONNREFUSED };

	(void)state;
	supervised(talk_over_paths);
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		if (seen->results[i] != expected[i])
			fail_msg("row %zu: %d", i, seen->results[i]);
	}
	assert_int_equal(seen->denials.count, 0);
}

static bool is_named(const char *path)
{
	struct sockaddr_un address = { 0 };
	socklen_t len = sizeof address;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	int rc = bind_path(fd, path) || getsockname(fd, (struct sockaddr *)&address, &len) < 0;

	(void)close(fd);
	return rc == 0 && str_eq(address.sun_path, path);
}

static void ask_for_names(void)
{
	char path[PATH_MAX];

	seen->results[0] = !is_named("relative.sock");
	seen->results[1] = !is_named("./././relative2.sock");
	seen->results[2] = !getcwd(path, sizeof path - 16);
	memcpy(path + strlen(path), "/absolute.sock", sizeof "/absolute.sock");
	seen->results[3] = !is_named(path);
}

static void a_socket_tells_the_path_that_it_was_bound_to(void **state)
{
	static const int expected[4];

	(void)state;
	supervised(ask_for_names);
	assert_memory_equal(seen->results, expected, sizeof expected);
}

static void use_other_names(void)
{
	struct sockaddr_un abstract = { .sun_family = AF_UNIX, .sun_path = "\0name" };
	struct sockaddr_un none = { .sun_family = AF_UNIX };
	struct sockaddr any = { .sa_family = AF_UNSPEC };
	_Alignas(struct sockaddr_un) char room[200] = { AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	seen->results[0] = tried(bind(fd, (struct sockaddr *)&abstract, 7));
	seen->results[1] = tried(listen(fd, 1));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	seen->results[2] = tried(connect(fd, (struct sockaddr *)&abstract, 7));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	seen->results[3] = tried(connect(fd, (struct sockaddr *)&abstract, 8));
	seen->results[4] = tried(connect(fd, (struct sockaddr *)&none, 2));
	seen->results[5] = tried(connect(fd, (void *)room, 200));
	seen->results[6] = tried(connect(fd, (void *)room, 0));
	seen->results[7] = tried(syscall(SYS_connect, fd, 8, 16));
	seen->results[8] = tried(connect(fd, &any, sizeof any));
	seen->results[9] =
		tried(bind(fd, (struct sockaddr *)&none, 2)); /* a name of the kernel's */
	seen->results[10] = tried(syscall(SYS_connect, fd, room, -1));
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	seen->results[11] = tried(connect(fd, (struct sockaddr *)&abstract, 7));
	seen->results[12] = tried(connect(fd, &any, sizeof any));
}

static void other_kinds_of_addresses_are_answered_by_the_kernel(void **state)
{
	static const int expected[] = { 0,      0,      0, ECONNREFUSED, EINVAL, EINVAL, EINVAL,
					EFAULT, EINVAL, 0, EINVAL,       EINVAL, 0 };

	(void)state;
	supervised(use_other_names);
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		if (seen->results[i] != expected[i])
			fail_msg("row %zu: %d", i, seen->results[i]);
	}
}

static void reach_abstract(void)
{
	struct sockaddr_un abstract = { .sun_family = AF_UNIX, .sun_path = "\0agent-test-host" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	seen->results[0] = tried(connect(fd, (struct sockaddr *)&abstract, 18));
}

static void on_the_hosts_network_no_name_is_reached_that_landlock_does_not_bound(void **state)
{
	struct sockaddr_un abstract = { .sun_family = AF_UNIX, .sun_path = "\0agent-test-host" };
	int host SCOPED(fd_close) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd visit = { .fd = host, .events = POLLIN };

	(void)state;
	assert_int_equal(bind(host, (struct sockaddr *)&abstract, 18), 0);
	assert_int_equal(listen(host, 1), 0);
	supervised_run(&(struct supervised){ .network = true }, reach_abstract);
	assert_int_equal(seen->results[0], EPERM);
	assert_int_equal(poll(&visit, 1, 0), 0);
	expect_denial(DENIAL_RULE_HOST_SOCKET, "connect", "@agent-test-host", EPERM);
}

/* ------------------------------------------------------------------ the network */

static struct sockaddr_in v4(const char *host, uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };

	(void)inet_pton(AF_INET, host, &address.sin_addr);
	return address;
}

static void use_the_network(void)
{
	struct sockaddr_in address = v4("127.0.0.1", 0);
	struct sockaddr_in far = v4("192.0.2.1", 443);
	struct sockaddr_in6 far6 = { .sin6_family = AF_INET6, .sin6_port = htons(80) };
	socklen_t len = sizeof address;
	int listening = socket(AF_INET, SOCK_STREAM, 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	seen->results[0] = tried(bind(listening, (struct sockaddr *)&address, sizeof address));
	seen->results[1] = tried(listen(listening, 1));
	(void)getsockname(listening, (struct sockaddr *)&address, &len);
	seen->results[2] = tried(connect(fd, (struct sockaddr *)&address, sizeof address));
	seen->results[3] = fcntl(fd, F_GETFL) & O_NONBLOCK;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	seen->results[4] = tried(connect(fd, (struct sockaddr *)&address, sizeof address));
	seen->results[5] = !(fcntl(fd, F_GETFL) & O_NONBLOCK);
	(void)close(listening);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	seen->results[6] = tried(connect(fd, (struct sockaddr *)&address, sizeof address));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	seen->results[7] = tried(connect(fd, (struct sockaddr *)&far, sizeof far));
	fd = socket(AF_INET6, SOCK_STREAM, 0);
	(void)inet_pton(AF_INET6, "2001:db8::1", &far6.sin6_addr);
	seen->results[8] = tried(connect(fd, (struct sockaddr *)&far6, sizeof far6));
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	seen->results[9] = tried(connect(fd, (struct sockaddr *)&far, sizeof far));
	seen->results[10] = tried(connect(fd, (struct sockaddr *)&address, sizeof address));
}

static void the_loopback_works_and_what_is_beyond_is_told(void **state)
{
	static const int expected[] = {
		0, 0, 0, 0, EINPROGRESS, 0, ECONNREFUSED, ENETUNREACH, ENETUNREACH, ENETUNREACH, 0
	};

	(void)state;
	supervised(use_the_network);
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		if (seen->results[i] != expected[i])
			fail_msg("row %zu: %d", i, seen->results[i]);
	}
	expect_denial(DENIAL_RULE_NETWORK, "connect", "192.0.2.1:443", ENETUNREACH);
	expect_denial(DENIAL_RULE_NETWORK, "connect", "[2001:db8::1]:80", ENETUNREACH);
}

/* ------------------------------------------------------------------ connections under way */

static int64_t elapsed_ms(const struct timespec *since)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

static int waits[SUPERVISE_PENDING_MAX + 1];

static void *wait_in_connect(void *result)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	*(int *)result = connect_path(fd, "full.sock");
	return NULL;
}

static void fill_a_queue(void)
{
	struct timeval limit = { .tv_usec = 100000 };
	pthread_t threads[3];
	struct timespec begin;
	int listening = socket(AF_UNIX, SOCK_STREAM, 0);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	seen->results[0] = bind_path(listening, "full.sock") || listen(listening, 0);
	while (connect_path(fd, "full.sock") == 0)
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	seen->results[1] = connect_path(fd, "full.sock");
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	(void)clock_gettime(CLOCK_MONOTONIC, &begin);
	seen->results[2] = connect_path(fd, "full.sock");
	seen->results[3] = elapsed_ms(&begin) < 100;
	for (int i = 0; i < 3; i++)
		(void)pthread_create(&threads[i], NULL, wait_in_connect, &waits[i]);
	/* They wait, and others are served. */
	seen->results[4] = tried(mkdir("meanwhile", 0700));
	for (int i = 0; i < 4; i++)
		seen->results[5] |= accept(listening, NULL, NULL) < 0;
	for (int i = 0; i < 3; i++) {
		(void)pthread_join(threads[i], NULL);
		seen->results[6] |= waits[i];
	}
}

static void a_connection_that_has_to_wait_holds_up_nobody_else(void **state)
{
	static const int expected[] = { 0, EAGAIN, EAGAIN, 0, 0, 0, 0 };

	(void)state;
	supervised(fill_a_queue);
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		if (seen->results[i] != expected[i])
			fail_msg("row %zu: %d", i, seen->results[i]);
	}
}

static int waiting;
static atomic_bool over;

static void *take_the_flag_away(void *unused)
{
	(void)unused;
	while (!over)
		(void)fcntl(waiting, F_SETFL, 0);
	return NULL;
}

/* Takes one connection for each folder that it could make: nobody else would. */
static void *accept_slowly(void *listening)
{
	while (!over) {
		if (mkdir("served", 0700) < 0 || rmdir("served") < 0)
			seen->results[1] = errno;
		(void)close(accept(*(int *)listening, NULL, NULL));
	}
	return NULL;
}

static void wait_in_its_place(void)
{
	static int listening;
	pthread_t threads[2];

	listening = socket(AF_UNIX, SOCK_STREAM, 0);
	seen->results[0] = bind_path(listening, "full.sock") || listen(listening, 0);
	(void)pthread_create(&threads[0], NULL, take_the_flag_away, NULL);
	(void)pthread_create(&threads[1], NULL, accept_slowly, &listening);
	for (int i = 0; i < 500; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		int rc;

		do { /* the queue is full */
			int other = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

			rc = connect_path(other, "full.sock");
			(void)close(other);
		} while (rc == 0);
		waiting = fd;
		seen->results[2] |= connect_path(fd, "full.sock");
		(void)close(fd);
	}
	over = true;
	(void)reach("full.sock");
	(void)pthread_join(threads[0], NULL);
	(void)pthread_join(threads[1], NULL);
}

static void who_takes_the_flag_away_does_not_make_the_supervisor_wait(void **state)
{
	static const int expected[3];

	(void)state;
	supervised(wait_in_its_place);
	assert_memory_equal(seen->results, expected, sizeof expected);
}

static void wait_too_often(void)
{
	static pthread_t threads[SUPERVISE_PENDING_MAX + 1];
	int listening = socket(AF_UNIX, SOCK_STREAM, 0);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int at_once = 0;

	(void)bind_path(listening, "full.sock");
	(void)listen(listening, 0);
	(void)connect_path(fd, "full.sock");
	for (int i = 0; i <= SUPERVISE_PENDING_MAX; i++)
		waits[i] = -1;
	for (int i = 0; i <= SUPERVISE_PENDING_MAX; i++)
		(void)pthread_create(&threads[i], NULL, wait_in_connect, &waits[i]);
	while (at_once == 0) { /* one of them has to be told */
		for (int i = 0; i <= SUPERVISE_PENDING_MAX; i++)
			at_once += __atomic_load_n(&waits[i], __ATOMIC_ACQUIRE) == EAGAIN;
	}
	seen->results[0] = at_once;
	_exit(0 * (int)(seen->finished = true));
}

static void one_connection_more_than_can_wait_is_told_to_come_again(void **state)
{
	(void)state;
	supervised(wait_too_often);
	assert_int_equal(seen->results[0], 1);
}

static void make_many_sockets(void)
{
	char name[32];

	seen->results[0] = listener("first") < 0 || listener("second") < 0 || reach("first");
	for (int i = 0; i < SUPERVISE_SOCKETS_MAX - 1; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		(void)snprintf(name, sizeof name, "s%d", i);
		seen->results[1] |= bind_path(fd, name);
		(void)close(fd);
	}
	seen->results[2] = reach("first");
	seen->results[3] = reach("second");
}

static void the_oldest_socket_is_forgotten_when_there_are_too_many(void **state)
{
	static const int expected[] = { 0, 0, EPERM, 0 };

	(void)state;
	supervised(make_many_sockets);
	assert_memory_equal(seen->results, expected, sizeof expected);
}

static void bind_reserved(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	seen->results[0] = bind_path(fd, ".git");
	seen->results[1] = bind_path(fd, "./.GIT");
}

static void no_socket_takes_a_protected_name(void **state)
{
	(void)state;
	supervised_reserve(".git");
	supervised(bind_reserved);
	assert_int_equal(seen->results[0], EROFS);
	assert_int_equal(seen->results[1], EROFS);
	expect_denial(DENIAL_RULE_PROTECTED, "bind", "/.git", EROFS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SUPERVISED_TEST(no_socket_of_the_host_is_reached_by_any_name),
		SUPERVISED_TEST(what_the_host_has_left_behind_is_no_socket_of_it),
		SUPERVISED_TEST(a_socket_that_the_host_makes_later_is_not_reached),
		SUPERVISED_TEST(sockets_with_paths_work_within_the_command),
		SUPERVISED_TEST(a_socket_tells_the_path_that_it_was_bound_to),
		SUPERVISED_TEST(other_kinds_of_addresses_are_answered_by_the_kernel),
		SUPERVISED_TEST(
			on_the_hosts_network_no_name_is_reached_that_landlock_does_not_bound),
		SUPERVISED_TEST(the_loopback_works_and_what_is_beyond_is_told),
		SUPERVISED_TEST(a_connection_that_has_to_wait_holds_up_nobody_else),
		SUPERVISED_TEST(who_takes_the_flag_away_does_not_make_the_supervisor_wait),
		SUPERVISED_TEST(one_connection_more_than_can_wait_is_told_to_come_again),
		SUPERVISED_TEST(the_oldest_socket_is_forgotten_when_there_are_too_many),
		SUPERVISED_TEST(no_socket_takes_a_protected_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
