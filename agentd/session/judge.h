/*
 * judge.h - what the policy says about a tool call of a session.
 *
 * Pure: turns the call and the session's bounds into the values that policy.h decides on.
 */
#pragma once

#include "proto/base/attr.h"

#include "agentd/policy/policy.h"

struct err;
struct session;
struct tool_call;

#define JUDGE_GUARDED_MAX 64 /* protected paths of one root, as many as the broker names */

/* cwd: where a patch applies. */
int judge_call(struct judgement *out, const struct session *session, const struct tool_call *call,
	       const char *cwd, struct err *err) MUST_CHECK;
