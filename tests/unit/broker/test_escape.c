/*
 * A command tries the other doors of the kernel: calls, sockets, processes. The attempts are made
 * by tests/fake/escape_probe, and this table says what has to come of each.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"

#include "tests/support/fixture.h"
#include "tests/unit/broker/sandboxed.h"

/* ------------------------------------------------------------------ the kernel's other doors */

/* Attempts of tests/fake/escape_probe and what has to come of them; "A|B": one of these. */
static const struct attempt {
	const char *name;
	const char *offline;
	const char *online; /* NULL: the same */
} attempts[] = {
	{ "mount", "EPERM", NULL },
	{ "remount", "EPERM", NULL },
	{ "umount", "EPERM", NULL },
	{ "open_tree", "EPERM", NULL },
	{ "open_tree_attr", "EPERM|ENOSYS", NULL },
	{ "fsopen", "EPERM", NULL },
	{ "mount_setattr", "EPERM", NULL },
	{ "chroot", "EPERM", NULL },
	{ "pivot_root", "EPERM", NULL },
	{ "unshare_user", "EPERM", NULL },
	{ "unshare_mount", "EPERM", NULL },
	{ "setns", "EPERM", NULL },
	{ "clone_user", "EPERM", NULL },
	{ "clone3", "ENOSYS", NULL },
	{ "keyctl", "EPERM", NULL },
	{ "add_key", "EPERM", NULL },
	{ "io_uring", "EPERM", NULL },
	{ "bpf", "EPERM", NULL },
	{ "perf", "EPERM", NULL },
	{ "userfaultfd", "EPERM", NULL },
	{ "handle", "EPERM", NULL },
	{ "quotactl_fd", "EPERM", NULL },
	{ "syslog", "EPERM", NULL },
	{ "clock", "EPERM", NULL },
	{ "personality_exec", "EPERM", NULL },
	{ "personality_old", "EPERM", NULL },
	{ "personality_masked", "EPERM", NULL },
	{ "personality_question", "OK", NULL },
	{ "personality_debugger", "OK", NULL },
	{ "seccomp_listener", "EPERM", NULL },
	{ "seccomp_own", "OK", NULL },
	{ "tiocsti", "EPERM", NULL },
#ifdef __x86_64__
	{ "i386_socketcall", "ENOSYS", NULL },
	{ "i386_socket", "EPERM|ENOSYS", NULL },
	{ "i386_unshare", "EPERM|ENOSYS", NULL },
	{ "i386_keyctl", "EPERM|ENOSYS", NULL },
	{ "x32", "ENOSYS", NULL },
#endif
	{ "kill", "ESRCH", NULL },
	{ "ptrace", "ESRCH", NULL },
	{ "ptrace_init", "EPERM", NULL },
	{ "read_memory", "ESRCH", NULL },
	{ "init_memory", "EACCES", NULL },
	{ "init_environment", "EACCES", NULL },
	{ "init_root", "EACCES", NULL },
	{ "init_descriptors", "EACCES", NULL },
	{ "kill_init", "EPERM|OK", NULL },
	{ "terminal", "ENXIO", NULL },
	{ "oom", "EROFS|EACCES", NULL },
	{ "more_files", "EPERM", NULL },
	{ "capabilities", "EPERM", NULL },
	{ "privileges", "EPERM", NULL },
	{ "device", "EPERM", NULL },
	{ "core_pattern", "EPERM", NULL },
	{ "sysrq", "EPERM", NULL },
	{ "memory_device", "ENOENT", NULL },
	{ "cgroup", "EPERM", NULL },
	{ "stray", "EBADF", NULL },
	{ "unix_datagram", "EPERM", NULL },
	{ "unix_raw", "EPERM", NULL },
	{ "unix_pair", "EPERM", NULL },
	{ "unix_stream", "OK", NULL },
	{ "unix_packets", "OK", NULL },
	{ "packet", "EAFNOSUPPORT", NULL },
	{ "raw", "EPERM", NULL },
	{ "vsock", "EAFNOSUPPORT", NULL },
	{ "alg", "EAFNOSUPPORT", NULL },
	{ "bluetooth", "EAFNOSUPPORT", NULL },
	{ "audit", "EAFNOSUPPORT", NULL },
	{ "route", "OK", NULL },
	{ "high_family", "EAFNOSUPPORT", NULL },
	{ "internet", "ENETUNREACH", "*" },
	{ "host_loopback", "ECONNREFUSED", "OK" },
	{ "own_loopback", "OK", NULL },
	{ "abstract", "ECONNREFUSED", "EPERM" },
};

static bool is_one_of(const char *word, const char *words)
{
	size_t length = strlen(word);

	for (const char *at = words; at; at = strchr(at, '|')) {
		at += *at == '|';
		if (strncmp(at, word, length) == 0 && (at[length] == '|' || at[length] == '\0'))
			return true;
	}
	return strcmp(words, "*") == 0;
}

static void check_attempts(bool online)
{
	for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
		const char *want =
			online && attempts[i].online ? attempts[i].online : attempts[i].offline;
		char key[64];
		char word[64] = "";
		const char *line;

		(void)snprintf(key, sizeof key, "\n%s ", attempts[i].name);
		line = strstr(did.out, key);
		if (!line || sscanf(line + strlen(key), "%63s", word) != 1 ||
		    !is_one_of(word, want))
			fail_msg("%s: %s, not %s\n%s", attempts[i].name, word, want,
				 did.failure.text);
	}
}

static int listen_on_loopback(in_port_t *port)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof name;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&name, length), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
	*port = ntohs(name.sin_port);
	return fd;
}

static int listen_abstract(char *text, size_t size)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int length = snprintf(text, size, "agent-test-%d", (int)getpid());

	memcpy(name.sun_path + 1, text, (size_t)length);
	assert_int_equal(
		bind(fd, (struct sockaddr *)&name,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)),
		0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* With inheritable descriptors open, which nobody may find inside. */
static void try_everything(bool online)
{
	struct sandbox_config config = in_desk();
	struct sandbox *sandbox SCOPED(free_sandbox) = NULL;
	const char *fakes = getenv("AGENT_TEST_FAKE");
	in_port_t port = 0;
	char name[64];
	int tcp SCOPED(fd_close) = listen_on_loopback(&port);
	int abstract SCOPED(fd_close) = listen_abstract(name, sizeof name);
	int stray SCOPED(fd_close) = open(hidden, O_RDONLY | O_DIRECTORY); /* not close-on-exec */
	char program[PATH_MAX];
	char script[2 * PATH_MAX];
	const char *argv[] = { "sh", "-c", script, NULL };

	if (!fakes)
		fail_msg("AGENT_TEST_FAKE is not set; run the tests with ctest");
	(void)snprintf(program, sizeof program, "%s/escape_probe", fakes);
	config.network = online;
	sandbox = open_or_fail(&config);
	(void)snprintf(script, sizeof script, "echo; exec %s %d %d %s", program, (int)getpid(),
		       port, name);
	run_in(sandbox, argv, desk);
	check_attempts(online);
	sandbox_close(TAKE(sandbox));
	reap_all();
}

static void no_door_of_the_kernel_leads_out(void **state)
{
	(void)state;
	try_everything(false);
}

static void with_the_network_on_only_the_network_is_open(void **state)
{
	const struct sandbox_view *view;
	struct sandbox_config config = in_desk();
	struct sandbox *sandbox SCOPED(free_sandbox) = NULL;
	bool whole;

	(void)state;
	config.network = true;
	sandbox = open_or_fail(&config);
	view = sandbox_view(sandbox);
	assert_true(view->network);
	whole = view->missing_count == 0;
	sandbox_close(TAKE(sandbox));
	reap_all();
	if (whole)
		try_everything(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SANDBOX_TEST(no_door_of_the_kernel_leads_out),
		SANDBOX_TEST(with_the_network_on_only_the_network_is_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
