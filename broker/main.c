/*
 * main.c - agent-broker: options, start checks, the socket; then broker_run().
 */
#include "proto/base/args.h"
#include "proto/sys/call.h"
#include "proto/sys/cgroup.h"
#include "proto/sys/harden.h"
#include "proto/wire/listen.h"

#include "broker/broker.h"
#include "broker/monitor.h"

#define SYSTEM_RUNTIME "/run/agentd" /* a folder for each user below it */
#define SOCKET "broker.sock"
#define DESCRIPTORS 8192 /* wanted: peers, three for each command, sandboxes */

/* Where readiness is told: "ok", or the sentence why not. -1 when nobody waits. */
static int ready_fd = -1;

static const char usage[] =
	"usage: agent-broker --runtime DIR --state DIR --config DIR --agentd FILE [--ready-fd N]\n"
	"           [--no-lockdown]  agentd does not lock itself down\n"
	"           [--idle-ms N]    end after so long without connection, agentd and command (ten "
	"minutes)\n"
	"       agent-broker --user NAME --agentd FILE ...  as root: the folders are NAME's, by "
	"default\n"
	"           " SYSTEM_RUNTIME "/NAME, and .local/state/agentd and .config/agentd at home\n"
	"           [--requirements FILE]  limits for a test, where " LIMITS_FILE " does not exist";

static struct account account; /* of system mode */

/* Those that are not given. The one for sockets is made, unless the service manager has made it. */
static int user_folders(const char **values, const char *user, struct err *err)
{
	static char paths[BROKER_FOLDERS][BROKER_PATH_MAX + 1];

	if (geteuid() != 0)
		return ERR_SET(err, ERR_DENIED, "--user: only root can start it so");
	if (account_find(&account, user, err) < 0)
		return err->code;
	(void)snprintf(paths[0], sizeof paths[0], SYSTEM_RUNTIME "/%s", user);
	(void)snprintf(paths[1], sizeof paths[1], "%s/.local/state/agentd", account.home);
	(void)snprintf(paths[2], sizeof paths[2], "%s/.config/agentd", account.home);
	for (size_t i = 0; i < BROKER_FOLDERS; i++)
		values[i] = values[i] ? values[i] : paths[i];
	if (!str_eq(values[0], paths[0]))
		return 0;
	(void)mkdir(SYSTEM_RUNTIME, 0755);
	if (mkdir(paths[0], 0700) == 0 && chown(paths[0], account.uid, account.gid) < 0)
		return ERR_SYS(err, errno, "chown '%s'", paths[0]);
	return 0;
}

static int parse_options(struct broker_options *out, char *const argv[], struct err *err)
{
	const struct arg args[] = {
		{ "--runtime", .text = &out->folders[BROKER_RUNTIME] },
		{ "--state", .text = &out->folders[BROKER_STATE] },
		{ "--config", .text = &out->folders[BROKER_CONFIG] },
		{ "--agentd", .text = &out->agentd },
		{ "--ready-fd", .number = &ready_fd, .low = 3, .high = 1023 },
		{ "--idle-ms", .number = &out->idle_ms, .low = 1, .high = INT32_MAX },
		{ "--requirements", .text = &out->requirements },
		{ "--user", .text = &out->user },
		{ "--no-lockdown", .flag = &out->no_lockdown },
	};

	out->idle_ms = BROKER_IDLE_MS;
	if (args_parse(args, ARRAY_LEN(args), argv, err) < 0)
		return err->code;
	if (out->requirements && out->user)
		return ERR_SET(err, ERR_DENIED, "--requirements: not with --user");
	if (out->user && user_folders(out->folders, out->user, err) < 0)
		return err->code;
	for (size_t i = 0; i < BROKER_FOLDERS + 1; i++) {
		if (!*args[i].text || (*args[i].text)[0] != '/')
			return ERR_SET(err, ERR_INVALID, "%s: needs an absolute path",
				       args[i].name);
	}
	return 0;
}

static void tell_ready(const char *word)
{
	if (ready_fd >= 0 && dprintf(ready_fd, "%s\n", word) < 0)
		log_warn("ready", "why='nobody waits for it'");
	fd_close(&ready_fd);
}

/* What needs root's rights, and the end of them. */
static int split(struct broker *broker, struct err *err)
{
	const struct requirements *rules = &broker->limits.rules;
	static struct system_mode system;
	uid_t uid = broker->options.user ? account.uid : getuid();

	if (limits_load(&broker->limits, broker->options.requirements, uid, err) < 0)
		return err->code;
	cgroup_start(-1, (int64_t[]){ rules->pids, rules->memory_mib, rules->cpu_percent });
	if (!broker->options.user)
		return 0;
	system = (struct system_mode){ .account = &account,
				       .limits = &broker->limits,
				       .hidden = broker->options.folders,
				       .hidden_count = BROKER_FOLDERS,
				       .ready_fd = ready_fd };
	return monitor_start(&system, err);
}

static int serve(struct broker *broker, struct err *err)
{
	static const int handled[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP };
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	const char *runtime = broker->options.folders[BROKER_RUNTIME];
	int folder SCOPED(fd_close) = -1; /* held while the broker lives */
	bool activated;
	int rc;

	if (harden_memory(err) < 0 || harden_parent(DESCRIPTORS, err) < 0 ||
	    listen_inherited(&broker->listener, err) < 0 || split(broker, err) < 0)
		return err->code;
	activated = broker->listener >= 0;
	for (size_t i = 0; i < BROKER_FOLDERS; i++) {
		if (listen_check_folder(broker->options.folders[i], err) < 0)
			return err->code;
	}
	if (listen_hold(&folder, runtime, err) < 0 ||
	    CHECK(err, sigaction(SIGPIPE, &ignore, NULL), "ignore SIGPIPE") < 0 ||
	    fd_signals(&broker->signals, handled, ARRAY_LEN(handled), err) < 0 ||
	    (!activated && listen_in(&broker->listener, folder, SOCKET, err) < 0))
		return err->code;
	if (broker->options.no_lockdown && limits_allow_no_lockdown(&broker->limits, err) < 0)
		return ERR_WRAP(err, "--no-lockdown");
	if (record_open(broker, err) < 0)
		return err->code;
	if (broker->options.no_lockdown)
		log_warn("no_lockdown", "agentd will NOT lock itself down");
	log_info("start", "runtime='%s' user='%s' version=%s", runtime,
		 broker->options.user ? broker->options.user : "", AGENT_VERSION);
	tell_ready("ok");
	rc = broker_run(broker, err);
	if (!activated)
		(void)unlinkat(folder, SOCKET, 0);
	if (!broker->options.user)
		cgroup_sweep(true);
	return rc;
}

int main(int argc, char *argv[])
{
	static struct broker broker;
	struct err err = { 0 };
	int rc;

	if (argc == 2 && str_eq(argv[1], "--help"))
		return puts(usage) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	log_open("agent-broker", LOG_INFO);
	rc = parse_options(&broker.options, argv, &err) < 0 ? (int)err.code : serve(&broker, &err);
	log_event(rc < 0 ? LOG_ERROR : LOG_INFO, "end", "why='%s'",
		  rc < 0 ? err.text : "nothing is left to do");
	tell_ready(err.text);
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
