#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "tests/support/alloc_fail.h"
#include "tests/support/fixture.h"

static void an_empty_buffer_is_an_empty_string_in_every_state(void **state)
{
	struct buf fresh SCOPED(buf_deinit) = BUF_INIT(100);
	struct buf zeroed SCOPED(buf_deinit) = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_string_equal(buf_str(&fresh), "");
	assert_string_equal(buf_str(&zeroed), "");
	buf_clear(&zeroed);
	buf_cut(&zeroed, 0);
	buf_consume(&zeroed, 5);
	buf_deinit(&zeroed);

	/* Room that was asked for and never used. */
	assert_int_equal(buf_reserve(&fresh, 50, &err), 0);
	assert_string_equal(buf_str(&fresh), "");
	buf_deinit(&fresh);
	assert_int_equal(fresh.max, 100);
	assert_string_equal(buf_str(&fresh), "");
}

static void the_ceiling_is_exact(void **state)
{
	static const struct {
		const char *name;
		size_t max;
		size_t first;
		size_t second;
		int rc;
	} rows[] = {
		{ "nothing into nothing", 0, 0, 0, 0 },
		{ "one byte into nothing", 0, 0, 1, ERR_LIMIT },
		{ "exactly full", 10, 4, 6, 0 },
		{ "one too many", 10, 4, 7, ERR_LIMIT },
		{ "full and nothing more", 10, 10, 0, 0 },
		{ "full and one more", 10, 10, 1, ERR_LIMIT },
		{ "past the first allocation", 1000, 63, 64, 0 },
		{ "doubling meets the ceiling", 100, 64, 36, 0 },
		{ "size that would wrap", 100, 4, SIZE_MAX, ERR_LIMIT },
		{ "size that would wrap without a ceiling", SIZE_MAX, 4, SIZE_MAX - 4, ERR_LIMIT },
	};
	static const char bytes[128] = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf buf SCOPED(buf_deinit) = BUF_INIT(rows[i].max);
		struct err err = { 0 };
		int rc;

		assert_int_equal(buf_append(&buf, bytes, rows[i].first, &err), 0);
		rc = rows[i].second <= sizeof bytes ? buf_append(&buf, bytes, rows[i].second, &err)
						    : buf_reserve(&buf, rows[i].second, &err);
		if (rc != rows[i].rc)
			fail_msg("row '%s': %d, %s", rows[i].name, rc, err.text);
		if (buf.len != rows[i].first + (rc == 0 ? rows[i].second : 0))
			fail_msg("row '%s': %zu bytes", rows[i].name, buf.len);
		if (rows[i].max < SIZE_MAX && buf.cap > rows[i].max + 1)
			fail_msg("row '%s': capacity %zu", rows[i].name, buf.cap);
	}
}

static void what_is_appended_is_what_is_read(void **state)
{
	struct buf buf SCOPED(buf_deinit) = BUF_INIT(10000);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(buf_puts(&buf, "one", &err), 0);
	assert_int_equal(buf_putc(&buf, ' ', &err), 0);
	assert_int_equal(buf_append(&buf, "t\0o", 3, &err), 0);
	assert_int_equal(buf_printf(&buf, &err, " %s=%04d", "three", 3), 0);
	assert_int_equal(buf.len, 18);
	assert_memory_equal(buf.data, "one t\0o three=0003", 19);

	for (size_t i = 0; i < 2000; i++)
		assert_int_equal(buf_putc(&buf, (char)('a' + i % 26), &err), 0);
	assert_int_equal(buf.len, 2018);
	assert_int_equal(buf.data[18 + 1999], 'a' + 1999 % 26);
	assert_int_equal(buf.data[2018], '\0');
}

static void a_failure_leaves_the_content_as_it_was(void **state)
{
	struct buf buf SCOPED(buf_deinit) = BUF_INIT(8);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(buf_puts(&buf, "12345", &err), 0);
	assert_int_equal(buf_puts(&buf, "6789", &err), ERR_LIMIT);
	assert_string_equal(err.text, "more than 8 bytes");
	assert_int_equal(buf_printf(&buf, &err, "%d", 6789), ERR_LIMIT);
	assert_string_equal(buf_str(&buf), "12345");

	alloc_fail_at(1);
	assert_int_equal(buf_reserve(&buf, 3, &err), 0); /* already there */
	alloc_fail_at(0);
	buf_deinit(&buf);
	alloc_fail_at(1);
	assert_int_equal(buf_puts(&buf, "x", &err), ERR_NOMEM);
	alloc_fail_at(0);
	assert_string_equal(buf_str(&buf), "");
	assert_int_equal(buf_puts(&buf, "x", &err), 0);
}

static int every_way_to_grow(void *context)
{
	struct buf buf SCOPED(buf_deinit) = BUF_INIT(1000);
	struct err err = { 0 };
	char big[200];

	(void)context;
	memset(big, 'x', sizeof big);
	if (buf_putc(&buf, 'a', &err) < 0 || buf_append(&buf, big, sizeof big, &err) < 0 ||
	    buf_printf(&buf, &err, "%.*s", (int)sizeof big, big) < 0 ||
	    buf_reserve(&buf, 500, &err) < 0)
		return err.code;
	return 0;
}

static void each_allocation_may_fail(void **state)
{
	(void)state;
	alloc_fail_each(every_way_to_grow, NULL);
}

static void consuming_and_cutting(void **state)
{
	static const struct {
		const char *name;
		size_t consume;
		size_t cut;
		const char *left;
	} rows[] = {
		{ "neither", 0, 99, "abcdef" },       { "some in front", 2, 99, "cdef" },
		{ "all but one", 5, 99, "f" },        { "exactly all", 6, 99, "" },
		{ "more than all", 60, 99, "" },      { "some behind", 0, 4, "abcd" },
		{ "all from behind", 0, 0, "" },      { "both", 1, 2, "bc" },
		{ "cut at the end", 0, 6, "abcdef" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf buf SCOPED(buf_deinit) = BUF_INIT(100);
		struct err err = { 0 };

		assert_int_equal(buf_puts(&buf, "abcdef", &err), 0);
		buf_consume(&buf, rows[i].consume);
		buf_cut(&buf, rows[i].cut);
		if (!str_eq(buf_str(&buf), rows[i].left) || buf.len != strlen(rows[i].left))
			fail_msg("row '%s': '%s'", rows[i].name, buf_str(&buf));
	}
}

static void taking_hands_over_and_leaves_an_empty_buffer(void **state)
{
	struct buf buf SCOPED(buf_deinit) = BUF_INIT(100);
	struct err err = { 0 };
	char *text SCOPED(str_free) = NULL;
	char *empty SCOPED(str_free) = NULL;

	(void)state;
	assert_int_equal(buf_puts(&buf, "mine", &err), 0);
	text = buf_take(&buf);
	assert_string_equal(text, "mine");
	assert_int_equal(buf.len, 0);
	assert_int_equal(buf.max, 100);
	empty = buf_take(&buf);
	assert_string_equal(empty, "");
	alloc_fail_at(1);
	assert_null(buf_take(&buf));
	alloc_fail_at(0);
}

static void a_file_is_read_whole_or_not_at_all(void **state)
{
	static const struct {
		const char *name;
		size_t size;
		size_t max;
		int rc;
	} rows[] = {
		{ "empty", 0, 10, 0 },
		{ "empty into nothing", 0, 0, 0 },
		{ "small", 5, 10, 0 },
		{ "exactly the ceiling", 10, 10, 0 },
		{ "one more than the ceiling", 11, 10, ERR_LIMIT },
		{ "one chunk", 16384, 100000, 0 },
		{ "several chunks", 50001, 100000, 0 },
		{ "several chunks, exact", 50001, 50001, 0 },
		{ "several chunks, too long", 50002, 50001, ERR_LIMIT },
	};
	static char bytes[60000];

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i % 251);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf buf SCOPED(buf_deinit) = BUF_INIT(rows[i].max);
		struct err err = { 0 };
		int rc = buf_read_file(&buf, fixture_file("data", bytes, rows[i].size), &err);

		if (rc != rows[i].rc)
			fail_msg("row '%s': %d, %s", rows[i].name, rc, err.text);
		if (buf.len != (rc == 0 ? rows[i].size : 0))
			fail_msg("row '%s': %zu bytes", rows[i].name, buf.len);
		if (rc == 0 && memcmp(buf_str(&buf), bytes, buf.len) != 0)
			fail_msg("row '%s': other bytes", rows[i].name);
	}
}

static void a_failed_read_keeps_what_was_there_before(void **state)
{
	struct buf buf SCOPED(buf_deinit) = BUF_INIT(20);
	struct err err = { 0 };
	int ends[2] = { -1, -1 };

	(void)state;
	assert_int_equal(fd_pipe(ends, &err), 0);
	assert_int_equal(fd_write_all(ends[1], "0123456789abcdefghijk", 21, &err), 0);
	fd_close(&ends[1]);
	assert_int_equal(buf_puts(&buf, "before", &err), 0);
	assert_int_equal(buf_read_fd(&buf, ends[0], &err), ERR_LIMIT);
	assert_string_equal(buf_str(&buf), "before");

	assert_int_equal(buf_read_fd(&buf, ends[0], &err), 0); /* the one byte that was left */
	fd_close(&ends[0]);
	assert_int_equal(buf_read_fd(&buf, -1, &err), ERR_SYSTEM);
	assert_int_equal(err.sys, EBADF);
}

static void only_a_regular_file_is_read_by_name(void **state)
{
	char path[4096];
	struct buf buf SCOPED(buf_deinit) = BUF_INIT(20);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(buf_read_file(&buf, fixture_dir(), &err), ERR_INVALID);
	assert_true(str_ends(err.text, "is not a regular file"));
	assert_int_equal(buf_read_file(&buf, "/dev/null", &err), ERR_INVALID);
	assert_int_equal(buf_read_file(&buf, "/nowhere/at/all", &err), ERR_SYSTEM);
	assert_int_equal(err.sys, ENOENT);

	/* A pipe that nobody writes to must not hold the reader. */
	assert_int_equal(str_copy(path, sizeof path, fixture_file("x", "", 0), &err), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(buf_read_file(&buf, path, &err), ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(an_empty_buffer_is_an_empty_string_in_every_state),
		FIXTURE_TEST(the_ceiling_is_exact),
		FIXTURE_TEST(what_is_appended_is_what_is_read),
		FIXTURE_TEST(a_failure_leaves_the_content_as_it_was),
		FIXTURE_TEST(each_allocation_may_fail),
		FIXTURE_TEST(consuming_and_cutting),
		FIXTURE_TEST(taking_hands_over_and_leaves_an_empty_buffer),
		FIXTURE_TEST(a_file_is_read_whole_or_not_at_all),
		FIXTURE_TEST(a_failed_read_keeps_what_was_there_before),
		FIXTURE_TEST(only_a_regular_file_is_read_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
