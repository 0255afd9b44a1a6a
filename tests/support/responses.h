/*
 * responses.h - the event stream of a Responses server, written from a short JSON description:
 *
 *	chunks         list of raw texts and {"event": name, "data": JSON}: the stream, as it is
 *	message        text of an answer; with "deltas": N it is sent N times, a delta each time
 *	reasoning      text of a summary before it
 *	calls          list of {"name", "arguments": JSON or text | "input": text, "call_id"}
 *	usage          object; some numbers without
 *	fail           {"code", "message"}: response.failed at the end; incomplete: reason likewise
 *	unfinished     true: the stream ends without response.completed
 *
 * For the fake server, and for the bodies of cassettes in tests. Gives up the program on nonsense.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

struct buf;

#define RESPONSES_BYTES_MAX (256U << 20) /* of one stream */

/*
 * Appends the stream; `marks` (an array, or NULL) gets the offset behind each event. `number` makes
 * the ids of items and calls differ between answers.
 */
void responses_stream(struct buf *out, json_t *marks, const json_t *exchange, long number);
