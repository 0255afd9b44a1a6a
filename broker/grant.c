#include "broker/grant.h"

void grant_deinit(struct grant *grant)
{
	kept_deinit(&grant->kept);
	free(grant->input);
	*grant = (struct grant){ 0 };
}

static size_t bytes_of(const struct grant *grant)
{
	return sizeof *grant + spec_bytes(&grant->record.argv) + spec_bytes(&grant->record.env) +
	       (grant->input ? strlen(grant->input) : 0) +
	       (grant->record.reason ? strlen(grant->record.reason) : 0);
}

static void drop(struct grants *grants, size_t i)
{
	struct grant *grant = grants->items[i];

	grants->bytes -= bytes_of(grant);
	grants->count--;
	for (; i < grants->count; i++)
		grants->items[i] = grants->items[i + 1];
	grant_deinit(grant);
	free(grant);
}

void grants_settle(struct grants *grants, const char *ceiling)
{
	for (size_t i = grants->count; i-- > 0;) {
		const struct grant *grant = grants->items[i];

		if ((grant->used && !grant->decision) || str_eq(grant->ceiling, ceiling))
			drop(grants, i);
	}
}

static void set_granted(struct grant *grant, int64_t now_ms)
{
	grant->record.state = BROKER_GRANT_STATE_GRANTED;
	grant->expires_ms = now_ms + BROKER_GRANT_USE_MS;
}

int grants_request(struct grants *grants, struct grant *draft, int64_t now_ms,
		   const struct grant **out, struct err *err)
{
	struct grant *grant;
	size_t stored = 0;
	bool covered = false;

	draft->record.input = draft->input;
	for (size_t i = 0; i < grants->count; i++) {
		const struct grant *then = grants->items[i];
		bool same = str_eq(then->ceiling, draft->ceiling);

		stored += same && !then->used;
		covered |= same && then->decision &&
			   spec_covers(&then->record, then->prefix, &draft->record);
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
	grant->record.grant = grant->id;
	grant->record.seal = grant->seal;
	grant->record.ceiling = grant->ceiling;
	grant->record.state = BROKER_GRANT_STATE_PENDING;
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

int grants_answer(struct grants *grants, const struct broker_grant_answer *answer, int64_t now_ms,
		  enum broker_grant_state *out, struct err *err)
{
	struct grant *grant = grants_find(grants, answer->grant);
	bool session = answer->decision == DECISION_SESSION;
	size_t prefix = (size_t)answer->prefix; /* 0 when it is absent: all arguments */

	if (!grant)
		return ERR_SET(err, ERR_NOTFOUND, "no such grant");
	if (!id_equal(grant->seal, answer->seal))
		return ERR_SET(err, ERR_DENIED, "the seal is not that of the stored record");
	if (grant->record.state != BROKER_GRANT_STATE_PENDING)
		return ERR_SET(err, ERR_STATE, "the grant has been answered already");
	if (prefix > grant->record.argv.count || (prefix > 0 && !session))
		return ERR_SET(err, ERR_INVALID, "prefix: of 'session', and of %zu arguments",
			       grant->record.argv.count);
	if (session || answer->decision == DECISION_ONCE) {
		set_granted(grant, now_ms);
		grant->decision = session;
		grant->prefix = prefix;
		*out = BROKER_GRANT_STATE_GRANTED;
		return 0;
	}
	grant->used = true; /* whatever is no yes */
	grants_settle(grants, NULL);
	*out = BROKER_GRANT_STATE_DENIED;
	return 0;
}

int grants_use(struct grants *grants, const char *id, const char *ceiling, int64_t now_ms,
	       const struct grant **out, struct err *err)
{
	struct grant *grant = grants_find(grants, id);

	if (!grant || !id_equal(grant->ceiling, ceiling))
		return ERR_SET(err, ERR_NOTFOUND, "no such grant of this ceiling");
	if (grant->record.state != BROKER_GRANT_STATE_GRANTED)
		return ERR_SET(err, ERR_STATE, "nobody has granted it");
	if (now_ms >= grant->expires_ms)
		return ERR_SET(err, ERR_STATE, "it was not used within %d seconds",
			       BROKER_GRANT_USE_MS / 1000);
	grant->used = true;
	*out = grant;
	return 0;
}

struct grant *grants_next(const struct grants *grants)
{
	struct grant *next = NULL;

	for (size_t i = 0; i < grants->count; i++) {
		struct grant *grant = grants->items[i];

		if (!grant->used && grant->record.state == BROKER_GRANT_STATE_GRANTED &&
		    (!next || grant->expires_ms < next->expires_ms))
			next = grant;
	}
	return next;
}

bool grants_expire(struct grants *grants, int64_t now_ms, char id[ID_SIZE])
{
	struct grant *grant = grants_next(grants);

	if (!grant || now_ms < grant->expires_ms)
		return false;
	memcpy(id, grant->id, ID_SIZE);
	grant->used = true;
	grants_settle(grants, NULL);
	return true;
}

size_t grants_pending(const struct grants *grants, const char *ceiling,
		      const char *out[GRANT_ALL_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < grants->count; i++) {
		const struct grant *grant = grants->items[i];

		if (grant->record.state == BROKER_GRANT_STATE_PENDING &&
		    (!ceiling || str_eq(ceiling, grant->ceiling)))
			out[count++] = grant->id;
	}
	return count;
}
