#include "agentd/session/ceiling_uv.h"

#include <stdlib.h>

#include "proto/base/str.h"

#include "agentd/broker_uv.h"
#include "agentd/session/drive_uv.h"
#include "agentd/tool/exec_uv.h"

/* A ceiling that the broker is being asked about. */
struct adoption {
	struct list node; /* of drive->adoptions */
	struct drive *drive;
	char id[WIRE_ID_MAX + 1];
	enum sandbox_mode mode;
	session_adopted_fn *done;
	void *ctx;
};

static void adoption_free(struct adoption *adoption)
{
	list_remove(&adoption->node);
	free(adoption);
}

void ceilings_retire(struct drive *drive)
{
	size_t i;
	json_t *id;

	if (drive->exec && exec_host_count(drive->exec) > 0)
		return;
	json_array_foreach(drive->retired, i, id)
		broker_ceiling_close(drive->host->place.link, json_string_value(id));
	json_array_clear(drive->retired);
}

/* The new one holds from now on. */
static int take_over(struct adoption *adoption, const struct broker_policy *policy, struct err *err)
{
	struct drive *drive = adoption->drive;
	struct session_ceiling *ceiling = &drive->session->ceiling;
	json_t *shown;

	if (adoption->mode != SANDBOX_MODE_NONE && adoption->mode != policy->mode)
		return ERR_SET(err, ERR_INVALID, "the ceiling is of mode '%s', not '%s'",
			       names_get(&sandbox_mode_names, (int)policy->mode),
			       names_get(&sandbox_mode_names, (int)adoption->mode));
	shown = codec_encode(&broker_policy_type, policy, err);
	if (!shown)
		return (int)err->code;
	if (ceiling->id[0] && !str_eq(ceiling->id, adoption->id) &&
	    json_array_append_new(drive->retired, json_string(ceiling->id)) < 0) {
		json_decref(shown);
		return ERR_NOMEM_SET(err);
	}
	json_decref(ceiling->policy);
	ceiling->policy = shown;
	ceiling->mode = policy->mode;
	ceiling->network = policy->network;
	return str_copy(ceiling->id, sizeof(ceiling->id), adoption->id, err);
}

static void on_shown(void *ctx, const struct broker_ceiling_show_result *result,
		     const struct err *failure)
{
	struct adoption *adoption = ctx;
	struct drive *drive = adoption->drive;
	struct session *session = drive->session;
	session_adopted_fn *done = adoption->done;
	void *done_ctx = adoption->ctx;
	struct err err = { 0 };
	int taken = -1;

	if (failure) {
		err = *failure;
		(void)ERR_WRAP(&err, "the sandbox that the client has opened");
	} else {
		taken = take_over(adoption, result->policy, &err);
	}
	adoption_free(adoption);
	if (taken == 0 && session->turn.state == TURN_IDLE)
		ceilings_retire(drive);
	done(done_ctx, session, taken == 0 ? NULL : &err);
}

int ceiling_adopt(void *ctx, const struct session_adopt *adopt, struct err *err)
{
	struct drive *drive = adopt->session->drive;
	struct adoption *adoption = NULL;

	(void)ctx;
	if (json_array_size(drive->retired) >= DRIVE_RETIRED_MAX)
		return ERR_SET(err, ERR_LIMIT,
			       "commands still run in %d earlier sandboxes of this session",
			       DRIVE_RETIRED_MAX);
	adoption = calloc(1, sizeof(*adoption));
	if (!adoption)
		return ERR_NOMEM_SET(err);
	adoption->drive = drive;
	adoption->mode = adopt->mode;
	adoption->done = adopt->done;
	adoption->ctx = adopt->ctx;
	list_add(&drive->adoptions, &adoption->node);
	if (str_copy(adoption->id, sizeof(adoption->id), adopt->ceiling, err) < 0 ||
	    broker_ceiling_show(drive->host->place.link, adoption->id, on_shown, adoption, err) <
		    0) {
		adoption_free(adoption);
		return (int)err->code;
	}
	return 0;
}

void ceilings_close(struct drive *drive)
{
	struct broker_link *link = drive->host->place.link;
	struct list *node;
	struct list *safe;
	size_t i;
	json_t *id;

	LIST_EACH(node, safe, &drive->adoptions) {
		struct adoption *adoption = LIST_ENTRY(node, struct adoption, node);

		broker_ceiling_forget(link, adoption);
		broker_ceiling_close(link, adoption->id);
		adoption_free(adoption);
	}
	json_array_foreach(drive->retired, i, id)
		broker_ceiling_close(link, json_string_value(id));
	json_array_clear(drive->retired);
	if (drive->session->ceiling.id[0])
		broker_ceiling_close(link, drive->session->ceiling.id);
}
