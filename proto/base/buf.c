#include "proto/base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"

#define FIRST_CAP 64U
#define READ_CHUNK 16384U
#define CAP_MAX (SIZE_MAX / 4) /* beyond it doubling would wrap */

void buf_init(struct buf *buf, size_t max)
{
	*buf = (struct buf)BUF_INIT(max);
}

void buf_deinit(struct buf *buf)
{
	free(buf->data);
	buf_init(buf, buf->max);
}

void buf_clear(struct buf *buf)
{
	buf_cut(buf, 0);
}

int buf_reserve(struct buf *buf, size_t extra, struct err *err)
{
	size_t want;
	size_t cap;
	char *data;

	if (extra > buf->max - buf->len || extra > CAP_MAX - buf->len)
		return ERR_SET(err, ERR_LIMIT, "more than %zu bytes", buf->max);
	want = buf->len + extra + 1; /* the final NUL */
	if (want <= buf->cap)
		return 0;
	cap = buf->cap ? buf->cap : FIRST_CAP;
	while (cap < want)
		cap *= 2;
	if (cap - 1 > buf->max)
		cap = buf->max + 1;
	data = realloc(buf->data, cap);
	if (!data)
		return ERR_NOMEM_SET(err);
	data[buf->len] = '\0'; /* also when the caller never stores anything */
	buf->data = data;
	buf->cap = cap;
	return 0;
}

void buf_grow(struct buf *buf, size_t added)
{
	buf->len += added;
	buf->data[buf->len] = '\0';
}

int buf_append(struct buf *buf, const void *data, size_t size, struct err *err)
{
	int rc = buf_reserve(buf, size, err);

	if (rc < 0)
		return rc;
	if (size > 0)
		memcpy(buf->data + buf->len, data, size);
	buf_grow(buf, size);
	return 0;
}

int buf_puts(struct buf *buf, const char *text, struct err *err)
{
	return buf_append(buf, text, strlen(text), err);
}

int buf_putc(struct buf *buf, char byte, struct err *err)
{
	return buf_append(buf, &byte, 1, err);
}

int buf_printf(struct buf *buf, struct err *err, const char *format, ...)
{
	va_list args;
	int length;
	int rc;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0)
		return ERR_SET(err, ERR_INVALID, "text that cannot be formatted");
	rc = buf_reserve(buf, (size_t)length, err);
	if (rc < 0)
		return rc;
	va_start(args, format);
	(void)vsnprintf(buf->data + buf->len, (size_t)length + 1, format, args);
	va_end(args);
	buf_grow(buf, (size_t)length);
	return 0;
}

void buf_consume(struct buf *buf, size_t size)
{
	if (size >= buf->len) {
		buf_cut(buf, 0);
		return;
	}
	memmove(buf->data, buf->data + size, buf->len - size);
	buf->len -= size;
	buf->data[buf->len] = '\0';
}

void buf_cut(struct buf *buf, size_t len)
{
	if (len >= buf->len)
		return;
	buf->len = len;
	buf->data[len] = '\0';
}

const char *buf_str(const struct buf *buf)
{
	return buf->data ? buf->data : "";
}

char *buf_take(struct buf *buf)
{
	char *text = buf->data ? buf->data : calloc(1, 1);

	buf->data = NULL;
	buf_deinit(buf);
	return text;
}

static int read_on(struct buf *buf, int fd, struct err *err)
{
	for (;;) {
		size_t room = buf->max - buf->len < READ_CHUNK ? buf->max - buf->len : READ_CHUNK;
		char past;
		ssize_t got;
		int rc = buf_reserve(buf, room, err);

		if (rc < 0)
			return rc;
		/* At the ceiling one byte more tells "exactly full" from "too long". */
		got = read(fd, room ? buf->data + buf->len : &past, room ? room : 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ERR_SYS(err, errno, "read");
		if (got == 0)
			return 0;
		if (room == 0)
			return ERR_SET(err, ERR_LIMIT, "more than %zu bytes", buf->max);
		buf_grow(buf, (size_t)got);
	}
}

int buf_read_fd(struct buf *buf, int fd, struct err *err)
{
	size_t before = buf->len;
	int rc = read_on(buf, fd, err);

	if (rc < 0)
		buf_cut(buf, before);
	return rc;
}

int buf_read_file(struct buf *buf, const char *path, struct err *err)
{
	int fd SCOPED(fd_close) = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat info = { 0 };

	if (fd < 0)
		return ERR_SYS(err, errno, "open '%s'", path);
	if (fstat(fd, &info) < 0)
		return ERR_SYS(err, errno, "stat '%s'", path);
	if (!S_ISREG(info.st_mode))
		return ERR_SET(err, ERR_INVALID, "'%s' is not a regular file", path);
	if (buf_read_fd(buf, fd, err) < 0)
		return ERR_WRAP(err, "'%s'", path);
	return 0;
}

int buf_read_sealed(struct buf *buf, int fd, struct err *err)
{
	const int all = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat info = { 0 };
	ssize_t got;

	if (seals < 0 || (seals & all) != all || fstat(fd, &info) < 0)
		return ERR_SET(err, ERR_INVALID, "not a sealed file in memory");
	if (buf_reserve(buf, (size_t)info.st_size, err) < 0)
		return err->code;
	/* By position: the offset is shared with whoever else holds the file. */
	got = pread(fd, buf->data + buf->len, (size_t)info.st_size, 0);
	if (got != info.st_size)
		return ERR_SYS(err, errno, "read a sealed file");
	buf_grow(buf, (size_t)got);
	return 0;
}
