/*
 * settings.h - which model, where, with what key: the settings of one session, resolved.
 *
 * Built once per session from the configuration and the names that the environment may give; a
 * struct is never changed by a call. Owner of all its strings.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"

struct conf;
struct err;

#define MODEL_PAIRS_MAX 128U          /* headers, or query parameters, of a provider */
#define MODEL_DEFAULT "gpt-5.1-codex" /* where the settings name none */
#define MODEL_OPENAI_URL "https://api.openai.com/v1"

struct model_pair {
	char *name;
	char *value;
};

struct model_pairs {
	struct model_pair *items;
	size_t count;
};

struct model_settings {
	char *provider; /* its id: "openai", "replay", or one of model_providers */
	char *name;     /* as shown to people */
	char *base_url; /* without a final slash */
	char *model;
	char *effort;    /* reasoning: minimal ... xhigh, or NULL for the model's own */
	char *summary;   /* reasoning: auto, concise, detailed, none, or NULL */
	char *verbosity; /* low, medium, high, or NULL */
	char *api_key;   /* NULL: no authorization header */
	char *env_key;   /* the variable that it came from, for sentences; or NULL */
	struct model_pairs query;
	struct model_pairs headers; /* from http_headers and env_http_headers, names unique */
	char *ca_file;              /* extra trust for TLS instead of the system's; or NULL */
	int request_max_retries;
	int stream_max_retries;
	int64_t stream_idle_ms;
	bool replay;    /* plays a cassette instead of asking a server */
	char *cassette; /* its file; NULL plays the built-in demo */
};

/* The value of an environment variable, or NULL. Borrowed for the call. */
typedef const char *model_env_fn(void *ctx, const char *name);

/*
 * Fills a zeroed struct. A provider that is not there, a missing base_url or a missing key is an
 * error whose sentence names the setting and the variable (ERR_INVALID, ERR_DENIED for the key).
 * Trust for TLS: the file that AGENTD_CA_CERTIFICATE, CODEX_CA_CERTIFICATE or SSL_CERT_FILE names.
 */
int model_settings_from_config(struct model_settings *out, const struct conf *conf,
			       model_env_fn *env, void *env_ctx, struct err *err) MUST_CHECK;

void model_settings_deinit(struct model_settings *settings);

int model_pairs_set(struct model_pairs *pairs, const char *name, const char *value, struct err *err)
	MUST_CHECK; /* copies; an earlier pair of that name is replaced */
