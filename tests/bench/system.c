/*
 * system.c - what the whole system costs, beside the alternatives that this machine has, in one
 *run.
 *
 *	system [ROUNDS]
 *
 * Prints medians and ratios; judges nothing. Each row runs in turn with the others, so that a
 *change of the machine's speed hits all alike. The model is this program itself: a server on
 *127.0.0.1 that notes when a request arrives. AGENT_TEST_BIN names the folder of the built
 *programs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/attr.h"
#include "proto/base/str.h"

#define ROUNDS_DEFAULT 40
#define ROUNDS_MAX 1000
#define REQUEST_MAX (8U << 20) /* bytes of one request of the daemon */
#define FLOOD_MB 1000          /* that one command prints */
#define BWRAP "/usr/bin/bwrap"
#define CALLS 30 /* tool calls of one turn */

static char top[] = "/tmp/agentd-bench-XXXXXX";
static char agent[4096];
static char home[4096];
static char work[4096];
static int server = -1;

static _Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* posix_spawn() does not write to its arguments; its type only does not say so. */
static pid_t start(const char *const *argv, int out)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t pipe_signal;
	pid_t pid;

	(void)sigemptyset(&pipe_signal);
	(void)sigaddset(&pipe_signal, SIGPIPE);
	(void)posix_spawnattr_init(&attributes);
	(void)posix_spawnattr_setsigdefault(&attributes, &pipe_signal);
	(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (out >= 0)
		(void)posix_spawn_file_actions_adddup2(&actions, out, 1);
	else
		(void)posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	if (posix_spawnp(&pid, argv[0], &actions, &attributes, (char *const *)(uintptr_t)argv,
			 environ) != 0)
		die(argv[0]);
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&actions);
	return pid;
}

static void finish(pid_t pid, const char *what)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			die("waitpid");
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		(void)fprintf(stderr, "bench: %s ended with status %#x\n", what, (unsigned)status);
		exit(1);
	}
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof *values, by_size);
	return values[count / 2];
}

/* ------------------------------------------------------------------ commands as processes */

struct contender {
	const char *name;
	const char *const *argv;
	int there;
	double took[ROUNDS_MAX];
};

static const char *plain_argv[] = { "/bin/true", NULL };
static const char *ours_argv[] = { agent, "sandbox",   "-s", "workspace-write", "-C", work,
				   "--",  "/bin/true", NULL };
static const char *bwrap_argv[] = { BWRAP,
				    "--unshare-all",
				    "--new-session",
				    "--die-with-parent",
				    "--ro-bind",
				    "/",
				    "/",
				    "--dev",
				    "/dev",
				    "--proc",
				    "/proc",
				    "--bind",
				    work,
				    work,
				    "--",
				    "/bin/true",
				    NULL };

static void bench_starts(size_t rounds)
{
	static struct contender rows[] = {
		{ .name = "posix_spawn /bin/true", .argv = plain_argv, .there = 1 },
		{ .name = "agent sandbox -- /bin/true", .argv = ours_argv, .there = 1 },
		{ .name = "bwrap ... /bin/true", .argv = bwrap_argv },
	};
	double bare;

	rows[2].there = access(BWRAP, X_OK) == 0;
	for (size_t round = 0; round < rounds + 2; round++) { /* the first two warm up */
		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			double began = now_us();

			if (!rows[i].there)
				continue;
			finish(start(rows[i].argv, -1), rows[i].name);
			if (round >= 2)
				rows[i].took[round - 2] = now_us() - began;
		}
	}
	printf("start of one command as a process, p50\n");
	bare = median(rows[0].took, rounds);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		double took = rows[i].there ? median(rows[i].took, rounds) : 0;

		if (!rows[i].there)
			printf("  %-34s not installed\n", rows[i].name);
		else
			printf("  %-34s %8.2f ms  %5.2f x bare\n", rows[i].name, took / 1e3,
			       took / bare);
	}
	if (rows[2].there)
		printf("  agent sandbox : bwrap = %.2f\n",
		       median(rows[1].took, rounds) / median(rows[2].took, rounds));
}

/* ------------------------------------------------------------------ the model */

static size_t content_length(const char *text)
{
	size_t value = 0;

	for (text += strspn(text, " "); *text >= '0' && *text <= '9' && value < REQUEST_MAX; text++)
		value = value * 10 + (size_t)(*text - '0');
	return value;
}

static void read_request(int fd)
{
	static char text[REQUEST_MAX];
	size_t have = 0;
	size_t want = 0;

	while (want == 0 || have < want) {
		ssize_t got = read(fd, text + have, sizeof text - 1 - have);
		char *body;
		char *length;

		if (got <= 0)
			die("request");
		have += (size_t)got;
		text[have] = '\0';
		body = strstr(text, "\r\n\r\n");
		length = strcasestr(text, "content-length:");
		if (body && length)
			want = (size_t)(body + 4 - text) + content_length(length + 15);
		if (body && strcasestr(text, "expect: 100") && have < want)
			(void)!write(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	}
}

static void send_answer(int fd, const char *item)
{
	char body[4096];
	char head[256];
	int length = snprintf(
		body, sizeof body,
		"data: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\n"
		"data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":%s}\n\n"
		"data: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"usage\":{"
		"\"input_tokens\":1,\"output_tokens\":1,\"total_tokens\":2}}}\n\n",
		item);
	int head_length = snprintf(head, sizeof head,
				   "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
				   "Content-Length: %d\r\n\r\n",
				   length);

	if (write(fd, head, (size_t)head_length) < 0 || write(fd, body, (size_t)length) < 0)
		die("answer");
}

static const char answer_item[] = "{\"type\":\"message\",\"id\":\"m\",\"role\":\"assistant\","
				  "\"content\":[{\"type\":\"output_text\","
				  "\"text\":\"done\"}]}";

static void call_item(char *out, size_t size, int number, const char *arguments)
{
	(void)snprintf(out, size,
		       "{\"type\":\"function_call\",\"id\":\"f%d\",\"call_id\":\"c%d\",\"name\":"
		       "\"exec_command\","
		       "\"arguments\":\"%s\"}",
		       number, number, arguments);
}

static int accept_model(void)
{
	int fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	int yes = 1;

	if (fd < 0)
		die("accept");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	return fd;
}

static pid_t start_exec(void)
{
	static const char *argv[] = {
		agent, "exec", "--json", "--skip-git-repo-check", "-s", "workspace-write", "-C",
		work,  "go",   NULL
	};

	return start(argv, -1);
}

static void daemon_stop(void)
{
	static const char *argv[] = { agent, "daemon", "stop", NULL };

	finish(start(argv, -1), "agent daemon stop");
}

/* From the start of `agent exec` to the arrival of its first request. */
static double first_request(void)
{
	double began = now_us();
	pid_t pid = start_exec();
	int fd = accept_model();
	double took;

	read_request(fd);
	took = now_us() - began;
	send_answer(fd, answer_item);
	finish(pid, "agent exec");
	(void)close(fd);
	return took;
}

static void bench_first_request(size_t rounds)
{
	double warm[ROUNDS_MAX];
	double cold[ROUNDS_MAX];

	rounds = rounds < 20 ? rounds : 20;
	for (size_t i = 0; i < rounds; i++) {
		daemon_stop();
		cold[i] = first_request();
		warm[i] = first_request();
	}
	printf("start of `agent exec` to its first model request, p50\n"
	       "  %-34s %8.2f ms\n  %-34s %8.2f ms\n",
	       "daemon running", median(warm, rounds) / 1e3, "broker and daemon to be started",
	       median(cold, rounds) / 1e3);
}

/* One turn: each call is answered by the next request. Returns the median of that. */
static double turn(const char *arguments, size_t calls)
{
	double took[CALLS];
	char item[2048];
	pid_t pid = start_exec();
	int fd = accept_model();

	read_request(fd);
	for (size_t i = 0; i < calls; i++) {
		double began = now_us();

		call_item(item, sizeof item, (int)i, arguments);
		send_answer(fd, item);
		read_request(fd);
		took[i] = now_us() - began;
	}
	send_answer(fd, answer_item);
	finish(pid, "agent exec");
	(void)close(fd);
	return median(took, calls);
}

static void bench_turn(void)
{
	double login = turn("{\\\"cmd\\\":\\\"true\\\"}", CALLS);
	double plain =
		turn("{\\\"cmd\\\":\\\"true\\\",\\\"login\\\":false,\\\"shell\\\":\\\"/bin/sh\\\"}",
		     CALLS);

	printf("one tool call inside a turn: answer to next request, p50\n"
	       "  %-34s %8.2f ms\n  %-34s %8.2f ms\n",
	       "login shell", login / 1e3, "sh -c", plain / 1e3);
}

/* ------------------------------------------------------------------ output */

static double pipe_seconds(void)
{
	static const char *argv[] = { "sh", "-c", NULL, NULL };
	static char script[128];
	static char chunk[65536];
	double began = now_us();
	int ends[2];
	pid_t pid;

	(void)snprintf(script, sizeof script, "yes 0123456789abcdef 2>/dev/null | head -c %d000000",
		       FLOOD_MB);
	argv[2] = script;
	if (pipe2(ends, O_CLOEXEC) < 0)
		die("pipe");
	pid = start(argv, ends[1]);
	(void)close(ends[1]);
	while (read(ends[0], chunk, sizeof chunk) > 0)
		;
	(void)close(ends[0]);
	finish(pid, "sh");
	return (now_us() - began) / 1e6;
}

static void bench_flood(void)
{
	char arguments[256];
	double bare = pipe_seconds();
	double ours;

	(void)snprintf(arguments, sizeof arguments,
		       "{\\\"cmd\\\":\\\"yes 0123456789abcdef 2>/dev/null | head -c "
		       "%d000000\\\",\\\"login\\\":false,"
		       "\\\"yield_time_ms\\\":30000}",
		       FLOOD_MB);
	ours = turn(arguments, 1) / 1e6;
	printf("one command printing %d MB, through a turn\n"
	       "  %-34s %8.0f MB/s\n  %-34s %8.0f MB/s  %5.2f x bare\n",
	       FLOOD_MB, "read from a pipe", FLOOD_MB / bare, "agent exec", FLOOD_MB / ours,
	       bare / ours);
}

/* ------------------------------------------------------------------ */

static void set_up(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;
	const char *bin = getenv("AGENT_TEST_BIN");
	char path[8192];
	FILE *config;

	if (!bin) {
		(void)fprintf(stderr,
			      "bench: AGENT_TEST_BIN must name the folder with agent and agentd\n");
		exit(2);
	}
	if (!mkdtemp(top))
		die("mkdtemp");
	(void)snprintf(agent, sizeof agent, "%s/agent", bin);
	(void)snprintf(home, sizeof home, "%s/home", top);
	(void)snprintf(work, sizeof work, "%s/work", top);
	server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (mkdir(home, 0700) < 0 || mkdir(work, 0700) < 0 || server < 0 ||
	    bind(server, (struct sockaddr *)&address, sizeof address) < 0 ||
	    listen(server, 16) < 0 || getsockname(server, (struct sockaddr *)&address, &size) < 0)
		die("set-up");
	(void)snprintf(path, sizeof path, "%s/config.ini", home);
	config = fopen(path, "we");
	if (!config)
		die(path);
	(void)fprintf(config,
		      "model = \"bench\"\nmodel_provider = \"bench\"\n\n[model_providers.bench]\n"
		      "name = \"bench\"\nbase_url = \"http://127.0.0.1:%u/v1\"\n",
		      ntohs(address.sin_port));
	if (fclose(config) != 0 || setenv("AGENTD_HOME", home, 1) < 0 ||
	    setenv("HOME", top, 1) < 0) /* nobody's slow login profile */
		die(path);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *way)
{
	(void)st;
	(void)kind;
	(void)way;
	return remove(path);
}

int main(int argc, char **argv)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	int64_t rounds = ROUNDS_DEFAULT;

	if (argc > 2 || (argc == 2 && str_to_int(&rounds, argv[1], 1, ROUNDS_MAX, NULL) < 0)) {
		(void)fprintf(stderr, "usage: system [ROUNDS], 1 to %d\n", ROUNDS_MAX);
		return 2;
	}
	(void)sigaction(SIGPIPE, &ignore, NULL);
	set_up();
	bench_starts((size_t)rounds);
	bench_first_request((size_t)rounds);
	bench_turn();
	bench_flood();
	daemon_stop();
	return nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : 1;
}
