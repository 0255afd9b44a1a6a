/*
 * A command that exchanges what it has given while the supervisor looks at it: the memory of an
 * address, the descriptor, the working directory. The socket of the host sees nobody, and no
 * protected name comes into being. $AGENT_TEST_ROUNDS is how often each is tried.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/un.h>

#include "tests/unit/proto/sys/supervised.h"

#define ROUNDS 10000 /* of each attack, without $AGENT_TEST_ROUNDS */

static atomic_bool over;
static int rounds = ROUNDS;

static struct sockaddr_un shared = { .sun_family = AF_UNIX };
static char shared_name[16];
static int shared_fd;
static int folders[2];

/* What the other thread does, again and again. */
static void swap_address(int i)
{
	memcpy(shared.sun_path, i % 2 ? "host.sock" : "mine.sock", 10);
}

static void swap_name(int i)
{
	memcpy(shared_name, i % 2 ? ".git" : "sub1", 5);
}

static void swap_folder(int i)
{
	(void)dup2(folders[i % 2], shared_fd);
}

static void swap_cwd(int i)
{
	(void)!fchdir(folders[i % 2]);
}

static void swap_socket(int i)
{
	static int sockets[2];

	if (sockets[0] == 0) {
		sockets[0] = socket(AF_UNIX, SOCK_STREAM, 0);
		sockets[1] = socket(AF_INET, SOCK_STREAM, 0);
	}
	(void)dup2(sockets[i % 2], shared_fd);
	swap_address(i / 2);
}

static void *swap_all(void *swap)
{
	for (int i = 0; !over; i++)
		(*(void (**)(int))swap)(i);
	return NULL;
}

static void attack(void (*swap)(int), int (*round)(void))
{
	pthread_t thread;

	over = false;
	seen->results[0] = pthread_create(&thread, NULL, swap_all, &swap);
	for (int i = 0; i < rounds; i++)
		seen->results[1] += round();
	over = true;
	(void)pthread_join(thread, NULL);
}

static int connect_shared(int fd)
{
	return connect(fd, (struct sockaddr *)&shared, sizeof shared) == 0;
}

static int connect_once(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int done = connect_shared(fd);

	(void)close(fd);
	return done;
}

static int connect_swapped(void)
{
	return connect_shared(shared_fd);
}

static int mkdir_once(void)
{
	int done = mkdir(shared_name, 0700) == 0;

	(void)rmdir("sub1");
	return done;
}

static int mkdirat_once(void)
{
	int done = mkdirat(shared_fd, ".git", 0700) == 0;

	(void)rmdir("sub/.git");
	return done;
}

static int mkdir_in_cwd(void)
{
	int done = mkdir(".git", 0700) == 0;

	(void)unlinkat(folders[1], ".git", AT_REMOVEDIR);
	return done;
}

/* A listening socket that takes whatever comes. */
static void *serve(void *listening)
{
	int fd;

	while ((fd = accept(*(int *)listening, NULL, NULL)) >= 0)
		(void)close(fd);
	return NULL;
}

static int prepare(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, path, strlen(path));
	return bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 64) == 0
		       ? fd
		       : -1;
}

static void enter(void)
{
	static int listening;
	pthread_t thread;

	listening = prepare("mine.sock");
	(void)pthread_create(&thread, NULL, serve, &listening);
	swap_address(0);
	swap_name(0);
	(void)mkdir("sub", 0700);
	folders[0] = open(".", O_RDONLY | O_DIRECTORY);
	folders[1] = open("sub", O_RDONLY | O_DIRECTORY);
	shared_fd = dup(folders[0]);
}

static void attack_address(void)
{
	enter();
	attack(swap_address, connect_once);
}

static void attack_socket(void)
{
	enter();
	attack(swap_socket, connect_swapped);
}

static void attack_name(void)
{
	enter();
	attack(swap_name, mkdir_once);
}

static void attack_folder(void)
{
	enter();
	attack(swap_folder, mkdirat_once);
}

static void attack_cwd(void)
{
	enter();
	attack(swap_cwd, mkdir_in_cwd);
	(void)!fchdir(folders[0]);
}

static void nothing_that_is_exchanged_gets_through(void **state)
{
	static void (*const attacks[])(void) = { attack_address, attack_socket, attack_name,
						 attack_folder, attack_cwd };
	char path[PATH_MAX];
	struct pollfd visit = { .events = POLLIN };
	struct stat st;

	(void)state;
	(void)snprintf(path, sizeof path, "%s/host.sock", fixture_dir());
	visit.fd = prepare(path);
	assert_true(visit.fd >= 0);
	(void)snprintf(path, sizeof path, "%s/.git", fixture_dir());
	supervised_reserve(".git");
	for (size_t i = 0; i < ARRAY_LEN(attacks); i++) {
		char mine[PATH_MAX];

		seen->results[1] = 0;
		seen->denials.count = 0;
		supervised(attacks[i]);
		(void)snprintf(mine, sizeof mine, "%s/mine.sock", fixture_dir());
		(void)unlink(mine);
		if (poll(&visit, 1, 0) != 0)
			fail_msg("attack %zu: the host's socket was reached", i);
		if (lstat(path, &st) == 0)
			fail_msg("attack %zu: a protected name was made", i);
		/* Each of the two has happened, so it was worth the try. */
		if (seen->results[1] == 0 || seen->denials.count == 0)
			fail_msg("attack %zu: %d got through, %zu kinds were refused", i,
				 seen->results[1], seen->denials.count);
	}
	(void)close(visit.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SUPERVISED_TEST(nothing_that_is_exchanged_gets_through),
	};
	const char *often = getenv("AGENT_TEST_ROUNDS");
	int64_t number = ROUNDS;

	if (often && str_to_int(&number, often, 1, INT_MAX, NULL) < 0)
		return EXIT_FAILURE;
	rounds = (int)number;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
