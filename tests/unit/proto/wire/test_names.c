#include "proto/base/str.h"
#include "proto/wire/broker_gen.h"
#include "proto/wire/common_gen.h"
#include "proto/wire/method.h"
#include "proto/wire/names.h"

#include "tests/support/fixture.h"

static void words_and_numbers_are_each_others_inverse(void **state)
{
	(void)state;
	for (int i = 1; i < SANDBOX_MODE_COUNT; i++)
		assert_int_equal(names_find(&sandbox_mode_names, names_get(&sandbox_mode_names, i)),
				 i);
	assert_int_equal(names_find(&sandbox_mode_names, "workspace-write"),
			 SANDBOX_MODE_WORKSPACE_WRITE);
}

static void what_is_not_a_word_is_zero_and_what_is_not_a_number_has_none(void **state)
{
	(void)state;
	assert_int_equal(names_find(&sandbox_mode_names, NULL), 0);
	assert_int_equal(names_find(&sandbox_mode_names, ""), 0);
	assert_int_equal(names_find(&sandbox_mode_names, "Read-Only"), 0);
	assert_null(names_get(&sandbox_mode_names, 0));
	assert_null(names_get(&sandbox_mode_names, -1));
	assert_null(names_get(&sandbox_mode_names, SANDBOX_MODE_COUNT));
}

static void a_method_is_found_at_its_number_and_row_zero_is_none(void **state)
{
	(void)state;
	for (size_t i = 1; i < BROKER_METHOD_COUNT; i++)
		assert_int_equal(wire_method_find(broker_methods, BROKER_METHOD_COUNT,
						  broker_methods[i].name),
				 i);
	assert_int_equal(wire_method_find(broker_methods, BROKER_METHOD_COUNT, "child/start"),
			 BROKER_METHOD_CHILD_START);
	assert_int_equal(wire_method_find(broker_methods, BROKER_METHOD_COUNT, "child/Start"), 0);
	assert_int_equal(wire_method_find(broker_methods, BROKER_METHOD_COUNT, NULL), 0);
	assert_null(broker_methods[0].params);
	assert_int_equal(broker_methods[0].stage, WIRE_STAGE_NONE);
	assert_int_equal(broker_methods[0].roles, 0);
}

static void nobody_can_send_what_is_the_brokers_to_send(void **state)
{
	(void)state;
	for (size_t i = 1; i < BROKER_METHOD_COUNT; i++) {
		const struct wire_method *method = &broker_methods[i];

		assert_int_equal(method->notification, method->result == NULL);
		assert_int_equal(method->notification, method->roles == 0);
		assert_int_equal(method->notification, method->stage == WIRE_STAGE_NONE);
		assert_int_equal(method->notification, method->to != 0);
	}
}

/* What the trust model rests on: each role has its own methods. */
static void only_a_client_opens_ceilings_and_answers_grants(void **state)
{
	static const struct {
		enum broker_method method;
		unsigned roles;
	} rows[] = {
		{ BROKER_METHOD_CEILING_OPEN, 1U << BROKER_ROLE_CLIENT },
		{ BROKER_METHOD_GRANT_SHOW, 1U << BROKER_ROLE_CLIENT },
		{ BROKER_METHOD_GRANT_ANSWER, 1U << BROKER_ROLE_CLIENT },
		{ BROKER_METHOD_GRANT_LIST, 1U << BROKER_ROLE_CLIENT },
		{ BROKER_METHOD_DAEMON_START, 1U << BROKER_ROLE_CLIENT },
		{ BROKER_METHOD_DAEMON_STOP, 1U << BROKER_ROLE_CLIENT },
		{ BROKER_METHOD_GRANT_REQUEST, 1U << BROKER_ROLE_DAEMON },
		{ BROKER_METHOD_GRANT_CANCEL, 1U << BROKER_ROLE_DAEMON },
		{ BROKER_METHOD_DAEMON_READY, 1U << BROKER_ROLE_DAEMON },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (broker_methods[rows[i].method].roles != rows[i].roles)
			fail_msg("%s", broker_methods[rows[i].method].name);
	}
	assert_int_equal(broker_methods[BROKER_METHOD_CHILD_START].fds_min, 3);
	assert_int_equal(broker_methods[BROKER_METHOD_CHILD_START].fds_max, 4);
	assert_int_equal(broker_methods[BROKER_METHOD_HELLO].fds_max, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(words_and_numbers_are_each_others_inverse),
		FIXTURE_TEST(what_is_not_a_word_is_zero_and_what_is_not_a_number_has_none),
		FIXTURE_TEST(a_method_is_found_at_its_number_and_row_zero_is_none),
		FIXTURE_TEST(nobody_can_send_what_is_the_brokers_to_send),
		FIXTURE_TEST(only_a_client_opens_ceilings_and_answers_grants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
