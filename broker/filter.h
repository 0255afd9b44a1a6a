/*
 * filter.h - the system call filters of a sandbox, made from the table in filter_table.c.
 *
 * A command gets one that refuses what is listed and lets the rest pass; init one that lets pass
 * what is listed and refuses the rest. All of them also hold for the 32-bit programs of the
 * machine; x32 and unknown architectures are killed.
 */
#pragma once

#include "proto/sys/filter.h"

/*
 * Those of a command; the variants hand over to init what they refuse, and what supervise_calls()
 * tells. The last two come on top where there are no namespaces; the very last with the network
 * off.
 */
enum filter_kind {
	FILTER_COMMAND,
	FILTER_NOTIFY,
	FILTER_CHANGES, /* also what changes files */
	FILTER_INIT,
	FILTER_LEGACY,
	FILTER_OFFLINE,
	FILTER_COUNT
};

/* The variants have none of their own. */
extern const struct filter_spec filter_specs[FILTER_COUNT];

/* Builds them once in the life of the process, before the first fork; FILTER_CHANGES, which takes
 * as long as all others, when it is asked for. */
int filter_prepare(bool changes, struct err *err) MUST_CHECK;

/* Installs one for the calling process, for ever; returns the listener of those that hand over. */
int filter_install(enum filter_kind kind, struct err *err) MUST_CHECK;
