/*
 * grant.h - the commands that exceed their ceiling, stored for a person to answer.
 *
 *   request -> PENDING -- deny, cancel ----------------------> gone
 *                 |
 *                 `-- once, session -> GRANTED -- use -------> gone
 *                                         |
 *                                         `-- too late ------> EXPIRED, gone
 *
 * A record is used at most once. What remains of one answered with 'session' is a decision: a later
 * request of the same ceiling that it covers is granted when it is made. Records and decisions die
 * with their ceiling.
 *
 * Pure: no I/O, no clock, no randomness: the time and the drawn names come in as arguments. The
 * store owns its records; what it hands out is valid until the next call.
 */
#pragma once

#include "proto/wire/id.h"
#include "proto/wire/spec.h"

#define GRANT_ALL_MAX 1024U                        /* records and decisions in the store */
#define GRANT_STORE_MAX ((size_t)64 * 1024 * 1024) /* bytes of their texts */

struct grant {
	char id[ID_SIZE];
	char nonce[SEAL_SIZE]; /* drawn by the caller */
	char seal[SEAL_SIZE];
	char ceiling[ID_SIZE];
	char *input;                       /* standard input, or NULL */
	struct kept kept;                  /* with the above, what the record borrows from */
	struct broker_grant_record record; /* checked: what is shown and what will run */
	int64_t expires_ms;                /* while it is granted */
	bool used;                         /* gone, or nothing but a decision any more */
	bool decision;                     /* answered with 'session' */
	size_t prefix;                     /* of a decision: as in spec_covers() */
};

/* Oldest first. Zeroed: empty. */
struct grants {
	struct grant *items[GRANT_ALL_MAX];
	size_t count;
	size_t bytes;
};

void grant_deinit(struct grant *grant);

/* Stores the draft and empties it; granted at once where an earlier decision covers it. */
int grants_request(struct grants *grants, struct grant *draft, int64_t now_ms,
		   const struct grant **out, struct err *err) MUST_CHECK;

/* A record that has not been used; NULL with ERR_NOTFOUND when there is none. */
struct grant *grants_find(const struct grants *grants, const char *id, struct err *err) MUST_CHECK;

/* Forgets a record that has not been used; `whole`: also the decision that came with its answer. */
int grants_cancel(struct grants *grants, const char *id, bool whole, struct err *err);

/* The first answer with the right seal counts. */
int grants_answer(struct grants *grants, const struct broker_grant_answer *answer, int64_t now_ms,
		  enum broker_grant_state *out, struct err *err) MUST_CHECK;

/* Uses up what is to be run now; it lives until grants_settle(). */
int grants_use(struct grants *grants, const char *id, const char *ceiling, int64_t now_ms,
	       const struct grant **out, struct err *err) MUST_CHECK;

/* Forgets what was used, and with a ceiling (or NULL) all that belongs to it. */
void grants_settle(struct grants *grants, const char *ceiling);

/* Takes the next record that was not used in time out of the store; false when there is none. */
bool grants_expire(struct grants *grants, int64_t now_ms, char id[ID_SIZE]);

/* The granted record that is the first to expire; NULL when none waits for its use. */
struct grant *grants_next(const struct grants *grants);

/* Ids of pending records, of one ceiling or (NULL) of all; returns how many there are. */
size_t grants_pending(const struct grants *grants, const char *ceiling,
		      const char *out[GRANT_ALL_MAX]);
