/*
 * The audit log: whole lines, an unbroken chain, and what it says when somebody has been at it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/audit.h"

#include "tests/support/fixture.h"

#define NOUGHT "0000000000000000000000000000000000000000000000000000000000000000"

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

static ssize_t write_max = -1; /* so many bytes at most, 0: none and ENOSPC; -1: as it is */
static unsigned syncs;

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	if (write_max == 0) {
		errno = ENOSPC;
		return -1;
	}
	if (write_max > 0 && (size_t)write_max < size)
		size = (size_t)write_max;
	return __real_write(fd, data, size);
}

int __wrap_fdatasync(int fd)
{
	syncs++;
	return __real_fdatasync(fd);
}

static const char *path_of(const char *name)
{
	static char path[600];

	(void)snprintf(path, sizeof path, "%s/%s", fixture_dir(), name);
	return path;
}

static struct audit *must_open(void)
{
	struct audit *audit = NULL;
	struct err err = { 0 };

	if (audit_open(&audit, AUDIT_LOG_FILE, fixture_dir(), &err) < 0)
		fail_msg("%s", err.text);
	return audit;
}

static int put(struct audit *audit, const char *event, bool sync, struct err *err)
{
	return audit_write(audit, event, json_pack("{s:i}", "value", 7), sync, err);
}

static void must_put(struct audit *audit, const char *event)
{
	struct err err = { 0 };

	if (put(audit, event, false, &err) < 0)
		fail_msg("%s: %s", event, err.text);
}

static char *content(const char *name)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(AUDIT_FILE_MAX);
	struct err err = { 0 };

	if (buf_read_file(&text, path_of(name), &err) < 0)
		fail_msg("%s", err.text);
	return buf_take(&text);
}

static int verify(const char *name, struct audit_chain *chain, struct err *err)
{
	return audit_verify(path_of(name), chain, err);
}

static void must_verify(int64_t first, int64_t last)
{
	struct audit_chain chain = { 0 };
	struct err err = { 0 };

	if (verify(AUDIT_FILE, &chain, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(chain.first, first);
	assert_int_equal(chain.seq, last);
}

static void a_record_is_a_line_of_json(void **state)
{
	struct audit *audit = must_open();
	char *text SCOPED(str_free) = NULL;
	json_auto_t *record = NULL;
	struct stat info = { 0 };

	(void)state;
	must_put(audit, "start");
	audit_close(audit);
	text = content(AUDIT_FILE);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	record = json_loads(text, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(record, "seq")), 1);
	assert_string_equal(json_string_value(json_object_get(record, "prev")), NOUGHT);
	assert_string_equal(json_string_value(json_object_get(record, "event")), "start");
	assert_int_equal(json_integer_value(json_object_get(record, "value")), 7);
	assert_int_equal(json_string_length(json_object_get(record, "boot")), 36);
	assert_int_equal(json_string_length(json_object_get(record, "time")), 24);
	assert_true(json_integer_value(json_object_get(record, "mono_ms")) > 0);
	assert_int_equal(stat(path_of(AUDIT_FILE), &info), 0);
	assert_int_equal(info.st_mode & 07777, 0600);
}

static void members_cannot_replace_those_of_the_record(void **state)
{
	struct audit *audit = must_open();
	struct err err = { 0 };

	(void)state;
	assert_int_equal(
		audit_write(audit, "x",
			    json_pack("{s:i, s:s, s:s}", "seq", 99, "prev", "no", "event", "y"),
			    false, &err),
		0);
	audit_close(audit);
	must_verify(1, 1);
}

static void the_chain_goes_on_over_restarts(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct audit *audit = must_open();

		must_put(audit, "start");
		must_put(audit, "end");
		audit_close(audit);
	}
	must_verify(1, 6);
}

static void the_chain_goes_on_over_rotation_and_the_oldest_goes(void **state)
{
	struct audit *audit = must_open();
	struct audit_chain chain = { 0 };
	struct err err = { 0 };
	char name[32];

	(void)state;
	audit_set_file_max(audit, 1000); /* a few records */
	for (int i = 0; i < 100; i++)
		must_put(audit, "event");
	audit_close(audit);
	for (int age = AUDIT_FILES_MAX - 1; age >= 0; age--) {
		struct stat info = { 0 };

		(void)snprintf(name, sizeof name, age ? AUDIT_FILE ".%d" : AUDIT_FILE, age);
		assert_int_equal(stat(path_of(name), &info), 0);
		assert_true(info.st_size <= 1000);
		if (verify(name, &chain, &err) < 0)
			fail_msg("%s", err.text);
	}
	assert_int_equal(chain.seq, 100);
	assert_true(chain.first > 1);
	(void)snprintf(name, sizeof name, AUDIT_FILE ".%d", AUDIT_FILES_MAX);
	assert_int_equal(access(path_of(name), F_OK), -1);
}

/* As after a crash between the rotation and the first line of the new file. */
static void an_empty_file_continues_the_one_before_it(void **state)
{
	struct audit *audit = must_open();
	struct audit_chain chain = { 0 };
	struct err err = { 0 };
	char old[600];

	(void)state;
	must_put(audit, "before");
	audit_close(audit);
	(void)snprintf(old, sizeof old, "%s", path_of(AUDIT_FILE));
	assert_int_equal(rename(old, path_of(AUDIT_FILE ".1")), 0);
	audit = must_open();
	must_put(audit, "behind");
	audit_close(audit);
	assert_int_equal(verify(AUDIT_FILE ".1", &chain, &err), 0);
	assert_int_equal(verify(AUDIT_FILE, &chain, &err), 0);
	assert_int_equal(chain.seq, 2);
}

static void an_unfinished_line_is_cut_off_and_that_is_said(void **state)
{
	static const char *const rests[] = { "{\"seq\":2", "x", "{}{}{}" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rests); i++) {
		struct audit *audit = must_open();
		char *text SCOPED(str_free) = NULL;
		FILE *file;

		must_put(audit, "whole");
		audit_close(audit);
		file = fopen(path_of(AUDIT_FILE), "ae");
		assert_non_null(file);
		assert_true(fputs(rests[i], file) >= 0);
		assert_int_equal(fclose(file), 0);
		audit = must_open();
		audit_close(audit);
		must_verify(1, 2);
		text = content(AUDIT_FILE);
		assert_non_null(strstr(text, "\"event\":\"log_mended\""));
		assert_int_equal(unlink(path_of(AUDIT_FILE)), 0);
	}
}

static void a_file_that_ends_in_something_else_is_not_continued(void **state)
{
	static const char *const rows[] = { "garbage\n",         "{}\n", "{\"seq\":0}\n", "[1]\n",
					    "{\"seq\":\"1\"}\n", "\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct audit *audit = NULL;
		struct err err = { 0 };

		(void)fixture_file(AUDIT_FILE, rows[i], strlen(rows[i]));
		if (audit_open(&audit, AUDIT_LOG_FILE, fixture_dir(), &err) != ERR_INVALID)
			fail_msg("'%s': %s", rows[i], err.text);
	}
}

static void whatever_is_changed_breaks_the_chain(void **state)
{
	static const struct {
		const char *find;
		const char *put; /* of the same length */
		const char *sentence;
	} rows[] = {
		{ "\"event\":\"two\"", "\"event\":\"TWO\"", "line 3: record 3 does not name" },
		{ "\"seq\":2", "\"seq\":7", "line 2: record 7 behind record 1" },
		{ "\"seq\":3", "\"sqe\":3", "line 3: not a record" },
		{ "{\"seq\":2", " \"seq\":2", "line 2: malformed" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct audit *audit = must_open();
		char *text SCOPED(str_free) = NULL;
		struct audit_chain chain = { 0 };
		struct err err = { 0 };
		char *at;

		must_put(audit, "one");
		must_put(audit, "two");
		must_put(audit, "three");
		audit_close(audit);
		text = content(AUDIT_FILE);
		at = strstr(text, rows[i].find);
		assert_non_null(at);
		memcpy(at, rows[i].put, strlen(rows[i].put));
		(void)fixture_file(AUDIT_FILE, text, strlen(text));
		if (verify(AUDIT_FILE, &chain, &err) == 0 || !strstr(err.text, rows[i].sentence))
			fail_msg("row %zu: %s", i, err.text);
		assert_int_equal(unlink(path_of(AUDIT_FILE)), 0);
	}
}

static void a_removed_line_breaks_the_chain(void **state)
{
	struct audit *audit = must_open();
	char *text SCOPED(str_free) = NULL;
	struct audit_chain chain = { 0 };
	struct err err = { 0 };
	char *second;
	char *third;

	(void)state;
	must_put(audit, "one");
	must_put(audit, "two");
	must_put(audit, "three");
	audit_close(audit);
	text = content(AUDIT_FILE);
	second = strchr(text, '\n') + 1;
	third = strchr(second, '\n') + 1;
	memmove(second, third, strlen(third) + 1);
	(void)fixture_file(AUDIT_FILE, text, strlen(text));
	assert_int_equal(verify(AUDIT_FILE, &chain, &err), ERR_INVALID);
	assert_non_null(strstr(err.text, "record 3 behind record 1"));
}

static void a_line_is_there_whole_or_not_at_all(void **state)
{
	static const ssize_t maxima[] = { 0, 1, 100 };
	struct audit *audit = must_open();

	(void)state;
	must_put(audit, "before");
	for (size_t i = 0; i < ARRAY_LEN(maxima); i++) {
		struct err err = { 0 };
		int rc;

		write_max = maxima[i];
		rc = put(audit, "lost", false, &err);
		write_max = -1;
		assert_int_equal(rc, ERR_SYSTEM);
		assert_int_equal(err.sys, ENOSPC);
	}
	must_put(audit, "behind");
	audit_close(audit);
	must_verify(1, 2);
}

static void a_weighty_record_is_on_the_disk(void **state)
{
	struct audit *audit = must_open();
	struct err err = { 0 };

	(void)state;
	syncs = 0;
	must_put(audit, "light");
	assert_int_equal(syncs, 0);
	assert_int_equal(put(audit, "weighty", true, &err), 0);
	assert_int_equal(syncs, 1);
	audit_close(audit);
}

static void somebody_elses_change_is_noticed(void **state)
{
	struct audit *audit = must_open();
	struct err err = { 0 };

	(void)state;
	must_put(audit, "one");
	assert_int_equal(truncate(path_of(AUDIT_FILE), 3), 0);
	assert_int_equal(put(audit, "two", false, &err), ERR_STATE);
	audit_close(audit);
	assert_int_equal(unlink(path_of(AUDIT_FILE)), 0);
	audit = must_open();
	must_put(audit, "one");
	assert_int_equal(unlink(path_of(AUDIT_FILE)), 0);
	assert_int_equal(put(audit, "two", false, &err), ERR_STATE);
	audit_close(audit);
}

static void only_one_process_writes(void **state)
{
	struct audit *audit = must_open();
	int status = 0;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct audit *second = NULL;
		struct err err = { 0 };

		_exit(audit_open(&second, AUDIT_LOG_FILE, fixture_dir(), &err) == ERR_STATE ? 0
											    : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	audit_close(audit);
}

static void a_link_or_pipe_in_its_place_is_refused(void **state)
{
	struct audit *audit = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(symlink("/etc/passwd", path_of(AUDIT_FILE)), 0);
	assert_int_equal(audit_open(&audit, AUDIT_LOG_FILE, fixture_dir(), &err), ERR_SYSTEM);
	assert_int_equal(unlink(path_of(AUDIT_FILE)), 0);
	assert_int_equal(mkfifo(path_of(AUDIT_FILE), 0600), 0);
	assert_int_equal(audit_open(&audit, AUDIT_LOG_FILE, fixture_dir(), &err), ERR_INVALID);
	assert_int_equal(audit_open(&audit, AUDIT_LOG_FILE, "/nonexistent", &err), ERR_SYSTEM);
}

static void a_long_text_is_cut_between_two_characters(void **state)
{
	struct audit *audit = must_open();
	struct err err = { 0 };
	char *long_text = malloc(300001);
	char *text SCOPED(str_free) = NULL;

	(void)state;
	assert_non_null(long_text);
	for (size_t i = 0; i < 300000; i += 2)
		memcpy(long_text + i, "\xc3\xa9", 2);
	long_text[300000] = '\0';
	assert_int_equal(
		audit_write(audit, "long", json_pack("{s:s}", "program", long_text), false, &err),
		0);
	free(long_text);
	audit_close(audit);
	must_verify(1, 1);
	text = content(AUDIT_FILE);
	assert_true(strlen(text) < 5000);
	assert_non_null(strstr(text, "\xa9...\""));
}

static void a_record_longer_than_a_line_is_refused(void **state)
{
	struct audit *audit = must_open();
	struct err err = { 0 };
	json_t *members = json_object();
	char name[16];
	char word[4001];

	(void)state;
	memset(word, 'w', sizeof word - 1);
	word[sizeof word - 1] = '\0';
	for (unsigned i = 0; i < 17; i++) {
		(void)snprintf(name, sizeof name, "m%u", i);
		(void)json_object_set_new(members, name, json_string(word));
	}
	assert_int_equal(audit_write(audit, "long", members, false, &err), ERR_LIMIT);
	must_put(audit, "short");
	assert_int_equal(audit_write(audit, "none", NULL, false, &err), ERR_NOMEM);
	audit_close(audit);
	must_verify(1, 1);
}

static void switched_off_nothing_is_written(void **state)
{
	struct audit *audit = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(audit_open(&audit, AUDIT_LOG_OFF, fixture_dir(), &err), 0);
	must_put(audit, "start");
	audit_close(audit);
	assert_int_equal(access(path_of(AUDIT_FILE), F_OK), -1);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	(void)unlink(path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static void the_systems_log_gets_datagrams_also_after_its_restart(void **state)
{
	char path[600];
	struct audit *audit = NULL;
	struct err err = { 0 };
	char text[4096];
	ssize_t got;
	int log;

	(void)state;
	(void)snprintf(path, sizeof path, "%s", path_of("log"));
	assert_int_equal(audit_open(&audit, AUDIT_LOG_SYSLOG, path, &err), ERR_SYSTEM);
	log = listen_at(path);
	assert_int_equal(audit_open(&audit, AUDIT_LOG_SYSLOG, path, &err), 0);
	for (int i = 0; i < 2; i++) {
		must_put(audit, "start");
		got = recv(log, text, sizeof text - 1, 0);
		assert_true(got > 0);
		text[got] = '\0';
		assert_true(str_starts(text, "<86>agent-broker["));
		assert_non_null(strstr(text, i ? "]: {\"seq\":2," : "]: {\"seq\":1,"));
		assert_int_equal(text[got - 1], '}');
		fd_close(&log);
		log = listen_at(path);
	}
	fd_close(&log);
	assert_int_equal(put(audit, "end", false, &err), ERR_SYSTEM);
	audit_close(audit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_record_is_a_line_of_json),
		FIXTURE_TEST(members_cannot_replace_those_of_the_record),
		FIXTURE_TEST(the_chain_goes_on_over_restarts),
		FIXTURE_TEST(the_chain_goes_on_over_rotation_and_the_oldest_goes),
		FIXTURE_TEST(an_empty_file_continues_the_one_before_it),
		FIXTURE_TEST(an_unfinished_line_is_cut_off_and_that_is_said),
		FIXTURE_TEST(a_file_that_ends_in_something_else_is_not_continued),
		FIXTURE_TEST(whatever_is_changed_breaks_the_chain),
		FIXTURE_TEST(a_removed_line_breaks_the_chain),
		FIXTURE_TEST(a_line_is_there_whole_or_not_at_all),
		FIXTURE_TEST(a_weighty_record_is_on_the_disk),
		FIXTURE_TEST(somebody_elses_change_is_noticed),
		FIXTURE_TEST(only_one_process_writes),
		FIXTURE_TEST(a_link_or_pipe_in_its_place_is_refused),
		FIXTURE_TEST(a_long_text_is_cut_between_two_characters),
		FIXTURE_TEST(a_record_longer_than_a_line_is_refused),
		FIXTURE_TEST(switched_off_nothing_is_written),
		FIXTURE_TEST(the_systems_log_gets_datagrams_also_after_its_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
