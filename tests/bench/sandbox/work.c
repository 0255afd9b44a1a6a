/*
 * work.c - P15: what people do, inside and outside, without what the start itself takes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/err.h"

#include "tests/bench/sandbox/bench.h"

#define ROUNDS 9

/* In the work folder. prepare: once, outside; needs: a program without which it is left out. */
static const struct job {
	const char *title;
	const char *needs;
	const char *prepare;
	const char *script;
} jobs[] = {
	{ "git status, 50,000 files", "git",
	  "mkdir many && cd many && git init -q . && for d in $(seq 500); do mkdir d$d; "
	  "for f in $(seq 100); do echo $d $f >d$d/f$f; done; done && git add . && "
	  "git -c user.name=x -c user.email=x@x commit -qm x",
	  "cd many && git status --short" },
	{ "rg over 50,000 files", "rg", ":", "rg --no-ignore -c '77 77' many; :" },
	{ "grep -r over 50,000 files", "grep", ":", "grep -rc 'no such text' many >/dev/null; :" },
	{ "make, 40 files", "make",
	  "mkdir build && cd build && for i in $(seq 40); do printf '#include <stdio.h>\\nint "
	  "f%d(void) { return printf(\"%d\"); }\\n' $i $i >f$i.c; done; printf 'all: $(patsubst "
	  "%%.c,%%.o,$(wildcard *.c))\\n' >Makefile",
	  "cd build && rm -f *.o && make -s CC=cc" },
	{ "10,000 small files", "sh", ":",
	  "mkdir small && cd small && i=0; while [ $i -lt 10000 ]; do echo $i >f$i; i=$((i+1)); "
	  "done; cd .. && rm -rf small" },
	{ "node, files and numbers", "node", ":",
	  "node -e 'const fs=require(\"fs\");let n=0;for(let "
	  "i=0;i<200;i++){n+=fs.readdirSync(\"/usr/"
	  "bin\").length;fs.writeFileSync(\"n\"+i,\"x\".repeat(i));fs.unlinkSync(\"n\"+i)}for(let "
	  "i=0;i<3e7;i++)n=(n*31+i)|0;'" },
};

static const struct rival *const rivals[] = { &rival_bare, &rival_ours, &rival_bwrap, &rival_peer };

static bool is_there(const char *program)
{
	char script[128];
	const char *argv[] = { "sh", "-c", script, NULL };

	(void)snprintf(script, sizeof script, "command -v %s", program);
	return bench_wait(bench_spawn(argv));
}

static double run_once(const struct rival *rival, const char *script)
{
	const char *argv[] = { "/bin/sh", "-c", script, NULL };
	double began = bench_now_us();

	return rival->run(argv) ? bench_now_us() - began : 0;
}

/* Start-up is what the same shell takes that does nothing. */
static void run_job(const struct job *job)
{
	double took[ARRAY_LEN(rivals)][ROUNDS];
	double empty[ARRAY_LEN(rivals)][ROUNDS];
	double bare = 0;

	for (size_t round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < ARRAY_LEN(rivals); i++) {
			empty[i][round] = run_once(rivals[i], ":");
			took[i][round] = run_once(rivals[i], job->script);
		}
	}
	printf("  %-28s", job->title);
	for (size_t i = 0; i < ARRAY_LEN(rivals); i++) {
		double start = bench_median(empty[i], ROUNDS);
		double net = bench_median(took[i], ROUNDS) - start;

		if (i == 0)
			bare = net;
		if (i == 0)
			printf(" %8.1f ms", net / 1e3);
		else if (net > 0)
			printf(" %9.3f", net / bare);
		else
			printf("  not here");
	}
	printf("\n");
	(void)fflush(stdout);
}

void bench_work(void)
{
	printf("P15: work inside by work outside, start-up taken off (medians of %d)\n", ROUNDS);
	printf("  %-28s %11s %9s %9s %9s\n", "", "outside", "ours", "bwrap", "peer");
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		const char *argv[] = { "/bin/sh", "-c", jobs[i].prepare, NULL };

		if (!is_there(jobs[i].needs) || !bench_wait(bench_spawn(argv)))
			printf("  %-28s %s is not here\n", jobs[i].title, jobs[i].needs);
		else
			run_job(&jobs[i]);
	}
	printf("\n");
}
