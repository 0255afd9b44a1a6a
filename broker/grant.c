#include "broker/grant.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"

void grant_deinit(struct grant *grant)
{
	kept_deinit(&grant->kept);
	free(grant->input);
	*grant = (struct grant){ 0 };
}

static size_t bytes_of(const struct grant *grant)
{
	return sizeof *grant + spec_bytes(&grant->spec) + grant->input_len +
	       (grant->reason ? strlen(grant->reason) : 0);
}

static void drop(struct grants *grants, size_t i)
{
	struct grant *grant = grants->items[i];

	grants->bytes -= bytes_of(grant);
	grants->count--;
	memmove(&grants->items[i], &grants->items[i + 1],
		(grants->count - i) * sizeof grants->items[0]);
	grant_deinit(grant);
	free(grant);
}

void grants_deinit(struct grants *grants)
{
	while (grants->count > 0)
		drop(grants, grants->count - 1);
}

void grants_settle(struct grants *grants)
{
	for (size_t i = grants->count; i-- > 0;) {
		if (grants->items[i]->used && !grants->items[i]->decision)
			drop(grants, i);
	}
}

void grants_drop(struct grants *grants, const char *ceiling)
{
	for (size_t i = grants->count; i-- > 0;) {
		if (str_eq(grants->items[i]->ceiling, ceiling))
			drop(grants, i);
	}
}

/* What an approved patch may do depends on the patch: a decision covers equal input only. */
static bool is_covered(const struct grant *then, const struct grant *now)
{
	bool same_input = then->input && now->input
				  ? then->input_len == now->input_len &&
					    memcmp(then->input, now->input, now->input_len) == 0
				  : !then->input && !now->input;

	return then->decision && str_eq(then->ceiling, now->ceiling) && same_input &&
	       spec_covers(&then->spec, then->prefix, &now->spec);
}

static void set_granted(struct grant *grant, int64_t now_ms)
{
	grant->state = BROKER_GRANT_STATE_GRANTED;
	grant->expires_ms = now_ms + BROKER_GRANT_USE_MS;
}

int grants_request(struct grants *grants, struct grant *draft, int64_t now_ms,
		   const struct grant **out, struct err *err)
{
	struct grant *grant;
	size_t stored = 0;
	bool covered = false;

	for (size_t i = 0; i < grants->count; i++) {
		stored += !grants->items[i]->used &&
			  str_eq(grants->items[i]->ceiling, draft->ceiling);
		covered = covered || is_covered(grants->items[i], draft);
	}
	if (stored >= BROKER_GRANTS_MAX || grants->count >= GRANT_ALL_MAX)
		return ERR_SET(err, ERR_LIMIT, "more than %d grants of one ceiling, or %u in all",
			       BROKER_GRANTS_MAX, GRANT_ALL_MAX);
	if (bytes_of(draft) > GRANT_STORE_MAX - grants->bytes)
		return ERR_SET(err, ERR_LIMIT, "more than %zu bytes in all grants",
			       GRANT_STORE_MAX);
	grant = malloc(sizeof *grant);
	if (!grant)
		return ERR_NOMEM_SET(err);
	*grant = *draft;
	*draft = (struct grant){ 0 };
	grant->state = BROKER_GRANT_STATE_PENDING;
	if (covered)
		set_granted(grant, now_ms);
	grants->items[grants->count++] = grant;
	grants->bytes += bytes_of(grant);
	*out = grant;
	return 0;
}

struct grant *grants_find(const struct grants *grants, const char *id)
{
	for (size_t i = 0; i < grants->count; i++) {
		if (!grants->items[i]->used && id_equal(grants->items[i]->id, id))
			return grants->items[i];
	}
	return NULL;
}

int grants_answer(struct grants *grants, const struct grant_answer *answer, int64_t now_ms,
		  enum broker_grant_state *out, struct err *err)
{
	struct grant *grant = grants_find(grants, answer->id);
	bool session = answer->decision == DECISION_SESSION;

	if (!grant)
		return ERR_SET(err, ERR_NOTFOUND, "no such grant");
	if (!id_equal(grant->seal, answer->seal))
		return ERR_SET(err, ERR_DENIED, "the seal is not that of the stored record");
	if (grant->state != BROKER_GRANT_STATE_PENDING)
		return ERR_SET(err, ERR_STATE, "the grant has been answered already");
	if (answer->prefix > grant->spec.argv.count || (answer->prefix > 0 && !session))
		return ERR_SET(err, ERR_INVALID, "prefix: of 'session', and of %zu arguments",
			       grant->spec.argv.count);
	if (session || answer->decision == DECISION_ONCE) {
		set_granted(grant, now_ms);
		grant->decision = session;
		grant->prefix = answer->prefix;
		*out = BROKER_GRANT_STATE_GRANTED;
		return 0;
	}
	grant->used = true; /* whatever is no yes */
	grants_settle(grants);
	*out = BROKER_GRANT_STATE_DENIED;
	return 0;
}

int grants_use(struct grants *grants, const char *id, const char *ceiling, int64_t now_ms,
	       const struct grant **out, struct err *err)
{
	struct grant *grant = grants_find(grants, id);

	if (!grant || !id_equal(grant->ceiling, ceiling))
		return ERR_SET(err, ERR_NOTFOUND, "no such grant of this ceiling");
	if (grant->state != BROKER_GRANT_STATE_GRANTED)
		return ERR_SET(err, ERR_STATE, "nobody has granted it");
	if (now_ms >= grant->expires_ms)
		return ERR_SET(err, ERR_STATE, "it was not used within %d seconds",
			       BROKER_GRANT_USE_MS / 1000);
	grant->used = true;
	*out = grant;
	return 0;
}

/* The granted record that is the first to expire; NULL when none waits for its use. */
static struct grant *next_to_expire(const struct grants *grants)
{
	struct grant *next = NULL;

	for (size_t i = 0; i < grants->count; i++) {
		struct grant *grant = grants->items[i];

		if (!grant->used && grant->state == BROKER_GRANT_STATE_GRANTED &&
		    (!next || grant->expires_ms < next->expires_ms))
			next = grant;
	}
	return next;
}

bool grants_expire(struct grants *grants, int64_t now_ms, char id[ID_SIZE])
{
	struct grant *grant = next_to_expire(grants);

	if (!grant || now_ms < grant->expires_ms)
		return false;
	memcpy(id, grant->id, ID_SIZE);
	grant->used = true;
	grants_settle(grants);
	return true;
}

int64_t grants_next_ms(const struct grants *grants)
{
	const struct grant *grant = next_to_expire(grants);

	return grant ? grant->expires_ms : INT64_MAX;
}

size_t grants_pending(const struct grants *grants, const char *ceiling,
		      const char *out[GRANT_ALL_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < grants->count; i++) {
		const struct grant *grant = grants->items[i];

		if (grant->state == BROKER_GRANT_STATE_PENDING &&
		    (!ceiling || str_eq(ceiling, grant->ceiling)))
			out[count++] = grant->id;
	}
	return count;
}
