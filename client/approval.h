/*
 * approval.h - the question that a person is asked, and what the answer means.
 *
 * Pure. What exceeds the sandbox is shown as the broker stored it, whole: every word of the command
 * so that a shell would read the same bytes, folder, environment, sandbox, input. What the model
 * says about it stands apart and is marked as its word. Nothing is cut; nothing that could deceive
 * a reader passes.
 */
#pragma once

#include <stdbool.h>

#include "proto/base/attr.h"
#include "proto/wire/agent_gen.h"
#include "proto/wire/broker_gen.h"

struct buf;
struct err;

enum approval_answer {
	APPROVAL_NO_ANSWER, /* not understood: ask again */
	APPROVAL_REJECT,
	APPROVAL_ONCE,
	APPROVAL_ALWAYS
};

/* record: what the broker stored, NULL when the request stays inside the sandbox. */
int approval_show(struct buf *out, bool color, const struct broker_grant_record *record,
		  const struct agent_session_request_permission *request, struct err *err)
	MUST_CHECK;
/* The line that asks, for the options that the request offers. */
int approval_ask(struct buf *out, const struct agent_session_request_permission *request,
		 struct err *err) MUST_CHECK;

/* A typed line. There is no answer by default: an empty line is none. */
enum approval_answer approval_read(const char *line);

/* The option of the request that an answer stands for; NULL when it is not offered. */
const char *approval_option(const struct agent_session_request_permission *request,
			    enum approval_answer answer);
/* The answer that an option stands for; APPROVAL_REJECT for whatever is not known. */
enum approval_answer approval_meaning(const struct agent_session_request_permission *request,
				      const char *option_id);
enum decision approval_decision(enum approval_answer answer);
