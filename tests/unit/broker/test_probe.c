#include "broker/probe.h"
#include "tests/support/fixture.h"

static void every_probe_says_what_it_found(void **state)
{
	struct probe probes[PROBES_MAX];
	size_t count = probe_all(probes);

	(void)state;
	assert_in_range(count, 10, PROBES_MAX);
	for (size_t i = 0; i < count; i++) {
		if (!probes[i].ok && probes[i].needed)
			fail_msg("%s: %s", probes[i].name, probes[i].detail);
		assert_true(probes[i].detail[0] != '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(every_probe_says_what_it_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
