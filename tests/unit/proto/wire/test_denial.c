#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/wire/denial.h"

#include "tests/support/fixture.h"

static void a_repeated_denial_is_counted_and_another_one_is_kept_apart(void **state)
{
	static struct denials denials;

	(void)state;
	denials_add(&denials, DENIAL_RULE_OUTSIDE, "mkdir", "/etc/x", EROFS);
	denials_add(&denials, DENIAL_RULE_OUTSIDE, "mkdir", "/etc/x", EROFS);
	denials_add(&denials, DENIAL_RULE_OUTSIDE, "mkdir", "/etc/y", EROFS);
	denials_add(&denials, DENIAL_RULE_PROTECTED, "mkdir", "/etc/x", EROFS);
	denials_add(&denials, DENIAL_RULE_OUTSIDE, "mknod", "/etc/x", EROFS);
	assert_int_equal(denials.count, 4);
	assert_int_equal(denials.items[0].count, 2);
	assert_int_equal(denials.items[1].count, 1);
	assert_int_equal(denials.items[0].sys, EROFS);
	assert_int_equal(denials.lost, 0);
}

static void what_is_beyond_the_room_is_counted_as_lost(void **state)
{
	static struct denials denials;
	char target[2 * DENIAL_TARGET_MAX];

	(void)state;
	for (int i = 0; i < BROKER_DENIALS_MAX + 3; i++) {
		(void)snprintf(target, sizeof target, "/%d", i);
		denials_add(&denials, DENIAL_RULE_OUTSIDE, "mkdir", target, EROFS);
	}
	assert_int_equal(denials.count, BROKER_DENIALS_MAX);
	assert_int_equal(denials.lost, 3);
	memset(target, 'a', sizeof target);
	target[sizeof target - 1] = '\0';
	denials = (struct denials){ 0 };
	denials_add(&denials, DENIAL_RULE_OUTSIDE, target, target, EROFS);
	denials_add(&denials, DENIAL_RULE_OUTSIDE, target, target, EROFS);
	assert_int_equal(strlen(denials.items[0].target), DENIAL_TARGET_MAX - 1);
	assert_int_equal(strlen(denials.items[0].operation), sizeof denials.items[0].operation - 1);
	assert_int_equal(denials.items[0].count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_repeated_denial_is_counted_and_another_one_is_kept_apart),
		FIXTURE_TEST(what_is_beyond_the_room_is_counted_as_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
