#include "broker/ceiling.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"

#include "broker/peer.h"
#include "broker/sandbox.h"

int ceilings_add(struct ceilings *ceilings, const struct broker_ceiling_open *params,
		 struct kept *kept, const struct peer *owner, struct ceiling **out, struct err *err)
{
	struct ceiling *ceiling;
	char id[ID_SIZE];

	if (ceilings->count >= BROKER_CEILINGS_MAX)
		return ERR_SET(err, ERR_LIMIT, "more than %d ceilings", BROKER_CEILINGS_MAX);
	if (params->roots.count > 0 && params->mode != SANDBOX_MODE_WORKSPACE_WRITE)
		return ERR_SET(err, ERR_INVALID, "roots: only with workspace-write");
	if (id_draw(id, sizeof id, err) < 0 || spec_check_base(&params->env, err) < 0)
		return err->code;
	ceiling = calloc(1, sizeof *ceiling);
	if (!ceiling)
		return ERR_NOMEM_SET(err);
	*ceiling = (struct ceiling){ .owner = owner, .kept = *kept, .open = *params };
	*kept = (struct kept){ 0 };
	memcpy(ceiling->id, id, sizeof id);
	if (params->mode == SANDBOX_MODE_DANGER_FULL_ACCESS)
		ceiling->open.network = true;
	ceilings->items[ceilings->count++] = ceiling;
	*out = ceiling;
	return 0;
}

void ceilings_drop(struct ceilings *ceilings, struct ceiling *ceiling)
{
	for (size_t i = 0; i < ceilings->count; i++) {
		if (ceilings->items[i] == ceiling)
			ceilings->items[i] = ceilings->items[--ceilings->count];
	}
	for (size_t mode = 0; mode < SANDBOX_MODE_COUNT; mode++) {
		sandbox_close(ceiling->sandboxes[mode][0]);
		sandbox_close(ceiling->sandboxes[mode][1]);
	}
	kept_deinit(&ceiling->kept);
	free(ceiling);
}

bool ceiling_allows(const struct ceiling *ceiling, enum ceiling_use use, const struct peer *peer)
{
	if (peer->role == BROKER_ROLE_DAEMON)
		return ceiling->open.keep;
	if (peer->role != BROKER_ROLE_CLIENT || use == CEILING_GRANT)
		return false;
	return ceiling->owner == peer || (use == CEILING_SHOW && ceiling->open.keep);
}

int ceilings_find(const struct ceilings *ceilings, const char *id, enum ceiling_use use,
		  const struct peer *peer, struct ceiling **out, struct err *err)
{
	for (size_t i = 0; i < ceilings->count; i++) {
		struct ceiling *ceiling = ceilings->items[i];

		if (id_equal(ceiling->id, id) && ceiling_allows(ceiling, use, peer)) {
			*out = ceiling;
			return 0;
		}
	}
	return ERR_SET(err, ERR_NOTFOUND, "no such ceiling that this connection may use");
}

int ceiling_sandbox(struct ceiling *ceiling, enum sandbox_mode mode, bool network,
		    const struct wire_strings *hidden, struct sandbox **out, struct err *err)
{
	const struct broker_ceiling_open *open = &ceiling->open;
	struct sandbox **place = &ceiling->sandboxes[mode][network ? 1 : 0];
	struct sandbox_config config = {
		.mode = mode,
		.network = network,
		.cwd = open->cwd,
		.roots = open->roots.items,
		.root_count = mode == SANDBOX_MODE_WORKSPACE_WRITE ? open->roots.count : 0,
		.exclude_slash_tmp = open->exclude_slash_tmp,
		.exclude_tmpdir = open->exclude_tmpdir,
		.tmpdir = spec_env_value(&open->env, "TMPDIR"),
		.hidden = hidden->items,
		.hidden_count = hidden->count,
	};

	if (!*place && sandbox_open(place, &config, err) < 0)
		return err->code;
	*out = *place;
	return 0;
}
