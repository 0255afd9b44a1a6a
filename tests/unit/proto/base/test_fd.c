#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "tests/support/fixture.h"

ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __real_write(int fd, const void *data, size_t size);
int __wrap_memfd_create(const char *name, unsigned flags);
int __real_memfd_create(const char *name, unsigned flags);
off_t __wrap_lseek(int fd, off_t offset, int whence);
off_t __real_lseek(int fd, off_t offset, int whence);
int __wrap_pipe2(int *ends, int flags);
int __real_pipe2(int *ends, int flags);

/* What the next calls shall do instead of what they are asked for. */
static struct {
	int write_errnos[4]; /* 0: write, at most write_max bytes */
	size_t writes;
	size_t write_max;
	int memfd_errno;
	int lseek_errno;
	int pipe_errno;
} script;

static int reset(void **state)
{
	memset(&script, 0, sizeof script);
	script.write_max = SIZE_MAX;
	return fixture_setup(state);
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	size_t call = script.writes++;

	if (call < ARRAY_LEN(script.write_errnos) && script.write_errnos[call]) {
		errno = script.write_errnos[call];
		return -1;
	}
	return __real_write(fd, data, size < script.write_max ? size : script.write_max);
}

int __wrap_memfd_create(const char *name, unsigned flags)
{
	errno = script.memfd_errno;
	return script.memfd_errno ? -1 : __real_memfd_create(name, flags);
}

off_t __wrap_lseek(int fd, off_t offset, int whence)
{
	errno = script.lseek_errno;
	return script.lseek_errno ? -1 : __real_lseek(fd, offset, whence);
}

int __wrap_pipe2(int *ends, int flags)
{
	errno = script.pipe_errno;
	return script.pipe_errno ? -1 : __real_pipe2(ends, flags);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void a_scope_closes_what_it_still_owns(void **state)
{
	struct err err = { 0 };
	int inside;
	int kept;

	(void)state;
	{
		int ends[2] = { -1, -1 };
		int one SCOPED(fd_close) = -1;
		int two SCOPED(fd_close) = -1;
		int none SCOPED(fd_close) = -1;

		assert_int_equal(fd_pipe(ends, &err), 0);
		one = ends[0];
		two = ends[1];
		inside = one;
		kept = fd_take(&two);
		assert_int_equal(two, -1);
		assert_int_equal(none, -1);
	}
	assert_false(is_open(inside));
	assert_true(is_open(kept));
	fd_close(&kept);
	assert_int_equal(kept, -1);
}

static void a_pipe_is_closed_on_exec_and_carries_bytes(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(100);
	struct err err = { 0 };
	int ends[2] = { -7, -7 };

	(void)state;
	script.pipe_errno = EMFILE;
	assert_int_equal(fd_pipe(ends, &err), ERR_SYSTEM);
	assert_int_equal(err.sys, EMFILE);
	assert_int_equal(ends[0], -7);

	script.pipe_errno = 0;
	assert_int_equal(fd_pipe(ends, &err), 0);
	assert_int_equal(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(ends[1], F_GETFD), FD_CLOEXEC);
	assert_int_equal(fd_write_all(ends[1], "bytes", 5, &err), 0);
	fd_close(&ends[1]);
	assert_int_equal(buf_read_fd(&out, ends[0], &err), 0);
	assert_string_equal(buf_str(&out), "bytes");
	fd_close(&ends[0]);
}

static void nonblocking_keeps_the_other_flags(void **state)
{
	struct err err = { 0 };
	int ends[2] = { -1, -1 };

	(void)state;
	assert_int_equal(fd_pipe(ends, &err), 0);
	assert_int_equal(fd_set_nonblock(ends[1], &err), 0);
	assert_int_equal(fcntl(ends[1], F_GETFL), O_WRONLY | O_NONBLOCK);
	assert_int_equal(fd_set_nonblock(ends[1], &err), 0);
	fd_close(&ends[0]);
	fd_close(&ends[1]);
	assert_int_equal(fd_set_nonblock(-1, &err), ERR_SYSTEM);
	assert_int_equal(err.sys, EBADF);
}

static void writing_goes_on_until_all_is_written(void **state)
{
	static const struct {
		const char *name;
		int errnos[4];
		size_t max;
		int rc;
		int sys;
	} rows[] = {
		{ "at once", { 0 }, SIZE_MAX, 0, 0 },
		{ "byte by byte", { 0 }, 1, 0, 0 },
		{ "interrupted", { EINTR, 0, EINTR }, 2, 0, 0 },
		{ "full disk", { 0, ENOSPC }, 2, ERR_SYSTEM, ENOSPC },
		{ "reader gone", { 0, EPIPE }, 2, ERR_GONE, 0 },
		{ "peer reset", { ECONNRESET }, 2, ERR_GONE, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out SCOPED(buf_deinit) = BUF_INIT(100);
		struct err err = { 0 };
		int ends[2] = { -1, -1 };
		int rc;

		assert_int_equal(fd_pipe(ends, &err), 0);
		memcpy(script.write_errnos, rows[i].errnos, sizeof script.write_errnos);
		script.write_max = rows[i].max;
		script.writes = 0;
		rc = fd_write_all(ends[1], "some words", 10, &err);
		fd_close(&ends[1]);
		assert_int_equal(buf_read_fd(&out, ends[0], NULL), 0);
		fd_close(&ends[0]);
		if (rc != rows[i].rc || err.sys != rows[i].sys)
			fail_msg("row '%s': %d, %s", rows[i].name, rc, err.text);
		if (rc == 0 && !str_eq(buf_str(&out), "some words"))
			fail_msg("row '%s': '%s'", rows[i].name, buf_str(&out));
	}
	assert_int_equal(fd_write_all(-1, NULL, 0, NULL), 0);
}

static void a_sealed_file_reads_back_and_never_changes(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(100);
	struct err err = { 0 };
	int fd = -1;

	(void)state;
	assert_int_equal(fd_sealed(&fd, "argv", "a\0b", 3, &err), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(fd, F_GET_SEALS),
			 F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	assert_int_equal(buf_read_fd(&out, fd, &err), 0);
	assert_int_equal(out.len, 3);
	assert_memory_equal(out.data, "a\0b", 3);
	assert_int_equal(__real_write(fd, "x", 1), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, 10), -1);
	assert_true(mmap(NULL, 3, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	fd_close(&fd);

	assert_int_equal(fd_sealed(&fd, "empty", NULL, 0, &err), 0);
	fd_close(&fd);
}

static void sealing_that_fails_leaves_nothing_open(void **state)
{
	static const struct {
		const char *name;
		int memfd;
		int write;
		int lseek;
	} rows[] = {
		{ "no file", EMFILE, 0, 0 },
		{ "no room", 0, ENOSPC, 0 },
		{ "no seek", 0, 0, ESPIPE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = { 0 };
		int fd = -7;

		script.memfd_errno = rows[i].memfd;
		script.write_errnos[0] = rows[i].write;
		script.writes = 0;
		script.lseek_errno = rows[i].lseek;
		if (fd_sealed(&fd, "x", "x", 1, &err) != ERR_SYSTEM || fd != -7)
			fail_msg("row '%s': %d, %s", rows[i].name, fd, err.text);
		assert_int_equal(err.sys, rows[i].memfd + rows[i].write + rows[i].lseek);
	}
}

#define SCRIPTED_TEST(function) cmocka_unit_test_setup_teardown(function, reset, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPTED_TEST(a_scope_closes_what_it_still_owns),
		SCRIPTED_TEST(a_pipe_is_closed_on_exec_and_carries_bytes),
		SCRIPTED_TEST(nonblocking_keeps_the_other_flags),
		SCRIPTED_TEST(writing_goes_on_until_all_is_written),
		SCRIPTED_TEST(a_sealed_file_reads_back_and_never_changes),
		SCRIPTED_TEST(sealing_that_fails_leaves_nothing_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
