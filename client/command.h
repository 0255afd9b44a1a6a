/*
 * command.h - one function per command, and the exit codes that all share.
 *
 * A command prints its own failures; what it returns becomes the exit status of the program.
 */
#pragma once

struct options;

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,       /* a turn, a setting, a session, the programs behind */
	EXIT_USAGE = 2,        /* unknown option, missing word */
	EXIT_NO_SANDBOX = 125, /* sandbox: nothing was run */
	EXIT_CANNOT_RUN = 126, /* sandbox: found, and cannot be executed */
	EXIT_NOT_FOUND = 127,  /* sandbox: no such program */
	EXIT_SIGNALLED = 128   /* sandbox: this plus the number of the signal */
};

int cmd_chat(const struct options *options);
int cmd_exec(const struct options *options);
int cmd_attach(const struct options *options);
int cmd_sessions(const struct options *options);
int cmd_sandbox(const struct options *options);
int cmd_acp(const struct options *options);
int cmd_daemon(const struct options *options);
int cmd_doctor(const struct options *options);
int cmd_demo(const struct options *options);
int cmd_audit(const struct options *options);

/* "agent exec: sentence" on standard error. Returns the code that was given. */
int command_fail(const struct options *options, int exit_code, const char *sentence);
