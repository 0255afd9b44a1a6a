/*
 * cmd_sessions.c - agent sessions: what there is to attach to.
 */
#include <stdio.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "client/broker_link.h"
#include "client/call_uv.h"
#include "client/command.h"
#include "client/options.h"
#include "client/sessions.h"
#include "client/setup.h"
#include "client/start.h"
#include "client/term.h"

#define LISTING_MAX 16777216 /* bytes of the whole listing */

static const char *text_of(json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static int put_session(struct buf *out, json_t *item, struct err *err)
{
	json_t *own = json_object_get(json_object_get(item, "_meta"), "agentd");
	json_int_t waiting = json_integer_value(json_object_get(own, "pendingPermissions"));
	const char *texts[] = { text_of(item, "cwd"), text_of(item, "title") };

	if (buf_printf(out, err, "%-36s  %-15s  %" JSON_INTEGER_FORMAT " attached%s  %.19s",
		       text_of(item, "sessionId"), text_of(own, "state"),
		       json_integer_value(json_object_get(own, "clients")), waiting ? ", asks" : "",
		       text_of(item, "updatedAt")) < 0)
		return (int)err->code;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (buf_puts(out, "  ", err) < 0 ||
		    term_clean(out, texts[i], strlen(texts[i]), TERM_LINE, err) < 0)
			return (int)err->code;
	}
	return buf_putc(out, '\n', err);
}

static int show_list(json_t *list, bool json, struct err *err)
{
	struct buf out SCOPED(buf_deinit) = BUF_INIT(LISTING_MAX);
	size_t i;
	json_t *item;

	if (json) {
		if (json_dumpf(list, stdout, JSON_INDENT(2)) < 0 || puts("") < 0)
			return ERR_SET(err, ERR_SYSTEM, "cannot write the listing");
		return 0;
	}
	json_array_foreach(list, i, item) {
		if (put_session(&out, item, err) < 0)
			return (int)err->code;
	}
	return fputs(buf_str(&out), stdout) < 0
		       ? ERR_SET(err, ERR_SYSTEM, "cannot write the listing")
		       : 0;
}

static int list(const struct options *options, struct err *err)
{
	struct setup setup SCOPED(setup_deinit) = { 0 };
	struct broker *broker SCOPED(broker_release) = NULL;
	json_auto_t *found = NULL;

	if (setup_paths(&setup, err) < 0 || start_daemon(&broker, &setup.paths, err) < 0 ||
	    sessions_list(&found, &(struct call_to){ &setup.paths, broker }, NULL, err) < 0)
		return (int)err->code;
	return show_list(found, options_has(options, OPTION_JSON), err);
}

int cmd_sessions(const struct options *options)
{
	struct err err = { 0 };

	if (options->word_count > 0)
		return command_fail(options, EXIT_USAGE,
				    "takes no words; see 'agent sessions --help'");
	if (list(options, &err) < 0)
		return command_fail(options, EXIT_FAILED, err.text);
	return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}
