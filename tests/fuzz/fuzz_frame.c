/*
 * Any bytes as a stream, in pieces: the first byte chooses their size. The lines must be those that
 * one look at the whole finds.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next line of the whole that is not blank; NULL at the end. */
static const char *next_line(const char **at, const char *end, size_t *len)
{
	while (*at < end) {
		const char *line = *at;
		const char *newline = memchr(line, '\n', (size_t)(end - line));

		if (!newline)
			return NULL;
		*at = newline + 1;
		*len = (size_t)(newline - line);
		for (size_t i = 0; i < *len; i++) {
			if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
				return line;
		}
	}
	return NULL;
}

static void expect_line(const struct frame *frame, const char **at, const char *end)
{
	size_t len = 0;
	const char *line = next_line(at, end, &len);

	if (!line || frame->len != len || memcmp(frame->text, line, len) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf in SCOPED(buf_deinit) = BUF_INIT(FRAME_BUF_MAX);
	struct frame frame = { 0 };
	const char *at = (const char *)data + 1;
	const char *end = (const char *)data + size;
	size_t chunk;
	size_t len = 0;

	if (size < 2)
		return 0;
	chunk = data[0] + 1U;
	for (const char *piece = at; piece < end; piece += chunk) {
		size_t left = (size_t)(end - piece);
		enum frame_result result;

		if (buf_append(&in, piece, left < chunk ? left : chunk, NULL) < 0)
			abort();
		while ((result = frame_next(&in, &frame)) == FRAME_READY)
			expect_line(&frame, &at, end);
		if (result == FRAME_BAD)
			return 0;
	}
	if (next_line(&at, end, &len))
		abort();
	return 0;
}
