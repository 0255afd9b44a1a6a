#include "proto/wire/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/clock.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/broker_gen.h"
#include "proto/wire/digest.h"
#include "proto/wire/json.h"

#define TEXT_MAX 4096      /* bytes of one text; what is longer is cut */
#define TAIL_MAX 131072    /* bytes at the end of a file in which its last line must begin */
#define SYSLOG_PRIORITY 86 /* authpriv, info */
#define FILE_NAME_MAX 32   /* bytes of "audit.jsonl.7" */
#define NEW_FILE AUDIT_FILE ".new"

struct audit {
	enum audit_log kind;
	int folder; /* of the files; -1 */
	int fd;     /* the file, or a socket */
	int64_t size;
	int64_t size_max;
	struct audit_chain chain;
	struct sockaddr_un address; /* of the system log */
	char boot[40];
};

/* ------------------------------------------------------------------ files */

static void file_name(char out[FILE_NAME_MAX], unsigned age)
{
	(void)snprintf(out, FILE_NAME_MAX, age ? AUDIT_FILE ".%u" : AUDIT_FILE, age);
}

/* Only a process at a time; a lock of this kind is not inherited by what a fork makes. */
static int open_locked(int *out, int folder, const char *name, int flags, struct err *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd SCOPED(fd_close) = openat(
		folder, name, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	struct stat info = { 0 };

	if (fd < 0 || fstat(fd, &info) < 0)
		return ERR_SYS(err, errno, "open '%s'", name);
	if (!S_ISREG(info.st_mode))
		return ERR_SET(err, ERR_INVALID, "'%s' is not a regular file", name);
	if (fcntl(fd, F_SETLK, &lock) < 0)
		return ERR_SET(err, ERR_STATE, "another process writes '%s'", name);
	*out = fd_take(&fd);
	return 0;
}

/* Takes the chain in from the last line; *out_end is where that ends, 0 when there is none. */
static int read_end(int fd, struct audit_chain *chain, int64_t *out_end, struct err *err)
{
	char *tail SCOPED(str_free) = malloc(TAIL_MAX);
	off_t size = lseek(fd, 0, SEEK_END);
	off_t from = size > TAIL_MAX ? size - TAIL_MAX : 0;
	ssize_t got = tail && size >= 0 ? pread(fd, tail, TAIL_MAX, from) : -1;
	json_auto_t *record = NULL;
	const char *end;
	const char *start;

	if (!tail)
		return ERR_NOMEM_SET(err);
	if (got < 0)
		return ERR_SYS(err, errno, "read '" AUDIT_FILE "'");
	end = memrchr(tail, '\n', (size_t)got);
	*out_end = end ? from + (end - tail) + 1 : 0;
	if (!end)
		return from ? ERR_SET(err, ERR_INVALID, "it does not end in a record") : 0;
	start = memrchr(tail, '\n', (size_t)(end - tail));
	start = start ? start + 1 : tail;
	record = wire_json_load(start, (size_t)(end - start), err);
	chain->seq = json_integer_value(json_object_get(record, "seq"));
	if (chain->seq <= 0)
		return ERR_SET(err, ERR_INVALID,
			       "'" AUDIT_FILE "' does not end in a record: move it away");
	digest_bytes(chain->prev, start, (size_t)(end - start));
	return 0;
}

/* Goes on where the file ends, or the one before it where that is empty. */
static int resume(struct audit *audit, int64_t *out_cut, struct err *err)
{
	struct stat info = { 0 };
	char name[FILE_NAME_MAX];
	int64_t end = 0;
	int older SCOPED(fd_close) = -1;

	if (open_locked(&audit->fd, audit->folder, AUDIT_FILE, 0, err) < 0 ||
	    read_end(audit->fd, &audit->chain, &audit->size, err) < 0)
		return err->code;
	if (fstat(audit->fd, &info) < 0 || ftruncate(audit->fd, audit->size) < 0)
		return ERR_SYS(err, errno, "cut '" AUDIT_FILE "'");
	*out_cut = info.st_size - audit->size;
	file_name(name, 1);
	if (audit->size == 0)
		older = openat(audit->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return older >= 0 ? read_end(older, &audit->chain, &end, err) : 0;
}

/* The new file is there before an old one is touched. */
static int rotate(struct audit *audit, struct err *err)
{
	int fresh SCOPED(fd_close) = -1;
	char old[FILE_NAME_MAX];
	char new[FILE_NAME_MAX];

	(void)unlinkat(audit->folder, NEW_FILE, 0); /* of a crash */
	if (open_locked(&fresh, audit->folder, NEW_FILE, O_EXCL, err) < 0)
		return err->code;
	for (unsigned age = AUDIT_FILES_MAX - 1; age > 0; age--) {
		file_name(old, age - 1);
		file_name(new, age);
		if (renameat(audit->folder, old, audit->folder, new) < 0 && errno != ENOENT)
			return ERR_SYS(err, errno, "rotate '%s'", old);
	}
	if (renameat(audit->folder, NEW_FILE, audit->folder, AUDIT_FILE) < 0)
		return ERR_SYS(err, errno, "rotate '" AUDIT_FILE "'");
	fd_close(&audit->fd);
	audit->fd = fd_take(&fresh);
	audit->size = 0;
	return 0;
}

static int write_file(struct audit *audit, const struct buf *line, bool sync, struct err *err)
{
	struct stat info = { 0 };
	ssize_t done;

	if (fstat(audit->fd, &info) < 0 || info.st_nlink == 0 || info.st_size != audit->size)
		return ERR_SET(err, ERR_STATE, "somebody else has changed '" AUDIT_FILE "'");
	if (audit->size > 0 && audit->size + (int64_t)line->len > audit->size_max &&
	    rotate(audit, err) < 0)
		return err->code;
	done = write(audit->fd, line->data, line->len);
	if (done != (ssize_t)line->len) {
		int sys = done < 0 ? errno : ENOSPC;

		(void)ERR_SYS(err, sys, "write '" AUDIT_FILE "'");
		/* A line is there whole or not at all. */
		return ftruncate(audit->fd, audit->size) < 0 ? ERR_WRAP(err, "and not undone")
							     : (int)err->code;
	}
	audit->size += done;
	if (sync && fdatasync(audit->fd) < 0)
		return ERR_SYS(err, errno, "sync '" AUDIT_FILE "'");
	return 0;
}

/* ------------------------------------------------------------------ the system's log */

static int connect_syslog(struct audit *audit, struct err *err)
{
	fd_close(&audit->fd);
	audit->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (audit->fd < 0 ||
	    connect(audit->fd, (const struct sockaddr *)&audit->address, sizeof audit->address) < 0)
		return ERR_SYS(err, errno, "connect to '%s'", audit->address.sun_path);
	return 0;
}

static int write_syslog(struct audit *audit, const struct buf *line, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(AUDIT_LINE_MAX + 64);

	if (buf_printf(&text, err, "<%d>agent-broker[%d]: ", SYSLOG_PRIORITY, (int)getpid()) < 0 ||
	    buf_append(&text, line->data, line->len - 1, err) < 0)
		return err->code;
	if (send(audit->fd, text.data, text.len, MSG_NOSIGNAL) == (ssize_t)text.len)
		return 0;
	/* It may have been started anew; whatever else it is shows now. */
	if (connect_syslog(audit, err) < 0)
		return err->code;
	return send(audit->fd, text.data, text.len, MSG_NOSIGNAL) == (ssize_t)text.len
		       ? 0
		       : ERR_SYS(err, errno, "send to '%s'", audit->address.sun_path);
}

/* ------------------------------------------------------------------ records */

static void read_boot(char out[40])
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(64);

	if (buf_read_file(&text, "/proc/sys/kernel/random/boot_id", NULL) == 0 && text.len > 36)
		memcpy(out, text.data, 36); /* what cannot be read stays "" */
}

int audit_open(struct audit **out, enum audit_log kind, const char *where, struct err *err)
{
	struct audit *audit SCOPED(audit_release) = calloc(1, sizeof *audit);
	int64_t cut = 0;

	if (!audit)
		return ERR_NOMEM_SET(err);
	*audit = (struct audit){ .kind = kind, .folder = -1, .fd = -1, .size_max = AUDIT_FILE_MAX };
	memset(audit->chain.prev, '0', DIGEST_SIZE - 1);
	audit->address.sun_family = AF_UNIX;
	read_boot(audit->boot);
	if (kind == AUDIT_LOG_SYSLOG) {
		if (str_copy(audit->address.sun_path, sizeof audit->address.sun_path, where, err) <
			    0 ||
		    connect_syslog(audit, err) < 0)
			return err->code;
	} else if (kind == AUDIT_LOG_FILE) {
		audit->folder = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (audit->folder < 0)
			return ERR_SYS(err, errno, "open '%s'", where);
		if (resume(audit, &cut, err) < 0 ||
		    (cut > 0 &&
		     audit_write(audit, "log_mended",
				 json_pack("{s:I}", "cut_bytes", (json_int_t)cut), true, err) < 0))
			return ERR_WRAP(err, "%s", where);
	}
	*out = TAKE(audit);
	return 0;
}

int audit_open_default(struct audit **out, enum audit_log kind, const char *state, struct err *err)
{
	char folder[BROKER_PATH_MAX + 8];

	if (kind == AUDIT_LOG_SYSLOG)
		return audit_open(out, kind, AUDIT_SYSLOG, err);
	(void)snprintf(folder, sizeof folder, "%s/log", state);
	(void)mkdir(folder, 0700); /* what else is wrong with it shows now */
	return audit_open(out, kind ? kind : AUDIT_LOG_FILE, folder, err);
}

void audit_close(struct audit *audit)
{
	if (!audit)
		return;
	fd_close(&audit->fd);
	fd_close(&audit->folder);
	free(audit);
}

void audit_release(struct audit **audit)
{
	audit_close(*audit);
	*audit = NULL;
}

void audit_set_file_max(struct audit *audit, int64_t bytes)
{
	audit->size_max = bytes;
}

/* Too long texts are cut between two characters. */
static int cut_texts(json_t *record)
{
	const char *name;
	json_t *value;
	int rc = 0;

	json_object_foreach(record, name, value) {
		const char *text = json_string_value(value);
		size_t used = 0;
		size_t left = json_string_length(value);

		while (left > TEXT_MAX && used < TEXT_MAX - 4)
			used += str_utf8_step(text + used, left - used);
		if (used > 0)
			rc |= json_object_set_new(record, name,
						  json_sprintf("%.*s...", (int)used, text));
	}
	return rc;
}

/* The line of a record, without what makes it end. */
static int put_record(struct buf *line, const struct audit *audit, const char *event,
		      json_t *fields, struct err *err)
{
	struct timespec now = { 0 };
	struct tm utc = { 0 };
	char stamp[32];
	json_auto_t *record = NULL;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &utc);
	(void)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
	record =
		json_pack("{s:I, s:s, s:s, s:o, s:I, s:s}", "seq", (json_int_t)audit->chain.seq + 1,
			  "prev", audit->chain.prev, "boot", audit->boot, "time",
			  json_sprintf("%s.%03ldZ", stamp, now.tv_nsec / 1000000), "mono_ms",
			  (json_int_t)clock_ms(), "event", event);
	if (!record || json_object_update_missing(record, fields) < 0 || cut_texts(record) < 0)
		return ERR_NOMEM_SET(err);
	return wire_json_dump(line, record, err);
}

json_t *audit_command(const char *child, const struct broker_grant_record *command)
{
	char argv[DIGEST_SIZE];
	struct digest digest;

	digest_init(&digest);
	digest_words(&digest, command->argv.items, command->argv.count);
	digest_finish(&digest, argv);
	return json_pack(
		"{s:s*, s:s, s:s*, s:s*, s:s, s:i, s:s, s:s, s:s, s:b}", "child", child, "ceiling",
		command->ceiling, "grant", command->grant, "state",
		command->state ? names_get(&broker_grant_state_names, (int)command->state) : NULL,
		"program", command->argv.items[0], "argc", (int)command->argv.count, "argv_sha256",
		argv, "cwd", command->cwd, "mode",
		names_get(&sandbox_mode_names, (int)command->mode), "network", command->network);
}

json_t *audit_ceiling(const char *id, const struct broker_ceiling_open *open, size_t roots)
{
	return json_pack("{s:s, s:s, s:b, s:s, s:i, s:b, s:b, s:b}", "ceiling", id, "mode",
			 names_get(&sandbox_mode_names, (int)open->mode), "network", open->network,
			 "cwd", open->cwd, "roots", (int)roots, "keep", open->keep, "legacy",
			 open->legacy_landlock, "git_commit", open->allow_git_commit);
}

json_t *audit_answer(const struct broker_grant_answered *answered)
{
	return json_pack("{s:s, s:s, s:s}", "grant", answered->grant, "decision",
			 names_get(&decision_names, (int)answered->decision), "state",
			 names_get(&broker_grant_state_names, (int)answered->state));
}

json_t *audit_exit(const struct broker_child_exited *exited, const char *by)
{
	return json_pack("{s:s, s:i, s:i, s:i, s:i, s:s}", "child", exited->child, "code",
			 (int)exited->code, "signal", (int)exited->signal, "denials",
			 (int)exited->denials_count, "denials_lost", (int)exited->denials_lost,
			 "ended_by", by);
}

bool audit_is_weighty(const char *event)
{
	return str_starts(event, "grant_");
}

int audit_write(struct audit *audit, const char *event, json_t *fields, bool sync, struct err *err)
{
	json_auto_t *owned = fields;
	struct buf line SCOPED(buf_deinit) = BUF_INIT(AUDIT_LINE_MAX);
	int rc;

	if (!owned)
		return ERR_NOMEM_SET(err);
	if (!audit)
		return ERR_SET(err, ERR_STATE, "the audit log is not open");
	if (audit->kind != AUDIT_LOG_FILE && audit->kind != AUDIT_LOG_SYSLOG)
		return 0;
	if (put_record(&line, audit, event, owned, err) < 0 || buf_putc(&line, '\n', err) < 0)
		return ERR_WRAP(err, "audit");
	rc = audit->kind == AUDIT_LOG_FILE ? write_file(audit, &line, sync, err)
					   : write_syslog(audit, &line, err);
	if (rc < 0)
		return ERR_WRAP(err, "audit");
	audit->chain.seq++;
	digest_bytes(audit->chain.prev, line.data, line.len - 1);
	return 0;
}
