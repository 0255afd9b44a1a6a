#include <string.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "client/diff.h"
#include "tests/support/fixture.h"

/* diff_line_fn */
static int put(void *ctx, char sign, const char *text, size_t len, struct err *err)
{
	struct buf *out = ctx;

	return buf_printf(out, err, "%c%.*s\n", sign, (int)len, text);
}

static void a_change_is_shown_with_what_stands_around_it(void **state)
{
	static const struct {
		const char *before;
		const char *after;
		const char *shown;
	} rows[] = {
		{ "", "", "" },
		{ "a\n", "a\n", "" },
		{ "", "a\nb\n", "+a\n+b\n" },
		{ "a\nb\n", "", "-a\n-b\n" },
		{ "a\nb\nc\n", "a\nx\nc\n", " a\n-b\n+x\n c\n" },
		{ "a\nb\nc", "a\nc\n", " a\n-b\n c\n" },
		{ "1\n2\n3\n4\n5\n6\n", "1\n2\n3\n4\n5\n6\n7\n", " 4\n 5\n 6\n+7\n" },
		{ "x\n1\n2\n3\n4\n5\n6\n7\ny\n", "X\n1\n2\n3\n4\n5\n6\n7\nY\n",
		  "-x\n+X\n 1\n 2\n 3\n@\n 5\n 6\n 7\n-y\n+Y\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out SCOPED(buf_deinit) = BUF_INIT(4096);
		struct err err = { 0 };

		assert_int_equal(diff_lines(rows[i].before, rows[i].after, put, &out, &err), 0);
		if (!str_eq(buf_str(&out), rows[i].shown))
			fail_msg("row %zu:\n%s", i, buf_str(&out));
	}
}

/* Applying what is shown with everything around it gives the new text. */
static void what_is_shown_leads_from_the_old_to_the_new(void **state)
{
	static const char *const words[] = { "a\n", "b\n", "a\n", "c\n" };
	char before[64];
	char after[64];

	(void)state;
	for (unsigned seed = 0; seed < 4096; seed++) {
		struct buf out SCOPED(buf_deinit) = BUF_INIT(4096);
		struct buf result SCOPED(buf_deinit) = BUF_INIT(4096);
		struct err err = { 0 };

		for (unsigned i = 0; i < 3; i++) {
			memcpy(before + 2 * i, words[(seed >> (2 * i)) & 3], 3);
			memcpy(after + 2 * i, words[(seed >> (6 + 2 * i)) & 3], 3);
		}
		if (str_eq(before, after))
			continue;
		assert_int_equal(diff_lines(before, after, put, &out, &err), 0);
		for (const char *p = buf_str(&out); *p; p += 3) {
			if (*p != '-')
				assert_int_equal(buf_append(&result, p + 1, 2, &err), 0);
		}
		if (!str_eq(buf_str(&result), after))
			fail_msg("%s->\n%s:\n%s", before, after, buf_str(&out));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_change_is_shown_with_what_stands_around_it),
		FIXTURE_TEST(what_is_shown_leads_from_the_old_to_the_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
