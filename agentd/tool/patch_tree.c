#include "agentd/tool/patch_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "agentd/tool/patch_match.h"
#include "agentd/tool/patch_parse.h"
#include "agentd/tool/patch_path.h"

#define NEW_FILE_MODE 0666

static void free_node(struct patch_node *node)
{
	free(node->old);
	free(node->now);
	free(node);
}

static void free_name(struct patch_name *name)
{
	free(name->path);
	free(name->link);
	free(name);
}

void patch_tree_deinit(struct patch_tree *tree)
{
	while (tree->names) {
		struct patch_name *name = tree->names;

		tree->names = name->next;
		free_name(name);
	}
	while (tree->nodes) {
		struct patch_node *node = tree->nodes;

		tree->nodes = node->next;
		free_node(node);
	}
	free(tree->effects);
	*tree = (struct patch_tree){ 0 };
}

const char *patch_node_text(const struct patch_node *node, size_t *out_len)
{
	*out_len = node->now ? node->now_len : node->old_len;
	return node->now ? node->now : node->old;
}

/* Functions here fail with "PATH: reason"; this puts what was meant in front. */
static int lead(struct err *err, const char *what)
{
	struct err old = *err;

	if (old.code != ERR_NOMEM)
		(void)ERR_SET(err, old.code, "%s %s", what, old.text);
	err->sys = old.sys;
	return old.code;
}

static int account(struct patch_tree *tree, size_t bytes, struct err *err)
{
	if (bytes > PATCH_TREE_MAX - tree->bytes)
		return ERR_SET(err, ERR_LIMIT,
			       "the patch's files are longer than %u bytes together",
			       PATCH_TREE_MAX);
	tree->bytes += bytes;
	return 0;
}

static struct patch_node *add_node(struct patch_tree *tree, struct err *err)
{
	struct patch_node *node = calloc(1, sizeof *node);

	if (!node) {
		(void)ERR_NOMEM_SET(err);
		return NULL;
	}
	node->mode = NEW_FILE_MODE;
	node->next = tree->nodes;
	tree->nodes = node;
	return node;
}

static struct patch_node *find_node(const struct patch_tree *tree, const struct stat *info)
{
	for (struct patch_node *node = tree->nodes; node; node = node->next) {
		if (node->existed && node->was.st_dev == info->st_dev &&
		    node->was.st_ino == info->st_ino)
			return node;
	}
	return NULL;
}

/* The content behind a name that exists; a second name of a known file gets the same node. */
static int load_node(struct patch_tree *tree, struct patch_name *name, struct err *err)
{
	int fd SCOPED(fd_close) =
		patch_path_open(name->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
	struct buf text SCOPED(buf_deinit) = BUF_INIT(PATCH_FILE_MAX);
	struct stat info = { 0 };
	int rc;

	if (fd < 0 || fstat(fd, &info) < 0)
		return patch_path_error(err, errno, name->path);
	if (S_ISDIR(info.st_mode))
		return ERR_SYS(err, EISDIR, "%s", name->path);
	if (!S_ISREG(info.st_mode))
		return ERR_SET(err, ERR_INVALID, "%s: Not a regular file", name->path);
	name->node = find_node(tree, &info);
	if (name->node)
		return 0;
	rc = buf_read_fd(&text, fd, err);
	if (rc == 0)
		rc = account(tree, text.len, err);
	if (rc < 0)
		return ERR_WRAP(err, "%s", name->path);
	name->node = add_node(tree, err);
	if (!name->node)
		return ERR_NOMEM;
	name->node->existed = true;
	name->node->was = info;
	name->node->mode = info.st_mode & 07777;
	name->node->old_len = text.len;
	name->node->old = buf_take(&text);
	return name->node->old ? 0 : ERR_NOMEM_SET(err);
}

static int load_link(struct patch_name *name, struct err *err)
{
	char target[PATH_MAX];
	ssize_t len = readlink(name->path, target, sizeof target);
	struct stat info = { 0 };

	if (len < 0 || (size_t)len >= sizeof target)
		return ERR_SYS(err, len < 0 ? errno : ENAMETOOLONG, "%s", name->path);
	name->link = str_dup_len(target, (size_t)len);
	if (!name->link)
		return ERR_NOMEM_SET(err);
	name->was = stat(name->path, &info) == 0 ? PATCH_NAME_LINK : PATCH_NAME_DANGLING;
	return 0;
}

/* What the disk has under this name. Content is read only where it is needed. */
static int load_name(struct patch_name *name, struct err *err)
{
	struct stat info = { 0 };

	if (lstat(name->path, &info) < 0) {
		/* A parent that is a file is found out, and told, when the file is written. */
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		return ERR_SYS(err, errno, "%s", name->path);
	}
	name->present = true;
	if (S_ISLNK(info.st_mode))
		return load_link(name, err);
	name->was = PATCH_NAME_FILE;
	return 0;
}

/* "./a//b" and "a/b" are one name. ".." stays: only the disk knows where it leads. */
static char *clean_path(const char *path)
{
	char *out = malloc(strlen(path) + 1);
	size_t len = 0;

	if (!out)
		return NULL;
	while (*path) {
		size_t part = strcspn(path, "/");

		if (part == 1 && path[0] == '.' && path[1] == '/') {
			path += 2;
			continue;
		}
		memcpy(out + len, path, part);
		len += part;
		path += part;
		if (*path == '/')
			out[len++] = '/';
		while (*path == '/')
			path++;
	}
	out[len] = '\0';
	return out;
}

/* Takes path over. */
static struct patch_name *add_name(struct patch_tree *tree, char *path, struct err *err)
{
	struct patch_name *name = calloc(1, sizeof *name);

	if (!name) {
		free(path);
		(void)ERR_NOMEM_SET(err);
		return NULL;
	}
	name->path = path;
	name->next = tree->names;
	tree->names = name;
	return load_name(name, err) < 0 ? NULL : name;
}

static struct patch_name *get_name(struct patch_tree *tree, const char *path, struct err *err)
{
	char *clean = clean_path(path);

	if (!clean) {
		(void)ERR_NOMEM_SET(err);
		return NULL;
	}
	for (struct patch_name *name = tree->names; name; name = name->next) {
		if (str_eq(name->path, clean)) {
			free(clean);
			return name;
		}
	}
	return add_name(tree, clean, err);
}

/* Gives the node another content; takes text over, whatever happens. */
static int set_text(struct patch_tree *tree, struct patch_node *node, char *text, size_t len,
		    struct err *err)
{
	int rc = account(tree, len, err);

	if (rc < 0) {
		free(text);
		return rc;
	}
	if (node->now)
		tree->bytes -= node->now_len;
	free(node->now);
	node->now = text;
	node->now_len = len;
	node->dirty = !node->existed || len != node->old_len || memcmp(text, node->old, len) != 0;
	return 0;
}

/* Puts text (NULL: there was no memory for it) under a name, new or not. Takes it over. */
static int put_text(struct patch_tree *tree, struct patch_name *name, char *text, size_t len,
		    mode_t mode, struct err *err)
{
	int rc = 0;

	if (!text) {
		(void)ERR_NOMEM_SET(err);
		return ERR_NOMEM;
	}
	if (!name->present && name->was == PATCH_NAME_LINK)
		rc = ERR_SET(err, ERR_INVALID,
			     "%s: a symbolic link is deleted and written again in one patch",
			     name->path);
	else if (!name->node && name->was != PATCH_NAME_ABSENT && name->was != PATCH_NAME_DANGLING)
		rc = load_node(tree, name, err);
	if (rc == 0 && !name->node) {
		name->node = add_node(tree, err);
		rc = name->node ? 0 : ERR_NOMEM;
		if (rc == 0)
			name->node->mode = mode;
	}
	if (rc < 0 || !name->node) {
		free(text);
		return rc;
	}
	name->present = true;
	return set_text(tree, name->node, text, len, err);
}

static int do_add(struct patch_tree *tree, const struct patch *patch, size_t index, struct err *err)
{
	const struct patch_op *op = &patch->ops[index];
	struct buf text SCOPED(buf_deinit) = BUF_INIT(PATCH_TEXT_MAX);
	struct patch_name *name = get_name(tree, op->path, err);
	size_t len;
	int rc = 0;

	if (!name)
		return lead(err, "Failed to write file");
	tree->effects[index].name = name;
	for (size_t i = 0; rc == 0 && i < op->line_count; i++) {
		const struct patch_line *line = &patch->lines[op->first_line + i];

		rc = buf_append(&text, line->text, line->len, err);
		if (rc == 0)
			rc = buf_putc(&text, '\n', err);
	}
	len = text.len;
	if (rc == 0)
		rc = put_text(tree, name, buf_take(&text), len, NEW_FILE_MODE, err);
	return rc < 0 ? lead(err, "Failed to write file") : 0;
}

/* A name that must be there, with its content. */
static struct patch_name *need_file(struct patch_tree *tree, const char *path, struct err *err)
{
	struct patch_name *name = get_name(tree, path, err);

	if (!name)
		return NULL;
	if (!name->present) {
		(void)ERR_SYS(err, ENOENT, "%s", name->path);
		return NULL;
	}
	if (!name->node && load_node(tree, name, err) < 0)
		return NULL;
	return name;
}

static int do_delete(struct patch_tree *tree, const struct patch *patch, size_t index,
		     struct err *err)
{
	struct patch_name *name = need_file(tree, patch->ops[index].path, err);

	if (!name)
		return lead(err, "Failed to read file to delete");
	tree->effects[index].name = name;
	name->present = false;
	return 0;
}

/* The text for the model about a chunk that is nowhere in the file. */
static void tell_miss(struct buf *why, const struct patch *patch, const struct patch_miss *miss,
		      const char *path)
{
	const struct patch_chunk *chunk = miss->chunk;
	int rc;

	if (miss->is_context) {
		rc = buf_printf(why, NULL, "Failed to find context '%s' in %s", chunk->context,
				path);
	} else {
		rc = buf_printf(why, NULL, "Failed to find expected lines in %s:", path);
		for (size_t i = 0; rc == 0 && i < chunk->count; i++) {
			const struct patch_line *line = &patch->lines[chunk->first + i];

			if (line->mark == PATCH_ADDED)
				continue;
			rc = buf_putc(why, '\n', NULL);
			if (rc == 0)
				rc = buf_append(why, line->text, line->len, NULL);
		}
	}
	if (rc < 0)
		buf_clear(why); /* too long to repeat; the sentence in err says it too */
}

static int match_text(struct buf *text, const struct patch *patch, const struct patch_op *op,
		      const struct patch_node *node, struct buf *why, struct err *err)
{
	struct patch_miss miss = { 0 };
	struct patch_file file = { 0 };
	int rc;

	file.text = patch_node_text(node, &file.len);
	rc = patch_match(text, patch, op, &file, &miss, err);

	if (rc == ERR_NOTFOUND) {
		tell_miss(why, patch, &miss, op->path);
		return ERR_SET(err, ERR_NOTFOUND, "Failed to find %s in %s",
			       miss.is_context ? "the context of a chunk" : "expected lines",
			       op->path);
	}
	return rc < 0 ? ERR_WRAP(err, "Failed to update file %s", op->path) : 0;
}

static int do_update(struct patch_tree *tree, const struct patch *patch, size_t index,
		     struct buf *why, struct err *err)
{
	const struct patch_op *op = &patch->ops[index];
	struct buf text SCOPED(buf_deinit) = BUF_INIT(PATCH_FILE_MAX);
	struct patch_name *from = need_file(tree, op->path, err);
	struct patch_name *to = from;
	size_t len;
	int rc;

	if (!from)
		return lead(err, "Failed to read file to update");
	rc = match_text(&text, patch, op, from->node, why, err);
	if (rc < 0)
		return rc;
	if (op->move_to)
		to = get_name(tree, op->move_to, err);
	if (!to)
		return lead(err, "Failed to write file");
	tree->effects[index].name = from;
	len = text.len;
	rc = put_text(tree, to, buf_take(&text), len, from->node->mode, err);
	if (rc < 0)
		return lead(err, "Failed to write file");
	if (to != from) {
		from->present = false;
		tree->effects[index].moved_to = to;
	}
	return 0;
}

int patch_tree_build(struct patch_tree *tree, const struct patch *patch, struct buf *why,
		     struct err *err)
{
	int rc = 0;

	tree->effects = calloc(patch->op_count + 1, sizeof *tree->effects);
	if (!tree->effects)
		return ERR_NOMEM_SET(err);
	for (size_t i = 0; rc == 0 && i < patch->op_count; i++) {
		switch (patch->ops[i].kind) {
		case PATCH_ADD:
			rc = do_add(tree, patch, i, err);
			break;
		case PATCH_DELETE:
			rc = do_delete(tree, patch, i, err);
			break;
		case PATCH_UPDATE:
			rc = do_update(tree, patch, i, why, err);
			break;
		case PATCH_NONE:
		case PATCH_KIND_COUNT:
			rc = ERR_SET(err, ERR_INVALID, "an operation of no kind");
			break;
		}
	}
	return rc;
}
