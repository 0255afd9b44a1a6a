#include <stdalign.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/wire/arena.h"

#include "tests/support/alloc_fail.h"
#include "tests/support/fixture.h"

static void memory_is_zeroed_aligned_and_apart(void **state)
{
	struct arena arena = { 0 };
	unsigned char *last = NULL;

	(void)state;
	for (size_t size = 0; size < 300; size++) {
		unsigned char *memory = arena_alloc(&arena, size, NULL);

		assert_non_null(memory);
		assert_int_equal((uintptr_t)memory % alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(memory[i], 0);
		memset(memory, 0xff, size);
		assert_ptr_not_equal(memory, last);
		last = memory;
	}
	arena_deinit(&arena);
	assert_int_equal(arena.used, 0);
	arena_deinit(&arena);
}

static void an_arena_hands_out_its_limit_and_no_byte_more(void **state)
{
	struct arena arena SCOPED(arena_deinit) = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_null(arena_alloc(&arena, ARENA_MAX + 1, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_null(arena_alloc(&arena, SIZE_MAX, &err));
	assert_non_null(arena_alloc(&arena, ARENA_MAX - 1, &err));
	assert_null(arena_alloc(&arena, 2, &err));
	assert_non_null(arena_alloc(&arena, 1, &err));
	assert_null(arena_alloc(&arena, 1, &err));
}

static int allocate(void *context)
{
	struct arena arena SCOPED(arena_deinit) = { 0 };
	struct err err = { 0 };

	(void)context;
	if (!arena_alloc(&arena, 10, &err) || !arena_alloc(&arena, 10000, &err))
		return err.code;
	return 0;
}

static void without_memory_it_says_so(void **state)
{
	(void)state;
	alloc_fail_each(allocate, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(memory_is_zeroed_aligned_and_apart),
		FIXTURE_TEST(an_arena_hands_out_its_limit_and_no_byte_more),
		FIXTURE_TEST(without_memory_it_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
