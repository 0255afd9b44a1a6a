#include "agentd/tool/patch_apply.h"

#include "proto/base/buf.h"
#include "proto/base/err.h"

#include "agentd/tool/patch_commit.h"
#include "agentd/tool/patch_parse.h"
#include "agentd/tool/patch_tree.h"

#define WHY_MAX 65536U /* bytes of the expected lines that a message repeats */

/* Added first, then modified, then deleted; each group in the order of the patch. */
static int list_files(struct buf *out, const struct patch *patch, struct err *err)
{
	static const struct {
		enum patch_kind kind;
		char letter;
	} groups[] = { { PATCH_ADD, 'A' }, { PATCH_UPDATE, 'M' }, { PATCH_DELETE, 'D' } };
	int rc = 0;

	for (size_t g = 0; rc == 0 && g < ARRAY_LEN(groups); g++) {
		for (size_t i = 0; rc == 0 && i < patch->op_count; i++) {
			const struct patch_op *op = &patch->ops[i];

			if (op->kind == groups[g].kind)
				rc = buf_printf(out, err, "%c %s\n", groups[g].letter,
						op->move_to ? op->move_to : op->path);
		}
	}
	return rc;
}

int patch_apply(enum patch_state *state, struct patch_tree *tree, const struct patch *patch,
		struct buf *out, struct err *err)
{
	struct buf why SCOPED(buf_deinit) = BUF_INIT(WHY_MAX);
	struct err what = { 0 };
	int rc;

	*state = PATCH_UNVERIFIED;
	if (patch->op_count == 0)
		return buf_puts(out, "patch rejected: empty patch\n", err);
	if (patch_tree_build(tree, patch, &why, &what) < 0)
		return buf_printf(out, err, "%s\n", why.len > 0 ? buf_str(&why) : what.text);
	*state = PATCH_FAILED;
	if (patch_commit(tree, &what) < 0)
		return buf_printf(out, err, "%s\n", what.text);
	*state = PATCH_APPLIED;
	rc = buf_puts(out, "Success. Updated the following files:\n", err);
	return rc < 0 ? rc : list_files(out, patch, err);
}
