#include "agentd/model/settings.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/conf.h"
#include "proto/conf/near.h"

#define PROVIDERS "model_providers"

/* Providers that need no section; one may still adjust them. */
static const struct builtin {
	const char *id;
	const char *name;
	const char *base_url;
	const char *env_key;
	const char *env_key_first; /* a variable that wins over it; or NULL */
	bool replay;
} builtins[] = {
	{ "openai", "OpenAI", MODEL_OPENAI_URL, "OPENAI_API_KEY", "CODEX_API_KEY", false },
	{ "replay", "Replay", "replay:", NULL, NULL, true },
};

/* What the functions below have in common. */
struct source {
	const struct conf *conf;
	const char *id;
	const struct builtin *builtin; /* or NULL */
	model_env_fn *env;
	void *env_ctx;
};

int model_pairs_set(struct model_pairs *pairs, const char *name, const char *value, struct err *err)
{
	char *copy SCOPED(str_free) = str_dup(value);
	char *named SCOPED(str_free) = NULL;
	struct model_pair *items;

	if (!copy)
		return ERR_NOMEM_SET(err);
	for (size_t i = 0; i < pairs->count; i++) {
		if (strcasecmp(pairs->items[i].name, name) == 0) {
			free(pairs->items[i].value);
			pairs->items[i].value = TAKE(copy);
			return 0;
		}
	}
	if (pairs->count == MODEL_PAIRS_MAX)
		return ERR_SET(err, ERR_LIMIT, "more than %u entries", MODEL_PAIRS_MAX);
	named = str_dup(name);
	items = named ? realloc(pairs->items, (pairs->count + 1) * sizeof *items) : NULL;
	if (!items)
		return ERR_NOMEM_SET(err);
	items[pairs->count] = (struct model_pair){ TAKE(named), TAKE(copy) };
	pairs->items = items;
	pairs->count++;
	return 0;
}

static void pairs_deinit(struct model_pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++) {
		free(pairs->items[i].name);
		free(pairs->items[i].value);
	}
	free(pairs->items);
	*pairs = (struct model_pairs){ 0 };
}

void model_settings_deinit(struct model_settings *settings)
{
	free(settings->provider);
	free(settings->name);
	free(settings->base_url);
	free(settings->model);
	free(settings->effort);
	free(settings->summary);
	free(settings->verbosity);
	free(settings->api_key);
	free(settings->env_key);
	free(settings->ca_file);
	free(settings->cassette);
	pairs_deinit(&settings->query);
	pairs_deinit(&settings->headers);
	*settings = (struct model_settings){ 0 };
}

/* Copies a text that may be absent. */
static int set(char **out, const char *text, struct err *err)
{
	char *copy = text ? str_dup(text) : NULL;

	if (text && !copy)
		return ERR_NOMEM_SET(err);
	free(*out);
	*out = copy;
	return 0;
}

static const char *provider_str(const struct source *source, const char *key)
{
	return conf_str_of(source->conf, PROVIDERS, source->id, key);
}

/* Set and not empty. */
static const char *variable(const struct source *source, const char *name)
{
	const char *value = name ? source->env(source->env_ctx, name) : NULL;

	return value && value[0] ? value : NULL;
}

static int set_url(struct model_settings *out, const struct source *source, struct err *err)
{
	const char *url = provider_str(source, "base_url");
	size_t len;

	if (!url && source->builtin) {
		url = source->builtin->base_url;
		if (str_eq(source->id, "openai") && conf_is_set(source->conf, "openai_base_url"))
			url = conf_str(source->conf, "openai_base_url");
	}
	if (!url || !url[0])
		return ERR_SET(err, ERR_INVALID, "%s.%s.base_url is not set", PROVIDERS,
			       source->id);
	if (!out->replay && !str_starts(url, "https://") && !str_starts(url, "http://"))
		return ERR_SET(err, ERR_INVALID,
			       "%s.%s.base_url '%.200s' starts with neither https:// nor http://",
			       PROVIDERS, source->id, url);
	for (len = strlen(url); len > 1 && url[len - 1] == '/'; len--)
		;
	out->base_url = str_dup_len(url, len);
	return out->base_url ? 0 : ERR_NOMEM_SET(err);
}

static int missing_key(const struct source *source, const char *name, struct err *err)
{
	const char *help = provider_str(source, "env_key_instructions");

	return ERR_SET(err, ERR_DENIED,
		       "no API key for the model: the environment variable %s is not set or empty "
		       "(named by %s.%s.env_key)%s%s",
		       name, PROVIDERS, source->id, help ? ". " : "", help ? help : "");
}

static int set_key(struct model_settings *out, const struct source *source, struct err *err)
{
	const char *name = provider_str(source, "env_key");
	const char *key = NULL;
	int rc;

	if (!name && source->builtin) {
		name = source->builtin->env_key_first;
		if (!variable(source, name))
			name = source->builtin->env_key;
	}
	if (!name && conf_bool_of(source->conf, PROVIDERS, source->id, "requires_openai_auth"))
		name = "OPENAI_API_KEY";
	if (name)
		key = variable(source, name);
	if (!key)
		key = provider_str(source, "experimental_bearer_token");
	if (name && !key)
		return missing_key(source, name, err);
	rc = set(&out->env_key, name, err);
	return rc < 0 ? rc : set(&out->api_key, key, err);
}

/* The object of strings under `key`; each value goes through `env` when it names a variable. */
static int set_pairs(struct model_pairs *out, const struct source *source, const char *key,
		     bool from_env, struct err *err)
{
	json_t *provider = json_object_get(conf_sections(source->conf, PROVIDERS), source->id);
	json_t *map = json_object_get(provider, key);
	const char *name;
	json_t *entry;

	json_object_foreach(map, name, entry) {
		const char *value = json_string_value(entry);

		if (from_env)
			value = variable(source, value);
		if (value && model_pairs_set(out, name, value, err) < 0)
			return ERR_WRAP(err, "%s.%s.%s", PROVIDERS, source->id, key);
	}
	return 0;
}

static int set_ca_file(struct model_settings *out, const struct source *source, struct err *err)
{
	static const char *const names[] = { "AGENTD_CA_CERTIFICATE", "CODEX_CA_CERTIFICATE",
					     "SSL_CERT_FILE" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *file = variable(source, names[i]);

		if (file)
			return set(&out->ca_file, file, err);
	}
	return 0;
}

static int set_model(struct model_settings *out, const struct source *source, struct err *err)
{
	const char *model = conf_str(source->conf, "model");
	int rc;

	if (!model || !model[0])
		model = out->replay ? source->id : MODEL_DEFAULT;
	rc = set(&out->model, model, err);
	if (rc == 0)
		rc = set(&out->effort, conf_str(source->conf, "model_reasoning_effort"), err);
	if (rc == 0)
		rc = set(&out->summary, conf_str(source->conf, "model_reasoning_summary"), err);
	if (rc == 0)
		rc = set(&out->verbosity, conf_str(source->conf, "model_verbosity"), err);
	return rc;
}

static int find_provider(struct source *source, struct err *err)
{
	const char *words[ARRAY_LEN(builtins)];
	const char *near;

	for (size_t i = 0; i < ARRAY_LEN(builtins); i++) {
		words[i] = builtins[i].id;
		if (str_eq(builtins[i].id, source->id))
			source->builtin = &builtins[i];
	}
	if (source->builtin || conf_has_section(source->conf, PROVIDERS, source->id))
		return 0;
	near = near_word(source->id, words, ARRAY_LEN(words));
	return ERR_SET(err, ERR_INVALID,
		       "model_provider '%.64s': there is no section [%s.%.64s]%s%s%s", source->id,
		       PROVIDERS, source->id, near ? "; did you mean '" : "", near ? near : "",
		       near ? "'?" : "");
}

static int fill(struct model_settings *out, const struct source *source, struct err *err)
{
	const char *name = provider_str(source, "name");
	int rc;

	out->replay = source->builtin && source->builtin->replay;
	out->request_max_retries =
		(int)conf_int_of(source->conf, PROVIDERS, source->id, "request_max_retries");
	out->stream_max_retries =
		(int)conf_int_of(source->conf, PROVIDERS, source->id, "stream_max_retries");
	out->stream_idle_ms =
		conf_int_of(source->conf, PROVIDERS, source->id, "stream_idle_timeout_ms");
	if (!name)
		name = source->builtin ? source->builtin->name : source->id;
	rc = set(&out->provider, source->id, err);
	if (rc == 0)
		rc = set(&out->name, name, err);
	if (rc == 0)
		rc = set_url(out, source, err);
	if (rc == 0)
		rc = set_model(out, source, err);
	if (rc == 0 && !out->replay)
		rc = set_key(out, source, err);
	if (rc == 0)
		rc = set(&out->cassette, provider_str(source, "cassette"), err);
	if (rc == 0)
		rc = set_ca_file(out, source, err);
	if (rc == 0)
		rc = set_pairs(&out->query, source, "query_params", false, err);
	if (rc == 0)
		rc = set_pairs(&out->headers, source, "http_headers", false, err);
	return rc < 0 ? rc : set_pairs(&out->headers, source, "env_http_headers", true, err);
}

int model_settings_from_config(struct model_settings *out, const struct conf *conf,
			       model_env_fn *env, void *env_ctx, struct err *err)
{
	struct model_settings fresh = { 0 };
	struct source source = { .conf = conf, .env = env, .env_ctx = env_ctx };
	int rc;

	source.id = conf_str(conf, "model_provider");
	if (!source.id || !source.id[0])
		source.id = builtins[0].id;
	rc = find_provider(&source, err);
	if (rc == 0)
		rc = fill(&fresh, &source, err);
	if (rc < 0) {
		model_settings_deinit(&fresh);
		return rc;
	}
	*out = fresh;
	return 0;
}
