#include "client/secret.h"

#include <jansson.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/conf.h"

static int take(struct secrets *secrets, const char *name, char *const *environment,
		struct err *err)
{
	size_t len = strlen(name);

	for (size_t i = 0; environment[i]; i++) {
		if (strncmp(environment[i], name, len) != 0 || environment[i][len] != '=' ||
		    environment[i][len + 1] == '\0')
			continue;
		if (secrets->count == SECRETS_MAX)
			return ERR_SET(err, ERR_LIMIT,
				       "the model provider needs more than %d variables",
				       SECRETS_MAX);
		secrets->items[secrets->count++] = environment[i];
		return 0;
	}
	return 0;
}

static int take_headers(struct secrets *secrets, const struct conf *conf, const char *provider,
			char *const *environment, struct err *err)
{
	const char *header;
	json_t *name;

	json_object_foreach(conf_get_of(conf, "model_providers", provider, "env_http_headers"),
			    header, name) {
		if (take(secrets, json_string_value(name), environment, err) < 0)
			return (int)err->code;
	}
	return 0;
}

int secrets_collect(struct secrets *out, const struct conf *conf, char *const *environment,
		    bool exec, struct err *err)
{
	static const char *const certificates[] = { "AGENTD_CA_CERTIFICATE", "CODEX_CA_CERTIFICATE",
						    "SSL_CERT_FILE" };
	const char *provider = conf_str(conf, "model_provider");
	const char *key = conf_str_of(conf, "model_providers", provider, "env_key");
	struct secrets secrets = { .count = 0 };

	if (key && take(&secrets, key, environment, err) < 0)
		return (int)err->code;
	if (str_eq(provider, "openai") ||
	    conf_bool_of(conf, "model_providers", provider, "requires_openai_auth")) {
		if ((!str_eq(key, "OPENAI_API_KEY") &&
		     take(&secrets, "OPENAI_API_KEY", environment, err) < 0) ||
		    (exec && take(&secrets, "CODEX_API_KEY", environment, err) < 0))
			return (int)err->code;
	}
	for (size_t i = 0; i < ARRAY_LEN(certificates); i++) {
		if (take(&secrets, certificates[i], environment, err) < 0)
			return (int)err->code;
	}
	if (take_headers(&secrets, conf, provider, environment, err) < 0)
		return (int)err->code;
	*out = secrets;
	return 0;
}
