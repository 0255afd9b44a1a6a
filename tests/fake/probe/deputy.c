/*
 * deputy.c - attempts on whoever performs system calls in the command's place: what it looks at is
 * changed while it looks, or is what it does not expect.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
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

#define ROUNDS 3000
#define STACK 65536
#define PAGE 4096

static struct race {
	const char *root;  /* where the name may not be */
	const char *other; /* where it may */
	char link[PATH_MAX];
	char shown[PATH_MAX];
	char texts[2][PATH_MAX];
	int fds[2];
	int fd;
	volatile bool stop;
} race;

static void *swap_text(void *unused)
{
	for (unsigned i = 0; !race.stop; i++)
		memcpy(race.shown, race.texts[i % 2], sizeof race.shown);
	return unused;
}

static void *swap_fd(void *unused)
{
	for (unsigned i = 0; !race.stop; i++)
		(void)dup3(race.fds[i % 2], race.fd, O_CLOEXEC);
	return unused;
}

static void *swap_link(void *unused)
{
	char next[PATH_MAX + 8];

	(void)snprintf(next, sizeof next, "%s.next", race.link);
	for (unsigned i = 0; !race.stop; i++) {
		if (symlink(i % 2 ? race.root : race.other, next) == 0)
			(void)rename(next, race.link);
	}
	(void)unlink(next);
	(void)unlink(race.link);
	return unused;
}

static void *swap_folder(void *unused)
{
	for (unsigned i = 0; !race.stop; i++) {
		if (fchdir(race.fds[i % 2]) < 0)
			break;
	}
	return unused;
}

/* One attempt in the way that is raced; the name is the same in both folders but for the text. */
static int make(char how)
{
	if (how == 't')
		return mkdir(race.shown, 0755);
	if (how == 'r')
		return rename(race.texts[1], race.shown);
	if (how == 'f')
		return mkdirat(race.fd, ".git", 0755);
	if (how == 'l')
		return mkdir(race.shown, 0755);
	return mkdir(".git", 0755);
}

/* HOW ROOT OTHER: text, rename, fd, link or cwd. OK when ROOT/.git has ever been there. */
static int try_make_race(char **words)
{
	static void *(*const swaps[128])(void *) = { ['t'] = swap_text,
						     ['r'] = swap_text,
						     ['f'] = swap_fd,
						     ['l'] = swap_link,
						     ['c'] = swap_folder };
	char how = words[0][0];
	char name[PATH_MAX];
	char beside[PATH_MAX];
	struct stat st;
	pthread_t thread;
	int seen = 0;
	int made = 0;

	race.root = words[1];
	race.other = words[2];
	(void)snprintf(name, sizeof name, "%s/.git", race.root);
	(void)snprintf(beside, sizeof beside, "%s/%s", race.other, how == 't' ? "xgit" : ".git");
	(void)snprintf(race.link, sizeof race.link, "%s/swapped", race.other);
	(void)snprintf(race.texts[0], PATH_MAX, "%s/.git", race.root);
	(void)snprintf(race.texts[1], PATH_MAX, "%s/xgit", race.root);
	(void)snprintf(race.shown, sizeof race.shown, how == 'l' ? "%s/swapped/.git" : "%s/xgit",
		       how == 'l' ? race.other : race.root);
	race.fds[0] = open(race.root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	race.fds[1] = open(race.other, O_PATH | O_DIRECTORY | O_CLOEXEC);
	race.fd = dup(race.fds[1]);
	if (race.fds[0] < 0 || race.fds[1] < 0 ||
	    pthread_create(&thread, NULL, swaps[(int)how], NULL))
		return EIO;
	for (int i = 0; i < ROUNDS && seen == 0; i++) {
		if (how == 'r')
			(void)mkdir(race.texts[1], 0755);
		if (make(how) == 0)
			made++;
		seen += lstat(name, &st) == 0;
		(void)rmdir(race.texts[1]);
		(void)rmdir(beside);
		(void)rmdir("xgit");
	}
	race.stop = true;
	(void)pthread_join(thread, NULL);
	note(" %d made", made);
	return seen > 0 ? 0 : EROFS;
}

/* In a thread with a working folder of its own. */
static int in_own_folder(void *data)
{
	char **words = data;

	if (chdir(words[0]) < 0)
		return errno;
	return mkdir(".git", 0755) < 0 ? errno : 0;
}

/* ROOT: the leader stands elsewhere. */
static int try_thread_folder(char **words)
{
	static char stack[STACK] __attribute__((aligned(16)));
	pid_t pid = clone(in_own_folder, stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, words);

	return child_outcome(pid);
}

/* ROOT: a path that ends where the memory ends, without its NUL. */
static int try_cut_path(char **words)
{
	char *pages =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t length = strlen(words[0]) + sizeof "/.git" - 1;
	char path[PATH_MAX];

	if (pages == MAP_FAILED || mprotect(pages + PAGE, PAGE, PROT_NONE) < 0)
		return errno;
	(void)snprintf(path, sizeof path, "%s/.git", words[0]);
	memcpy(pages + PAGE - length, path, length);
	return outcome(mkdir(pages + PAGE - length, 0755));
}

/* ROOT: as long as a path can be, and one longer. */
static int try_long_path(char **words)
{
	char path[PATH_MAX + 64];
	size_t used = (size_t)snprintf(path, sizeof path, "%s", words[0]);

	while (used + 2 < PATH_MAX - sizeof "/.git") {
		memcpy(path + used, "/.", 2);
		used += 2;
	}
	(void)snprintf(path + used, sizeof path - used, "/.git");
	if (mkdir(path, 0755) == 0)
		return 0;
	(void)snprintf(path + used, sizeof path - used, "/././././.git");
	return outcome(mkdir(path, 0755));
}

/* Threads that make calls which are handed over, and a leader that becomes another program. */
static void *make_folders(void *data)
{
	char path[PATH_MAX];

	for (unsigned i = 0;; i++) {
		(void)snprintf(path, sizeof path, "%s/t%u", (const char *)data, i % 64);
		(void)mkdir(path, 0755);
		(void)rmdir(path);
		(void)snprintf(path, sizeof path, "%s/.git", (const char *)data);
		(void)mkdir(path, 0755);
	}
	return NULL;
}

/* ROOT: dies, or becomes another program, in the middle of calls. */
static int try_storm(char **words)
{
	for (int i = 0; i < 40; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			pthread_t thread;

			for (int t = 0; t < 6; t++)
				(void)pthread_create(&thread, NULL, make_folders, words[0]);
			(void)usleep(1000);
			if (i % 2)
				(void)execl("/bin/true", "true", (char *)NULL);
			(void)kill(getpid(), SIGKILL);
		}
		if (pid < 0)
			return errno;
		(void)waitpid(pid, NULL, 0);
	}
	return ECANCELED;
}

/* PATH: under rules of its own that allow nothing, which whoever acts in its place must keep. */
static int try_inner_rules(char **words)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_DIR };
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);

	if (ruleset < 0 || syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return errno;
	return outcome(mkdir(words[0], 0755));
}

/* PATH: without any descriptor left, of whoever's limits count. */
static int try_no_descriptors(char **words)
{
	struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_NOFILE, &none);
	return outcome(mkdir(words[0], 0755));
}

/* PATH: the mask of the process counts, not of whoever acts. */
static int try_mask(char **words)
{
	struct stat st;

	(void)umask(077);
	if (mkdir(words[0], 0777) < 0)
		return errno;
	if (stat(words[0], &st) < 0)
		return errno;
	note(" mode %o", st.st_mode & 07777);
	return (st.st_mode & 0777) == 0700 ? 0 : EIO;
}

/* NUMBER A B: of i386, with two paths. */
static int try_i386_paths(char **words)
{
#ifdef __x86_64__
	char *low = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	long result;

	if (low == MAP_FAILED)
		return errno;
	(void)snprintf(low, PAGE, "%s", words[1]);
	(void)snprintf(low + PAGE, PAGE, "%s", words[2]);
	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number(words[0])), "b"(low), "c"(low + PAGE), "d"(0L)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)result < 0 ? -(int)result : 0;
#else
	(void)words;
	return ENOSYS;
#endif
}

const struct verb verbs_deputy[] = {
	{ "make_race", 3, try_make_race },
	{ "thread_folder", 1, try_thread_folder },
	{ "cut_path", 1, try_cut_path },
	{ "long_path", 1, try_long_path },
	{ "storm", 1, try_storm },
	{ "inner_rules", 1, try_inner_rules },
	{ "no_descriptors", 1, try_no_descriptors },
	{ "mask", 1, try_mask },
	{ "i386_paths", 3, try_i386_paths },
	{ NULL, 0, NULL },
};
