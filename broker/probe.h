/*
 * probe.h - what this kernel can do for a sandbox, found out by doing it.
 *
 * Nothing is inferred from version numbers: the steps of the plans are performed, in a child that
 * is waited for. A call takes some milliseconds and leaves nothing behind.
 */
#pragma once

#include <stdbool.h>

#include "proto/base/err.h"

#define PROBES_MAX 48

struct probe {
	const char *name; /* static: "own /dev", "landlock", ... */
	bool ok;
	int sys;     /* errno, or 0 */
	bool needed; /* without it no command is sandboxed; otherwise a second layer, or another way
		      */
	char detail[ERR_TEXT_MAX]; /* what was found; or what is missing, and how to mend it */
};

struct features;
struct sandbox_config;

/* In the order of use; returns how many. */
size_t probe_all(struct probe out[PROBES_MAX]);

/*
 * What a sandbox that is not full access can use here; tried once in the life of the process. It
 * fails where the legacy way is asked for, and Landlock cannot hold files alone.
 */
int probe_features(struct features *out, const struct sandbox_config *config, struct err *err);

/*
 * Pure: a sentence for each second-layer mechanism that is missing, or that the features go
 * without; and for what the legacy way cannot protect. At most SANDBOX_LAYERS_MAX.
 */
size_t probe_missing(const char **out, const struct features *features);
