/*
 * A patch and a file, separated by a NUL byte: whatever is parsed prints as a patch that parses to
 * the same print, and its updates apply to the file in memory, or do not, without harm.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"

#include "agentd/tool/diff.h"
#include "agentd/tool/patch_intercept.h"
#include "agentd/tool/patch_match.h"
#include "agentd/tool/patch_parse.h"

#define PRINT_MAX (1U << 22)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
	if (!holds)
		abort();
}

static void print_is_stable(const struct patch *patch)
{
	struct buf once SCOPED(buf_deinit) = BUF_INIT(PRINT_MAX);
	struct buf twice SCOPED(buf_deinit) = BUF_INIT(PRINT_MAX);
	struct patch again SCOPED(patch_deinit) = { 0 };
	struct err err = { 0 };

	must(patch_print(&once, patch, &err) == 0);
	must(patch_parse(&again, once.data, once.len, &err) == 0);
	must(patch_print(&twice, &again, &err) == 0);
	must(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
}

static void apply(const struct patch *patch, const struct patch_file *file)
{
	const struct diff_text before = { .text = file->text, .len = file->len };

	for (size_t i = 0; i < patch->op_count; i++) {
		struct buf out SCOPED(buf_deinit) = BUF_INIT(PRINT_MAX);
		struct buf diff SCOPED(buf_deinit) = BUF_INIT(PRINT_MAX);
		struct patch_miss miss = { 0 };
		struct err err = { 0 };
		bool cut = false;
		int rc;

		if (patch->ops[i].kind != PATCH_UPDATE)
			continue;
		rc = patch_match(&out, patch, &patch->ops[i], file, &miss, &err);
		must(rc == 0 || out.len == 0);
		must(rc != ERR_NOTFOUND || miss.chunk);
		if (rc == 0)
			must(diff_unified(&diff, &before,
					  &(struct diff_text){ buf_str(&out), out.len }, &cut,
					  &err) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *split = memchr(text, '\0', size);
	size_t len = split ? (size_t)(split - text) : size;
	struct patch patch SCOPED(patch_deinit) = { 0 };
	struct patch_script script = { 0 };
	struct err err = { 0 };

	if (split)
		(void)patch_intercept(&script, text);
	if (patch_parse(&patch, text, len, &err) < 0)
		return 0;
	print_is_stable(&patch);
	if (split)
		apply(&patch, &(struct patch_file){ split + 1, size - len - 1 });
	return 0;
}
