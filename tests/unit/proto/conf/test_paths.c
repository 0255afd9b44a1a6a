#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/attr.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/paths.h"

#include "tests/support/fixture.h"

#define ENV(...) ((char *[]){ __VA_ARGS__, NULL })

static void the_environment_decides_where_things_are(void **state)
{
	static char agentd[] = "AGENTD_HOME=/x/";
	static char home[] = "HOME=/home/u";
	static char runtime[] = "XDG_RUNTIME_DIR=/run/user/7";
	static char xdg_state[] = "XDG_STATE_HOME=/s";
	static char relative[] = "XDG_CONFIG_HOME=relative";
	static char empty[] = "AGENTD_HOME=";
	const struct {
		char *const *environment;
		const char *runtime;
		const char *state;
		const char *config;
	} rows[] = {
		{ ENV(agentd, home, runtime), "/x/run", "/x/state", "/x" },
		{ ENV(home), "/tmp/agentd-7", "/home/u/.local/state/agentd",
		  "/home/u/.config/agentd" },
		{ ENV(home, runtime, xdg_state), "/run/user/7/agentd", "/s/agentd",
		  "/home/u/.config/agentd" },
		{ ENV(home, relative, empty), "/tmp/agentd-7", "/home/u/.local/state/agentd",
		  "/home/u/.config/agentd" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct paths paths SCOPED(paths_deinit) = { 0 };
		struct err err = { 0 };

		if (paths_from_env(&paths, rows[i].environment, 7, &err) < 0)
			fail_msg("row %zu: %s", i, err.text);
		assert_string_equal(paths.runtime, rows[i].runtime);
		assert_string_equal(paths.state, rows[i].state);
		assert_string_equal(paths.config, rows[i].config);
	}
}

static void what_cannot_be_a_place_is_refused(void **state)
{
	static char relative[] = "AGENTD_HOME=x";
	static char home[] = "HOME=u";
	static char nothing[] = "PATH=/bin";
	char longest[PATHS_SOCKET_MAX + 64] = "AGENTD_HOME=/";
	struct paths paths SCOPED(paths_deinit) = { 0 };
	struct err err = { 0 };
	size_t lead = strlen("AGENTD_HOME=");
	size_t tail = strlen("/run/broker.sock");

	(void)state;
	assert_int_equal(paths_from_env(&paths, ENV(relative), 7, &err), ERR_INVALID);
	assert_int_equal(paths_from_env(&paths, ENV(home), 7, &err), ERR_INVALID);
	assert_int_equal(paths_from_env(&paths, ENV(nothing), 7, &err), ERR_NOTFOUND);
	memset(longest + lead + 1, 'x', PATHS_SOCKET_MAX - tail);
	longest[lead + 1 + PATHS_SOCKET_MAX - tail] = '\0';
	assert_int_equal(paths_from_env(&paths, ENV(longest), 7, &err), ERR_LIMIT);
	assert_non_null(strstr(err.text, "shorter"));
	longest[lead + PATHS_SOCKET_MAX - tail] = '\0';
	assert_int_equal(paths_from_env(&paths, ENV(longest), 7, &err), 0);
}

static void prepare(struct paths *paths, const char *below)
{
	char home[512];

	(void)snprintf(home, sizeof home, "AGENTD_HOME=%s/%s", fixture_dir(), below);
	assert_int_equal(paths_from_env(paths, ENV(home), getuid(), NULL), 0);
}

static void missing_folders_are_made_private(void **state)
{
	struct paths paths SCOPED(paths_deinit) = { 0 };
	struct stat st;
	struct err err = { 0 };

	(void)state;
	prepare(&paths, "a/b");
	if (paths_prepare(&paths, getuid(), &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(stat(paths.log_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(paths_prepare(&paths, getuid(), &err), 0);
}

static void an_unsafe_folder_is_refused_with_the_mend(void **state)
{
	static const struct {
		mode_t mode;
		enum paths_privacy privacy;
		int code;
		const char *mend;
	} rows[] = {
		{ 0700, PATHS_PRIVATE, 0, "" },
		{ 0755, PATHS_PRIVATE, ERR_DENIED, "chmod 700" },
		{ 0710, PATHS_PRIVATE, ERR_DENIED, "chmod 700" },
		{ 0755, PATHS_READABLE, 0, "" },
		{ 0775, PATHS_READABLE, ERR_DENIED, "chmod go-w" },
		{ 0702, PATHS_READABLE, ERR_DENIED, "chmod go-w" },
		{ 0500, PATHS_PRIVATE, ERR_DENIED, "chmod u+rwx" },
		{ 0300, PATHS_READABLE, ERR_DENIED, "chmod u+rwx" },
	};
	char dir[512];

	(void)state;
	(void)snprintf(dir, sizeof dir, "%s/d", fixture_dir());
	assert_int_equal(mkdir(dir, 0700), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = { 0 };

		assert_int_equal(chmod(dir, rows[i].mode), 0);
		if (paths_check(dir, getuid(), rows[i].privacy, &err) != rows[i].code ||
		    !strstr(err.text, rows[i].mend))
			fail_msg("mode %04o: %s", (unsigned)rows[i].mode, err.text);
	}
	assert_int_equal(chmod(dir, 0700), 0);
}

static void what_is_no_folder_of_ones_own_is_refused(void **state)
{
	char link[512];
	struct err err = { 0 };
	const char *file = fixture_file("file", "", 0);

	(void)state;
	(void)snprintf(link, sizeof link, "%s/link", fixture_dir());
	assert_int_equal(symlink(fixture_dir(), link), 0);
	assert_int_equal(paths_check(link, getuid(), PATHS_PRIVATE, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "symbolic link"));
	assert_int_equal(paths_check(file, getuid(), PATHS_PRIVATE, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "not a folder"));
	assert_int_equal(paths_check(fixture_dir(), getuid() + 1, PATHS_PRIVATE, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "chown"));
	assert_int_equal(paths_check("/nonexistent", getuid(), PATHS_PRIVATE, &err), ERR_NOTFOUND);
}

static void programs_lie_beside_each_other(void **state)
{
	static const struct {
		const char *self;
		enum paths_program program;
		const char *path; /* NULL: refused */
	} rows[] = {
		{ "/usr/bin/agent", PATHS_AGENTD, "/usr/bin/agentd" },
		{ "/usr/bin/agent", PATHS_BROKER, "/usr/libexec/agentd/agent-broker" },
		{ "/usr/libexec/agentd/agent-broker", PATHS_AGENTD, "/usr/bin/agentd" },
		{ "/b/bin/agentd", PATHS_PATCH_DIR, "/b/libexec/agentd/bin" },
		{ "/bin/agent", PATHS_PATCH, "/libexec/agentd/agent-patch" },
		{ "/home/u/agent", PATHS_AGENTD, NULL },
		{ "agent", PATHS_AGENTD, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *path SCOPED(str_free) = NULL;
		int rc = paths_program_beside(&path, rows[i].self, rows[i].program, NULL);

		if (rows[i].path ? !str_eq(path, rows[i].path) : rc != ERR_NOTFOUND)
			fail_msg("%s -> %s", rows[i].self, path ? path : "nothing");
	}
}

static void a_variable_is_found_by_its_whole_name(void **state)
{
	static char longer[] = "HOMER=1";
	static char home[] = "HOME=2";
	static char empty[] = "EMPTY=";

	(void)state;
	assert_string_equal(paths_env(ENV(longer, home), "HOME"), "2");
	assert_null(paths_env(ENV(longer), "HOME"));
	assert_null(paths_env(ENV(empty), "EMPTY"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(the_environment_decides_where_things_are),
		FIXTURE_TEST(what_cannot_be_a_place_is_refused),
		FIXTURE_TEST(missing_folders_are_made_private),
		FIXTURE_TEST(an_unsafe_folder_is_refused_with_the_mend),
		FIXTURE_TEST(what_is_no_folder_of_ones_own_is_refused),
		FIXTURE_TEST(programs_lie_beside_each_other),
		FIXTURE_TEST(a_variable_is_found_by_its_whole_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
