/*
 * cmd_sandbox.c - runs one command in the sandbox, on this terminal, with the broker alone.
 *
 * No loop and no daemon: it must be as cheap as the sandbox itself. Signals are forwarded; when
 * this program ends, its connection does, and the broker ends the command.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/wire/codec.h"

#include "client/bounds.h"
#include "client/broker_link.h"
#include "client/command.h"
#include "client/options.h"
#include "client/setup.h"
#include "client/spawn.h"
#include "client/start.h"

static const int forwarded[] = { SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM,
				 SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT };

struct run {
	struct setup setup;
	struct broker *broker;
	int signals; /* signalfd */
	const char *child;
};

static void run_deinit(struct run *run)
{
	broker_close(run->broker);
	setup_deinit(&run->setup);
	fd_close(&run->signals);
}

static int watch_signals(int *out, struct err *err)
{
	sigset_t set;
	int rc;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(forwarded); i++)
		(void)sigaddset(&set, forwarded[i]);
	rc = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (rc != 0)
		return ERR_SYS(err, rc, "pthread_sigmask");
	*out = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return *out < 0 ? ERR_SYS(err, errno, "signalfd") : 0;
}

/* Greeting and ceiling travel together: neither needs the other's answer. */
static int open_ceiling(struct run *run, struct broker_ceiling_open_result *ceiling,
			struct err *err)
{
	struct broker_hello hello = { .version = BROKER_VERSION, .name = "agent sandbox" };
	struct broker_hello_result greeted = { 0 };
	struct bounds_input bounds = { .setup = &run->setup };
	int64_t hello_id = 0;
	int64_t ceiling_id = 0;

	if (broker_send(run->broker, BROKER_METHOD_HELLO, &hello, NULL, &hello_id, err) < 0 ||
	    bounds_send(run->broker, &bounds, &ceiling_id, err) < 0 ||
	    broker_wait(run->broker, BROKER_METHOD_HELLO, hello_id, &greeted, err) < 0)
		return err->code;
	return broker_wait(run->broker, BROKER_METHOD_CEILING_OPEN, ceiling_id, ceiling, err);
}

static int connect_once(struct run *run, struct broker_ceiling_open_result *ceiling,
			struct err *err)
{
	int fd = -1;

	if (spawn_broker(&fd, &run->setup.paths, err) < 0 || broker_open(&run->broker, fd, err) < 0)
		return (int)err->code;
	return open_ceiling(run, ceiling, err);
}

static int prepare(struct run *run, const struct options *options,
		   struct broker_ceiling_open_result *ceiling, struct err *err)
{
	if (setup_load(&run->setup, options, SETUP_SANDBOX, err) < 0 ||
	    watch_signals(&run->signals, err) < 0)
		return (int)err->code;
	/* One that was just ending may have taken the connection, and closed it without a word. */
	for (int i = 0; i < START_TRIES; i++) {
		if (connect_once(run, ceiling, err) == 0)
			return 0;
		if (err->code != ERR_GONE)
			break;
		broker_release(&run->broker);
	}
	return (int)err->code;
}

static int forward_signals(struct run *run, const char *child, struct err *err)
{
	struct signalfd_siginfo info;

	while (read(run->signals, &info, sizeof info) == (ssize_t)sizeof info) {
		struct broker_child_kill params = { .child = child,
						    .signal = (int64_t)info.ssi_signo };
		struct broker_child_kill_result result = { 0 };
		struct err gone = { 0 };

		if (broker_call(run->broker, BROKER_METHOD_CHILD_KILL, &params, NULL, &result,
				&gone) < 0 &&
		    gone.code == ERR_GONE)
			return ERR_SET(err, gone.code, "%s", gone.text);
		/* any other failure: it has just ended, which is about to be reported */
	}
	return 0;
}

static int wait_end(struct run *run, const char *child, struct err *err)
{
	struct pollfd items[] = { { .fd = broker_fd(run->broker), .events = POLLIN },
				  { .fd = run->signals, .events = POLLIN } };

	while (!broker_last_exit(run->broker)->seen) {
		if (poll(items, ARRAY_LEN(items), -1) < 0 && errno != EINTR)
			return ERR_SYS(err, errno, "poll");
		if (items[0].revents && broker_receive(run->broker, err) < 0)
			return err->code;
		if (items[1].revents && forward_signals(run, child, err) < 0)
			return err->code;
	}
	return 0;
}

/* The exit code of a command that could not be started. */
static int start_failure(const struct options *options, const struct err *err)
{
	int code = EXIT_NO_SANDBOX;

	if (err->code == ERR_NOTFOUND)
		code = EXIT_NOT_FOUND;
	else if (err->code == ERR_DENIED)
		code = EXIT_CANNOT_RUN;
	return command_fail(options, code, err->text);
}

static int run_command(struct run *run, const struct options *options,
		       const struct broker_ceiling_open_result *ceiling)
{
	static const int stdio[] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO };
	struct broker_fds fds = { .items = stdio, .count = ARRAY_LEN(stdio) };
	struct broker_child_start params = { 0 };
	struct broker_child_start_result started = { 0 };
	struct err err = { 0 };
	char child[WIRE_ID_MAX + 1];

	params.ceiling = ceiling->ceiling;
	params.argv.items = options->words;
	params.argv.count = options->word_count;
	if (broker_call(run->broker, BROKER_METHOD_CHILD_START, &params, &fds, &started, &err) < 0)
		return start_failure(options, &err);
	(void)snprintf(child, sizeof child, "%s", started.child);
	if (wait_end(run, child, &err) < 0)
		return command_fail(options, EXIT_NO_SANDBOX, err.text);
	return (int)broker_last_exit(run->broker)->code;
}

int cmd_sandbox(const struct options *options)
{
	struct run run SCOPED(run_deinit) = { .signals = -1 };
	struct broker_ceiling_open_result ceiling = { 0 };
	struct err err = { 0 };

	if (options->word_count == 0)
		return command_fail(options, EXIT_USAGE,
				    "a command is missing; see 'agent sandbox --help'");
	if (prepare(&run, options, &ceiling, &err) < 0)
		return command_fail(options, EXIT_NO_SANDBOX, err.text);
	return run_command(&run, options, &ceiling);
}
