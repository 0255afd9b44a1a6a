/*
 * ceiling.h - what the commands of one session may do at most, and who may use it.
 *
 * A client opens a ceiling. A kept one is agentd's to use and outlives its client; any other
 * belongs to the connection that opened it. The store owns its ceilings, a ceiling the sandboxes
 * that were made for it: a grant may ask for a wider one than the ceiling's own, so there is a
 * place for each mode with and without the network, and each is made when it is first needed.
 *
 * Every file of this half includes this one, and through it what all need.
 */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/id.h"
#include "proto/wire/limits.h"
#include "proto/wire/spec.h"

#include "broker/sandbox.h"

struct peer;

struct ceiling {
	char id[ID_SIZE];
	const struct peer *owner;        /* the connection that opened it; NULL when that is gone */
	struct kept kept;                /* what `open` borrows from */
	struct broker_ceiling_open open; /* as it was asked for; full access has the network */
	struct sandbox *sandboxes[2 * SANDBOX_MODE_COUNT];
	struct hidden hidden; /* what they hide: the product's folders, and deny_read */
};

#define CEILING_STORE_MAX ((size_t)32 * 1024 * 1024) /* bytes of memory of all environments */

struct ceilings {
	struct ceiling *items[BROKER_CEILINGS_MAX];
	size_t count;
	size_t bytes;
};

/* What a peer wants with a ceiling. */
enum ceiling_use { CEILING_SHOW, CEILING_CLOSE, CEILING_START, CEILING_GRANT, CEILING_USE_COUNT };

/* Stores what a client asked for, and takes what that borrows from. No sandbox yet. */
int ceilings_add(struct ceilings *ceilings, const struct broker_ceiling_open *params,
		 struct kept *kept, const struct peer *owner, struct ceiling **out, struct err *err)
	MUST_CHECK;
void ceilings_drop(struct ceilings *ceilings, struct ceiling *ceiling);

/* A ceiling that this peer may use so. NULL with ERR_NOTFOUND also for one that exists, but not for
 * it. */
struct ceiling *ceilings_find(const struct ceilings *ceilings, const char *id, enum ceiling_use use,
			      const struct peer *peer, struct err *err) MUST_CHECK;

/* The rule of the above; pure. */
bool ceiling_allows(const struct ceiling *ceiling, enum ceiling_use use, const struct peer *peer);

/* The product's folders, which no command sees. */
enum broker_folder { BROKER_RUNTIME, BROKER_STATE, BROKER_CONFIG, BROKER_FOLDERS };

/*
 * The sandbox of a mode within the limits, made now if it is not there, or if deny_read names other
 * files than when it was made; NULL on failure.
 */
struct sandbox *ceiling_sandbox(struct ceiling *ceiling, enum sandbox_mode mode, bool network,
				const char *const folders[BROKER_FOLDERS],
				const struct limits *limits, struct err *err) MUST_CHECK;
