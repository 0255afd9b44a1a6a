/*
 * corpus_races.c - the host changes what a sandbox rests on while a command of it runs; and the
 * broker is killed.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"

#include "tests/flow/corpus.h"
#include "tests/support/fixture.h"
#include "tests/support/leak.h"

#define WHAT_MAX 65536
#define REPLACEMENTS 200

static void path_in(char *out, size_t size, const char *folder, const char *name)
{
	(void)snprintf(out, size, "%s/%s", folder, name);
}

/* A folder with a .git that has hooks and a configuration. */
static void make_repository(const struct corpus *corpus, const char *name, char *out, size_t size)
{
	static const char *const folders[] = { "", "/.git", "/.git/hooks" };
	char path[1000];
	int fd;

	path_in(out, size, corpus->victims.at.top, name);
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		(void)snprintf(path, sizeof path, "%s%s", out, folders[i]);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	path_in(path, sizeof path, out, ".git/config");
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(write(fd, "[core]\n", 7), 7);
	fd_close(&fd);
}

static bool exists(const char *folder, const char *name)
{
	char path[1000];
	struct stat st;

	path_in(path, sizeof path, folder, name);
	return lstat(path, &st) == 0;
}

static void end(struct corpus *corpus, struct broker_command *command)
{
	char text[CORPUS_OUTPUT];

	json_decref(broker_call(&corpus->client, "child/kill",
				json_pack("{s:s, s:i}", "child", command->child, "signal", SIGKILL),
				NULL, 0));
	(void)corpus_finish(corpus, command, text);
}

/* How the host takes the protected folder away. */
static void take_away(const char *folder, int way)
{
	static const char *const scripts[] = { "mv .git gone", "rm -rf .git",
					       "mkdir new && mv -T new moved && mv .git moved/x" };
	char *argv[] = { (char[]){ "sh" }, (char[]){ "-c" }, (char *)(uintptr_t)scripts[way],
			 NULL };
	int status = 1;
	pid_t pid = fork();

	if (pid == 0) {
		if (chdir(folder) == 0)
			(void)execvp("sh", argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* PP-08: a mount over a folder goes when the folder goes. */
static void try_removal(struct corpus *corpus, int way)
{
	static const char *const titles[] = { "the host moves .git away while one tries to make it",
					      "the host removes .git while one tries to make it",
					      "the host moves .git into another folder" };
	struct broker_command command;
	char name[32];
	char folder[700];
	char ceiling[33];
	char line[64];
	char text[CORPUS_OUTPUT];
	int code;

	(void)snprintf(name, sizeof name, "removal%d", way);
	make_repository(corpus, name, folder, sizeof folder);
	assert_true(corpus_ceiling(corpus, CORPUS_WORKSPACE, folder, NULL, ceiling));
	assert_true(corpus_start(corpus, &command, ceiling,
				 "echo here; while :; do mkdir -p .git/hooks && echo x "
				 ">.git/hooks/pre-commit; done 2>/dev/null",
				 NULL));
	broker_command_line(&command, line, sizeof line);
	take_away(folder, way);
	code = corpus_finish(corpus, &command, text);
	(void)snprintf(line, sizeof line, "code %d", code);
	corpus_report(corpus, "PP-08", "workspace", line, titles[way],
		      code == CORPUS_ENDED                      ? "the command was not ended"
		      : exists(folder, ".git/hooks/pre-commit") ? "there is a hook on the host"
								: "");
	json_decref(broker_must(&corpus->client, "ceiling/close",
				json_pack("{s:s}", "ceiling", ceiling)));
}

/* PP-09: what the host does in .git by renaming opens nothing. */
static void try_replacement(struct corpus *corpus)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(WHAT_MAX);
	struct broker_command command;
	char folder[700];
	char config[1000];
	char next[1000];
	char ceiling[33];
	char line[64];

	make_repository(corpus, "replacement", folder, sizeof folder);
	path_in(config, sizeof config, folder, ".git/config");
	path_in(next, sizeof next, folder, ".git/config.lock");
	assert_true(corpus_ceiling(corpus, CORPUS_WORKSPACE, folder, NULL, ceiling));
	assert_true(corpus_start(corpus, &command, ceiling,
				 "echo here; while :; do echo escaped >>.git/config; echo x "
				 ">.git/hooks/pre-commit; done 2>/dev/null",
				 NULL));
	broker_command_line(&command, line, sizeof line);
	for (int i = 0; i < REPLACEMENTS; i++) {
		int fd = open(next, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

		assert_int_equal(write(fd, "[core]\n", 7), 7);
		fd_close(&fd);
		assert_int_equal(rename(next, config), 0);
	}
	end(corpus, &command);
	assert_int_equal(buf_read_file(&text, config, NULL), 0);
	corpus_report(corpus, "PP-09", "workspace", "-",
		      "the host replaces git's configuration while one writes it",
		      strcmp(buf_str(&text), "[core]\n") != 0   ? "it was written"
		      : exists(folder, ".git/hooks/pre-commit") ? "there is a hook on the host"
								: "");
}

/* PP-06: nothing appears on the host for the names, also while a command runs. */
static void try_phantoms(struct corpus *corpus)
{
	static const char *const names[] = { ".git", ".agents", ".agentd", ".codex" };
	struct broker_command command;
	char line[64];
	bool seen = false;

	assert_true(corpus_start(corpus, &command, corpus->ceilings[CORPUS_WORKSPACE],
				 "echo here; exec sleep 300", NULL));
	broker_command_line(&command, line, sizeof line);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		seen = seen || exists(corpus->victims.at.bare, names[i]);
	corpus_report(corpus, "PP-06", "workspace", "-", "no folder appears for a protected name",
		      seen ? "there is one" : "");
	end(corpus, &command);
}

/* PP-06: the host makes the folder itself while a command runs; it stays the host's. */
static void try_own_repository(struct corpus *corpus)
{
	struct broker_command command;
	char folder[700];
	char path[1000];
	char into[1000];
	char ceiling[33];
	char line[64];

	path_in(folder, sizeof folder, corpus->victims.at.top, "fresh");
	assert_int_equal(mkdir(folder, 0755), 0);
	assert_true(corpus_ceiling(corpus, CORPUS_WORKSPACE, folder, NULL, ceiling));
	assert_true(corpus_start(corpus, &command, ceiling,
				 "echo here; while :; do echo x >.git/config; done 2>/dev/null",
				 NULL));
	broker_command_line(&command, line, sizeof line);
	path_in(path, sizeof path, folder, "incoming");
	assert_int_equal(mkdir(path, 0755), 0);
	path_in(path, sizeof path, folder, "incoming/kept");
	assert_int_equal(mkdir(path, 0755), 0);
	path_in(path, sizeof path, folder, "incoming");
	path_in(into, sizeof into, folder, ".git");
	assert_int_equal(rename(path, into), 0);
	end(corpus, &command);
	corpus_report(corpus, "PP-06", "workspace", "-",
		      "the host makes .git while a command runs: it stays",
		      exists(folder, ".git/kept") ? "" : "it is gone");
}

void corpus_run_races(struct corpus *corpus)
{
	for (int way = 0; way < 3; way++)
		try_removal(corpus, way);
	try_replacement(corpus);
	try_phantoms(corpus);
	try_own_repository(corpus);
}

/* ------------------------------------------------------------------ RL-09 */

/* What runs when the broker dies. */
static const struct death {
	const char *title;
	const char *mode;
	const char *script; /* NULL: nothing */
} deaths[] = {
	{ "nothing runs", "workspace-write", NULL },
	{ "a command runs", "read-only", "echo here; exec sleep 300" },
	{ "a command runs", "workspace-write", "echo here; exec sleep 300" },
	{ "a command runs", "danger-full-access", "echo here; exec sleep 300" },
	{ "a daemon runs that ignores signals", "workspace-write",
	  "trap '' TERM HUP; (setsid sh -c 'trap \"\" TERM HUP; sleep 300; :' &); echo here; sleep "
	  "300" },
	{ "a daemon runs that ignores signals", "danger-full-access",
	  "trap '' TERM HUP; (setsid sh -c 'trap \"\" TERM HUP; sleep 300; :' &); echo here; sleep "
	  "300" },
	{ "a command is stopped", "workspace-write", "echo here; kill -STOP $$" },
	{ "a tree forks all the time", "workspace-write",
	  "echo here; for i in 1 2 3; do (while :; do (:); done) & done; wait" },
	{ "a root without .git is written all the time", "workspace-write",
	  "echo here; while :; do mkdir .git; : >.git; ln -s x .git; done 2>/dev/null" },
};

static void run_death(struct corpus *corpus, const struct death *death)
{
	struct buf what SCOPED(buf_deinit) = BUF_INIT(LEAK_TEXT_MAX);
	const char *watched[] = { corpus->broker.work, NULL };
	struct broker_command command = { .out = -1 };
	struct leak leak;
	char ceiling[33];
	char line[64];

	test_broker_start(&corpus->broker, NULL);
	broker_client_open(&corpus->client, &corpus->broker);
	broker_client_ceiling(&corpus->client, &corpus->broker, death->mode, false, ceiling);
	leak_before(&leak, watched);
	if (death->script) {
		const char *const argv[] = { "sh", "-c", death->script, NULL };

		assert_true(broker_command_start(&command, &corpus->client, ceiling, argv));
		broker_command_line(&command, line, sizeof line);
	}
	assert_int_equal(kill(corpus->broker.pid, SIGKILL), 0);
	assert_int_equal(waitpid(corpus->broker.pid, NULL, 0), corpus->broker.pid);
	leak_after(&leak, NULL, 0, &what);
	corpus_report(corpus, "RL-09", death->mode, "-", death->title, buf_str(&what));
	fd_close(&command.out);
	broker_client_close(&corpus->client);
}

void corpus_run_deaths(struct corpus *corpus)
{
	for (size_t i = 0; i < ARRAY_LEN(deaths); i++)
		run_death(corpus, &deaths[i]);
}
