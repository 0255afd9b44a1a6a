#include "broker/ceiling.h"

#include <sys/random.h>

#include "broker/sandbox.h"
#include "broker/serve.h"

int id_draw(char *out, size_t size, struct err *err)
{
	unsigned char byte;

	for (size_t i = 0; i + 2 < size; i += 2) {
		if (getrandom(&byte, 1, 0) != 1)
			return ERR_SYS(err, errno, "getrandom");
		(void)snprintf(out + i, 3, "%02x", byte);
	}
	return 0;
}

bool id_equal(const char *a, const char *b)
{
	size_t length = strlen(a);
	int differ = strlen(b) != length;

	for (size_t i = 0; i < length && strlen(b) == length; i++)
		differ |= a[i] ^ b[i];
	return differ == 0;
}

int ceilings_add(struct ceilings *ceilings, const struct broker_ceiling_open *params,
		 struct kept *kept, const struct peer *owner, struct ceiling **out, struct err *err)
{
	struct ceiling fresh = { .owner = owner, .open = *params };
	struct ceiling *ceiling;

	if (ceilings->count >= BROKER_CEILINGS_MAX)
		return ERR_SET(err, ERR_LIMIT, "more than %d ceilings", BROKER_CEILINGS_MAX);
	if (params->roots.count > 0 && params->mode != SANDBOX_MODE_WORKSPACE_WRITE)
		return ERR_SET(err, ERR_INVALID, "roots: only with workspace-write");
	if (id_draw(fresh.id, sizeof fresh.id, err) < 0 || spec_check_base(&params->env, err) < 0)
		return err->code;
	ceiling = malloc(sizeof *ceiling);
	if (!ceiling)
		return ERR_NOMEM_SET(err);
	fresh.open.network |= params->mode == SANDBOX_MODE_DANGER_FULL_ACCESS;
	fresh.kept = *kept;
	*kept = (struct kept){ 0 };
	*ceiling = fresh;
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
	for (size_t i = 0; i < ARRAY_LEN(ceiling->sandboxes); i++)
		sandbox_close(ceiling->sandboxes[i]);
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

struct sandbox *ceiling_sandbox(struct ceiling *ceiling, enum sandbox_mode mode, bool network,
				const char *const folders[BROKER_FOLDERS], struct err *err)
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
		.tmpdir = spec_env_value(&open->env, "TMPDIR"),
		.hidden = folders,
		.hidden_count = BROKER_FOLDERS,
	};

	return *place || sandbox_open(place, &config, err) == 0 ? *place : NULL;
}
