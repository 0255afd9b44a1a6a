#include <string.h>

#include "proto/base/err.h"
#include "proto/wire/id.h"

#include "tests/support/fixture.h"

static void a_drawn_name_is_hex_of_its_size_and_no_other(void **state)
{
	char first[33] = { 0 };
	char other[33] = { 0 };
	char tiny[3] = "xx";
	struct err err = { 0 };

	(void)state;
	assert_int_equal(id_draw(first, sizeof first, &err), 0);
	assert_int_equal(id_draw(other, sizeof other, &err), 0);
	assert_int_equal(strspn(first, "0123456789abcdef"), 32);
	assert_int_equal(strlen(first), 32);
	assert_string_not_equal(first, other);
	assert_int_equal(id_draw(tiny, sizeof tiny, &err), 0);
	assert_int_equal(strlen(tiny), 2);
}

static void names_are_equal_when_every_letter_is(void **state)
{
	(void)state;
	assert_true(id_equal("", ""));
	assert_true(id_equal("abc", "abc"));
	assert_false(id_equal("abc", "abd"));
	assert_false(id_equal("abc", "xbc"));
	assert_false(id_equal("abc", "ab"));
	assert_false(id_equal("ab", "abc"));
	assert_false(id_equal("", "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_drawn_name_is_hex_of_its_size_and_no_other),
		FIXTURE_TEST(names_are_equal_when_every_letter_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
