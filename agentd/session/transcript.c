#include "agentd/session/transcript.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/json.h"

#define DIR_MODE 0700
#define FILE_MODE 0600
#define PATH_BYTES_MAX 4095
#define REFS_FIRST 64
#define ITEM_NONE 0

/* 24 bytes a record; everything else stays in the file. */
struct ref {
	uint64_t at; /* of the line in the file */
	uint32_t payload_at;
	uint32_t payload_len;
	uint32_t item;
	uint8_t kind;
};

struct transcript {
	int fd;
	char *path; /* NULL when ephemeral */
	uint64_t size;
	struct ref *refs;
	size_t count;
	size_t capacity;
	int64_t item_last;
	bool broken; /* a failed write could not be undone */
};

static int make_dir(const char *path, struct err *err)
{
	if (mkdir(path, DIR_MODE) < 0 && errno != EEXIST)
		return ERR_SYS(err, errno, "make folder '%s'", path);
	return 0;
}

/* Every folder of the path below `root`; the last part is the file's. */
static int make_dirs(char *path, size_t root, struct err *err)
{
	for (char *slash = strchr(path + root + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		int result;

		*slash = '\0';
		result = make_dir(path, err);
		*slash = '/';
		if (result < 0)
			return result;
	}
	return 0;
}

static struct transcript *allocate(void)
{
	struct transcript *transcript = calloc(1, sizeof(*transcript));

	if (transcript)
		transcript->fd = -1;
	return transcript;
}

void transcript_free(struct transcript *transcript)
{
	if (!transcript)
		return;
	fd_close(&transcript->fd);
	free(transcript->path);
	free(transcript->refs);
	free(transcript);
}

void transcript_release(struct transcript **transcript)
{
	transcript_free(*transcript);
	*transcript = NULL;
}

/* "2026-01-31T23:59:59.999Z" as the parts of a path. */
static int path_of(struct buf *out, const char *state_dir, const char *id, int64_t now_ms,
		   struct err *err)
{
	char when[RECORD_TIME_SIZE];

	if (record_time(when, now_ms, err) < 0)
		return (int)err->code;
	return buf_printf(
		out, err, "%s/sessions/%.4s/%.2s/%.2s/rollout-%.10sT%.2s-%.2s-%.2s-%s.jsonl",
		state_dir, when, when + 5, when + 8, when, when + 11, when + 14, when + 17, id);
}

int transcript_new(struct transcript **out, const char *state_dir, const char *id, int64_t now_ms,
		   struct err *err)
{
	struct transcript *transcript SCOPED(transcript_release) = allocate();
	struct buf path SCOPED(buf_deinit) = BUF_INIT(PATH_BYTES_MAX);

	if (!transcript)
		return ERR_NOMEM_SET(err);
	if (path_of(&path, state_dir, id, now_ms, err) < 0)
		return ERR_WRAP(err, "path of the transcript");
	transcript->path = buf_take(&path);
	if (!transcript->path)
		return ERR_NOMEM_SET(err);
	if (make_dirs(transcript->path, strlen(state_dir), err) < 0)
		return (int)err->code;
	transcript->fd =
		open(transcript->path,
		     O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (transcript->fd < 0)
		return ERR_SYS(err, errno, "create transcript '%s'", transcript->path);
	*out = TAKE(transcript);
	return 0;
}

int transcript_new_ephemeral(struct transcript **out, struct err *err)
{
	struct transcript *transcript SCOPED(transcript_release) = allocate();

	if (!transcript)
		return ERR_NOMEM_SET(err);
	transcript->fd = memfd_create("transcript", MFD_CLOEXEC);
	if (transcript->fd < 0)
		return ERR_SYS(err, errno, "memory for an ephemeral transcript");
	*out = TAKE(transcript);
	return 0;
}

/* Where the next record's reference will go; NULL and err when there is no room for it. */
static struct ref *reserve_ref(struct transcript *transcript, struct err *err)
{
	size_t wanted = transcript->capacity ? transcript->capacity * 2 : REFS_FIRST;
	struct ref *grown;

	if (transcript->count < transcript->capacity)
		return &transcript->refs[transcript->count];
	if (transcript->count >= TRANSCRIPT_RECORDS_MAX) {
		(void)ERR_SET(err, ERR_LIMIT, "more than %d records in one transcript",
			      TRANSCRIPT_RECORDS_MAX);
		return NULL;
	}
	grown = realloc(transcript->refs, wanted * sizeof(*grown));
	if (!grown) {
		(void)ERR_NOMEM_SET(err);
		return NULL;
	}
	transcript->refs = grown;
	transcript->capacity = wanted;
	return &transcript->refs[transcript->count];
}

/* ref: from reserve_ref(). line_len without the newline. */
static void add_ref(struct transcript *transcript, struct ref *ref, const char *line,
		    size_t line_len)
{
	struct record_shape shape;

	record_recognise(&shape, line, line_len);
	if (shape.item > UINT32_MAX)
		shape.item = ITEM_NONE;
	transcript->count++;
	*ref = (struct ref){
		.at = transcript->size,
		.payload_at = shape.payload_at,
		.payload_len = shape.payload_len,
		.item = (uint32_t)shape.item,
		.kind = (uint8_t)shape.kind,
	};
	if (shape.item > transcript->item_last)
		transcript->item_last = shape.item;
	transcript->size += line_len + 1;
}

/* The last line may be half of one: it counts when it is whole and is JSON. */
static bool tail_is_whole(const char *line, size_t len)
{
	struct err ignored;
	json_t *value = wire_json_load(line, len, &ignored);
	bool whole = json_is_object(value);

	json_decref(value);
	return whole;
}

static int index_lines(struct transcript *transcript, const char *text, size_t size,
		       struct err *err)
{
	const char *end = text + size;
	const char *line = text;

	while (line < end) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		size_t len = newline ? (size_t)(newline - line) : 0;
		struct ref *ref;

		if (!newline || (newline + 1 == end && !tail_is_whole(line, len)))
			break;
		ref = reserve_ref(transcript, err);
		if (!ref)
			return (int)err->code;
		add_ref(transcript, ref, line, len);
		line = newline + 1;
	}
	if (transcript->count == 0 || transcript->refs[0].kind != RECORD_META)
		return ERR_SET(err, ERR_INVALID, "'%s' is not a transcript", transcript->path);
	return 0;
}

static int load_index(struct transcript *transcript, struct err *err)
{
	struct stat about;
	void *text;
	int result;

	if (fstat(transcript->fd, &about) < 0)
		return ERR_SYS(err, errno, "read transcript '%s'", transcript->path);
	if (!S_ISREG(about.st_mode) || about.st_uid != geteuid())
		return ERR_SET(err, ERR_DENIED, "transcript '%s' is not a file of this user",
			       transcript->path);
	if (about.st_size <= 0 || about.st_size > (off_t)TRANSCRIPT_MAX)
		return ERR_SET(err, ERR_INVALID, "transcript '%s' is empty or too large",
			       transcript->path);
	text = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, transcript->fd, 0);
	if (text == MAP_FAILED)
		return ERR_SYS(err, errno, "read transcript '%s'", transcript->path);
	result = index_lines(transcript, text, (size_t)about.st_size, err);
	(void)munmap(text, (size_t)about.st_size);
	if (result == 0 && transcript->size < (uint64_t)about.st_size &&
	    ftruncate(transcript->fd, (off_t)transcript->size) < 0)
		return ERR_SYS(err, errno, "cut the torn end of '%s'", transcript->path);
	return result;
}

int transcript_open(struct transcript **out, const char *path, struct err *err)
{
	struct transcript *transcript SCOPED(transcript_release) = allocate();

	if (!transcript)
		return ERR_NOMEM_SET(err);
	transcript->path = str_dup(path);
	if (!transcript->path)
		return ERR_NOMEM_SET(err);
	transcript->fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (transcript->fd < 0)
		return ERR_SYS(err, errno, "open transcript '%s'", path);
	if (load_index(transcript, err) < 0)
		return (int)err->code;
	*out = TAKE(transcript);
	return 0;
}

/* All or nothing: what did not fit is cut off again. */
static int write_line(struct transcript *transcript, const struct buf *line, struct err *err)
{
	const char *name = transcript->path ? transcript->path : "(memory)";
	size_t done = 0;

	while (done < line->len) {
		ssize_t wrote = pwrite(transcript->fd, line->data + done, line->len - done,
				       (off_t)(transcript->size + done));

		if (wrote > 0) {
			done += (size_t)wrote;
			continue;
		}
		if (wrote < 0 && errno == EINTR)
			continue;
		(void)ERR_SYS(err, wrote < 0 ? errno : ENOSPC, "write transcript '%s'", name);
		transcript->broken = ftruncate(transcript->fd, (off_t)transcript->size) < 0;
		return (int)ERR_SYSTEM;
	}
	return 0;
}

int transcript_append(struct transcript *transcript, enum record_kind kind, int64_t item,
		      const json_t *payload, int64_t now_ms, struct err *err)
{
	struct buf line SCOPED(buf_deinit) = BUF_INIT(RECORD_LINE_MAX);
	struct ref *ref;

	if (transcript->broken)
		return ERR_SET(err, ERR_STATE,
			       "the transcript's end is damaged; resume the session to repair it");
	ref = reserve_ref(transcript, err);
	if (!ref || record_format(&line, kind, item, payload, now_ms, err) < 0)
		return (int)err->code;
	if (transcript->size + line.len > TRANSCRIPT_MAX)
		return ERR_SET(err, ERR_LIMIT, "the transcript exceeds %d bytes", TRANSCRIPT_MAX);
	if (write_line(transcript, &line, err) < 0)
		return (int)err->code;
	add_ref(transcript, ref, line.data, line.len - 1);
	return 0;
}

int transcript_fd(const struct transcript *transcript)
{
	return transcript->path ? transcript->fd : -1;
}

const char *transcript_path(const struct transcript *transcript)
{
	return transcript->path;
}

size_t transcript_count(const struct transcript *transcript)
{
	return transcript->count;
}

enum record_kind transcript_kind(const struct transcript *transcript, size_t index)
{
	return index < transcript->count ? (enum record_kind)transcript->refs[index].kind
					 : RECORD_OTHER;
}

int64_t transcript_item(const struct transcript *transcript, size_t index)
{
	return index < transcript->count ? (int64_t)transcript->refs[index].item : ITEM_NONE;
}

int64_t transcript_item_last(const struct transcript *transcript)
{
	return transcript->item_last;
}

static int read_payload(struct buf *out, const struct transcript *transcript, size_t index,
			struct err *err)
{
	const struct ref *ref = &transcript->refs[index];
	size_t done = 0;

	if (buf_reserve(out, ref->payload_len, err) < 0)
		return (int)err->code;
	while (done < ref->payload_len) {
		ssize_t got = pread(transcript->fd, out->data + out->len, ref->payload_len - done,
				    (off_t)(ref->at + ref->payload_at + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return ERR_SYS(err, got < 0 ? errno : EIO, "read transcript record %zu",
				       index);
		buf_grow(out, (size_t)got);
		done += (size_t)got;
	}
	return 0;
}

int transcript_payload_text(struct buf *out, const struct transcript *transcript, size_t index,
			    struct err *err)
{
	if (index >= transcript->count || transcript->refs[index].payload_len == 0)
		return ERR_SET(err, ERR_NOTFOUND, "transcript record %zu has no payload", index);
	return read_payload(out, transcript, index, err);
}

json_t *transcript_payload(const struct transcript *transcript, size_t index, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(RECORD_LINE_MAX);

	if (transcript_payload_text(&text, transcript, index, err) < 0)
		return NULL;
	return wire_json_load(text.data, text.len, err);
}

void transcript_texts_deinit(struct transcript_texts *texts)
{
	buf_deinit(&texts->bytes);
	free((void *)texts->items);
	texts->items = NULL;
	texts->count = 0;
}

/* First the places as offsets, since the buffer moves while it grows. */
static int collect(struct transcript_texts *fresh, size_t *places,
		   const struct transcript *transcript, const uint32_t *records, size_t count,
		   struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		places[fresh->count++] = fresh->bytes.len;
		if (transcript_payload_text(&fresh->bytes, transcript, records[i], err) < 0 ||
		    buf_putc(&fresh->bytes, '\0', err) < 0)
			return (int)err->code;
	}
	return 0;
}

static void free_places(size_t **places)
{
	free(*places);
}

int transcript_texts(struct transcript_texts *out, const struct transcript *transcript,
		     const uint32_t *records, size_t count, struct err *err)
{
	struct transcript_texts fresh SCOPED(
		transcript_texts_deinit) = { .bytes = BUF_INIT(TRANSCRIPT_MAX) };
	size_t *places SCOPED(free_places) = calloc(count + 1, sizeof(*places));

	fresh.items = (const char **)calloc(count + 1, sizeof(*fresh.items));
	if (!places || !fresh.items)
		return ERR_NOMEM_SET(err);
	if (collect(&fresh, places, transcript, records, count, err) < 0)
		return ERR_WRAP(err, "read the history");
	for (size_t i = 0; i < fresh.count; i++)
		fresh.items[i] = fresh.bytes.data + places[i];
	*out = fresh;
	fresh = (struct transcript_texts){ 0 };
	return 0;
}
