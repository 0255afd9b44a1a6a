#include <jansson.h>
#include <string.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/broker_gen.h"

#include "agentd/tool/denied.h"
#include "tests/support/fixture.h"

/* The section behind `before`, in its own buffer. */
static void told(struct buf *out, const char *before, const struct broker_denial *denials,
		 size_t count, int64_t lost)
{
	const struct broker_child_exited exited = { .denials = denials,
						    .denials_count = count,
						    .denials_lost = lost };
	json_auto_t *denied = NULL;
	struct err err = { 0 };

	buf_clear(out);
	assert_int_equal(buf_puts(out, before, &err), 0);
	if (denied_take(&denied, &exited, &err) < 0 || denied_text(out, denied, &err) < 0)
		fail_msg("%s", err.text);
}

static void each_rule_is_one_line_in_plain_words(void **state)
{
	static const struct {
		struct broker_denial denial;
		const char *line;
	} rows[] = {
		{ { DENIAL_RULE_OUTSIDE, "openat", "/etc/x", "EROFS", 1 },
		  "- openat '/etc/x': EROFS, outside the writable roots\n" },
		{ { DENIAL_RULE_PROTECTED, "mkdir", ".git", "EROFS", 3 },
		  "- mkdir '.git': EROFS, a protected path (3 times)\n" },
		{ { DENIAL_RULE_HIDDEN, "openat", "/h", "EACCES", 1 },
		  "- openat '/h': EACCES, hidden from commands\n" },
		{ { DENIAL_RULE_NETWORK, "connect", "1.2.3.4:443", "ENETUNREACH", 1 },
		  "- connect '1.2.3.4:443': ENETUNREACH, the network is closed\n" },
		{ { DENIAL_RULE_HOST_SOCKET, "connect", "/run/x", "EPERM", 1 },
		  "- connect '/run/x': EPERM, a Unix socket of the host\n" },
		{ { DENIAL_RULE_SYSTEM_CALL, "bpf", "", "EPERM", 1 },
		  "- bpf: EPERM, no command may use this\n" },
		{ { DENIAL_RULE_CHANGED, "openat", "/w/.git", "", 1 },
		  "- openat '/w/.git': changed while the command ran, which ended it\n" },
	};
	struct buf out SCOPED(buf_deinit) = BUF_INIT(DENIED_TEXT_MAX);
	const char *lead = "Denied by the sandbox:\n";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		told(&out, "", &rows[i].denial, 1, 0);
		if (!str_starts(buf_str(&out), lead) ||
		    !str_eq(buf_str(&out) + strlen(lead), rows[i].line))
			fail_msg("row %zu: %s", i, buf_str(&out));
	}
}

static void nothing_denied_adds_nothing(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(DENIED_TEXT_MAX);

	(void)state;
	told(&out, "text", NULL, 0, 0);
	assert_string_equal(buf_str(&out), "text");
}

static void the_section_begins_on_a_line_of_its_own(void **state)
{
	const struct broker_denial one = { DENIAL_RULE_SYSTEM_CALL, "bpf", "", "EPERM", 1 };
	struct buf out SCOPED(buf_deinit) = BUF_INIT(DENIED_TEXT_MAX);

	(void)state;
	told(&out, "no end", &one, 1, 0);
	assert_true(str_starts(buf_str(&out), "no end\nDenied"));
	told(&out, "end\n", &one, 1, 0);
	assert_true(str_starts(buf_str(&out), "end\nDenied"));
}

static void what_is_too_much_is_counted_and_what_ended_it_comes_first(void **state)
{
	struct broker_denial many[BROKER_DENIALS_MAX];
	struct buf out SCOPED(buf_deinit) = BUF_INIT(DENIED_TEXT_MAX);
	size_t lines = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = (struct broker_denial){ DENIAL_RULE_OUTSIDE, "openat", "/x", "EROFS", 1 };
	many[ARRAY_LEN(many) - 1].rule = DENIAL_RULE_CHANGED;
	told(&out, "", many, ARRAY_LEN(many), 5);
	for (const char *p = buf_str(&out); *p; p++)
		lines += *p == '\n';
	assert_int_equal(lines, DENIED_LINES_MAX + 2); /* the heading, and the count */
	assert_true(str_ends(buf_str(&out), "\n- and 29 more\n"));
	assert_true(
		str_starts(buf_str(&out), "Denied by the sandbox:\n- openat '/x': EROFS, changed"));
	told(&out, "", NULL, 0, 2);
	assert_string_equal(buf_str(&out), "Denied by the sandbox:\n- and 2 more\n");
}

static void a_target_cannot_add_lines_and_the_longest_fit(void **state)
{
	static char longest[513];
	struct broker_denial many[DENIED_LINES_MAX];
	struct buf out SCOPED(buf_deinit) = BUF_INIT(DENIED_TEXT_MAX);

	(void)state;
	memset(longest, '\n', sizeof longest - 1);
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = (struct broker_denial){ DENIAL_RULE_CHANGED, "openat", longest, "EROFS",
						  INT64_MAX };
	many[0].target = "x'\nDenied by the sandbox:\n- nothing\033[2J";
	told(&out, "", many, ARRAY_LEN(many), INT64_MAX / 2);
	assert_non_null(
		strstr(buf_str(&out), "'x\\'\\nDenied by the sandbox:\\n- nothing\\x1b[2J'"));
}

static void clients_get_the_same_as_values(void **state)
{
	const struct broker_denial one = { DENIAL_RULE_NETWORK, "connect", "a:1", "ENETUNREACH",
					   4 };
	const struct broker_child_exited exited = { .denials = &one,
						    .denials_count = 1,
						    .denials_lost = 7 };
	json_auto_t *denied = NULL;
	json_auto_t *wanted = json_pack("{s:[{s:s, s:s, s:s, s:s, s:i}], s:i}", "denials", "rule",
					"network", "operation", "connect", "target", "a:1", "error",
					"ENETUNREACH", "count", 4, "denials_lost", 7);

	(void)state;
	assert_int_equal(denied_take(&denied, &exited, NULL), 0);
	assert_true(json_equal(denied, wanted));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(each_rule_is_one_line_in_plain_words),
		FIXTURE_TEST(nothing_denied_adds_nothing),
		FIXTURE_TEST(the_section_begins_on_a_line_of_its_own),
		FIXTURE_TEST(what_is_too_much_is_counted_and_what_ended_it_comes_first),
		FIXTURE_TEST(a_target_cannot_add_lines_and_the_longest_fit),
		FIXTURE_TEST(clients_get_the_same_as_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
