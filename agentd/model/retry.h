/*
 * retry.h - how often a broken answer is tried again, and after what time.
 *
 * Pure machine; chance comes in as a number, time as the event RETRY_ON_TIMER. Requests that got no
 * answer are repeated on their own account, which starts anew with each new stream; when it is used
 * up they count as a broken stream.
 *
 *	            failure worth another try, account not used up
 *	TRYING ---------------------------------------------------> WAITING
 *	  |    <---------------------------------------------------
 *	  |                          timer
 *	  | completed, or a failure that ends it; cancel from everywhere
 *	  v
 *	ENDED
 */
#pragma once

#include <stdint.h>

#include "agentd/model/cause.h"
#include "agentd/model/model.h"

struct err;

#define RETRY_FIRST_MS 200 /* the first back-off; doubles each time */
#define RETRY_MAX_MS 60000 /* no back-off is longer, before jitter */
#define RETRY_JITTER_PERMILLE 100U

enum retry_state { RETRY_NONE, RETRY_TRYING, RETRY_WAITING, RETRY_ENDED, RETRY_STATE_COUNT };

enum retry_event {
	RETRY_ON_NOTHING,
	RETRY_ON_COMPLETED,
	RETRY_ON_FAILURE, /* with a cause */
	RETRY_ON_TIMER,
	RETRY_ON_CANCEL,
	RETRY_EVENT_COUNT
};

enum retry_act {
	RETRY_ACT_NOTHING,
	RETRY_ACT_SEND,   /* the request again */
	RETRY_ACT_WAIT,   /* wait_ms, after telling why */
	RETRY_ACT_FINISH, /* the answer is whole */
	RETRY_ACT_FAIL,   /* tell why and stop */
	RETRY_ACT_DROP,   /* stop without a word */
	RETRY_ACT_COUNT
};

struct retry {
	enum retry_state state;
	int request_max;
	int stream_max;
	int requests; /* repeats of the request in this stream */
	int streams;  /* repeats of the stream */
};

struct retry_step {
	enum retry_act act;
	int64_t wait_ms;
	int attempt; /* n-th of `attempts` */
	int attempts;
	enum model_error error;
	char text[ERR_TEXT_MAX]; /* what people read, for WAIT and FAIL */
};

void retry_init(struct retry *retry, int request_max, int stream_max);

/* `cause` with RETRY_ON_FAILURE only. An event that has no place in the state is ERR_STATE. */
int retry_on(struct retry *retry, enum retry_event event, const struct cause *cause,
	     uint32_t random, struct retry_step *out, struct err *err);

/* The n-th back-off, n from 1: 200 ms doubled, with at most ten per cent more or less. */
int64_t retry_backoff_ms(int n, uint32_t random);
