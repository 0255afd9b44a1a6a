/*
 * transcript.h - the log of one session: append-only lines in a file, and an index of them in
 * memory.
 *
 * The file is the log: finished items are not held in memory, only where they lie. A record is in
 * the file before anybody is told of it. What a crash left unfinished at the end is cut off when
 * the file is opened; a write that fails half-way (full disk) is undone, so that the file is
 * readable at any moment. Files are 0600 in folders 0700. An ephemeral one lives in memory and
 * leaves nothing behind.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"

#include "agentd/session/record.h"

struct err;
struct transcript;

#define TRANSCRIPT_MAX 536870912       /* bytes of one file */
#define TRANSCRIPT_RECORDS_MAX 1048576 /* lines of one file */

/* Below state_dir: sessions/2026/01/31/rollout-2026-01-31T23-59-59-<id>.jsonl (UTC). */
int transcript_new(struct transcript **out, const char *state_dir, const char *id, int64_t now_ms,
		   struct err *err) MUST_CHECK;
int transcript_new_ephemeral(struct transcript **out, struct err *err) MUST_CHECK;

/* Repairs the tail and indexes. ERR_INVALID: not a transcript. */
int transcript_open(struct transcript **out, const char *path, struct err *err) MUST_CHECK;
void transcript_free(struct transcript *transcript);
void transcript_release(struct transcript **transcript); /* for SCOPED */

int transcript_append(struct transcript *transcript, enum record_kind kind, int64_t item,
		      const json_t *payload, int64_t now_ms, struct err *err) MUST_CHECK;

/* For saving elsewhere than in the event loop; -1 when there is nothing to save. Borrowed. */
int transcript_fd(const struct transcript *transcript);

const char *transcript_path(const struct transcript *transcript); /* NULL when ephemeral */
size_t transcript_count(const struct transcript *transcript);
enum record_kind transcript_kind(const struct transcript *transcript, size_t index);
int64_t transcript_item(const struct transcript *transcript, size_t index);
int64_t transcript_item_last(const struct transcript *transcript); /* the highest number so far */

/* The payload of a record, parsed; NULL and err when it cannot be read. The caller's reference. */
json_t *transcript_payload(const struct transcript *transcript, size_t index, struct err *err)
	MUST_CHECK;

/* Appends the payload as it is written. */
int transcript_payload_text(struct buf *out, const struct transcript *transcript, size_t index,
			    struct err *err) MUST_CHECK;

/* The payload texts of some records, in the order asked for, each ending in a NUL. */
struct transcript_texts {
	struct buf bytes;
	const char **items; /* into bytes */
	size_t count;
};
int transcript_texts(struct transcript_texts *out, const struct transcript *transcript,
		     const uint32_t *records, size_t count, struct err *err) MUST_CHECK;
void transcript_texts_deinit(struct transcript_texts *texts);
