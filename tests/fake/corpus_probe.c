/*
 * corpus_probe.c - a command that makes one attempt to leave its sandbox and says what came of it.
 *
 *   corpus_probe VERB [WORD...]
 *
 * Prints one line, "= OK" or "= ENAME", perhaps with a note behind it. It believes nothing about
 * where it runs, and an attempt that succeeds does as little harm as one that fails.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/str.h"

#include "tests/fake/probe/probe.h"

static const struct verb *const tables[] = { verbs_files,   verbs_kernel, verbs_process, verbs_self,
					     verbs_sockets, verbs_ipc,    verbs_deputy };

static char notes[512];

int outcome(long result)
{
	int sys = errno;

	if (result > STDERR_FILENO)
		(void)close((int)result);
	return result < 0 ? sys : 0;
}

void note(const char *format, ...)
{
	size_t used = strlen(notes);
	va_list args;

	va_start(args, format);
	(void)vsnprintf(notes + used, sizeof notes - used, format, args);
	va_end(args);
}

long number(const char *word)
{
	char *end = NULL;
	long long value = strtoll(word, &end, 0);

	if (*end != '\0' || end == word) {
		(void)fprintf(stderr, "corpus_probe: '%s' is no number\n", word);
		exit(2);
	}
	return (long)value;
}

int child_outcome(int pid)
{
	int status = 0;

	if (pid < 0)
		return errno;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return errno;
	}
	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	note(" %s", sigabbrev_np(WTERMSIG(status)));
	return ECANCELED;
}

static const struct verb *find(const char *name)
{
	for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
		for (const struct verb *verb = tables[t]; verb->name; verb++) {
			if (str_eq(verb->name, name))
				return verb;
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	const struct verb *verb = argc > 1 ? find(argv[1]) : NULL;
	int sys;

	if (!verb || (verb->words >= 0 && verb->words != argc - 2)) {
		(void)fprintf(stderr, "usage: corpus_probe VERB [WORD...]\n");
		return 2;
	}
	sys = verb->run(argv + 2);
	printf("= %s%s\n", sys ? strerrorname_np(sys) : "OK", notes);
	return 0;
}
