#include "proto/wire/frame.h"

#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/wire/json.h"

static enum frame_result no_line(struct buf *in, struct frame *frame)
{
	buf_consume(in, frame->taken);
	*frame = (struct frame){ .scanned = in->len };
	return in->len > FRAME_MAX ? FRAME_BAD : FRAME_MORE;
}

enum frame_result frame_next(struct buf *in, struct frame *frame)
{
	const char *text = buf_str(in);

	for (;;) {
		size_t from = frame->scanned > frame->taken ? frame->scanned : frame->taken;
		const char *end = memchr(text + from, '\n', in->len - from);
		size_t len;

		if (!end)
			return no_line(in, frame);
		frame->text = text + frame->taken;
		len = (size_t)(end - frame->text);
		if (len > FRAME_MAX)
			return FRAME_BAD;
		frame->taken += len + 1;
		frame->len = len;
		if (len > 0 && strspn(frame->text, " \t\r") < len)
			return FRAME_READY;
	}
}

int frame_put(struct buf *out, const json_t *message, struct err *err)
{
	size_t before = out->len;
	int rc = wire_json_dump(out, message, err);

	if (rc == 0 && out->len - before > FRAME_MAX)
		rc = ERR_SET(err, ERR_LIMIT, "a line of more than %d bytes", FRAME_MAX);
	if (rc == 0)
		rc = buf_putc(out, '\n', err);
	if (rc < 0)
		buf_cut(out, before);
	return rc;
}
