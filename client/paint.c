#include "client/paint.h"

#include "proto/base/buf.h"
#include "proto/base/err.h"

#define RESET "\033[0m"

static const char *const codes[PAINT_COUNT] = {
	[PAINT_PLAIN] = "",           [PAINT_BOLD] = "\033[1m",
	[PAINT_DIM] = "\033[2m",      [PAINT_COMMAND] = "\033[1;36m",
	[PAINT_ADDED] = "\033[32m",   [PAINT_REMOVED] = "\033[31m",
	[PAINT_WARNING] = "\033[33m", [PAINT_ERROR] = "\033[1;31m",
};

int paint_text(struct buf *out, enum paint paint, const char *text, size_t len,
	       enum term_shape shape, struct err *err)
{
	bool painted = paint != PAINT_PLAIN && len > 0;

	if ((painted && buf_puts(out, codes[paint], err) < 0) ||
	    term_clean(out, text, len, shape, err) < 0)
		return (int)err->code;
	return painted ? buf_puts(out, RESET, err) : 0;
}
