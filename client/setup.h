/*
 * setup.h - what every command needs before it acts: folders, settings, and what the flags say
 * about them.
 *
 * Flags become overrides, key=value, in one order for all: -c first, then the named flags, so that
 * a flag beats -c. agentd is given the same list, so both read the same settings.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"
#include "proto/conf/paths.h"

struct conf;
struct err;
struct options;

#define SETUP_OVERRIDES_MAX 200 /* of one command line */

/* What holds where neither a flag nor a setting says anything. */
enum setup_kind {
	SETUP_ASKING, /* a person can answer: by the folder, see behaviour of 'agent' */
	SETUP_SILENT, /* exec: read-only, and never asks, whatever the settings say */
	SETUP_SANDBOX /* sandbox: read-only; no session */
};

struct setup {
	struct paths paths;
	struct conf *conf;
	char *cwd; /* canonical */
	char *overrides[SETUP_OVERRIDES_MAX];
	size_t override_count;
	char *roots[32]; /* --add-dir, canonical */
	size_t root_count;
};

/* Reads everything. Errors are sentences for the person. */
int setup_load(struct setup *out, const struct options *options, enum setup_kind kind,
	       struct err *err) MUST_CHECK;
/* The same for another folder than that of the command line. */
int setup_load_at(struct setup *out, const struct options *options, enum setup_kind kind,
		  const char *cwd, struct err *err) MUST_CHECK;
/* A further writable folder. */
int setup_add_root(struct setup *setup, const char *dir, struct err *err) MUST_CHECK;
/* Only the folders, made and checked. */
int setup_paths(struct setup *out, struct err *err) MUST_CHECK;
void setup_deinit(struct setup *setup);

/* Adds one more override behind the others; the settings are not read anew. */
int setup_override(struct setup *setup, struct err *err, const char *format, ...) PRINTF_LIKE(3, 4)
	MUST_CHECK;

/* Whether the folder, or one above it, holds one of the settings' project_root_markers. *root: that
 * folder, the caller's to free, NULL when there is none. */
int setup_project_root(char **root, const struct conf *conf, const char *cwd, struct err *err)
	MUST_CHECK;
