#include "agentd/session/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/json.h"

#include "agentd/session/transcript.h"

#define PATH_BYTES_MAX 4095
#define DEPTH_FILES 3 /* sessions/YYYY/MM/DD */
#define NAME_LEAD "rollout-"
#define NAME_END ".jsonl"
#define MS_PER_SECOND 1000
#define NS_PER_MS 1000000
#define ENTRIES_FIRST 64

/* Called for each transcript, whose id is part of its name; true ends the walk. */
typedef bool found_fn(void *ctx, int dir, const char *name, const char *id, const char *path);

struct walk {
	found_fn *found;
	void *ctx;
	size_t seen;
};

static void close_dir(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

/* The id in a file's name; NULL for other files. */
static const char *id_of(const char *name)
{
	size_t len = strlen(name);
	size_t tail = UUID_SIZE - 1 + sizeof(NAME_END) - 1;

	if (!str_starts(name, NAME_LEAD) || !str_ends(name, NAME_END) || len < tail)
		return NULL;
	return name + len - tail;
}

static bool walk(struct walk *walker, const char *path, int depth);

static bool walk_entry(struct walk *walker, DIR *dir, const char *name, const char *path, int depth)
{
	struct buf below SCOPED(buf_deinit) = BUF_INIT(PATH_BYTES_MAX);
	struct err ignored; /* a path that is too long is none of ours */
	const char *id;

	if (name[0] == '.' || buf_printf(&below, &ignored, "%s/%s", path, name) < 0)
		return false;
	if (depth < DEPTH_FILES)
		return walk(walker, below.data, depth + 1);
	id = id_of(name);
	if (!id || ++walker->seen > STORE_FILES_MAX)
		return false;
	return walker->found(walker->ctx, dirfd(dir), name, id, below.data);
}

/* Folders that cannot be read hold nothing that could be resumed. */
static bool walk(struct walk *walker, const char *path, int depth)
{
	DIR *dir SCOPED(close_dir) = opendir(path);
	const struct dirent *entry;

	/* A stream of this function's own. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	while (dir && (entry = readdir(dir))) {
		if (walk_entry(walker, dir, entry->d_name, path, depth))
			return true;
	}
	return false;
}

static bool walk_all(struct walk *walker, const char *state_dir)
{
	struct buf path SCOPED(buf_deinit) = BUF_INIT(PATH_BYTES_MAX);
	struct err ignored;

	if (buf_printf(&path, &ignored, "%s/sessions", state_dir) < 0)
		return false;
	return walk(walker, path.data, 0);
}

struct finding {
	const char *id;
	char *path;
};

static bool found_one(void *ctx, int dir, const char *name, const char *id, const char *path)
{
	struct finding *finding = ctx;

	(void)dir;
	(void)name;
	if (strncmp(id, finding->id, UUID_SIZE - 1) != 0)
		return false;
	finding->path = str_dup(path);
	return true;
}

int store_find(char **out, const char *state_dir, const char *id, struct err *err)
{
	struct finding finding = { .id = id };
	struct walk walker = { .found = found_one, .ctx = &finding };

	if (!uuid_is_valid(id) || !walk_all(&walker, state_dir))
		return ERR_SET(err, ERR_NOTFOUND, "there is no session '%.64s'", id);
	if (!finding.path)
		return ERR_NOMEM_SET(err);
	*out = finding.path;
	return 0;
}

struct listing {
	struct store_list *list;
	struct err *err;
};

static bool found_any(void *ctx, int dir, const char *name, const char *id, const char *path)
{
	struct listing *listing = ctx;
	struct store_list *list = listing->list;
	struct stat about;
	struct store_entry *entry;

	if (fstatat(dir, name, &about, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(about.st_mode))
		return false;
	if (list->count == list->capacity) {
		size_t wanted = list->capacity ? list->capacity * 2 : ENTRIES_FIRST;
		struct store_entry *grown = realloc(list->entries, wanted * sizeof(*grown));

		if (!grown)
			return ERR_NOMEM_SET(listing->err) < 0;
		list->entries = grown;
		list->capacity = wanted;
	}
	entry = &list->entries[list->count];
	memcpy(entry->id, id, UUID_SIZE - 1);
	entry->id[UUID_SIZE - 1] = '\0';
	entry->changed_ms =
		(int64_t)about.st_mtim.tv_sec * MS_PER_SECOND + about.st_mtim.tv_nsec / NS_PER_MS;
	entry->path = str_dup(path);
	if (!entry->path)
		return ERR_NOMEM_SET(listing->err) < 0;
	list->count++;
	return false;
}

static int newer_first(const void *left, const void *right)
{
	const struct store_entry *a = left;
	const struct store_entry *b = right;

	if (a->changed_ms != b->changed_ms)
		return a->changed_ms < b->changed_ms ? 1 : -1;
	return strcmp(b->id, a->id);
}

void store_list_deinit(struct store_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->entries[i].path);
	free(list->entries);
	*list = (struct store_list){ 0 };
}

int store_scan(struct store_list *out, const char *state_dir, struct err *err)
{
	struct store_list list SCOPED(store_list_deinit) = { 0 };
	struct listing listing = { &list, err };
	struct walk walker = { .found = found_any, .ctx = &listing };

	if (walk_all(&walker, state_dir))
		return (int)err->code;
	if (list.count > 0)
		qsort(list.entries, list.count, sizeof(*list.entries), newer_first);
	*out = list;
	list = (struct store_list){ 0 };
	return 0;
}

void store_header_deinit(struct store_header *header)
{
	free(header->cwd);
	free(header->title);
	*header = (struct store_header){ 0 };
}

/* Messages that clients are shown carry a number. */
static int64_t count_messages(const char *text, size_t size)
{
	const char *at = text;
	int64_t count = 0;

	while (at < text + size) {
		const char *newline = memchr(at, '\n', (size_t)(text + size - at));
		struct record_shape shape;

		if (!newline)
			break;
		record_recognise(&shape, at, (size_t)(newline - at));
		count += shape.kind == RECORD_ITEM && shape.item > 0;
		at = newline + 1;
	}
	return count;
}

static int parse_header(struct store_header *out, const char *text, size_t size, struct err *err)
{
	const char *newline = memchr(text, '\n', size < STORE_HEADER_MAX ? size : STORE_HEADER_MAX);
	struct store_header fresh SCOPED(store_header_deinit) = { 0 };
	json_auto_t *line = NULL;
	const json_t *payload;
	const char *title;

	if (!newline)
		return ERR_SET(err, ERR_INVALID, "no first line");
	line = wire_json_load(text, (size_t)(newline - text), err);
	if (!line)
		return (int)err->code;
	payload = json_object_get(line, "payload");
	title = json_string_value(json_object_get(payload, "title"));
	if (!json_is_string(json_object_get(payload, "cwd")))
		return ERR_SET(err, ERR_INVALID, "the first line names no folder");
	fresh.cwd = str_dup(json_string_value(json_object_get(payload, "cwd")));
	fresh.title = title ? str_dup(title) : NULL;
	fresh.messages = count_messages(text, size);
	if (!fresh.cwd || (title && !fresh.title))
		return ERR_NOMEM_SET(err);
	*out = fresh;
	fresh = (struct store_header){ 0 };
	return 0;
}

int store_read_header(struct store_header *out, const char *path, struct err *err)
{
	int fd SCOPED(fd_close) = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat about;
	void *text;
	int result;

	if (fd < 0 || fstat(fd, &about) < 0)
		return ERR_SYS(err, errno, "read transcript '%s'", path);
	if (!S_ISREG(about.st_mode) || about.st_size <= 0 || about.st_size > (off_t)TRANSCRIPT_MAX)
		return ERR_SET(err, ERR_INVALID, "'%s' is not a transcript", path);
	text = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED)
		return ERR_SYS(err, errno, "read transcript '%s'", path);
	result = parse_header(out, text, (size_t)about.st_size, err);
	(void)munmap(text, (size_t)about.st_size);
	return result < 0 ? ERR_WRAP(err, "transcript '%s'", path) : 0;
}
