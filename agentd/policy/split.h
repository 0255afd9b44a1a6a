/*
 * split.h - a shell script as a list of plain commands, or the refusal to see it as one.
 *
 * Pure and conservative: only words without any expansion, joined by && || ; | and line ends. What
 * is not understood completely is SPLIT_OPAQUE. Nothing is allocated; the words lie in the struct.
 */
#pragma once

#include <stddef.h>

#define SPLIT_SCRIPT_MAX 16384U /* bytes; a longer script is opaque */
#define SPLIT_WORDS_MAX 1024U   /* in all commands together; more are opaque */
#define SPLIT_COMMANDS_MAX 256U

enum split_kind {
	SPLIT_OPAQUE, /* not a sequence of plain commands */
	SPLIT_PLAIN
};

struct split_command {
	size_t first; /* words[first .. first + count) */
	size_t count; /* at least 1 */
};

/* Large: about 30 KiB. */
struct split {
	const char *words[SPLIT_WORDS_MAX]; /* quotes removed */
	size_t word_count;
	struct split_command commands[SPLIT_COMMANDS_MAX];
	size_t command_count;
	char text[SPLIT_SCRIPT_MAX + SPLIT_WORDS_MAX + 1];
};

/* With SPLIT_OPAQUE nothing is to be read from out. */
enum split_kind split_script(struct split *out, const char *script);

/*
 * The loose reading, for finding what is dangerous and never for finding what is safe: every place
 * where some shell might see a command, with quotes removed and expansions left as text. Cut
 * silently at the limits.
 */
void split_loose(struct split *out, const char *script);
