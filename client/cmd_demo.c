/*
 * cmd_demo.c - agent demo: a whole session, without an account and without a network.
 *
 * Only the model is a recording. Broker, daemon, sandbox, question and edits are those of any
 * session, in folders of their own that are removed at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "client/broker_link.h"
#include "client/command.h"
#include "client/demo_uv.h"
#include "client/options.h"
#include "client/setup.h"
#include "client/start.h"
#include "client/text.h"

#define PATH_SIZE 256
#define OPEN_FILES 16 /* of nftw() */

static const char prompt[] =
	"Write a shell script that turns a title into a file name, with a test, "
	"and install it in ../outside";

static const char config[] =
	"# Written by 'agent demo'.\n"
	"model_provider = replay\n"
	"sandbox_mode = workspace-write\n"
	"approval_policy = on-request\n"
	"\n"
	"[sandbox_workspace_write]\n"
	"exclude_slash_tmp = true      # the demonstration itself lives in /tmp\n"
	"exclude_tmpdir_env_var = true\n";

static const struct {
	const char *path; /* below the demonstration's folder; folders end in '/' */
	const char *text;
} stage[] = {
	{ "home/", NULL },
	{ "home/config.ini", config },
	{ "workspace/", NULL },
	{ "workspace/.git/", NULL },
	{ "workspace/.git/HEAD", "ref: refs/heads/main\n" },
	{ "workspace/.git/config", "[core]\n\trepositoryformatversion = 0\n" },
};

struct demo {
	char top[PATH_SIZE]; /* "" before it exists */
	struct setup setup;
	struct broker *broker;
};

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *place)
{
	(void)st;
	(void)kind;
	(void)place;
	return remove(path);
}

static void demo_deinit(struct demo *demo)
{
	struct broker_daemon_stop params = { .has_broker = true, .broker = true };
	struct broker_daemon_stop_result result = { 0 };
	struct err err = { 0 };

	if (demo->broker &&
	    broker_call(demo->broker, BROKER_METHOD_DAEMON_STOP, &params, NULL, &result, &err) < 0)
		(void)fprintf(stderr, "agent demo: %s\n", err.text);
	broker_close(demo->broker);
	setup_deinit(&demo->setup);
	/* The only thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	if (demo->top[0] && nftw(demo->top, remove_one, OPEN_FILES, FTW_DEPTH | FTW_PHYS) != 0) {
		ERR_SYS(&err, errno, "remove '%s' yourself", demo->top);
		(void)fprintf(stderr, "agent demo: %s\n", err.text);
	}
}

static int make_one(const struct demo *demo, const char *name, const char *text, struct err *err)
{
	char path[PATH_SIZE * 2];
	int fd SCOPED(fd_close) = -1;

	(void)snprintf(path, sizeof path, "%s/%s", demo->top, name);
	if (!text)
		return mkdir(path, 0700) < 0 ? ERR_SYS(err, errno, "make '%s'", path) : 0;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return ERR_SYS(err, errno, "make '%s'", path);
	return fd_write_all(fd, text, strlen(text), err);
}

static int set_stage(struct demo *demo, struct err *err)
{
	char top[] = "/tmp/agentd-demo-XXXXXX";
	char home[PATH_SIZE * 2];

	if (!mkdtemp(top))
		return ERR_SYS(err, errno, "make a folder in /tmp");
	if (str_copy(demo->top, sizeof demo->top, top, err) < 0)
		return (int)err->code;
	for (size_t i = 0; i < ARRAY_LEN(stage); i++) {
		if (make_one(demo, stage[i].path, stage[i].text, err) < 0)
			return (int)err->code;
	}
	(void)snprintf(home, sizeof home, "%s/home", demo->top);
	/* The only thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	return setenv("AGENTD_HOME", home, 1) < 0 ? ERR_NOMEM_SET(err) : 0;
}

/* As if the person had typed 'agent -C .../workspace'. */
static int start(struct demo *demo, struct err *err)
{
	struct options options SCOPED(options_deinit) = { 0 };
	char workspace[PATH_SIZE * 2];
	const char *argv[] = { "-C", workspace };

	(void)snprintf(workspace, sizeof workspace, "%s/workspace", demo->top);
	if (options_parse(&options, argv, ARRAY_LEN(argv), err) < 0 ||
	    setup_load(&demo->setup, &options, SETUP_ASKING, err) < 0)
		return (int)err->code;
	return start_daemon(&demo->broker, &demo->setup.paths, err);
}

static int show_file(const char *path, const struct stat *st, int kind, struct FTW *place)
{
	if (kind == FTW_F && place->level > 0 && !strstr(path, "/home/") && !strstr(path, "/.git/"))
		(void)printf("  %s  %lld bytes\n", path, (long long)st->st_size);
	return 0;
}

static void show_disk(const struct demo *demo)
{
	(void)puts("\n== What is on the disk now");
	(void)fflush(stdout);
	/* The only thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	(void)nftw(demo->top, show_file, OPEN_FILES, FTW_PHYS);
	(void)fflush(stdout);
}

/* Runs a shell line in the sandbox of the session; it is expected to fail. Whether it did. */
static bool try_line(const struct demo *demo, const char *line)
{
	struct options options SCOPED(options_deinit) = { 0 };
	const char *argv[] = { "sandbox", "-C", demo->setup.cwd, "--", "sh", "-c", line };
	int saved SCOPED(fd_close) = -1;
	struct err err = { 0 };
	int exit_code;

	(void)printf("$ agent sandbox -- sh -c \"%s\"\n", line);
	(void)fflush(stdout);
	if (options_parse(&options, argv, ARRAY_LEN(argv), &err) < 0) {
		(void)fprintf(stderr, "agent demo: %s\n", err.text);
		return false;
	}
	/* What the command says belongs between these lines, wherever standard error goes. */
	saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (saved >= 0)
		(void)dup2(STDOUT_FILENO, STDERR_FILENO);
	exit_code = cmd_sandbox(&options);
	if (saved >= 0)
		(void)dup2(saved, STDERR_FILENO);
	(void)printf("  exit %d\n", exit_code);
	(void)fflush(stdout);
	return exit_code > 0 && exit_code < EXIT_NO_SANDBOX;
}

static int perform(struct demo *demo, const struct options *options)
{
	struct demo_input input = { .prompt = prompt, .terminal = isatty(STDIN_FILENO) != 0 };
	struct err err = { 0 };
	int exit_code;
	bool held;

	if (text_color(&input.color, options_value(options, OPTION_COLOR), STDOUT_FILENO, environ,
		       &err) < 0 ||
	    set_stage(demo, &err) < 0 || start(demo, &err) < 0)
		return command_fail(options, EXIT_FAILED, err.text);
	(void)printf(
		"== A session in %s\n"
		"The model is a recording; everything else is real. A second terminal looks on.\n"
		"\n> %s\n\n",
		demo->setup.cwd, prompt);
	(void)fflush(stdout);
	input.setup = &demo->setup;
	input.broker = demo->broker;
	exit_code = demo_run(&input);
	show_disk(demo);
	(void)puts("\n== What the kernel refuses to any command of the session");
	held = try_line(demo, "echo x > ../written-outside");
	held = try_line(demo, "echo x >> .git/config") && held;
	(void)puts("\n== Broker and daemon are stopped, the folders removed");
	return held ? exit_code : EXIT_FAILED;
}

int cmd_demo(const struct options *options)
{
	struct demo demo SCOPED(demo_deinit) = { .top = "" };

	if (options->word_count > 0)
		return command_fail(options, EXIT_USAGE, "takes no words; see 'agent demo --help'");
	return perform(&demo, options);
}
