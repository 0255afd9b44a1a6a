#include <string.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"

#include "agentd/tool/reply.h"
#include "tests/support/fixture.h"

static const struct {
	const char *name;
	const char *text;
	const char *report;
	int exit_code;
	uint64_t wall_ms;
	const char *want;
	bool applied;
	bool changes;
} rows[] = {
	{ "applied", "Success.\nA f\n", "{\"state\":\"applied\",\"changes\":[{}]}\n", 0, 1234,
	  "Exit code: 0\nWall time: 1.2 seconds\nOutput:\nSuccess.\nA f\n", true, true },
	{ "failed", "Failed to write file f: Read-only file system\n",
	  "{\"state\":\"failed\",\"changes\":[]}\n", 1, 49,
	  "Exit code: 1\nWall time: 0.0 seconds\nOutput:\nFailed to write file f: Read-only file "
	  "system\n",
	  false, true },
	{ "unverified", "Failed to find expected lines in f:\nx\n",
	  "{\"state\":\"unverified\",\"changes\":[]}\n", 1, 50,
	  "apply_patch verification failed: Failed to find expected lines in f:\nx", false, true },
	{ "empty", "patch rejected: empty patch\n", "{\"state\":\"unverified\",\"changes\":[]}\n",
	  1, 50, "patch rejected: empty patch", false, true },
	{ "killed", "", "", 137, 50, "Exit code: 137\nWall time: 0.1 seconds\nOutput:\n", false,
	  false },
	{ "no such program", "", "sh: no such file\n", 127, 99,
	  "Exit code: 127\nWall time: 0.1 seconds\nOutput:\nsh: no such file\n", false, false },
	{ "killed while it said so", "Success.\n", "{\"state\":\"applied\",\"changes\":[]}\n", 137,
	  0, "Exit code: 137\nWall time: 0.0 seconds\nOutput:\nSuccess.\n", false, true },
	{ "bytes that are no text", "\xff\n", "{\"state\":\"applied\",\"changes\":[]}\n", 0, 0,
	  "Exit code: 0\nWall time: 0.0 seconds\nOutput:\n\ufffd\n", true, true },
};

static void what_the_applet_said_reads_as_documented(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct reply reply = { .text = rows[i].text,
					     .text_len = strlen(rows[i].text),
					     .report = rows[i].report,
					     .report_len = strlen(rows[i].report),
					     .exit_code = rows[i].exit_code,
					     .wall_ms = rows[i].wall_ms };
		struct buf out SCOPED(buf_deinit) = BUF_INIT(4096);
		json_t *changes = NULL;
		bool applied = false;
		struct err err = { 0 };

		assert_int_equal(reply_text(&out, &applied, &changes, &reply, &err), 0);
		if (strcmp(buf_str(&out), rows[i].want) != 0)
			fail_msg("%s: '%s'", rows[i].name, buf_str(&out));
		if (applied != rows[i].applied || (changes != NULL) != rows[i].changes)
			fail_msg("%s: applied %d", rows[i].name, applied);
		json_decref(changes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { FIXTURE_TEST(
		what_the_applet_said_reads_as_documented) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
