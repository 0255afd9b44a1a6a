/*
 * exec_uv.h - one turn without a person: prompt in, events and the final answer out.
 *
 * Nothing is ever asked: a question that comes all the same is answered with no. A signal cancels
 * the turn.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "client/talk_uv.h"

#define EXEC_CANCEL_MS 5000 /* how long a cancelled turn may take to end */

struct exec_input {
	struct talk_input talk;
	const char *prompt;
	json_t *schema;              /* NULL for none */
	const struct images *images; /* NULL for none */
	bool json;                   /* events on standard output instead of the answer */
	bool color;                  /* of what people read, on standard error */
	const char *answer_file;     /* NULL for none */
	const char *record_file;     /* NULL for none */
};

/* The exit code. */
int exec_run(const struct exec_input *input);
