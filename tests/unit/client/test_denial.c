#include <string.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "client/denial.h"
#include "tests/support/fixture.h"

#define LINE_MAX_BYTES 16384

static void a_line_says_what_how_often_and_by_which_rule(void **state)
{
	static const struct {
		struct denial denial;
		const char *line;
	} rows[] = {
		{ { DENIAL_RULE_OUTSIDE, "openat", "/etc/x", "EROFS", 1 },
		  "denied: openat /etc/x (EROFS): outside the writable folders" },
		{ { DENIAL_RULE_PROTECTED, "mkdir", "a b", "EROFS", 3 },
		  "denied: mkdir 'a b' (EROFS), 3 times: a protected path" },
		{ { DENIAL_RULE_HIDDEN, "openat", "/h", "EACCES", 1 },
		  "denied: openat /h (EACCES): hidden from commands" },
		{ { DENIAL_RULE_NETWORK, "connect", "[::1]:1", "ENETUNREACH", 1 },
		  "denied: connect '[::1]:1' (ENETUNREACH): the network is off" },
		{ { DENIAL_RULE_HOST_SOCKET, "connect", "/run/x", "EPERM", 1 },
		  "denied: connect /run/x (EPERM): a Unix socket of the host" },
		{ { DENIAL_RULE_SYSTEM_CALL, "bpf", "", "EPERM", 1 },
		  "denied: bpf (EPERM): no command may use this" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out SCOPED(buf_deinit) = BUF_INIT(LINE_MAX_BYTES);
		struct buf more SCOPED(buf_deinit) = BUF_INIT(LINE_MAX_BYTES);

		assert_int_equal(denial_line(&out, &rows[i].denial, false, NULL), 0);
		assert_int_equal(denial_line(&more, &rows[i].denial, true, NULL), 0);
		if (!str_eq(buf_str(&out), rows[i].line) ||
		    !str_starts(buf_str(&more), buf_str(&out)) ||
		    !strstr(buf_str(&more), "allow")) /* by what */
			fail_msg("row %zu: %s", i, buf_str(&more));
	}
}

static void a_target_stays_in_its_line_and_steers_nothing(void **state)
{
	static const struct {
		const char *target;
		const char *shown;
	} rows[] = {
		{ "\033[2J", "$'\\x1b[2J'" },
		{ "a\nb", "$'a\\nb'" },
		{ "\xe2\x80\xae"
		  "abc",
		  "$'\\u202eabc'" },
		{ "\xc2\x9b", "$'\\u009b'" },
		{ "it's", "$'it\\'s'" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out SCOPED(buf_deinit) = BUF_INIT(LINE_MAX_BYTES);
		struct denial denial = { DENIAL_RULE_OUTSIDE, "openat\n", rows[i].target, "E\033",
					 1 };

		assert_int_equal(denial_line(&out, &denial, false, NULL), 0);
		if (!strstr(buf_str(&out), rows[i].shown) || strpbrk(buf_str(&out), "\n\033"))
			fail_msg("row %zu: %s", i, buf_str(&out));
	}
}

static void the_longest_line_has_its_room(void **state)
{
	static char target[513];
	static char operation[33];
	struct buf out SCOPED(buf_deinit) = BUF_INIT(LINE_MAX_BYTES);
	struct denial denial = { DENIAL_RULE_CHANGED, operation, target, operation, INT64_MAX };

	(void)state;
	memset(target, 1, sizeof target - 1);
	memset(operation, 1, sizeof operation - 1);
	assert_int_equal(denial_line(&out, &denial, true, NULL), 0);
	buf_clear(&out);
	assert_int_equal(denial_end(&out, &denial, NULL), 0);
}

static void an_end_is_one_sentence(void **state)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(LINE_MAX_BYTES);
	struct denial denial = { DENIAL_RULE_CHANGED, "", "/w/.git", "", 1 };

	(void)state;
	assert_int_equal(denial_end(&out, &denial, NULL), 0);
	assert_string_equal(buf_str(&out),
			    "the command was ended: a protected path was changed, removed or made "
			    "while the command ran: /w/.git");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_line_says_what_how_often_and_by_which_rule),
		FIXTURE_TEST(a_target_stays_in_its_line_and_steers_nothing),
		FIXTURE_TEST(the_longest_line_has_its_room),
		FIXTURE_TEST(an_end_is_one_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
