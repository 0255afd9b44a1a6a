#include "tests/support/alloc_fail.h"

#include <jansson.h>
#include <stdlib.h>

#include "proto/base/err.h"

#include "tests/support/fixture.h"

#define RUNS_MAX 10000U /* a step that asks for more has lost its way */

static size_t asked;
static size_t failing;

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);

static bool fails_now(void)
{
	return ++asked == failing;
}

void *__wrap_malloc(size_t size)
{
	return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails_now() ? NULL : __real_realloc(old, size);
}

void alloc_fail_at(size_t nth)
{
	asked = 0;
	failing = nth;
}

size_t alloc_fail_count(void)
{
	return asked;
}

static void *json_alloc(size_t size)
{
	return malloc(size);
}

void alloc_fail_json(void)
{
	json_set_alloc_funcs(json_alloc, free);
}

void alloc_fail_each(int (*step)(void *context), void *context)
{
	for (size_t nth = 1; nth < RUNS_MAX; nth++) {
		int rc;
		size_t count;

		alloc_fail_at(nth);
		rc = step(context);
		count = alloc_fail_count();
		alloc_fail_at(0);
		if (count == 0)
			fail_msg("nothing was allocated; is the test declared with WRAP?");
		if (count < nth) {
			if (rc != 0)
				fail_msg("%d although all of %zu allocations succeeded", rc, count);
			return;
		}
		if (rc != ERR_NOMEM)
			fail_msg("%d although allocation %zu failed", rc, nth);
	}
	fail_msg("no end after %u runs", RUNS_MAX);
}
