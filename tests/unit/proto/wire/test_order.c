#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/wire/order.h"

#include "tests/support/fixture.h"

static void free_lists(struct order_text *text)
{
	free(text->argv);
}

static void a_command_comes_out_as_it_went_in(void **state)
{
	const char *argv[] = { "sh", "-c", "", "a\nb" };
	const char *env[] = { "A=1", "EMPTY=" };
	struct command command = { argv, 4, env, 2, "/tmp" };
	struct order_text text SCOPED(free_lists) = { 0 };
	int block SCOPED(fd_close) = -1;
	struct order order;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(order_pack(&order, &block, &command, &err), 0);
	assert_int_equal(order_read(&text, &order, block, &err), 0);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(text.argv[i], argv[i]);
	assert_null(text.argv[4]);
	assert_string_equal(text.env[0], "A=1");
	assert_string_equal(text.env[1], "EMPTY=");
	assert_null(text.env[2]);
	assert_string_equal(text.cwd, "/tmp");
	(void)munmap(text.argv[0], order.block_bytes);
}

/* Headers and blocks that do not add up; each is refused, and nothing is read beyond the block. */
static void what_does_not_add_up_is_refused(void **state)
{
	static const struct row {
		const char *name;
		struct order order;
		const char *block;
		size_t size;
	} rows[] = {
		{ "another layout", { 1, 1, 0, 5 }, "a\0/b", 5 },
		{ "no program", { ORDER_MAGIC, 0, 0, 5 }, "a\0/b", 5 },
		{ "an empty program", { ORDER_MAGIC, 1, 0, 4 }, "\0/b", 4 },
		{ "too many arguments", { ORDER_MAGIC, ORDER_ARGV_MAX + 1, 0, 5 }, "a\0/b", 5 },
		{ "too many variables", { ORDER_MAGIC, 1, ORDER_ENV_MAX + 1, 5 }, "a\0/b", 5 },
		{ "counts that overflow", { ORDER_MAGIC, 1, UINT32_MAX, 5 }, "a\0/b", 5 },
		{ "a longer block than promised", { ORDER_MAGIC, 1, 0, 5 }, "a\0/b\0c", 7 },
		{ "a shorter block than promised", { ORDER_MAGIC, 1, 0, 9 }, "a\0/b", 5 },
		{ "no end of the last text", { ORDER_MAGIC, 1, 0, 4 }, "a\0/b", 4 },
		{ "a text too few", { ORDER_MAGIC, 1, 1, 5 }, "a\0/b", 5 },
		{ "a text too many", { ORDER_MAGIC, 1, 0, 7 }, "a\0/b\0c", 7 },
		{ "a relative working directory", { ORDER_MAGIC, 1, 0, 4 }, "a\0b", 4 },
		{ "an empty block", { ORDER_MAGIC, 1, 0, 0 }, "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct order_text text = { 0 };
		struct err err = { 0 };
		char *copy =
			malloc(rows[i].size + (rows[i].size == 0)); /* exact, for the sanitizer */
		int rc;

		assert_non_null(copy);
		memcpy(copy, rows[i].block, rows[i].size);
		rc = order_parse(&text, &rows[i].order, copy, rows[i].size, &err);
		free(copy);
		if (rc != ERR_INVALID || text.argv)
			fail_msg("%s: %d", rows[i].name, rc);
	}
}

static void a_block_that_can_still_change_is_refused(void **state)
{
	static const int seals[] = { 0, F_SEAL_WRITE, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK };
	struct order order = { ORDER_MAGIC, 1, 0, 5 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(seals); i++) {
		int block SCOPED(fd_close) = memfd_create("block", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		struct order_text text = { 0 };
		struct err err = { 0 };

		assert_int_equal(write(block, "a\0/b", 5), 5);
		assert_int_equal(fcntl(block, F_ADD_SEALS, seals[i]), 0);
		assert_int_equal(order_read(&text, &order, block, &err), ERR_INVALID);
	}
}

static void a_command_beyond_a_limit_is_not_packed(void **state)
{
	static const char *many[ORDER_ENV_MAX + 1];
	char *large = calloc(1, ORDER_BLOCK_MAX + 1);
	struct err err = { 0 };
	struct order order;
	int block = -1;

	(void)state;
	assert_non_null(large);
	memset(large, 'x', ORDER_BLOCK_MAX);
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = "A=1";
	{
		const char *one[] = { "true" };
		const char *huge[] = { large };
		const struct command rows[] = {
			{ one, 0, NULL, 0, "/" },
			{ many, ORDER_ARGV_MAX + 1, NULL, 0, "/" },
			{ one, 1, many, ORDER_ENV_MAX + 1, "/" },
			{ huge, 1, NULL, 0, "/" },
		};
		const struct command last = { many, ORDER_ARGV_MAX, many, ORDER_ENV_MAX, "/" };

		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			assert_int_equal(order_pack(&order, &block, &rows[i], &err), ERR_LIMIT);
			assert_int_equal(block, -1);
		}
		assert_int_equal(order_pack(&order, &block, &last, &err), 0);
		fd_close(&block);
	}
	free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_command_comes_out_as_it_went_in),
		FIXTURE_TEST(what_does_not_add_up_is_refused),
		FIXTURE_TEST(a_block_that_can_still_change_is_refused),
		FIXTURE_TEST(a_command_beyond_a_limit_is_not_packed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
