/*
 * probe.h - what the parts of corpus_probe share: an attempt is a word with arguments, and its
 * outcome is 0 where it succeeded, or the errno that the kernel answered.
 */
#pragma once

#include <stddef.h>

struct verb {
	const char *name;
	int words; /* arguments that it wants; -1: any number */
	int (*run)(char **words);
};

/* Ended by an entry without a name. */
extern const struct verb verbs_files[];
extern const struct verb verbs_kernel[];
extern const struct verb verbs_process[];
extern const struct verb verbs_self[];
extern const struct verb verbs_sockets[];
extern const struct verb verbs_ipc[];
extern const struct verb verbs_deputy[];

/* The outcome of a call; closes what it has opened. */
int outcome(long result);

/* Adds to the line that is printed. */
__attribute__((format(printf, 1, 2))) void note(const char *format, ...);

/* The number that a word spells; any base. Ends the program when it spells none. */
long number(const char *word);

/* What the child's exit says, as an outcome: 0, an errno, or ECANCELED when it was killed. */
int child_outcome(int pid);
