/*
 * filter.h - system call filters, made from the table in filter_table.c.
 *
 * A command gets two filters that refuse what is listed and let the rest pass: the common one is
 * installed once in the zygote, the other one, which refuses what zygote and init need, in each
 * command. Init gets one that lets pass what is listed and refuses the rest. All of them also hold
 * for the 32-bit programs of the machine; x32 and unknown architectures are killed.
 */
#pragma once

#include <seccomp.h>

#include "proto/base/attr.h"

struct err;

enum filter_kind { FILTER_COMMON, FILTER_COMMAND, FILTER_INIT, FILTER_COUNT };

/* Calls without conditions; the list ends with NULL. */
extern const char *const *const filter_names[FILTER_COUNT];

/* Calls that are refused when all the comparisons hold; there may be several for one call. */
struct filter_rule {
	enum filter_kind kind;
	const char *call;
	int error;
	unsigned count;
	struct scmp_arg_cmp compare[2];
};

extern const struct filter_rule filter_rules[];
extern const size_t filter_rule_count;

/* Builds all of them once in the life of the process; before the first fork. */
int filter_prepare(struct err *err) MUST_CHECK;

/* Installs one for the calling process, for ever. */
int filter_install(enum filter_kind kind, struct err *err) MUST_CHECK;
