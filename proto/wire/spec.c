#include "proto/wire/spec.h"

#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/order.h"

/* What a command without the network is told, in our spelling and in the one that tools look for.
 */
static const char *const offline[] = { "AGENTD_SANDBOX_NETWORK_DISABLED=1",
				       "CODEX_SANDBOX_NETWORK_DISABLED=1" };

int spec_check(const struct broker_grant_record *spec, enum broker_role role, struct err *err)
{
	if (spec->argv.count == 0 || spec->argv.items[0][0] == '\0')
		return ERR_SET(err, ERR_INVALID, "argv: names no program");
	if (!spec->cwd || spec->cwd[0] != '/')
		return ERR_SET(err, ERR_INVALID, "cwd: not an absolute path");
	if (spec->mode <= SANDBOX_MODE_NONE || spec->mode >= SANDBOX_MODE_COUNT)
		return ERR_SET(err, ERR_INVALID, "mode: none");
	if (wire_strings_bytes(&spec->argv) + wire_strings_bytes(&spec->env) > BROKER_SPEC_MAX)
		return ERR_SET(err, ERR_LIMIT, "argv and env: more than %d bytes", BROKER_SPEC_MAX);
	if (environ_check(&spec->env, err) < 0)
		return err->code;
	/* A person who reads a grant must not have to know what PERL5OPT does. */
	return role == BROKER_ROLE_CLIENT ? 0 : environ_check_harmless(&spec->env, err);
}

int spec_of_start(struct broker_grant_record *out, const struct broker_child_start *start,
		  const struct broker_ceiling_open *ceiling, enum broker_role role, struct err *err)
{
	*out = (struct broker_grant_record){ .ceiling = start->ceiling,
					     .argv = start->argv,
					     .env = start->env,
					     .cwd = start->cwd ? start->cwd : ceiling->cwd,
					     .mode = ceiling->mode,
					     .network = ceiling->network };
	return spec_check(out, role, err);
}

int spec_of_request(struct broker_grant_record *out, const struct broker_grant_request *request,
		    enum broker_role role, struct err *err)
{
	bool full = request->mode == SANDBOX_MODE_DANGER_FULL_ACCESS;

	*out = (struct broker_grant_record){ .argv = request->argv,
					     .env = request->env,
					     .cwd = request->cwd,
					     .mode = request->mode,
					     .network = request->network || full,
					     .reason = request->reason };
	return spec_check(out, role, err);
}

int spec_check_base(const struct wire_strings *base, struct err *err)
{
	if (wire_strings_bytes(base) > BROKER_SPEC_MAX)
		return ERR_SET(err, ERR_LIMIT, "env: more than %d bytes", BROKER_SPEC_MAX);
	return environ_check(base, err);
}

int spec_environment(struct wire_strings *out, const struct wire_strings *base,
		     const struct broker_grant_record *spec, struct arena *arena, struct err *err)
{
	const struct environ_part parts[] = {
		{ *base, .removes = false },
		{ spec->env, .removes = true },
		{ { offline, spec->network ? 0 : ARRAY_LEN(offline) }, .removes = false },
	};

	return environ_merge(out, parts, ARRAY_LEN(parts), arena, err);
}

int spec_pack(struct order *out, int *out_block, const struct wire_strings *base,
	      const struct broker_grant_record *spec, struct err *err)
{
	struct arena arena SCOPED(arena_deinit) = { 0 };
	struct wire_strings env = { 0 };
	struct command command = { .argv = spec->argv.items,
				   .argc = spec->argv.count,
				   .cwd = spec->cwd };

	if (spec_environment(&env, base, spec, &arena, err) < 0)
		return err->code;
	command.env = env.items;
	command.envc = env.count;
	return order_pack(out, out_block, &command, err);
}

int spec_read_input(char **out, int fd, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(BROKER_INPUT_MAX);

	if (buf_read_sealed(&text, fd, err) < 0)
		return ERR_WRAP(err, "input");
	if (!str_is_utf8(buf_str(&text), text.len))
		return ERR_SET(err, ERR_INVALID, "input: not UTF-8 text");
	*out = buf_take(&text);
	return *out ? 0 : ERR_NOMEM_SET(err);
}

int spec_input_fd(int *out, const struct broker_grant_record *spec, struct err *err)
{
	return spec->input ? fd_sealed(out, "input", spec->input, strlen(spec->input), err) : 0;
}

bool spec_covers(const struct broker_grant_record *then, size_t prefix,
		 const struct broker_grant_record *now)
{
	return wire_strings_same(&then->argv, &now->argv, prefix) &&
	       wire_strings_same(&then->env, &now->env, 0) && str_eq(then->cwd, now->cwd) &&
	       then->mode == now->mode && then->network == now->network &&
	       str_eq(then->input, now->input);
}
