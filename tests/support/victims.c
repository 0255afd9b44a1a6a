#include "tests/support/victims.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <ifaddrs.h>
#include <limits.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "tests/support/fixture.h"

#define SHM_SIZE 4096
#define USER_KEYRING (-4)
#define KEYCTL_UNLINK_KEY 9
#define KEYCTL_SEARCH_KEY 10
#define KEYCTL_READ_KEY 11

/* What has happened, in brackets. */
__attribute__((format(printf, 2, 3))) static void say(struct buf *out, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	assert_int_equal(buf_printf(out, NULL, "[%s] ", text), 0);
}

/* Made by the shell: $T is the top. */
static const char folders[] =
	"cd \"$T\" && mkdir -p work bare tree linked hostile closed/.git outside/sub main\n"
	"mkdir -p elsewhere/hooks; ln -s work alias; echo \"gitdir: $T/outside\" >hostile/.git\n"
	"ln -s ../outside linked/.agents; chmod 000 closed/.git\n"
	"mkdir -p repository/below\n"
	"! command -v git >/dev/null || git init -q repository 2>/dev/null\n"
	"cd work\n"
	"printf '#!/nonexistent/program\\n' >no-interpreter; echo x >no-format\n"
	"chmod 755 no-interpreter no-format\n"
	"mkdir -p .git/hooks .git/info .git/objects/aa .git/refs/heads .git/logs .git/worktrees/x\n"
	"mkdir -p .git/modules/lib/hooks .agents/skills .agentd .codex dir sub/.git/hooks lib\n"
	"mkdir -p nest/.git/hooks race; echo '[core]' >nest/.git/config\n"
	"echo 'ref: refs/heads/main' >.git/HEAD; echo '[core]' >.git/config; echo x >.git/index\n"
	"echo x >.git/refs/heads/main; echo x >.git/hooks/pre-commit.sample\n"
	"echo x >.git/packed-refs; echo x >.git/info/exclude\n"
	"echo 'ref: refs/heads/main' >.git/modules/lib/HEAD; echo '[core]' "
	">.git/modules/lib/config\n"
	"printf '[submodule \"lib\"]\\n\\tpath = lib\\n\\turl = ../lib\\n' >.gitmodules\n"
	"echo 'gitdir: ../.git/modules/lib' >lib/.git; echo x >lib/file\n"
	"echo x >.agents/skills/skill.md; echo 'x=1' >.agentd/config.ini; echo x "
	">.codex/config.toml\n"
	"echo '[core]' >sub/.git/config; echo x >file; echo x >dir/file; echo x >victim\n"
	"ln -s ../outside link-out; ln -s .git link-git; ln -s ../outside/file link-file\n"
	"cd ..\n"
	"echo secret >outside/file; echo x >outside/sub/file; echo x >outside/twin\n"
	"chmod 600 outside/file; ln outside/twin work/twin; mkfifo outside/fifo work/fifo\n"
	"printf '#!/bin/sh\\n' >outside/run; chmod 755 outside/run\n"
	"mkdir -p main/.git/worktrees/tree main/.git/hooks main/.git/objects main/.git/refs/heads\n"
	"echo '[core]' >main/.git/config; echo 'ref: refs/heads/main' >main/.git/HEAD\n"
	"echo \"$T/tree/.git\" >main/.git/worktrees/tree/gitdir\n"
	"echo ../.. >main/.git/worktrees/tree/commondir; echo x >main/.git/worktrees/tree/HEAD\n"
	"echo \"gitdir: $T/main/.git/worktrees/tree\" >tree/.git\n"
	"echo '[core]' >elsewhere/config; ln -s ../elsewhere linked/.git\n";

/* What may not change: everything but the parts of the roots that are a command's own. */
static const char *const watched[] = {
	"outside",       "main",           "elsewhere",     "work/.git",     "work/.agents",
	"work/.agentd",  "work/.codex",    "work/lib/.git", "tree/.git",     "linked/.git",
	"bare/.git",     "bare/.agents",   "bare/.agentd",  "bare/.codex",   "tree/.agents",
	"linked/.codex", "linked/.agents", "hostile/.git",  "work/sub/.git", "closed/.git"
};

static const char *const settings[] = {
	"/proc/sys/kernel/core_pattern",  "/proc/sys/kernel/hostname",
	"/proc/sys/kernel/domainname",    "/proc/sys/kernel/modprobe",
	"/proc/sys/vm/overcommit_memory", "/proc/swaps",
	"/proc/sys/kernel/sysrq",         "/proc/modules"
};

static void run_shell(const char *script, const char *top)
{
	char variable[600];
	char *argv[] = { (char[]){ "sh" }, (char[]){ "-ec" }, (char *)(uintptr_t)script, NULL };
	char *env[] = { variable, (char[]){ "PATH=/usr/local/bin:/usr/bin:/bin" }, NULL };
	int status = 1;
	pid_t pid;

	(void)snprintf(variable, sizeof variable, "T=%s", top);
	pid = fork();
	if (pid == 0) {
		(void)execvpe("sh", argv, env);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void join(char *out, size_t size, const char *folder, const char *name)
{
	(void)snprintf(out, size, "%s/%s", folder, name);
}

static void open_folders(struct victims *victims, const char *top)
{
	struct victim_folders *at = &victims->at;
	char fifo[700];

	(void)snprintf(at->top, sizeof at->top, "%s", top);
	join(at->work, sizeof at->work, top, "work");
	join(at->bare, sizeof at->bare, top, "bare");
	join(at->tree, sizeof at->tree, top, "tree");
	join(at->linked, sizeof at->linked, top, "linked");
	join(at->outside, sizeof at->outside, top, "outside");
	run_shell(folders, top);
	join(fifo, sizeof fifo, at->outside, "fifo");
	victims->fifo = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(victims->fifo >= 0);
}

/* ------------------------------------------------------------------ sockets */

static struct victim_socket *add_socket(struct victims *victims, int fd, enum victim_kind kind,
					const char *name)
{
	struct victim_socket *entry = &victims->sockets[victims->socket_count++];

	assert_true(fd >= 0);
	assert_true(victims->socket_count <= VICTIM_SOCKETS_MAX);
	entry->fd = fd;
	entry->kind = kind;
	(void)snprintf(entry->name, sizeof entry->name, "%s", name);
	return entry;
}

/* A leading @ stands for the NUL of an abstract name. */
static void add_unix(struct victims *victims, int type, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) +
				       (name[0] != '@'));

	assert_true(strlen(name) < sizeof address.sun_path);
	memcpy(address.sun_path, name, strlen(name));
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	if (bind(fd, (const struct sockaddr *)&address, length) < 0)
		fail_msg("bind %s: %s", name, strerrorname_np(errno));
	if (type != SOCK_DGRAM)
		assert_int_equal(listen(fd, 64), 0);
	(void)add_socket(victims, fd, VICTIM_SOCKETS, name);
}

static void add_three(struct victims *victims, const char *folder, const char *name)
{
	static const struct row {
		int type;
		const char *end;
	} rows[] = { { SOCK_STREAM, "stream" },
		     { SOCK_SEQPACKET, "packets" },
		     { SOCK_DGRAM, "datagram" } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char path[256];

		(void)snprintf(path, sizeof path, "%s%s%s", folder, name, rows[i].end);
		add_unix(victims, rows[i].type, path);
	}
}

static int add_internet(struct victims *victims, int family, int type, const char *address)
{
	struct sockaddr_storage name = { .ss_family = (sa_family_t)family };
	struct sockaddr_in *four = (struct sockaddr_in *)&name;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&name;
	socklen_t length = family == AF_INET ? sizeof *four : sizeof *six;
	int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char text[160];

	if (family == AF_INET)
		(void)inet_pton(family, address, &four->sin_addr);
	else
		(void)inet_pton(family, address, &six->sin6_addr);
	if (fd < 0 || bind(fd, (struct sockaddr *)&name, length) < 0 ||
	    getsockname(fd, (struct sockaddr *)&name, &length) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 64) < 0)) {
		fd_close(&fd);
		return 0; /* without IPv6, for one */
	}
	(void)snprintf(text, sizeof text, "%s %s", type == SOCK_STREAM ? "TCP" : "UDP", address);
	(void)add_socket(victims, fd, VICTIM_NETWORK, text);
	return ntohs(family == AF_INET ? four->sin_port : six->sin6_port);
}

static void find_address(char *out, size_t size)
{
	struct ifaddrs *list = NULL;

	out[0] = '\0';
	if (getifaddrs(&list) < 0)
		return;
	for (const struct ifaddrs *at = list; at && !out[0]; at = at->ifa_next) {
		const struct sockaddr_in *name = (const void *)at->ifa_addr;

		if (name && name->sin_family == AF_INET &&
		    ntohl(name->sin_addr.s_addr) >> 24 != 127)
			(void)inet_ntop(AF_INET, &name->sin_addr, out, (socklen_t)size);
	}
	freeifaddrs(list);
}

static void open_sockets(struct victims *victims)
{
	char abstract[64];

	add_three(victims, victims->at.outside, "/early.");
	add_three(victims, victims->at.work, "/early.");
	(void)snprintf(abstract, sizeof abstract, "@agent-test-%d.", (int)getpid());
	add_three(victims, "", abstract);
	find_address(victims->address, sizeof victims->address);
	victims->port_tcp = add_internet(victims, AF_INET, SOCK_STREAM, "0.0.0.0");
	victims->port_udp = add_internet(victims, AF_INET, SOCK_DGRAM, "0.0.0.0");
	victims->port_tcp6 = add_internet(victims, AF_INET6, SOCK_STREAM, "::1");
}

static void look_at_sockets(struct victims *victims, unsigned allowed, struct buf *out)
{
	for (size_t i = 0; i < victims->socket_count; i++) {
		const struct victim_socket *entry = &victims->sockets[i];
		struct pollfd ready = { .fd = entry->fd, .events = POLLIN };

		while (poll(&ready, 1, 0) > 0) {
			char bytes[256];
			int fd = accept4(entry->fd, NULL, NULL, SOCK_CLOEXEC);

			if (fd < 0 && recv(entry->fd, bytes, sizeof bytes, 0) < 0)
				break;
			fd_close(&fd);
			if (!(entry->kind & allowed))
				say(out, "%s was reached", entry->name);
		}
	}
}

/* ------------------------------------------------------------------ folders */

static void describe_content(struct buf *out, const char *path, const struct stat *st)
{
	char text[256] = "";
	ssize_t got = 0;
	int fd = -1;

	if (S_ISLNK(st->st_mode))
		got = readlink(path, text, sizeof text - 1);
	else if (S_ISREG(st->st_mode))
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		got = read(fd, text, sizeof text - 1);
	fd_close(&fd);
	for (ssize_t i = 0; i < got; i++)
		text[i] = (char)(text[i] < ' ' ? '.' : text[i]);
	text[got > 0 ? got : 0] = '\0';
	got = llistxattr(path, NULL, 0);
	assert_int_equal(buf_printf(out, NULL, " xattrs=%zd '%s'\n", got, text), 0);
}

static void describe(struct buf *out, const char *path)
{
	struct dirent **names = NULL;
	struct stat st;
	int count;

	if (lstat(path, &st) < 0)
		return;
	assert_int_equal(buf_printf(out, NULL,
				    "%s %o %u:%u inode %llu links %u size %lld at %lld.%09ld", path,
				    st.st_mode, st.st_uid, st.st_gid, (unsigned long long)st.st_ino,
				    (unsigned)st.st_nlink, (long long)st.st_size,
				    (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec),
			 0);
	describe_content(out, path, &st);
	count = S_ISDIR(st.st_mode) ? scandir(path, &names, NULL, alphasort) : 0;
	for (int i = 0; i < count; i++) {
		char below[PATH_MAX];

		(void)snprintf(below, sizeof below, "%s/%s", path, names[i]->d_name);
		if (!str_eq(names[i]->d_name, ".") && !str_eq(names[i]->d_name, "..") &&
		    !str_eq(names[i]->d_name, "twin"))
			describe(out, below);
		free(names[i]);
	}
	free(names);
}

static void describe_files(const struct victims *victims, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_LEN(watched); i++) {
		char path[700];

		join(path, sizeof path, victims->at.top, watched[i]);
		describe(out, path);
	}
}

static void describe_host(struct buf *out)
{
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		struct buf text SCOPED(buf_deinit) = BUF_INIT(65536);

		if (buf_read_file(&text, settings[i], NULL) == 0)
			assert_int_equal(
				buf_printf(out, NULL, "%s '%s'\n", settings[i], buf_str(&text)), 0);
	}
}

/* The first line that is not the same. */
static void compare(struct buf *before, struct buf *now, const char *what, struct buf *out)
{
	const char *left = buf_str(before);
	const char *right = buf_str(now);

	while (*left && *right) {
		size_t length = strcspn(left, "\n");

		if (length != strcspn(right, "\n") || memcmp(left, right, length) != 0)
			break;
		left += length + (left[length] == '\n');
		right += length + (right[length] == '\n');
	}
	if (*left || *right)
		say(out, "%s changed: '%.*s' was '%.*s'", what, (int)strcspn(right, "\n"), right,
		    (int)strcspn(left, "\n"), left);
}

static void look_at_text(struct buf *before, unsigned allowed, struct buf *out,
			 const struct victims *victims, bool files)
{
	struct buf now SCOPED(buf_deinit) = BUF_INIT(VICTIMS_TEXT_MAX);
	struct buf old = *before;

	if (files)
		describe_files(victims, &now);
	else
		describe_host(&now);
	if (!(allowed & (files ? VICTIM_FILES : VICTIM_HOST)))
		compare(before, &now, files ? "a file" : "the host", out);
	*before = now;
	now = old;
}

/* At the top of the roots from the beginning. */
static const char *const originals[] = {
	"work/.git",
	"work/.agents",
	"work/.agentd",
	"work/.codex",
	"work/dir",
	"work/sub",
	"work/lib",
	"work/nest",
	"work/race",
	"work/file",
	"work/victim",
	"work/link-out",
	"work/link-git",
	"work/link-file",
	"work/twin",
	"work/fifo",
	"work/no-interpreter",
	"work/no-format",
	"work/.gitmodules",
	"work/early.stream",
	"work/early.packets",
	"work/early.datagram",
	"work/late.stream",
	"work/late.packets",
	"work/late.datagram",
	"tree/.git",
	"linked/.git",
	"linked/.agents",
};

static bool is_original(const char *folder, const char *name)
{
	char path[300];

	(void)snprintf(path, sizeof path, "%s/%.255s", folder, name);
	for (size_t i = 0; i < ARRAY_LEN(originals); i++) {
		if (str_eq(path, originals[i]))
			return true;
	}
	return str_eq(name, ".") || str_eq(name, "..");
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)info;
	(void)type;
	(void)where;
	(void)remove(path);
	return 0;
}

void victims_tidy(struct victims *victims)
{
	static const char *const roots[] = { "work", "bare", "tree", "linked" };

	for (size_t r = 0; r < ARRAY_LEN(roots); r++) {
		char folder[700];
		struct dirent **names = NULL;
		int count;

		join(folder, sizeof folder, victims->at.top, roots[r]);
		count = scandir(folder, &names, NULL, NULL);
		for (int i = 0; i < count; i++) {
			char path[1000];

			join(path, sizeof path, folder, names[i]->d_name);
			if (!is_original(roots[r], names[i]->d_name))
				(void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
			free(names[i]);
		}
		free(names);
	}
}

/* ------------------------------------------------------------------ the process */

static void describe_process(const struct victims *victims, char *out, size_t size)
{
	pid_t pid = victims->process;
	struct buf status SCOPED(buf_deinit) = BUF_INIT(65536);
	struct rlimit limit = { 0 };
	cpu_set_t set;
	char path[64];
	const char *tracer;
	const char *state;

	CPU_ZERO(&set);
	(void)sched_getaffinity(pid, sizeof set, &set);
	(void)prlimit(pid, RLIMIT_CORE, NULL, &limit);
	(void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	if (buf_read_file(&status, path, NULL) < 0)
		(void)snprintf(path, sizeof path, "gone");
	tracer = strstr(buf_str(&status), "\nTracerPid:\t");
	state = strstr(buf_str(&status), "\nState:\t");
	(void)snprintf(
		out, size,
		"alive %d nice %d cpus %d policy %d core %llu ioprio %ld tracer %.*s state %c",
		kill(pid, 0) == 0, getpriority(PRIO_PROCESS, (id_t)pid), CPU_COUNT(&set),
		sched_getscheduler(pid), (unsigned long long)limit.rlim_max,
		syscall(SYS_ioprio_get, 1, pid), tracer ? (int)strcspn(tracer + 12, "\n") : 0,
		tracer ? tracer + 12 : "", state ? state[8] : 'X');
}

static void open_process(struct victims *victims)
{
	int ready[2];
	char byte;
	ssize_t got;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	victims->process = fork();
	assert_true(victims->process >= 0);
	if (victims->process == 0) {
		uid_t user = geteuid();

		/* All of it the user's, also where the test goes on as one. */
		if (user != getuid() && (seteuid(0) < 0 || setresuid(user, user, user) < 0))
			_exit(127);
		char *argv[] = { (char[]){ "sh" }, (char[]){ "-c" },
				 (char[]){ "trap '' TERM HUP INT; exec sleep 3600" }, NULL };
		char *env[] = { (char[]){ "SECRET=agent-victim-secret" },
				(char[]){ "PATH=/usr/local/bin:/usr/bin:/bin" }, NULL };

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)execvpe("sh", argv, env);
		_exit(127);
	}
	fd_close(&ready[1]);
	got = read(ready[0], &byte, 1); /* ends when it has become the shell */
	assert_int_equal(got, 0);
	fd_close(&ready[0]);
}

/* A change by the scheduler is none: it runs or sleeps, but is neither stopped nor gone. */
static bool process_differs(const char *before, const char *now)
{
	size_t upto = strlen(now) - 1;

	return strlen(before) != strlen(now) || memcmp(before, now, upto) != 0 ||
	       !strchr("SRD", now[upto]);
}

/* ------------------------------------------------------------------ what is shared */

static void open_shared(struct victims *victims)
{
	int fd;
	int slave = -1;

	(void)snprintf(victims->shared, sizeof victims->shared, "/agent-test-%d", (int)getpid());
	/* Named for this test alone: the keyring is the user's. */
	victims->key = syscall(SYS_add_key, "user", victims->shared, "secret", 6, USER_KEYRING);
	victims->key = victims->key > 0 ? victims->key : 0;
	victims->shm = shmget(IPC_PRIVATE, SHM_SIZE, IPC_CREAT | 0600);
	victims->sem = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
	victims->msg = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
	victims->shm_at = shmat(victims->shm, NULL, 0);
	fd = shm_open(victims->shared, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, 16), 0);
	fd_close(&fd);
	victims->queue =
		mq_open(victims->shared, O_RDONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0600, NULL);
	assert_int_equal(openpty(&victims->terminal, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(ttyname_r(slave, victims->slave, sizeof victims->slave), 0);
	(void)fcntl(victims->terminal, F_SETFD, FD_CLOEXEC);
	(void)fcntl(victims->terminal, F_SETFL, O_NONBLOCK);
	victims->slave_fd = slave;
	(void)fcntl(slave, F_SETFD, FD_CLOEXEC);
}

static void close_shared(struct victims *victims)
{
	if (victims->key)
		(void)syscall(SYS_keyctl, KEYCTL_UNLINK_KEY, victims->key, USER_KEYRING);
	(void)shmdt(victims->shm_at);
	(void)shmctl(victims->shm, IPC_RMID, NULL);
	(void)semctl(victims->sem, 0, IPC_RMID);
	(void)msgctl(victims->msg, IPC_RMID, NULL);
	(void)shm_unlink(victims->shared);
	if (victims->queue >= 0) {
		(void)mq_close(victims->queue);
		(void)mq_unlink(victims->shared);
	}
	fd_close(&victims->terminal);
	fd_close(&victims->slave_fd);
}

static void say_if(struct buf *out, bool happened, const char *what)
{
	if (happened)
		say(out, "%s", what);
}

static void look_at_shared(const struct victims *victims, struct buf *out)
{
	char bytes[64] = "";
	struct mq_attr attr = { 0 };
	struct msqid_ds queue = { 0 };
	struct shmid_ds segment = { 0 };
	struct stat st = { 0 };
	int fd = shm_open(victims->shared, O_RDONLY | O_CLOEXEC, 0);

	say_if(out,
	       shmctl(victims->shm, IPC_STAT, &segment) < 0 || segment.shm_nattch != 1 ||
		       memchr(victims->shm_at, 'e', 1),
	       "System V memory was attached, changed or removed");
	say_if(out, semctl(victims->sem, 0, GETVAL) != 0, "a System V semaphore was changed");
	say_if(out, msgctl(victims->msg, IPC_STAT, &queue) < 0 || queue.msg_qnum > 0,
	       "a System V queue was written or removed");
	say_if(out, fd < 0 || fstat(fd, &st) < 0 || read(fd, bytes, 16) != 16 || bytes[0],
	       "POSIX shared memory was changed or removed");
	fd_close(&fd);
	say_if(out,
	       victims->queue >= 0 &&
		       (mq_getattr(victims->queue, &attr) < 0 || attr.mq_curmsgs > 0),
	       "a POSIX queue was written");
	say_if(out, read(victims->terminal, bytes, sizeof bytes) > 0,
	       "the terminal was written to");
	say_if(out, ioctl(victims->slave_fd, FIONREAD, &fd) == 0 && fd > 0,
	       "something was typed into the terminal");
	say_if(out, read(victims->fifo, bytes, sizeof bytes) > 0, "the FIFO was written to");
}

static void look_at_keys(const struct victims *victims, struct buf *out)
{
	char secret[16] = "";

	if (victims->key == 0)
		return;
	say_if(out,
	       syscall(SYS_keyctl, KEYCTL_READ_KEY, victims->key, secret, sizeof secret) != 6 ||
		       memcmp(secret, "secret", 6) != 0,
	       "the key was changed");
	say_if(out,
	       syscall(SYS_keyctl, KEYCTL_SEARCH_KEY, USER_KEYRING, "user", "agent-escape", 0) > 0,
	       "a key was added");
}

/* ------------------------------------------------------------------ all of it */

void victims_open(struct victims *victims, const char *top)
{
	*victims = (struct victims){ .files = BUF_INIT(VICTIMS_TEXT_MAX),
				     .host = BUF_INIT(VICTIMS_TEXT_MAX) };
	open_folders(victims, top);
	open_sockets(victims);
	open_process(victims);
	open_shared(victims);
	describe_process(victims, victims->started, sizeof victims->started);
	describe_files(victims, &victims->files);
	describe_host(&victims->host);
}

void victims_bind_late(struct victims *victims)
{
	add_three(victims, victims->at.outside, "/late.");
	add_three(victims, victims->at.work, "/late.");
	buf_clear(&victims->files);
	describe_files(victims, &victims->files);
}

void victims_close(struct victims *victims)
{
	(void)kill(victims->process, SIGKILL);
	(void)waitpid(victims->process, NULL, 0);
	close_shared(victims);
	for (size_t i = 0; i < victims->socket_count; i++)
		fd_close(&victims->sockets[i].fd);
	fd_close(&victims->fifo);
	buf_deinit(&victims->files);
	buf_deinit(&victims->host);
}

void victims_touched(struct victims *victims, unsigned allowed, struct buf *out)
{
	char now[sizeof victims->started];

	look_at_sockets(victims, allowed, out);
	look_at_text(&victims->files, allowed, out, victims, true);
	look_at_text(&victims->host, allowed, out, victims, false);
	describe_process(victims, now, sizeof now);
	if (!(allowed & VICTIM_PROCESS) && process_differs(victims->started, now))
		say(out, "the process: '%s', was '%s'", now, victims->started);
	memcpy(victims->started, now, sizeof now);
	if (!(allowed & VICTIM_SHARED))
		look_at_shared(victims, out);
	if (!(allowed & VICTIM_KEYS))
		look_at_keys(victims, out);
}

/* Each line is done by the host itself, with the person's rights. */
void victims_self_test(struct victims *victims)
{
	static const char *const scripts[] = {
		"echo x >>\"$T/outside/file\"",     "chmod 644 \"$T/outside/file\"",
		"touch \"$T/work/.git/hooks/new\"", "rm \"$T/work/.git/hooks/new\"",
		"mkdir \"$T/bare/.git\"",           "rmdir \"$T/bare/.git\"",
		"echo x >\"$T/outside/fifo\"",      "echo x >\"$T/outside/sub/again\"",
		"rm \"$T/outside/sub/again\"",
	};
	struct buf out SCOPED(buf_deinit) = BUF_INIT(VICTIMS_TEXT_MAX);

	victims_touched(victims, 0, &out);
	if (buf_str(&out)[0])
		fail_msg("already before: %s", buf_str(&out));
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		buf_clear(&out);
		run_shell(scripts[i], victims->at.top);
		victims_touched(victims, 0, &out);
		if (!buf_str(&out)[0])
			fail_msg("unnoticed: %s", scripts[i]);
	}
}
