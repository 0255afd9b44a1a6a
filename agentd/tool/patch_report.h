/*
 * patch_report.h - what a patch has changed, as the line of JSON that the applet hands to agentd.
 */
#pragma once

#include "proto/base/attr.h"

#include "agentd/tool/patch_apply.h"

struct buf;
struct err;
struct patch;
struct patch_tree;

#define PATCH_REPORT_MAX 917504U       /* bytes of the line */
#define PATCH_REPORT_TEXTS_MAX 262144U /* bytes of diffs, old and new texts together */
#define PATCH_REPORT_TEXT_MAX                                                                      \
	65536U /* bytes of one of them; longer texts are left out, diffs cut */
#define PATCH_REPORT_CHANGES_MAX 512U /* files told of */

/*
 * Appends {"state":"applied","changes":[{"path","kind","move_path"?,"diff","old_text"?,
 * "new_text"?}]} and a newline; kind is add, update or delete. Without PATCH_APPLIED, "changes" is
 * empty. "state" is unverified, failed or applied.
 */
int patch_report(struct buf *out, enum patch_state state, const struct patch *patch,
		 const struct patch_tree *tree, struct err *err) MUST_CHECK;
