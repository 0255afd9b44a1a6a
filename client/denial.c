#include "client/denial.h"

#include <inttypes.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"

#include "client/term.h"

static const struct {
	const char *words;
	const char *advice;
} rules[DENIAL_RULE_COUNT] = {
	[DENIAL_RULE_NONE] = { "refused", NULL },
	[DENIAL_RULE_OUTSIDE] = { "outside the writable folders",
				  "allowed by --add-dir DIR or [sandbox_workspace_write] "
				  "writable_roots, with --sandbox workspace-write" },
	[DENIAL_RULE_PROTECTED] = { "a protected path",
				    "allowed only outside the sandbox; what a git commit writes "
				    "also "
				    "by [sandbox_workspace_write] allow_git_commit = true" },
	[DENIAL_RULE_HIDDEN] = { "hidden from commands", "allowed only outside the sandbox" },
	[DENIAL_RULE_NETWORK] = { "the network is off",
				  "allowed by [sandbox_workspace_write] network_access = true" },
	[DENIAL_RULE_HOST_SOCKET] = { "a Unix socket of the host",
				      "allowed only outside the sandbox" },
	[DENIAL_RULE_SYSTEM_CALL] = { "no command may use this",
				      "allowed only outside the sandbox" },
	[DENIAL_RULE_CHANGED] = { "a protected path was changed, removed or made while the command "
				  "ran",
				  "keep other programs away from it meanwhile" },
};

static int put_target(struct buf *out, const char *target, struct err *err)
{
	if (!*target)
		return 0;
	return buf_putc(out, ' ', err) < 0 ? (int)err->code
					   : term_quote(out, target, strlen(target), err);
}

int denial_line(struct buf *out, const struct denial *denial, bool with_advice, struct err *err)
{
	const char *advice = with_advice ? rules[denial->rule].advice : NULL;

	if (buf_puts(out, "denied: ", err) < 0 ||
	    term_clean(out, denial->operation, strlen(denial->operation), TERM_LINE, err) < 0 ||
	    put_target(out, denial->target, err) < 0 ||
	    (*denial->error &&
	     (buf_puts(out, " (", err) < 0 ||
	      term_clean(out, denial->error, strlen(denial->error), TERM_LINE, err) < 0 ||
	      buf_putc(out, ')', err) < 0)) ||
	    (denial->count > 1 && buf_printf(out, err, ", %" PRId64 " times", denial->count) < 0))
		return (int)err->code;
	return buf_printf(out, err, ": %s%s%s", rules[denial->rule].words, advice ? "; " : "",
			  advice ? advice : "");
}

int denial_end(struct buf *out, const struct denial *denial, struct err *err)
{
	if (buf_printf(out, err, "the command was ended: %s", rules[denial->rule].words) < 0)
		return (int)err->code;
	return *denial->target && (buf_putc(out, ':', err) < 0 ||
				   put_target(out, denial->target, err) < 0)
		       ? (int)err->code
		       : 0;
}
