/*
 * fixture.h - what every unit test includes: cmocka with the headers it wants first, and a fixture
 *that fails a test which leaves a descriptor open or closes one that it did not open.
 *
 *	const struct CMUnitTest tests[] = { FIXTURE_TEST(a_law_as_a_sentence) };
 *	return cmocka_run_group_tests(tests, NULL, NULL);
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define FIXTURE_TEST(function)                                                                     \
	cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

#define FIXTURE_SKIPPED 77 /* exit code of a program whose kernel lacks what it tests */

int fixture_setup(void **state);
int fixture_teardown(void **state);

/* A folder for this test below $TMPDIR, removed with its content by the teardown. Borrowed until
 * then. */
const char *fixture_dir(void);

/* Writes the file (mode 0600) in fixture_dir() and returns its path, borrowed until the next call.
 */
const char *fixture_file(const char *name, const void *data, size_t size);

/* $AGENT_TEST_SRC/path, borrowed until the next call. */
const char *fixture_source(const char *path);
