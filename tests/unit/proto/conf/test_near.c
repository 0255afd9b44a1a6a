#include "proto/base/str.h"
#include "proto/conf/near.h"

#include "tests/support/fixture.h"

static void the_nearest_word_is_suggested_and_a_far_one_is_not(void **state)
{
	static const char *const words[] = { "sandbox_mode", "approval_policy", "model", "mode" };
	static const struct {
		const char *typed;
		const char *meant;
	} rows[] = {
		{ "model", "model" },
		{ "modle", "mode" },
		{ "mdel", "model" },
		{ "modell", "model" },
		{ "sandbox-mode", "sandbox_mode" },
		{ "sanboxmode", "sandbox_mode" },
		{ "aproval_polcy", "approval_policy" },
		{ "history", NULL },
		{ "", NULL },
		{ "a_word_of_more_than_sixty_four_letters_is_not_compared_with_anything_", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *found = near_word(rows[i].typed, words, ARRAY_LEN(words));

		if (!str_eq(found, rows[i].meant))
			fail_msg("'%s': '%s'", rows[i].typed, found ? found : "none");
	}
	assert_null(near_word("model", words, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(the_nearest_word_is_suggested_and_a_far_one_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
