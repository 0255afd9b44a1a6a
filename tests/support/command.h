/*
 * command.h - the program 'agent' as a person runs it: words, input, output, exit status.
 *
 * Every test has a home of its own below fixture_dir(); broker and daemon that a command has
 * started there end with command_home_stop().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "proto/base/buf.h"

#include "tests/support/fixture.h"

#define COMMAND_WAIT_S 60          /* a command that takes longer fails its test */
#define COMMAND_OUTPUT_MAX 8388608 /* bytes of its output */

struct command_home {
	char top[512];  /* of all the rest */
	char home[600]; /* AGENTD_HOME */
	char work[600]; /* an empty folder to work in */
	const char *const
		*through; /* words before 'agent', ended by NULL, that lead to it; or NULL */
};

struct command {
	pid_t pid;
	int in;  /* its standard input; -1 when closed */
	int out; /* its standard output and error, to be read */
	int err;
	int status;       /* exit code, or 128 + signal */
	struct buf text;  /* standard output */
	struct buf notes; /* standard error */
};

/* Also stops what the test has left running, when it failed. */
int command_teardown(void **state);

#define COMMAND_TEST(function)                                                                     \
	cmocka_unit_test_setup_teardown(function, fixture_setup, command_teardown)

/* settings: the whole of config.ini; NULL for none. repository: the folder looks
 * version-controlled. */
void command_home_make(struct command_home *home, const char *settings, bool repository);
void command_home_stop(const struct command_home *home);

/* Words after 'agent', ended by NULL; NAME=value that differ from a nearly empty environment, or
 * NULL. */
void command_start(struct command *command, const struct command_home *home,
		   const char *const *words, const char *const *environment);
void command_write(struct command *command, const char *text);
void command_close_input(struct command *command);
/* Reads until a line of standard output holds the text; the line, borrowed until the next call. */
const char *command_line(struct command *command, const char *part);
/* Closes its input, reads everything, waits for its end. */
void command_finish(struct command *command);
void command_deinit(struct command *command);

/* All of it: input may be NULL for an empty one. */
void command_run(struct command *command, const struct command_home *home, const char *const *words,
		 const char *input);

#define COMMAND_WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
