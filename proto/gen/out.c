#include "proto/gen/out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/base/fd.h"
#include "proto/base/str.h"

#define COLUMNS 100U
#define TAB_COLUMNS 8U
#define FOLDER_MODE 0755
#define FILE_MODE 0644

void out_init(struct out *out)
{
	*out = (struct out){ .text = BUF_INIT(OUT_MAX) };
}

void out_deinit(struct out *out)
{
	buf_deinit(&out->text);
}

void out_printf(struct out *out, const char *format, ...)
{
	char *text = NULL;
	va_list args;
	int length;

	if (out->rc < 0)
		return;
	va_start(args, format);
	length = vasprintf(&text, format, args);
	va_end(args);
	out->rc = length < 0 ? ERR_NOMEM_SET(&out->err) : buf_puts(&out->text, text, &out->err);
	if (length >= 0)
		free(text);
}

/* Bytes of text that fit in `room` columns, cut at a space; a longer word stays whole. */
static size_t line_length(const char *text, size_t room)
{
	size_t length = strlen(text);
	size_t at = room;

	if (length <= room)
		return length;
	while (at > 0 && text[at] != ' ')
		at--;
	return at ? at : strcspn(text, " ");
}

void out_comment(struct out *out, unsigned tabs, const char *text)
{
	static const char indent[] = "\t\t\t\t";
	size_t room = COLUMNS - tabs * TAB_COLUMNS - strlen("/*  */");

	if (strlen(text) <= room) {
		out_printf(out, "%.*s/* %s */\n", (int)tabs, indent, text);
		return;
	}
	out_printf(out, "%.*s/*\n", (int)tabs, indent);
	while (*text) {
		size_t length = line_length(text, room);

		out_printf(out, "%.*s * %.*s\n", (int)tabs, indent, (int)length, text);
		text += length;
		text += strspn(text, " ");
	}
	out_printf(out, "%.*s */\n", (int)tabs, indent);
}

void out_literal(struct out *out, const char *text)
{
	out_printf(out, "\"");
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			out_printf(out, "\\%c", *text);
		else if (*text == '\n')
			out_printf(out, "\\n");
		else
			out_printf(out, "%c", *text);
	}
	out_printf(out, "\"");
}

static int make_folders(const char *path, struct err *err)
{
	char *copy SCOPED(str_free) = str_dup(path);

	if (!copy)
		return ERR_NOMEM_SET(err);
	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, FOLDER_MODE) < 0 && errno != EEXIST)
			return ERR_SYS(err, errno, "make folder '%s'", copy);
		*slash = '/';
	}
	return 0;
}

int out_write(struct out *out, const char *dir, const char *name, struct err *err)
{
	struct buf path SCOPED(buf_deinit) = BUF_INIT(FILENAME_MAX);
	int fd SCOPED(fd_close) = -1;

	if (out->rc < 0) {
		*err = out->err;
		return ERR_WRAP(err, "%s", name);
	}
	if (buf_printf(&path, err, "%s/%s", dir, name) < 0 || make_folders(path.data, err) < 0)
		return err->code;
	fd = open(path.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
	if (fd < 0)
		return ERR_SYS(err, errno, "write '%s'", path.data);
	return fd_write_all(fd, buf_str(&out->text), out->text.len, err);
}
