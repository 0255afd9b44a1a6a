/*
 * audit.h - the record of what the broker did: one JSON object per line, each naming the SHA-256 of
 * the line before it, so that a line which was changed, removed or put in between is found.
 *
 * A file continues where it ended: number and digest go on over restarts and over rotation
 * (audit.jsonl, audit.jsonl.1 is older, ...). A line is written whole or not at all; what a crash
 * has left unfinished is cut off at the next start, and said. A system log cannot be read back, so
 * there every start begins a chain. The chain holds against whoever edits the file, not against
 * whoever writes all of it anew; for that it must leave the machine, as a system log can.
 *
 * Arguments, environments and output never come here; who calls sees to that.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/attr.h"
#include "proto/wire/common_gen.h" /* enum audit_log */

struct err;

#define AUDIT_FILE "audit.jsonl"
#define AUDIT_FILE_MAX 16777216 /* bytes of one file; then it is rotated */
#define AUDIT_FILES_MAX 8       /* files, the one being written included; the oldest goes */
#define AUDIT_LINE_MAX 65536    /* bytes of one line, the newline included */
#define AUDIT_SYSLOG "/dev/log" /* where system logs listen */

struct audit;

/*
 * `where` is the folder of the files, or the socket of the system log. ERR_STATE: another process
 * writes there. ERR_INVALID: the file ends in something else than a record.
 */
int audit_open(struct audit **out, enum audit_log kind, const char *where, struct err *err)
	MUST_CHECK;
/* The same with the files in the folder "log" below `state`, which is made where it is missing, or
 * with the system log at AUDIT_SYSLOG; without a kind files. */
int audit_open_default(struct audit **out, enum audit_log kind, const char *state, struct err *err)
	MUST_CHECK;
void audit_close(struct audit *audit);    /* accepts NULL */
void audit_release(struct audit **audit); /* for SCOPED */

/* Another ceiling than AUDIT_FILE_MAX, at least AUDIT_LINE_MAX. */
void audit_set_file_max(struct audit *audit, int64_t bytes);

/* Grants are on the disk before anybody hears of them; the rest the kernel writes in its time. */
bool audit_is_weighty(const char *event);

/*
 * Writes one record with the members of `fields` (taken; NULL: none) behind its own: seq, prev,
 * boot, time, mono_ms, event. With `sync` it is on the disk when this returns.
 * ERR_STATE without a log (NULL).
 */
int audit_write(struct audit *audit, const char *event, json_t *fields, bool sync, struct err *err)
	MUST_CHECK;

/*
 * The members of a record about a command, started (with its id) or asked for (NULL): program,
 * number of arguments, digest of all of them, folder, sandbox. NULL when out of memory.
 */
struct broker_grant_record;
json_t *audit_command(const char *child, const struct broker_grant_record *command) MUST_CHECK;

/* Those about a ceiling with so many roots, an answered grant, a command's end and what ended it.
 */
struct broker_ceiling_open;
struct broker_child_exited;
struct broker_grant_answered;
json_t *audit_ceiling(const char *id, const struct broker_ceiling_open *open, size_t roots)
	MUST_CHECK;
json_t *audit_answer(const struct broker_grant_answered *answered) MUST_CHECK;
json_t *audit_exit(const struct broker_child_exited *exited, const char *by) MUST_CHECK;

/* Where a chain stands: zeroed before its first record. */
struct audit_chain {
	int64_t seq;   /* of the last record; 0: none */
	int64_t first; /* of the first one that was seen */
	char prev[65]; /* digest of the last record */
};

/*
 * Follows the chain through one file, from where it stands; with a zeroed one the file may begin
 * anywhere. The sentence names the line that does not fit.
 */
int audit_verify(const char *path, struct audit_chain *chain, struct err *err) MUST_CHECK;
