#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/wire/listen.h"

#include "tests/support/fixture.h"

static char *make_folder(char *path)
{
	assert_non_null(mkdtemp(path));
	return path;
}

static void a_folder_is_the_users_alone(void **state)
{
	static const struct row {
		mode_t mode;
		int code;
	} rows[] = { { 0700, 0 }, { 0755, 0 }, { 0770, ERR_DENIED }, { 0702, ERR_DENIED } };
	char path[] = "/tmp/listen-XXXXXX";
	char name[sizeof path + 8];
	struct err err = { 0 };

	(void)state;
	(void)make_folder(path);
	(void)snprintf(name, sizeof name, "%s/link", path);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(chmod(path, rows[i].mode), 0);
		if (listen_check_folder(path, &err) != rows[i].code)
			fail_msg("%o: %s", rows[i].mode, err.text);
	}
	assert_int_equal(listen_check_folder(name, &err), ERR_SYSTEM);
	assert_int_equal(symlink(path, name), 0);
	assert_int_equal(listen_check_folder(name, &err), ERR_DENIED);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(rmdir(path), 0);
}

static void a_folder_has_one_holder(void **state)
{
	char path[] = "/tmp/listen-XXXXXX";
	int first = -1;
	int second = -1;
	struct err err = { 0 };

	(void)state;
	(void)make_folder(path);
	assert_int_equal(listen_hold(&first, path, &err), 0);
	assert_int_equal(listen_hold(&second, path, &err), ERR_STATE);
	assert_int_equal(second, -1);
	fd_close(&first);
	assert_int_equal(listen_hold(&second, path, &err), 0);
	fd_close(&second);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(listen_hold(&second, path, &err), ERR_SYSTEM);
}

static void a_socket_takes_the_place_of_a_stale_one(void **state)
{
	char path[] = "/tmp/listen-XXXXXX";
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char longest[sizeof address.sun_path + 1];
	struct stat info = { 0 };
	struct err err = { 0 };
	int folder = -1;
	int fd = -1;

	(void)state;
	assert_int_equal(listen_hold(&folder, make_folder(path), &err), 0);
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s/s.sock", path);
	for (int round = 0; round < 2; round++) {
		int client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

		assert_int_equal(listen_in(&fd, folder, "s.sock", &err), 0);
		assert_int_equal(stat(address.sun_path, &info), 0);
		assert_int_equal(info.st_mode & 07777, 0600);
		assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
		fd_close(&client);
		fd_close(&fd); /* leaves its name */
	}
	assert_int_equal(unlink(address.sun_path), 0);
	assert_int_equal(mkdir(address.sun_path, 0700), 0); /* is not removed */
	assert_int_equal(listen_in(&fd, folder, "s.sock", &err), ERR_SYSTEM);
	assert_int_equal(rmdir(address.sun_path), 0);
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	assert_int_equal(listen_in(&fd, folder, longest, &err), ERR_LIMIT);
	fd_close(&folder);
	assert_int_equal(rmdir(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_folder_is_the_users_alone),
		FIXTURE_TEST(a_folder_has_one_holder),
		FIXTURE_TEST(a_socket_takes_the_place_of_a_stale_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
