/*
 * agents_md.h - the instructions that people leave for agents in AGENTS.md files.
 *
 * Reads the person's own file and those of the project, from its root down to the session's folder.
 * What a project says is data of the lowest trust: it is given to the model, never obeyed here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"

struct buf;
struct err;

#define AGENTS_MD_BYTES_DEFAULT 32768U /* project_doc_max_bytes: all project files together */
#define AGENTS_MD_BYTES_MAX 1048576U   /* the most that setting may be */
#define AGENTS_MD_DEPTH_MAX 128U       /* folders between root and session folder */

/* All borrowed. */
struct agents_md_place {
	const char *config_dir;     /* the person's AGENTS.md lies here; NULL: none */
	const char *cwd;            /* absolute */
	const char *const *markers; /* project_root_markers; none: only cwd is looked at */
	size_t marker_count;
	const char *const *fallbacks; /* project_doc_fallback_filenames */
	size_t fallback_count;
	size_t bytes_max; /* project_doc_max_bytes; 0 reads no project file */
	bool trusted;     /* otherwise the project's part is labelled */
};

/*
 * Appends the user message "# AGENTS.md instructions for DIR ..."; nothing when there are no
 * instructions. A file that cannot be read is left out. Fails only for lack of memory or room in
 * out.
 */
int agents_md_load(struct buf *out, const struct agents_md_place *place, struct err *err)
	MUST_CHECK;
