#include <string.h>
#include <sys/syscall.h>

#include "proto/base/attr.h"
#include "proto/base/str.h"

#include "broker/probe.h"
#include "broker/sandbox.h"
#include "broker/step.h"
#include "tests/support/fixture.h"

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);

static int abi; /* that the kernel shall say it has; -1: its own */

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	if (number == SYS_landlock_create_ruleset && a == 0 && abi >= 0)
		return abi;
	return __real_syscall(number, a, b, c, d, e, f);
}

static void every_probe_says_what_it_found(void **state)
{
	struct probe probes[PROBES_MAX];
	size_t count;

	(void)state;
	abi = -1;
	count = probe_all(probes);
	assert_in_range(count, 10, PROBES_MAX);
	for (size_t i = 0; i < count; i++) {
		if (!probes[i].ok && probes[i].needed)
			fail_msg("%s: %s", probes[i].name, probes[i].detail);
		assert_true(probes[i].detail[0] != '\0');
	}
}

static void the_legacy_way_needs_its_landlock(void **state)
{
	static const struct {
		int abi;
		bool works;
	} rows[] = { { 0, false }, { 1, false }, { 2, false }, { 3, true },
		     { 4, true },  { 6, true },  { 7, true },  { 99, true } };
	const struct sandbox_config config = { .mode = SANDBOX_MODE_READ_ONLY,
					       .legacy_landlock = true };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct features features;
		struct err err = { 0 };
		int rc;

		abi = rows[i].abi;
		rc = probe_features(&features, &config, &err);
		if ((rc == 0) != rows[i].works || features.confined || !features.legacy ||
		    features.notify)
			fail_msg("ABI %d: %s", abi, err.text);
		if (rc < 0)
			assert_non_null(strstr(err.text, "needs Landlock ABI 3"));
	}
	abi = -1;
}

static bool is_said(const struct features *features, const char *word)
{
	const char *said[SANDBOX_LAYERS_MAX];
	size_t count = probe_missing(said, features);
	bool found = false;

	assert_in_range(count, 0, SANDBOX_LAYERS_MAX);
	for (size_t i = 0; i < count; i++) {
		assert_in_range(strlen(said[i]), 20, 256); /* what the protocol takes */
		found = found || str_starts(said[i], word);
	}
	return found;
}

/* Which lack is told of which features. */
static void a_lack_is_told_where_it_counts(void **state)
{
	static const struct {
		const char *word;
		struct features features;
		bool told;
	} rows[] = {
		{ "landlock:", { .confined = true, .landlock = 0 }, true },
		{ "landlock:", { .confined = true, .landlock = 2 }, false },
		{ "landlock scopes", { .confined = true, .network = true, .landlock = 5 }, true },
		{ "landlock scopes", { .confined = true, .network = true, .landlock = 6 }, false },
		{ "landlock scopes", { .confined = true, .landlock = 5 }, false },
		{ "own /proc", { .confined = true, .landlock = 7 }, true },
		{ "own /proc", { .confined = true, .fresh_proc = true, .landlock = 7 }, false },
		{ "own /proc", { .legacy = true, .landlock = 7 }, false },
		{ "namespaces", { .confined = true, .landlock = 7 }, false },
		{ "namespaces", { .legacy = true, .landlock = 7 }, true },
		{ "new names", { .legacy = true, .landlock = 7 }, true },
		{ "signals", { .legacy = true, .landlock = 5 }, true },
		{ "signals", { .legacy = true, .landlock = 6 }, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (is_said(&rows[i].features, rows[i].word) != rows[i].told)
			fail_msg("row %zu: %s", i, rows[i].word);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(every_probe_says_what_it_found),
		FIXTURE_TEST(the_legacy_way_needs_its_landlock),
		FIXTURE_TEST(a_lack_is_told_where_it_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
