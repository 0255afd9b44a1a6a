/*
 * patch_tree.h - the files that a patch is about: as they are on disk, and as they would become.
 *
 * Reads, never writes. Operations take effect one after the other in memory only, so that a later
 * one sees what an earlier one did, and nothing is written before all of them have succeeded.
 * A file is identified by its inode, so two names of one file (links) share one content.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "proto/base/attr.h"

struct buf;
struct err;
struct patch;

#define PATCH_TREE_MAX 268435456U /* bytes of all contents, old and new, together */

/* One file's content. */
struct patch_node {
	struct patch_node *next;
	struct stat was; /* when existed */
	bool existed;
	bool dirty;  /* now differs from old */
	mode_t mode; /* for a new file */
	char *old;
	size_t old_len;
	char *now; /* NULL as long as it is what old is */
	size_t now_len;
};

enum patch_name_kind { PATCH_NAME_ABSENT, PATCH_NAME_FILE, PATCH_NAME_LINK, PATCH_NAME_DANGLING };

/* One name in a folder. */
struct patch_name {
	struct patch_name *next;
	char *path;
	char *link; /* what the symbolic link says; else NULL */
	enum patch_name_kind was;
	struct patch_node *node; /* NULL when neither the disk nor the patch has content for it */
	bool present;            /* after the patch */
};

/* What became of one operation's file, for messages and the report. */
struct patch_effect {
	struct patch_name *name;     /* that was added, changed or deleted */
	struct patch_name *moved_to; /* NULL unless moved */
};

struct patch_tree {
	struct patch_name *names; /* in no order */
	struct patch_node *nodes;
	struct patch_effect *effects; /* one for each operation */
	size_t bytes;
};

/*
 * Applies the operations in memory; relative paths start in the working directory. On failure
 * nothing of the tree needs to be kept, and `why` (when there is more to say than fits into err)
 * has the text for the model.
 */
int patch_tree_build(struct patch_tree *tree, const struct patch *patch, struct buf *why,
		     struct err *err) MUST_CHECK;
void patch_tree_deinit(struct patch_tree *tree);

/* The content after the patch. */
const char *patch_node_text(const struct patch_node *node, size_t *out_len);
