/*
 * cmd_daemon.c - agent daemon start|stop|status: broker and agentd, by hand.
 */
#include <jansson.h>
#include <stdio.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/near.h"

#include "client/broker_link.h"
#include "client/command.h"
#include "client/options.h"
#include "client/setup.h"
#include "client/start.h"

static int show_json(json_t *value, struct err *err)
{
	json_auto_t *owned = value;

	if (!owned)
		return ERR_NOMEM_SET(err);
	if (json_dumpf(owned, stdout, JSON_INDENT(2)) < 0 || puts("") < 0)
		return ERR_SET(err, ERR_SYSTEM, "cannot write to standard output");
	return 0;
}

static int start(const struct setup *setup, bool json, struct err *err)
{
	struct broker *broker SCOPED(broker_release) = NULL;
	struct broker_daemon_start_result result = { 0 };

	if (start_broker(&broker, &setup->paths, true, err) < 0 ||
	    start_agentd(broker, &result, err) < 0)
		return (int)err->code;
	if (json)
		return show_json(json_pack("{s:b, s:I}", "started", result.started, "pid",
					   (json_int_t)result.pid),
				 err);
	(void)printf("agentd %s (process %lld)\n", result.started ? "was started" : "was running",
		     (long long)result.pid);
	return 0;
}

static int stop(const struct setup *setup, bool json, struct err *err)
{
	struct broker *broker SCOPED(broker_release) = NULL;
	struct broker_daemon_stop params = { .has_broker = true, .broker = true };
	struct broker_daemon_stop_result result = { 0 };
	bool running;

	if (start_broker(&broker, &setup->paths, false, err) < 0)
		return (int)err->code;
	running = broker != NULL;
	if (running &&
	    (broker_call(broker, BROKER_METHOD_DAEMON_STOP, &params, NULL, &result, err) < 0 ||
	     broker_wait_end(broker, err) < 0))
		return (int)err->code;
	if (json)
		return show_json(
			json_pack("{s:b, s:b}", "broker", running, "agentd", result.stopped), err);
	(void)puts(!running         ? "nothing was running"
		   : result.stopped ? "broker and agentd were stopped"
				    : "the broker was stopped; agentd was not running");
	return 0;
}

static json_t *status_json(const struct broker_self *self,
			   const struct broker_daemon_status_result *status)
{
	return json_pack("{s:{s:b, s:I, s:s}, s:{s:b, s:I}, s:I, s:I, s:I}", "broker", "running",
			 self->pid != 0, "pid", (json_int_t)self->pid, "build", self->build,
			 "agentd", "running", status->pid != 0, "pid", (json_int_t)status->pid,
			 "ceilings", (json_int_t)status->ceilings, "children",
			 (json_int_t)status->children, "grants", (json_int_t)status->grants);
}

static void show_status(const struct broker_self *self,
			const struct broker_daemon_status_result *status)
{
	if (self->pid == 0) {
		(void)puts("broker: not running\nagentd: not running");
		return;
	}
	(void)printf("broker: running (process %lld, version %s)\n", (long long)self->pid,
		     self->build);
	if (status->pid)
		(void)printf("agentd: running (process %lld)\n", (long long)status->pid);
	else
		(void)puts("agentd: not running");
	(void)printf("%lld ceilings, %lld commands, %lld open questions\n",
		     (long long)status->ceilings, (long long)status->children,
		     (long long)status->grants);
}

static int status(const struct setup *setup, bool json, struct err *err)
{
	struct broker *broker SCOPED(broker_release) = NULL;
	struct broker_self self = { 0 };
	struct broker_daemon_status params = { 0 };
	struct broker_daemon_status_result result = { 0 };

	if (start_broker(&broker, &setup->paths, false, err) < 0)
		return (int)err->code;
	if (broker)
		self = *broker_self(broker);
	if (broker &&
	    broker_call(broker, BROKER_METHOD_DAEMON_STATUS, &params, NULL, &result, err) < 0)
		return (int)err->code;
	if (json)
		return show_json(status_json(&self, &result), err);
	show_status(&self, &result);
	return 0;
}

int cmd_daemon(const struct options *options)
{
	static const struct {
		const char *word;
		int (*run)(const struct setup *setup, bool json, struct err *err);
	} verbs[] = { { "start", start }, { "stop", stop }, { "status", status } };
	static const char *const words[] = { "start", "stop", "status" };
	struct setup setup SCOPED(setup_deinit) = { 0 };
	const char *word = options->word_count == 1 ? options->words[0] : "";
	const char *nearest = near_word(word, words, ARRAY_LEN(words));
	struct err err = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (!str_eq(word, verbs[i].word))
			continue;
		if (setup_paths(&setup, &err) < 0 ||
		    verbs[i].run(&setup, options_has(options, OPTION_JSON), &err) < 0)
			return command_fail(options, EXIT_FAILED, err.text);
		return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
	}
	ERR_SET(&err, ERR_INVALID, "one of start, stop, status is needed%s%s%s",
		nearest && *word ? "; did you mean '" : "", nearest && *word ? nearest : "",
		nearest && *word ? "'?" : "");
	return command_fail(options, EXIT_USAGE, err.text);
}
