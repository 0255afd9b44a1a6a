#include "proto/wire/seal.h"

#include "proto/base/err.h"
#include "proto/wire/broker_gen.h"
#include "proto/wire/id.h"

void seal_record(char out[DIGEST_SIZE], const struct broker_grant_record *record)
{
	struct digest digest;

	digest_init(&digest);
	digest_text(&digest, record->nonce);
	digest_text(&digest, record->grant);
	digest_text(&digest, record->ceiling);
	digest_words(&digest, record->argv.items, record->argv.count);
	digest_text(&digest, record->cwd);
	digest_words(&digest, record->env.items, record->env.count);
	digest_text(&digest, names_get(&sandbox_mode_names, (int)record->mode));
	digest_text(&digest, record->network ? "true" : "false");
	digest_words(&digest, &record->input, record->input ? 1 : 0);
	digest_words(&digest, &record->reason, record->reason ? 1 : 0);
	digest_finish(&digest, out);
}

int seal_check(const struct broker_grant_record *record, const struct broker_grant_answer *answer,
	       struct err *err)
{
	size_t prefix = (size_t)answer->prefix; /* 0 when it is absent: all arguments */

	if (!id_equal(record->seal, answer->seal))
		return ERR_SET(err, ERR_DENIED, "the seal is not that of the stored record");
	if (record->state != BROKER_GRANT_STATE_PENDING)
		return ERR_SET(err, ERR_STATE, "the grant has been answered already");
	if (prefix > record->argv.count || (prefix > 0 && answer->decision != DECISION_SESSION))
		return ERR_SET(err, ERR_INVALID, "prefix: of 'session', and of %zu arguments",
			       record->argv.count);
	return 0;
}
