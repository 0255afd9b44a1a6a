#include "proto/wire/limits.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/broker_gen.h"
#include "proto/wire/helper.h"
#include "proto/wire/json.h"
#include "proto/wire/trusted.h"

#define OUTPUT_MAX 1048576 /* bytes of what the reader prints */

int limits_decode(struct limits *out, const char *path, const char *text, size_t length,
		  struct err *err)
{
	struct limits fresh = { .path = path, .message = wire_json_load(text, length, err) };

	if (!fresh.message || codec_decode(&requirements_type, fresh.message, &fresh.rules,
					   &fresh.arena, CODEC_STRICT, err) < 0) {
		limits_deinit(&fresh);
		return ERR_WRAP(err, "'%s'", path);
	}
	*out = fresh;
	return 0;
}

void limits_deinit(struct limits *limits)
{
	json_decref(limits->message);
	arena_deinit(&limits->arena);
	*limits = (struct limits){ 0 };
}

static int read_limits(struct limits *out, int file, const char *path, uid_t user, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(OUTPUT_MAX);
	char uid[16];
	char *const argv[] = { (char[]){ "agent-requirements" }, uid, (char *)(uintptr_t)path,
			       NULL };

	(void)snprintf(uid, sizeof uid, "%u", user);
	if (helper_run(&text, argv, file, err) < 0)
		return err->code;
	return limits_decode(out, path, buf_str(&text), text.len, err);
}

int limits_load(struct limits *out, const char *own, uid_t user, struct err *err)
{
	const char *path = own ? own : LIMITS_FILE;
	int file SCOPED(fd_close) = -1;
	struct err absent = { 0 };
	int rc = trusted_open(&file, LIMITS_FILE, false, &absent);

	if (rc < 0 && rc != ERR_NOTFOUND)
		return ERR_SET(err, absent.code, "%s", absent.text);
	if (rc == 0 && own)
		return ERR_SET(err, ERR_DENIED, "'%s' holds the limits, and not '%s'", LIMITS_FILE,
			       own);
	if (rc == ERR_NOTFOUND && !own)
		return 0;
	if (own && trusted_open(&file, own, true, err) < 0)
		return err->code;
	return read_limits(out, file, path, user, err);
}

static bool lists(const struct wire_strings *words, const char *word)
{
	bool found = words->count == 0; /* absent: everything */

	for (size_t i = 0; i < words->count; i++)
		found = found || str_eq(words->items[i], word);
	return found;
}

int limits_allow_sandbox(const struct limits *limits, enum sandbox_mode mode, bool network,
			 bool legacy, struct err *err)
{
	const struct requirements *rules = &limits->rules;
	bool full = mode == SANDBOX_MODE_DANGER_FULL_ACCESS;
	const char *word = names_get(&sandbox_mode_names, (int)mode);
	const struct {
		bool refuse;
		const char *key;
		const char *what;
	} rows[] = {
		{ !lists(&rules->allowed_sandbox_modes, word), "allowed_sandbox_modes", word },
		{ rules->has_allow_network && !rules->allow_network && (network || full),
		  "sandbox.allow_network", full ? "full access, which has the network" : "it" },
		{ rules->has_allow_legacy_landlock && !rules->allow_legacy_landlock && legacy,
		  "sandbox.allow_legacy_landlock", "it" },
		{ rules->deny_read.count > 0 && (full || legacy),
		  "permissions.filesystem.deny_read", "a sandbox that hides nothing" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].refuse)
			return ERR_SET(err, ERR_DENIED, "%s in '%s' does not allow %s", rows[i].key,
				       limits->path, rows[i].what);
	}
	return 0;
}

int limits_allow_no_lockdown(const struct limits *limits, struct err *err)
{
	if (!limits->rules.has_allow_no_lockdown || limits->rules.allow_no_lockdown)
		return 0;
	return ERR_SET(err, ERR_DENIED, "sandbox.allow_no_lockdown in '%s' does not allow it",
		       limits->path);
}

int limits_room(const struct limits *limits, enum limits_count what, size_t now, struct err *err)
{
	const struct requirements *rules = &limits->rules;
	const struct {
		bool set;
		int64_t value;
		int64_t max;
		const char *word;
	} rows[LIMITS_COUNT] = {
		[LIMITS_COMMANDS] = { rules->has_commands, rules->commands, BROKER_CHILDREN_MAX,
				      "commands" },
		[LIMITS_CEILINGS] = { rules->has_ceilings, rules->ceilings, BROKER_CEILINGS_MAX,
				      "ceilings" },
		[LIMITS_CONNECTIONS] = { rules->has_connections, rules->connections,
					 BROKER_PEERS_MAX, "connections" },
	};

	if (rows[what].set && now >= (size_t)rows[what].value)
		return ERR_SET(err, ERR_LIMIT, "more than %lld %s: limits.%s in '%s'",
			       (long long)rows[what].value, rows[what].word, rows[what].word,
			       limits->path);
	return now < (size_t)rows[what].max ? 0
					    : ERR_SET(err, ERR_LIMIT, "more than %lld %s",
						      (long long)rows[what].max, rows[what].word);
}

static int look(const struct limits *limits, glob_t *found, struct err *err)
{
	const struct wire_strings *globs = &limits->rules.deny_read;

	for (size_t i = 0; i < globs->count; i++) {
		/* The only thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
		int rc = glob(globs->items[i], i > 0 ? GLOB_APPEND : 0, NULL, found);

		if (rc != 0 && rc != GLOB_NOMATCH)
			return ERR_NOMEM_SET(err);
		if (found->gl_pathc > LIMITS_HIDDEN_MAX)
			return ERR_SET(err, ERR_LIMIT,
				       "permissions.filesystem.deny_read in '%s' names more than "
				       "%d files",
				       limits->path, LIMITS_HIDDEN_MAX);
	}
	return 0;
}

int limits_hide(const struct limits *limits, const char *const *first, size_t count,
		struct hidden *out, struct err *err)
{
	struct hidden fresh SCOPED(hidden_deinit) = { 0 };

	if (look(limits, &fresh.found, err) < 0)
		return err->code;
	fresh.count = count + fresh.found.gl_pathc;
	fresh.paths = calloc(fresh.count + 1, sizeof *fresh.paths);
	if (!fresh.paths)
		return ERR_NOMEM_SET(err);
	for (size_t i = 0; i < fresh.count; i++)
		fresh.paths[i] = i < count ? first[i] : fresh.found.gl_pathv[i - count];
	*out = MOVE(fresh);
	return 0;
}

void hidden_deinit(struct hidden *hidden)
{
	free(hidden->paths);
	globfree(&hidden->found);
	*hidden = (struct hidden){ 0 };
}

bool hidden_equal(const struct hidden *a, const struct hidden *b)
{
	bool same = a->count == b->count;

	for (size_t i = 0; same && i < a->count; i++)
		same = str_eq(a->paths[i], b->paths[i]);
	return same;
}
