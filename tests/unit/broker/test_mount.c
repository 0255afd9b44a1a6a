/* The file systems that are made for a sandbox: their bounds, and what lies over hidden places. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/fixture.h"
#include "tests/unit/broker/sandboxed.h"

static void shared_memory_is_bounded_in_bytes_and_files(void **state)
{
	struct sandbox_config config = in_desk();

	(void)state;
	run_script(&config, "cd /dev/shm && fallocate -l 512M x && echo all && rm x && "
			    "! fallocate -l 513M x 2> /dev/null && echo no more");
	expect_out("all\nno more\n");
	run_script(&config, "cd /dev/shm && seq 16383 | xargs touch && echo all && "
			    "! touch one && echo no more");
	expect_out("all\n");
	expect_out("No space left on device\nno more\n");
}

static void a_hidden_file_is_an_empty_one(void **state)
{
	struct sandbox_config config = in_desk();
	char file[PATH_MAX + 16];
	const char *folders[] = { file };

	(void)state;
	(void)snprintf(file, sizeof file, "%s/file", outside);
	config.hidden = folders;
	run_script(&config, "cat ../outside/file && echo end; echo b > ../outside/file; "
			    "rm ../outside/file; chmod 777 ../outside/file; ls /dev/shm");
	expect_out("end\n");
	assert_int_equal(strncmp(did.out, "end\n", 4), 0);
	expect_out("Read-only file system");
	shell("test \"$(cat outside/file)\" = old");
}

static void a_hidden_file_in_a_root_stays_hidden_and_in_its_place(void **state)
{
	struct sandbox_config config = in_desk();
	char file[PATH_MAX + 16];
	const char *folders[] = { file };

	(void)state;
	shell("mkdir desk/keys; echo secret > desk/keys/mine");
	(void)snprintf(file, sizeof file, "%s/keys/mine", desk);
	config.hidden = folders;
	run_script(&config, "cat keys/mine && echo end; rm -f keys/mine; mv keys other; "
			    "ln keys/mine hard; cat hard; echo a > keys/new");
	assert_int_equal(strncmp(did.out, "end\n", 4), 0);
	assert_null(strstr(did.out, "secret"));
	expect_out("Device or resource busy");
	shell("test \"$(cat desk/keys/mine)\" = secret; test -e desk/keys/new");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SANDBOX_TEST(shared_memory_is_bounded_in_bytes_and_files),
		SANDBOX_TEST(a_hidden_file_is_an_empty_one),
		SANDBOX_TEST(a_hidden_file_in_a_root_stays_hidden_and_in_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
