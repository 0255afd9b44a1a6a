#include "tests/support/rig.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/rpc.h"

#include "tests/support/fixture.h"

#define PATH_SIZE 1024
#define REASON_SIZE 1024
#define TEXT_MAX 16777216
#define READ_SIZE 65536
#define LEFT_OVER_MS 5000 /* for a killed process to be gone */
#define NS_PER_MS 1000000

static void write_config(const struct rig *rig, const char *settings)
{
	char path[PATH_SIZE];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/config.ini", rig->broker.config);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fprintf(file,
			    "model = gpt-5\nmodel_provider = fake\n%s\n"
			    "[model_providers.fake]\nname = fake\n"
			    "base_url = \"http://127.0.0.1:%d/v1\"\n",
			    settings, rig->model.port) > 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0600), 0);
}

void rig_start_daemon(struct rig *rig)
{
	json_t *result = broker_must(&rig->hands, "daemon/start", json_object());

	rig->daemon = (pid_t)json_integer_value(json_object_get(result, "pid"));
	assert_true(rig->daemon > 0);
	json_decref(result);
}

/* Reaps what has ended; a process that goes on running is the failure. */
static void expect_nobody(void)
{
	const struct timespec pause = { 0, NS_PER_MS };
	pid_t left = 0;

	for (int waited = 0; waited < LEFT_OVER_MS; waited++) {
		do
			left = waitpid(-1, NULL, WNOHANG);
		while (left > 0);
		if (left < 0)
			return;
		(void)nanosleep(&pause,
				NULL); /* there is no event for the end of another's child */
	}
	fail_msg("a process is left behind");
}

/* What a test that failed has not stopped. */
static struct {
	pid_t broker;
	pid_t model;
} running;

static void end_running(void)
{
	if (running.broker > 0)
		(void)kill(running.broker, SIGKILL);
	if (running.model > 0)
		(void)kill(running.model, SIGKILL);
	if (running.broker > 0)
		expect_nobody();
	running.broker = 0;
	running.model = 0;
}

void rig_start(struct rig *rig, const char *script, const char *settings)
{
	const char *bin = getenv("AGENT_TEST_BIN");
	char agentd[PATH_SIZE];

	assert_non_null(bin);
	end_running();
	/* Whatever the broker leaves behind becomes a child of this process, where it is found. */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	(void)snprintf(agentd, sizeof(agentd), "%s/agentd", bin);
	fake_model_start(&rig->model, script);
	running.model = rig->model.pid;
	test_broker_start(&rig->broker, agentd);
	running.broker = rig->broker.pid;
	write_config(rig, settings);
	broker_client_open(&rig->hands, &rig->broker);
	rig_start_daemon(rig);
}

void rig_stop(struct rig *rig)
{
	broker_client_close(&rig->hands);
	fake_model_stop(&rig->model);
	running.broker = 0;
	running.model = 0;
	assert_int_equal(test_broker_stop(&rig->broker), 0);
	expect_nobody();
}

void rig_lost(struct rig *rig)
{
	broker_client_close(&rig->hands);
	fake_model_stop(&rig->model);
	running.broker = 0;
	running.model = 0;
	expect_nobody();
}

void rig_limit_files(const struct rig *rig, uint64_t bytes)
{
	struct rlimit limit;

	assert_int_equal(prlimit(rig->daemon, RLIMIT_FSIZE, NULL, &limit), 0);
	limit.rlim_cur = bytes == UINT64_MAX ? limit.rlim_max : bytes;
	assert_int_equal(prlimit(rig->daemon, RLIMIT_FSIZE, &limit, NULL), 0);
}

void rig_kill_daemon(struct rig *rig)
{
	assert_int_equal(kill(rig->daemon, SIGKILL), 0);
	json_decref(broker_client_wait(&rig->hands, "daemon/gone"));
}

void rig_ceiling(struct rig *rig, const char *mode, char out[RIG_ID_SIZE])
{
	char home[PATH_SIZE];

	(void)snprintf(home, sizeof(home), "HOME=%s", rig->broker.work);
	/* /tmp is where the rig itself lies, so it is not to be writable. */
	broker_must_text(&rig->hands, "ceiling/open",
			 json_pack("{s:s, s:s, s:b, s:b, s:[s,s]}", "mode", mode, "cwd",
				   rig->broker.work, "keep", true, "exclude_slash_tmp", true, "env",
				   "PATH=/usr/bin:/bin", home),
			 "ceiling", out, RIG_ID_SIZE);
}

void rig_decide(struct rig *rig, const char *grant, const char *decision)
{
	json_t *shown = broker_must(&rig->hands, "grant/show", json_pack("{s:s}", "grant", grant));
	const char *seal =
		json_string_value(json_object_get(json_object_get(shown, "record"), "seal"));

	assert_non_null(seal);
	json_decref(broker_must(
		&rig->hands, "grant/answer",
		json_pack("{s:s, s:s, s:s}", "grant", grant, "seal", seal, "decision", decision)));
	json_decref(shown);
}

void rig_agent_open(struct rig_agent *agent, const struct rig *rig, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	*agent = (struct rig_agent){ .sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
				     .kept = json_array() };
	buf_init(&agent->in, FRAME_BUF_MAX);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/agent.sock",
		       rig->broker.runtime);
	if (connect(agent->sock, (const struct sockaddr *)&address, sizeof(address)) < 0)
		fail_msg("connect %s: %s", address.sun_path, strerrorname_np(errno));
	json_decref(rig_call(agent, "initialize",
			     json_pack("{s:i, s:{s:s, s:s}}", "protocolVersion", 1, "clientInfo",
				       "name", name, "version", "1")));
}

void rig_agent_close(struct rig_agent *agent)
{
	fd_close(&agent->sock);
	buf_deinit(&agent->in);
	json_decref(agent->kept);
	agent->kept = NULL;
}

void rig_send(struct rig_agent *agent, const char *line)
{
	struct err err = { 0 };

	if (fd_write_all(agent->sock, line, strlen(line), &err) < 0)
		fail_msg("send: %s", err.text);
}

static void send_message(struct rig_agent *agent, json_t *message)
{
	struct buf line SCOPED(buf_deinit) = BUF_INIT(FRAME_BUF_MAX);
	struct err err = { 0 };

	assert_non_null(message);
	assert_int_equal(frame_put(&line, message, &err), 0);
	json_decref(message);
	rig_send(agent, line.data);
}

int64_t rig_ask(struct rig_agent *agent, const char *method, json_t *params)
{
	assert_non_null(params);
	send_message(agent, rpc_request(++agent->last_id, method, params));
	return agent->last_id;
}

void rig_notify(struct rig_agent *agent, const char *method, json_t *params)
{
	assert_non_null(params);
	send_message(agent, rpc_notification(method, params));
}

void rig_answer(struct rig_agent *agent, const json_t *request, const char *option)
{
	send_message(agent, rpc_result(json_object_get(request, "id"),
				       json_pack("{s:{s:s, s:s}}", "outcome", "outcome", "selected",
						 "optionId", option)));
}

/* One more message into `kept`; false at the end of the connection. */
static bool receive(struct rig_agent *agent)
{
	struct pollfd ready = { .fd = agent->sock, .events = POLLIN };
	char bytes[READ_SIZE];
	struct err err = { 0 };
	ssize_t got;

	while (frame_next(&agent->in, &agent->frame) != FRAME_READY) {
		if (poll(&ready, 1, RIG_WAIT_MS) <= 0)
			return false;
		got = read(agent->sock, bytes, sizeof(bytes));
		if (got <= 0) {
			agent->ended = true;
			return false;
		}
		assert_int_equal(buf_append(&agent->in, bytes, (size_t)got, &err), 0);
	}
	assert_int_equal(json_array_append_new(agent->kept, json_loadb(agent->frame.text,
								       agent->frame.len, 0, NULL)),
			 0);
	return true;
}

typedef bool fits_fn(const json_t *message, const void *wanted);

static json_t *next(struct rig_agent *agent, fits_fn *fits, const void *wanted, const char *what)
{
	size_t i = 0;

	for (;; i++) {
		json_t *message;

		if (i == json_array_size(agent->kept) && !receive(agent)) {
			for (size_t j = 0; j < json_array_size(agent->kept); j++) {
				char *text =
					json_dumps(json_array_get(agent->kept, j), JSON_COMPACT);

				print_error("kept: %.400s\n", text ? text : "?");
				free(text);
			}
			fail_msg("waited in vain for %s%s", what,
				 agent->ended ? ": the daemon has closed" : "");
		}
		message = json_array_get(agent->kept, i);
		if (!fits(message, wanted))
			continue;
		json_incref(message);
		(void)json_array_remove(agent->kept, i);
		return message;
	}
}

static bool is_any(const json_t *message, const void *wanted)
{
	(void)message;
	(void)wanted;
	return true;
}

json_t *rig_next(struct rig_agent *agent)
{
	return next(agent, is_any, NULL, "a message");
}

static bool is_answer(const json_t *message, const void *wanted)
{
	const json_t *id = json_object_get(message, "id");

	return !json_object_get(message, "method") && json_is_integer(id) &&
	       json_integer_value(id) == *(const int64_t *)wanted;
}

json_t *rig_reply(struct rig_agent *agent, int64_t id)
{
	return next(agent, is_answer, &id, "an answer");
}

json_t *rig_result(struct rig_agent *agent, int64_t id)
{
	json_t *reply = rig_reply(agent, id);
	json_t *result = json_object_get(reply, "result");

	if (!result)
		fail_msg("%s", json_string_value(json_object_get(json_object_get(reply, "error"),
								 "message")));
	json_incref(result);
	json_decref(reply);
	return result;
}

static bool is_method(const json_t *message, const void *wanted)
{
	return str_eq(json_string_value(json_object_get(message, "method")), wanted);
}

json_t *rig_wait_request(struct rig_agent *agent, const char *method)
{
	return next(agent, is_method, method, method);
}

json_t *rig_wait(struct rig_agent *agent, const char *method)
{
	json_t *message = next(agent, is_method, method, method);
	json_t *params = json_incref(json_object_get(message, "params"));

	json_decref(message);
	return params;
}

static const json_t *update_of(const json_t *message)
{
	return json_object_get(json_object_get(message, "params"), "update");
}

static bool is_update(const json_t *message, const void *wanted)
{
	return is_method(message, "session/update") &&
	       str_eq(json_string_value(json_object_get(update_of(message), "sessionUpdate")),
		      wanted);
}

json_t *rig_wait_update(struct rig_agent *agent, const char *kind)
{
	json_t *message = next(agent, is_update, kind, kind);
	json_t *update = json_incref(json_object_get(json_object_get(message, "params"), "update"));

	json_decref(message);
	return update;
}

bool rig_ended(struct rig_agent *agent)
{
	while (receive(agent))
		;
	return agent->ended;
}

json_t *rig_call(struct rig_agent *agent, const char *method, json_t *params)
{
	return rig_result(agent, rig_ask(agent, method, params));
}

void rig_refused(struct rig_agent *agent, const char *method, json_t *params, int64_t code,
		 const char *part)
{
	json_t *reply = rig_reply(agent, rig_ask(agent, method, params));
	const json_t *error = json_object_get(reply, "error");
	const char *message = json_string_value(json_object_get(error, "message"));

	if (!error)
		fail_msg("%s is not refused", method);
	if (json_integer_value(json_object_get(error, "code")) != code || !message ||
	    !strstr(message, part))
		fail_msg("%s: %d '%s'", method,
			 (int)json_integer_value(json_object_get(error, "code")), message);
	json_decref(reply);
}

void rig_session(struct rig *rig, struct rig_agent *agent, const char *mode, const char *config,
		 char out[RIG_ID_SIZE])
{
	char ceiling[RIG_ID_SIZE] = "";
	json_t *meta = json_object();
	json_t *result;

	if (mode) {
		rig_ceiling(rig, mode, ceiling);
		assert_int_equal(json_object_set_new(meta, "ceiling", json_string(ceiling)), 0);
	}
	if (config)
		assert_int_equal(json_object_set_new(meta, "config", json_pack("[s]", config)), 0);
	result = rig_call(agent, "session/new",
			  json_pack("{s:s, s:[], s:{s:o}}", "cwd", rig->broker.work, "mcpServers",
				    "_meta", "agentd", meta));
	(void)snprintf(out, RIG_ID_SIZE, "%s",
		       json_string_value(json_object_get(result, "sessionId")));
	json_decref(result);
}

json_t *rig_attach_params(const char *session, const char *role, const char *history)
{
	return json_pack("{s:s, s:s, s:s}", "sessionId", session, "role", role, "historyPolicy",
			 history);
}

int64_t rig_prompt(struct rig_agent *agent, const char *session, const char *text)
{
	return rig_ask(agent, "session/prompt",
		       json_pack("{s:s, s:[{s:s, s:s}]}", "sessionId", session, "prompt", "type",
				 "text", "text", text));
}

void rig_stop_reason(struct rig_agent *agent, int64_t id, char *out, size_t size)
{
	json_t *reply = rig_reply(agent, id);
	const char *reason =
		json_string_value(json_object_get(json_object_get(reply, "result"), "stopReason"));

	if (!reason)
		reason = json_string_value(
			json_object_get(json_object_get(reply, "error"), "message"));
	assert_non_null(reason);
	(void)snprintf(out, size, "%s", reason);
	json_decref(reply);
}

void rig_text(struct rig_agent *agent, const char *kind, struct buf *out)
{
	size_t i = 0;
	struct err err = { 0 };

	while (i < json_array_size(agent->kept)) {
		const json_t *message = json_array_get(agent->kept, i);
		const char *text;

		if (!is_update(message, kind)) {
			i++;
			continue;
		}
		text = json_string_value(
			json_object_get(json_object_get(update_of(message), "content"), "text"));
		assert_non_null(text);
		assert_int_equal(buf_puts(out, text, &err), 0);
		(void)json_array_remove(agent->kept, i);
	}
}

static struct {
	const char *session;
	char *out;
	size_t size;
} search;

static int visit(const char *path, const struct stat *about, int type, struct FTW *where)
{
	(void)about;
	(void)where;
	if (type == FTW_F && strstr(path, search.session))
		(void)snprintf(search.out, search.size, "%s", path);
	return 0;
}

void rig_transcript(const struct rig *rig, const char *session, char *out, size_t size)
{
	out[0] = '\0';
	search.session = session;
	search.out = out;
	search.size = size;
	assert_int_equal(nftw(rig->broker.state, visit, 8, FTW_PHYS), 0);
	if (!out[0])
		fail_msg("there is no transcript of session '%s'", session);
}

void rig_expect_stop(struct rig_agent *agent, int64_t prompt, const char *reason)
{
	char got[REASON_SIZE];

	rig_stop_reason(agent, prompt, got, sizeof(got));
	assert_string_equal(got, reason);
}

void rig_expect_text(struct rig_agent *agent, const char *kind, const char *text)
{
	struct buf got SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);

	rig_text(agent, kind, &got);
	assert_string_equal(buf_str(&got), text);
}

/* The text of the output item of a call, in the n-th request to the model. */
static json_t *output_of(const struct rig *rig, size_t request, const char *call)
{
	json_t *log = fake_model_log(&rig->model);
	const json_t *input =
		json_object_get(json_object_get(json_array_get(log, request), "body"), "input");
	json_t *found = NULL;

	for (size_t i = 0; i < json_array_size(input); i++) {
		const json_t *item = json_array_get(input, i);
		const char *type = json_string_value(json_object_get(item, "type"));

		if (type && str_ends(type, "_output") &&
		    str_eq(json_string_value(json_object_get(item, "call_id")), call))
			found = json_incref(json_object_get(item, "output"));
	}
	json_decref(log);
	if (!found)
		fail_msg("request %zu has no output of %s", request, call);
	return found;
}

void rig_expect_output(const struct rig *rig, size_t request, const char *call, const char *part)
{
	json_t *output = output_of(rig, request, call);

	if (!strstr(json_string_value(output), part))
		fail_msg("%s: '%s'", call, json_string_value(output));
	json_decref(output);
}

bool rig_exists(const struct rig *rig, const char *name)
{
	char path[PATH_SIZE];

	(void)snprintf(path, sizeof(path), "%s/%s", rig->broker.work, name);
	return access(path, F_OK) == 0;
}
