/*
 * flood.c - a command that takes all it can get.
 *
 *   flood fork MAX         processes that never sleep, until the kernel refuses or there are MAX
 *   flood memory MIB       so much memory, all of it written to
 *   flood fill FILE        a file that grows until the kernel refuses, or holds 2 GiB
 *   flood output MIB       so much output
 *   flood descriptors MAX  open files, until the kernel refuses or there are MAX
 *   flood orphans COUNT    grandchildren with sessions of their own that no signal but one ends
 *   flood deaf             a process that ignores SIGTERM
 *
 * All but `output` say how far they came in one line, "KIND: N WHY", and then wait to be killed,
 * but `orphans`, whose own process ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/base/attr.h"
#include "proto/base/str.h"

#define MIB ((size_t)1 << 20)
#define FILL_MAX (2048 * MIB) /* never so much that the machine suffers */

static void say(const char *kind, int64_t count, int why)
{
	(void)printf("%s: %lld %s\n", kind, (long long)count, why ? strerrorname_np(why) : "all");
	(void)fflush(stdout);
}

static void flood_fork(int64_t max)
{
	int64_t count = 0;
	int why = 0;

	while (count < max && !why) {
		pid_t pid = fork();

		while (pid == 0)
			; /* never sleeps */
		why = pid < 0 ? errno : 0;
		count += pid > 0;
	}
	say("fork", count, why);
}

static void flood_memory(int64_t mib)
{
	int64_t count = 0;
	int why = 0;

	for (; count < mib && !why; count++) {
		void *piece =
			mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		why = piece == MAP_FAILED ? errno : 0;
		if (!why)
			memset(piece, 'x', MIB);
	}
	say("memory", count, why);
}

static void flood_fill(const char *path)
{
	static char block[MIB];
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	size_t count = 0;
	ssize_t put = 0;

	while (count < FILL_MAX && put >= 0) {
		put = write(fd, block, sizeof block);
		count += put > 0 ? (size_t)put : 0;
	}
	say("fill", (int64_t)(count / MIB), put < 0 ? errno : 0);
}

static void flood_output(int64_t mib)
{
	static char block[MIB];

	memset(block, 'x', sizeof block);
	for (int64_t left = mib * (int64_t)MIB; left > 0;) {
		ssize_t put = write(STDOUT_FILENO, block, sizeof block);

		if (put < 0)
			exit(1);
		left -= put;
	}
	exit(0);
}

static void flood_descriptors(int64_t max)
{
	int64_t count = 0;
	int why = 0;

	for (; count < max && !why; count++)
		why = open("/dev/null", O_RDONLY | O_CLOEXEC) < 0 ? errno : 0;
	say("descriptors", count - (why ? 1 : 0), why);
}

static void flood_orphans(int64_t count)
{
	sigset_t all;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	for (int64_t i = 0; i < count; i++) {
		if (fork() != 0)
			continue;
		if (fork() == 0 && setsid() > 0) {
			for (;;)
				(void)pause();
		}
		_exit(0);
	}
	say("orphans", count, 0);
	exit(0);
}

int main(int argc, char *argv[])
{
	static const struct kind {
		const char *name;
		void (*run)(int64_t);
	} kinds[] = {
		{ "fork", flood_fork },       { "memory", flood_memory },
		{ "output", flood_output },   { "descriptors", flood_descriptors },
		{ "orphans", flood_orphans },
	};
	int64_t number = 0;

	if (argc == 2 && str_eq(argv[1], "deaf")) {
		(void)sigaction(SIGTERM, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
		say("deaf", 1, 0);
	} else if (argc == 3 && str_eq(argv[1], "fill")) {
		flood_fill(argv[2]);
	} else if (argc == 3 && str_to_int(&number, argv[2], 0, INT32_MAX, NULL) == 0) {
		for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
			if (str_eq(argv[1], kinds[i].name))
				kinds[i].run(number);
		}
	} else {
		return 2;
	}
	for (;;)
		(void)pause();
}
