/*
 * main.c - agent-broker: options, start checks, the socket; then broker_run().
 */
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "broker/broker.h"

#define SOCKET "broker.sock"
#define BACKLOG 16       /* connections that wait to be accepted */
#define DESCRIPTORS 8192 /* wanted: peers, three for each command, sandboxes */

/* Where readiness is told: "ok", or the sentence why not. -1 when nobody waits. */
static int ready_fd = -1;

static const char usage[] =
	"usage: agent-broker --runtime DIR --state DIR --config DIR --agentd FILE [--ready-fd N]\n"
	"           [--no-lockdown]  agentd does not lock itself down\n"
	"           [--idle-ms N]    end after so long without connection, agentd and command (ten "
	"minutes)";

static int parse_options(struct broker_options *out, char *const argv[], struct err *err)
{
	static const char *const names[] = { "--runtime", "--state",    "--config",
					     "--agentd",  "--ready-fd", "--idle-ms" };
	const char *values[ARRAY_LEN(names)] = { NULL };
	int64_t fd = -1;
	int64_t idle_ms = BROKER_IDLE_MS;

	for (size_t i = 1; argv[i]; i++) {
		size_t which = 0;

		while (which < ARRAY_LEN(names) && !str_eq(argv[i], names[which]))
			which++;
		if (str_eq(argv[i], "--no-lockdown"))
			out->no_lockdown = true;
		else if (which < ARRAY_LEN(names) && argv[i + 1])
			values[which] = argv[++i];
		else
			return ERR_SET(err, ERR_INVALID, "option '%s': unknown, or without a value",
				       argv[i]);
	}
	if (values[4] && str_to_int(&fd, values[4], 3, 1023, err) < 0)
		return ERR_WRAP(err, "--ready-fd");
	if (values[5] && str_to_int(&idle_ms, values[5], 1, INT32_MAX, err) < 0)
		return ERR_WRAP(err, "--idle-ms");
	ready_fd = (int)fd;
	out->idle_ms = (int)idle_ms;
	for (size_t i = 0; i < 4; i++) {
		if (!values[i] || values[i][0] != '/')
			return ERR_SET(err, ERR_INVALID, "%s: needs an absolute path", names[i]);
	}
	memcpy(out->folders, values, sizeof out->folders);
	out->agentd = values[3];
	return 0;
}

static int check_folder(const char *path, struct err *err)
{
	struct stat info = { 0 };

	if (lstat(path, &info) < 0)
		return ERR_SYS(err, errno, "folder '%s'", path);
	if (!S_ISDIR(info.st_mode))
		return ERR_SET(err, ERR_DENIED, "'%s' is not a folder", path);
	if (info.st_uid != getuid())
		return ERR_SET(err, ERR_DENIED, "'%s' belongs to uid %u: chown it to %u", path,
			       info.st_uid, getuid());
	if (info.st_mode & (S_IWGRP | S_IWOTH))
		return ERR_SET(err, ERR_DENIED, "others may write to '%s': chmod go-w it", path);
	return 0;
}

/*
 * What holds for the process from now on: nobody traces it, it leaves no image of its memory, what
 * its commands orphan stays below it, and nothing that it inherited goes on to a command.
 */
static int confine(struct err *err)
{
	struct rlimit none = { 0, 0 };
	struct rlimit files = { 0, 0 };

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
	    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0 || getrlimit(RLIMIT_NOFILE, &files) < 0)
		return ERR_SYS(err, errno, "confine");
	if (files.rlim_cur < DESCRIPTORS)
		files.rlim_cur = files.rlim_max < DESCRIPTORS ? files.rlim_max : DESCRIPTORS;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return ERR_SYS(err, errno, "limit of descriptors");
	return 0;
}

/* By the folder's descriptor, so that no path is too long for an address. */
static int listen_in(int folder, struct err *err)
{
	int fd SCOPED(fd_close) = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" SOCKET,
		       folder);
	(void)unlinkat(folder, SOCKET, 0); /* bind() says when it is still there */
	if (fchmod(fd, 0600) < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return ERR_SYS(err, errno, "listen at " SOCKET);
	return fd_take(&fd);
}

static int open_signals(struct err *err)
{
	sigset_t set;
	int fd;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0 ||
	    sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL) < 0)
		return ERR_SYS(err, errno, "signals");
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? ERR_SYS(err, errno, "signalfd") : fd;
}

static void tell_ready(const char *word)
{
	if (ready_fd >= 0 && dprintf(ready_fd, "%s\n", word) < 0)
		log_warn("ready", "why='nobody waits for it'");
	fd_close(&ready_fd);
}

static int serve(struct broker *broker, struct err *err)
{
	const char *runtime = broker->options.folders[BROKER_RUNTIME];
	int folder SCOPED(fd_close) = -1;
	int rc;

	for (size_t i = 0; i < BROKER_FOLDERS; i++) {
		if (check_folder(broker->options.folders[i], err) < 0)
			return err->code;
	}
	/* Held while the broker lives: the socket's name is the holder's to remove and to make. */
	folder = open(runtime, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0 || flock(folder, LOCK_EX | LOCK_NB) < 0)
		return ERR_SET(err, ERR_STATE, "another broker serves '%s'", runtime);
	if (confine(err) < 0 || (broker->signals = open_signals(err)) < 0 ||
	    (broker->listener = listen_in(folder, err)) < 0)
		return err->code;
	if (broker->options.no_lockdown)
		log_warn("no_lockdown", "agentd will NOT lock itself down");
	log_info("start", "runtime='%s' version=%s", runtime, AGENT_VERSION);
	tell_ready("ok");
	rc = broker_run(broker, err);
	(void)unlinkat(folder, SOCKET, 0);
	return rc;
}

int main(int argc, char *argv[])
{
	static struct broker broker;
	struct err err = { 0 };
	int rc;

	if (argc == 2 && str_eq(argv[1], "--help"))
		return puts(usage) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	log_open("agent-broker", LOG_INFO);
	rc = parse_options(&broker.options, argv, &err) < 0 ? (int)err.code : serve(&broker, &err);
	log_event(rc < 0 ? LOG_ERROR : LOG_INFO, "end", "why='%s'",
		  rc < 0 ? err.text : "nothing is left to do");
	tell_ready(err.text);
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
