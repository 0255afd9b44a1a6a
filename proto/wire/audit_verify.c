/*
 * audit_verify.c - the other way round: does each line name the one before it? The broker does not
 * link this.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/audit.h"
#include "proto/wire/digest.h"
#include "proto/wire/json.h"

static void close_file(FILE **file)
{
	if (*file)
		(void)fclose(*file);
	*file = NULL;
}

/* One line without its end. */
static int follow(struct audit_chain *chain, const char *line, size_t length, struct err *err)
{
	json_auto_t *record = wire_json_load(line, length, err);
	json_int_t seq = json_integer_value(json_object_get(record, "seq"));
	const char *prev = json_string_value(json_object_get(record, "prev"));

	if (!record)
		return err->code;
	if (seq <= 0 || !prev)
		return ERR_SET(err, ERR_INVALID, "not a record");
	if (chain->seq > 0 && seq != chain->seq + 1)
		return ERR_SET(err, ERR_INVALID,
			       "record %" JSON_INTEGER_FORMAT
			       " behind record %lld: lines are missing or out of order",
			       seq, (long long)chain->seq);
	if (chain->seq > 0 && !str_eq(prev, chain->prev))
		return ERR_SET(err, ERR_INVALID,
			       "record %" JSON_INTEGER_FORMAT
			       " does not name the line before it, which has been changed",
			       seq);
	if (chain->seq == 0)
		chain->first = seq;
	chain->seq = seq;
	digest_bytes(chain->prev, line, length);
	return 0;
}

int audit_verify(const char *path, struct audit_chain *chain, struct err *err)
{
	int fd SCOPED(fd_close) = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat info = { 0 };
	FILE *file SCOPED(close_file) = NULL;
	char *line SCOPED(str_free) = NULL;
	size_t room = 0;
	ssize_t length = 0;

	if (fd < 0 || fstat(fd, &info) < 0)
		return ERR_SYS(err, errno, "open '%s'", path);
	if (!S_ISREG(info.st_mode))
		return ERR_SET(err, ERR_INVALID, "'%s' is not a regular file", path);
	file = fdopen(fd, "r");
	if (!file)
		return ERR_NOMEM_SET(err);
	(void)fd_take(&fd);
	for (size_t number = 1; (length = getline(&line, &room, file)) > 0; number++) {
		if (length > AUDIT_LINE_MAX || line[length - 1] != '\n')
			return ERR_SET(err, ERR_INVALID, "'%s', line %zu: not a whole record", path,
				       number);
		if (follow(chain, line, (size_t)length - 1, err) < 0)
			return ERR_WRAP(err, "'%s', line %zu", path, number);
	}
	return ferror(file) ? ERR_SYS(err, errno, "read '%s'", path) : 0;
}
