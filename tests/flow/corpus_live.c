/*
 * corpus_live.c - cases of more than one command: siblings, sessions, what outlives its command,
 * and what is refused before there is one.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "tests/flow/corpus.h"
#include "tests/support/fixture.h"

#define WHAT_MAX 65536

/* One script in a ceiling, and whether its answer is wanted. */
static void expect(struct corpus *corpus, const struct corpus_case *row, const char *ceiling,
		   const char *mode)
{
	struct buf what SCOPED(buf_deinit) = BUF_INIT(WHAT_MAX);
	struct broker_command command = { .out = -1 };
	char text[CORPUS_OUTPUT] = "";
	char answer[64] = "start";

	if (corpus_start(corpus, &command, ceiling, row->attempt, NULL))
		corpus_answer(answer, text, corpus_finish(corpus, &command, text));
	else
		(void)snprintf(text, sizeof text, "%s", corpus->client.err.text);
	if (!corpus_is_wanted(answer, row->want[0]))
		assert_int_equal(buf_printf(&what, NULL, "not %s: '%.200s' ", row->want[0], text),
				 0);
	victims_touched(&corpus->victims, row->may, &what);
	corpus_report(corpus, row->id, mode, answer, row->title, buf_str(&what));
}

static void kill_command(struct corpus *corpus, const struct broker_command *command, int signal)
{
	json_decref(broker_call(&corpus->client, "child/kill",
				json_pack("{s:s, s:i}", "child", command->child, "signal", signal),
				NULL, 0));
}

/* On the host, by a word of its arguments; 0: there is none. */
static pid_t find_process(const char *word)
{
	DIR *folder = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	while (folder && (entry = readdir(folder))) {
		struct buf text SCOPED(buf_deinit) = BUF_INIT(WHAT_MAX);
		char path[300];

		(void)snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    buf_read_file(&text, path, NULL) < 0 || text.len == 0)
			continue;
		if (memmem(text.data, text.len, word, strlen(word) + 1))
			found = (pid_t)strtoll(entry->d_name, NULL, 10);
	}
	if (folder)
		(void)closedir(folder);
	return found;
}

/* ------------------------------------------------------------------ siblings and sessions */

static void try_siblings(struct corpus *corpus)
{
	static const struct corpus_case rows[] = {
		{ "PR-03", "seize a sibling's command", "$P seize $SIBLING", { "D" } },
		{ "PR-03", "attach to a sibling's command", "$P attach $SIBLING", { "D" } },
		{ "PR-03", "write a sibling's memory", "$P vm_write $SIBLING", { "D" } },
		{ "OWN-50", "signal a sibling's command", "$P kill $SIBLING 9", { "D" } },
		{ "OWN-50", "a sibling's limits", "$P prlimit $SIBLING", { "D" } },
		{ "OWN-50", "a sibling's root", "$P list /proc/$SIBLING/root/", { "D" } },
		{ "OWN-50", "a sibling's descriptors", "$P list /proc/$SIBLING/fd", { "D" } },
		{ "OWN-50", "any sibling that a number reaches", "$P scan 64", { "D" } },
	};
	const char *ceiling = corpus->ceilings[CORPUS_WORKSPACE];
	struct broker_command sibling;
	char line[64];
	char text[CORPUS_OUTPUT];

	assert_true(
		corpus_start(corpus, &sibling, ceiling, "echo here; exec sleep 300.0421", NULL));
	broker_command_line(&sibling, line, sizeof line);
	do
		corpus->sibling = find_process("300.0421");
	while (corpus->sibling == 0 && kill(corpus->broker.pid, 0) == 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		expect(corpus, &rows[i], ceiling, "workspace");
	corpus_report(corpus, "OWN-50", "workspace", "-", "the sibling has outlived it",
		      kill(corpus->sibling, 0) == 0 ? "" : "it is gone");
	corpus->sibling = 0;
	kill_command(corpus, &sibling, SIGKILL);
	(void)corpus_finish(corpus, &sibling, text);
}

/* What one command serves, others of its session reach, and those of another one do not. */
static void try_sessions(struct corpus *corpus)
{
	char other[33];
	char line[64];
	char script[512];
	char text[CORPUS_OUTPUT];
	struct broker_command server;
	const struct corpus_case rows[] = {
		{ "NW-09", "TCP", script, { "OK" } },
		{ "NW-09", "an abstract socket", "$P stream @agent-corpus-served", { "OK" } },
		/* Which is refused to all but the command that has made it. */
		{ "NW-09", "a socket in the workspace", "$P stream $W/served.sock", { "*" } },
	};

	assert_true(corpus_ceiling(corpus, CORPUS_WORKSPACE, corpus->victims.at.work, NULL, other));
	assert_true(corpus_start(corpus, &server, corpus->ceilings[CORPUS_WORKSPACE],
				 "exec $P serve $W/served.sock", NULL));
	broker_command_line(&server, line, sizeof line);
	(void)snprintf(script, sizeof script, "$P tcp 127.0.0.1 %s", line);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct corpus_case refused = rows[i];

		refused.want[0] = "D";
		expect(corpus, &rows[i], corpus->ceilings[CORPUS_WORKSPACE], "same");
		expect(corpus, &refused, other, "another");
	}
	kill_command(corpus, &server, SIGKILL);
	(void)corpus_finish(corpus, &server, text);
	victims_tidy(&corpus->victims);
	json_decref(broker_must(&corpus->client, "ceiling/close",
				json_pack("{s:s}", "ceiling", other)));
}

/* ------------------------------------------------------------------ what outlives a command */

static void try_daemon(struct corpus *corpus, enum corpus_mode mode)
{
	char word[64];
	char script[256];
	char text[CORPUS_OUTPUT];
	struct broker_command command;

	(void)snprintf(word, sizeof word, "301.%d%d", (int)getpid(), (int)mode);
	(void)snprintf(
		script, sizeof script,
		"(setsid sh -c 'trap \"\" TERM HUP INT; exec sleep %s' &); (sleep %s &); echo x",
		word, word);
	assert_true(corpus_start(corpus, &command, corpus->ceilings[mode], script, NULL));
	(void)broker_command_finish(&command, &corpus->client, text, sizeof text);
	corpus_report(corpus, "RL-05", corpus_mode_names[mode], "-",
		      "a daemon that holds its output and ignores signals",
		      find_process(word) == 0 ? "" : "it is still there");
}

static void try_signals(struct corpus *corpus, enum corpus_mode mode)
{
	static const struct row {
		const char *id;
		const char *title;
		const char *script;
	} rows[] = {
		{ "RL-07", "a command that stops itself", "echo here; kill -STOP $$; echo on" },
		{ "RL-08", "a command that ignores signals",
		  "trap '' TERM HUP INT; echo here; while :; do sleep 1; done" },
		{ "RL-08", "a tree that ignores signals",
		  "trap '' TERM; for i in 1 2 3 4; do (while :; do sleep 1; done) & done; echo "
		  "here;"
		  "wait" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct broker_command command;
		char line[64];
		char answer[64];
		char text[CORPUS_OUTPUT];
		int code;

		assert_true(corpus_start(corpus, &command, corpus->ceilings[mode], rows[i].script,
					 NULL));
		broker_command_line(&command, line, sizeof line);
		kill_command(corpus, &command, SIGTERM);
		kill_command(corpus, &command, SIGKILL);
		code = corpus_finish(corpus, &command, text);
		(void)snprintf(answer, sizeof answer, "code %d", code);
		/* Stopped or not: what came first is what ended it. */
		corpus_report(corpus, rows[i].id, corpus_mode_names[mode], answer, rows[i].title,
			      code == 128 + SIGKILL || code == 128 + SIGTERM ? ""
									     : "it was not ended");
	}
}

/* ------------------------------------------------------------------ what is refused before */

static void try_roots(struct corpus *corpus)
{
	struct buf what SCOPED(buf_deinit) = BUF_INIT(WHAT_MAX);
	char link_home[700];
	const char *const roots[] = {
		"/", "/proc", "/sys", "/dev", corpus->broker.state, link_home
	};

	(void)snprintf(link_home, sizeof link_home, "%s/link-top", corpus->victims.at.top);
	assert_int_equal(symlink("/", link_home), 0);
	for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
		const char *list[] = { roots[i], NULL };
		char ceiling[33] = "";
		char title[800];
		bool opened = corpus_ceiling(corpus, CORPUS_WORKSPACE, corpus->victims.at.work,
					     list, ceiling);

		(void)snprintf(title, sizeof title, "a root '%s'", roots[i]);
		corpus_report(corpus, "FS-21", "workspace",
			      opened ? "OK" : err_code_name(corpus->client.err.code), title,
			      opened ? "it was accepted" : "");
		if (opened)
			json_decref(broker_must(&corpus->client, "ceiling/close",
						json_pack("{s:s}", "ceiling", ceiling)));
	}
	victims_touched(&corpus->victims, 0, &what);
	assert_string_equal(buf_str(&what), "");
}

static void try_argv(struct corpus *corpus)
{
	static const struct row {
		const char *title;
		const char *argv; /* JSON */
		const char *want;
	} rows[] = {
		{ "no arguments", "[]", "invalid|limit" },
		{ "an empty name", "[\"\"]", "notfound|invalid|denied" },
		{ "a NUL in a name", "[\"sh\\u0000x\"]", "invalid|gone" },
		{ "a NUL in an argument", "[\"sh\", \"a\\u0000b\"]", "invalid|gone" },
		{ "a folder", "[\"/tmp\"]", "denied" },
		{ "a file that nobody may execute", "[\"/etc/passwd\"]", "denied" },
		{ "a device", "[\"/dev/null\"]", "denied" },
		{ "a way through a file", "[\"/etc/passwd/x\"]", "notfound|denied" },
		{ "a script without an interpreter", "[\"@/work/no-interpreter\"]",
		  "notfound|denied" },
		{ "a program of no format", "[\"@/work/no-format\"]", "denied|OK" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct broker_client client;
		char ceiling[33];
		char name[800];
		json_t *argv = json_loads(rows[i].argv, JSON_ALLOW_NUL, NULL);
		const char *word = json_string_value(json_array_get(argv, 0));
		int null SCOPED(fd_close) = open("/dev/null", O_RDWR | O_CLOEXEC);
		json_auto_t *result = NULL;

		assert_non_null(argv);
		broker_client_open(&client, &corpus->broker); /* which a violation may end */
		broker_client_ceiling(&client, &corpus->broker, "read-only", false, ceiling);
		(void)snprintf(name, sizeof name, "%s%s", corpus->victims.at.top,
			       word && *word ? word + 1 : "");
		if (word && word[0] == '@')
			(void)json_array_set_new(argv, 0, json_string(name));
		result = broker_call(&client, "child/start",
				     json_pack("{s:s, s:o}", "ceiling", ceiling, "argv", argv),
				     (const int[]){ null, null, null }, 3);
		corpus_report(corpus, "BR-03", "read-only",
			      result ? "OK" : err_code_name(client.err.code), rows[i].title,
			      corpus_is_wanted(result ? "OK" : err_code_name(client.err.code),
					       rows[i].want)
				      ? ""
				      : "it was started, or refused in another way");
		broker_client_close(&client);
	}
}

/* As nobody's friend: root alone can try it. */
static void try_other_user(struct corpus *corpus)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int status = 0;
	pid_t pid;

	if (geteuid() != 0)
		return;
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%.90s/broker.sock",
		       corpus->broker.runtime);
	pid = fork();
	if (pid == 0) {
		int fd = setresuid(65534, 65534, 65534) == 0
				 ? socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)
				 : -1;
		char byte;

		_exit(fd >= 0 &&
		      connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
		      recv(fd, &byte, 1, 0) > 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	corpus_report(corpus, "BR-04", "-", status == 0 ? "refused" : "served",
		      "another user connects", status == 0 ? "" : "it was served");
}

static void try_folders(struct corpus *corpus)
{
	char folder[700];
	char ceiling[33];
	const struct corpus_case unwritable = {
		"PP-26", "a folder that is no repository", "echo '= OK'", { "OK" }
	};
	const struct corpus_case below = {
		"PP-25",
		"git finds the repository above the workspace",
		"command -v git >/dev/null || { echo '= OK'; exit; };"
		" test \"$(git rev-parse --show-toplevel 2>&1)\" = \"$T/repository\" && echo '= "
		"OK' ||"
		" { git rev-parse --show-toplevel; ls -la; echo '= EIO'; }",
		{ "OK" }
	};

	(void)snprintf(folder, sizeof folder, "%s/repository/below", corpus->victims.at.top);
	assert_true(corpus_ceiling(corpus, CORPUS_WORKSPACE, "/usr/share", NULL, ceiling));
	expect(corpus, &unwritable, ceiling, "workspace");
	assert_true(corpus_ceiling(corpus, CORPUS_WORKSPACE, folder, NULL, ceiling));
	expect(corpus, &below, ceiling, "workspace");
}

void corpus_run_live(struct corpus *corpus)
{
	static const enum corpus_mode modes[] = { CORPUS_READ_ONLY, CORPUS_WORKSPACE, CORPUS_ONLINE,
						  CORPUS_LEGACY, CORPUS_FULL };

	try_siblings(corpus);
	try_sessions(corpus);
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		if (corpus->ceilings[modes[i]][0] == '\0')
			continue;
		try_daemon(corpus, modes[i]);
		try_signals(corpus, modes[i]);
	}
	try_roots(corpus);
	try_argv(corpus);
	try_other_user(corpus);
	try_folders(corpus);
}
