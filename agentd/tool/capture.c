#include "agentd/tool/capture.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"

#include "agentd/tool/lossy.h"

#define TAIL_FIRST_CAP 16384U
#define CHARACTER_MAX 4U

void capture_init(struct capture *capture)
{
	*capture = (struct capture){ .head = BUF_INIT(CAPTURE_HEAD_MAX) };
}

void capture_deinit(struct capture *capture)
{
	buf_deinit(&capture->head);
	free(capture->tail);
	capture_init(capture);
}

void capture_clear(struct capture *capture)
{
	capture_deinit(capture);
}

/* Eight bytes at a time: output arrives at a gigabyte a second. */
static uint64_t count_lines(const char *data, size_t len)
{
	const uint64_t ones = 0x0101010101010101U;
	const uint64_t lows = 0x7f7f7f7f7f7f7f7fU;
	uint64_t count = 0;

	while (len >= sizeof(uint64_t)) {
		uint64_t word;
		uint64_t marks;

		memcpy(&word, data, sizeof word);
		word ^= ones * '\n';
		marks = ~(((word & lows) + lows) | word | lows); /* 0x80 where a byte was '\n' */
		count += ((marks >> 7) * ones) >> 56;
		data += sizeof word;
		len -= sizeof word;
	}
	for (size_t i = 0; i < len; i++)
		count += data[i] == '\n';
	return count;
}

/* Room for `len` more bytes, up to the size of the ring. It only turns once it cannot grow. */
static int tail_grow(struct capture *capture, size_t len, struct err *err)
{
	size_t want = capture->tail_len + len;
	size_t cap = capture->tail_cap > 0 ? capture->tail_cap : TAIL_FIRST_CAP;
	char *tail;

	if (want > CAPTURE_TAIL_MAX)
		want = CAPTURE_TAIL_MAX;
	if (want <= capture->tail_cap)
		return 0;
	while (cap < want)
		cap *= 2;
	if (cap > CAPTURE_TAIL_MAX)
		cap = CAPTURE_TAIL_MAX;
	tail = realloc(capture->tail, cap);
	if (!tail)
		return ERR_NOMEM_SET(err);
	capture->tail = tail;
	capture->tail_cap = cap;
	return 0;
}

static int tail_add(struct capture *capture, const char *data, size_t len, struct err *err)
{
	int rc;

	if (len > CAPTURE_TAIL_MAX) {
		data += len - CAPTURE_TAIL_MAX;
		len = CAPTURE_TAIL_MAX;
	}
	rc = tail_grow(capture, len, err);
	if (rc < 0)
		return rc;
	while (len > 0) {
		size_t room;

		if (capture->tail_at == capture->tail_cap)
			capture->tail_at = 0;
		room = capture->tail_cap - capture->tail_at;
		if (room > len)
			room = len;
		memcpy(capture->tail + capture->tail_at, data, room);
		capture->tail_at += room;
		capture->tail_len += room;
		if (capture->tail_len > capture->tail_cap)
			capture->tail_len = capture->tail_cap;
		data += room;
		len -= room;
	}
	return 0;
}

int capture_add(struct capture *capture, const char *data, size_t len, struct err *err)
{
	size_t head = CAPTURE_HEAD_MAX - capture->head.len;
	int rc;

	if (head > len)
		head = len;
	rc = buf_append(&capture->head, data, head, err);
	if (rc == 0 && len > head)
		rc = tail_add(capture, data + head, len - head, err);
	if (rc < 0)
		return rc;
	capture->bytes += len;
	capture->lines += count_lines(data, len);
	return 0;
}

uint64_t capture_omitted(const struct capture *capture)
{
	return capture->bytes - capture->head.len - capture->tail_len;
}

static bool continues(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

/* The ring's content in order, as two pieces. */
static void tail_pieces(const struct capture *capture, const char *piece[2], size_t len[2])
{
	size_t at = capture->tail_at == capture->tail_cap ? 0 : capture->tail_at;
	size_t begin = capture->tail_len < capture->tail_cap ? 0 : at;

	piece[0] = capture->tail + begin;
	len[0] = capture->tail_len - (capture->tail_len < capture->tail_cap ? 0 : begin);
	piece[1] = capture->tail;
	len[1] = capture->tail_len - len[0];
}

/* Bytes at the end of the head that begin a character whose rest was dropped. */
static size_t head_torn(const struct capture *capture)
{
	const char *data = capture->head.data;
	size_t len = capture->head.len;

	for (size_t back = 1; back < CHARACTER_MAX && back <= len; back++) {
		unsigned char byte = (unsigned char)data[len - back];

		if (continues((char)byte))
			continue;
		return (byte >= 0xf0 && back < 4) || (byte >= 0xe0 && back < 3) ||
				       (byte >= 0xc0 && back < 2)
			       ? back
			       : 0;
	}
	return 0;
}

static size_t tail_torn(const char *piece, size_t len)
{
	size_t torn = 0;

	while (torn < len && torn + 1 < CHARACTER_MAX && continues(piece[torn]))
		torn++;
	return torn;
}

int capture_text(const struct capture *capture, struct buf *out, struct err *err)
{
	struct lossy lossy = { 0 };
	uint64_t omitted = capture_omitted(capture);
	const char *piece[2] = { NULL, NULL };
	size_t len[2] = { 0, 0 };
	size_t head_cut = omitted > 0 ? head_torn(capture) : 0;
	size_t tail_cut = 0;
	int rc;

	if (capture->tail)
		tail_pieces(capture, piece, len);
	rc = lossy_append(&lossy, out, buf_str(&capture->head), capture->head.len - head_cut,
			  capture->tail_len == 0 || omitted > 0, err);
	if (rc == 0 && omitted > 0) {
		tail_cut = tail_torn(piece[0], len[0]);
		rc = buf_printf(out, err, "\n... %" PRIu64 " bytes omitted ...\n",
				omitted + head_cut + tail_cut);
	}
	if (rc == 0 && len[0] > 0)
		rc = lossy_append(&lossy, out, piece[0] + tail_cut, len[0] - tail_cut, len[1] == 0,
				  err);
	if (rc == 0 && len[1] > 0)
		rc = lossy_append(&lossy, out, piece[1], len[1], true, err);
	return rc;
}
