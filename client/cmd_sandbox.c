/*
 * cmd_sandbox.c - runs one command in the sandbox, on this terminal, with the broker alone.
 *
 * No loop and no daemon: it must be as cheap as the sandbox itself. Signals are forwarded; when
 * this program ends, its connection does, and the broker ends the command.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/wire/codec.h"

#include "client/bounds.h"
#include "client/broker_link.h"
#include "client/command.h"
#include "client/denial.h"
#include "client/options.h"
#include "client/setup.h"
#include "client/spawn.h"
#include "client/start.h"
#include "client/term.h"

#define LINE_MAX_BYTES 16384 /* of one sentence, everything in it escaped */

static const int forwarded[] = { SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM,
				 SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT };

struct run {
	struct setup setup;
	struct broker *broker;
	int signals; /* signalfd */
	bool log_denials;
	json_t *missing; /* with log_denials: what the broker does not enforce here */
};

static void run_deinit(struct run *run)
{
	json_decref(run->missing);
	broker_close(run->broker);
	setup_deinit(&run->setup);
	fd_close(&run->signals);
}

/* Greeting and ceiling travel together: neither needs the other's answer. */
static int open_ceiling(struct run *run, struct broker_ceiling_open_result *ceiling,
			struct err *err)
{
	struct broker_hello hello = { .version = BROKER_VERSION, .name = "agent sandbox" };
	struct broker_hello_result greeted = { 0 };
	struct bounds_input bounds = { .setup = &run->setup, .log_denials = run->log_denials };
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
	    fd_signals(&run->signals, forwarded, ARRAY_LEN(forwarded), err) < 0)
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

static void say(const struct options *options, const struct buf *line)
{
	(void)command_fail(options, EXIT_DONE, buf_str(line));
}

/* A command that was ended is told why in any case; the rest is told to those who asked. */
static int say_denial(const struct run *run, const struct options *options,
		      const struct broker_denial *told, struct err *err)
{
	struct buf line SCOPED(buf_deinit) = BUF_INIT(LINE_MAX_BYTES);
	struct denial denial = { .rule = told->rule,
				 .operation = told->operation,
				 .target = told->target,
				 .error = told->error,
				 .count = told->count };
	int rc = 0;

	if (told->rule == DENIAL_RULE_CHANGED)
		rc = denial_end(&line, &denial, err);
	else if (run->log_denials)
		rc = denial_line(&line, &denial, true, err);
	if (rc == 0 && line.len > 0)
		say(options, &line);
	return rc;
}

static int say_missing(const struct run *run, const struct options *options, struct err *err)
{
	size_t i;
	json_t *sentence;

	json_array_foreach(run->missing, i, sentence) {
		struct buf line SCOPED(buf_deinit) = BUF_INIT(LINE_MAX_BYTES);

		if (buf_puts(&line, "not enforced here: ", err) < 0 ||
		    term_clean(&line, json_string_value(sentence), json_string_length(sentence),
			       TERM_LINE, err) < 0)
			return (int)err->code;
		say(options, &line);
	}
	return 0;
}

static int say_denials(const struct run *run, const struct options *options,
		       const struct broker_child_exited *exited, struct err *err)
{
	struct buf line SCOPED(buf_deinit) = BUF_INIT(LINE_MAX_BYTES);

	for (size_t i = 0; i < exited->denials_count; i++) {
		if (say_denial(run, options, &exited->denials[i], err) < 0)
			return (int)err->code;
	}
	if (!run->log_denials)
		return 0;
	if (exited->denials_lost > 0 &&
	    buf_printf(&line, err, "denied: %" PRId64 " more, of which no record was kept",
		       exited->denials_lost) < 0)
		return (int)err->code;
	if (exited->denials_count == 0 && exited->denials_lost == 0 &&
	    buf_puts(&line, "no denial was reported", err) < 0)
		return (int)err->code;
	if (line.len > 0)
		say(options, &line);
	return say_missing(run, options, err);
}

/* Sentences of the answer are gone with the next call. */
static int keep_missing(struct run *run, const struct broker_ceiling_open_result *ceiling,
			struct err *err)
{
	if (!run->log_denials)
		return 0;
	run->missing = json_array();
	for (size_t i = 0; run->missing && i < ceiling->policy->missing.count; i++) {
		if (json_array_append_new(run->missing,
					  json_string(ceiling->policy->missing.items[i])) < 0)
			return ERR_NOMEM_SET(err);
	}
	return run->missing ? 0 : ERR_NOMEM_SET(err);
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
	const struct broker_child_exited *exited;
	struct err err = { 0 };
	char child[WIRE_ID_MAX + 1];

	params.ceiling = ceiling->ceiling;
	params.argv.items = options->words;
	params.argv.count = options->word_count;
	if (keep_missing(run, ceiling, &err) < 0)
		return command_fail(options, EXIT_NO_SANDBOX, err.text);
	if (broker_call(run->broker, BROKER_METHOD_CHILD_START, &params, &fds, &started, &err) < 0)
		return start_failure(options, &err);
	(void)snprintf(child, sizeof child, "%s", started.child);
	if (wait_end(run, child, &err) < 0)
		return command_fail(options, EXIT_NO_SANDBOX, err.text);
	exited = &broker_last_exit(run->broker)->how;
	if (say_denials(run, options, exited, &err) < 0)
		(void)command_fail(options, EXIT_FAILED, err.text); /* the command's status stays */
	return (int)exited->code;
}

int cmd_sandbox(const struct options *options)
{
	struct run run SCOPED(run_deinit) = { .signals = -1,
					      .log_denials =
						      options_has(options, OPTION_LOG_DENIALS) };
	struct broker_ceiling_open_result ceiling = { 0 };
	struct err err = { 0 };

	if (options->word_count == 0)
		return command_fail(options, EXIT_USAGE,
				    "a command is missing; see 'agent sandbox --help'");
	if (prepare(&run, options, &ceiling, &err) < 0)
		return command_fail(options, EXIT_NO_SANDBOX, err.text);
	return run_command(&run, options, &ceiling);
}
