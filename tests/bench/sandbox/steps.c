/*
 * steps.c - where the time of a start goes: system calls of the broker, the zygote, init and the
 * command, in the order of their first use, counted and timed by strace.
 */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "tests/bench/sandbox/bench.h"

#define STARTS 50
#define TASKS_MAX 1024
#define ROWS_MAX 256
#define TRACE_MAX (64U << 20)

enum part { PART_BROKER, PART_ZYGOTE, PART_INIT, PART_COMMAND, PART_RUNNING, PART_COUNT };

static const char *const part_names[] = { "broker", "zygote", "init", "command, until exec",
					  "command" };

static struct task {
	pid_t pid;
	enum part part;
} tasks[TASKS_MAX];
static size_t task_count;

static struct row {
	enum part part;
	char name[32];
	size_t count;
	double us;
} rows[ROWS_MAX];
static size_t row_count;
static double cheapest = 1e6; /* what strace itself adds to each call, about */

static struct task *find_task(pid_t pid)
{
	for (size_t i = task_count; i > 0; i--) {
		if (tasks[i - 1].pid == pid)
			return &tasks[i - 1];
	}
	return NULL;
}

static void add_task(pid_t pid, enum part part)
{
	if (task_count < TASKS_MAX && !find_task(pid))
		tasks[task_count++] = (struct task){ .pid = pid, .part = part };
}

static void add_call(enum part part, const char *name, double us)
{
	struct row *row = NULL;

	for (size_t i = 0; i < row_count && !row; i++) {
		if (rows[i].part == part && str_eq(rows[i].name, name))
			row = &rows[i];
	}
	if (!row && row_count == ROWS_MAX)
		return;
	if (!row) {
		row = &rows[row_count++];
		*row = (struct row){ .part = part };
		(void)snprintf(row->name, sizeof row->name, "%.31s", name);
	}
	row->count++;
	row->us += us;
	if (us > 0 && us < cheapest)
		cheapest = us;
}

/* Its time is somebody else's. */
static bool waits(const struct row *row)
{
	static const char *const names[] = { "poll",   "ppoll",           "wait4",
					     "waitid", "restart_syscall", "exit_group" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_eq(row->name, names[i]))
			return true;
	}
	return (row->part == PART_ZYGOTE || row->part == PART_INIT) &&
	       (str_eq(row->name, "recvmsg") || str_eq(row->name, "read"));
}

/* Whose child a new process is says what it is. Init counts its own in another way: whoever nobody
 * has made is a command. */
static void see_child(const struct task *parent, const char *result)
{
	pid_t child = (pid_t)strtoll(result, NULL, 10);

	if (child > 0 && parent->part == PART_ZYGOTE)
		add_task(child, PART_INIT);
	else if (child > 0 && parent->part == PART_BROKER)
		add_task(child, PART_ZYGOTE);
}

/* PID TIME NAME(...) = RESULT <SECONDS>, or the second half of it behind "<... NAME resumed>". */
static void see_line(const char *line, bool all_known)
{
	char *end = NULL;
	pid_t pid = (pid_t)strtoll(line, &end, 10);
	struct task *task = find_task(pid);
	const char *at = end + strspn(end, " ");
	const char *took = strrchr(line, '<');
	const char *result = strstr(line, " = ");
	char name[32] = "";

	at += strcspn(at, " ");
	at += strspn(at, " ");
	if (!task && all_known) {
		add_task(pid, PART_COMMAND);
		task = find_task(pid);
	}
	if (!task || sscanf(at, strncmp(at, "<... ", 5) == 0 ? "<... %31[a-z0-9_]" : "%31[a-z0-9_]",
			    name) != 1)
		return;
	for (const char *next = result; next; next = strstr(next + 1, " = "))
		result = next;
	if (str_eq(name, "execve") && task->part == PART_COMMAND && !strstr(line, "resumed"))
		add_call(task->part, name, 0);
	if (str_eq(name, "execve") && (!result || strstr(line, " = 0")))
		task->part = PART_RUNNING;
	if (!result || !took || task->part == PART_RUNNING)
		return;
	if (strncmp(name, "clone", 5) == 0 || str_eq(name, "fork") || str_eq(name, "vfork"))
		see_child(task, result + 3);
	add_call(task->part, name, strtod(took + 1, NULL) * 1e6);
}

static pid_t zygote_of(pid_t broker)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(4096);
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)broker, (int)broker);
	return buf_read_file(&text, path, NULL) == 0 ? (pid_t)strtoll(buf_str(&text), NULL, 10) : 0;
}

/* Returns when it watches both; -1 when it cannot. What it says must stay readable. */
static pid_t start_strace(const char *file, pid_t zygote, int *said_fd)
{
	char broker_text[16];
	char zygote_text[16];
	const char *argv[] = { "strace", "-f", "-ttt",      "-T", "-s",        "0", "-o",
			       file,     "-p", broker_text, "-p", zygote_text, NULL };
	posix_spawn_file_actions_t actions;
	char said[4096] = "";
	size_t used = 0;
	pid_t pid = -1;
	int ends[2];

	(void)snprintf(broker_text, sizeof broker_text, "%d", (int)bench.broker.pid);
	(void)snprintf(zygote_text, sizeof zygote_text, "%d", (int)zygote);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
	if (posix_spawnp(&pid, "strace", &actions, NULL, (char *const *)(uintptr_t)argv, environ) !=
	    0)
		pid = -1;
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(ends[1]);
	while (pid > 0 && used + 1 < sizeof said) {
		const char *first = strstr(said, "attached");
		ssize_t got;

		if (first && strstr(first + 1, "attached"))
			break;
		got = read(ends[0], said + used, sizeof said - 1 - used);
		if (got <= 0) {
			(void)waitpid(pid, NULL, 0);
			pid = -1;
			break;
		}
		used += (size_t)got;
	}
	*said_fd = ends[0];
	return pid;
}

static void print_row(const struct row *row, double *sum)
{
	double us = row->us / STARTS - (double)row->count / STARTS * cheapest;

	printf("  %-20s %-26s %7.2f ", part_names[row->part], row->name,
	       (double)row->count / STARTS);
	if (waits(row))
		printf("   waits\n");
	else
		printf("%8.1f\n", us);
	*sum += waits(row) ? 0 : us;
}

static void print_rows(void)
{
	for (enum part part = 0; part < PART_RUNNING; part++) {
		double sum = 0;
		size_t calls = 0;

		for (size_t i = 0; i < row_count; i++) {
			if (rows[i].part != part)
				continue;
			print_row(&rows[i], &sum);
			calls += rows[i].count;
		}
		printf("  %-20s %-26s %7.2f %8.1f\n", part_names[part], "in sum",
		       (double)calls / STARTS, sum);
	}
}

void bench_steps(void)
{
	static const char *const argv[] = { "/bin/true", NULL };
	struct buf text SCOPED(buf_deinit) = BUF_INIT(TRACE_MAX);
	char file[BENCH_PATH];
	int said SCOPED(fd_close) = -1;
	pid_t zygote;
	pid_t strace;

	printf("Steps of a start: system calls in the order of their first use, and microseconds "
	       "beyond the cheapest\ncall of the trace, which is mostly strace itself\n");
	(void)rival_works(&rival_ours);
	zygote = zygote_of(bench.broker.pid);
	(void)snprintf(file, sizeof file, "%s/trace", bench.top);
	strace = zygote > 0 ? start_strace(file, zygote, &said) : -1;
	if (strace < 0) {
		printf("  strace is not installed, or may not look\n");
		return;
	}
	add_task(bench.broker.pid, PART_BROKER);
	add_task(zygote, PART_ZYGOTE);
	for (int i = 0; i < STARTS; i++)
		(void)rival_ours.run(argv);
	(void)kill(strace, SIGINT);
	(void)waitpid(strace, NULL, 0);
	if (buf_read_file(&text, file, NULL) < 0) {
		printf("  there is no trace\n");
		return;
	}
	/* Twice: a child may be seen before the call that made it has returned. */
	for (int pass = 0; pass < 2; pass++) {
		row_count = 0;
		for (char *line = text.data; line && *line;) {
			size_t length = strcspn(line, "\n");
			char kept = line[length];

			line[length] = '\0';
			see_line(line, pass == 1);
			line[length] = kept;
			line += length + (kept != '\0');
		}
	}
	printf("  %-20s %-26s %7s %9s\n", "", "", "a start", "us");
	print_rows();
	printf("\n");
}
