/*
 * alloc_fail.h - allocation that fails on demand. A test that uses it is declared with
 * WRAP malloc calloc realloc in tests/unit/CMakeLists.txt.
 */
#pragma once

#include <stddef.h>

/* The nth allocation from now fails, and no other; 0: none. */
void alloc_fail_at(size_t nth);

/* How many allocations were asked for since alloc_fail_at(). */
size_t alloc_fail_count(void);

/* jansson allocates through here too, until the program ends. Call before the first json_t. */
void alloc_fail_json(void);

/*
 * Runs step() with its first allocation failing, then its second, and so on, until a run asks for
 * fewer. Each failing run must return ERR_NOMEM, the last one 0. The step cleans up after itself in
 * both cases, and the test fails when it does not say the truth. step() is called again and again:
 * it starts from nothing each time.
 */
void alloc_fail_each(int (*step)(void *context), void *context);
