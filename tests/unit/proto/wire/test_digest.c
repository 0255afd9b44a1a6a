#include "proto/base/attr.h"
#include "proto/wire/digest.h"

#include "tests/support/fixture.h"

static void bytes_have_the_digest_that_fips_180_publishes(void **state)
{
	static const struct {
		const char *text;
		size_t size;
		const char *digest;
	} rows[] = {
		{ "", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[DIGEST_SIZE];

		digest_bytes(out, rows[i].text, rows[i].size);
		assert_string_equal(out, rows[i].digest);
	}
}

static void of_words(char out[DIGEST_SIZE], const char *const *words, size_t count)
{
	struct digest digest;

	digest_init(&digest);
	digest_words(&digest, words, count);
	digest_finish(&digest, out);
}

static void words_are_hashed_with_their_number_and_lengths(void **state)
{
	static const char *const words[] = { "ab", "", "c" };
	static const char same[] = "1:32:ab0:1:c";
	char out[DIGEST_SIZE];
	char want[DIGEST_SIZE];

	(void)state;
	of_words(out, words, 3);
	digest_bytes(want, same, sizeof same - 1);
	assert_string_equal(out, want);
}

static void lists_that_differ_by_a_boundary_differ(void **state)
{
	static const char *const one[] = { "a", "b" };
	static const char *const two[] = { "ab" };
	static const char *const three[] = { "", "ab" };
	char a[DIGEST_SIZE];
	char b[DIGEST_SIZE];
	char c[DIGEST_SIZE];

	(void)state;
	of_words(a, one, 2);
	of_words(b, two, 1);
	of_words(c, three, 2);
	assert_string_not_equal(a, b);
	assert_string_not_equal(a, c);
	assert_string_not_equal(b, c);
}

static void no_text_counts_as_an_empty_one(void **state)
{
	char a[DIGEST_SIZE];
	char b[DIGEST_SIZE];

	(void)state;
	of_words(a, (const char *const[]){ NULL }, 1);
	of_words(b, (const char *const[]){ "" }, 1);
	assert_string_equal(a, b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(bytes_have_the_digest_that_fips_180_publishes),
		FIXTURE_TEST(words_are_hashed_with_their_number_and_lengths),
		FIXTURE_TEST(lists_that_differ_by_a_boundary_differ),
		FIXTURE_TEST(no_text_counts_as_an_empty_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
