#include "broker/ceiling.h"

#include "proto/wire/server.h"

int ceilings_add(struct ceilings *ceilings, const struct broker_ceiling_open *params,
		 struct kept *kept, const struct peer *owner, struct ceiling **out, struct err *err)
{
	struct ceiling fresh = { .owner = owner, .open = *params };
	struct ceiling *ceiling;

	if (ceilings->count >= BROKER_CEILINGS_MAX)
		return ERR_SET(err, ERR_LIMIT, "more than %d ceilings", BROKER_CEILINGS_MAX);
	if (kept_bytes(kept) > CEILING_STORE_MAX - ceilings->bytes)
		return ERR_SET(err, ERR_LIMIT, "more than %zu bytes in all ceilings",
			       CEILING_STORE_MAX);
	if (params->roots.count > 0 && params->mode != SANDBOX_MODE_WORKSPACE_WRITE)
		return ERR_SET(err, ERR_INVALID, "roots: only with workspace-write");
	if (id_draw(fresh.id, sizeof fresh.id, err) < 0 || spec_check_base(&params->env, err) < 0)
		return err->code;
	ceiling = malloc(sizeof *ceiling);
	if (!ceiling)
		return ERR_NOMEM_SET(err);
	fresh.open.network |= params->mode == SANDBOX_MODE_DANGER_FULL_ACCESS;
	fresh.kept = MOVE(*kept);
	*ceiling = fresh;
	ceilings->items[ceilings->count++] = ceiling;
	ceilings->bytes += kept_bytes(&ceiling->kept);
	*out = ceiling;
	return 0;
}

/* Commands that run keep theirs. */
static void close_sandboxes(struct ceiling *ceiling)
{
	for (size_t i = 0; i < ARRAY_LEN(ceiling->sandboxes); i++) {
		sandbox_close(ceiling->sandboxes[i]);
		ceiling->sandboxes[i] = NULL;
	}
	hidden_deinit(&ceiling->hidden);
}

void ceilings_drop(struct ceilings *ceilings, struct ceiling *ceiling)
{
	for (size_t i = 0; i < ceilings->count; i++) {
		if (ceilings->items[i] == ceiling)
			ceilings->items[i] = ceilings->items[--ceilings->count];
	}
	ceilings->bytes -= kept_bytes(&ceiling->kept);
	close_sandboxes(ceiling);
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

struct ceiling *ceilings_find(const struct ceilings *ceilings, const char *id, enum ceiling_use use,
			      const struct peer *peer, struct err *err)
{
	for (size_t i = 0; i < ceilings->count; i++) {
		struct ceiling *ceiling = ceilings->items[i];

		if (id_equal(ceiling->id, id) && ceiling_allows(ceiling, use, peer))
			return ceiling;
	}
	(void)ERR_SET(err, ERR_NOTFOUND, "no such ceiling that this connection may use");
	return NULL;
}

/* Takes in what is to be hidden now; sandboxes that hide something else are closed. */
static int hide(struct ceiling *ceiling, const char *const folders[BROKER_FOLDERS],
		const struct limits *limits, struct err *err)
{
	struct hidden now SCOPED(hidden_deinit) = { 0 };

	if (limits_hide(limits, folders, BROKER_FOLDERS, &now, err) < 0)
		return err->code;
	if (!hidden_equal(&now, &ceiling->hidden)) {
		close_sandboxes(ceiling);
		ceiling->hidden = MOVE(now);
	}
	return 0;
}

struct sandbox *ceiling_sandbox(struct ceiling *ceiling, enum sandbox_mode mode, bool network,
				const char *const folders[BROKER_FOLDERS],
				const struct limits *limits, struct err *err)
{
	const struct broker_ceiling_open *open = &ceiling->open;
	struct sandbox **place = &ceiling->sandboxes[2 * mode + (network ? 1 : 0)];
	struct sandbox_config config = {
		.mode = mode,
		.network = network,
		.cwd = open->cwd,
		.roots = open->roots.items,
		.root_count = mode == SANDBOX_MODE_WORKSPACE_WRITE ? open->roots.count : 0,
		.exclude_slash_tmp = open->exclude_slash_tmp,
		.exclude_tmpdir = open->exclude_tmpdir,
		.tmpdir = environ_value(&open->env, "TMPDIR"),
		.allow_git_commit = open->allow_git_commit,
		.legacy_landlock = open->legacy_landlock,
		.log_denials = open->log_denials,
	};

	if (limits_allow_sandbox(limits, mode, network, open->legacy_landlock, err) < 0 ||
	    hide(ceiling, folders, limits, err) < 0)
		return NULL;
	config.hidden = ceiling->hidden.paths;
	config.hidden_count = ceiling->hidden.count;
	return *place || sandbox_open(place, &config, err) == 0 ? *place : NULL;
}
