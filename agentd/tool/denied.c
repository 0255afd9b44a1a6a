#include "agentd/tool/denied.h"

#include <inttypes.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/agent_gen.h"
#include "proto/wire/broker_gen.h"

static const char *const words[DENIAL_RULE_COUNT] = {
	[DENIAL_RULE_NONE] = "refused",
	[DENIAL_RULE_OUTSIDE] = "outside the writable roots",
	[DENIAL_RULE_PROTECTED] = "a protected path",
	[DENIAL_RULE_HIDDEN] = "hidden from commands",
	[DENIAL_RULE_NETWORK] = "the network is closed",
	[DENIAL_RULE_HOST_SOCKET] = "a Unix socket of the host",
	[DENIAL_RULE_SYSTEM_CALL] = "no command may use this",
	[DENIAL_RULE_CHANGED] = "changed while the command ran, which ended it",
};

int denied_take(json_t **out, const struct broker_child_exited *exited, struct err *err)
{
	struct agent_denial denials[BROKER_DENIALS_MAX];
	struct agent_tool_meta meta = { .has_denials_lost = exited->denials_lost > 0,
					.denials_lost = exited->denials_lost };

	*out = NULL;
	for (size_t i = 0; i < exited->denials_count && i < BROKER_DENIALS_MAX; i++) {
		const struct broker_denial *from = &exited->denials[i];

		denials[meta.denials_count++] = (struct agent_denial){ .rule = from->rule,
								       .operation = from->operation,
								       .target = from->target,
								       .error = from->error,
								       .count = from->count };
	}
	if (meta.denials_count == 0 && !meta.has_denials_lost)
		return 0;
	if (meta.denials_count > 0)
		meta.denials = denials;
	*out = codec_encode(&agent_tool_meta_type, &meta, err);
	return *out ? 0 : (int)err->code;
}

static const char *text_of(const json_t *denial, const char *key)
{
	const char *text = json_string_value(json_object_get(denial, key));

	return text ? text : "";
}

static enum denial_rule rule_of(const json_t *denial)
{
	return (enum denial_rule)names_find(&denial_rule_names, text_of(denial, "rule"));
}

/* - openat '/etc/x': EROFS, outside the writable roots (3 times) */
static int put_line(struct buf *out, const json_t *denial, struct err *err)
{
	const char *operation = text_of(denial, "operation");
	const char *target = text_of(denial, "target");
	const char *error = text_of(denial, "error");
	json_int_t count = json_integer_value(json_object_get(denial, "count"));

	if (buf_printf(out, err, "- %s%s", operation, *target ? " " : "") < 0 ||
	    (*target && str_quote(out, target, strlen(target), err) < 0) ||
	    buf_printf(out, err, ": %s%s%s", error, *error ? ", " : "", words[rule_of(denial)]) < 0)
		return (int)err->code;
	if (count > 1 && buf_printf(out, err, " (%" JSON_INTEGER_FORMAT " times)", count) < 0)
		return (int)err->code;
	return buf_putc(out, '\n', err);
}

/* Those that ended the command, or the others. */
static int put_lines(struct buf *out, const json_t *list, bool ended, size_t *told, struct err *err)
{
	for (size_t i = 0; i < json_array_size(list) && *told < DENIED_LINES_MAX; i++) {
		const json_t *denial = json_array_get(list, i);

		if ((rule_of(denial) == DENIAL_RULE_CHANGED) != ended)
			continue;
		if (put_line(out, denial, err) < 0)
			return (int)err->code;
		++*told;
	}
	return 0;
}

int denied_text(struct buf *out, const json_t *denied, struct err *err)
{
	const json_t *list = json_object_get(denied, "denials");
	json_int_t lost = json_integer_value(json_object_get(denied, "denials_lost"));
	bool open = out->len > 0 && out->data[out->len - 1] != '\n';
	size_t told = 0;

	if (!denied)
		return 0;
	if (buf_printf(out, err, "%sDenied by the sandbox:\n", open ? "\n" : "") < 0 ||
	    put_lines(out, list, true, &told, err) < 0 ||
	    put_lines(out, list, false, &told, err) < 0)
		return (int)err->code;
	lost += (json_int_t)(json_array_size(list) - told);
	return lost > 0 ? buf_printf(out, err, "- and %" JSON_INTEGER_FORMAT " more\n", lost) : 0;
}
