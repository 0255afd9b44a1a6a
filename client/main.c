/*
 * main.c - agent: reads the command line, shows help, runs the command.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/log.h"

#include "client/command.h"
#include "client/options.h"

#define HELP_MAX 65536 /* bytes of one help page */

static int (*const commands[COMMAND_COUNT])(const struct options *options) = {
	[COMMAND_CHAT] = cmd_chat,       [COMMAND_EXEC] = cmd_exec,
	[COMMAND_ATTACH] = cmd_attach,   [COMMAND_SESSIONS] = cmd_sessions,
	[COMMAND_SANDBOX] = cmd_sandbox, [COMMAND_ACP] = cmd_acp,
	[COMMAND_DAEMON] = cmd_daemon,   [COMMAND_DOCTOR] = cmd_doctor,
	[COMMAND_DEMO] = cmd_demo,       [COMMAND_AUDIT] = cmd_audit,
};

/* Whoever closed one of the three must not find a socket of ours in its place. */
static void hold_stdio(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)open("/dev/null",
				   O_RDWR); /* takes the lowest free number: this one */
	}
}

static int show_help(enum command_id command)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(HELP_MAX);
	struct err err = { 0 };

	if (options_help(&text, command, &err) < 0) {
		(void)fprintf(stderr, "agent: %s\n", err.text);
		return EXIT_FAILED;
	}
	return fputs(buf_str(&text), stdout) < 0 || fflush(stdout) != 0 ? EXIT_FAILED : EXIT_DONE;
}

static int show_version(void)
{
	return puts("agent " AGENT_VERSION) < 0 || fflush(stdout) != 0 ? EXIT_FAILED : EXIT_DONE;
}

int main(int argc, char **argv)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct options options SCOPED(options_deinit) = { 0 };
	struct err err = { 0 };

	hold_stdio();
	(void)sigaction(SIGPIPE, &ignore, NULL);
	log_open("agent", LOG_WARN);
	if (options_parse(&options, (const char *const *)argv + 1, argc > 0 ? (size_t)argc - 1 : 0,
			  &err) < 0)
		return command_fail(&options, EXIT_USAGE, err.text);
	if (options_has(&options, OPTION_HELP))
		return show_help(options.command);
	if (options_has(&options, OPTION_VERSION))
		return show_version();
	return commands[options.command](&options);
}
