/*
 * tell.h - what a session's clients are told beside its updates: states, questions, notices, ends
 * of turns.
 *
 * Pure. Everything goes behind the records that the log has at that moment, so an end comes after
 * what it ends. A message that cannot be made for lack of memory ends the clients that would miss
 * it.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire/agent_gen.h"

#define TELL_ID_SIZE 24 /* bytes of a client's id as text */

struct approval;
struct attachment;
struct err;
struct session;

/* The state, if it is another than clients know. */
void tell_state(struct session *session);
void tell_clients(struct session *session); /* who is attached */
void tell_notice(struct session *session, enum agent_notice_level level, const char *kind,
		 const char *message);
void tell_turn_completed(struct session *session, enum agent_turn_status status,
			 const char *error_kind, const char *error_message);
void tell_recorded(struct session *session, const char *text); /* to those who asked for it */

/* The question to one controller, or to all; and its end to everybody. */
void tell_question_to(struct session *session, struct attachment *attachment,
		      const struct approval *approval);
void tell_question(struct session *session, const struct approval *approval);
void tell_resolved(struct session *session, const struct approval *approval);

/* A change that is not kept: to those who are up to date. update is consumed. */
void tell_transient(struct session *session, json_t *update);

/* Any message to one client, in its place; consumed. */
void tell_one(struct session *session, struct attachment *attachment, json_t *message);

/* The clients of a session, for answers; the ids lie in the struct, so it is not to be copied. */
struct tell_list {
	struct agent_client_info clients[AGENT_CLIENTS_MAX];
	size_t count;
	char ids[AGENT_CLIENTS_MAX][TELL_ID_SIZE];
};
void tell_list(struct tell_list *out, const struct session *session);
void tell_id(char out[TELL_ID_SIZE], int64_t client_id); /* a client as others know it */
