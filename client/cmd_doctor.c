/*
 * cmd_doctor.c - agent doctor: is everything here that a session needs?
 *
 * Kernel features are tried by the broker, by use. What is reported as wrong says how to mend it.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/conf.h"

#include "client/bounds.h"
#include "client/broker_link.h"
#include "client/command.h"
#include "client/options.h"
#include "client/secret.h"
#include "client/setup.h"
#include "client/start.h"
#include "client/term.h"

#define NO_SERVICE                                                                                 \
	"not in use; where user namespaces are forbidden it works without them: "                  \
	"systemctl enable --now agent-broker@USER.socket, as root"

enum verdict {
	VERDICT_FAILED, /* needed, and missing */
	VERDICT_WARNING,
	VERDICT_FINE,
	VERDICT_COUNT
};

struct report {
	json_t *checks; /* array of {group, name, verdict, detail} */
	bool failed;
	bool legacy; /* the setting: what namespaces need is not needed */
};

static const char *const verdict_words[VERDICT_COUNT] = { "failed", "warning", "ok" };

static int add(struct report *report, const char *group, const char *name, enum verdict verdict,
	       const char *detail)
{
	report->failed = report->failed || verdict == VERDICT_FAILED;
	return json_array_append_new(
		report->checks, json_pack("{s:s, s:s, s:s, s:s}", "group", group, "name", name,
					  "verdict", verdict_words[verdict], "detail", detail));
}

static int check_paths(struct report *report, struct setup *setup)
{
	struct err err = { 0 };
	const char *const *folder;
	int rc = 0;

	if (setup_paths(setup, &err) < 0)
		return add(report, "folders", "folders", VERDICT_FAILED, err.text);
	folder = (const char *const[]){
		"runtime",       setup->paths.runtime, "state", setup->paths.state,
		"configuration", setup->paths.config,  NULL
	};
	for (; rc == 0 && *folder; folder += 2)
		rc = add(report, "folders", folder[0], VERDICT_FINE, folder[1]);
	return rc;
}

static int check_programs(struct report *report)
{
	static const struct {
		enum paths_program program;
		const char *name;
	} programs[] = { { PATHS_AGENTD, "agentd" },
			 { PATHS_BROKER, "agent-broker" },
			 { PATHS_PATCH, "agent-patch" } };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(programs); i++) {
		char *path SCOPED(str_free) = NULL;
		struct err err = { 0 };

		if (paths_program(&path, programs[i].program, &err) < 0)
			rc = add(report, "programs", programs[i].name, VERDICT_FAILED, err.text);
		else
			rc = add(report, "programs", programs[i].name,
				 access(path, X_OK) == 0 ? VERDICT_FINE : VERDICT_FAILED, path);
	}
	return rc;
}

static int check_inert(struct report *report, const struct conf *conf)
{
	size_t i;
	json_t *text;

	json_array_foreach(conf_inert(conf), i, text) {
		char detail[512];

		(void)snprintf(detail, sizeof detail, "%.400s is accepted and has no effect",
			       json_string_value(text));
		if (add(report, "settings", "setting", VERDICT_WARNING, detail) < 0)
			return -1;
	}
	return 0;
}

static int check_key(struct report *report, const struct conf *conf)
{
	const char *provider = conf_str(conf, "model_provider");
	const char *key = conf_str_of(conf, "model_providers", provider, "env_key");
	struct secrets secrets = { .count = 0 };
	struct err err = { 0 };
	char detail[512];

	if (!key && str_eq(provider, "openai"))
		key = "OPENAI_API_KEY";
	if (!key)
		return add(report, "settings", "model provider", VERDICT_FINE, provider);
	if (secrets_collect(&secrets, conf, environ, false, &err) < 0)
		return add(report, "settings", "API key", VERDICT_FAILED, err.text);
	for (size_t i = 0; i < secrets.count; i++) {
		if (str_starts(secrets.items[i], key) && secrets.items[i][strlen(key)] == '=') {
			(void)snprintf(detail, sizeof detail, "%s is set", key);
			return add(report, "settings", "API key", VERDICT_FINE, detail);
		}
	}
	(void)snprintf(detail, sizeof detail,
		       "the provider '%s' needs a key in the environment variable %s "
		       "(model_providers.%s.env_key); it is not set",
		       provider, key, provider);
	return add(report, "settings", "API key", VERDICT_WARNING, detail);
}

static int check_settings(struct report *report, const struct options *options)
{
	struct setup setup SCOPED(setup_deinit) = { 0 };
	struct err err = { 0 };
	char detail[512];

	if (setup_load(&setup, options, SETUP_ASKING, &err) < 0)
		return add(report, "settings", "settings", VERDICT_FAILED, err.text);
	(void)snprintf(detail, sizeof detail, "in this folder: %s, asks %s",
		       conf_str(setup.conf, "sandbox_mode"),
		       conf_str(setup.conf, "approval_policy"));
	report->legacy = conf_bool(setup.conf, "sandbox.legacy_landlock") ||
			 conf_bool(setup.conf, "features.use_legacy_landlock");
	if (add(report, "settings", "settings", VERDICT_FINE, detail) < 0 ||
	    check_inert(report, setup.conf) < 0)
		return -1;
	return check_key(report, setup.conf);
}

static int add_probes(struct report *report, const struct broker_probe_result *result)
{
	for (size_t i = 0; i < result->probes_count; i++) {
		const struct broker_feature *probe = &result->probes[i];
		bool needed =
			report->legacy ? str_eq(probe->name, "legacy_landlock") : probe->needed;
		enum verdict verdict = needed ? VERDICT_FAILED : VERDICT_WARNING;

		if (add(report, "sandbox", probe->name, probe->ok ? VERDICT_FINE : verdict,
			probe->detail) < 0)
			return -1;
	}
	return 0;
}

/* A sandbox as a session in this folder gets it: what is in force, and what is not. */
static int check_sandbox(struct report *report, const struct options *options,
			 struct broker *broker)
{
	struct setup setup SCOPED(setup_deinit) = { 0 };
	struct bounds_input bounds = { .setup = &setup };
	struct broker_ceiling_open_result made = { 0 };
	struct err err = { 0 };
	struct buf layers SCOPED(buf_deinit) = BUF_INIT(2048);
	int rc;

	if (setup_load(&setup, options, SETUP_ASKING, &err) < 0 ||
	    bounds_open(broker, &bounds, &made, &err) < 0)
		return add(report, "sandbox", "in this folder", VERDICT_FAILED, err.text);
	rc = buf_printf(&layers, NULL, "%s",
			made.policy->layers.count ? "held by"
						  : "full access: nothing holds commands");
	for (size_t i = 0; rc == 0 && i < made.policy->layers.count; i++)
		rc = buf_printf(&layers, NULL, "%s %s", i ? "," : "", made.policy->layers.items[i]);
	if (rc == 0)
		rc = add(report, "sandbox", "in this folder", VERDICT_FINE, buf_str(&layers));
	for (size_t i = 0; rc == 0 && i < made.policy->missing.count; i++)
		rc = add(report, "sandbox", "not protected", VERDICT_WARNING,
			 made.policy->missing.items[i]);
	return rc;
}

static int check_broker(struct report *report, const struct options *options,
			const struct setup *setup)
{
	struct broker *broker SCOPED(broker_release) = NULL;
	const struct broker_self *self;
	struct broker_probe params = { 0 };
	struct broker_probe_result probes = { 0 };
	struct err err = { 0 };
	char detail[256];
	bool same;

	if (!setup->paths.runtime)
		return 0;
	if (start_broker(&broker, &setup->paths, true, &err) < 0)
		return add(report, "broker", "broker", VERDICT_FAILED, err.text);
	self = broker_self(broker);
	same = str_eq(self->build, AGENT_VERSION);
	(void)snprintf(detail, sizeof detail, "process %lld, version %.60s%s", (long long)self->pid,
		       self->build,
		       same ? ""
			    : "; this client is " AGENT_VERSION ": 'agent daemon stop' ends it");
	if (add(report, "broker", "broker", same ? VERDICT_FINE : VERDICT_WARNING, detail) < 0)
		return -1;
	if (add(report, "broker", "system service", VERDICT_FINE,
		setup->paths.service ? "serves this user" : NO_SERVICE) < 0)
		return -1;
	if (broker_call(broker, BROKER_METHOD_PROBE, &params, NULL, &probes, &err) < 0)
		return add(report, "sandbox", "probes", VERDICT_FAILED, err.text);
	return add_probes(report, &probes) < 0 ? -1 : check_sandbox(report, options, broker);
}

static int check_agentd(struct report *report, const struct setup *setup)
{
	struct broker *broker SCOPED(broker_release) = NULL;
	struct err err = { 0 };

	if (!setup->paths.runtime)
		return 0;
	if (start_daemon(&broker, &setup->paths, &err) < 0)
		return add(report, "daemon", "agentd", VERDICT_FAILED, err.text);
	return add(report, "daemon", "agentd", VERDICT_FINE, "runs, locked down, accepts clients");
}

static int print(const struct report *report)
{
	static const char *const marks[VERDICT_COUNT] = { "FAILED ", "warning", "ok     " };
	size_t i;
	json_t *check;

	json_array_foreach(report->checks, i, check) {
		struct buf line SCOPED(buf_deinit) = BUF_INIT(65536);
		const char *word = json_string_value(json_object_get(check, "verdict"));
		const char *detail = json_string_value(json_object_get(check, "detail"));
		size_t mark = 0;

		while (mark < VERDICT_FINE && !str_eq(word, verdict_words[mark]))
			mark++;
		if (buf_printf(&line, NULL, "%s  %-9s %-26s ", marks[mark],
			       json_string_value(json_object_get(check, "group")),
			       json_string_value(json_object_get(check, "name"))) < 0 ||
		    term_clean(&line, detail, strlen(detail), TERM_LINE, NULL) < 0 ||
		    puts(buf_str(&line)) < 0)
			return -1;
	}
	return 0;
}

static int examine(struct report *report, const struct options *options)
{
	struct setup setup SCOPED(setup_deinit) = { 0 };

	if (add(report, "programs", "agent", VERDICT_FINE, AGENT_VERSION) < 0 ||
	    check_programs(report) < 0 || check_paths(report, &setup) < 0 ||
	    check_settings(report, options) < 0 || check_broker(report, options, &setup) < 0)
		return -1;
	return check_agentd(report, &setup);
}

int cmd_doctor(const struct options *options)
{
	json_auto_t *checks = json_array();
	struct report report = { .checks = checks };
	int rc;

	if (options->word_count > 0)
		return command_fail(options, EXIT_USAGE,
				    "takes no words; see 'agent doctor --help'");
	if (!checks || examine(&report, options) < 0)
		return command_fail(options, EXIT_FAILED, "out of memory");
	if (options_has(options, OPTION_JSON))
		rc = json_dumpf(checks, stdout, JSON_INDENT(2)) < 0 || puts("") < 0 ? -1 : 0;
	else
		rc = print(&report);
	return rc < 0 || fflush(stdout) != 0 || report.failed ? EXIT_FAILED : EXIT_DONE;
}
