#include "agentd/model/request.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/model/model.h"
#include "agentd/model/settings.h"

#define HEADERS_OWN 8U /* lines that are not the provider's */

#ifndef AGENT_VERSION
#define AGENT_VERSION "0"
#endif

bool request_model_reasons(const char *model)
{
	static const char *const families[] = { "gpt-5", "gpt-oss", "o1", "o3", "o4", "codex-" };

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		if (str_starts(model, families[i]))
			return true;
	}
	return false;
}

static int put_encoded(struct buf *out, const char *text, struct err *err)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";

	for (; *text; text++) {
		int rc = strchr(plain, *text)
				 ? buf_putc(out, *text, err)
				 : buf_printf(out, err, "%%%02X", (unsigned char)*text);

		if (rc < 0)
			return rc;
	}
	return 0;
}

int request_url(struct buf *out, const struct model_settings *settings, struct err *err)
{
	int rc = buf_printf(out, err, "%s/responses", settings->base_url);

	for (size_t i = 0; rc == 0 && i < settings->query.count; i++) {
		const struct model_pair *pair = &settings->query.items[i];

		rc = buf_putc(out, i == 0 && !strchr(settings->base_url, '?') ? '?' : '&', err);
		if (rc == 0)
			rc = put_encoded(out, pair->name, err);
		if (rc == 0)
			rc = buf_putc(out, '=', err);
		if (rc == 0)
			rc = put_encoded(out, pair->value, err);
	}
	return rc;
}

static bool name_is_token(const char *name)
{
	static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "!#$%&'*+-.^_`|~";

	return name[0] != '\0' && name[strspn(name, token)] == '\0';
}

static bool value_is_clean(const char *value)
{
	for (; *value; value++) {
		if (((unsigned char)*value < ' ' && *value != '\t') || *value == 0x7f)
			return false;
	}
	return true;
}

static int add_header(struct request_headers *out, const char *name, const char *prefix,
		      const char *value, struct err *err)
{
	struct buf line SCOPED(buf_deinit) = BUF_INIT(REQUEST_HEADER_MAX);
	int rc;

	if (!name_is_token(name))
		return ERR_SET(err, ERR_INVALID, "'%.60s' is no name of a header", name);
	if (!value_is_clean(value)) /* not shown: it may be a key */
		return ERR_SET(err, ERR_INVALID,
			       "the value of header '%.60s' holds control characters", name);
	rc = buf_printf(&line, err, "%s: %s%s", name, prefix, value);
	if (rc < 0)
		return ERR_WRAP(err, "header '%.60s'", name);
	out->lines[out->count] = buf_take(&line);
	if (!out->lines[out->count])
		return ERR_NOMEM_SET(err);
	out->count++;
	return 0;
}

/* Whether the provider's own headers replace this one. */
static bool is_replaced(const struct model_settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->headers.count; i++) {
		if (strcasecmp(settings->headers.items[i].name, name) == 0)
			return true;
	}
	return false;
}

int request_headers(struct request_headers *out, const struct model_settings *settings,
		    const char *session_id, struct err *err)
{
	const struct {
		const char *name;
		const char *prefix;
		const char *value; /* NULL: not sent */
	} own[HEADERS_OWN] = {
		{ "Content-Type", "", "application/json" },
		{ "Accept", "", "text/event-stream" },
		{ "Authorization", "Bearer ", settings->api_key },
		{ "User-Agent", "agentd/", AGENT_VERSION },
		{ "originator", "", "agentd" },
		{ "session-id", "", session_id },
		{ "thread-id", "", session_id },
		{ "x-client-request-id", "", session_id },
	};
	struct request_headers made = { 0 };
	int rc = 0;

	made.lines = calloc(HEADERS_OWN + settings->headers.count, sizeof *made.lines);
	if (!made.lines)
		return ERR_NOMEM_SET(err);
	for (size_t i = 0; rc == 0 && i < HEADERS_OWN; i++) {
		if (own[i].value && !is_replaced(settings, own[i].name))
			rc = add_header(&made, own[i].name, own[i].prefix, own[i].value, err);
	}
	for (size_t i = 0; rc == 0 && i < settings->headers.count; i++)
		rc = add_header(&made, settings->headers.items[i].name, "",
				settings->headers.items[i].value, err);
	if (rc < 0) {
		request_headers_deinit(&made);
		return rc;
	}
	*out = made;
	return 0;
}

void request_headers_deinit(struct request_headers *headers)
{
	for (size_t i = 0; i < headers->count; i++)
		free(headers->lines[i]);
	free(headers->lines);
	*headers = (struct request_headers){ 0 };
}

static int dump_chunk(const char *bytes, size_t size, void *ctx)
{
	struct buf *out = ctx;

	return buf_append(out, bytes, size, NULL) < 0 ? -1 : 0;
}

static int put_json(struct buf *out, const json_t *value, struct err *err)
{
	size_t room = out->max - out->len;

	if (json_dump_callback(value, dump_chunk, out, JSON_COMPACT | JSON_ENCODE_ANY) == 0)
		return 0;
	return ERR_SET(err, ERR_LIMIT,
		       "a part of the request that is not JSON or exceeds %zu bytes", room);
}

/* ,"name":"text"; nothing where the text is NULL. */
static int put_text(struct buf *out, const char *name, const char *text, struct err *err)
{
	json_t *value;
	int rc;

	if (!text)
		return 0;
	value = json_string(text);
	if (!value)
		return ERR_SET(err, ERR_INVALID, "%s is not valid UTF-8", name);
	rc = buf_printf(out, err, ",\"%s\":", name);
	if (rc == 0)
		rc = put_json(out, value, err);
	json_decref(value);
	return rc;
}

static int put_input(struct buf *out, const struct model_request *request, struct err *err)
{
	const char *comma = "";
	int rc = buf_puts(out, ",\"input\":[", err);

	for (size_t i = 0; rc == 0 && i < request->item_count; i++, comma = ",") {
		rc = buf_puts(out, comma, err);
		if (rc == 0)
			rc = buf_puts(out, request->items[i], err);
	}
	for (size_t i = 0; rc == 0 && i < json_array_size(request->input); i++, comma = ",") {
		rc = buf_puts(out, comma, err);
		if (rc == 0)
			rc = put_json(out, json_array_get(request->input, i), err);
	}
	return rc < 0 ? rc : buf_putc(out, ']', err);
}

static int put_tools(struct buf *out, const json_t *tools, struct err *err)
{
	int rc;

	if (json_array_size(tools) == 0)
		return 0;
	rc = buf_puts(out, ",\"tools\":", err);
	if (rc == 0)
		rc = put_json(out, tools, err);
	return rc < 0 ? rc
		      : buf_puts(out, ",\"tool_choice\":\"auto\",\"parallel_tool_calls\":true",
				 err);
}

static int put_reasoning(struct buf *out, const struct model_settings *settings, struct err *err)
{
	const char *summary = settings->summary;
	json_t *reasoning;
	int rc;

	if (!settings->effort && !summary && !request_model_reasons(settings->model))
		return 0;
	if (!summary)
		summary = "auto";
	if (str_eq(summary, "none"))
		summary = NULL;
	reasoning = json_pack("{s:s*, s:s*}", "effort", settings->effort, "summary", summary);
	if (!reasoning)
		return ERR_SET(err, ERR_INVALID, "reasoning settings that are not valid UTF-8");
	rc = buf_puts(out, ",\"reasoning\":", err);
	if (rc == 0)
		rc = put_json(out, reasoning, err);
	json_decref(reasoning);
	return rc < 0 ? rc : buf_puts(out, ",\"include\":[\"reasoning.encrypted_content\"]", err);
}

static int put_format(struct buf *out, const struct model_request *request, struct err *err)
{
	const char *verbosity = request->settings->verbosity;
	json_t *text;
	int rc;

	if (!verbosity && !request->output_schema)
		return 0;
	text = json_pack("{s:s*}", "verbosity", verbosity);
	if (text && request->output_schema)
		(void)json_object_set_new(text, "format",
					  json_pack("{s:s, s:b, s:O, s:s}", "type", "json_schema",
						    "strict", 1, "schema", request->output_schema,
						    "name", REQUEST_SCHEMA_NAME));
	if (!text || (request->output_schema && !json_object_get(text, "format"))) {
		json_decref(text);
		return ERR_NOMEM_SET(err);
	}
	rc = buf_puts(out, ",\"text\":", err);
	if (rc == 0)
		rc = put_json(out, text, err);
	json_decref(text);
	return rc;
}

int request_body(struct buf *out, const struct model_request *request, struct err *err)
{
	int rc = buf_puts(out, "{\"stream\":true,\"store\":false", err);

	if (rc == 0)
		rc = put_text(out, "model", request->settings->model, err);
	if (rc == 0)
		rc = put_text(out, "instructions", request->instructions, err);
	if (rc == 0)
		rc = put_tools(out, request->tools, err);
	if (rc == 0)
		rc = put_reasoning(out, request->settings, err);
	if (rc == 0)
		rc = put_format(out, request, err);
	if (rc == 0)
		rc = put_text(out, "prompt_cache_key", request->session_id, err);
	if (rc == 0)
		rc = put_input(out, request, err);
	if (rc == 0)
		rc = buf_putc(out, '}', err);
	return rc < 0 ? ERR_WRAP(err, "model request") : 0;
}
