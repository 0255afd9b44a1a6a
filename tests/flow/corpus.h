/*
 * corpus.h - the attempts to leave a sandbox, as tables, and what runs them.
 *
 * A case is one attempt by one command, made in each mode. What the kernel has to answer stands in
 * the table; that nothing has happened on the host is looked at after each of them, whatever was
 * answered (tests/support/victims.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/support/broker_client.h"
#include "tests/support/victims.h"

#define CORPUS_OUTPUT 65536 /* bytes that are kept of what a command writes */

enum corpus_mode {
	CORPUS_READ_ONLY,
	CORPUS_WORKSPACE, /* workspace-write, network off */
	CORPUS_ONLINE,    /* workspace-write, network on */
	CORPUS_LEGACY,    /* workspace-write, Landlock and seccomp alone */
	CORPUS_FULL,
	CORPUS_MODE_COUNT
};

enum corpus_input {
	INPUT_NULL,
	INPUT_TERMINAL, /* the person's */
	INPUT_SOCKET,   /* one end of a pair */
	INPUT_FILE      /* outside/file, open for reading and writing */
};

/*
 * attempt: words for corpus_probe, through the shell; behind a '!', a script of the shell. What may
 * be answered is a list, "EPERM|EROFS", with
 *
 *   D  any refusal       *  anything: the host is what counts
 *   U  a refusal, but to root anything
 *   -  not in this mode
 *
 * Left out: workspace is as read-only, online as workspace, legacy any refusal where workspace
 * wants one and anything where not, full access '-', since it may do what the person may.
 */
struct corpus_case {
	const char *id;
	const char *title;
	const char *attempt;
	const char *want[CORPUS_MODE_COUNT];
	unsigned may; /* victims that may be touched where the answer may be OK */
	enum corpus_input input;
	const char
		*cwd; /* NULL: the workspace; a leading @ stands for the folder of all the rest */
};

/* A case that another test is about; both names are looked up in the sources. */
struct corpus_elsewhere {
	const char *id;
	const char *file; /* below tests/ */
	const char *test;
};

struct corpus_table {
	const struct corpus_case *cases;
	size_t count;
};

extern const struct corpus_table corpus_files;     /* FS */
extern const struct corpus_table corpus_protected; /* PP */
extern const struct corpus_table corpus_processes; /* PR */
extern const struct corpus_table corpus_kernel;    /* PR: system calls */
extern const struct corpus_table corpus_sockets;   /* IP, NW */
extern const struct corpus_table corpus_deputy;    /* OWN: calls that are performed by another */
extern const struct corpus_table corpus_others;    /* EN, and those that came to our mind: OWN */
extern const struct corpus_elsewhere corpus_elsewhere[];
extern const size_t corpus_elsewhere_count;

struct corpus {
	struct test_broker broker;
	struct broker_client client;
	struct victims victims;
	char ceilings[CORPUS_MODE_COUNT][33]; /* empty: the mode does not exist here */
	const char *account;
	pid_t sibling; /* a command of the same ceiling, by its number on the host; 0: none */
	char probe[1024];
};

extern const char *const corpus_mode_names[CORPUS_MODE_COUNT];

/* With the victims, a broker and a ceiling for each mode. */
void corpus_open(struct corpus *corpus);
void corpus_close(struct corpus *corpus);

/* ceiling/open for the mode with this folder; false when it is refused: client.err says why. */
bool corpus_ceiling(struct corpus *corpus, enum corpus_mode mode, const char *cwd,
		    const char *const *roots, char *out);

/* Starts a script of the shell with the case's variables; false when it is refused. */
bool corpus_start(struct corpus *corpus, struct broker_command *command, const char *ceiling,
		  const char *script, const char *cwd);

/* Reads what it writes and waits for its end. Returns its code, or CORPUS_ENDED when it had to be
 * ended because it did not end. */
#define CORPUS_ENDED (-1)
int corpus_finish(struct corpus *corpus, struct broker_command *command, char text[CORPUS_OUTPUT]);

/* One line of the report. what: what has happened; a case fails when it is not empty. */
void corpus_report(const struct corpus *corpus, const char *id, const char *mode,
		   const char *answer, const char *title, const char *what);

/* The word behind the last "= " that begins a line; or what has become of the command. */
void corpus_answer(char out[64], const char *text, int code);

/* Whether `answer` is one of the list. */
bool corpus_is_wanted(const char *answer, const char *wanted);

/* Those that take more than one command; each calls corpus_report(). */
void corpus_run_live(struct corpus *corpus);
void corpus_run_races(struct corpus *corpus);
void corpus_run_deaths(struct corpus *corpus);
