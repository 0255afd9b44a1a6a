/*
 * seal.h - the digest of a grant's record, which an answer must repeat; grant_record in
 * proto/schema/broker.json says of what.
 */
#pragma once

#include "proto/base/attr.h"
#include "proto/wire/digest.h"

struct broker_grant_answer;
struct broker_grant_record;
struct err;

/* Reads the record with its nonce; not its seal and its state. */
void seal_record(char out[DIGEST_SIZE], const struct broker_grant_record *record);

/* Whether the answer is one to this very record, which must still be pending. */
int seal_check(const struct broker_grant_record *record, const struct broker_grant_answer *answer,
	       struct err *err) MUST_CHECK;
