/*
 * memory.c - P17: what stays in memory while one sandboxed sleep runs, beyond it.
 */
#include <ctype.h>
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"

#include "tests/bench/sandbox/bench.h"

#define TEXT_MAX 65536
#define SLEEP "3612"

struct count {
	size_t processes;
	long kib;    /* proportional set size; -1: not allowed to see it */
	bool sleeps; /* the sleep is among them */
};

static long number_in(const char *path, const char *key, int base)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);
	const char *at;

	if (buf_read_file(&text, path, NULL) < 0)
		return -1;
	at = strstr(buf_str(&text), key);
	return at ? (long)strtoll(at + strlen(key), NULL, base) : -1;
}

static bool descends(pid_t pid, pid_t from)
{
	for (int depth = 0; pid > 1 && depth < 32; depth++) {
		char path[64];

		if (pid == from)
			return true;
		(void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
		pid = (pid_t)number_in(path, "\nPPid:", 10);
	}
	return false;
}

static bool is_sleep(pid_t pid)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(TEXT_MAX);
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
	return buf_read_file(&text, path, NULL) == 0 && text.len > 0 &&
	       strstr(buf_str(&text), "sleep") && !strstr(buf_str(&text), "bwrap") &&
	       memmem(text.data, text.len, "sleep\0" SLEEP, sizeof "sleep\0" SLEEP);
}

/* Of the process and its descendants, without the sleep itself. */
static struct count look(pid_t from)
{
	struct count count = { 0 };
	DIR *folder = opendir("/proc");
	struct dirent *entry;

	while (folder && (entry = readdir(folder))) {
		pid_t pid = isdigit((unsigned char)entry->d_name[0])
				    ? (pid_t)strtoll(entry->d_name, NULL, 10)
				    : 0;
		char path[64];
		long kib;

		if (pid <= 0 || !descends(pid, from))
			continue;
		if (is_sleep(pid)) {
			count.sleeps = true;
			continue;
		}
		(void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
		kib = number_in(path, "\nPss:", 10);
		count.processes++;
		count.kib = kib < 0 || count.kib < 0 ? -1 : count.kib + kib;
	}
	if (folder)
		(void)closedir(folder);
	return count;
}

/* base: what there was of it before, where it is a server. */
static void print(const struct rival *rival, struct count base)
{
	static const char *const argv[] = { "/bin/sleep", SLEEP, NULL };
	pid_t from = rival->hold(argv);
	struct count count = { 0 };
	double until = bench_now_us() + 10e6;

	while (from > 0 && !count.sleeps && bench_now_us() < until) {
		(void)poll(NULL, 0, 20); /* it is another program's to be ready */
		count = look(from);
	}
	if (!count.sleeps)
		printf("  %-28s not here\n", rival->name);
	else if (count.kib < 0)
		printf("  %-28s %2zu processes; their memory is not for this user to see\n",
		       rival->name, count.processes - base.processes);
	else
		printf("  %-28s %2zu processes, %8.2f MiB\n", rival->name,
		       count.processes - base.processes,
		       (double)(count.kib - (base.kib > 0 ? base.kib : 0)) / 1024);
	if (from > 0)
		rival->release();
}

void bench_memory(void)
{
	struct count broker;
	struct count none = { 0 };

	printf("P17: beside one sandboxed sleep, beyond it (proportional set size)\n");
	(void)rival_works(&rival_ours);
	/* Its zygote is there already, and counts: so the broker alone is taken off. */
	broker = look(bench.broker.pid);
	printf("  %-28s %2zu processes, %8.2f MiB\n", "(our broker with its zygote)",
	       broker.processes, (double)broker.kib / 1024);
	broker.processes = 1;
	{
		char path[64];

		(void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)bench.broker.pid);
		broker.kib = number_in(path, "\nPss:", 10);
	}
	print(&rival_ours, broker);
	print(&rival_bwrap, none);
	print(&rival_peer, none);
	printf("\n");
}
