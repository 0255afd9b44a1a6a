/*
 * self.c - attempts on what holds the process itself: capabilities, limits, filters, identity,
 * descriptors; and what it finds out about itself.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"

#include "tests/fake/probe/probe.h"

#define STATUS_MAX 8192
#define ABOVE(x) ((x) == RLIM_INFINITY ? (x) : (x) + 1)

/* A field of /proc/self/status. */
static unsigned long long field(const char *name)
{
	static char text[STATUS_MAX];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
	const char *at;

	(void)close(fd);
	text[got > 0 ? got : 0] = '\0';
	at = strstr(text, name);
	return at ? strtoull(at + strlen(name) + 1, NULL, 16) : ~0ULL;
}

/* EPERM when every set is empty. */
static int try_capabilities(char **words)
{
	static const char *const sets[] = { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" };
	bool any = false;

	(void)words;
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		any = any || field(sets[i]) != 0;
		note(" %s=%llx", sets[i], field(sets[i]));
	}
	return any ? 0 : EPERM;
}

/* EPERM when it can gain nothing by exec and has a filter. */
static int try_confinement(char **words)
{
	(void)words;
	note(" NoNewPrivs=%llu Seccomp=%llu", field("\nNoNewPrivs"), field("\nSeccomp"));
	return field("\nNoNewPrivs") == 1 && field("\nSeccomp") == 2 ? EPERM : 0;
}

/* EBADF when there are the three descriptors alone. */
static int try_descriptors(char **words)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;
	int sys = EBADF;

	(void)words;
	while (folder && (entry = readdir(folder))) {
		char target[256] = "";
		long fd = entry->d_name[0] == '.' ? 0 : strtoll(entry->d_name, NULL, 10);

		if (fd <= STDERR_FILENO || fd == dirfd(folder))
			continue;
		if (readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1) < 0)
			return errno;
		note(" %ld=%s", fd, target);
		sys = 0;
	}
	if (!folder)
		return ENOENT;
	(void)closedir(folder);
	return sys;
}

/* ESRCH when no signal is blocked or ignored. */
static int try_signals(char **words)
{
	(void)words;
	note(" blocked=%llx ignored=%llx", field("\nSigBlk"), field("\nSigIgn"));
	return field("\nSigBlk") == 0 && field("\nSigIgn") == 0 ? ESRCH : 0;
}

static int try_limit(char **words)
{
	int resource = (int)number(words[0]);
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
		return errno;
	limit.rlim_max = ABOVE(limit.rlim_max);
	limit.rlim_cur = limit.rlim_max;
	note(" of %llu", (unsigned long long)limit.rlim_max);
	return outcome(setrlimit((__rlimit_resource_t)resource, &limit));
}

static int try_nice(char **words)
{
	(void)words;
	return outcome(setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) - 1));
}

static int try_realtime(char **words)
{
	struct sched_param param = { .sched_priority = 1 };

	(void)words;
	return outcome(sched_setscheduler(0, SCHED_FIFO, &param));
}

static int try_ioprio_realtime(char **words)
{
	(void)words;
	return outcome(syscall(SYS_ioprio_set, 1, 0, (1 << 13)));
}

static int try_oom(char **words)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	int sys;

	if (fd < 0)
		return errno;
	sys = outcome(write(fd, words[0], strlen(words[0])) < 0 ? -1 : 0);
	(void)close(fd);
	return sys;
}

static int try_setuid(char **words)
{
	uid_t uid = (uid_t)number(words[0]);

	return outcome(setresuid(uid, uid, uid));
}

static int try_groups(char **words)
{
	gid_t group = (gid_t)number(words[0]);

	return outcome(setgroups(1, &group));
}

static int try_capset(char **words)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 1u << CAP_SYS_CHROOT, 1u << CAP_SYS_CHROOT, 0 },
						  { 0, 0, 0 } };

	(void)words;
	return outcome(syscall(SYS_capset, &header, data));
}

/* OPTION VALUE: the outcome of the call, and EPERM as well where it leaves the process as held. */
static int try_prctl(char **words)
{
	unsigned long value = (unsigned long)number(words[1]);

	if (prctl((int)number(words[0]), value, 0, 0, 0) < 0)
		return errno;
	return field("\nNoNewPrivs") == 1 && field("\nSeccomp") == 2 && field("CapBnd") == 0
		       ? EALREADY
		       : 0;
}

static int try_mm(char **words)
{
	(void)words;
	return outcome(prctl(PR_SET_MM, PR_SET_MM_BRK, 0, 0, 0));
}

/* Writes over its own code through /proc, and says what it may do then. */
static int try_own_memory(char **words)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	unsigned char byte = *(const unsigned char *)(uintptr_t)try_mm;
	ssize_t put;

	(void)words;
	if (fd < 0)
		return errno;
	put = pwrite(fd, &byte, 1, (off_t)(uintptr_t)try_mm);
	(void)close(fd);
	return put == 1 ? try_capabilities(NULL) : EIO;
}

/* Runs a copy of itself that has no name. */
static int try_memory_exec(char **words)
{
	char *argv[] = { (char[]){ "corpus_probe" }, words[0], NULL };
	int source = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int fd = memfd_create("copy", MFD_CLOEXEC);
	char block[65536];
	ssize_t got;

	if (source < 0 || fd < 0)
		return errno;
	while ((got = read(source, block, sizeof block)) > 0) {
		if (write(fd, block, (size_t)got) != got)
			return EIO;
	}
	(void)fexecve(fd, argv, environ);
	return errno;
}

/* PATH: a set-user-id copy of a program would give an identity that it does not have. */
static int try_setuid_bit(char **words)
{
	struct stat st;

	if (chmod(words[0], 04755) < 0)
		return errno;
	return stat(words[0], &st) == 0 && (st.st_mode & S_ISUID) ? 0 : EPERM;
}

/* NAME: OK when the environment has it. */
static int try_variable(char **words)
{
	const char *value = getenv(words[0]);

	if (!value)
		return ENOENT;
	note(" '%.40s'", value);
	return 0;
}

/* TEXT: OK when a readable cmdline or environ in /proc holds it. */
static int try_search(char **words)
{
	static const char *const files[] = { "cmdline", "environ", "auxv" };
	DIR *folder = opendir("/proc");
	struct dirent *entry;
	static char text[262144];
	int sys = ENOENT;

	while (folder && (entry = readdir(folder))) {
		for (size_t i = 0; i < ARRAY_LEN(files); i++) {
			char path[400];
			int fd;
			ssize_t got;

			(void)snprintf(path, sizeof path, "/proc/%s/%s", entry->d_name, files[i]);
			if (entry->d_name[0] < '0' || entry->d_name[0] > '9' ||
			    strtoll(entry->d_name, NULL, 10) == getpid())
				continue;
			fd = open(path, O_RDONLY | O_CLOEXEC);
			got = fd < 0 ? -1 : read(fd, text, sizeof text);
			if (got > 0 && memmem(text, (size_t)got, words[0], strlen(words[0]))) {
				note(" in %s", path);
				sys = 0;
			}
			(void)close(fd);
		}
	}
	if (folder)
		(void)closedir(folder);
	return sys;
}

const struct verb verbs_self[] = {
	{ "capabilities", 0, try_capabilities },
	{ "confinement", 0, try_confinement },
	{ "descriptors", 0, try_descriptors },
	{ "signals", 0, try_signals },
	{ "limit", 1, try_limit },
	{ "nice", 0, try_nice },
	{ "realtime", 0, try_realtime },
	{ "ioprio_realtime", 0, try_ioprio_realtime },
	{ "oom", 1, try_oom },
	{ "setuid", 1, try_setuid },
	{ "groups", 1, try_groups },
	{ "capset", 0, try_capset },
	{ "prctl", 2, try_prctl },
	{ "mm", 0, try_mm },
	{ "own_memory", 0, try_own_memory },
	{ "memory_exec", 1, try_memory_exec },
	{ "setuid_bit", 1, try_setuid_bit },
	{ "variable", 1, try_variable },
	{ "search", 1, try_search },
	{ NULL, 0, NULL },
};
