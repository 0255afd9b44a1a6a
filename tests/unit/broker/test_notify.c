/*
 * The supervisor with a sandbox's table and places: what a command is told of calls that are
 * refused, and which rule a denial names.
 */
#include "broker/process.h"
#include "tests/unit/proto/sys/supervised.h"

static struct roots roots;
static const struct features features;
static const struct scene scene = { .roots = &roots, .features = &features };

static struct supervisor *open_scene(struct err *err)
{
	return notify_open(&scene, &seen->denials, err);
}

static const struct supervised sandbox = { .filter = &filter_specs[FILTER_COMMAND],
					   .open = open_scene };

static int tried(long rc)
{
	return rc < 0 ? errno : 0;
}

static void make_refused_calls(void)
{
	seen->results[0] = tried(syscall(SYS_mount, "a", "b", "c", 0, NULL));
	seen->results[1] = tried(socket(AF_PACKET, SOCK_RAW, 0));
	seen->results[2] = tried(socket(AF_UNIX, SOCK_DGRAM, 0));
	seen->results[3] = tried(socket(AF_INET, SOCK_RAW, 1));
	seen->results[4] = tried(ioctl(0, TIOCSTI, "x"));
	seen->results[5] = tried(syscall(SYS_clone3, NULL, 0));
	seen->results[6] = tried(syscall(SYS_unshare, CLONE_NEWUSER));
	seen->results[7] = tried(syscall(SYS_personality, 0x0400000));
	seen->results[8] = tried(socket(AF_NETLINK, SOCK_RAW, 4));
	seen->results[9] = tried(syscall(SYS_seccomp, 1, 8, NULL));
	seen->results[10] = tried(socket(AF_VSOCK, SOCK_STREAM, 0));
	seen->results[11] = tried(socketpair(AF_UNIX, SOCK_DGRAM, 0, (int[2]){ 0 }));
}

static void a_refused_call_is_answered_with_the_errno_of_the_table_and_told(void **state)
{
	static const int expected[] = { EPERM,        EAFNOSUPPORT, EPERM,        EPERM,
					EPERM,        ENOSYS,       EPERM,        EPERM,
					EAFNOSUPPORT, EPERM,        EAFNOSUPPORT, EPERM };

	(void)state;
	supervised_run(&sandbox, make_refused_calls);
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		if (seen->results[i] != expected[i])
			fail_msg("row %zu: %d", i, seen->results[i]);
	}
	assert_int_equal(seen->denials.count, ARRAY_LEN(expected) - 1); /* all but clone3 */
	expect_denial(DENIAL_RULE_SYSTEM_CALL, "mount", "", EPERM);
	expect_denial(DENIAL_RULE_SYSTEM_CALL, "socket", "family 17, type 3, protocol 0",
		      EAFNOSUPPORT);
	expect_denial(DENIAL_RULE_SYSTEM_CALL, "ioctl", "request 0x5412", EPERM);
}

/* ------------------------------------------------------------------ places */

/* Each with its path, in a folder whose file system is not read-only. */
static void make_in_places(void)
{
	static const char *const names[] = {
		".git", ".GIT", "hidden/x", "plain", "top/x", "own/x"
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		seen->results[i] = tried(mkdir(names[i], 0700));
}

static void place(enum place_kind kind, const char *name)
{
	struct place *found = &roots.places[roots.count++];
	struct stat st;

	assert_true(asprintf(&found->path, "%s%s%s", fixture_dir(), name ? "/" : "",
			     name ? name : "") > 0);
	found->kind = kind;
	roots.root_count += kind == PLACE_ROOT;
	assert_int_equal(stat(fixture_dir(), &st), 0);
	if (kind == PLACE_WATCHED)
		found->folder = (struct identity){ .device = st.st_dev,
						   .inode = st.st_ino,
						   .type = st.st_mode & S_IFMT };
	/* Without rights, as the mounts of a sandbox refuse too. */
	if (kind == PLACE_HIDDEN || kind == PLACE_PROTECTED)
		assert_int_equal(mkdir(found->path, 0500), 0);
}

static void a_denial_names_the_rule_of_the_innermost_place(void **state)
{
	static const int expected[] = { EROFS, EROFS, EACCES, 0, EACCES, EACCES };
	char path[PATH_MAX];

	(void)state;
	place(PLACE_ROOT, NULL);
	place(PLACE_WATCHED, ".git");
	place(PLACE_HIDDEN, "hidden");
	place(PLACE_PROTECTED, "top");
	(void)snprintf(path, sizeof path, "%s/own", fixture_dir());
	assert_int_equal(mkdir(path, 0500), 0);
	supervised_run(&sandbox, make_in_places);
	for (size_t i = 0; i < roots.count; i++)
		free(roots.places[i].path);
	assert_memory_equal(seen->results, expected, sizeof expected);
	expect_denial(DENIAL_RULE_PROTECTED, "mkdir", "/.git", EROFS);
	expect_denial(DENIAL_RULE_HIDDEN, "mkdir", "/hidden/x", EACCES);
	expect_denial(DENIAL_RULE_PROTECTED, "mkdir", "/top/x", EACCES);
	assert_int_equal(seen->denials.count, 4); /* not what its own mode refuses */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SUPERVISED_TEST(a_refused_call_is_answered_with_the_errno_of_the_table_and_told),
		SUPERVISED_TEST(a_denial_names_the_rule_of_the_innermost_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
