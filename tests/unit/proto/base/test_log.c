#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/base/str.h"

#include "tests/support/fixture.h"

static time_t now_s; /* what the clock says, when it is not 0 */

int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
	if (now_s == 0)
		return __real_clock_gettime(clock, out);
	*out = (struct timespec){ .tv_sec = now_s };
	return 0;
}

#define STAMP_LENGTH 25U /* "2026-01-02T03:04:05.678Z " */

/* What `format` becomes on standard error behind the time. */
static char *logged(enum log_level level, const char *format, const char *text)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(8192);
	struct err err = { 0 };
	int ends[2] = { -1, -1 };
	int saved = dup(STDERR_FILENO);

	assert_int_equal(fd_pipe(ends, &err), 0);
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	fd_close(&ends[1]);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	log_event(level, "event", format, text);
#pragma GCC diagnostic pop
	assert_true(dup2(saved, STDERR_FILENO) >= 0); /* closes the writing end */
	fd_close(&saved);
	assert_int_equal(buf_read_fd(&out, ends[0], &err), 0);
	fd_close(&ends[0]);
	if (out.len == 0)
		return buf_take(&out);
	assert_true(out.len <= LOG_LINE_MAX);
	assert_true(out.len > STAMP_LENGTH);
	assert_int_equal(buf_str(&out)[STAMP_LENGTH - 2], 'Z');
	buf_consume(&out, STAMP_LENGTH);
	return buf_take(&out);
}

static void a_line_is_a_line_whatever_is_in_it(void **state)
{
	static const struct {
		const char *name;
		const char *text;
		const char *line;
	} rows[] = {
		{ "plain", "gone", "prog warn event why='gone'\n" },
		{ "newline", "a\nb", "prog warn event why='a\\x0ab'\n" },
		{ "escape sequence", "\x1b[31m", "prog warn event why='\\x1b[31m'\n" },
		{ "delete", "\x7f", "prog warn event why='\\x7f'\n" },
		{ "well-formed", "gr\xc3\xbcn", "prog warn event why='gr\xc3\xbcn'\n" },
		{ "malformed beside well-formed", "\xc3\xbc\xff",
		  "prog warn event why='\xc3\xbc\\xff'\n" },
		{ "c1 control",
		  "\xc2\x9b"
		  "31m",
		  "prog warn event why='\\xc2\\x9b31m'\n" },
		{ "percent", "%s%n", "prog warn event why='%s%n'\n" },
	};

	(void)state;
	log_open("prog", LOG_DEBUG);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *line SCOPED(str_free) = logged(LOG_WARN, "why='%s'", rows[i].text);

		if (!str_eq(line, rows[i].line))
			fail_msg("row '%s': %s", rows[i].name, line);
	}
}

static void the_level_decides(void **state)
{
	static const char *const words[] = { "error", "warn", "info", "debug" };

	(void)state;
	for (int limit = LOG_ERROR; limit <= LOG_DEBUG; limit++) {
		log_open("prog", (enum log_level)limit);
		for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
			char *line SCOPED(str_free) = logged((enum log_level)level, "%s", "x");

			if ((line[0] != '\0') != (level <= limit))
				fail_msg("level %d at limit %d: '%s'", level, limit, line);
			if (line[0])
				assert_non_null(strstr(line, words[level]));
		}
	}
}

static void a_long_line_is_cut_between_characters(void **state)
{
	static char text[4 * LOG_LINE_MAX];

	(void)state;
	log_open("prog", LOG_DEBUG);
	for (size_t shift = 0; shift < 3; shift++) {
		char *line SCOPED(str_free) = NULL;
		size_t used = shift;

		memset(text, 'a', sizeof text);
		for (; used + 3 < LOG_LINE_MAX - 1; used += 3)
			memcpy(text + used, "\xe2\x82\xac", 3);
		text[used] = '\0';
		line = logged(LOG_INFO, "%s", text);
		assert_true(str_ends(line, "\n"));
		assert_true(str_is_utf8(line, strlen(line)));
		assert_int_equal(strcspn(line, "\n"), strlen(line) - 1);
	}
	memset(text, '\x01', sizeof text - 1); /* grows fourfold */
	text[sizeof text - 1] = '\0';
	{
		char *line SCOPED(str_free) = logged(LOG_INFO, "%s", text);

		assert_true(str_ends(line, "\\x01\n"));
	}
}

/* So many of these are written. */
static int count_logged(enum log_level level, int lines)
{
	int written = 0;

	for (int i = 0; i < lines; i++) {
		char *line SCOPED(str_free) = logged(level, "%s", "x");

		written += line[0] != '\0';
	}
	return written;
}

static void a_flood_of_lines_is_cut_and_the_cut_is_told(void **state)
{
	char *line = NULL;

	(void)state;
	log_open("prog", LOG_INFO);
	now_s = 2000000000; /* long after whatever was logged before */
	assert_int_equal(count_logged(LOG_INFO, LOG_BURST), LOG_BURST);
	assert_int_equal(count_logged(LOG_WARN, 5), 0);
	now_s -= 100; /* a clock that is set back gains nothing */
	assert_int_equal(count_logged(LOG_WARN, 5), 0);
	now_s += 101;
	line = logged(LOG_INFO, "%s", "x");
	assert_true(str_starts(line, "prog warn log_cut lines=10\n"));
	assert_non_null(strstr(line, "prog info event x\n"));
	str_free(&line);
	assert_int_equal(count_logged(LOG_INFO, LOG_BURST), LOG_BURST - 1);
	assert_int_equal(count_logged(LOG_DEBUG, 1), 0); /* is none that was cut */
	line = logged(LOG_ERROR, "%s", "x");
	assert_non_null(strstr(line, "error event x")); /* always */
	str_free(&line);
	now_s = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_line_is_a_line_whatever_is_in_it),
		FIXTURE_TEST(the_level_decides),
		FIXTURE_TEST(a_long_line_is_cut_between_characters),
		FIXTURE_TEST(a_flood_of_lines_is_cut_and_the_cut_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
