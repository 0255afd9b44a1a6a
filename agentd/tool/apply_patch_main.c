/*
 * apply_patch_main.c - the applet agent-patch, known to models as apply_patch and applypatch.
 *
 * Runs inside the sandbox with the rights of any command; the kernel says what it may write. Reads
 * the patch from its only argument or from standard input, and carries it out as a whole or not at
 * all. With --report, as agentd starts it, standard output has the text for the model whatever
 * happened, and standard error one line of JSON about the changes. --no-links as a second argument
 * refuses paths that lead through a symbolic link: for edits that a person has approved to happen
 * outside of the sandbox, where a link planted inside must not choose what is written.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "agentd/tool/patch_apply.h"
#include "agentd/tool/patch_parse.h"
#include "agentd/tool/patch_path.h"
#include "agentd/tool/patch_report.h"
#include "agentd/tool/patch_tree.h"

enum { EXIT_APPLIED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const char usage[] = "Usage: apply_patch 'PATCH'\n"
			    "       echo 'PATCH' | apply_patch\n";

static int say(int fd, const char *text, size_t len)
{
	struct err err = { 0 };

	return fd_write_all(fd, text, len, &err);
}

static int fail(const char *text)
{
	(void)say(STDERR_FILENO, text, strlen(text));
	(void)say(STDERR_FILENO, "\n", 1);
	return EXIT_FAILED;
}

/* The patch was parsed, or `bad` says why not. */
static int carry_out(const struct patch *patch, const struct err *bad, bool report)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(PATCH_OUTPUT_MAX);
	struct buf line SCOPED(buf_deinit) = BUF_INIT(PATCH_REPORT_MAX);
	struct patch_tree tree SCOPED(patch_tree_deinit) = { 0 };
	enum patch_state state = PATCH_UNVERIFIED;
	struct err err = { 0 };
	int out = STDOUT_FILENO;
	int rc;

	rc = bad ? buf_printf(&text, &err, "%s\n", bad->text)
		 : patch_apply(&state, &tree, patch, &text, &err);
	if (rc < 0)
		return fail(err.text);
	if (!report && state != PATCH_APPLIED)
		out = STDERR_FILENO;
	if (report && patch_report(&line, state, patch, &tree, &err) < 0)
		return fail(err.text);
	if (say(out, text.data, text.len) < 0 ||
	    (report && say(STDERR_FILENO, line.data, line.len) < 0))
		return EXIT_FAILED; /* nobody listens */
	return state == PATCH_APPLIED ? EXIT_APPLIED : EXIT_FAILED;
}

static int run(const char *text, size_t len, bool report)
{
	struct patch patch SCOPED(patch_deinit) = { 0 };
	struct err err = { 0 };

	if (patch_parse(&patch, text, len, &err) < 0)
		return carry_out(&patch, &err, report);
	return carry_out(&patch, NULL, report);
}

static int run_input(bool report)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(PATCH_TEXT_MAX);
	struct err err = { 0 };

	if (buf_read_fd(&text, STDIN_FILENO, &err) < 0) {
		(void)ERR_WRAP(&err, "Failed to read the patch from standard input");
		return fail(err.text);
	}
	if (text.len == 0 && !report) {
		(void)say(STDERR_FILENO, usage, strlen(usage));
		return EXIT_USAGE;
	}
	return run(buf_str(&text), text.len, report);
}

int main(int argc, char **argv)
{
	(void)sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	(void)sigaction(SIGXFSZ, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	if (argc == 1)
		return run_input(false);
	if (argc == 3 && str_eq(argv[1], "--report") && str_eq(argv[2], "--no-links")) {
		patch_path_refuse_links();
		return run_input(true);
	}
	if (argc == 2 && str_eq(argv[1], "--report"))
		return run_input(true);
	if (argc == 2 && (str_eq(argv[1], "--help") || str_eq(argv[1], "-h")))
		return say(STDOUT_FILENO, usage, strlen(usage)) < 0 ? EXIT_FAILED : EXIT_APPLIED;
	if (argc == 2)
		return run(argv[1], strlen(argv[1]), false);
	(void)say(STDERR_FILENO, usage, strlen(usage));
	return EXIT_USAGE;
}
