/*
 * filter.h - system call filters: compiled from a description, kept as the kernel takes them,
 * installed; and what a description answers a refused call.
 *
 * An answer is an errno, or 0: the call passes. x32 and foreign architectures are killed. A call
 * that the machine lacks is left out, and one that its libseccomp does not know yet.
 */
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"

struct err;

/* Calls without conditions; the list ends with NULL, and NULL is none. */
struct filter_list {
	const char *const *names;
	int error;
};

/* A call when all the comparisons hold; there may be several rules for one call. */
struct filter_rule {
	const char *call;
	int error;
	unsigned count;
	struct scmp_arg_cmp compare[2];
};

/* A call to be handed over whatever it is; with `bits` when any of these is set in the argument. */
struct filter_handed {
	const char *call;
	unsigned argument;
	uint64_t bits;
};

struct filter_spec {
	int otherwise;  /* the answer to what is not named */
	bool companion; /* holds for the machine's 32-bit programs too; else they are killed */
	uint32_t personality; /* the bits that may be set, and the question passes; 0: no rule */
	struct filter_list lists[2];
	const struct filter_rule *rules;
	size_t rule_count;
	const struct filter_handed *handed;
	size_t handed_count;
};

/* Compiled; count 0: not. */
struct filter {
	struct sock_filter code[BPF_MAXINSNS];
	size_t count;
};

/*
 * From one description a filter that answers by itself, and one that hands over to a listener what
 * it would refuse (but not ENOSYS: that is a call to fall back from) and what is `handed`. Either
 * may be NULL. To compile anew for each process would cost more than to install.
 */
int filter_compile(const struct filter_spec *spec, struct filter *plain, struct filter *handing,
		   struct err *err) MUST_CHECK;

/*
 * Installs it for the calling process, for ever, with the kernel's flags; TSYNC: for all threads
 * or none. Needs no_new_privs. Returns the listener when the flags ask for one.
 */
int filter_load(const struct filter *filter, unsigned flags, struct err *err) MUST_CHECK;

/* Installs one in which no call from this number on exists, for what nobody knows yet. */
int filter_load_known(unsigned first, struct err *err) MUST_CHECK;

/* The errno of a call that was refused: its rule's, its list's, else EPERM. */
int filter_answer(const struct filter_spec *spec, const struct seccomp_data *call);
