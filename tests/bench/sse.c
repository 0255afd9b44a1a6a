/*
 * sse.c - what a streamed delta costs between the socket and the session: parsing the event
 * stream and reading the delta, in pieces as a socket brings them.
 */
#include "agentd/model/sse.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"

#include "agentd/model/delta.h"

#define DELTAS 50000
#define ROUNDS 9
#define STREAM_MAX (64U << 20)

static double now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* As the service sends them. */
static int make_stream(struct buf *out)
{
	for (int i = 0; i < DELTAS; i++) {
		if (buf_printf(
			    out, NULL,
			    "event: response.output_text.delta\ndata: "
			    "{\"type\":\"response.output_text.delta\",\"sequence_number\":%d,"
			    "\"item_id\":\"msg_68af4030baa88193b0b43b4c2a176a1a0e6967589f08943d\","
			    "\"output_index\":0,\"content_index\":0,\"delta\":\" "
			    "word\",\"logprobs\":"
			    "[],\"obfuscation\":\"vKtpVHkDQ8Yv\"}\n\n",
			    i) < 0)
			return -1;
	}
	return 0;
}

/* Microseconds of one pass; -1 when not every delta was seen. */
static double pass(const struct buf *stream, size_t piece, int parse_tree)
{
	struct sse sse SCOPED(sse_deinit) = { 0 };
	struct delta delta SCOPED(delta_deinit) = { 0 };
	struct sse_event event = { 0 };
	struct delta_event said = { 0 };
	struct err err = { 0 };
	double start = now_us();
	int seen = 0;

	sse_init(&sse, SSE_EVENT_MAX);
	delta_init(&delta);
	for (size_t at = 0; at < stream->len; at += piece) {
		sse_feed(&sse, stream->data + at,
			 piece < stream->len - at ? piece : stream->len - at);
		while (sse_next(&sse, &event, &err) == SSE_EVENT) {
			if (parse_tree)
				json_decref(json_loadb(event.data, event.len, 0, NULL));
			else if (delta_read(&delta, &event, &said, &err) < 0)
				return -1;
			seen += parse_tree || said.kind == DELTA_TEXT;
		}
	}
	return seen == DELTAS ? now_us() - start : -1;
}

static double best(const struct buf *stream, size_t piece, int parse_tree)
{
	double least = -1;

	for (int i = 0; i < ROUNDS; i++) {
		double took = pass(stream, piece, parse_tree);

		if (took >= 0 && (least < 0 || took < least))
			least = took;
	}
	return least;
}

int main(void)
{
	static const size_t pieces[] = { 65536, 16384, 1460, 100 };
	struct buf stream SCOPED(buf_deinit) = BUF_INIT(STREAM_MAX);

	if (make_stream(&stream) < 0)
		return 1;
	(void)printf("%-28s %12s %14s\n", "50,000 deltas", "us per delta", "deltas a second");
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		double took = best(&stream, pieces[i], 0);

		(void)printf("in pieces of %-6zu            %9.3f %14.0f\n", pieces[i],
			     took / DELTAS, DELTAS * 1e6 / took);
	}
	(void)printf("with a JSON tree for each     %9.3f\n", best(&stream, 65536, 1) / DELTAS);
	return 0;
}
