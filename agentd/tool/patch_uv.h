/*
 * patch_uv.h - an edit, carried out by the applet agent-patch as a child in the session's sandbox.
 *
 * agentd itself never touches the files: the applet checks the whole patch against the disk, writes
 * all of it or nothing, and says what it did. Callbacks run from the loop only.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"

struct broker_link;
struct err;
struct patch_run;
struct uv_loop_s;

/* argv[1] of the applet: report to agentd. argv[2] in a grant: no symbolic link leads elsewhere
 * than to what the person has read. */
#define PATCH_APPLET_ARG "--report"
#define PATCH_APPLET_GRANTED "--no-links"

/* Borrowed for patch_start() only. */
struct patch_request {
	const char *ceiling;
	const char *grant;  /* NULL, or the grant that holds applet, cwd and patch */
	const char *applet; /* absolute path of agent-patch */
	const char *cwd;    /* relative paths of the patch start here */
	const char *patch;  /* patch_len bytes; with a grant the stored ones count */
	size_t patch_len;
};

/* Borrowed for the callback; changes may be increfed. */
struct patch_outcome {
	const char *text; /* the whole output item for the model */
	size_t text_len;
	bool applied;    /* all of it; otherwise nothing */
	json_t *changes; /* array of {path, kind, move_path?, diff, old_text?, new_text?}; or NULL
			  */
	json_t *denied; /* of one that was not applied, see denied.h; text has it too. NULL: nothing
			 */
	uint64_t duration_ms;
};

typedef void patch_done_fn(void *ctx, const struct patch_outcome *outcome);

struct patch_run *patch_start(struct uv_loop_s *loop, struct broker_link *link,
			      const struct patch_request *request, patch_done_fn *done, void *ctx,
			      struct err *err) MUST_CHECK;

/* No callback after it. An edit that has begun is finished by the applet, not torn. */
void patch_cancel(struct patch_run *run);
