/*
 * without.c - a host that lacks something: takes it away from itself, then becomes a program.
 *
 *   without clone3=ENOSYS namespaces=EPERM limit.nofile=64 user=65534 -- PROGRAM ARGUMENT...
 *
 * NAME=ERRNO      the system call of this name fails so
 * namespaces=E    clone with any flag for a namespace, unshare and setns fail so, as by Docker's
 *                 own profile, which leaves clone3 to ENOSYS
 * mounts=E        every call of the mount interface fails so
 * landlock=E      every call of Landlock fails so
 * listener=E      a system call filter with a listener cannot be installed
 * limit.NAME=N    an rlimit, both ends: core, data, fsize, nofile, nproc
 * user=UID        another user and group, without further groups
 * no_new_privs=1  as the name says
 *
 * Exit status 77 where the machine cannot even be made to lack it, 99 for wrong words.
 */
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proto/base/attr.h"
#include "proto/base/str.h"

#define NEW_LISTENER (1U << 3) /* the C library's header may be older than the kernel's */

static const char *const mounts[] = { "mount",      "umount2",       "pivot_root", "open_tree",
				      "fsopen",     "fsconfig",      "fsmount",    "fspick",
				      "move_mount", "mount_setattr", NULL };
static const char *const landlock[] = { "landlock_create_ruleset", "landlock_add_rule",
					"landlock_restrict_self", NULL };

static const unsigned namespaces[] = { CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
				       CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET };

static const struct {
	const char *name;
	__rlimit_resource_t resource;
} limits[] = { { "core", RLIMIT_CORE },
	       { "data", RLIMIT_DATA },
	       { "fsize", RLIMIT_FSIZE },
	       { "nofile", RLIMIT_NOFILE },
	       { "nproc", RLIMIT_NPROC } };

static _Noreturn void fail(const char *word, const char *why, int status)
{
	(void)fprintf(stderr, "without: %s: %s\n", word, why);
	exit(status);
}

static int number_of_errno(const char *name)
{
	for (int i = 1; i < 200; i++) {
		if (strerrorname_np(i) && str_eq(strerrorname_np(i), name))
			return i;
	}
	fail(name, "no such errno", 99);
}

static void refuse(scmp_filter_ctx filter, const char *call, int sys, unsigned count,
		   struct scmp_arg_cmp compare)
{
	int resolved = seccomp_syscall_resolve_name(call);

	if (resolved == __NR_SCMP_ERROR ||
	    seccomp_rule_add_array(filter, SCMP_ACT_ERRNO((uint32_t)sys), resolved, count,
				   &compare) < 0)
		fail(call, "cannot be filtered", 77);
}

static void refuse_all(scmp_filter_ctx filter, const char *const *calls, int sys)
{
	for (; *calls; calls++)
		refuse(filter, *calls, sys, 0, (struct scmp_arg_cmp){ 0 });
}

static void take_call(scmp_filter_ctx filter, const char *name, const char *value)
{
	int sys = number_of_errno(value);

	if (str_eq(name, "mounts")) {
		refuse_all(filter, mounts, sys);
	} else if (str_eq(name, "landlock")) {
		refuse_all(filter, landlock, sys);
	} else if (str_eq(name, "listener")) {
		refuse(filter, "seccomp", sys, 1,
		       SCMP_CMP64(1, SCMP_CMP_MASKED_EQ, NEW_LISTENER, NEW_LISTENER));
	} else if (str_eq(name, "namespaces")) {
		refuse_all(filter, (const char *const[]){ "unshare", "setns", NULL }, sys);
		for (size_t i = 0; i < ARRAY_LEN(namespaces); i++)
			refuse(filter, "clone", sys, 1,
			       SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, namespaces[i], namespaces[i]));
	} else {
		refuse(filter, name, sys, 0, (struct scmp_arg_cmp){ 0 });
	}
}

static unsigned number(const char *word)
{
	int64_t value = 0;

	if (str_to_int(&value, word, 0, INT_MAX, NULL) < 0)
		fail(word, "no number", 99);
	return (unsigned)value;
}

static void take_limit(const char *name, rlim_t value)
{
	struct rlimit limit = { value, value };

	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		if (str_eq(limits[i].name, name)) {
			if (setrlimit(limits[i].resource, &limit) < 0)
				fail(name, strerrorname_np(errno), 77);
			return;
		}
	}
	fail(name, "no such limit", 99);
}

static void take_user(unsigned id)
{
	if (setgroups(0, NULL) < 0 || setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0)
		fail("user", strerrorname_np(errno), 77);
}

static void take(scmp_filter_ctx filter, char *word)
{
	char *value = strchr(word, '=');

	if (!value)
		fail(word, "neither NAME=VALUE nor '--'", 99);
	*value++ = '\0';
	if (str_starts(word, "limit."))
		take_limit(word + strlen("limit."), number(value));
	else if (str_eq(word, "user"))
		take_user(number(value));
	else if (str_eq(word, "no_new_privs"))
		(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	else
		take_call(filter, word, value);
}

int main(int argc, char **argv)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int at = 1;

	for (; filter && at < argc && !str_eq(argv[at], "--"); at++)
		take(filter, argv[at]);
	if (!filter || at + 1 >= argc)
		fail("--", "no program", 99);
	if (seccomp_load(filter) < 0)
		fail("filter", "cannot be installed", 77);
	seccomp_release(filter);
	(void)execvp(argv[at + 1], argv + at + 1);
	fail(argv[at + 1], strerrorname_np(errno), 99);
}
