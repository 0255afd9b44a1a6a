/*
 * bridge.h - what 'agent acp' changes in the messages that pass between an editor and agentd.
 *
 * An editor knows nothing of the broker, so this does the person's part for it: it opens a ceiling
 * for each session that the editor begins, loads or switches, and it puts what the broker stored
 * into each question in place of what agentd says, and carries the answer to the broker, sealed.
 * Everything else passes as it is. No I/O but calls to the broker.
 */
#pragma once

#include <jansson.h>

#include "proto/base/attr.h"

struct bridge;
struct broker;
struct err;
struct options;

#define BRIDGE_OPEN_MAX 256 /* questions, and sessions being opened, at once */

int bridge_new(struct bridge **out, const struct options *options, struct broker *broker,
	       struct err *err) MUST_CHECK;
void bridge_free(struct bridge *bridge); /* accepts NULL */

/* The message may be changed. A failure is to be sent back as the answer; nothing is to be passed
 * on then. */
int bridge_from_editor(struct bridge *bridge, json_t *message, struct err *err) MUST_CHECK;
int bridge_from_agentd(struct bridge *bridge, json_t *message, struct err *err) MUST_CHECK;
