/*
 * Every attempt to leave the sandbox that we know of, made in each mode by a real command of the
 * real broker: as root and as an ordinary account when the test runs as root. One line for each
 * case and mode says what was tried, what the kernel answered and whether anything has happened on
 * the host.
 */
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "tests/flow/corpus.h"
#include "tests/support/fixture.h"

#define COMMAND_WAIT_MS 20000
#define FIRST_PERSON 1000 /* uid of the first ordinary account */
#define NOBODY 65534

const char *const corpus_mode_names[CORPUS_MODE_COUNT] = { "read-only", "workspace", "online",
							   "legacy", "full" };

static const char *const sandbox_modes[CORPUS_MODE_COUNT] = { "read-only", "workspace-write",
							      "workspace-write", "workspace-write",
							      "danger-full-access" };

static size_t done;
static size_t failed;
static size_t absent;

void corpus_report(const struct corpus *corpus, const char *id, const char *mode,
		   const char *answer, const char *title, const char *what)
{
	done++;
	failed += what[0] != '\0';
	printf("%s %-7s %-8s %-9s %-14s %s%s%s\n", what[0] ? "FAIL" : "  ok", id, corpus->account,
	       mode, answer, title, what[0] ? ": " : "", what);
	(void)fflush(stdout);
}

bool corpus_is_wanted(const char *answer, const char *wanted)
{
	size_t length = strlen(answer);

	for (const char *at = wanted; at; at = strchr(at, '|')) {
		size_t size;

		at += *at == '|';
		size = strcspn(at, "|");
		if ((size == 1 && *at == '*') || (size == length && memcmp(at, answer, size) == 0))
			return true;
		if (size == 1 && *at == 'D' && !str_eq(answer, "OK"))
			return true;
		if (size == 1 && *at == 'U' && (geteuid() == 0 || !str_eq(answer, "OK")))
			return true;
	}
	return false;
}

static const char *wanted(const struct corpus_case *row, enum corpus_mode mode)
{
	const char *workspace = row->want[CORPUS_WORKSPACE] ? row->want[CORPUS_WORKSPACE]
							    : row->want[CORPUS_READ_ONLY];

	if (row->want[mode])
		return row->want[mode];
	if (mode == CORPUS_WORKSPACE || mode == CORPUS_ONLINE)
		return workspace;
	if (mode == CORPUS_LEGACY)
		return corpus_is_wanted("OK", workspace) ? "*" : "D";
	return "-";
}

/* ------------------------------------------------------------------ the rig */

static bool layer(const json_t *policy, const char *name)
{
	size_t i;
	const json_t *entry;

	json_array_foreach(json_object_get(policy, "layers"), i, entry) {
		if (str_eq(json_string_value(entry), name))
			return true;
	}
	return false;
}

bool corpus_ceiling(struct corpus *corpus, enum corpus_mode mode, const char *cwd,
		    const char *const *roots, char *out)
{
	json_t *list = json_array();
	json_t *params =
		json_pack("{s:s, s:s, s:b, s:b, s:b, s:[s]}", "mode", sandbox_modes[mode], "cwd",
			  cwd, "network", mode == CORPUS_ONLINE, "exclude_slash_tmp", true,
			  "exclude_tmpdir", true, "env", "PATH=/usr/local/bin:/usr/bin:/bin");
	json_auto_t *result = NULL;

	for (size_t i = 0; roots && roots[i] && str_eq(sandbox_modes[mode], "workspace-write"); i++)
		(void)json_array_append_new(list, json_string(roots[i]));
	(void)json_object_set_new(params, "roots", list);
	if (mode == CORPUS_LEGACY)
		(void)json_object_set_new(params, "legacy_landlock", json_true());
	result = broker_call(&corpus->client, "ceiling/open", params, NULL, 0);
	if (!result)
		return false;
	if (mode == CORPUS_LEGACY && layer(json_object_get(result, "policy"), "namespaces"))
		return false;
	(void)snprintf(out, 33, "%s", json_string_value(json_object_get(result, "ceiling")));
	return true;
}

static void open_modes(struct corpus *corpus)
{
	const struct victim_folders *at = &corpus->victims.at;
	char sub[700];
	char alias[700];
	char hostile[700];
	char closed[700];
	const char *roots[] = { at->bare, at->tree, at->linked, sub, alias, hostile, closed, NULL };

	(void)snprintf(sub, sizeof sub, "%s/sub", at->work);
	(void)snprintf(alias, sizeof alias, "%s/alias", at->top);
	(void)snprintf(hostile, sizeof hostile, "%s/hostile", at->top);
	(void)snprintf(closed, sizeof closed, "%s/closed", at->top);
	for (enum corpus_mode mode = 0; mode < CORPUS_MODE_COUNT; mode++) {
		if (corpus_ceiling(corpus, mode, at->work, roots, corpus->ceilings[mode]))
			continue;
		corpus->ceilings[mode][0] = '\0';
		if (mode != CORPUS_LEGACY)
			fail_msg("%s: %s", corpus_mode_names[mode], corpus->client.err.text);
		printf("     there is no %s mode here: %s\n", corpus_mode_names[mode],
		       corpus->client.err.text);
	}
}

void corpus_open(struct corpus *corpus)
{
	(void)setenv("AGENT_TEST_SECRET", "agent-victim-secret", 1);
	corpus->account = getenv("AGENT_TEST_SYSTEM") ? "system"
			  : geteuid() == 0            ? "root"
						      : "person";
	(void)snprintf(corpus->probe, sizeof corpus->probe, "%s/corpus_probe",
		       getenv("AGENT_TEST_FAKE"));
	test_broker_start(&corpus->broker, NULL);
	victims_open(&corpus->victims, corpus->broker.home);
	broker_client_open(&corpus->client, &corpus->broker);
	open_modes(corpus);
	victims_bind_late(&corpus->victims);
}

void corpus_close(struct corpus *corpus)
{
	broker_client_close(&corpus->client);
	assert_int_equal(test_broker_stop(&corpus->broker), 0);
	victims_close(&corpus->victims);
}

/* ------------------------------------------------------------------ one case */

static void add(json_t *env, const char *name, const char *value)
{
	char text[1200];

	(void)snprintf(text, sizeof text, "%s=%s", name, value);
	(void)json_array_append_new(env, json_string(text));
}

static void add_number(json_t *env, const char *name, long value)
{
	char text[32];

	(void)snprintf(text, sizeof text, "%ld", value);
	add(env, name, text);
}

static json_t *variables(const struct corpus *corpus)
{
	const struct victims *victims = &corpus->victims;
	json_t *env = json_array();
	char abstract[64];

	(void)snprintf(abstract, sizeof abstract, "@agent-test-%d.", (int)getpid());
	add(env, "P", corpus->probe);
	add(env, "T", victims->at.top);
	add(env, "W", victims->at.work);
	add(env, "B", victims->at.bare);
	add(env, "K", victims->at.tree);
	add(env, "L", victims->at.linked);
	add(env, "O", victims->at.outside);
	add(env, "RUN", corpus->broker.runtime);
	add(env, "STATE", corpus->broker.state);
	add(env, "CONFIG", corpus->broker.config);
	add(env, "HOME", getenv("HOME") ? getenv("HOME") : "/");
	add(env, "ADDR", victims->address);
	add(env, "ABS", abstract);
	add(env, "NAME", victims->shared);
	add(env, "PTS", victims->slave);
	add_number(env, "PID", victims->process);
	add_number(env, "SIBLING", corpus->sibling ? corpus->sibling : victims->process);
	add_number(env, "BROKER", corpus->broker.pid);
	add_number(env, "PORT", victims->port_tcp);
	add_number(env, "UDP", victims->port_udp);
	add_number(env, "SHM", victims->shm);
	add_number(env, "SEM", victims->sem);
	add_number(env, "MSG", victims->msg);
	if (victims->port_tcp6)
		add_number(env, "PORT6", victims->port_tcp6);
	return env;
}

static int open_input(const struct corpus *corpus, enum corpus_input input, int *other)
{
	char path[700];
	int pair[2];

	*other = -1;
	if (input == INPUT_TERMINAL)
		return fcntl(corpus->victims.slave_fd, F_DUPFD_CLOEXEC, 3);
	if (input == INPUT_SOCKET) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		*other = pair[1];
		return pair[0];
	}
	(void)snprintf(path, sizeof path, "%s/file", corpus->victims.at.outside);
	return open(input == INPUT_FILE ? path : "/dev/null", O_RDWR | O_CLOEXEC);
}

/* With the input that it wants. */
static bool start_with(struct corpus *corpus, struct broker_command *command, const char *ceiling,
		       const struct corpus_case *row)
{
	int other SCOPED(fd_close) = -1;
	int input SCOPED(fd_close) = open_input(corpus, row->input, &other);
	json_auto_t *result = NULL;
	json_t *params;
	char script[2048];
	char cwd[1200];
	int ends[2];
	struct err err = { 0 };

	(void)snprintf(script, sizeof script, row->attempt[0] == '!' ? "%s" : "exec $P %s",
		       row->attempt + (row->attempt[0] == '!'));
	params = json_pack("{s:s, s:[sss], s:o}", "ceiling", ceiling, "argv", "sh", "-c", script,
			   "env", variables(corpus));
	if (row->cwd) {
		(void)snprintf(cwd, sizeof cwd, "%s%s",
			       row->cwd[0] == '@' ? corpus->victims.at.top : "",
			       row->cwd + (row->cwd[0] == '@'));
		(void)json_object_set_new(params, "cwd", json_string(cwd));
	}
	assert_int_equal(fd_pipe(ends, &err), 0);
	result = broker_call(&corpus->client, "child/start", params,
			     (const int[]){ input, ends[1], ends[1] }, 3);
	fd_close(&ends[1]);
	command->out = ends[0];
	if (!result) {
		fd_close(&command->out);
		return false;
	}
	(void)snprintf(command->child, sizeof command->child, "%s",
		       json_string_value(json_object_get(result, "child")));
	return true;
}

bool corpus_start(struct corpus *corpus, struct broker_command *command, const char *ceiling,
		  const char *script, const char *cwd)
{
	char attempt[2048];
	struct corpus_case row = { .attempt = attempt, .cwd = cwd };

	(void)snprintf(attempt, sizeof attempt, "!%s", script);
	return start_with(corpus, command, ceiling, &row);
}

int corpus_finish(struct corpus *corpus, struct broker_command *command, char text[CORPUS_OUTPUT])
{
	struct pollfd more = { .fd = command->out, .events = POLLIN };
	char rest[64];
	size_t used = 0;
	ssize_t got = 1;
	int code;

	while (got > 0 && used + 1 < CORPUS_OUTPUT && poll(&more, 1, COMMAND_WAIT_MS) > 0) {
		got = read(command->out, text + used, CORPUS_OUTPUT - 1 - used);
		used += got > 0 ? (size_t)got : 0;
	}
	text[used] = '\0';
	if (got > 0) {
		print_error("a command that does not end, or writes too much, is ended\n");
		json_decref(broker_call(
			&corpus->client, "child/kill",
			json_pack("{s:s, s:i}", "child", command->child, "signal", SIGKILL), NULL,
			0));
	}
	code = broker_command_finish(command, &corpus->client, rest, sizeof rest);
	return got > 0 ? CORPUS_ENDED : code;
}

/* The word behind the last "= " that begins a line, and what follows it. */
void corpus_answer(char out[64], const char *text, int code)
{
	const char *at = strncmp(text, "= ", 2) == 0 ? text : NULL;

	for (const char *next = text; (next = strstr(next, "\n= ")); next++)
		at = next + 1;
	if (at)
		(void)sscanf(at + 2, "%63s", out);
	else if (code > 128)
		(void)snprintf(out, 64, "KILLED");
	else
		(void)snprintf(out, 64, "EXIT");
}

static void run_case(struct corpus *corpus, const struct corpus_case *row, enum corpus_mode mode)
{
	const char *want = wanted(row, mode);
	struct buf what SCOPED(buf_deinit) = BUF_INIT(CORPUS_OUTPUT);
	struct broker_command command = { .out = -1 };
	char text[CORPUS_OUTPUT] = "";
	char answer[64];
	unsigned may = 0;

	if (str_eq(want, "-"))
		return;
	if (corpus->ceilings[mode][0] == '\0') {
		absent++;
		return;
	}
	if (start_with(corpus, &command, corpus->ceilings[mode], row)) {
		int code = corpus_finish(corpus, &command, text);

		corpus_answer(answer, text, code);
	} else {
		(void)snprintf(answer, sizeof answer, "start:%s",
			       err_code_name(corpus->client.err.code));
		(void)snprintf(text, sizeof text, "%s", corpus->client.err.text);
	}
	if (!corpus_is_wanted(answer, want))
		assert_int_equal(buf_printf(&what, NULL, "not %s: '%.200s' ", want, text), 0);
	if (corpus_is_wanted("OK", want))
		may = row->may;
	victims_touched(&corpus->victims, may, &what);
	victims_tidy(&corpus->victims);
	corpus_report(corpus, row->id, corpus_mode_names[mode], answer, row->title, buf_str(&what));
}

static void run_table(struct corpus *corpus, const struct corpus_table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		for (enum corpus_mode mode = 0; mode < CORPUS_MODE_COUNT; mode++)
			run_case(corpus, &table->cases[i], mode);
	}
}

/* ------------------------------------------------------------------ all of it */

static void a_victim_notices_what_happens_to_it(void **state)
{
	struct victims victims;

	(void)state;
	victims_open(&victims, fixture_dir());
	victims_self_test(&victims);
	victims_close(&victims);
}

static void no_attempt_of_the_corpus_leads_out(void **state)
{
	static const struct corpus_table *const tables[] = { &corpus_files,     &corpus_protected,
							     &corpus_processes, &corpus_kernel,
							     &corpus_sockets,   &corpus_others,
							     &corpus_deputy };
	static struct corpus corpus;

	(void)state;
	done = failed = absent = 0;
	corpus_open(&corpus);
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		run_table(&corpus, tables[i]);
	corpus_run_live(&corpus);
	corpus_run_races(&corpus);
	corpus_close(&corpus);
	corpus_run_deaths(&corpus);
	printf("     %zu attempts as %s, %zu of them must not have gone as they went; %zu more for "
	       "modes that this host lacks\n",
	       done, corpus.account, failed, absent);
	assert_int_equal(failed, 0);
}

static void what_is_not_here_is_tested_elsewhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < corpus_elsewhere_count; i++) {
		const struct corpus_elsewhere *row = &corpus_elsewhere[i];
		struct buf text SCOPED(buf_deinit) = BUF_INIT(1048576);
		char path[256];

		(void)snprintf(path, sizeof path, "tests/%s", row->file);
		if (buf_read_file(&text, fixture_source(path), NULL) < 0 ||
		    !strstr(buf_str(&text), row->test))
			fail_msg("%s: there is no %s in %s", row->id, row->test, row->file);
		printf("  ok %-7s is %s in tests/%s\n", row->id, row->test, row->file);
	}
}

static int run_all(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_victim_notices_what_happens_to_it),
		FIXTURE_TEST(no_attempt_of_the_corpus_leads_out),
		FIXTURE_TEST(what_is_not_here_is_tested_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

static const struct passwd *find_person(void)
{
	const struct passwd *entry;

	setpwent();
	do
		entry = getpwent();
	while (entry && (entry->pw_uid < FIRST_PERSON || entry->pw_uid >= NOBODY));
	endpwent();
	return entry;
}

/* In a process of its own; 0 when nothing has failed. */
static int run_as_person(void)
{
	const struct passwd *person = find_person();
	const char *fakes = getenv("AGENT_TEST_FAKE");
	int status = 1;
	pid_t pid;

	if (!person || !fakes) {
		printf("     there is no ordinary account here\n");
		return 0;
	}
	pid = fork();
	if (pid == 0) {
		if (setgroups(1, &person->pw_gid) < 0 ||
		    setresgid(person->pw_gid, person->pw_gid, person->pw_gid) < 0 ||
		    setresuid(person->pw_uid, person->pw_uid, person->pw_uid) < 0)
			exit(1);
		(void)setenv("HOME", person->pw_dir, 1);
		(void)prctl(PR_SET_DUMPABLE, 1);
		if (access(fakes, X_OK) < 0) {
			printf("     %s cannot run the programs in %s\n", person->pw_name, fakes);
			exit(0);
		}
		exit(run_all());
	}
	(void)waitpid(pid, &status, 0);
	return status == 0 ? 0 : 1;
}

int main(void)
{
	bool both = geteuid() == 0 && !getenv("AGENT_TEST_SYSTEM");
	int rc = both ? run_as_person() : 0;

	return run_all() + rc;
}
