#include "proto/base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/str.h"

static struct {
	const char *program;
	enum log_level level;
	time_t second; /* in which `room` was counted */
	int64_t room;  /* lines that may be written now */
	int64_t cut;   /* lines that were not */
} sink = { .program = "agentd", .level = LOG_INFO, .room = LOG_BURST };

void log_open(const char *program, enum log_level level)
{
	sink.program = program;
	sink.level = level;
}

/* U+0080 to U+009F: a terminal may obey them as it obeys an escape sequence. */
static bool is_c1_control(const char *text)
{
	return (unsigned char)text[0] == 0xc2 && (unsigned char)text[1] < 0xa0;
}

static size_t put_escaped(char *out, size_t room, const char *text)
{
	size_t left = strlen(text);
	size_t used = 0;

	/* Four bytes are the longest that one round adds, and snprintf() wants one for its NUL. */
	while (left > 0 && used + 4 < room) {
		unsigned char byte = (unsigned char)text[0];
		size_t step = str_utf8_step(text, left);

		if (step == 0 || byte < 0x20 || byte == 0x7f || is_c1_control(text)) {
			used += (size_t)snprintf(out + used, room - used, "\\x%02x", byte);
			step = 1;
		} else {
			memcpy(out + used, text, step);
			used += step;
		}
		text += step;
		left -= step;
	}
	return used;
}

/* Whoever makes this program log must not be able to fill the disk; failures are always told. */
static bool has_room(enum log_level level, time_t second)
{
	int64_t passed = second > sink.second ? second - sink.second : 0;
	int64_t gained = passed < LOG_BURST ? passed * LOG_PER_SECOND : LOG_BURST;

	sink.second = second;
	sink.room = sink.room + gained < LOG_BURST ? sink.room + gained : LOG_BURST;
	if (sink.room > 0)
		sink.room--;
	else if (level != LOG_ERROR)
		return false;
	return true;
}

static void put_line(enum log_level level, const struct timespec *now, const char *event,
		     const char *text)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	char line[LOG_LINE_MAX];
	struct tm utc = { 0 };
	size_t used;

	(void)gmtime_r(&now->tv_sec, &utc);
	used = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
	used += (size_t)snprintf(line + used, sizeof line - used, ".%03ldZ %s %s %.40s ",
				 now->tv_nsec / 1000000, sink.program, names[level], event);
	used += put_escaped(line + used, sizeof line - used - 1, text);
	line[used++] = '\n';
	if (write(STDERR_FILENO, line, used) < 0)
		return; /* nowhere left to say it */
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
	char text[LOG_LINE_MAX];
	struct timespec now = { 0 };
	va_list args;

	if (level > sink.level)
		return;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (!has_room(level, now.tv_sec)) {
		sink.cut++;
		return;
	}
	if (sink.cut > 0) {
		(void)snprintf(text, sizeof text, "lines=%lld", (long long)sink.cut);
		sink.cut = 0;
		put_line(LOG_WARN, &now, "log_cut", text);
	}
	va_start(args, format);
	if (vsnprintf(text, sizeof text, format, args) < 0)
		text[0] = '\0';
	va_end(args);
	put_line(level, &now, event, text);
}
