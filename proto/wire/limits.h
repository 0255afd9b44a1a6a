/*
 * limits.h - what the administrator allows, asked one question at a time. A refusal names the key
 * and the file.
 *
 * The file is opened here, from the root folder down; what it says is read by agent-requirements,
 * a process without rights, and comes back as JSON for the codec. Any doubt about file, reader or
 * content is a failure, with which no broker starts; no file, no limits.
 */
#pragma once

#include <glob.h>
#include <stdbool.h>
#include <sys/types.h>

#include "proto/wire/codec.h"
#include "proto/wire/common_gen.h"

struct err;

#define LIMITS_FILE "/etc/agentd/requirements.ini"
#define LIMITS_HIDDEN_MAX 200 /* paths that all globs of deny_read name at once */

/* Zeroed: there is no file, and nothing is limited. */
struct limits {
	const char *path; /* borrowed */
	struct requirements rules;
	json_t *message; /* what the rules borrow from, with the arena */
	struct arena arena;
};

/*
 * `own`, or NULL, is another file for a broker without rights: it may be its user's, and is taken
 * only where LIMITS_FILE does not exist. `user` is whose home folder "~" is.
 */
int limits_load(struct limits *out, const char *own, uid_t user, struct err *err) MUST_CHECK;

/* Takes in the JSON of struct requirements. */
int limits_decode(struct limits *out, const char *path, const char *text, size_t length,
		  struct err *err) MUST_CHECK;
void limits_deinit(struct limits *limits);

/* Whether there may be such a sandbox. Pure. */
int limits_allow_sandbox(const struct limits *limits, enum sandbox_mode mode, bool network,
			 bool legacy, struct err *err) MUST_CHECK;
int limits_allow_no_lockdown(const struct limits *limits, struct err *err) MUST_CHECK;

/* Whether there is room for one more beside `now`; the schema's own maximum without a limit. Pure.
 */
enum limits_count { LIMITS_COMMANDS, LIMITS_CEILINGS, LIMITS_CONNECTIONS, LIMITS_COUNT };
int limits_room(const struct limits *limits, enum limits_count what, size_t now, struct err *err)
	MUST_CHECK;

/* Paths, in one list. Zeroed: none. */
struct hidden {
	const char **paths;
	size_t count;
	glob_t found; /* what owns those behind the given ones */
};

/*
 * The given paths (borrowed), and behind them what deny_read names now. Whoever asks sees no more
 * than their own rights show. Zeroed on failure.
 */
int limits_hide(const struct limits *limits, const char *const *first, size_t count,
		struct hidden *out, struct err *err) MUST_CHECK;
void hidden_deinit(struct hidden *hidden);
bool hidden_equal(const struct hidden *a, const struct hidden *b);
