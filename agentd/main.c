#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/log.h"
#include "proto/base/str.h"

#include "agentd/daemon.h"

#define EXIT_USAGE 2
#define PRIVATE_UMASK 077
#define LARGE_BLOCK 131072 /* bytes; such blocks go back to the system when they are freed */
#define ARENAS 2           /* threads hardly allocate here */

static const char usage[] =
	"Usage: agentd --broker-fd N --runtime DIR --state DIR --config DIR [--no-lockdown]\n"
	"\n"
	"The daemon that holds the sessions of the coding agent. The broker starts it; 'agent' "
	"starts\n"
	"the broker.\n"
	"\n"
	"  --broker-fd N    descriptor of the link to the broker\n"
	"  --runtime DIR    folder of the sockets\n"
	"  --state DIR      folder of the transcripts\n"
	"  --config DIR     folder of config.ini\n"
	"  --no-lockdown    keep every right of the user; for debuggers only\n"
	"  --help           this text\n"
	"  --version        the version\n";

enum option_value {
	OPTION_BROKER_FD = 256,
	OPTION_RUNTIME,
	OPTION_STATE,
	OPTION_CONFIG,
	OPTION_NO_LOCKDOWN,
	OPTION_HELP,
	OPTION_VERSION
};

static const struct option long_options[] = {
	{ "broker-fd", required_argument, NULL, OPTION_BROKER_FD },
	{ "runtime", required_argument, NULL, OPTION_RUNTIME },
	{ "state", required_argument, NULL, OPTION_STATE },
	{ "config", required_argument, NULL, OPTION_CONFIG },
	{ "no-lockdown", no_argument, NULL, OPTION_NO_LOCKDOWN },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ NULL, 0, NULL, 0 },
};

#if defined(__SANITIZE_ADDRESS__)
/* The leak checker stops the process with ptrace, which the lockdown forbids. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}
#endif

static int take_fd(struct daemon_options *options, const char *text, struct err *err)
{
	int64_t number;

	if (str_to_int(&number, text, STDERR_FILENO + 1, INT_MAX, err) < 0)
		return ERR_WRAP(err, "--broker-fd");
	options->broker_fd = (int)number;
	return 0;
}

/* 0: run; 1: everything asked for is done. */
static int parse(struct daemon_options *options, int argc, char **argv, struct err *err)
{
	int value;

	/* The only thread there is. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	while ((value = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (value) {
		case OPTION_BROKER_FD:
			if (take_fd(options, optarg, err) < 0)
				return (int)err->code;
			break;
		case OPTION_RUNTIME:
			options->runtime_dir = optarg;
			break;
		case OPTION_STATE:
			options->state_dir = optarg;
			break;
		case OPTION_CONFIG:
			options->config_dir = optarg;
			break;
		case OPTION_NO_LOCKDOWN:
			options->no_lockdown = true;
			break;
		case OPTION_HELP:
			(void)fputs(usage, stdout);
			return 1;
		case OPTION_VERSION:
			(void)puts("agentd " AGENT_VERSION);
			return 1;
		default:
			return ERR_SET(err, ERR_INVALID, "see 'agentd --help'");
		}
	}
	if (optind < argc)
		return ERR_SET(err, ERR_INVALID, "'%s' is no option; see 'agentd --help'",
			       argv[optind]);
	if (options->broker_fd < 0 || !options->runtime_dir || !options->state_dir ||
	    !options->config_dir)
		return ERR_SET(err, ERR_INVALID,
			       "the broker starts this program; type 'agent' instead");
	return 0;
}

/* A client that goes away while it is written to, or a file at its limit, is an error and no reason
 * to die. */
static int ignore_signals(struct err *err)
{
	static const int numbers[] = { SIGPIPE, SIGXFSZ };
	const struct sigaction ignore = { .sa_handler = SIG_IGN };

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		if (sigaction(numbers[i], &ignore, NULL) < 0)
			return ERR_SYS(err, errno, "ignore signal %d", numbers[i]);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct daemon_options options = { .broker_fd = -1, .environment = environ };
	struct err err = { 0 };
	int result = parse(&options, argc, argv, &err);

	if (result > 0)
		return EXIT_SUCCESS;
	if (result < 0) {
		(void)fprintf(stderr, "agentd: %s\n", err.text);
		return EXIT_USAGE;
	}
	log_open("agentd", LOG_INFO);
	/* Hints, given while there is one thread: without them it runs as well, in more memory. */
	(void)mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK); /* NOLINT(concurrency-mt-unsafe) */
	(void)mallopt(M_ARENA_MAX, ARENAS);           /* NOLINT(concurrency-mt-unsafe) */
	(void)umask(PRIVATE_UMASK);
	if (ignore_signals(&err) < 0 || daemon_run(&options, &err) < 0) {
		log_error("ended", "why='%s'", err.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
