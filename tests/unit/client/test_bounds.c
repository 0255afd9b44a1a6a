/* What is sent to open a ceiling, read at the other end of the socket. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/conf/conf.h"
#include "proto/conf/paths.h"
#include "proto/wire/broker_gen.h"

#include "client/bounds.h"
#include "client/broker_link.h"
#include "client/setup.h"
#include "tests/support/fixture.h"

int __wrap_paths_program(char **out, enum paths_program program, struct err *err);

/* This program lies in no folder where the others could be found. */
int __wrap_paths_program(char **out, enum paths_program program, struct err *err)
{
	assert_int_equal(program, PATHS_PATCH_DIR);
	*out = str_dup("/own");
	return *out ? 0 : ERR_NOMEM_SET(err);
}

/* The parameters of the request under these settings. */
static json_t *sent(const char *settings, struct bounds_input input)
{
	struct conf_input source = { .config_dir = fixture_dir() };
	struct setup setup = { .cwd = str_dup("/w") };
	struct broker *broker SCOPED(broker_release) = NULL;
	struct err err = { 0 };
	char packet[BROKER_PACKET_MAX];
	int ends[2];
	int64_t id = 0;
	ssize_t len;
	json_t *params;
	json_auto_t *message = NULL;

	(void)fixture_file("config.ini", settings, strlen(settings));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	input.setup = &setup;
	if (conf_load(&setup.conf, &source, &err) < 0 || broker_open(&broker, ends[0], &err) < 0 ||
	    bounds_send(broker, &input, &id, &err) < 0)
		fail_msg("%s", err.text);
	len = recv(ends[1], packet, sizeof packet, 0);
	assert_true(len > 0);
	fd_close(&ends[1]);
	message = json_loadb(packet, (size_t)len, 0, NULL);
	assert_non_null(message);
	params = json_incref(json_object_get(message, "params"));
	(void)json_object_del(params, "env");
	setup_deinit(&setup);
	return params;
}

static void the_settings_become_the_ceilings_bounds(void **state)
{
	static const struct {
		const char *settings;
		bool keep; /* of a session */
		bool log_denials;
		const char *params;
	} rows[] = {
		{ "sandbox_mode = read-only\n", false, false,
		  "{\"mode\":\"read-only\",\"cwd\":\"/w\",\"keep\":false}" },
		{ "sandbox_mode = read-only\n", false, true,
		  "{\"mode\":\"read-only\",\"cwd\":\"/w\",\"keep\":false,\"log_denials\":true}" },
		{ "sandbox_mode = read-only\n", true, false,
		  "{\"mode\":\"read-only\",\"cwd\":\"/w\",\"keep\":true,\"log_denials\":true}" },
		{ "sandbox_mode = read-only\n[sandbox]\nlog_denials = false\n", true, true,
		  "{\"mode\":\"read-only\",\"cwd\":\"/w\",\"keep\":true}" },
		{ "sandbox_mode = read-only\n[sandbox]\nlog_denials = true\n", false, false,
		  "{\"mode\":\"read-only\",\"cwd\":\"/w\",\"keep\":false}" },
		{ "sandbox_mode = read-only\n[sandbox]\nlegacy_landlock = true\n", false, false,
		  "{\"mode\":\"read-only\",\"cwd\":\"/w\",\"keep\":false,"
		  "\"legacy_landlock\":true}" },
		{ "sandbox_mode = read-only\n[features]\nuse_legacy_landlock = true\n", false,
		  false,
		  "{\"mode\":\"read-only\",\"cwd\":\"/w\",\"keep\":false,"
		  "\"legacy_landlock\":true}" },
		{ "sandbox_mode = read-only\n[sandbox_workspace_write]\nallow_git_commit = true\n",
		  false, false, "{\"mode\":\"read-only\",\"cwd\":\"/w\",\"keep\":false}" },
		{ "sandbox_mode = workspace-write\n[sandbox_workspace_write]\n"
		  "allow_git_commit = true\nnetwork_access = true\nwritable_roots = [\"/r\"]\n",
		  false, false,
		  "{\"mode\":\"workspace-write\",\"cwd\":\"/w\",\"keep\":false,\"roots\":[\"/r\"],"
		  "\"network\":true,\"exclude_slash_tmp\":false,\"exclude_tmpdir\":false,"
		  "\"allow_git_commit\":true}" },
		{ "sandbox_mode = workspace-write\n", false, false,
		  "{\"mode\":\"workspace-write\",\"cwd\":\"/w\",\"keep\":false,"
		  "\"network\":false,\"exclude_slash_tmp\":false,\"exclude_tmpdir\":false}" },
		{ "sandbox_mode = danger-full-access\n[sandbox]\nlegacy_landlock = true\n", true,
		  true, "{\"mode\":\"danger-full-access\",\"cwd\":\"/w\",\"keep\":true}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_auto_t *got =
			sent(rows[i].settings,
			     (struct bounds_input){ .keep = rows[i].keep,
						    .log_denials = rows[i].log_denials });
		json_auto_t *wanted = json_loads(rows[i].params, 0, NULL);

		if (!json_equal(got, wanted))
			fail_msg("row %zu: %s", i, json_dumps(got, JSON_COMPACT));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(the_settings_become_the_ceilings_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
