#include "client/text.h"

#include <string.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/conf/paths.h"

void text_init(struct text *text, int fd, const char *prefix, bool whole_lines)
{
	*text = (struct text){ .fd = fd,
			       .prefix = prefix,
			       .whole_lines = whole_lines,
			       .held = BUF_INIT(TEXT_HELD_MAX) };
}

void text_deinit(struct text *text)
{
	buf_deinit(&text->held);
}

static int write_line(struct text *text, const char *line, size_t len, struct err *err)
{
	if (text->prefix && fd_write_all(text->fd, text->prefix, strlen(text->prefix), err) < 0)
		return (int)err->code;
	return fd_write_all(text->fd, line, len, err);
}

/* Everything up to the last newline. */
static int write_lines(struct text *text, struct err *err)
{
	const char *last = text->held.len ? memrchr(text->held.data, '\n', text->held.len) : NULL;
	size_t end = last ? (size_t)(last - text->held.data) + 1 : 0;
	size_t at = 0;

	if (!text->prefix && end > 0 && fd_write_all(text->fd, text->held.data, end, err) < 0)
		return (int)err->code;
	while (text->prefix && at < end) {
		const char *line = text->held.data + at;
		const char *newline = memchr(line, '\n', end - at);
		size_t len = (size_t)(newline - line) + 1;

		if (write_line(text, line, len, err) < 0)
			return (int)err->code;
		at += len;
	}
	buf_consume(&text->held, end);
	return 0;
}

int text_write(struct text *text, const char *data, size_t len, struct err *err)
{
	if (!text->whole_lines && !text->prefix)
		return fd_write_all(text->fd, data, len, err);
	if (buf_append(&text->held, data, len, err) < 0)
		return (int)err->code;
	return write_lines(text, err);
}

int text_flush(struct text *text, struct err *err)
{
	if (text->held.len == 0)
		return 0;
	if (write_line(text, text->held.data, text->held.len, err) < 0)
		return (int)err->code;
	buf_clear(&text->held);
	return 0;
}

int text_end(struct text *text, struct err *err)
{
	if (text->held.len == 0)
		return 0;
	if (buf_putc(&text->held, '\n', err) < 0)
		return (int)err->code;
	return write_lines(text, err);
}

int text_color(bool *out, const char *when, int fd, char *const *environment, struct err *err)
{
	if (str_eq(when, "always") || str_eq(when, "never")) {
		*out = str_eq(when, "always");
		return 0;
	}
	if (when && !str_eq(when, "auto"))
		return ERR_SET(err, ERR_INVALID,
			       "--color: '%.40s' is not one of auto, always, never", when);
	*out = isatty(fd) && !paths_env(environment, "NO_COLOR") &&
	       !str_eq(paths_env(environment, "TERM"), "dumb");
	return 0;
}
