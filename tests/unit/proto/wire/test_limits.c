#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/attr.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/broker_gen.h"
#include "proto/wire/limits.h"

#include "tests/support/fixture.h"

#define PATH "/etc/agentd/requirements.ini"
#define RO SANDBOX_MODE_READ_ONLY
#define WW SANDBOX_MODE_WORKSPACE_WRITE
#define FA SANDBOX_MODE_DANGER_FULL_ACCESS

static void decode(struct limits *limits, const char *json)
{
	struct err err = { 0 };

	if (limits_decode(limits, PATH, json, strlen(json), &err) < 0)
		fail_msg("%s: %s", json, err.text);
}

static void without_a_file_nothing_is_limited(void **state)
{
	struct limits limits = { 0 };
	struct err err = { 0 };
	struct hidden hidden = { 0 };

	(void)state;
	for (int mode = 1; mode < SANDBOX_MODE_COUNT; mode++)
		assert_int_equal(limits_allow_sandbox(&limits, mode, true, true, &err), 0);
	assert_int_equal(limits_allow_no_lockdown(&limits, &err), 0);
	assert_int_equal(limits_hide(&limits, NULL, 0, &hidden, &err), 0);
	assert_int_equal(hidden.count, 0);
	hidden_deinit(&hidden);
}

static void a_sandbox_beyond_the_limits_is_refused_with_the_key(void **state)
{
	static const struct {
		const char *json;
		enum sandbox_mode mode;
		bool network;
		bool legacy;
		const char *key; /* NULL: allowed */
	} rows[] = {
		{ "{}", FA, true, true, NULL },
		{ "{\"allowed_sandbox_modes\":[\"read-only\"]}", RO, true, true, NULL },
		{ "{\"allowed_sandbox_modes\":[\"read-only\"]}", WW, false, false,
		  "allowed_sandbox_modes" },
		{ "{\"allowed_sandbox_modes\":[\"read-only\"]}", FA, true, false,
		  "allowed_sandbox_modes" },
		{ "{\"allowed_sandbox_modes\":[\"read-only\",\"danger-full-access\"]}", FA, true,
		  false, NULL },
		{ "{\"allowed_sandbox_modes\":[\"read-only\",\"danger-full-access\"]}", WW, false,
		  false, "allowed_sandbox_modes" },
		{ "{\"allow_network\":false}", WW, false, false, NULL },
		{ "{\"allow_network\":false}", WW, true, false, "sandbox.allow_network" },
		{ "{\"allow_network\":false}", RO, true, false, "sandbox.allow_network" },
		{ "{\"allow_network\":false}", FA, false, false, "sandbox.allow_network" },
		{ "{\"allow_network\":true}", FA, true, false, NULL },
		{ "{\"allow_legacy_landlock\":false}", WW, false, true,
		  "sandbox.allow_legacy_landlock" },
		{ "{\"allow_legacy_landlock\":false}", WW, false, false, NULL },
		{ "{\"allow_legacy_landlock\":true}", WW, false, true, NULL },
		{ "{\"deny_read\":[\"/a\"]}", WW, true, false, NULL },
		{ "{\"deny_read\":[\"/a\"]}", RO, false, false, NULL },
		{ "{\"deny_read\":[\"/a\"]}", FA, true, false, "permissions.filesystem.deny_read" },
		{ "{\"deny_read\":[\"/a\"]}", RO, false, true, "permissions.filesystem.deny_read" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct limits limits SCOPED(limits_deinit) = { 0 };
		struct err err = { 0 };
		int rc;

		decode(&limits, rows[i].json);
		rc = limits_allow_sandbox(&limits, rows[i].mode, rows[i].network, rows[i].legacy,
					  &err);
		if (rc != (rows[i].key ? ERR_DENIED : 0))
			fail_msg("row %zu: %d %s", i, rc, err.text);
		if (rows[i].key && (!strstr(err.text, rows[i].key) || !strstr(err.text, PATH)))
			fail_msg("row %zu: %s", i, err.text);
	}
}

static void a_lock_that_may_not_be_left_off_stays_on(void **state)
{
	struct limits limits SCOPED(limits_deinit) = { 0 };
	struct err err = { 0 };

	(void)state;
	decode(&limits, "{\"allow_no_lockdown\":true}");
	assert_int_equal(limits_allow_no_lockdown(&limits, &err), 0);
	limits_deinit(&limits);
	decode(&limits, "{\"allow_no_lockdown\":false}");
	assert_int_equal(limits_allow_no_lockdown(&limits, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "sandbox.allow_no_lockdown"));
}

static void there_is_room_up_to_the_limit(void **state)
{
	static const struct {
		enum limits_count what;
		const char *json;
		const char *key;
		size_t max;
	} rows[] = {
		{ LIMITS_COMMANDS, "{}", NULL, BROKER_CHILDREN_MAX },
		{ LIMITS_CEILINGS, "{}", NULL, BROKER_CEILINGS_MAX },
		{ LIMITS_CONNECTIONS, "{}", NULL, BROKER_PEERS_MAX },
		{ LIMITS_COMMANDS, "{\"commands\":1}", "limits.commands", 1 },
		{ LIMITS_CEILINGS, "{\"ceilings\":7}", "limits.ceilings", 7 },
		{ LIMITS_CONNECTIONS, "{\"connections\":64}", "limits.connections", 64 },
		{ LIMITS_CONNECTIONS, "{\"commands\":1}", NULL, BROKER_PEERS_MAX },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct limits limits SCOPED(limits_deinit) = { 0 };
		struct err err = { 0 };

		decode(&limits, rows[i].json);
		assert_int_equal(limits_room(&limits, rows[i].what, rows[i].max - 1, &err), 0);
		assert_int_equal(limits_room(&limits, rows[i].what, rows[i].max, &err), ERR_LIMIT);
		if (rows[i].key && !strstr(err.text, rows[i].key))
			fail_msg("row %zu: %s", i, err.text);
	}
}

/* agent-requirements could be another program than the one that was installed. */
static void what_is_no_requirements_is_refused(void **state)
{
	static const char *const rows[] = {
		"",
		"[]",
		"{",
		"{\"unknown\":1}",
		"{\"commands\":0}",
		"{\"commands\":257}",
		"{\"commands\":\"1\"}",
		"{\"audit_log\":\"journal\"}",
		"{\"deny_read\":[1]}",
		"{\"commands\":1,\"commands\":2}",
		"{\"prefix_rules\":[{\"pattern\":[],\"decision\":\"allow\"}]}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct limits limits = { 0 };
		struct err err = { 0 };

		if (limits_decode(&limits, PATH, rows[i], strlen(rows[i]), &err) == 0)
			fail_msg("%s: was taken", rows[i]);
		assert_null(limits.message);
		assert_non_null(strstr(err.text, PATH));
	}
}

static void touch(const char *name)
{
	(void)fixture_file(name, "x", 1);
}

static void globs_name_what_is_there_behind_the_given_folders(void **state)
{
	static const char *const first[] = { "/first", "/second" };
	struct limits limits SCOPED(limits_deinit) = { 0 };
	struct err err = { 0 };
	struct hidden hidden SCOPED(hidden_deinit) = { 0 };
	char json[2048];

	(void)state;
	touch("key-a");
	touch("key-b");
	touch("other");
	(void)snprintf(json, sizeof json,
		       "{\"deny_read\":[\"%s/nothing\",\"%s/key-*\",\"%s/other\",\"%s/no*\"]}",
		       fixture_dir(), fixture_dir(), fixture_dir(), fixture_dir());
	decode(&limits, json);
	assert_int_equal(limits_hide(&limits, first, 2, &hidden, &err), 0);
	assert_int_equal(hidden.count, 5);
	assert_string_equal(hidden.paths[0], "/first");
	assert_string_equal(hidden.paths[1], "/second");
	assert_true(str_ends(hidden.paths[2], "/key-a"));
	assert_true(str_ends(hidden.paths[3], "/key-b"));
	assert_true(str_ends(hidden.paths[4], "/other"));
}

static void globs_that_name_nothing_hide_nothing(void **state)
{
	static const char *const first[] = { "/first" };
	struct limits limits SCOPED(limits_deinit) = { 0 };
	struct err err = { 0 };
	struct hidden hidden SCOPED(hidden_deinit) = { 0 };

	(void)state;
	decode(&limits, "{\"deny_read\":[\"/nonexistent/*\",\"/nonexistent/a\"]}");
	assert_int_equal(limits_hide(&limits, first, 1, &hidden, &err), 0);
	assert_int_equal(hidden.count, 1);
}

static void lists_of_hidden_paths_are_compared(void **state)
{
	static const char *const one[] = { "/a", "/b" };
	static const char *const two[] = { "/a", "/c" };
	struct limits limits = { 0 };
	struct err err = { 0 };
	struct hidden a SCOPED(hidden_deinit) = { 0 };
	struct hidden b SCOPED(hidden_deinit) = { 0 };
	struct hidden c SCOPED(hidden_deinit) = { 0 };
	const struct hidden none = { 0 };

	(void)state;
	assert_int_equal(limits_hide(&limits, one, 2, &a, &err), 0);
	assert_int_equal(limits_hide(&limits, two, 2, &b, &err), 0);
	assert_int_equal(limits_hide(&limits, one, 1, &c, &err), 0);
	assert_true(hidden_equal(&a, &a));
	assert_true(hidden_equal(&none, &none));
	assert_false(hidden_equal(&a, &b));
	assert_false(hidden_equal(&a, &c));
	assert_false(hidden_equal(&a, &none));
}

static void so_many_files_can_be_hidden(void **state)
{
	struct limits limits SCOPED(limits_deinit) = { 0 };
	struct err err = { 0 };
	struct hidden hidden SCOPED(hidden_deinit) = { 0 };
	char text[600];

	(void)state;
	for (unsigned i = 0; i < LIMITS_HIDDEN_MAX; i++) {
		(void)snprintf(text, sizeof text, "f%u", i);
		touch(text);
	}
	(void)snprintf(text, sizeof text, "{\"deny_read\":[\"%s/*\"]}", fixture_dir());
	decode(&limits, text);
	assert_int_equal(limits_hide(&limits, NULL, 0, &hidden, &err), 0);
	assert_int_equal(hidden.count, LIMITS_HIDDEN_MAX);
	touch("one-more");
	hidden_deinit(&hidden);
	assert_int_equal(limits_hide(&limits, NULL, 0, &hidden, &err), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(without_a_file_nothing_is_limited),
		FIXTURE_TEST(a_sandbox_beyond_the_limits_is_refused_with_the_key),
		FIXTURE_TEST(a_lock_that_may_not_be_left_off_stays_on),
		FIXTURE_TEST(there_is_room_up_to_the_limit),
		FIXTURE_TEST(what_is_no_requirements_is_refused),
		FIXTURE_TEST(globs_name_what_is_there_behind_the_given_folders),
		FIXTURE_TEST(globs_that_name_nothing_hide_nothing),
		FIXTURE_TEST(lists_of_hidden_paths_are_compared),
		FIXTURE_TEST(so_many_files_can_be_hidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
