/*
 * Hosts that lack something: each either runs a command with every layer that it names, or refuses
 * with the documented exit status and a sentence that says how to mend it. None runs it with less.
 *
 * What is looked at is the host: a file inside the root that the command writes, and one outside.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/attr.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "tests/support/command.h"

#define REFUSED 125      /* exit status of 'agent sandbox': there is no sandbox */
#define ORDINARY "65534" /* a user without rights, for the rows that root tries as one */

#define SETTINGS                                                                                   \
	"[sandbox_workspace_write]\nexclude_slash_tmp = true\nexclude_tmpdir_env_var = true\n"
#define LEGACY SETTINGS "[sandbox]\nlegacy_landlock = true\n"

#define NEST "unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc"
#define BWRAP                                                                                      \
	"bwrap", "--unshare-all", "--die-with-parent", "--bind", "/", "/", "--dev", "/dev",        \
		"--proc", "/proc"

/* Masks a part of /proc as container engines do. */
#define MASKED                                                                                     \
	NEST, "sh", "-c",                                                                          \
		"mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys "          \
		"&& exec \"$@\"",                                                                  \
		"sh"
/* The limit belongs to the user namespace that sets it. */
#define NONE_LEFT                                                                                  \
	NEST, "sh", "-c", "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"", "sh"
/* As Docker's own profile: no namespaces, no mounts, clone3 unknown. */
#define DOCKER "without", "namespaces=EPERM", "clone3=ENOSYS", "mounts=EPERM", "--"

#define NOTIFICATION "system call notification: without it"

/*
 * What comes of a host. NULL: it works. Otherwise a part of the sentence with which it is refused;
 * LIKE_SPACES: the same as with namespaces.
 */
#define LIKE_SPACES "same"

static const struct host {
	const char *through[20]; /* ended by NULL; "without" is the fake of this name */
	const char *spaces;      /* with namespaces */
	const char *legacy;      /* with the setting legacy_landlock */
	const char *probe;       /* what 'agent doctor' says of it, or NULL */
} hosts[] = {
	{ { "env" }, NULL, NULL, "legacy_landlock" },
	/* the clone */
	{ { "without", "clone3=ENOSYS", "--" }, NULL, NULL, NULL },
	/* the C library does not try another one then */
	{ { "without", "clone3=EPERM", "--" }, "cannot start the broker", LIKE_SPACES, NULL },
	{ { "without", "clone3=ENOSYS", "clone=ENOSYS", "--" }, "", "", NULL },
	{ { "without", "clone3=ENOSYS", "namespaces=EPERM", "--" },
	  "seccomp profile",
	  NULL,
	  "seccomp profile" },
	{ { "without", "clone3=ENOSYS", "namespaces=EINVAL", "--" },
	  "built without one of the namespaces",
	  NULL,
	  "built without" },
	{ { "without", "clone3=ENOSYS", "namespaces=ENOSPC", "--" },
	  "user.max_user_namespaces",
	  NULL,
	  "user.max_user_namespaces" },
	{ { DOCKER }, "legacy_landlock", NULL, "seccomp profile" },
	/* mounts */
	{ { "without", "mount_setattr=ENOSYS", "--" }, "Linux 5.13", NULL, "Linux 5.13" },
	{ { "without", "mount_setattr=EPERM", "--" }, "AppArmor", NULL, "AppArmor" },
	{ { "without", "open_tree=ENOSYS", "--" }, "Linux 5.13", NULL, "Linux 5.13" },
	{ { "without", "move_mount=ENOSYS", "--" }, "Linux 5.13", NULL, "Linux 5.13" },
	{ { "without", "fsopen=ENOSYS", "--" }, "Linux 5.13", NULL, "Linux 5.13" },
	{ { "without", "fsopen=EPERM", "--" }, "forbids mounts", NULL, "mounts" },
	{ { "without", "mounts=EACCES", "--" }, "AppArmor", NULL, "AppArmor" },
	{ { "without", "openat2=ENOSYS", "--" }, "Linux 5.13", LIKE_SPACES, NULL },
	/* filters, Landlock, descriptors of processes */
	{ { "without", "seccomp=ENOSYS", "--" },
	  "CONFIG_SECCOMP_FILTER",
	  LIKE_SPACES,
	  "CONFIG_SECCOMP_FILTER" },
	{ { "without", "seccomp=EINVAL", "--" },
	  "CONFIG_SECCOMP_FILTER",
	  LIKE_SPACES,
	  "CONFIG_SECCOMP_FILTER" },
	{ { "without", "landlock=ENOSYS", "--" },
	  NULL,
	  "needs Landlock ABI 3",
	  "CONFIG_SECURITY_LANDLOCK" },
	{ { "without", "landlock=EOPNOTSUPP", "--" },
	  NULL,
	  "needs Landlock ABI 3",
	  "CONFIG_SECURITY_LANDLOCK" },
	{ { "without", "landlock_restrict_self=EPERM", "--" },
	  "landlock",
	  LIKE_SPACES,
	  "landlock_restrict_self" },
	{ { "without", "pidfd_send_signal=ENOSYS", "--" },
	  "pidfd_send_signal",
	  LIKE_SPACES,
	  "pidfd_send_signal" },
	{ { "without", "close_range=ENOSYS", "--" }, "cannot start", LIKE_SPACES, "cannot start" },
	{ { "without", "capset=EPERM", "--" }, "capset", LIKE_SPACES, "no capabilities" },
	{ { "without", "setrlimit=EPERM", "prlimit64=EPERM", "--" },
	  "cannot start",
	  LIKE_SPACES,
	  "cannot start" },
	/* notification: without any part of it init does not do a command's calls, and it is said
	 */
	{ { "without", "listener=EINVAL", "--" }, NULL, NULL, NOTIFICATION },
	{ { "without", "listener=EBUSY", "--" }, NULL, NULL, NOTIFICATION },
	{ { "without", "process_vm_readv=EPERM", "--" }, NULL, NULL, NOTIFICATION },
	{ { "without", "pidfd_getfd=ENOSYS", "--" }, NULL, NULL, NOTIFICATION },
	/* limits and states that a caller leaves behind */
	{ { "without", "limit.nofile=1024", "limit.core=0", "--" }, NULL, NULL, NULL },
	{ { "without", "no_new_privs=1", "--" }, NULL, NULL, NULL },
	/* nests */
	{ { NEST }, NULL, NULL, NULL },
	{ { NEST, NEST }, NULL, NULL, NULL },
	{ { BWRAP }, NULL, NULL, NULL },
	{ { NONE_LEFT }, "user.max_user_namespaces", NULL, "user.max_user_namespaces" },
	{ { MASKED }, NULL, NULL, "masks parts of /proc" },
	{ { MASKED, DOCKER }, "seccomp profile", NULL, NULL },
};

/* ------------------------------------------------------------------ */

/* As who the rows are tried: whoever runs the test, or, when that is root, an ordinary user too. */
static const char *const as_self[] = { NULL };
static const char *const as_ordinary[] = { "without", "user=" ORDINARY, "--", NULL };

static int run_shell(const char *script)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		(void)execl("/bin/sh", "sh", "-c", script, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* A program that the row needs and the machine lacks. */
static bool lacks(const struct host *host)
{
	char script[64];

	(void)snprintf(script, sizeof script, "command -v %.40s > /dev/null", host->through[0]);
	return run_shell(script) != 0;
}

static void make_home(struct command_home *home, const char *settings, const char *const *who)
{
	char script[2048];

	command_home_make(home, settings, false);
	(void)fixture_file("t/place/in", "", 0);
	(void)snprintf(script, sizeof script, "chmod 711 %s; chown -R " ORDINARY " %s",
		       fixture_dir(), home->top);
	if (who == as_ordinary)
		assert_int_equal(run_shell(script), 0);
}

static void run(struct command *got, struct command_home *home, const char *const *who,
		const struct host *host, const char *const *words)
{
	const char *through[32];
	size_t count = 0;

	for (; *who; who++)
		through[count++] = *who;
	for (size_t i = 0; host && host->through[i]; i++)
		through[count++] = host->through[i];
	through[count] = NULL;
	home->through = count > 0 ? through : NULL;
	command_run(got, home, words, NULL);
	home->through = NULL;
}

/* The broker has what its host lacks for as long as it lives. */
static void end_broker(struct command_home *home, const char *const *who)
{
	struct command got SCOPED(command_deinit);

	run(&got, home, who, NULL, COMMAND_WORDS("daemon", "stop"));
}

static off_t size_of(const struct command_home *home, const char *name)
{
	struct stat st = { .st_size = -1 };
	char path[700];

	(void)snprintf(path, sizeof path, "%s/%s", home->top, name);
	return stat(path, &st) < 0 ? -1 : st.st_size;
}

static bool check(const struct host *host, const char *sentence, struct command_home *home,
		  const char *const *who)
{
	struct command got SCOPED(command_deinit);
	bool works;

	run(&got, home, who, host,
	    COMMAND_WORDS("sandbox", "--full-auto", "sh", "-c",
			  "echo a > in || exit 9; (echo b > ../out) && exit 8; exit 0"));
	works = got.status == (sentence ? REFUSED : 0) &&
		size_of(home, "place/in") == (sentence ? 0 : 2) && size_of(home, "out") == -1 &&
		(!sentence || strstr(buf_str(&got.notes), sentence));
	if (!works)
		print_error("row %zu (%s %s): %d, not '%s': %s%s", (size_t)(host - hosts),
			    host->through[0], host->through[1] ? host->through[1] : "", got.status,
			    sentence ? sentence : "", buf_str(&got.text), buf_str(&got.notes));
	end_broker(home, who);
	(void)fixture_file("t/place/in", "", 0);
	return works;
}

static void try_all(const char *settings, const char *const *who)
{
	struct command_home home;
	int failed = 0;

	make_home(&home, settings, who);
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		const char *sentence =
			strstr(settings, "legacy") ? hosts[i].legacy : hosts[i].spaces;

		if (sentence && str_eq(sentence, LIKE_SPACES))
			sentence = hosts[i].spaces;
		if (lacks(&hosts[i]))
			print_message("row %zu: there is no %s\n", i, hosts[i].through[0]);
		else
			failed += !check(&hosts[i], sentence, &home, who);
	}
	assert_int_equal(failed, 0);
}

static void a_host_runs_a_command_with_all_layers_or_says_why_not(void **state)
{
	(void)state;
	try_all(SETTINGS, as_self);
}

static void so_does_an_ordinary_users_host(void **state)
{
	(void)state;
	if (geteuid() == 0)
		try_all(SETTINGS, as_ordinary);
}

static void without_namespaces_landlock_holds_or_it_is_said_why_not(void **state)
{
	(void)state;
	try_all(LEGACY, as_self);
}

static void so_it_does_for_an_ordinary_user(void **state)
{
	(void)state;
	if (geteuid() == 0)
		try_all(LEGACY, as_ordinary);
}

static void the_doctor_says_what_is_missing(void **state)
{
	struct command_home home;

	(void)state;
	make_home(&home, SETTINGS, as_self);
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		struct command got SCOPED(command_deinit) = { .in = -1, .out = -1, .err = -1 };

		if (!hosts[i].probe || lacks(&hosts[i]))
			continue;
		run(&got, &home, as_self, &hosts[i], COMMAND_WORDS("doctor"));
		if (!strstr(buf_str(&got.text), hosts[i].probe) ||
		    (hosts[i].spaces && got.status == 0))
			fail_msg("row %zu: %d, no '%s': %s%s", i, got.status, hosts[i].probe,
				 buf_str(&got.text), buf_str(&got.notes));
		/* Only Linux before 5.19 may lack it where nothing was taken away. */
		if (i == 0 && !strstr(buf_str(&got.text), "call notification   works") &&
		    !strstr(buf_str(&got.text), "seccomp with a listener"))
			fail_msg("%s", buf_str(&got.text));
		end_broker(&home, as_self);
	}
}

static void the_doctor_knows_that_the_legacy_way_was_chosen(void **state)
{
	const struct host *docker = &hosts[0];
	struct command_home home;
	struct command got SCOPED(command_deinit) = { .in = -1, .out = -1, .err = -1 };

	(void)state;
	while (!docker->spaces || !str_eq(docker->spaces, "legacy_landlock"))
		docker++;
	make_home(&home, LEGACY, as_self);
	run(&got, &home, as_self, docker, COMMAND_WORDS("doctor"));
	if (strstr(buf_str(&got.text), "FAILED   sandbox") ||
	    !strstr(buf_str(&got.text), "held by seccomp, landlock") ||
	    !strstr(buf_str(&got.text), "new names: at the top of a root"))
		fail_msg("%s%s", buf_str(&got.text), buf_str(&got.notes));
	end_broker(&home, as_self);
}

/* A home for a second broker, in what the first one's command may write. */
static void inside(const char *settings, const char *more, struct command *got)
{
	struct command_home home;
	char script[2048];

	command_home_make(&home, settings, false);
	(void)snprintf(script, sizeof script,
		       "mkdir -p own/place own/home && printf '%%s' \"$1\" > own/home/config.ini "
		       "&& cd own/place && "
		       ": > in && AGENTD_HOME=$PWD/../home exec %s/agent sandbox --full-auto sh -c "
		       "'echo a > in || exit 9; (echo b > ../out) && exit 8; exit 0'",
		       getenv("AGENT_TEST_BIN"));
	command_run(got, &home,
		    COMMAND_WORDS("sandbox", "--full-auto", "sh", "-c", script, "sh", more), NULL);
	assert_int_equal(size_of(&home, "place/own/out"), -1);
	command_home_stop(&home);
}

static void a_sandbox_in_our_sandbox_is_refused_and_said_to_be_one(void **state)
{
	struct command got SCOPED(command_deinit);

	(void)state;
	inside(SETTINGS, SETTINGS, &got);
	assert_int_equal(got.status, REFUSED);
	if (!strstr(buf_str(&got.notes), "already inside a sandbox of agent-broker"))
		fail_msg("%s%s", buf_str(&got.text), buf_str(&got.notes));
}

static void the_legacy_way_holds_in_our_sandbox_too(void **state)
{
	struct command got SCOPED(command_deinit);

	(void)state;
	inside(SETTINGS, LEGACY, &got);
	if (got.status != 0)
		fail_msg("%d: %s%s", got.status, buf_str(&got.text), buf_str(&got.notes));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		COMMAND_TEST(a_host_runs_a_command_with_all_layers_or_says_why_not),
		COMMAND_TEST(so_does_an_ordinary_users_host),
		COMMAND_TEST(without_namespaces_landlock_holds_or_it_is_said_why_not),
		COMMAND_TEST(so_it_does_for_an_ordinary_user),
		COMMAND_TEST(the_doctor_says_what_is_missing),
		COMMAND_TEST(the_doctor_knows_that_the_legacy_way_was_chosen),
		COMMAND_TEST(a_sandbox_in_our_sandbox_is_refused_and_said_to_be_one),
		COMMAND_TEST(the_legacy_way_holds_in_our_sandbox_too),
	};
	char path[8192];

	(void)snprintf(path, sizeof path, "%s:%s", getenv("AGENT_TEST_FAKE"), getenv("PATH"));
	if (setenv("PATH", path, 1) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
