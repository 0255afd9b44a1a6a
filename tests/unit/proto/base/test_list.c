#include "proto/base/list.h"

#include "tests/support/fixture.h"

struct item {
	int value;
	struct list node;
};

static int value_of(struct list *node)
{
	return LIST_ENTRY(node, struct item, node)->value;
}

/* The values in order, as the digits of a number. */
static int digits(struct list *head)
{
	struct list *node;
	struct list *safe;
	int number = 0;

	LIST_EACH(node, safe, head)
		number = number * 10 + value_of(node);
	return number;
}

static void a_new_list_is_empty(void **state)
{
	struct list head;

	(void)state;
	list_init(&head);
	assert_true(list_empty(&head));
	assert_int_equal(digits(&head), 0);
}

static void nodes_come_in_the_order_they_were_added(void **state)
{
	struct item items[] = { { .value = 1 }, { .value = 2 }, { .value = 3 } };
	struct list head;

	(void)state;
	list_init(&head);
	for (size_t i = 0; i < ARRAY_LEN(items); i++)
		list_add(&head, &items[i].node);
	assert_false(list_empty(&head));
	assert_int_equal(digits(&head), 123);
}

static void any_node_can_leave_once_twice_or_without_having_come(void **state)
{
	static const struct {
		size_t leaves;
		int left;
	} rows[] = { { 0, 23 }, { 1, 13 }, { 2, 12 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct item items[] = { { .value = 1 }, { .value = 2 }, { .value = 3 } };
		struct item stranger = { .value = 9 };
		struct list head;

		list_init(&head);
		list_init(&stranger.node);
		for (size_t k = 0; k < ARRAY_LEN(items); k++)
			list_add(&head, &items[k].node);
		list_remove(&items[rows[i].leaves].node);
		list_remove(&items[rows[i].leaves].node);
		list_remove(&stranger.node);
		assert_int_equal(digits(&head), rows[i].left);
	}
}

static void the_body_may_remove_its_own_node(void **state)
{
	struct item items[] = { { .value = 1 }, { .value = 2 }, { .value = 3 }, { .value = 4 } };
	struct list head;
	struct list *node;
	struct list *safe;

	(void)state;
	list_init(&head);
	for (size_t i = 0; i < ARRAY_LEN(items); i++)
		list_add(&head, &items[i].node);
	LIST_EACH(node, safe, &head) {
		if (value_of(node) % 2 == 0)
			list_remove(node);
	}
	assert_int_equal(digits(&head), 13);
	LIST_EACH(node, safe, &head)
		list_remove(node);
	assert_true(list_empty(&head));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_new_list_is_empty),
		FIXTURE_TEST(nodes_come_in_the_order_they_were_added),
		FIXTURE_TEST(any_node_can_leave_once_twice_or_without_having_come),
		FIXTURE_TEST(the_body_may_remove_its_own_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
