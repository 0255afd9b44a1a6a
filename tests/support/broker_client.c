#include "tests/support/broker_client.h"

#include <dirent.h>
#include <errno.h>
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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/broker_gen.h"
#include "proto/wire/json.h"
#include "proto/wire/packet.h"
#include "proto/wire/rpc.h"

#include "tests/support/fixture.h"

#define OUTPUT_MAX 16777216

void test_act_as(const char *name)
{
	const struct passwd *user = getpwnam(name ? name : "root");
	uid_t saved = 1;
	uid_t uid;

	assert_int_equal(getresuid(&uid, &uid, &saved), 0);
	if (!user || saved != 0)
		fail_msg("system mode is for root, and needs the user '%s'", name);
	assert_int_equal(setresuid(0, 0, 0), 0);
	assert_int_equal(setresgid(user->pw_gid, user->pw_gid, 0), 0);
	assert_int_equal(initgroups(user->pw_name, user->pw_gid), 0);
	assert_int_equal(setresuid(user->pw_uid, user->pw_uid, 0), 0);
	assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0); /* so that /proc/self stays ours */
}

static void path_of_program(const char *variable, const char *name, char *out, size_t size)
{
	const char *folder = getenv(variable);

	if (!folder)
		fail_msg("%s is not set; run the tests with ctest", variable);
	(void)snprintf(out, size, "%s/%s", folder, name);
}

static void make_folder(char *out, size_t size, const char *home, const char *name)
{
	(void)snprintf(out, size, "%s/%s", home, name);
	if (mkdir(out, 0700) < 0)
		fail_msg("mkdir %s: %s", out, strerrorname_np(errno));
}

void test_broker_folders(struct test_broker *broker)
{
	static unsigned number;
	char log_folder[640];

	if (broker->user) { /* the folder of all may be another user's */
		test_act_as(NULL);
		assert_int_equal(chmod(fixture_dir(), 01777), 0);
		test_act_as(broker->user);
	}
	(void)snprintf(broker->home, sizeof broker->home, "%s/b%u", fixture_dir(), number++);
	if (mkdir(broker->home, 0700) < 0)
		fail_msg("mkdir %s: %s", broker->home, strerrorname_np(errno));
	make_folder(broker->work, sizeof broker->work, broker->home, "work");
	make_folder(broker->runtime, sizeof broker->runtime, broker->home, "run");
	make_folder(broker->state, sizeof broker->state, broker->home, "state");
	make_folder(broker->config, sizeof broker->config, broker->home, "config");
	make_folder(log_folder, sizeof log_folder, broker->state, "log");
	(void)snprintf(broker->log, sizeof broker->log, "%s/state/log/broker.log", broker->home);
}

/* In the forked child. */
static _Noreturn void become_broker(const struct test_broker *broker, const char *program,
				    const char *agentd, const char *const *options, int ready_fd)
{
	const char *argv[32] = {
		program,        "--runtime",   broker->runtime,
		"--state",      broker->state, "--config",
		broker->config, "--agentd",    agentd ? agentd : "/nonexistent/agentd",
		"--ready-fd"
	};
	size_t argc = 10;
	char ready[16];
	int log = open(broker->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	int null = open("/dev/null", O_RDONLY);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* with the test */
	(void)snprintf(ready, sizeof ready, "%d", ready_fd);
	(void)dup2(null, 0);
	(void)dup2(log, 1);
	(void)dup2(log, 2);
	(void)fcntl(ready_fd, F_SETFD, 0);
	argv[argc++] = ready;
	if (broker->user) {
		test_act_as(NULL);
		argv[argc++] = "--user";
		argv[argc++] = broker->user;
	}
	while (options && *options && argc + 1 < ARRAY_LEN(argv))
		argv[argc++] = *options++;
	(void)execv(program, (char *const *)(uintptr_t)argv);
	_exit(127);
}

void test_broker_start(struct test_broker *broker, const char *agentd)
{
	test_broker_start_idle(broker, agentd, NULL);
}

void test_broker_start_idle(struct test_broker *broker, const char *agentd, const char *idle_ms)
{
	const char *const options[] = { idle_ms ? "--idle-ms" : NULL, idle_ms, NULL };
	char why[4096];

	broker->home[0] = '\0';
	broker->user = getenv("AGENT_TEST_SYSTEM");
	if (!test_broker_start_with(broker, agentd, options, why))
		fail_msg("the broker is not ready: '%s'", why);
}

bool test_broker_start_with(struct test_broker *broker, const char *agentd,
			    const char *const *options, char *why)
{
	struct buf word SCOPED(buf_deinit) = BUF_INIT(4096);
	struct err err = { 0 };
	char program[1024];
	bool is_ready;
	int ready[2];

	path_of_program("AGENT_TEST_LIBEXEC", "agent-broker", program, sizeof program);
	if (!broker->home[0])
		test_broker_folders(broker);
	assert_int_equal(fd_pipe(ready, &err), 0);
	broker->pid = fork();
	assert_true(broker->pid >= 0);
	if (broker->pid == 0)
		become_broker(broker, program, agentd, options, ready[1]);
	fd_close(&ready[1]);
	if (buf_read_fd(&word, ready[0], &err) < 0)
		fail_msg("the broker says nothing: %s", err.text);
	fd_close(&ready[0]);
	(void)snprintf(why, 4096, "%s", buf_str(&word));
	is_ready = strcmp(why, "ok\n") == 0;
	if (!is_ready)
		assert_int_equal(waitpid(broker->pid, NULL, 0), broker->pid);
	return is_ready;
}

static void print_log(const struct test_broker *broker)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(OUTPUT_MAX);

	if (buf_read_file(&text, broker->log, NULL) == 0)
		print_error("%s", buf_str(&text));
}

bool test_broker_logged(const struct test_broker *broker, const char *text)
{
	struct buf log SCOPED(buf_deinit) = BUF_INIT(OUTPUT_MAX);

	return buf_read_file(&log, broker->log, NULL) == 0 && strstr(buf_str(&log), text);
}

/* Apart from the socket of an agentd that could not remove it. */
static bool is_empty(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	bool empty = folder != NULL;

	while (folder && (entry = readdir(folder))) {
		if (entry->d_name[0] != '.' && !str_eq(entry->d_name, "agent.sock")) {
			print_error("left in %s: %s\n", path, entry->d_name);
			empty = false;
		}
	}
	if (folder)
		(void)closedir(folder);
	return empty;
}

int test_broker_stop(struct test_broker *broker)
{
	int status = 0;

	assert_int_equal(kill(broker->pid, SIGTERM), 0);
	assert_int_equal(waitpid(broker->pid, &status, 0), broker->pid);
	if (status != 0)
		print_log(broker);
	else
		assert_true(is_empty(broker->runtime));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void broker_client_attach(struct broker_client *client, int sock)
{
	*client = (struct broker_client){ .sock = sock, .fd = -1 };
	client->notifications = json_array();
	assert_non_null(client->notifications);
}

void broker_client_connect(struct broker_client *client, const char *runtime, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	assert_true(sock >= 0);
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", runtime, name);
	if (connect(sock, (const struct sockaddr *)&address, sizeof address) < 0)
		fail_msg("connect %s: %s", address.sun_path, strerrorname_np(errno));
	broker_client_attach(client, sock);
}

void broker_client_open(struct broker_client *client, const struct test_broker *broker)
{
	broker_client_connect(client, broker->runtime, "broker.sock");
	json_decref(
		broker_must(client, "hello",
			    json_pack("{s:i, s:s}", "version", BROKER_VERSION, "name", "test")));
}

void broker_client_close(struct broker_client *client)
{
	fd_close(&client->sock);
	fd_close(&client->fd);
	json_decref(client->notifications);
	client->notifications = NULL;
}

static void wait_readable(int fd, const char *what)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };
	int ready;

	do
		ready = poll(&entry, 1, BROKER_CLIENT_WAIT_MS);
	while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		fail_msg("waited in vain for %s", what);
}

void broker_client_send(struct broker_client *client, const char *text, const int *fds,
			size_t fd_count)
{
	struct err err = { 0 };

	if (packet_send(client->sock, text, strlen(text), fds, fd_count, &err) != PACKET_DONE)
		fail_msg("send: %s", err.text);
}

int64_t broker_client_ask(struct broker_client *client, const char *method, json_t *params,
			  const int *fds, size_t fd_count)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(BROKER_PACKET_MAX);
	json_auto_t *message = rpc_request(++client->last_id, method, params);
	struct err err = { 0 };

	assert_non_null(message);
	assert_int_equal(wire_json_dump(&text, message, &err), 0);
	broker_client_send(client, text.data, fds, fd_count);
	return client->last_id;
}

/* The next message, or NULL when the broker has closed. */
static json_t *receive(struct broker_client *client, const char *what)
{
	struct packet packet SCOPED(packet_deinit) = { 0 };
	struct err err = { 0 };
	json_t *message;

	wait_readable(client->sock, what);
	if (packet_recv(client->sock, &packet, &err) != PACKET_DONE)
		return NULL;
	message = wire_json_load(packet.data.data, packet.data.len, &err);
	if (!message)
		fail_msg("a packet that is not JSON: %s", err.text);
	fd_close(&client->fd);
	client->fd = packet_take(&packet, 0);
	return message;
}

json_t *broker_client_answer(struct broker_client *client, int64_t id)
{
	client->err = (struct err){ 0 };
	for (;;) {
		json_auto_t *message = receive(client, "an answer");
		struct rpc rpc = { 0 };
		struct err err = { 0 };

		if (!message) {
			(void)ERR_SET(&client->err, ERR_GONE, "the broker has closed");
			return NULL;
		}
		if (rpc_parse(&rpc, message, &err) < 0)
			fail_msg("a message that is no envelope: %s", err.text);
		if (rpc.kind == RPC_NOTIFICATION) {
			assert_int_equal(json_array_append(client->notifications, message), 0);
			continue;
		}
		if (json_integer_value(rpc.id) != id)
			continue; /* of a request that nobody waits for */
		if (rpc.kind == RPC_ERROR) {
			(void)rpc_to_err(&rpc, &client->err);
			return NULL;
		}
		return json_incref(rpc.result);
	}
}

json_t *broker_call(struct broker_client *client, const char *method, json_t *params,
		    const int *fds, size_t fd_count)
{
	return broker_client_answer(client,
				    broker_client_ask(client, method, params, fds, fd_count));
}

json_t *broker_must(struct broker_client *client, const char *method, json_t *params)
{
	json_t *result = broker_call(client, method, params, NULL, 0);

	if (!result)
		fail_msg("%s: %s", method, client->err.text);
	return result;
}

void broker_must_text(struct broker_client *client, const char *method, json_t *params,
		      const char *member, char *out, size_t size)
{
	json_auto_t *result = broker_must(client, method, params);
	const char *text = json_string_value(json_object_get(result, member));

	if (!text)
		fail_msg("%s: no %s", method, member);
	(void)snprintf(out, size, "%s", text);
}

void broker_refused(struct broker_client *client, const char *method, json_t *params,
		    enum err_code code)
{
	json_auto_t *result = broker_call(client, method, params, NULL, 0);

	if (result)
		fail_msg("%s: was not refused", method);
	if (client->err.code != code)
		fail_msg("%s: %s: %s", method, err_code_name(client->err.code), client->err.text);
}

json_t *broker_client_wait(struct broker_client *client, const char *method)
{
	for (;;) {
		json_t *message;
		size_t i;

		json_array_foreach(client->notifications, i, message) {
			json_t *params;

			if (!str_eq(json_string_value(json_object_get(message, "method")), method))
				continue;
			params = json_incref(json_object_get(message, "params"));
			(void)json_array_remove(client->notifications, i);
			return params;
		}
		message = receive(client, method);
		if (!message)
			fail_msg("the broker has closed instead of %s", method);
		assert_int_equal(json_array_append_new(client->notifications, message), 0);
	}
}

bool broker_client_ended(struct broker_client *client)
{
	json_auto_t *message = receive(client, "the end of the connection");

	return message == NULL;
}

void broker_client_ceiling(struct broker_client *client, const struct test_broker *broker,
			   const char *mode, bool keep, char *out)
{
	broker_must_text(client, "ceiling/open",
			 json_pack("{s:s, s:s, s:b, s:b, s:b, s:[s]}", "mode", mode, "cwd",
				   broker->work, "keep", keep, "exclude_slash_tmp", true,
				   "exclude_tmpdir", true, "env",
				   "PATH=/usr/local/bin:/usr/bin:/bin"),
			 "ceiling", out, 33);
}

bool broker_command_start(struct broker_command *command, struct broker_client *client,
			  const char *ceiling, const char *const *argv)
{
	json_t *list = json_array();
	json_auto_t *result = NULL;
	struct err err = { 0 };
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int ends[2];

	for (size_t i = 0; argv[i]; i++)
		assert_int_equal(json_array_append_new(list, json_string(argv[i])), 0);
	assert_int_equal(fd_pipe(ends, &err), 0);
	result = broker_call(client, "child/start",
			     json_pack("{s:s, s:o}", "ceiling", ceiling, "argv", list),
			     (const int[]){ null, ends[1], ends[1] }, 3);
	fd_close(&null);
	fd_close(&ends[1]);
	if (!result) {
		fd_close(&ends[0]);
		return false;
	}
	command->out = ends[0];
	(void)snprintf(command->child, sizeof command->child, "%s",
		       json_string_value(json_object_get(result, "child")));
	return true;
}

int broker_command_finish(struct broker_command *command, struct broker_client *client, char *text,
			  size_t size)
{
	struct buf output SCOPED(buf_deinit) = BUF_INIT(OUTPUT_MAX);
	struct err err = { 0 };

	assert_int_equal(buf_read_fd(&output, command->out, &err), 0);
	fd_close(&command->out);
	if (text)
		(void)snprintf(text, size, "%s", buf_str(&output));
	for (;;) {
		json_auto_t *params = broker_client_wait(client, "child/exited");

		if (str_eq(json_string_value(json_object_get(params, "child")), command->child))
			return (int)json_integer_value(json_object_get(params, "code"));
	}
}

void broker_command_line(struct broker_command *command, char *text, size_t size)
{
	size_t used = 0;

	for (;;) {
		char byte;

		wait_readable(command->out, "a line");
		if (read(command->out, &byte, 1) != 1)
			fail_msg("the output has ended");
		if (byte == '\n' || used + 1 == size)
			break;
		text[used++] = byte;
	}
	text[used] = '\0';
}

void wait_for_end(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0) {
		assert_int_equal(errno, ESRCH); /* it has been collected already */
		return;
	}
	wait_readable(fd, "the end of a process");
	fd_close(&fd);
}
