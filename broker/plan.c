/*
 * plan.c - the steps that lead into a sandbox, in their order, as data. Pure.
 */
#include "broker/step.h"

/* When a step belongs to a plan. */
enum when { ALWAYS, HELD, CONFINED, OFFLINE, FRESH_PROC, LANDLOCK, LEGACY };

#define ONCE PLACE_COUNT /* otherwise: once for each place of that kind */

static const struct row {
	enum plan_kind plan;
	enum when when;
	enum place_kind each;
	const char *name;
	step_fn *apply;
} rows[] = {
	{ PLAN_ZYGOTE, CONFINED, ONCE, "identity in the user namespace", ns_identity },
	{ PLAN_ZYGOTE, OFFLINE, ONCE, "loopback network", ns_loopback },
	{ PLAN_ZYGOTE, CONFINED, ONCE, "private mounts", mount_private },
	/* Held before the seal, attached behind it: only what was held stays writable. */
	{ PLAN_ZYGOTE, CONFINED, PLACE_ROOT, "writable root", mount_hold },
	{ PLAN_ZYGOTE, CONFINED, ONCE, "read-only file system", mount_seal },
	{ PLAN_ZYGOTE, CONFINED, ONCE, "own /dev", mount_dev },
	/* All roots before any protection, so that no root opens again what another one protects.
	 */
	{ PLAN_ZYGOTE, CONFINED, PLACE_ROOT, "writable root in place", mount_attach },
	{ PLAN_ZYGOTE, CONFINED, PLACE_PIN, "folder above a protected path", mount_pin },
	{ PLAN_ZYGOTE, CONFINED, PLACE_PROTECTED, "protected path", mount_protect },
	{ PLAN_ZYGOTE, CONFINED, PLACE_HIDDEN, "hidden folder", mount_hide },
	{ PLAN_ZYGOTE, CONFINED, ONCE, "list of bound sockets", notify_share },
	{ PLAN_ZYGOTE, HELD, ONCE, "empty bounding set", caps_bounds },
	{ PLAN_ZYGOTE, HELD, ONCE, "no new privileges", caps_no_privileges },

	{ PLAN_INIT, FRESH_PROC, ONCE, "own /proc", mount_proc },
	{ PLAN_INIT, ALWAYS, ONCE, "standard descriptors", child_stdio },
	/* What init does for a command is under the command's own rules. */
	{ PLAN_INIT, LANDLOCK, ONCE, "landlock", landlock_rules },

	{ PLAN_COMMAND, ALWAYS, ONCE, "stray descriptors", child_close },
	{ PLAN_COMMAND, ALWAYS, ONCE, "own session", child_session },
	{ PLAN_COMMAND, ALWAYS, ONCE, "signals", child_signals },
	{ PLAN_COMMAND, HELD, ONCE, "resource limits", child_limits },
	{ PLAN_COMMAND, HELD, ONCE, "no capabilities", caps_none },
	/* Without capabilities: a folder that the user may not enter stays closed. */
	{ PLAN_COMMAND, ALWAYS, ONCE, "working directory", child_folder },
	{ PLAN_COMMAND, LEGACY, ONCE, "landlock alone", landlock_legacy },
	{ PLAN_COMMAND, HELD, ONCE, "system call filter", filter_command },
	{ PLAN_COMMAND, LEGACY, ONCE, "system call filter without namespaces", filter_legacy },
	{ PLAN_COMMAND, LEGACY, ONCE, "check of the rules", landlock_verify },
	{ PLAN_COMMAND, CONFINED, ONCE, "check of the sandbox", child_verify },
	{ PLAN_COMMAND, ALWAYS, ONCE, "leave of init", child_leave },
	{ PLAN_COMMAND, ALWAYS, ONCE, "exec", child_exec },
};

_Static_assert(ARRAY_LEN(rows) <= 32, "every step of a plan has its place");

void plan_build(struct plan *out, enum plan_kind kind, const struct roots *roots,
		const struct features *features)
{
	const bool applies[] = { [ALWAYS] = true,
				 [HELD] = features->confined || features->legacy,
				 [CONFINED] = features->confined,
				 [OFFLINE] = features->confined && !features->network,
				 [FRESH_PROC] = features->confined && features->fresh_proc,
				 [LANDLOCK] = features->confined && features->landlock > 0,
				 [LEGACY] = features->legacy };

	out->count = 0;
	for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
		const struct row *row = &rows[r];

		if (row->plan != kind || !applies[row->when])
			continue;
		if (row->each == ONCE)
			out->steps[out->count++] = (struct step){ row->name, row->apply, 0 };
		for (size_t i = 0; row->each != ONCE && i < roots->count; i++) {
			/* From within: what lies in a hidden folder can no longer be reached. */
			size_t at = row->each == PLACE_HIDDEN ? roots->count - 1 - i : i;
			const struct place *place = &roots->places[at];

			/* What is protected outside all roots is read-only anyway. */
			if (place->kind == row->each &&
			    (place->inside || place->kind != PLACE_PROTECTED))
				out->steps[out->count++] =
					(struct step){ row->name, row->apply, at };
		}
	}
}
