#include "agentd/model/retry.h"

#include <string.h>

static const struct move {
	enum retry_state from;
	enum retry_event on;
	enum retry_state to;
	enum retry_act act;
} moves[] = {
	{ RETRY_TRYING, RETRY_ON_COMPLETED, RETRY_ENDED, RETRY_ACT_FINISH },
	{ RETRY_TRYING, RETRY_ON_FAILURE, RETRY_WAITING, RETRY_ACT_WAIT }, /* or ENDED, FAIL */
	{ RETRY_TRYING, RETRY_ON_CANCEL, RETRY_ENDED, RETRY_ACT_DROP },
	{ RETRY_WAITING, RETRY_ON_TIMER, RETRY_TRYING, RETRY_ACT_SEND },
	{ RETRY_WAITING, RETRY_ON_CANCEL, RETRY_ENDED, RETRY_ACT_DROP },
	{ RETRY_ENDED, RETRY_ON_CANCEL, RETRY_ENDED, RETRY_ACT_NOTHING },
};

void retry_init(struct retry *retry, int request_max, int stream_max)
{
	*retry = (struct retry){
		.state = RETRY_TRYING,
		.request_max = request_max,
		.stream_max = stream_max,
	};
}

int64_t retry_backoff_ms(int n, uint32_t random)
{
	int64_t base = RETRY_FIRST_MS;

	for (int i = 1; i < n && base < RETRY_MAX_MS; i++)
		base *= 2;
	if (base > RETRY_MAX_MS)
		base = RETRY_MAX_MS;
	return base * (1000 - RETRY_JITTER_PERMILLE + random % (2 * RETRY_JITTER_PERMILLE + 1)) /
	       1000;
}

static void say(struct retry_step *out, const char *format, ...) PRINTF_LIKE(2, 3);

static void say(struct retry_step *out, const char *format, ...)
{
	struct err text = { 0 };
	va_list args;

	va_start(args, format);
	(void)err_set_va(&text, ERR_INVALID, format, args);
	va_end(args);
	memcpy(out->text, text.text, sizeof out->text);
}

static void give_up(struct retry *retry, const struct cause *cause, struct retry_step *out)
{
	out->act = RETRY_ACT_FAIL;
	out->error = cause->error;
	if (cause->kind == CAUSE_FATAL)
		say(out, "%s", cause->text);
	else
		say(out, "gave up after %d reconnects: %s", retry->streams, cause->text);
}

/* Counts the failure; false when no account has a try left. */
static bool count(struct retry *retry, const struct cause *cause, uint32_t random,
		  struct retry_step *out)
{
	if (cause->kind == CAUSE_FATAL)
		return false;
	if (cause->kind == CAUSE_REQUEST && retry->requests < retry->request_max) {
		out->attempt = ++retry->requests;
		out->attempts = retry->request_max;
		say(out, "Repeating the request... %d/%d (%s)", out->attempt, out->attempts,
		    cause->text);
	} else if (retry->streams < retry->stream_max) {
		retry->requests = 0;
		out->attempt = ++retry->streams;
		out->attempts = retry->stream_max;
		say(out, "Reconnecting... %d/%d (%s)", out->attempt, out->attempts, cause->text);
	} else {
		return false;
	}
	out->wait_ms =
		cause->wait_ms >= 0 ? cause->wait_ms : retry_backoff_ms(out->attempt, random);
	return true;
}

static const struct move *move_find(enum retry_state from, enum retry_event on)
{
	for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
		if (moves[i].from == from && moves[i].on == on)
			return &moves[i];
	}
	return NULL;
}

int retry_on(struct retry *retry, enum retry_event event, const struct cause *cause,
	     uint32_t random, struct retry_step *out, struct err *err)
{
	const struct move *move = move_find(retry->state, event);
	struct retry_step step = { 0 };

	if (!move || (event == RETRY_ON_FAILURE && !cause))
		return ERR_SET(err, ERR_STATE, "model call: event %d has no place in state %d",
			       (int)event, (int)retry->state);
	step.act = move->act;
	retry->state = move->to;
	if (event == RETRY_ON_FAILURE && !count(retry, cause, random, &step)) {
		retry->state = RETRY_ENDED;
		give_up(retry, cause, &step);
	}
	*out = step;
	return 0;
}
