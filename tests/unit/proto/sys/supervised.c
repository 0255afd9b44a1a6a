#include "tests/unit/proto/sys/supervised.h"

#include <linux/capability.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "proto/sys/account.h"
#include "proto/wire/packet.h"

struct seen *seen;

static char folder[PATH_MAX];

/* A few of each kind. */
static const char *const refused[] = { "mount", "unshare", NULL };
static const struct filter_rule rules[] = {
	{ "socket", EAFNOSUPPORT, 1, { { 0, SCMP_CMP_GE, AF_NETLINK + 1, 0 } } },
	{ "ioctl", EPERM, 1, { { 1, SCMP_CMP_MASKED_EQ, UINT32_MAX, TIOCSTI } } },
	{ "clone3", ENOSYS, 0, { { 0 } } },
};
static const struct filter_spec small = { .companion = true,
					  .personality = 0x40008,
					  .lists = { { refused, EPERM } },
					  .rules = rules,
					  .rule_count = ARRAY_LEN(rules) };

static const char *const own[] = { "wait4", "exit_group", NULL };
static const struct filter_rule own_rules[] = { SUPERVISE_IOCTL };
static const struct filter_spec of_supervisor = { .otherwise = EPERM,
						  .lists = { { supervise_needs, 0 }, { own, 0 } },
						  .rules = own_rules,
						  .rule_count = ARRAY_LEN(own_rules) };

/* Compiled before the fork. */
static struct filter of_command;
static struct filter for_supervisor;

int supervised_setup(void **state)
{
	int rc = fixture_setup(state);

	if (rc < 0 || !realpath(fixture_dir(), folder))
		return -1;
	seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return seen == MAP_FAILED ? -1 : 0;
}

int supervised_teardown(void **state)
{
	(void)munmap(seen, sizeof *seen);
	return fixture_teardown(state);
}

void supervised_reserve(const char *name)
{
	struct stat st;

	assert_int_equal(stat(folder, &st), 0);
	seen->device = st.st_dev;
	seen->inode = st.st_ino;
	(void)snprintf(seen->reserved, sizeof seen->reserved, "%s", name);
}

static bool is_reserved(const void *context, uint64_t device, uint64_t inode, const char *name)
{
	const struct seen *all = context;

	return device == all->device && inode == all->inode && strcasecmp(name, all->reserved) == 0;
}

static enum denial_rule rule_of(const void *context, const char *path)
{
	const struct seen *all = context;
	const char *name = strrchr(path, '/');

	return name && *all->reserved && strcmp(name + 1, all->reserved) == 0
		       ? DENIAL_RULE_PROTECTED
		       : DENIAL_RULE_OUTSIDE;
}

static _Noreturn void die(const char *who, const struct err *err)
{
	(void)snprintf(seen->text, sizeof seen->text, "%s: errno %d: %s", who, errno, err->text);
	_exit(1);
}

static _Noreturn void become_command(int control, void (*function)(void))
{
	struct err err = { 0 };
	int listener = -1;
	char leave;

	/* As after an exec, with which the memory would become the user namespace's. */
	(void)prctl(PR_SET_DUMPABLE, 1);
	if (account_capabilities(0, &err) == 0)
		listener = filter_load(&of_command,
				       SECCOMP_FILTER_FLAG_NEW_LISTENER |
					       SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
				       &err);
	if (listener < 0 || packet_send(control, "", 1, &listener, 1, &err) != PACKET_DONE ||
	    recv(control, &leave, 1, 0) != 1)
		die("command", &err);
	(void)close(listener);
	function();
	seen->finished = true;
	_exit(0);
}

/* Until the command and all that it has made are gone. */
static void serve(struct supervisor *supervisor)
{
	struct pollfd fds[SUPERVISE_PENDING_MAX + 1];
	size_t count;

	while ((count = supervise_poll(supervisor, fds)) > 0) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (poll(fds, count, supervise_timeout_ms(supervisor)) > 0 || count > 1)
			supervise_serve(supervisor, fds, count);
	}
}

static bool put(const char *path, const char *text)
{
	int fd SCOPED(fd_close) = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) > 0;
}

/* In the new namespaces: an identity, a network of its own, a /proc. */
static bool settle(const char *uid, const char *gid, bool network)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	int fd SCOPED(fd_close) = -1;

	flags |= str_starts(uid, "0 ") ? MS_RDONLY : 0;
	if (prctl(PR_SET_DUMPABLE, 1) < 0 || !put("/proc/self/setgroups", "deny") ||
	    !put("/proc/self/uid_map", uid) || !put("/proc/self/gid_map", gid) ||
	    prctl(PR_SET_DUMPABLE, 0) < 0)
		return false;
	if (!network) {
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
			return false;
	}
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("proc", "/proc", "proc", flags, NULL) == 0 &&
	       prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && chdir(folder) == 0;
}

static struct supervisor *open_supervisor(const struct supervised *how, struct err *err)
{
	static struct supervise_policy policy;

	policy = (struct supervise_policy){ .context = seen,
					    .reserved = is_reserved,
					    .rule = rule_of,
					    .filter = how->filter ? how->filter : &small,
					    .network = how->network,
					    .denials = &seen->denials };
	return how->open ? how->open(err) : supervise_open(&policy, err);
}

static _Noreturn void become_supervisor(const struct supervised *how, void (*function)(void))
{
	static struct packet packet;
	struct err err = { 0 };
	struct supervisor *supervisor;
	int ends[2];

	if (supervise_share(&err) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		die("supervisor", &err);
	if (fork() == 0)
		become_command(ends[1], function);
	(void)close(ends[1]);
	supervisor = open_supervisor(how, &err);
	if (!supervisor || packet_recv(ends[0], &packet, &err) != PACKET_DONE ||
	    account_capabilities(1U << CAP_SYS_PTRACE, &err) < 0 ||
	    filter_load(&for_supervisor, 0, &err) < 0)
		die("supervisor", &err);
	supervise_listen(supervisor, packet_take(&packet, 0));
	(void)send(ends[0], "", 1, 0);
	serve(supervisor);
	/* Not _exit(): a sanitizer does more before that than the filter lets pass. */
	(void)syscall(SYS_exit_group, 0);
	abort();
}

void supervised_run(const struct supervised *how, void (*function)(void))
{
	struct filter_handed handed[SUPERVISE_CALLS_MAX];
	struct filter_spec spec = how->filter ? *how->filter : small;
	unsigned long flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWPID | SIGCHLD;
	struct err err = { 0 };
	char uid[64];
	char gid[64];
	int status = 0;
	pid_t pid;

	spec.handed = handed;
	spec.handed_count = supervise_calls(handed, how->changes);
	if (filter_compile(&spec, NULL, &of_command, &err) < 0 ||
	    filter_compile(&of_supervisor, &for_supervisor, NULL, &err) < 0)
		fail_msg("%s", err.text);
	(void)snprintf(uid, sizeof uid, "%u %u 1", geteuid(), geteuid());
	(void)snprintf(gid, sizeof gid, "%u %u 1", getegid(), getegid());
	pid = (pid_t)syscall(SYS_clone, flags | (how->network ? 0 : CLONE_NEWNET), NULL, NULL, NULL,
			     0UL);
	if (pid == 0 && !settle(uid, gid, how->network))
		die("namespaces", &err);
	if (pid == 0)
		become_supervisor(how, function);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0 || !seen->finished)
		fail_msg("status %#x: %s", (unsigned)status, seen->text);
}

void supervised(void (*function)(void))
{
	supervised_run(&(struct supervised){ .changes = false }, function);
}

void expect_denial(enum denial_rule rule, const char *operation, const char *target, int sys)
{
	for (size_t i = 0; i < seen->denials.count; i++) {
		const struct denial *denial = &seen->denials.items[i];

		if (denial->rule == rule && str_eq(denial->operation, operation) &&
		    str_ends(denial->target, target) && denial->sys == sys)
			return;
	}
	for (size_t i = 0; i < seen->denials.count; i++)
		print_error("rule %u %s '%s' errno %d\n", seen->denials.items[i].rule,
			    seen->denials.items[i].operation, seen->denials.items[i].target,
			    seen->denials.items[i].sys);
	fail_msg("no denial of rule %d, %s '%s'", (int)rule, operation, target);
}
