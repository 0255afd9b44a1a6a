#include <string.h>

#include "proto/base/err.h"
#include "proto/wire/server.h"

#include "broker/ceiling.h"
#include "tests/support/fixture.h"

static const struct peer alice = { .role = BROKER_ROLE_CLIENT };
static const struct peer bob = { .role = BROKER_ROLE_CLIENT };
static const struct peer agentd = { .role = BROKER_ROLE_DAEMON };
static const struct peer nobody = { .role = BROKER_ROLE_NONE };

static struct broker_ceiling_open asked(bool keep)
{
	return (struct broker_ceiling_open){
		.mode = SANDBOX_MODE_READ_ONLY, .cwd = "/w", .has_keep = true, .keep = keep
	};
}

static int add_params(struct ceilings *ceilings, const struct broker_ceiling_open *params,
		      struct ceiling **out)
{
	struct kept kept = { 0 };
	struct err err = { 0 };

	return ceilings_add(ceilings, params, &kept, &alice, out, &err);
}

static int add(struct ceilings *ceilings, bool keep, struct ceiling **out)
{
	struct broker_ceiling_open params = asked(keep);

	return add_params(ceilings, &params, out);
}

static void drop_all(struct ceilings *ceilings)
{
	while (ceilings->count > 0)
		ceilings_drop(ceilings, ceilings->items[0]);
}

static void a_ceiling_is_used_by_its_connection_or_when_kept_by_agentd(void **state)
{
	/* clang-format off */
	static const struct row {
		bool keep;
		const struct peer *peer; /* alice has opened it */
		bool may[CEILING_USE_COUNT]; /* show, close, start, grant */
	} rows[] = {
		{ false, &alice,  { true,  true,  true,  false } },
		{ false, &bob,    { false, false, false, false } },
		{ false, &agentd, { false, false, false, false } },
		{ false, &nobody, { false, false, false, false } },
		{ true,  &alice,  { true,  true,  true,  false } },
		{ true,  &bob,    { true,  false, false, false } },
		{ true,  &agentd, { true,  true,  true,  true  } },
		{ true,  &nobody, { false, false, false, false } },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ceiling ceiling = { .open.keep = rows[i].keep, .owner = &alice };

		for (size_t use = 0; use < CEILING_USE_COUNT; use++) {
			if (ceiling_allows(&ceiling, (enum ceiling_use)use, rows[i].peer) !=
			    rows[i].may[use])
				fail_msg("row %zu, use %zu", i, use);
		}
	}
}

static void without_its_connection_a_ceiling_is_nobodys_own(void **state)
{
	struct ceiling ceiling = { .open.keep = true, .owner = NULL };

	(void)state;
	assert_false(ceiling_allows(&ceiling, CEILING_START, &alice));
	assert_true(ceiling_allows(&ceiling, CEILING_START, &agentd));
}

static void what_may_not_be_used_is_not_found(void **state)
{
	struct ceilings ceilings = { 0 };
	struct ceiling *own = NULL;
	struct err err = { 0 };
	char id[ID_SIZE];

	(void)state;
	assert_int_equal(add(&ceilings, false, &own), 0);
	memcpy(id, own->id, sizeof id);
	assert_ptr_equal(ceilings_find(&ceilings, id, CEILING_START, &alice, &err), own);
	assert_null(ceilings_find(&ceilings, id, CEILING_START, &bob, &err));
	assert_int_equal(err.code, ERR_NOTFOUND);
	err = (struct err){ 0 };
	id[ID_SIZE - 2] = '\0';
	assert_null(ceilings_find(&ceilings, id, CEILING_START, &alice, &err));
	assert_int_equal(err.code, ERR_NOTFOUND);
	drop_all(&ceilings);
}

static void roots_are_for_workspace_write_alone(void **state)
{
	static const char *const roots[] = { "/r", NULL };
	struct ceilings ceilings = { 0 };

	(void)state;
	for (int mode = SANDBOX_MODE_READ_ONLY; mode < SANDBOX_MODE_COUNT; mode++) {
		struct broker_ceiling_open params = asked(false);
		struct ceiling *ceiling = NULL;

		params.mode = (enum sandbox_mode)mode;
		params.roots = (struct wire_strings){ .items = roots, .count = 1 };
		assert_int_equal(add_params(&ceilings, &params, &ceiling),
				 mode == SANDBOX_MODE_WORKSPACE_WRITE ? 0 : ERR_INVALID);
	}
	drop_all(&ceilings);
}

static void full_access_has_the_network_and_nothing_else_has_it_unasked(void **state)
{
	/* clang-format off */
	static const struct row {
		enum sandbox_mode mode;
		bool asked;
		bool network;
	} rows[] = {
		{ SANDBOX_MODE_READ_ONLY,          false, false },
		{ SANDBOX_MODE_READ_ONLY,          true,  true  },
		{ SANDBOX_MODE_WORKSPACE_WRITE,    false, false },
		{ SANDBOX_MODE_WORKSPACE_WRITE,    true,  true  },
		{ SANDBOX_MODE_DANGER_FULL_ACCESS, false, true  },
	};
	/* clang-format on */
	struct ceilings ceilings = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct broker_ceiling_open params = asked(false);
		struct ceiling *ceiling = NULL;

		params.mode = rows[i].mode;
		params.network = rows[i].asked;
		assert_int_equal(add_params(&ceilings, &params, &ceiling), 0);
		if (ceiling->open.network != rows[i].network)
			fail_msg("row %zu", i);
	}
	drop_all(&ceilings);
}

static void so_many_ceilings_are_open_at_once(void **state)
{
	struct ceilings ceilings = { 0 };
	struct ceiling *ceiling = NULL;

	(void)state;
	for (unsigned i = 0; i < BROKER_CEILINGS_MAX; i++)
		assert_int_equal(add(&ceilings, false, &ceiling), 0);
	assert_int_equal(add(&ceilings, false, &ceiling), ERR_LIMIT);
	ceilings_drop(&ceilings, ceiling);
	assert_int_equal(add(&ceilings, false, &ceiling), 0);
	drop_all(&ceilings);
	assert_int_equal(ceilings.count, 0);
}

/* What a ceiling keeps counts as memory, not as text: these are many small values. */
static void the_memory_of_all_ceilings_is_bounded(void **state)
{
	enum { VALUES = 8192 };
	struct broker_ceiling_open params = asked(false);
	struct ceilings ceilings = { 0 };
	struct ceiling *ceiling = NULL;
	struct err err = { 0 };
	size_t each = 0;
	size_t added = 0;

	(void)state;
	for (;; added++) {
		struct kept kept SCOPED(kept_deinit) = { .message = json_array() };

		for (int i = 0; i < VALUES; i++)
			assert_int_equal(json_array_append_new(kept.message, json_string("x")), 0);
		each = kept_bytes(&kept);
		if (ceilings_add(&ceilings, &params, &kept, &alice, &ceiling, &err) < 0)
			break;
	}
	assert_int_equal(err.code, ERR_LIMIT);
	assert_int_equal(added, CEILING_STORE_MAX / each);
	assert_true(added < BROKER_CEILINGS_MAX);
	ceilings_drop(&ceilings, ceilings.items[0]);
	assert_int_equal(ceilings.bytes, (added - 1) * each);
	assert_int_equal(add(&ceilings, false, &ceiling), 0);
	drop_all(&ceilings);
	assert_int_equal(ceilings.bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_ceiling_is_used_by_its_connection_or_when_kept_by_agentd),
		FIXTURE_TEST(without_its_connection_a_ceiling_is_nobodys_own),
		FIXTURE_TEST(what_may_not_be_used_is_not_found),
		FIXTURE_TEST(roots_are_for_workspace_write_alone),
		FIXTURE_TEST(full_access_has_the_network_and_nothing_else_has_it_unasked),
		FIXTURE_TEST(so_many_ceilings_are_open_at_once),
		FIXTURE_TEST(the_memory_of_all_ceilings_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
