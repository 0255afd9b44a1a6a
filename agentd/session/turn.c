#include "agentd/session/turn.h"

#include <stdbool.h>

#include "proto/base/err.h"

/* clang-format off */
static const struct move {
	enum turn_state from;
	enum turn_event on;
	enum turn_state to;
	enum turn_act act;
	enum turn_outcome outcome; /* decided by this move, unless another was before */
} moves[] = {
	{ TURN_IDLE,      TURN_ON_PROMPT,     TURN_PREPARING, TURN_ACT_PREPARE,        TURN_OPEN },
	{ TURN_IDLE,      TURN_ON_CANCEL,     TURN_IDLE,      TURN_ACT_NONE,           TURN_OPEN },

	{ TURN_PREPARING, TURN_ON_READY,      TURN_THINKING,  TURN_ACT_ASK_MODEL,      TURN_OPEN },
	{ TURN_PREPARING, TURN_ON_FAIL,       TURN_SAVING,    TURN_ACT_STOP_PREPARING, TURN_FAILED },
	{ TURN_PREPARING, TURN_ON_CANCEL,     TURN_SAVING,    TURN_ACT_STOP_PREPARING, TURN_INTERRUPTED },

	{ TURN_THINKING,  TURN_ON_RETRY,      TURN_THINKING,  TURN_ACT_DROP_PARTIAL,   TURN_OPEN },
	{ TURN_THINKING,  TURN_ON_ANSWER,     TURN_SAVING,    TURN_ACT_SAVE,           TURN_COMPLETED },
	{ TURN_THINKING,  TURN_ON_CALLS,      TURN_WORKING,   TURN_ACT_START_CALLS,    TURN_OPEN },
	{ TURN_THINKING,  TURN_ON_FAIL,       TURN_SAVING,    TURN_ACT_STOP_MODEL,     TURN_FAILED },
	{ TURN_THINKING,  TURN_ON_CANCEL,     TURN_SAVING,    TURN_ACT_STOP_MODEL,     TURN_INTERRUPTED },

	{ TURN_WORKING,   TURN_ON_CALL_DONE,  TURN_WORKING,   TURN_ACT_NONE,           TURN_OPEN },
	{ TURN_WORKING,   TURN_ON_CALLS_DONE, TURN_THINKING,  TURN_ACT_ASK_MODEL,      TURN_OPEN },
	{ TURN_WORKING,   TURN_ON_FAIL,       TURN_STOPPING,  TURN_ACT_STOP_CALLS,     TURN_FAILED },
	{ TURN_WORKING,   TURN_ON_CANCEL,     TURN_STOPPING,  TURN_ACT_STOP_CALLS,     TURN_INTERRUPTED },

	{ TURN_STOPPING,  TURN_ON_CALL_DONE,  TURN_STOPPING,  TURN_ACT_NONE,           TURN_OPEN },
	{ TURN_STOPPING,  TURN_ON_CALLS_DONE, TURN_SAVING,    TURN_ACT_SAVE,           TURN_OPEN },
	{ TURN_STOPPING,  TURN_ON_TIME,       TURN_SAVING,    TURN_ACT_ABANDON_CALLS,  TURN_OPEN },
	{ TURN_STOPPING,  TURN_ON_FAIL,       TURN_STOPPING,  TURN_ACT_NONE,           TURN_OPEN },
	{ TURN_STOPPING,  TURN_ON_CANCEL,     TURN_STOPPING,  TURN_ACT_NONE,           TURN_OPEN },

	{ TURN_SAVING,    TURN_ON_SAVED,      TURN_IDLE,      TURN_ACT_FINISH,         TURN_OPEN },
	{ TURN_SAVING,    TURN_ON_FAIL,       TURN_IDLE,      TURN_ACT_FINISH,         TURN_FAILED },
	{ TURN_SAVING,    TURN_ON_CANCEL,     TURN_SAVING,    TURN_ACT_NONE,           TURN_OPEN },
};

static const struct call_move {
	enum call_state from;
	enum call_event on;
	enum call_state to;
	enum call_act act;
} call_moves[] = {
	{ CALL_JUDGING,  CALL_ON_RUN,    CALL_RUNNING,  CALL_ACT_RUN },
	{ CALL_JUDGING,  CALL_ON_ASK,    CALL_WAITING,  CALL_ACT_ASK },
	{ CALL_JUDGING,  CALL_ON_REFUSE, CALL_DONE,     CALL_ACT_REFUSED },
	{ CALL_JUDGING,  CALL_ON_CANCEL, CALL_DONE,     CALL_ACT_ABORTED },

	{ CALL_WAITING,  CALL_ON_RUN,    CALL_RUNNING,  CALL_ACT_RUN },
	{ CALL_WAITING,  CALL_ON_REFUSE, CALL_DONE,     CALL_ACT_REFUSED },
	{ CALL_WAITING,  CALL_ON_CANCEL, CALL_DONE,     CALL_ACT_WITHDRAW },

	{ CALL_RUNNING,  CALL_ON_RESULT, CALL_DONE,     CALL_ACT_DELIVER },
	{ CALL_RUNNING,  CALL_ON_REFUSE, CALL_DONE,     CALL_ACT_REFUSED }, /* could not be started */
	{ CALL_RUNNING,  CALL_ON_CANCEL, CALL_STOPPING, CALL_ACT_KILL },

	{ CALL_STOPPING, CALL_ON_RESULT, CALL_DONE,     CALL_ACT_DELIVER },
	{ CALL_STOPPING, CALL_ON_REFUSE, CALL_DONE,     CALL_ACT_ABORTED },
	{ CALL_STOPPING, CALL_ON_TIME,   CALL_DONE,     CALL_ACT_ABORTED },
	{ CALL_STOPPING, CALL_ON_CANCEL, CALL_STOPPING, CALL_ACT_NONE },

	{ CALL_DONE,     CALL_ON_CANCEL, CALL_DONE,     CALL_ACT_NONE },
};
/* clang-format on */

void turn_init(struct turn *turn)
{
	*turn = (struct turn){ .state = TURN_IDLE };
}

static const struct move *move_find(enum turn_state state, enum turn_event event)
{
	for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
		if (moves[i].from == state && moves[i].on == event)
			return &moves[i];
	}
	return NULL;
}

int turn_step(struct turn *turn, enum turn_event event, enum turn_act *out_act, struct err *err)
{
	const struct move *move = move_find(turn->state, event);

	if (!move)
		return ERR_SET(err, ERR_STATE, "turn event %d does not belong to state '%s'",
			       (int)event, turn_state_name(turn->state));
	if (event == TURN_ON_PROMPT) {
		turn->outcome = TURN_OPEN;
		turn->calls_open = 0;
	}
	if (turn->outcome == TURN_OPEN || (turn->state == TURN_SAVING && event == TURN_ON_FAIL))
		turn->outcome = move->outcome;
	turn->state = move->to;
	*out_act = move->act;
	return 0;
}

int turn_step_calls(struct turn *turn, size_t count, enum turn_act *out_act, struct err *err)
{
	if (count == 0)
		return ERR_SET(err, ERR_STATE, "an answer with calls has none");
	if (turn_step(turn, TURN_ON_CALLS, out_act, err) < 0)
		return (int)ERR_STATE;
	turn->calls_open = count;
	return 0;
}

int turn_step_call_done(struct turn *turn, enum turn_act *out_act, struct err *err)
{
	bool last = turn->calls_open == 1;

	if (turn->calls_open == 0)
		return ERR_SET(err, ERR_STATE, "more calls are done than were open");
	if (turn_step(turn, last ? TURN_ON_CALLS_DONE : TURN_ON_CALL_DONE, out_act, err) < 0)
		return (int)ERR_STATE;
	turn->calls_open--;
	return 0;
}

int call_step(enum call_state *state, enum call_event event, enum call_act *out_act,
	      struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(call_moves); i++) {
		if (call_moves[i].from != *state || call_moves[i].on != event)
			continue;
		*state = call_moves[i].to;
		*out_act = call_moves[i].act;
		return 0;
	}
	return ERR_SET(err, ERR_STATE, "call event %d does not belong to state %d", (int)event,
		       (int)*state);
}

const char *turn_state_name(enum turn_state state)
{
	static const char *const words[TURN_STATE_COUNT] = {
		[TURN_NONE] = "none",           [TURN_IDLE] = "idle",
		[TURN_PREPARING] = "preparing", [TURN_THINKING] = "thinking",
		[TURN_WORKING] = "working",     [TURN_STOPPING] = "stopping",
		[TURN_SAVING] = "saving",
	};

	return (unsigned)state < TURN_STATE_COUNT ? words[state] : "none";
}

const char *turn_outcome_name(enum turn_outcome outcome)
{
	static const char *const words[TURN_OUTCOME_COUNT] = {
		[TURN_OPEN] = "open",
		[TURN_COMPLETED] = "completed",
		[TURN_INTERRUPTED] = "interrupted",
		[TURN_FAILED] = "failed",
	};

	return (unsigned)outcome < TURN_OUTCOME_COUNT ? words[outcome] : "open";
}
