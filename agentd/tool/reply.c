#include "agentd/tool/reply.h"

#include <inttypes.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/tool/lossy.h"

#define TENTH_MS 100U

/* Foreign bytes as text. */
static int put_text(struct buf *out, const char *text, size_t len, struct err *err)
{
	struct lossy lossy = { 0 };

	return lossy_append(&lossy, out, text, len, true, err);
}

/* The patch does not fit the files: one sentence, as for a patch that cannot be read. */
static int put_unverified(struct buf *out, const struct reply *reply, struct err *err)
{
	size_t len = reply->text_len;
	bool rejected = len >= strlen("patch rejected") &&
			memcmp(reply->text, "patch rejected", strlen("patch rejected")) == 0;
	int rc = rejected ? 0 : buf_puts(out, "apply_patch verification failed: ", err);

	while (len > 0 && reply->text[len - 1] == '\n')
		len--;
	return rc < 0 ? rc : put_text(out, reply->text, len, err);
}

static int put_outcome(struct buf *out, const struct reply *reply, bool with_report,
		       struct err *err)
{
	uint64_t tenths = (reply->wall_ms + TENTH_MS / 2) / TENTH_MS;
	int rc = buf_printf(out, err,
			    "Exit code: %d\nWall time: %" PRIu64 ".%" PRIu64 " seconds\nOutput:\n",
			    reply->exit_code, tenths / 10, tenths % 10);

	if (rc == 0)
		rc = put_text(out, reply->text, reply->text_len, err);
	if (rc == 0 && with_report)
		rc = put_text(out, reply->report, reply->report_len, err);
	return rc;
}

int reply_text(struct buf *out, bool *applied, json_t **changes, const struct reply *reply,
	       struct err *err)
{
	json_auto_t *report = json_loadb(reply->report, reply->report_len, 0, NULL);
	const char *state = json_string_value(json_object_get(report, "state"));
	json_t *list = json_object_get(report, "changes");
	int rc;

	/* Without its report the applet was killed, or something else ran in its place. */
	rc = state && str_eq(state, "unverified") ? put_unverified(out, reply, err)
						  : put_outcome(out, reply, !state, err);
	if (rc < 0)
		return rc;
	*applied = state && str_eq(state, "applied") && reply->exit_code == 0;
	*changes = json_is_array(list) ? json_incref(list) : NULL;
	return 0;
}
