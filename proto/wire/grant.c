#include "proto/wire/grant.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/seal.h"

void grant_deinit(struct grant *grant)
{
	kept_deinit(&grant->kept);
	free(grant->input);
	*grant = (struct grant){ 0 };
}

/* All texts of the record but the input are those of the message. */
static size_t bytes_of(const struct grant *grant)
{
	return sizeof *grant + kept_bytes(&grant->kept) + (grant->input ? strlen(grant->input) : 0);
}

static void drop(struct grants *grants, size_t i)
{
	struct grant *grant = grants->items[i];

	grants->bytes -= bytes_of(grant);
	grants->count--;
	memmove(&grants->items[i], &grants->items[i + 1], (grants->count - i) * sizeof grant);
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
	*grant = MOVE(*draft);
	grant->record.grant = grant->id;
	grant->record.seal = grant->seal;
	grant->record.nonce = grant->nonce;
	grant->record.ceiling = grant->ceiling;
	grant->record.state = BROKER_GRANT_STATE_PENDING;
	seal_record(grant->seal, &grant->record);
	if (covered)
		set_granted(grant, now_ms);
	grants->items[grants->count++] = grant;
	grants->bytes += bytes_of(grant);
	*out = grant;
	return 0;
}

struct grant *grants_find(const struct grants *grants, const char *id, struct err *err)
{
	for (size_t i = 0; i < grants->count; i++) {
		if (!grants->items[i]->used && id_equal(grants->items[i]->id, id))
			return grants->items[i];
	}
	(void)ERR_SET(err, ERR_NOTFOUND, "no such grant");
	return NULL;
}

int grants_cancel(struct grants *grants, const char *id, bool whole, struct err *err)
{
	struct grant *grant = grants_find(grants, id, err);

	if (!grant)
		return ERR_NOTFOUND;
	grant->used = true;
	grant->decision &= !whole;
	grants_settle(grants, NULL);
	return 0;
}

int grants_answer(struct grants *grants, const struct broker_grant_answer *answer, int64_t now_ms,
		  enum broker_grant_state *out, struct err *err)
{
	struct grant *grant = grants_find(grants, answer->grant, err);
	bool session = answer->decision == DECISION_SESSION;

	if (!grant || seal_check(&grant->record, answer, err) < 0)
		return err->code;
	if (session || answer->decision == DECISION_ONCE) {
		set_granted(grant, now_ms);
		grant->decision = session;
		grant->prefix = (size_t)answer->prefix;
		*out = BROKER_GRANT_STATE_GRANTED;
		return 0;
	}
	*out = BROKER_GRANT_STATE_DENIED; /* whatever is no yes */
	return grants_cancel(grants, answer->grant, true, err);
}

int grants_use(struct grants *grants, const char *id, const char *ceiling, int64_t now_ms,
	       const struct grant **out, struct err *err)
{
	struct grant *grant = grants_find(grants, id, err);

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
